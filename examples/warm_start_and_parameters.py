"""Build the solver once, then solve again and again with new data."""

import numpy as np

import collocode as cc

rng = np.random.default_rng(1)
t = np.linspace(0.0, 4.0, 41)
clean = np.exp(-0.7 * t)


def problem(values):
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    return cc.Problem(decay, cc.Experiment(t, values, outputs=("c",)), loss=cc.LeastSquares(0.02))


nlp = cc.start_from(cc.discretize(problem(clean)))
solver = cc.make_solver(nlp)  # derivatives and structure: once
first = cc.solve_with(solver, nlp)

estimates = []
for _ in range(200):  # parametric bootstrap: how far does noise of 0.02 move k?
    noisy = clean + 0.02 * rng.standard_normal(len(t))
    again = cc.solve_with(solver, nlp.with_parameters(measurements=noisy[:, None]), warm=first)
    estimates.append(again.parameters["k"])
print(f"k = {np.mean(estimates):.2f} +- {np.std(estimates):.2f} over {len(estimates)} data sets")
