"""Tanks that drain into a manifold: how does the flow through a pipe depend on the head?

    A_i h_i' = F_i(t) - q_i,   0 = q_i - φ(h_i - m),   0 = Σ q_i - φ(m),   i = 1, 2, 3

Three tanks of A = 1, 1.5 and 0.8 m² with levels h (m) and given feeds F (m³/min) drain through equal
pipes into a manifold of head m (m), which drains through a fourth one.  The head law of the pipes is
φ(d) = d exp(N(d)) (m³/min), so that water runs downhill, with a network N, the same in all four
equations; the true one is 0.6 d/(d² + 0.04)^¼, a square root that is smooth at zero.  Flows and the manifold's head are algebraic variables.  The levels
are measured every 6 s for 20 min (noise 0.005 m), the manifold and the flows not at all.

The data are made here.  Along the run the law is found within 1 % of its rms value.

Source: the kind of system of Lueg, Alves, Schicksnus, Kitchin, Laird and Biegler, arXiv 2504.04665, 2025;
the sizes are our own.
"""

import itertools

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import collocode as cc

AREAS = (1.0, 1.5, 0.8)
FEEDS = {
    "F1": cc.Signal([0.0, 6.0, 13.0], [0.9, 0.1, 0.5], "zoh"),
    "F2": cc.Signal([0.0, 4.0, 10.0], [0.1, 1.0, 0.2], "zoh"),
    "F3": cc.Signal([0.0, 8.0, 15.0], [0.4, 0.2, 0.8], "zoh"),
}
LEVELS, END, START = ("h1", "h2", "h3"), 20.0, (1.2, 0.6, 1.0)
DEFAULTS = {"mesh": 30}


def true_law(d):
    """The head law that made the data, m³/min."""
    return 0.6 * d / (d**2 + 0.04) ** 0.25


def law(d, network):
    """The head law with a network in it, m³/min."""
    return d * np.exp(network(d))


def manifold(h):
    """Head of the manifold at some levels."""
    return brentq(lambda m: sum(true_law(v - m) for v in h) - true_law(m), -10.0, 10.0)


def true_levels(times):
    """Levels, by an integrator that solves for the manifold's head at every step."""

    def rhs(t, h):
        m = manifold(h)
        feeds = [float(signal(t)[0]) for signal in FEEDS.values()]
        return [(f - true_law(v - m)) / a for f, v, a in zip(feeds, h, AREAS, strict=True)]

    jumps = sorted({0.0, END, *(t for s in FEEDS.values() for t in s.jumps)})
    h, rows = np.array(START), []
    for left, right in itertools.pairwise(jumps):
        at = times[(times >= left) & (times < right)]
        run = solve_ivp(rhs, (left, right), h, t_eval=np.append(at, right), rtol=1e-8, atol=1e-10)
        rows.append(run.y.T[:-1])
        h = run.y[:, -1]
    return np.vstack([*rows, h])[: len(times)]


def problem(noise: float = 0.005, seed: int = 0, hidden: int = 6) -> cc.Problem:
    """Learn the head law.

    noise: standard deviation of the measured levels, m
    seed: of the noise
    hidden: units in the hidden layer
    """
    t = np.linspace(0.0, END, 201)
    levels = true_levels(t)
    levels = levels + noise * np.random.default_rng(seed).standard_normal(levels.shape)

    def tanks(t, x, u, p, nn):
        return {h: (u[f"F{i}"] - x[f"q{i}"]) / AREAS[i - 1] for i, h in enumerate(LEVELS, start=1)}

    def pipes(t, x, u, p, nn):
        laws = {f"pipe {i}": x[f"q{i}"] - law(x[f"h{i}"] - x.m, nn.law) for i in (1, 2, 3)}
        return {**laws, "manifold": x.q1 + x.q2 + x.q3 - law(x.m, nn.law)}

    return cc.Problem(
        cc.Dynamics(
            tanks,
            # heads lie in -0.5 ... 2.5 m
            networks={"law": cc.MLP((1, hidden, 1)).normalised([1.0], [1.5], [1.0])},
            algebraics={"q1": 0.4, "q2": 0.1, "q3": 0.3, "m": 0.6},
            residuals=pipes,
        ),
        cc.Experiment(t, levels, LEVELS, inputs=FEEDS, name="feeds stepped"),
        states=LEVELS,
        loss=cc.LeastSquares(max(noise, 1e-4)),
        name="Tanks and manifold",
        source="after arXiv 2504.04665; simulated data",
    )
