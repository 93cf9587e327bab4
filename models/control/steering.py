"""Particle steering: which way does a thrust point to bring a particle up to speed fastest?

    x'' = a cos(u),   y'' = a sin(u),   |u| ≤ π/2,   a = 100

from rest at the origin to y = 5 with velocity (45, 0), wherever x is.  The tangent of the angle is
bilinear in time.  All quantities are dimensionless.

Source: A. E. Bryson, Y. C. Ho, *Applied Optimal Control*, 1975; E. Dolan, J. Moré, T. Munson, COPS 3.0,
ANL/MCS-TM-273, 2004; problem 11, least time 0.554577 for 200 intervals.
"""

import numpy as np

import collocode as cc


def problem(acceleration: float = 100.0) -> cc.Problem:
    """
    acceleration: by the thrust
    """

    def flight(t, x, u, p, nn):
        return {
            "x": x.vx,
            "y": x.vy,
            "vx": acceleration * np.cos(u.angle),
            "vy": acceleration * np.sin(u.angle),
        }

    return cc.Problem(
        cc.Dynamics(flight),
        cc.Window(
            end=1.0,
            end_bounds=(0.01, 10.0),
            controls={"angle": cc.Control(-np.pi / 2, np.pi / 2)},
            initial={"x": 0.0, "y": 0.0, "vx": 0.0, "vy": 0.0},
            final={"y": 5.0, "vx": 45.0, "vy": 0.0},
        ),
        states=("x", "y", "vx", "vy"),
        scaling={"x": 10.0, "vy": 20.0},
        costs=cc.Mayer(lambda t, x, u, p, nn: t, name="time"),
        name="Particle steering",
        source="COPS 3.0, problem 11",
    )
