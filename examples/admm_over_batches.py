"""One network from three experiments that are never in one optimization problem."""

import numpy as np
from scipy.integrate import solve_ivp

import collocode as cc

rng, times = np.random.default_rng(0), np.linspace(0.0, 14.0, 120)
experiments = []
for name, start in {"inside": (0.5, 0.0), "outside": (2.5, 1.0), "fast": (0.0, -3.0)}.items():
    y = solve_ivp(
        lambda t, y: [y[1], (1.0 - y[0] ** 2) * y[1] - y[0]], (0.0, 14.0), start, t_eval=times
    ).y.T
    noisy = y + 0.05 * rng.standard_normal(y.shape)
    experiments.append(cc.Experiment(times, noisy, ("y1", "y2"), name=name))
problem = cc.Problem(cc.NeuralODE(cc.MLP((2, 12, 2))), experiments, regularisation=cc.L2(1e-4))

result = cc.admm(problem, batches=3)
print(result.termination.value, "in", len(result.history), "iterations of Newton's method")
single = cc.fit(problem)
print("simulated, against the data:   batches     single fit")
for ours, theirs in zip(result.solution.score(), single.score(), strict=True):
    print(f"{ours.experiment:30s} {ours.simulated:.2e}    {theirs.simulated:.2e}")
