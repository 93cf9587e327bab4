r"""Events of an SBML model at known times, as flows that act for an instant.

An event that sets :math:`x^+=a x^-+b`, a number a and b of parameters and other states, is what

.. math:: \dot x = \dots + \tfrac1\delta\Bigl(\ln a\,x+\frac{\ln a}{a-1}\,b\Bigr),\qquad
          \tfrac1\delta\,b\ (a=1),\qquad \tfrac{40}\delta\,(b-x)\ (a=0)

do in an instant :math:`\delta`, see `collocode.model.events`.  It acts before its time, since a datum of that
time is taken after it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import casadi as ca
import numpy as np

from ..numerics import Array
from ..numerics.signals import Signal
from .sbml import Event, SbmlModel, names_in, substituted

_PULL = 40.0  # a reset forgets all but e^-40
_PIECES = 8  # elements within an instant


def flow_of(event: Event, model: SbmlModel) -> dict[str, ca.SX] | None:
    """Return what an event adds to the states' rates in an instant of length one; None if it is no such."""
    flows = {}
    for name, value in event.assignments.items():
        x = model.symbols[name]
        slope = ca.simplify(ca.jacobian(value, x))
        rest = ca.simplify(ca.substitute(value, x, 0.0))
        others = {n for n in (*names_in(rest), *names_in(slope))} & event.assignments.keys()
        if not slope.is_constant() or others - {name}:
            return None
        a = float(slope)
        if a == 1.0:
            flows[name] = rest
        elif a == 0.0:
            flows[name] = _PULL * (rest - x)
        elif a > 0.0:
            flows[name] = math.log(a) * (x + rest / (a - 1.0))
        else:
            return None
    return flows


def times_of(
    event: Event, model: SbmlModel, switches: Mapping[str, Signal], at_zero: Mapping[str, float]
) -> list[float] | None:
    """Return when an event's trigger becomes true, 0 if it is armed and true there; None if nobody knows.

    Parameters
    ----------
    switches : what the comparisons with known times are over time, by name.
    at_zero : what they are at time 0 itself, where ``time > 0`` is false yet.
    """
    used = names_in(event.trigger)
    if any(name not in switches for name in used):
        return None
    moments = np.unique(np.concatenate([[0.0], *(switches[n].times for n in used)]))
    truths = [(0.0, {n: at_zero[n] for n in used})]
    truths += [(t, {n: float(switches[n](t)[0]) for n in used}) for t in moments[moments >= 0.0]]
    found, before = [], not event.armed
    for at, values in truths:
        symbols = {n: ca.SX(v) for n, v in values.items()}
        after = float(substituted(event.trigger, model.symbols, symbols)) > 0.5
        if after and not before:
            found.append(float(at))
        before = after
    return found


def clash(events: Sequence[tuple[Event, Sequence[float]]]) -> Event | None:
    """Return an event that acts at the time of another and on what that one reads or sets, if any."""
    for k, (event, times) in enumerate(events):
        mine = event.assignments.keys()
        for other, there in events[:k]:
            theirs = {n for e in other.assignments.values() for n in names_in(e)}
            read = {n for e in event.assignments.values() for n in names_in(e)}
            shared = (mine & {*theirs, *other.assignments}) | (read & other.assignments.keys())
            if shared and set(times) & set(there):
                return event
    return None


def acting(times: Sequence[float], instant: float) -> Signal:
    """Return the input by which an event acts: 1/δ for the instant before each of its times."""
    edges = np.unique([t + d for t in times for d in (-instant, 0.0)])
    on = [any(t - 1.5 * instant < e < t - 0.5 * instant for t in times) for e in edges]
    rate = np.where(on, 1.0 / instant, 0.0)
    first = edges[0] - instant if len(edges) else 0.0
    return Signal(np.append(first, edges), np.append(0.0, rate), "zoh")


def points_of(times: Sequence[float], instant: float) -> Array:
    """Return the mesh points that the instants need."""
    return np.array([t - d for t in times for d in instant * np.linspace(0.0, 1.0, _PIECES + 1)])
