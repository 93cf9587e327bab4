"""Known physics, one unknown number: estimate mu of the Van der Pol oscillator."""

from pathlib import Path

import collocode as cc

DATA = Path(__file__).parents[1] / "models" / "data"


def rhs(t, y, u, p, nn):
    return {"y1": y.y2, "y2": p.mu * (1 - y.y1**2) * y.y2 - y.y1}


problem = cc.Problem(
    cc.Dynamics(rhs, parameters=[cc.Parameter("mu", start=3.0, lower=0.0, upper=10.0)]),
    cc.read_csv(DATA / "van_der_pol.csv", time="t", outputs=["y1", "y2"]),
)
solution = cc.fit(problem)
print(f"{solution.status}: mu = {solution.parameters['mu']:.3f} (the data were made with 1)")
