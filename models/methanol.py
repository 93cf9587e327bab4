"""Methanol to hydrocarbons: how fast are the reactions over a zeolite?

    y1' = -(2 k2 - k1 y2/d + k3 + k4) y1,   y2' = k1 y1 (k2 y1 - y2)/d + k3 y1,
    y3' = k1 y1 (y2 + k5 y1)/d + k4 y1,     d = (k2 + k5) y1 + y2

y1 is oxygenates (methanol), y2 olefins, y3 aromatics and paraffins.  All quantities are dimensionless;
17 samples of each.  The fifth rate ends at its bound, 0.

Source: C. A. Floudas et al., *Handbook of Test Problems in Local and Global Optimization*, 1999;
E. Dolan, J. Moré, T. Munson, COPS 3.0, ANL/MCS-TM-273, 2004: least sum of squares 9.02229e-3.
"""

from dataclasses import replace
from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"
DEFAULTS = {"mesh": 50}
OPTIMUM = 9.02229e-3


def problem(data: str = str(DATA / "methanol.csv"), start: float = 1.0) -> cc.Problem:
    """Estimate the rates.

    data: CSV with columns t, y1, y2, y3
    start: first guess of every rate
    """

    def rates(t, y, u, p, nn):
        d = (p.k2 + p.k5) * y.y1 + y.y2
        return {
            "y1": -(2.0 * p.k2 - p.k1 * y.y2 / d + p.k3 + p.k4) * y.y1,
            "y2": p.k1 * y.y1 * (p.k2 * y.y1 - y.y2) / d + p.k3 * y.y1,
            "y3": p.k1 * y.y1 * (y.y2 + p.k5 * y.y1) / d + p.k4 * y.y1,
        }

    (run,) = cc.read_csv(data, time="t")
    return cc.Problem(
        cc.Dynamics(rates, parameters=[cc.Parameter(f"k{j}", start, 0.0) for j in range(1, 6)]),
        replace(run, initial={"y1": 1.0, "y2": 0.0, "y3": 0.0}),
        loss=cc.LeastSquares(0.02),
        name="Methanol to hydrocarbons",
        source="Floudas et al. (1999); COPS 3.0",
    )
