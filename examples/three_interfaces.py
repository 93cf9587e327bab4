"""One NLP, three ways to IPOPT: the optimum and the multipliers agree."""

from pathlib import Path

import numpy as np

import collocode as cc

DATA = Path(__file__).parents[1] / "models" / "data"
problem = cc.Problem(
    cc.NeuralODE(cc.MLP((2, 8, 2))),
    cc.read_csv(DATA / "harmonic_oscillator.csv", time="t", outputs=["x", "v"]),
    regularisation=cc.L2(3e-4),
)
nlp = cc.start_from(cc.discretize(problem))
reference = cc.solve(nlp).result

for interface in ("casadi", "cyipopt", "pyomo"):
    try:
        result = cc.solve(nlp, interface).result
    except cc.MissingDependency:
        continue  # `collocode doctor` tells how to get it
    difference = abs(result.objective / reference.objective - 1)
    kkt = nlp.kkt_residual(result.x, result.lam_g, result.lam_x)
    assert max(difference, kkt) < 1e-6, interface
    assert np.allclose(result.lam_g, reference.lam_g, atol=1e-6), interface
print("every interface that is installed finds the same optimum and the same multipliers")
