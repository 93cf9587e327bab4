r"""Put a layer in: its place and direction are known, its size ε is searched for on the objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from operator import itemgetter

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InputError
from ...numerics import Array
from ..depth import insert
from ..forward import forward, propagated
from ..objective import Objective

_FIRST = 0.25  # largest argument of φ that the search begins with
_MOST = 16  # doublings, or halvings


@dataclass(frozen=True, eq=False, kw_only=True)
class Extension:
    """How a network was made deeper, and what the new layer did to J.

    Attributes
    ----------
    position, epsilon : number (of the left half, where a layer was bisected) and size of the new layer;
        ε = 0 is a layer of zeros.
    before, after : J without and with it.
    predicted : decrease that the derivative promised for ε; nan where nothing was promised.
    evaluations : of the line search.
    tried, seconds : places tried for it, and wall time of their line searches.
    """

    position: int
    epsilon: float = 0.0
    before: float
    after: float
    predicted: float = float("nan")
    evaluations: int = 0
    tried: int = 1
    seconds: float = 0.0

    @property
    def decrease(self) -> float:
        """Decrease of J."""
        return self.before - self.after


@dataclass(frozen=True, eq=False, kw_only=True)
class Insertion(Extension):
    """An `Extension` with the deeper network.

    Attributes
    ----------
    objective, theta : of the deeper network; what was frozen stays so, the new layer is free.
    accepted : whether to go on from here.
    """

    objective: Objective
    theta: Array
    accepted: bool = True

    def record(self, tried: int, seconds: float) -> Extension:
        """Return the numbers alone."""
        numbers = {field.name: getattr(self, field.name) for field in fields(Extension)}
        return Extension(**{**numbers, "tried": tried, "seconds": seconds})


def deeper(
    objective: Objective,
    theta: ArrayLike,
    position: int,
    weights: tuple[ArrayLike, ArrayLike] | None = None,
    step: float = 1.0,
) -> tuple[Objective, Array]:
    """Insert a layer and return the objective of the deeper network, with its weights.

    Parameters are those of `collocode.layered.insert`; a mask of frozen weights is carried over, and
    the new layer is free.
    """
    network, new = insert(objective.network, theta, position, weights, step)
    if objective.frozen is None:
        return replace(objective, network=network), new
    place = objective.network.slices["coefficients"].start + position * network.row
    frozen = np.insert(objective.frozen, [place] * network.row, False)
    return replace(objective, network=network, frozen=frozen), new


def search_insertion(
    objective: Objective,
    theta: ArrayLike,
    position: int,
    direction: tuple[ArrayLike, ArrayLike],
    *,
    step: float = 1.0,
    both: bool = False,
) -> Insertion:
    """Insert ε (K, b) with the ε that lowers J most: doubled from a small one, else halved.

    Parameters
    ----------
    direction : (d, d) K and (d,) b.
    step : h of the new layer.
    both : whether -ε is tried too, as for a form of second order.

    Returns
    -------
    The best insertion; ε = 0 and a decrease of zero where none lowers J.

    Raises
    ------
    InputError
        A direction of zeros.
    """
    K, b = (np.asarray(part, dtype=float) for part in direction)
    if not (np.any(K) or np.any(b)):
        raise InputError("the direction of the new layer is zero; score another place.")
    grown, zero = deeper(objective, theta, position, (K, b), step)
    states = forward(objective.network, np.asarray(theta, dtype=float), objective.samples.X)
    along = _Along(grown, zero, position, states[position])
    before = objective.value(theta)
    width = objective.network.width
    size = max(np.abs(states[position][:, :width] @ K.T + b).max(), np.finfo(float).tiny)
    epsilon, after = search_size(along.value, before, _FIRST / float(size), both)
    return Insertion(
        objective=grown,
        theta=along.at(epsilon),
        position=position,
        epsilon=epsilon,
        before=before,
        after=after,
        evaluations=along.evaluations,
        accepted=after < before,
    )


def insert_zeros(objective: Objective, theta: Array, position: int, step: float = 1.0) -> Insertion:
    """Insert a layer of zeros, which changes nothing."""
    return measured(objective, theta, *deeper(objective, theta, position, None, step), position)


def measured(
    objective: Objective, theta: Array, grown: Objective, new: Array, position: int
) -> Insertion:
    """Return a new layer with J before and after it."""
    before, after = objective.value(theta), grown.value(new)
    return Insertion(
        objective=grown, theta=new, position=position, before=before, after=after, evaluations=1
    )


def insert_random(
    objective: Objective, theta: Array, position: int, rng: np.random.Generator, step: float = 1.0
) -> Insertion:
    """Insert random unit rows, with ε by a line search; small ones where none lowers J."""
    rows = random_rows(rng, objective.network.width)
    both = objective.network.block.phi.at_zero[1] == 0.0
    done = search_insertion(
        objective, theta, position, (rows[:, :-1], rows[:, -1]), step=step, both=both
    )
    if done.epsilon:
        return done
    small = 1e-2 * rows
    grown, new = deeper(objective, theta, position, (small[:, :-1], small[:, -1]), step)
    after = grown.value(new)
    return replace(done, objective=grown, theta=new, epsilon=1e-2, after=after, accepted=True)


def random_rows(rng: np.random.Generator, width: int) -> Array:
    """(d, d+1) random unit rows (K, b)."""
    rows = rng.standard_normal((width, width + 1))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def search_size(
    value: Callable[[float], float], before: float, first: float, both: bool
) -> tuple[float, float]:
    """Double ε while J falls, or halve it until J does; return ε and J there, 0 if J never does."""

    def better(size: float) -> tuple[float, float]:
        found = [(value(sign * size), sign * size) for sign in ((1.0, -1.0) if both else (1.0,))]
        return min(found, key=itemgetter(0))

    least, best = better(first)
    for _ in range(_MOST):
        if least < before:
            found = value(2.0 * best)
            if found >= least:
                break
            least, best = found, 2.0 * best
        else:
            least, best = better(0.5 * abs(best))
            if least < before:
                break
    return (best, least) if least < before else (0.0, before)


class _Along:
    """J of the deeper network as a function of ε; only the layers from the new one on are run."""

    def __init__(self, objective: Objective, theta: Array, position: int, states: Array) -> None:
        self.objective, self.theta, self.position, self.states = objective, theta, position, states
        network = objective.network
        first = network.slices["coefficients"].start + position * network.row
        self.where = slice(first, first + network.row)
        self.evaluations = 0

    def at(self, epsilon: float) -> Array:
        """(n_weights,) weights."""
        theta = self.theta.copy()
        theta[self.where] *= epsilon
        return theta

    def value(self, epsilon: float) -> float:
        """J at ε; infinite where it overflows."""
        self.evaluations += 1
        theta, x = self.at(epsilon), self.states
        for after in propagated(self.objective.network, theta, x, self.position):
            x = after
        return self.objective.finish(theta, x[None]).value
