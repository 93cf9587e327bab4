r"""Scenarios: one window for every value that a parameter may have, under one control.

What was learnt is known up to its covariance; a plan that is to hold for all of it is decided over windows
that differ in their parameters and share their controls.  The costs of a problem are summed over its
windows, so that :math:`\tfrac1n` of a cost is its mean; a constraint holds in each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ..checks import check_whole, listed
from ..errors import InputError
from ..kinds import check_type
from ..model.window import Window
from ..numerics import Array
from ..numerics.random import generator
from ..numerics.signals import Signal
from ..solvers.threads import single_threaded
from .intervals import Uncertainty


@single_threaded
def scenarios(
    window: Window,
    values: Mapping[str, ArrayLike] | Uncertainty,
    count: int = 10,
    seed: int = 0,
) -> tuple[Window, ...]:
    """Return copies of a window, each with parameters of its own as constant inputs.

    Parameters
    ----------
    window : what is planned; all its controls are shared.
    values : by the name of an input (``u.k`` in the dynamics) its value in every scenario; or the
        `Uncertainty` of a fit, whose physical parameters are drawn from their normal distribution, on
        the scale that they are decided on and within their bounds.
    count, seed : how many are drawn, and from which random numbers; for an `Uncertainty`.

    Raises
    ------
    InputError
        A control that is not shared, inputs that the window has already, values of different numbers,
        or a parameter that the data do not determine.

    Examples
    --------
    >>> from collocode.model.control import Control
    >>> from collocode.numerics.bases import PiecewiseConstant
    >>> held = Control(kind=PiecewiseConstant((0.0, 1.0, 2.0)), shared=True)
    >>> plan = Window(end=2.0, controls={"feed": held}, initial={"x": 1.0}, name="plan")
    >>> [w.name for w in scenarios(plan, {"k": [0.6, 0.7, 0.8]})]
    ['plan 1', 'plan 2', 'plan 3']
    """
    check_type("scenarios(window=...)", window, Window)
    alone = [name for name, control in window.controls.items() if not control.shared]
    if alone:
        raise InputError(
            f"scenarios of window {window.name!r} would each decide control {alone[0]!r} alone; give it "
            "shared=True, with kind=PiecewiseConstant(points), say."
        )
    table = _drawn(values, count, seed) if isinstance(values, Uncertainty) else _given(values)
    taken = [name for name in table if name in window.inputs or name in window.controls]
    if taken:
        raise InputError(
            f"window {window.name!r} has an input {taken[0]!r} already; leave it out, or out of the "
            "scenarios."
        )
    return tuple(
        replace(
            window,
            name=f"{window.name} {k + 1}",
            inputs={**window.inputs, **{n: Signal([0.0], [v[k]], "zoh") for n, v in table.items()}},  # type: ignore[arg-type]
        )
        for k in range(len(next(iter(table.values()))))
    )


def _given(values: Mapping[str, ArrayLike]) -> dict[str, Array]:
    check_type("scenarios(values=...)", values, Mapping, Uncertainty)
    table = {name: np.atleast_1d(np.asarray(v, dtype=float)) for name, v in values.items()}
    sizes = {name: v.shape for name, v in table.items()}
    if len(set(sizes.values())) != 1 or any(len(shape) != 1 for shape in sizes.values()):
        raise InputError(
            f"scenarios need one row of values by name, all of one length, not of shapes {sizes}."
        )
    return table


def _drawn(trust: Uncertainty, count: int, seed: int) -> dict[str, Array]:
    """Physical parameters from their normal distribution."""
    check_whole("count of scenarios", count, 1)
    names = [name for name in trust.names if name in trust.fitted_parameters]
    std = dict(zip(trust.names, trust.std(), strict=True))
    lost = [name for name in names if name in trust.not_identifiable or np.isinf(std[name])]
    if lost or not names:
        what = f"of {listed(lost)}" if lost else "of no parameter"
        raise InputError(
            f"scenarios need parameters that the data determine, but these tell {'nothing ' if lost else ''}"
            f"{what}; give the values, or measure more."
        )
    picked = [trust.names.index(name) for name in names]
    block = trust.covariance[np.ix_(picked, picked)]
    values, vectors = np.linalg.eigh(block)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    drawn = trust.values[picked] + generator(seed).standard_normal((count, len(names))) @ root.T
    known = [trust.fitted_parameters[name] for name in names]
    return {
        q.name: np.asarray(q.natural(np.clip(drawn[:, j], *q.decided_bounds)), dtype=float)
        for j, q in enumerate(known)
    }
