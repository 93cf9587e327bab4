"""Three ways to keep data aside: validation chooses λ, the test run judges the choice."""

from pathlib import Path

import numpy as np

import collocode as cc

DATA = Path(__file__).parents[1] / "models" / "data"
columns = {"time": "t", "outputs": ["x", "v"], "experiment": "release"}
problem = cc.Problem(
    cc.Dynamics(
        lambda t, x, u, p, nn: {"x": x.v, "v": nn.acceleration(x.x, x.v)},
        networks={"acceleration": cc.MLP((2, 8, 1))},
    ),
    cc.read_csv(DATA / "damped_oscillator.csv", **columns),  # "pulled" and "pushed"
)
values = np.logspace(-2, -5, 4)
by_time = cc.sweep(problem, values=values, holdout=0.25)  # the last quarter of both releases
by_run = cc.sweep(problem, values=values, holdout=["pushed"])  # a whole release
print(f"chosen by time {by_time.best:.0e}, by experiment {by_run.best:.0e}")

# neither choice has seen this release
(unseen,) = cc.read_csv(DATA / "damped_oscillator_test.csv", **columns)
for label, solution in {"by time": by_time.solution, "by run": by_run.solution}.items():
    x = cc.simulate(solution.model, (0.8, -1.0), unseen.times).states
    print(f"{label}: rms error of the test {np.sqrt(np.mean((x - unseen.values) ** 2)):.3f}")
