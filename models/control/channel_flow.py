"""Flow in a channel: the stream function of fluid that is injected through porous walls.

    u'''' = R (u' u'' - u u'''),   u(0) = u'(0) = 0,   u(1) = 1,   u'(1) = 0

A boundary-value problem: nothing is decided and nothing is minimised.  R is the Reynolds number; all
quantities are dimensionless.

Source: E. Dolan, J. Moré, T. Munson, COPS 3.0, ANL/MCS-TM-273, 2004; problem 7.
"""

import numpy as np

import collocode as cc


def problem(reynolds: float = 10.0) -> cc.Problem:
    """
    reynolds: Reynolds number
    """

    def flow(t, x, u, p, nn):
        return [x.u1, x.u2, x.u3, reynolds * (x.u1 * x.u2 - x.u * x.u3)]

    t = np.linspace(0.0, 1.0, 21)  # the flow without inertia
    creeping = {
        "u": 3.0 * t**2 - 2.0 * t**3,
        "u1": 6.0 * (t - t**2),
        "u2": 6.0 - 12.0 * t,
        "u3": -12.0 + 0.0 * t,
    }
    return cc.Problem(
        cc.Dynamics(flow),
        cc.Window(
            end=1.0,
            initial={"u": 0.0, "u1": 0.0},
            final={"u": 1.0, "u1": 0.0},
            guess={name: cc.Signal(t, values) for name, values in creeping.items()},
        ),
        states=("u", "u1", "u2", "u3"),
        scaling={"u2": 8.0, "u3": 16.0},
        name="Channel flow",
        source="COPS 3.0, problem 7",
    )
