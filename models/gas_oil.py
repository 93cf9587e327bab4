"""Catalytic cracking of gas oil: how fast are its three reactions?

    y1' = -(k1 + k3) y1²,   y2' = k1 y1² - k2 y2

y1 is gas oil, y2 gasoline, of which k1 makes the one out of the other; the rest goes to products that
are not measured.  All quantities are dimensionless; 21 samples of both.

Source: I. B. Tjoa, L. T. Biegler, Ind. Eng. Chem. Res. 30 (1991) 376; E. Dolan, J. Moré, T. Munson,
COPS 3.0, ANL/MCS-TM-273, 2004: least sum of squares 5.2366e-3.
"""

from dataclasses import replace
from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"
DEFAULTS = {"mesh": 100}
OPTIMUM = 5.2366e-3


def problem(data: str = str(DATA / "gas_oil.csv"), start: float = 1.0) -> cc.Problem:
    """Estimate the rates.

    data: CSV with columns t, y1, y2
    start: first guess of every rate
    """

    def rates(t, y, u, p, nn):
        return {"y1": -(p.k1 + p.k3) * y.y1**2, "y2": p.k1 * y.y1**2 - p.k2 * y.y2}

    (run,) = cc.read_csv(data, time="t")
    return cc.Problem(
        cc.Dynamics(rates, parameters=[cc.Parameter(f"k{j}", start, 0.0) for j in (1, 2, 3)]),
        replace(run, initial={"y1": 1.0, "y2": 0.0}),
        loss=cc.LeastSquares(0.01),
        name="Cracking of gas oil",
        source="Tjoa and Biegler (1991); COPS 3.0",
    )
