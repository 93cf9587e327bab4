"""Brachistochrone: along which curve does a bead slide fastest?

    x' = v sin(s),   y' = v cos(s),   v' = g cos(s)

with x to the side and y down (m), speed v (m/s), the angle s from the vertical (rad) and g = 9.81 m/s².
From rest at the origin to x = 1, y = 2/π: half a cycloid of radius 1/π, which ends level, after
√(π/g) = 0.565901 s.

Source: Johann Bernoulli, Acta Eruditorum, 1696; closed form.
"""

import numpy as np

import collocode as cc

GRAVITY = 9.81


def problem(x: float = 1.0, y: float = 2.0 / np.pi) -> cc.Problem:
    """
    x: of the end, m
    y: of the end, m, downwards
    """

    def slide(t, s, u, p, nn):
        return {
            "x": s.v * np.sin(u.angle),
            "y": s.v * np.cos(u.angle),
            "v": GRAVITY * np.cos(u.angle),
        }

    return cc.Problem(
        cc.Dynamics(slide),
        cc.Window(
            end=1.0,
            end_bounds=(0.01, 10.0),
            controls={"angle": cc.Control(0.0, np.pi, unit="rad")},
            initial={"x": 0.0, "y": 0.0, "v": 0.0},
            final={"x": x, "y": y},
        ),
        states=("x", "y", "v"),
        scaling={"v": 4.0},
        costs=cc.Mayer(lambda t, s, u, p, nn: t, name="time"),
        name="Brachistochrone",
        source="Johann Bernoulli (1696)",
    )
