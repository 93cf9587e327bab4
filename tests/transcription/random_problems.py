"""Random identification problems, and a slow reference of their NLP written in plain NumPy loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
from hypothesis import strategies as st

import collocode as cc
from tests.methods import FEW

START, END = 0.1, 3.0  # not from 0: there t vanishes, and with it nonzeros of a flat graph
LOSSES = (cc.LeastSquares(), cc.LeastSquares(0.3), cc.Huber(0.7, 0.3), cc.PseudoHuber(0.7))
ACTIVATIONS = ("tanh", "sigmoid", "softplus", "swish", "gelu", "elu")


@dataclass(frozen=True)
class Case:
    """A problem, how to discretize it, and its right-hand side a second time, in NumPy."""

    problem: cc.Problem
    scheme: tuple[str, int]
    meshes: dict[str, cc.Mesh]
    rhs: Any
    observe: Any
    constraint: Any

    def nlp(self) -> cc.NLP:
        return cc.discretize(self.problem, *self.scheme, mesh=self.meshes)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    nx, nu = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    states = tuple(f"s{i}" for i in range(nx))
    inputs = tuple(f"u{i}" for i in range(nu))
    neural = draw(st.booleans())
    observe = draw(st.booleans()) if not neural else False
    hidden = draw(st.lists(st.integers(1, 4), max_size=2))
    activation = draw(st.sampled_from(ACTIVATIONS))
    dynamics, rhs = _dynamics(draw, neural, nx, inputs, hidden, activation)
    outputs = ("sum", "square") if observe else states[: draw(st.integers(1, nx))]
    experiments, meshes = [], {}
    for number in range(draw(st.integers(1, 3))):
        name = f"run {number}"
        experiments.append(_experiment(draw, rng, name, outputs, states, inputs))
        cuts = rng.uniform(START, END, draw(st.integers(1, 3)))  # and none in the middle
        meshes[name] = cc.Mesh(np.unique(np.concatenate([[START, END], cuts])))
    constrained = draw(st.booleans())
    problem = cc.Problem(
        dynamics,
        experiments,
        states=states,
        observe=_observe if observe else None,
        loss=draw(st.sampled_from(LOSSES)),
        regularisation=cc.L2(draw(st.sampled_from([0.0, 0.02]))),
        constraints=[cc.PathConstraint("ball", _constraint, upper=5.0)] if constrained else (),
        normalise=draw(st.booleans()),
    )
    return Case(
        problem,
        draw(st.sampled_from(FEW)),
        meshes,
        rhs(problem),
        _observe if observe else None,
        _constraint if constrained else None,
    )


def _dynamics(draw, neural, nx, inputs, hidden, activation):
    if neural:
        time, fed = draw(st.booleans()), inputs[: draw(st.integers(0, len(inputs)))]
        network = cc.MLP((time + nx + len(fed), *hidden, nx), activation)

        def neural_rhs(problem):
            net = problem.dynamics.network  # normalised by the problem

            def rhs(t, x, u, p, theta):
                fed_values = [u[inputs.index(name)] for name in fed]
                return net(np.array([*([t] if time else []), *x, *fed_values]), theta)

            return rhs

        return cc.NeuralODE(network, time, fed), neural_rhs

    network = cc.MLP((nx, *hidden, 1), activation)

    def grey(t, x, u, p, nn):
        force = nn.part(x) + sum(u) + p.shared * ca.cos(t)
        return [force * (i + 1.0) - p.own * x[i] * ca.sin(x[-1]) for i in range(nx)]

    def grey_rhs(problem):
        def rhs(t, x, u, p, theta):
            force = network(np.asarray(x), theta)[0] + sum(u) + p["shared"] * np.cos(t)
            return [force * (i + 1.0) - p["own"] * x[i] * np.sin(x[-1]) for i in range(nx)]

        return rhs

    parameters = [
        cc.Parameter("shared", 0.7),
        cc.Parameter("own", 1.6, per_experiment=draw(st.booleans())),
    ]
    return cc.Dynamics(grey, {"part": network}, parameters), grey_rhs


def _experiment(draw, rng, name, outputs, states, inputs):
    # strictly inside the window, so no time falls on a node and no basis function vanishes
    times = np.sort(rng.uniform(START + 0.05, END - 0.05, draw(st.integers(2, 6))))
    values = rng.normal(size=(len(times), len(outputs)))
    missing = rng.uniform(size=values.shape) < draw(st.sampled_from([0.0, 0.4]))
    missing[:2] = False
    values[missing] = np.nan
    weights = rng.uniform(0.0, 2.0, values.shape) if draw(st.booleans()) else None
    kinds = ("zoh", "linear", "spline")
    grid = np.linspace(START, END, 5)
    signals = {n: cc.Signal(grid, rng.normal(size=5), kinds[rng.integers(3)]) for n in inputs}
    known = draw(st.sampled_from(["free", "fixed", "weighted"]))
    initial = {
        "free": {},
        "fixed": {states[0]: cc.fixed(0.3)},
        "weighted": {states[0]: cc.weighted(0.3, std=0.2)},
    }[known]
    return cc.Experiment(
        times,
        values,
        outputs,
        weights=weights,
        inputs=signals,
        initial=initial,
        name=name,
        start=START,
        end=END,
    )


def _observe(x, u, p):
    total = x[0] * x[-1] + p.shared
    return [total, total * total]


def _constraint(t, x, u, p, nn):
    return sum(v * v for v in x) + 0.1 * t


def _rho(loss, r):
    """By the textbooks."""
    if isinstance(loss, cc.LeastSquares):
        return r**2
    d = loss.delta
    if isinstance(loss, cc.PseudoHuber):
        return 2.0 * d**2 * (np.sqrt(1.0 + (r / d) ** 2) - 1.0)
    return r**2 if abs(r) <= d else 2.0 * d * abs(r) - d**2


class Attributes(dict):
    __getattr__ = dict.__getitem__


def reference(case: Case, nlp: cc.NLP, z: np.ndarray) -> tuple[float, np.ndarray]:
    """Objective and constraints from the definitions: one loop over everything."""
    problem, layout, scheme = case.problem, nlp.layout, nlp.scheme
    f, g = 0.0, np.full(nlp.rows, np.nan)
    theta = z[layout.weights]
    finite = [np.isfinite(e.values) for e in problem.experiments]
    count = sum(k.sum() for k in finite)
    spread = np.nanstd(np.vstack([e.values for e in problem.experiments]), axis=0)
    sigma = spread if problem.loss.sigma is None else np.full(len(spread), problem.loss.sigma)
    for number, (e, part) in enumerate(zip(problem.experiments, layout.experiments, strict=True)):
        names = [q.name for q in problem.dynamics.parameters]
        p = Attributes(zip(names, z[layout.parameter_columns(number, names)], strict=True))
        X = z[part.states]
        m = scheme.intervals
        for k, (left, h) in enumerate(zip(part.mesh.points[:-1], part.mesh.steps, strict=True)):
            local = X[k * m : k * m + m + 1]
            F = np.zeros_like(local)
            for j in scheme.stages:
                t = left + h * scheme.nodes[j]
                side = bool(scheme.nodes[j] == 1.0)
                u = [e.inputs[n](t, left=side)[0] for n in problem.inputs]
                F[j] = case.rhs(t, local[j], u, p, theta)
            g[part.rows[k]] = scheme.D @ local - h * scheme.B @ F
        if case.constraint is not None:
            for row, t, x in zip(part.path_rows[0], part.times, X, strict=True):
                g[row] = case.constraint(t, x, None, p, None)
        for i, t in enumerate(e.times):
            k = int(np.searchsorted(part.mesh.points, t)) - 1
            tau = (t - part.mesh.points[k]) / part.mesh.steps[k]
            nodes = scheme.nodes[list(scheme.dense)]
            values = X[k * m + np.array(scheme.dense)]
            basis = [
                np.prod([(tau - c) / (b - c) for c in nodes if c != b]) for b in nodes
            ]  # Lagrange's own formula
            x = np.array(basis) @ values
            y = x if case.observe is None else np.array(case.observe(x, None, p))
            for j in range(len(problem.outputs)):
                if np.isfinite(e.values[i, j]):
                    w = 1.0 if e.weights is None else e.weights[i, j]
                    model = y[j] if case.observe else x[problem.states.index(problem.outputs[j])]
                    f += w * _rho(problem.loss, (model - e.values[i, j]) / sigma[j]) / count
        for i, state in enumerate(problem.states):
            known = e.initial.get(state)
            if known is not None and 0.0 < known.std < np.inf:
                f += ((X[0, i] - known.value) / known.std) ** 2 / count
    return f + problem.penalty.strength * theta @ theta, g
