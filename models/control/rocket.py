"""Goddard's rocket: how does a sounding rocket spend its fuel to climb highest?

    h' = v,   v' = (T - D(h, v))/m - g(h),   m' = -T/c

with drag D = Dc v² exp(-500 (h - 1)), gravity g = 1/h², thrust 0 ≤ T ≤ 3.5 and c = 1/2; from h = 1 (the
surface) at rest with m = 1 to m = 0.6, in free time.  Full thrust is followed by a singular arc and a
coast; the thrust is held constant in every element, because free stages ring along that arc.  All quantities are dimensionless, by Earth's radius and gravity and the rocket's mass.

Source: R. H. Goddard, 1919; E. Dolan, J. Moré, T. Munson, COPS 3.0, ANL/MCS-TM-273, 2004; problem 10,
largest height 1.01283 for 400 intervals.
"""

import numpy as np

import collocode as cc

DEFAULTS = {"mesh": 100}
EXHAUST, DRAG, DECAY, MOST_THRUST, LAST_MASS = 0.5, 310.0, 500.0, 3.5, 0.6


def problem() -> cc.Problem:
    """The thrust over time."""

    def flight(t, x, u, p, nn):
        drag = DRAG * x.v**2 * np.exp(-DECAY * (x.h - 1.0))
        return {
            "h": x.v,
            "v": (u.thrust - drag) / x.m - 1.0 / x.h**2,
            "m": -u.thrust / EXHAUST,
        }

    return cc.Problem(
        cc.Dynamics(flight),
        cc.Window(
            end=1.0,
            end_bounds=(0.01, 10.0),
            controls={"thrust": cc.Control(0.0, MOST_THRUST, kind="constant")},
            initial={"h": 1.0, "v": 0.0, "m": 1.0},
            final={"m": LAST_MASS},
            guess={"v": cc.Signal([0.0, 0.5, 1.0], [0.0, 0.1, 0.0])},
        ),
        states=("h", "v", "m"),
        bounds={"h": (1.0, np.inf), "v": (0.0, np.inf), "m": (LAST_MASS, 1.0)},
        scaling={"v": 0.1},
        costs=-cc.Mayer(lambda t, x, u, p, nn: x.h, name="height"),
        name="Goddard rocket",
        source="COPS 3.0, problem 10",
    )
