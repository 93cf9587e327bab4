"""Learn a vector field from noisy samples, and look at every number that tells how good it is."""

from pathlib import Path

import collocode as cc

DATA = Path(__file__).parents[1] / "models" / "data"
columns = {"time": "t", "outputs": ["y1", "y2"]}

problem = cc.Problem(
    cc.NeuralODE(cc.MLP((2, 32, 2))),
    cc.read_csv(DATA / "van_der_pol.csv", **columns),
    regularisation=cc.L2(3e-5),
    test=cc.read_csv(DATA / "van_der_pol_test.csv", **columns),
    truth=cc.Truth(lambda t, y, u: [y[1], (1 - y[0] ** 2) * y[1] - y[0]], (0.0, 1.0)),
)
solution = cc.fit(problem)

print(solution.status)
for score in solution.score():
    print(f"{score.role}: simulated against data {score.simulated:.1e}, truth {score.truth:.1e}")
print(f"gap between collocation and simulation: {solution.gap():.0e}")

field = solution.network()  # a plain callable
print("learnt field at (1, 0):", field([1.0, 0.0]).round(1), "true field: [0, -1]")
