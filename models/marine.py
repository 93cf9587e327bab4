"""Marine population: how fast do eight stages of its life grow into the next, and die?

    y1' = -(m1 + g1) y1,   yj' = g(j-1) y(j-1) - (mj + gj) yj,   y8' = g7 y7 - m8 y8

yj is the number of animals in stage j.  Seven rates of growth and eight of mortality are estimated from
21 counts of every stage; the numbers at the start are unknown too.

Source: B. J. Rothschild, A. F. Sharov, A. J. Kearsley, A. S. Bondarenko, 1997; E. Dolan, J. Moré,
T. Munson, COPS 3.0, ANL/MCS-TM-273, 2004: least sum of squares 1.97462e7.  Times and rates are
dimensionless.
"""

from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"
DEFAULTS = {"mesh": 40}
OPTIMUM = 1.97462e7
STAGES = 8


def problem(
    data: str = str(DATA / "marine.csv"), growth: float = 0.5, mortality: float = 0.1
) -> cc.Problem:
    """Estimate the rates.

    data: CSV with columns t, y1 ... y8
    growth: first guess of every rate of growth
    mortality: first guess of every rate of mortality
    """
    stages = range(1, STAGES + 1)

    def population(t, y, u, p, nn):
        grown = [p[f"g{j}"] * y[f"y{j}"] for j in stages[:-1]]
        leave, enter = [*grown, 0.0], [0.0, *grown]
        return [enter[j - 1] - leave[j - 1] - p[f"m{j}"] * y[f"y{j}"] for j in stages]

    (run,) = cc.read_csv(data, time="t")
    return cc.Problem(
        cc.Dynamics(
            population,
            parameters=[
                *(cc.Parameter(f"g{j}", growth, 0.0) for j in stages[:-1]),
                *(cc.Parameter(f"m{j}", mortality, 0.0) for j in stages),
            ],
        ),
        run,
        loss=cc.LeastSquares(500.0),
        name="Marine population",
        source="Rothschild, Sharov, Kearsley and Bondarenko (1997); COPS 3.0",
    )
