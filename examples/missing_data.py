"""Two runs on different grids; the second one measured only one of the two states."""

import numpy as np

import collocode as cc

rng = np.random.default_rng(0)


def truth(t, amplitude):  # x'' = -x
    return amplitude * np.column_stack([np.cos(t), -np.sin(t)])


t1, t2 = np.linspace(0, 6, 40), np.sort(rng.uniform(0, 6, 25))
first = truth(t1, 1.0) + 0.02 * rng.standard_normal((40, 2))
first[10:18, 1] = np.nan  # the speed sensor was off
second = truth(t2, 0.5)[:, 0] + 0.02 * rng.standard_normal(25)

problem = cc.Problem(
    cc.Dynamics(
        lambda t, x, u, p, nn: {"x": x.v, "v": nn.force(x.x)},
        networks={"force": cc.MLP((1, 6, 1))},
    ),
    [
        cc.Experiment(t1, first, outputs=("x", "v"), name="both"),
        cc.Experiment(t2, second, outputs=("x",), name="position only", start=0.0),
    ],
    states=("x", "v"),
)
solution = cc.fit(problem)
start = solution.states(0.0, "position only")[0]
print(solution.status, "from", problem.n_measurements, "measurements")
print("speed at t = 0 of the second run, never measured:", (start[1] + 0.0).round(1))
print("force at x = 0.5:", solution.network()([0.5]).round(1), "(true: -0.5)")
