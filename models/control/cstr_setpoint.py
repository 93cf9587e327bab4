"""Stirred tank, learnt and then used: which coolant profile brings it to a new operating point?

    c' = (c_f - c) q/V - r(c, T),   T' = (T_f - T) q/V + h r(c, T) + a (T_c - T)

The tank of ``models/cstr.py``, whose rate r(c, T) is a network.  First the network is trained on the two
runs of that model; then its weights are fixed, and the coolant temperature T_c(t) (K), constant in every
element, is decided over 5 min: from c = 0.7 mol/l, T = 335 K to c = 0.5 mol/l, at the least
∫ ((c - 0.5)/0.1)² + ((T_c - 340)/20)²/10 dt, with T below 352 K and T_c between 320 and 360 K.  Minutes,
mol/l and K.  ``learnt=false`` decides with the true rate; the profile found with the learnt one brings
the true tank to within 0.01 mol/l of it.

Source: D. E. Seborg, T. F. Edgar, D. A. Mellichamp, *Process Dynamics and Control*, milder; as
``models/cstr.py``.
"""

import importlib.util
from pathlib import Path

import collocode as cc

DEFAULTS = {"mesh": 50}
START, TARGET, END = {"c": 0.7, "T": 335.0}, 0.5, 5.0

_SPEC = importlib.util.spec_from_file_location("cstr", Path(__file__).parents[1] / "cstr.py")
assert _SPEC is not None
assert _SPEC.loader is not None
cstr = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(cstr)


def learnt_rate() -> cc.TrainedNetwork:
    """The rate as ``models/cstr.py`` learns it."""
    return cc.fit(cstr.problem(test=""), **cstr.DEFAULTS).network("rate")


def balances(rate):
    """Right-hand side with a rate that is any function of c and T."""

    def rhs(t, x, u, p, nn):
        r = rate(x.c, x.T)
        return {
            "c": cstr.FEED_C - x.c - r,
            "T": cstr.FEED_T - x.T + cstr.HEAT * r + cstr.COOLING * (u.Tc - x.T),
        }

    return rhs


def problem(learnt: bool = True) -> cc.Problem:
    """
    learnt: whether the rate is the learnt one; the true one otherwise
    """
    rate = learnt_rate() if learnt else cstr.true_rate
    return cc.Problem(
        cc.Dynamics(balances(rate)),
        cc.Window(
            end=END,
            controls={"Tc": cc.Control(320.0, 360.0, kind="constant", unit="K")},
            initial=START,
            guess={"c": TARGET, "T": 345.0},
        ),
        states=("c", "T"),
        bounds={"c": (0.0, 1.0), "T": (300.0, 352.0)},
        costs=[
            cc.Lagrange(lambda t, x, u, p, nn: ((x.c - TARGET) / 0.1) ** 2, name="deviation"),
            0.1 * cc.Lagrange(lambda t, x, u, p, nn: ((u.Tc - 340.0) / 20.0) ** 2, name="coolant"),
        ],
        name="Stirred tank, new operating point",
        source="Seborg, Edgar and Mellichamp, milder",
    )
