r"""Put a layer in: its place and direction are known, its size ε is searched for on the objective."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ..depth import insert
from ..forward import forward
from ..objective import Objective

Array = NDArray[np.float64]
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
    epsilon = _search(along, before, _FIRST / float(size), both)
    after = along.value(epsilon) if epsilon else before
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
    grown, new = deeper(objective, theta, position, None, step)
    value = objective.value(theta)
    return Insertion(
        objective=grown,
        theta=new,
        position=position,
        before=value,
        after=grown.value(new),
        evaluations=1,
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
    small = 1e-2
    grown, new = deeper(
        objective, theta, position, (small * rows[:, :-1], small * rows[:, -1]), step
    )
    after = grown.value(new)
    return replace(done, objective=grown, theta=new, epsilon=small, after=after, accepted=True)


def random_rows(rng: np.random.Generator, width: int) -> Array:
    """(d, d+1) random unit rows (K, b)."""
    rows = rng.standard_normal((width, width + 1))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _search(along: _Along, before: float, first: float, both: bool) -> float:
    """Double while J falls, or halve until it does; 0 if it never does."""
    best, least, sign = 0.0, before, 1.0
    for candidate in (first, -first) if both else (first,):
        value = along.value(candidate)
        if value < least:
            best, least, sign = candidate, value, float(np.sign(candidate))
    epsilon = first
    for _ in range(_MOST):
        epsilon *= 2.0 if best else 0.5
        if best:
            value = along.value(sign * epsilon)
            if value >= least:
                break
            best, least = sign * epsilon, value
            continue
        values = [along.value(s * epsilon) for s in ((1.0, -1.0) if both else (1.0,))]
        if min(values) < least:
            return epsilon * (1.0 if values[0] <= values[-1] else -1.0)
    return best


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
        network, theta, x = self.objective.network, self.at(epsilon), self.states
        K, b = network.stage_weights(theta)
        with np.errstate(over="ignore", invalid="ignore"):
            for n in range(self.position, network.layers):
                x = network.block.step(x, K[n], b[n], network.mesh.steps[n])
        return self.objective.finish(theta, x[None]).value
