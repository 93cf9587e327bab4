"""Isomerisation of alpha-pinene: how fast does it turn into its products?

    y1' = -(k1 + k2) y1,   y2' = k1 y1,   y3' = k2 y1 - (k3 + k4) y3 + k5 y5,
    y4' = k3 y3,   y5' = k4 y3 - k5 y5

y1 ... y5 are the shares (%) of alpha-pinene, dipentene, allo-ocimene, pyronene and a dimer, time is in
minutes; at first all is alpha-pinene.  Five rates (1/min) are estimated from eight samples.

Source: G. E. P. Box, W. G. Hunter, J. F. MacGregor, J. Erjavec, Technometrics 15 (1973) 33; E. Dolan,
J. Moré, T. Munson, COPS 3.0, ANL/MCS-TM-273, 2004: least sum of squares 19.8721.
"""

from dataclasses import replace
from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"
DEFAULTS = {"mesh": 50, "start": "gradient_matching"}
OPTIMUM = 19.8721


def problem(data: str = str(DATA / "alpha_pinene.csv"), start: float = 1e-5) -> cc.Problem:
    """Estimate the rates.

    data: CSV with columns t (min), y1 ... y5 (%)
    start: first guess of every rate, 1/min
    """

    def rates(t, y, u, p, nn):
        return {
            "y1": -(p.k1 + p.k2) * y.y1,
            "y2": p.k1 * y.y1,
            "y3": p.k2 * y.y1 - (p.k3 + p.k4) * y.y3 + p.k5 * y.y5,
            "y4": p.k3 * y.y3,
            "y5": p.k4 * y.y3 - p.k5 * y.y5,
        }

    (run,) = cc.read_csv(data, time="t")
    pure = {"y1": 100.0, "y2": 0.0, "y3": 0.0, "y4": 0.0, "y5": 0.0}
    return cc.Problem(
        cc.Dynamics(
            rates, parameters=[cc.Parameter(f"k{j}", start, 0.0, unit="1/min") for j in range(1, 6)]
        ),
        replace(run, start=0.0, initial=pure),
        loss=cc.LeastSquares(1.0),
        name="Isomerisation of alpha-pinene",
        source="Box, Hunter, MacGregor and Erjavec (1973); COPS 3.0",
    )
