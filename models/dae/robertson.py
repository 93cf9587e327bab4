"""Robertson's reactions as differential-algebraic equations, over eleven decades of time.

    y1' = -0.04 y1 + 1e4 y2 y3,   y2' = 0.04 y1 - 1e4 y2 y3 - 3e7 y2²,   0 = y1 + y2 + y3 - 1

from y1 = 1, in mol/l and s, to t = 1e11; nothing is decided and nothing is minimised.  The algebraic
variable is y3: mass is conserved to the last digit, where the three rates of ``models/robertson.py`` let
it drift.

Source: H. H. Robertson, *The solution of a set of reaction rate equations*, in Numerical Analysis,
Academic Press (1966) 178; Test Set for IVP Solvers, F. Mazzia, C. Magherini, University of Bari, 2008,
whose reference at t = 1e11 is ``REFERENCE``.
"""

import numpy as np

import collocode as cc

END = 1e11
REFERENCE = {
    "y1": 0.2083340149701255e-7,
    "y2": 0.8333360770334713e-13,
    "y3": 0.9999999791665050,
}
# three elements a decade, in log t
DEFAULTS = {
    "mesh": cc.Mesh(np.append(0.0, np.geomspace(1e-6, END, 52))),
    "degree": 5,
    "start": "simulate",
}


def problem() -> cc.Problem:
    """The concentrations over time."""

    def reactions(t, x, u, p, nn):
        slow, back = 0.04 * x.y1, 1e4 * x.y2 * x.y3
        return {"y1": back - slow, "y2": slow - back - 3e7 * x.y2**2}

    return cc.Problem(
        cc.Dynamics(
            reactions,
            algebraics={"y3": 1.0},
            residuals=lambda t, x, u, p, nn: {"mass": x.y1 + x.y2 + x.y3 - 1.0},
        ),
        cc.Window(end=END, initial={"y1": 1.0, "y2": 0.0}),
        states=("y1", "y2"),
        scaling={"y2": 1e-5},
        name="Robertson, algebraic",
        source="Test Set for IVP Solvers",
    )
