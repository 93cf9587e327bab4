"""Batch reactor: which temperature makes most of an intermediate product?

    A' = -k1 A²,   B' = k1 A² - k2 B,   k1 = 4000 exp(-2500/T),   k2 = 620000 exp(-5000/T)

A -> B of second order, B -> C of first, from A = 1 mol/l over one hour; the temperature T is kept
between 298 and 398 K, and B(1 h) is maximised.

Source: J. G. Renfro, A. M. Morshedi, O. A. Asbjornsen, Comput. Chem. Eng. 11 (1987) 503; largest B
0.610775 mol/l.
"""

import numpy as np

import collocode as cc


def problem() -> cc.Problem:
    """The temperature over time."""

    def reactions(t, x, u, p, nn):
        first = 4000.0 * np.exp(-2500.0 / u.T) * x.A**2
        second = 620000.0 * np.exp(-5000.0 / u.T) * x.B
        return {"A": -first, "B": first - second}

    return cc.Problem(
        cc.Dynamics(reactions),
        cc.Window(
            end=1.0,
            controls={"T": cc.Control(298.0, 398.0, unit="K")},
            initial={"A": 1.0, "B": 0.0},
        ),
        states=("A", "B"),
        costs=-cc.Mayer(lambda t, x, u, p, nn: x.B, name="product"),
        name="Batch reactor",
        source="Renfro, Morshedi and Asbjornsen (1987)",
    )
