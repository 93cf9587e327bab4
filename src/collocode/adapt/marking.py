r"""Which elements (or layers) to refine, by their indicators.

Every rule sees :math:`|\eta_e|` only and returns the numbers of the marked ones in order.
"""

from __future__ import annotations

import difflib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Index = NDArray[np.intp]
RULES = ("dorfler", "maximum", "fixed", "uniform")


def mark(
    indicators: ArrayLike, rule: str = "dorfler", theta: float = 0.5, number: int = 1
) -> Index:
    r"""Return the elements that a rule picks.

    Parameters
    ----------
    indicators : (E,) signed or not.
    rule : ``dorfler``, the smallest set with :math:`\sum|\eta_e|\ge\theta\sum|\eta|` (Dörfler,
        SIAM J. Numer. Anal. 33 (1996)); ``maximum``, all with :math:`|\eta_e|\ge\theta\max|\eta|`;
        ``fixed``, the ``number`` largest; ``uniform``, all.
    theta : in (0, 1].

    Raises
    ------
    InputError
        Unknown rule, θ or number out of range, indicators that are not finite.

    Examples
    --------
    >>> mark([0.1, -3.0, 1.0, 0.5], theta=0.7), mark([0.1, -3.0, 1.0, 0.5], "fixed", number=2)
    (array([1, 2]), array([1, 2]))
    """
    eta = np.abs(np.asarray(indicators, dtype=float)).ravel()
    check_rule(rule, theta, number)
    if not np.isfinite(eta).all():
        raise InputError("an indicator is not finite; the solution is not fit for an estimate.")
    order = np.argsort(-eta, kind="stable")
    if rule == "uniform":
        return np.arange(len(eta))
    if not len(eta) or eta.max() == 0.0:
        return np.empty(0, dtype=int)
    if rule == "maximum":
        return np.flatnonzero(eta >= theta * eta.max())
    if rule == "fixed":
        return np.sort(order[:number])
    total = np.cumsum(eta[order])
    least = int(np.searchsorted(total, theta * total[-1] * (1.0 - 1e-12))) + 1
    return np.sort(order[:least])


def check_rule(rule: str, theta: float, number: int) -> None:
    """Refuse an unknown rule and numbers out of range."""
    if rule not in RULES:
        near = difflib.get_close_matches(str(rule), RULES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(RULES)}."
        raise InputError(f"unknown marking {rule!r}; {hint}")
    if not 0.0 < theta <= 1.0:
        raise InputError(f"theta must lie in (0, 1], not {theta}.")
    if number < 1:
        raise InputError(f"the number of elements to mark must be positive, not {number}.")
