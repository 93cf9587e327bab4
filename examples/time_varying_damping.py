"""A damper that wears out: its damping c(t) as a Legendre series, order by order."""

from pathlib import Path

import numpy as np

import collocode as cc

DATA = Path(__file__).parents[1] / "models" / "data"
runs = cc.read_csv(DATA / "drifting_oscillator.csv", time="t", outputs=["x", "v"], experiment="run")


def rhs(t, x, u, p, nn):
    return {"x": x.v, "v": -4.0 * x.x - p.c * x.v}


def damping(order):
    return cc.Parameter("c", 0.3, lower=0.0, basis=cc.Legendre(order, (0.0, 30.0)))


t = np.linspace(0.0, 30.0, 301)
true = 0.05 + 0.5 * np.exp(-t / 10.0)
start = "gradient_matching"
for order in range(5):
    problem = cc.Problem(cc.Dynamics(rhs, parameters=[damping(order)]), runs)
    solution = cc.fit(problem, start=start)
    start = solution  # the next order begins with this function of time
    error = np.abs(solution.parameter("c", t) - true).max()
    print(f"order {order}: loss {solution.result.objective:.1e}, largest error of c {error:.3f}")
