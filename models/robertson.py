"""Robertson's reactions: three rate constants, nine decades apart, from one stiff run?

    A -> B (k1),   B + B -> C + B (k2),   B + C -> A + C (k3)
    y1' = -k1 y1 + k3 y2 y3,   y2' = k1 y1 - k3 y2 y3 - k2 y2^2,   y3' = k2 y2^2

k1 = 0.04 /s, k2 = 3e7 l/(mol s) and k3 = 1e4 l/(mol s) are estimated by their decimal logarithms,
from a start a decade or more off.  The run begins with pure A, 1 mol/l, at t = 0; 46 samples of y1,
1e4 y2 and y3 (mol/l) are spaced evenly in log t from 1e-4 to 1e5 s (noise 0.01 mol/l).  Another run,
from half A and half C, is predicted.

Time scales from microseconds to days make explicit integrators crawl (``benchmarks/robertson.py``).
Here the mesh is graded in log t by ``DEFAULTS``, and a stiffly accurate scheme steps over what has
died out.

Source: H. H. Robertson, *The solution of a set of reaction rate equations*, in Numerical Analysis,
Academic Press (1966) 178; the data are made by ``models/data/make_robertson.py``.
"""

from pathlib import Path

import numpy as np

import collocode as cc

DATA = Path(__file__).parent / "data"
# eight elements a decade
DEFAULTS = {"mesh": cc.Mesh(np.append(0.0, np.geomspace(1e-5, 1e5, 81)))}
K1, K2, K3 = 0.04, 3.0e7, 1.0e4


def problem(
    data: str = str(DATA / "robertson.csv"),
    test: str = str(DATA / "robertson_test.csv"),
    k1: float = 1.0,
    k2: float = 1e6,
    k3: float = 1e3,
) -> cc.Problem:
    """Estimate the rate constants.

    data: CSV with columns t (s), y1, y2_e4 (1e4 y2), y3 (mol/l)
    test: CSV of the run to be predicted; empty for none
    k1: first guess, 1/s
    k2: first guess, l/(mol s)
    k3: first guess, l/(mol s)
    """

    def reactions(t, y, u, p, nn):
        slow = 10.0**p.log_k1 * y.y1
        fast = 10.0**p.log_k2 * (1e-4 * y.y2_e4) ** 2
        back = 10.0**p.log_k3 * (1e-4 * y.y2_e4) * y.y3
        return {"y1": back - slow, "y2_e4": 1e4 * (slow - back - fast), "y3": fast}

    def truth(t, y, u):
        slow, fast, back = K1 * y[0], K2 * (1e-4 * y[1]) ** 2, K3 * 1e-4 * y[1] * y[2]
        return [back - slow, 1e4 * (slow - back - fast), fast]

    pure, mixed = {"y1": 1.0, "y2_e4": 0.0, "y3": 0.0}, {"y1": 0.5, "y2_e4": 0.0, "y3": 0.5}
    return cc.Problem(
        cc.Dynamics(
            reactions,
            parameters=[
                cc.Parameter("log_k1", np.log10(k1), -5.0, 3.0, unit="lg 1/s"),
                cc.Parameter("log_k2", np.log10(k2), 3.0, 11.0, unit="lg l/(mol s)"),
                cc.Parameter("log_k3", np.log10(k3), 0.0, 8.0, unit="lg l/(mol s)"),
            ],
        ),
        cc.read_csv(data, time="t", initial=pure),
        bounds={"y1": (0.0, 2.0), "y2_e4": (0.0, 10.0), "y3": (0.0, 2.0)},
        loss=cc.LeastSquares(0.01),
        test=cc.read_csv(test, time="t", initial=mixed) if test else (),
        truth=cc.Truth(truth, {"robertson": (1.0, 0.0, 0.0), "robertson_test": (0.5, 0.0, 0.5)}),
        name="Robertson",
        source="Robertson (1966); simulated data",
    )
