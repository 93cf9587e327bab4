"""A law that the trajectory must keep: total amount in a reaction A -> B is conserved."""

import numpy as np

import collocode as cc

rng = np.random.default_rng(3)
t = np.linspace(0.0, 5.0, 30)
clean = np.column_stack([np.exp(-0.8 * t), 1 - np.exp(-0.8 * t)])
data = cc.Experiment(t, clean + 0.03 * rng.standard_normal((30, 2)), outputs=("a", "b"))

problem = cc.Problem(
    cc.NeuralODE(cc.MLP((2, 6, 2))),
    data,
    bounds={"a": (0.0, 1.0), "b": (0.0, 1.0)},
    constraints=[cc.PathConstraint("mass", lambda t, x, u, p, nn: x.a + x.b, 1 - 1e-4, 1 + 1e-4)],
    regularisation=cc.L2(1e-3),
)
solution = cc.fit(problem)
states = solution.trajectories[0].states
print(solution.status)
print("mass stays within", f"{abs(states.sum(axis=1) - 1).max():.1e}", "of one")
print("lowest and highest amount:", states.min().round(2) + 0.0, states.max().round(2))
