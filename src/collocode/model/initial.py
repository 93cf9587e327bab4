"""What is known of a state at an end of a window: fixed, measured, bounded, given by parameters, or free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from ..checks import as_pair, shown
from ..errors import InputError


@dataclass(frozen=True)
class Initial:
    """What is known of one initial state: its value and how far to trust it, bounds, or a formula.

    Use `fixed`, `weighted`, `free`, `bounded` or `given_by`.

    Attributes
    ----------
    value, std : where it is, and how far it may be from there: 0 fixes it, ∞ says nothing.
    lower, upper : bounds that hold there alone.
    function : of the parameters, or the name of one, that gives it.

    Examples
    --------
    >>> fixed(1.0).is_fixed, weighted(1.0, std=0.1).is_fixed, free().std
    (True, False, inf)
    """

    value: float = float("nan")
    std: float = float("inf")
    lower: float = float("-inf")
    upper: float = float("inf")
    function: Callable[..., Any] | str | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether the state is not a variable of the problem."""
        return self.std == 0.0


def fixed(value: float) -> Initial:
    """Pin an initial state to ``value``."""
    return _checked(value, 0.0)


def weighted(value: float, std: float) -> Initial:
    """Add the prior ((x(0) - value)/std)² of an initial state to the loss.

    Raises
    ------
    InputError
        A value that is no number, or a standard deviation that is not positive and finite.
    """
    if not (isinstance(std, Real) and 0.0 < std < np.inf):
        raise InputError(f"the std of a weighted initial state must be positive, not {shown(std)}.")
    return _checked(value, std)


def free() -> Initial:
    """Leave an initial state to the optimiser (the default)."""
    return Initial()


def bounded(lower: float = float("-inf"), upper: float = float("inf")) -> Initial:
    """Leave an initial state to the optimiser within bounds, ``lower`` below ``upper``, that hold there alone.

    Raises
    ------
    InputError
        The bounds cross or are equal.
    """
    as_pair((lower, upper), "a bounded initial state")
    if not lower < upper:
        raise InputError(
            f"the bounds of an initial state cross ({lower} and {upper}); swap them, or use fixed()."
        )
    return Initial(lower=lower, upper=upper)


def given_by(function: Callable[..., Any] | str) -> Initial:
    """Make an initial state a function ``f(p)`` of the parameters, or the parameter of that name.

    Raises
    ------
    InputError
        Neither a function nor a name.

    Examples
    --------
    >>> given_by(lambda p: p.dose / p.volume).is_fixed
    False
    """
    if not (callable(function) or isinstance(function, str)):
        raise InputError(
            f"an initial state is given by a function of p or a parameter's name, not {shown(function)}."
        )
    return Initial(function=function)


def at_rest(p: Any) -> Any:
    """Stand for an initial state that a steady state gives."""
    raise AssertionError("a steady state is no function of the parameters that can be called")


def as_initial(known: Any) -> Initial:
    """Read a number, a function of p or the name of a parameter as an `Initial`."""
    if isinstance(known, Initial):
        return known
    if callable(known) or isinstance(known, str):
        return given_by(known)
    return fixed(known)


def _checked(value: float, std: float) -> Initial:
    if not (isinstance(value, Real) or getattr(value, "ndim", None) == 0):
        raise InputError(
            f"an initial state is a number, a function of p, a parameter's name, weighted() or free(), not "
            f"{shown(value)}."
        )
    if not np.isfinite(value):
        raise InputError(f"an initial state must be finite, not {value}; use free() if unknown.")
    return Initial(float(value), float(std))
