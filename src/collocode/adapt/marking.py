r"""Which elements (or layers) to refine, by their indicators.

Every rule sees :math:`|\eta_e|` only and returns the numbers of the marked ones in order; `Marking` makes
of them an action per element, within a budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike

from ..checks import check_choice, check_fields
from ..errors import InputError
from ..numerics import Index

RULES = ("dorfler", "maximum", "fixed", "uniform")


class Action(IntEnum):
    """What happens to an element; zero leaves it as it is, n > 0 halves it n times."""

    MERGE = -1  # with the next one
    KEEP = 0
    BISECT = 1
    QUARTER = 2


def equidistribute(
    sizes: ArrayLike, order: float, joinable: ArrayLike, most: int, merged: float
) -> Index:
    """(E,) actions that bring every element to its equal share of the tolerances.

    An element of size one has its share; halving it divides its size by ``2**order``.  Where the budget of
    ``most`` elements is short, the largest go first.  Joining two multiplies the sum of their sizes by
    ``2**merged``; pairs whose joint sizes stay below a twentieth of all shares together are joined, the
    smallest first, unless the budget is short.

    Parameters
    ----------
    sizes : (E,) largest indicator of an element over its share, of any goal.
    joinable : (E,) whether an element may be joined to the next one.
    order, merged : powers of the step with which a size falls, at the least, and rises, at most.

    Examples
    --------
    >>> equidistribute([500.0, 3.0, 1e-9, 1e-9, 0.5], 4, [True] * 4 + [False], 20, 6)
    array([ 2,  1, -1,  0,  0])
    """
    size, free = np.asarray(sizes, dtype=float), np.array(joinable, dtype=bool)
    count = len(size)
    with np.errstate(divide="ignore"):
        levels = np.ceil(np.log2(np.maximum(size, 1e-300)) / order)
    actions = np.clip(np.nan_to_num(levels, nan=2.0), Action.KEEP, Action.QUARTER).astype(int)
    room = max(0, most - count)
    if (2**actions - 1).sum() > room:
        actions = np.minimum(actions, Action.BISECT)
    if actions.sum() > room:
        actions[np.argsort(-size, kind="stable")[room:]] = Action.KEEP
        return actions
    joint = np.full(count, np.inf)
    joint[:-1] = 2.0**merged * (size[:-1] + size[1:])
    total = 0.0
    for e in np.argsort(joint, kind="stable"):
        if not free[e] or total + joint[e] > 0.05 * count:
            continue
        if (actions[e : e + 2] != Action.KEEP).any():
            continue
        if e > 0 and actions[e - 1] == Action.MERGE:
            continue
        total += joint[e]
        actions[e] = Action.MERGE
    return actions


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
        check_fields(self)
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
