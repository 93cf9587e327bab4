"""Stirred tank under predictive control: how do set points that change and a warmer feed look in closed loop?

    c' = (c_f - c) q/V - r(c, T),   T' = (T_f - T) q/V + h r(c, T) + a (T_c - T)

The tank of ``models/cstr.py``.  Every 0.25 min the coolant temperature T_c (K, between 320 and 360 K) is
planned over the next 4 min, at the least ∫ ((c - target)/0.1)² + ((T_c - 340)/20)²/10 dt with T below 352 K,
and its first move is held; the target of c (mol/l) is an input that is known ahead.  The plant's feed is
``warmer`` than the plan thinks, so that the plant does not do what was planned, and the loop has to.

``collocode horizon models/control/cstr_tracking.py --out results/tracking`` runs the loop;
``collocode solve`` makes one plan.  Minutes, mol/l and K.

Source: D. E. Seborg, T. F. Edgar, D. A. Mellichamp, *Process Dynamics and Control*, milder; as
``models/cstr.py``.
"""

import importlib.util
from pathlib import Path

import collocode as cc

DEFAULTS = {"mesh": 16}
HORIZON = {"sample": 0.25, "moves": 48, "setpoints": {"c": "target"}}
START = {"c": 0.7, "T": 335.0}
TARGET = cc.Signal([0.0, 4.0, 8.0], [0.5, 0.6, 0.45], "zoh")

_SPEC = importlib.util.spec_from_file_location("cstr", Path(__file__).parents[1] / "cstr.py")
assert _SPEC is not None
assert _SPEC.loader is not None
cstr = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(cstr)


def problem(warmer: float = 0.0) -> cc.Problem:
    """One plan.

    warmer: by how many K the feed is warmer than in ``models/cstr.py``
    """

    def balances(t, x, u, p, nn):
        r = cstr.true_rate(x.c, x.T)
        return {
            "c": cstr.FEED_C - x.c - r,
            "T": cstr.FEED_T + warmer - x.T + cstr.HEAT * r + cstr.COOLING * (u.Tc - x.T),
        }

    return cc.Problem(
        cc.Dynamics(balances),
        cc.Window(
            end=4.0,
            inputs={"target": TARGET},
            controls={"Tc": cc.Control(320.0, 360.0, kind="constant", unit="K")},
            initial=START,
            guess={"c": 0.5, "T": 345.0},
        ),
        states=("c", "T"),
        bounds={"c": (0.0, 1.0), "T": (300.0, 352.0)},
        costs=[
            cc.Lagrange(lambda t, x, u, p, nn: ((x.c - u.target) / 0.1) ** 2, name="deviation"),
            0.1 * cc.Lagrange(lambda t, x, u, p, nn: ((u.Tc - 340.0) / 20.0) ** 2, name="coolant"),
        ],
        name="Stirred tank, set points",
        source="Seborg, Edgar and Mellichamp, milder",
    )


def plant() -> cc.Problem:
    """The tank itself, its feed 2 K warmer than planned."""
    return problem(warmer=2.0)
