"""Costates: multipliers against the discrete adjoint, finite differences and an adjoint ODE."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.sparse.linalg import spsolve

import collocode as cc
from collocode.adapt.costates import costates
from collocode.adapt.duals import state_weights
from collocode.adapt.elements import Elements
from tests.methods import GLOBAL, LOCAL, Method

A = np.array([[-0.4, 1.3], [-1.1, -0.2]])


def pendulum(samples: int = 7, end: float = 3.0) -> cc.Problem:
    """A damped pendulum with unknown damping and start, badly measured."""
    t = np.linspace(0.0, end, samples)
    y = np.cos(1.1 * t) + 0.2 * np.sin(7.0 * t)
    rhs = lambda t, x, u, p, nn: [x.w, -np.sin(x.q) - p.d * x.w]  # noqa: E731
    return cc.Problem(
        cc.Dynamics(rhs, parameters=[cc.Parameter("d", 0.3, 0.0, 5.0)]),
        cc.Experiment(t, y, outputs=("q",), initial={"w": cc.free()}),
        states=("q", "w"),
        scaling={"w": 1.0},
    )


def solved(problem: cc.Problem, method: Method, mesh) -> cc.Solution:
    nlp = cc.discretize(problem, method.name, method.degree, mesh)
    solution = cc.solve(cc.start_from(nlp, "smoothing"), options={"tol": 1e-10})
    assert solution.success
    return solution


def gradient(nlp: cc.NLP, x: np.ndarray) -> np.ndarray:
    return np.asarray(nlp.functions.gradient(x, nlp.p)[1]).ravel()


@pytest.mark.parametrize("method", LOCAL, ids=str)
def test_multipliers_are_the_discrete_adjoint(method):
    solution = solved(pendulum(), method, 5)
    nlp, x = solution.nlp, solution.result.x
    adjoint = state_weights(nlp, x, gradient(nlp, x))
    np.testing.assert_allclose(solution.result.lam_g, adjoint, atol=1e-7)


@pytest.mark.parametrize("method", LOCAL, ids=str)
def test_reduced_gradient_is_that_of_finite_differences(method):
    """dJ/dq = ∂f/∂q + (∂g/∂q)ᵀλ, with λ from the discrete adjoint, away from any optimum."""
    nlp = cc.discretize(pendulum(), method.name, method.degree, 5)
    part = nlp.layout.experiments[0]
    q = np.append(part.states[0], nlp.layout.shared)
    states = part.states[1:].ravel()

    def reduced(values):
        x = nlp.start.copy()
        x[q] = values
        for _ in range(30):
            g, jacobian = nlp.functions.jacobian(x, nlp.p)
            step = spsolve(jacobian.sparse().tocsc()[:, states], -np.asarray(g).ravel())
            x[states] += step
            if np.abs(step).max() < 1e-13:
                return x
        raise AssertionError("the states did not converge")

    at = np.array([0.9, -0.3, 0.4])
    x = reduced(at)
    multipliers = state_weights(nlp, x, gradient(nlp, x))
    jacobian = nlp.functions.jacobian(x, nlp.p)[1].sparse()
    found = (gradient(nlp, x) + jacobian.T @ multipliers)[q]
    h = 1e-5
    differences = [
        (nlp.objective(reduced(at + h * e)) - nlp.objective(reduced(at - h * e))) / (2.0 * h)
        for e in np.eye(3)
    ]
    np.testing.assert_allclose(found, differences, rtol=1e-6, atol=1e-9)


def adjoint_ode(solution: cc.Solution, times: np.ndarray) -> np.ndarray:
    """Left limits of z at ``times``, integrated backwards with a jump at every measurement."""
    part = solution.trajectories[0]
    d = float(part.parameters[0])
    t, y = part.experiment.times, part.experiment.values[:, 0]
    forward = solve_ivp(
        lambda t, x: [x[1], -np.sin(x[0]) - d * x[1]],
        (t[0], t[-1]),
        part.states[0],
        "DOP853",
        rtol=1e-12,
        atol=1e-13,
        dense_output=True,
    ).sol
    blocks = solution.nlp.parameters
    weight = blocks["weights"][:, 0] / blocks["sigma"][:, 0] ** 2

    def backward(s, z):
        return [z[1] * np.cos(forward(s)[0]), -z[0] + d * z[1]]

    z, now, found = np.zeros(2), t[-1], {}
    for stop in np.unique(np.concatenate([t, times]))[::-1]:
        if stop < now:
            z = solve_ivp(backward, (now, stop), z, "DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
            now = stop
        for i in np.flatnonzero(t == stop):
            z = z + np.array([2.0 * weight[i] * (forward(stop)[0] - y[i]), 0.0])
        found[stop] = z
    return np.array([found[s] for s in times])


def meshes(method: Method, aligned: bool) -> tuple[int, int]:
    """Two meshes, one twice as fine; measurements lie at mesh points if aligned, else inside."""
    coarse = 48 if method.order <= 2 else 12 if method.order <= 4 else 6
    return (coarse, 2 * coarse) if aligned else (coarse + 1, 2 * coarse + 2)


def observed_order(errors) -> float:
    coarse, fine = errors
    return np.inf if fine < 1e-8 else float(np.log2(coarse / fine))


SMALL = [m for m in LOCAL if m.degree <= 3]


@pytest.mark.parametrize("method", SMALL, ids=str)
@pytest.mark.parametrize("aligned", [True, False], ids=["at mesh points", "inside elements"])
def test_costates_at_mesh_points_are_those_of_the_adjoint_equation(method, aligned):
    """With the scheme's order; inside an element the misfit sees the interpolant's."""
    errors = []
    for elements in meshes(method, aligned):
        solution = solved(pendulum(), method, elements)
        found = costates(solution)[0]
        errors.append(np.abs(found.values - adjoint_ode(solution, found.times)).max())
    assert observed_order(errors) > (method.order if aligned else method.dense) - 0.5


@pytest.mark.parametrize("method", SMALL, ids=str)
def test_costates_at_stages_are_those_of_the_adjoint_equation(method):
    """Measurements at mesh points only, so that the costate is smooth in every element."""
    errors = []
    for elements in meshes(method, True):
        solution = solved(pendulum(), method, elements)
        found = costates(solution)[0]
        times = found.stage_times.ravel()
        once = np.unique(times)
        exact = adjoint_ode(solution, once)[np.searchsorted(once, times)]
        gap = np.abs(found.stage_values.reshape(exact.shape) - exact).max(axis=1)
        errors.append(np.median(gap))  # a stage at a mesh point may stand for the right limit
    inner = method.name in ("radau", "gauss", "implicit_euler")  # Lobatto IIIA's adjoint is IIIB
    assert observed_order(errors) > max(1, method.stage_order - (not inner)) - 0.3


@pytest.mark.parametrize("name", GLOBAL)
def test_global_schemes_have_costates_too(name):
    nlp = cc.discretize(pendulum(), name, 40, 1)
    solution = cc.solve(cc.start_from(nlp, "smoothing"), options={"tol": 1e-10})
    found = costates(solution)[0]
    np.testing.assert_allclose(found.values, adjoint_ode(solution, found.times), atol=1e-6)


def test_explicit_euler_is_the_adjoint_recursion():
    """P_N = ∂J/∂X_N, P_{n-1} = P_n + h f_xᵀ P_n, by hand."""
    t = np.array([0.0, 2.0])
    data = cc.Experiment(
        t, [[1.0, 0.0], [0.3, -0.2]], outputs=("a", "b"), initial={"a": 1.0, "b": 0.0}
    )
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: list(A @ np.array([x.a, x.b])))
    nlp = cc.discretize(
        cc.Problem(dynamics, data, loss=cc.LeastSquares(1.0)), "explicit_euler", 1, 8
    )
    solution = cc.solve(nlp)
    x = solution.trajectories[0].states
    p = 2.0 / 4.0 * (x[-1] - [0.3, -0.2])
    expected = [p]
    for _ in range(8):
        p = p + 0.25 * A.T @ p
        expected.append(p)
    np.testing.assert_allclose(costates(solution)[0].values, expected[::-1], atol=1e-9)


def test_a_loaded_solution_has_no_costates(tmp_path):
    solution = solved(pendulum(), LOCAL[2], 5)
    solution.save(tmp_path / "fit.npz")
    with pytest.raises(cc.InputError, match="not saved"):
        costates(cc.load(tmp_path / "fit.npz"))


def test_elements_split_by_experiment():
    runs = [
        cc.Experiment(np.linspace(0.0, e, 5), np.ones(5), outputs=("c",), name=str(e))
        for e in (1, 2)
    ]
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [0.0 * x.c])
    nlp = cc.discretize(cc.Problem(dynamics, runs), "radau", 2, {"1": 3, "2": 4})
    elements = Elements.of(nlp, nlp.start)
    assert [len(v) for v in elements.split(np.arange(7))] == [3, 4]
    assert elements.experiment.tolist() == [0, 0, 0, 1, 1, 1, 1]
