"""Dido's problem: which fence of a given length along a straight shore encloses most land?

    y' = s,   maximise ∫ y dt   subject to   ∫ sqrt(1 + s²) dt = l

on t = 0 ... 1 with y = 0 at both ends; l between 1 and π/2.  The curve is an arc of a circle: with half angle
a, the root of sin(a)/a = 1/l, its radius is l/(2a) and the area r² (a - sin(a) cos(a)).  All quantities are
dimensionless.

Source: the isoperimetric problem of any book on the calculus of variations, such as I. M. Gelfand,
S. V. Fomin, *Calculus of Variations*, 1963, section 12.
"""

import numpy as np

import collocode as cc


def problem(length: float = 1.2) -> cc.Problem:
    """
    length: of the fence
    """
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"y": u.slope}),
        cc.Window(
            end=1.0,
            controls={"slope": cc.Control(start=cc.Signal([0.0, 1.0], [1.0, -1.0]))},
            initial={"y": 0.0},
            final={"y": 0.0},
            guess={"y": cc.Signal([0.0, 0.5, 1.0], [0.0, 0.3, 0.0])},
        ),
        states=("y",),
        costs=-cc.Lagrange(lambda t, x, u, p, nn: x.y, name="area"),
        constraints=[
            cc.IntegralConstraint(
                "fence", lambda t, x, u, p, nn: np.sqrt(1.0 + u.slope**2), length, length
            )
        ],
        name="Dido's fence",
        source="Gelfand and Fomin (1963), section 12",
    )
