"""Chemical Akzo Nobel: six species, one of them in equilibrium.

    y1' = -2 r1 + r2 - r3 - r4,   y2' = -r1/2 - r4 - r5/2 + F,   y3' = r1 - r2 + r3,
    y4' = -r2 + r3 - 2 r4,        y5' = r2 - r3 + r5,            0 = Ks y1 y4 - y6

with r1 = k1 y1⁴ √y2, r2 = k2 y3 y4, r3 = k2/K y1 y5, r4 = k3 y1 y4², r5 = k4 y6² √y2 and the inflow of
oxygen F = klA (p/H - y2).  Concentrations in mol/l, time in min, from t = 0 to 180; nothing is decided and
nothing is minimised.  The algebraic variable is y6.

Source: Test Set for IVP Solvers, F. Mazzia, C. Magherini, University of Bari, 2008; problem
"Chemical Akzo Nobel", whose reference at t = 180 is ``REFERENCE``.
"""

import numpy as np

import collocode as cc

K1, K2, K3, K4, EQUILIBRIUM = 18.7, 0.58, 0.09, 0.42, 34.4
INFLOW, SOLUBILITY, PRESSURE, HENRY = 3.3, 115.83, 0.9, 737.0
END = 180.0
REFERENCE = {
    "y1": 0.1150794920661702,
    "y2": 0.1203831471567715e-2,
    "y3": 0.1611562887407974,
    "y4": 0.3656156421249283e-3,
    "y5": 0.1708010885264404e-1,
    "y6": 0.4873531310307455e-2,
}
# graded in log t: the first minute is fast
DEFAULTS = {
    "mesh": cc.Mesh(np.append(0.0, np.geomspace(1e-3, END, 40))),
    "degree": 5,
    "start": "simulate",
}


def problem() -> cc.Problem:
    """The concentrations over time."""

    def rates(x):
        return (
            K1 * x.y1**4 * np.sqrt(x.y2),
            K2 * x.y3 * x.y4,
            K2 / EQUILIBRIUM * x.y1 * x.y5,
            K3 * x.y1 * x.y4**2,
            K4 * x.y6**2 * np.sqrt(x.y2),
        )

    def balances(t, x, u, p, nn):
        r1, r2, r3, r4, r5 = rates(x)
        return {
            "y1": -2.0 * r1 + r2 - r3 - r4,
            "y2": -0.5 * r1 - r4 - 0.5 * r5 + INFLOW * (PRESSURE / HENRY - x.y2),
            "y3": r1 - r2 + r3,
            "y4": -r2 + r3 - 2.0 * r4,
            "y5": r2 - r3 + r5,
        }

    return cc.Problem(
        cc.Dynamics(
            balances,
            algebraics={"y6": 0.36},
            residuals=lambda t, x, u, p, nn: {"solubility": SOLUBILITY * x.y1 * x.y4 - x.y6},
        ),
        cc.Window(end=END, initial={"y1": 0.444, "y2": 0.00123, "y3": 0.0, "y4": 0.007, "y5": 0.0}),
        states=("y1", "y2", "y3", "y4", "y5"),
        scaling={"y2": 1e-3, "y3": 0.1, "y5": 1e-2},
        name="Chemical Akzo Nobel",
        source="Test Set for IVP Solvers",
    )
