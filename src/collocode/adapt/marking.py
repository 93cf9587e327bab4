r"""Which elements (or layers) to refine, by their indicators.

Every rule sees :math:`|\eta_e|` only and returns the numbers of the marked ones in order; `Marking` makes
of them an action per element, within a budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, check_choice

Index = NDArray[np.intp]
RULES = ("dorfler", "maximum", "fixed", "uniform")


class Action(IntEnum):
    """What happens to an element; zero leaves it as it is."""

    KEEP = 0
    BISECT = 1


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
    return Marking(rule, theta, number).pick(indicators)


@dataclass(frozen=True)
class Marking:
    """A rule with its numbers; parameters are those of `mark`.

    Raises
    ------
    InputError
        Unknown rule, θ or number out of range.
    """

    rule: str = "dorfler"
    theta: float = 0.5
    number: int = 1

    def __post_init__(self) -> None:
        check_choice("marking", self.rule, RULES)
        if not 0.0 < self.theta <= 1.0:
            raise InputError(f"theta must lie in (0, 1], not {self.theta}.")
        if self.number < 1:
            raise InputError(f"the number of elements to mark must be positive, not {self.number}.")

    def pick(self, indicators: ArrayLike) -> Index:
        """Return the elements that the rule picks, as `mark` does."""
        eta = np.abs(np.asarray(indicators, dtype=float)).ravel()
        if not np.isfinite(eta).all():
            raise InputError("an indicator is not finite; the solution is not fit for an estimate.")
        if self.rule == "uniform":
            return np.arange(len(eta))
        if not len(eta) or eta.max() == 0.0:
            return np.empty(0, dtype=int)
        if self.rule == "maximum":
            return np.flatnonzero(eta >= self.theta * eta.max())
        order = np.argsort(-eta, kind="stable")
        if self.rule == "fixed":
            return np.sort(order[: self.number])
        total = np.cumsum(eta[order])
        least = int(np.searchsorted(total, self.theta * total[-1] * (1.0 - 1e-12))) + 1
        return np.sort(order[:least])

    def bisections(self, *indicators: ArrayLike, most: int) -> Index:
        """(E,) actions: bisect what the rule picks by any of several goals' indicators.

        Where the first goal's are all zero there is nothing to tell elements apart, and all are marked.
        If the budget of ``most`` elements is short, the largest indicators, each over its goal's
        largest, go first; a uniform refinement is done whole or not at all.

        Examples
        --------
        >>> Marking("maximum", 1.0).bisections([1.0, 3.0, 0.0], [2.0, 0.0, 1.0], most=9)
        array([1, 1, 0])
        """
        sizes = [np.abs(np.asarray(eta, dtype=float)) for eta in indicators]
        count = len(sizes[0])
        picked = [self.pick(eta) for eta in sizes]
        if not sizes[0].any():
            picked.append(np.arange(count))
        marked, room = np.unique(np.concatenate(picked)), max(0, most - count)
        actions = np.full(count, int(Action.KEEP))
        if len(marked) > room:
            if self.rule == "uniform":
                return actions
            size = np.max([eta / (eta.max() or 1.0) for eta in sizes], axis=0)
            marked = marked[np.argsort(-size[marked], kind="stable")[:room]]
        actions[marked] = Action.BISECT
        return actions
