"""What all peers of the Van der Pol benchmark share: data, network layout, grid, scoring.

Truth: y1' = y2, y2' = mu (1 - y1^2) y2 - y1 with mu = 1, y(0) = (0, 1); N equidistant samples on
[0, 15] with normal noise of standard deviation 0.1 from ``default_rng(0)``, the recipe of
``models/data/make_van_der_pol.py``.  A peer fits y' = W2 tanh(W1 y + b1) + b2 with 32 hidden units
and the initial state.  Its score is the mean, over samples and both states, of the squared
distance between the *simulated* learnt equation and the clean truth: on [0, 15] from the fitted
and from the true initial state, and on [15, 30] from the true state at 15.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp
from scipy.interpolate import BarycentricInterpolator
from scipy.special import roots_jacobi

MU, Y0, END, SIGMA = 1.0, (0.0, 1.0), 15.0, 0.1
STATES, HIDDEN = 2, 32
WEIGHTS = STATES * HIDDEN + HIDDEN + HIDDEN * STATES + STATES  # 162
CSV = Path(__file__).parents[2] / "models" / "data" / "van_der_pol.csv"

Array = np.ndarray


@dataclass(frozen=True)
class Data:
    """Measurements: times ``t`` of shape (N,) and values ``y`` of shape (N, 2)."""

    t: Array
    y: Array


@dataclass(frozen=True)
class PeerResult:
    """What a peer hands back; times in seconds, compilation included, imports not."""

    name: str
    build_s: float
    solve_s: float
    rhs: Callable[[Array], Array] | None  # None after a build-only run
    y0: Array | None
    detail: str


def import_collocode() -> None:
    """Import what the package imports when it is first used, and IPOPT's library: neither is timed."""
    late = (
        "transcription.discretize",
        "starts.strategies",
        "starts.gradient_matching",
        "results.solution",
    )
    late += ("solvers.solve", "solvers.ipopt_casadi", "solvers.chains.session")
    for name in late:
        with suppress(ImportError):  # an earlier commit may not have it
            import_module(f"collocode.{name}")
    import_module("casadi").load_nlpsol("ipopt")


class Stopwatch:
    """``split()`` returns the seconds since the last split.

    On a busy machine ``cpu`` seconds are the honest ones: of all threads and ended children.
    """

    cpu = False

    def __init__(self) -> None:
        self._last = self._now()

    def split(self) -> float:
        before, self._last = self._last, self._now()
        return self._last - before

    def _now(self) -> float:
        if not self.cpu:
            return time.perf_counter()
        # os.times() counts in hundredths of a second
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(part.ru_utime + part.ru_stime for part in used)


# -- data ---------------------------------------------------------------------------------------


def van_der_pol(t: float, y: Array) -> list[float]:
    """The true right-hand side."""
    return [y[1], MU * (1.0 - y[0] ** 2) * y[1] - y[0]]


def truth(times: Array) -> Array:
    """The clean solution at increasing ``times`` that begin with 0, shape (len(times), 2)."""
    return simulate(van_der_pol, Y0, times, tol=1e-12)


def load_data(samples: int = 200) -> Data:
    """The CSV for 200 samples, otherwise data made by the same recipe."""
    if samples == 200:
        table = np.loadtxt(CSV, delimiter=",", skiprows=1)
        return Data(table[:, 0], table[:, 1:])
    times = np.linspace(0.0, END, samples)
    noise = SIGMA * np.random.default_rng(0).standard_normal((samples, STATES))
    return Data(times, truth(times) + noise)


# -- the network, [2, 32, 2] tanh ----------------------------------------------------------------


def unpack(theta):
    """W1 (32, 2), b1 (32,), W2 (2, 32), b2 (2,) of a flat NumPy or JAX vector of 162 weights."""
    a, b = STATES * HIDDEN, STATES * HIDDEN + HIDDEN
    c = b + HIDDEN * STATES
    return (
        theta[:a].reshape(HIDDEN, STATES),
        theta[a:b],
        theta[b:c].reshape(STATES, HIDDEN),
        theta[c:],
    )


def glorot(seed: int) -> Array:
    """Glorot-normal weights and zero biases."""
    rng = np.random.default_rng(seed)
    scale = np.sqrt(2.0 / (STATES + HIDDEN))
    theta = np.zeros(WEIGHTS)
    w1, _, w2, _ = unpack(theta)  # views
    w1[:] = scale * rng.standard_normal(w1.shape)
    w2[:] = scale * rng.standard_normal(w2.shape)
    return theta


def network(theta: Array) -> Callable[[Array], Array]:
    """The learnt right-hand side as a NumPy callable."""
    w1, b1, w2, b2 = (np.asarray(part, dtype=float) for part in unpack(np.asarray(theta)))
    return lambda y: w2 @ np.tanh(w1 @ y + b1) + b2


# -- Radau IIA grid, shared by the collocation peers ----------------------------------------------


@dataclass(frozen=True)
class Radau:
    """Equidistant Radau IIA elements: nodes, differentiation matrix, start, data interpolation.

    ``nodes`` are 0 and the stages on [0, 1]; ``d[k, j]`` is the derivative of the j-th Lagrange
    polynomial at stage k; ``times[e, j]`` the time of node j of element e; sample i lies in
    element ``where[i]`` and equals ``lagrange[i] @`` (the node values of that element).
    """

    h: float
    nodes: Array
    d: Array
    times: Array
    where: Array
    lagrange: Array

    @classmethod
    def over(cls, t: Array, elements: int | None = None, stages: int = 3) -> Radau:
        """A grid over the samples ``t``, by default with one element for three samples."""
        elements = elements or len(t) // 3
        h = (t[-1] - t[0]) / elements
        inner, _ = roots_jacobi(stages - 1, 1.0, 0.0)
        nodes = np.concatenate([[0.0], (inner + 1.0) / 2.0, [1.0]])
        basis = BarycentricInterpolator(nodes, np.eye(stages + 1))
        times = t[0] + h * (np.arange(elements)[:, None] + nodes)
        where = np.clip(((t - t[0]) / h).astype(int), 0, elements - 1)
        lagrange = basis((t - times[where, 0]) / h)
        return cls(h, nodes, basis.derivative(nodes[1:]), times, where, lagrange)

    def start(self, data: Data) -> Array:
        """The noisy data interpolated linearly to the nodes, shape (elements, nodes, states)."""
        return np.stack([np.interp(self.times, data.t, column) for column in data.y.T], axis=-1)


# -- scoring --------------------------------------------------------------------------------------


def simulate(rhs: Callable, y0: Array, times: Array, tol: float = 1e-8) -> Array:
    """Solution at ``times`` by DOP853; infinite where the integration breaks down."""

    def runaway(t: float, y: Array) -> float:
        return 1e3 - np.abs(y).max()

    runaway.terminal = True
    span = (times[0], times[-1])
    found = solve_ivp(
        rhs, span, y0, t_eval=times, method="DOP853", rtol=tol, atol=tol, events=runaway
    )
    values = np.full((len(times), STATES), np.inf)
    values[: found.y.shape[1]] = found.y.T
    return values


def score(result: PeerResult, data: Data) -> dict[str, float]:
    """Mean squared errors of the simulated learnt equation against the clean truth."""
    later = data.t + END
    both = truth(np.concatenate([data.t, later[1:]]))
    reference, reference_later = both[: len(data.t)], both[len(data.t) - 1 :]

    def learnt(t: float, y: Array) -> Array:
        return result.rhs(y)

    def mse(y0: Array, times: Array, target: Array) -> float:
        return float(np.mean((simulate(learnt, y0, times) - target) ** 2))

    return {
        "train_fitted": mse(result.y0, data.t, reference),
        "train_true": mse(reference[0], data.t, reference),
        "test": mse(reference[-1], later, reference_later),
    }
