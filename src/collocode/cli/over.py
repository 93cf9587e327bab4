"""What is swept, on which data it is judged: ``--over name=values`` and ``--holdout``."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..model.problem import Problem
from .settings import Setting, split_pairs

REGULARISATION = Setting("regularisation", float, False, 0.0)  # every problem has one
MOST_VALUES = 1000


def parse_over(text: str, settings: Sequence[Setting]) -> tuple[str, list[Any]]:
    """Return name and values of ``name=a,b,c`` or ``name=first:last:count``.

    A range is logarithmic; of whole numbers, it is rounded.  Values that are named twice count once.

    Raises
    ------
    InputError
        The model has no such setting, or the text gives fewer than two values of its type.
    """
    ((name, right),) = split_pairs([text], "--over")
    known = {REGULARISATION.name: REGULARISATION, **{s.name: s for s in settings}}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(
            f"--over: the model has no setting {name!r}; {hint}it has: {', '.join(known)}."
        )
    setting = known[name]
    if right.count(":") == 2 and setting.kind in (int, float):
        values = _range(name, right, setting.kind is int)
    else:
        values = [setting.convert(part.strip(), "--over") for part in right.split(",")]
    values = list(dict.fromkeys(values))
    if len(values) < 2:
        raise InputError(
            f"--over {text}: a sweep needs two values or more; say {name}=1e-2:1e-6:9 for a "
            f"logarithmic range or {name}=4,8,16 for a list."
        )
    return name, values


def _range(name: str, text: str, whole: bool) -> list[Any]:
    first, last, count = text.split(":")
    try:
        ends, number = (float(first), float(last)), int(count)
    except ValueError:
        raise InputError(
            f"--over {name}={text} is no range; write first:last:count, say 1e-2:1e-7:11."
        ) from None
    if not all(math.isfinite(end) and end > 0.0 for end in ends):
        raise InputError(
            f"--over {name}={text}: a range is logarithmic, so its ends must be positive; list "
            "the values instead."
        )
    if not 2 <= number <= MOST_VALUES:
        raise InputError(f"--over {name}={text}: the count lies between 2 and {MOST_VALUES}.")
    # short decimals, so that 1e-3 is 0.001 in reports and on the command line
    values = [float(f"{v:.4g}") for v in np.geomspace(*ends, number)]
    return [round(v) for v in values] if whole else values


def parse_holdout(text: str, problem: Problem) -> float | list[str]:
    """Return the held-out share of the time, or the names of held-out experiments.

    Raises
    ------
    InputError
        Neither a share between 0 and 1 nor names of experiments.
    """
    names = [experiment.name for experiment in problem.experiments]
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) == 1 and parts[0] not in names:
        try:
            share = float(parts[0])
        except ValueError:
            share = math.nan
        if 0.0 < share < 1.0:
            return share
    unknown = [part for part in parts if part not in names]
    if unknown or not parts:
        wrong = unknown[0] if unknown else text
        raise InputError(
            f"--holdout {wrong!r} is neither a share between 0 and 1 nor an experiment; there are: "
            f"{', '.join(names)}."
        )
    return parts


def held_text(held: float | Sequence[str]) -> str:
    """Return in words what is held out.

    Examples
    --------
    >>> held_text(0.25), held_text(["pulled"])
    ('the last 25 % of every experiment', 'pulled')
    """
    if isinstance(held, float):
        return f"the last {100.0 * held:g} % of every experiment"
    return ", ".join(held)
