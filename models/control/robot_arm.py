"""Robot arm: how does an arm of three joints carry its load fastest?

    L r'' = u1,   I_th th'' = u2,   I_ph ph'' = u3,   |u| ≤ 1
    I_ph = ((L - r)³ + r³)/3,   I_th = I_ph sin²(ph),   L = 5

with the length r of the arm from its pivot, the horizontal angle th and the vertical angle ph (rad); from
rest at (4.5, 0, π/4) to rest at (4.5, 2π/3, π/4).  All three controls switch between their bounds.

Source: H. Mössner-Beigel, 1999; E. Dolan, J. Moré, T. Munson, COPS 3.0, ANL/MCS-TM-273, 2004; problem 9,
least time 9.14138 for 200 intervals; all quantities but the angles are dimensionless.
"""

import numpy as np

import collocode as cc

DEFAULTS = {"mesh": 100}
LENGTH = 5.0
ANGLES = {"th": (-np.pi, np.pi), "ph": (0.0, np.pi)}


def problem() -> cc.Problem:
    """The three joints' forces."""

    def arm(t, x, u, p, nn):
        inertia = ((LENGTH - x.r) ** 3 + x.r**3) / 3.0
        return {
            "r": x.vr,
            "th": x.vth,
            "ph": x.vph,
            "vr": u.u1 / LENGTH,
            "vth": u.u2 / (inertia * np.sin(x.ph) ** 2),
            "vph": u.u3 / inertia,
        }

    rest = {"vr": 0.0, "vth": 0.0, "vph": 0.0}
    return cc.Problem(
        cc.Dynamics(arm),
        cc.Window(
            end=1.0,
            end_bounds=(0.1, 100.0),
            controls={name: cc.Control(-1.0, 1.0) for name in ("u1", "u2", "u3")},
            initial={"r": 4.5, "th": 0.0, "ph": np.pi / 4, **rest},
            final={"r": 4.5, "th": 2.0 * np.pi / 3, "ph": np.pi / 4, **rest},
        ),
        states=("r", "th", "ph", "vr", "vth", "vph"),
        bounds={"r": (0.0, LENGTH), **ANGLES},
        costs=cc.Mayer(lambda t, x, u, p, nn: t, name="time"),
        name="Robot arm",
        source="COPS 3.0, problem 9",
    )
