r"""Where to grow: indicators that score all places and make the network deeper at one of them.

==================  ============================================================================
`Topological`       decrease of J that a layer promises; the layer begins with the best weights
`Sensitivity`       :math:`\|\sum_sP_s\tilde x_s^T\|`, the slope of J in the weights of a linear
                    candidate; the layer begins with zeros
`RandomPlace`       any place, and zeros or a random direction: what the others have to beat
==================  ============================================================================

That of dual-weighted residuals, which halves the step of a layer, is `collocode.layered.growth.grow_dwr`.
"""

from __future__ import annotations

import difflib
import time
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...model.activations import Activation
from ..objective import Objective
from ..trainers.training import Training
from .insertable import order_of
from .insertion import Insertion, deeper, search_insertion
from .topological import TopologicalDerivative, sensitivities, topological_derivative

Array = NDArray[np.float64]
STARTS = ("zero", "direction")


@dataclass(frozen=True, eq=False)
class Scores:
    """What an indicator says of a network.

    Attributes
    ----------
    values : (L,) of every place; nan where it has no opinion.
    depths : (L,) where the places are in [0, T].
    places : (L,) numbers of gaps between layers (0 ... N), or of layers.
    seconds : wall time.
    derivative : the topological derivative, where it is one.
    """

    values: Array
    depths: Array
    places: NDArray[np.intp]
    seconds: float
    derivative: TopologicalDerivative | None = None

    @property
    def ranking(self) -> list[int]:
        """Rows from the best place to the worst."""
        return [int(i) for i in np.argsort(-self.values, kind="stable")]

    @property
    def best(self) -> float:
        """Largest score; nan where there is none."""
        known = self.values[np.isfinite(self.values)]
        return float(known.max()) if len(known) else float("nan")


class Indicator(Protocol):
    """Scores the places of a trained network and extends it at one of them."""

    @property
    def name(self) -> str:
        """As the user calls it."""

    def check(self, objective: Objective) -> None:
        """Refuse a network that it cannot grow."""

    def score(self, objective: Objective, training: Training, rng: np.random.Generator) -> Scores:
        """Score all places."""

    def extend(
        self,
        objective: Objective,
        training: Training,
        scores: Scores,
        row: int,
        rng: np.random.Generator,
    ) -> Insertion:
        """Make the network deeper at the place of a row of the scores."""


@dataclass(frozen=True)
class Topological:
    """`topological_derivative`, and ε by a line search.

    Parameters
    ----------
    selection, adjoint : as for `topological_derivative`.
    step : h of new layers.
    """

    selection: str = "rows"
    step: float = 1.0
    adjoint: str = "auto"
    name = "topological"

    def check(self, objective: Objective) -> None:
        """Refuse activations and blocks without a derivative."""
        order_of(objective.network)

    def score(self, objective: Objective, training: Training, rng: np.random.Generator) -> Scores:
        """Score all places; see `Indicator`."""
        how = {"selection": self.selection, "step": self.step, "adjoint": self.adjoint}
        found = topological_derivative(objective, training, **how)  # type: ignore[arg-type]
        depths = objective.network.mesh.points[found.positions]
        return Scores(found.scores, depths, found.positions, found.seconds, found)

    def extend(
        self,
        objective: Objective,
        training: Training,
        scores: Scores,
        row: int,
        rng: np.random.Generator,
    ) -> Insertion:
        """Insert the best weights; see `Indicator`."""
        found, position = scores.derivative, int(scores.places[row])
        assert found is not None
        if scores.values[row] <= 0.0:
            return _nothing(objective, training.theta, position)
        how = {"step": self.step, "both": found.order == 2}
        done = search_insertion(
            objective,
            training.theta,
            position,
            found.direction(position),
            **how,  # type: ignore[arg-type]
        )
        return replace(done, predicted=found.predicted(done.epsilon, position))


@dataclass(frozen=True)
class Sensitivity:
    """Insert zeros where the slope of J in the weights of a linear candidate is largest.

    Where φ'(0) = 0 the gradient in a layer of zeros vanishes and no training by gradients can wake
    it; so the layer begins with a random direction there, its ε by a line search.

    Parameters
    ----------
    step : h of new layers.
    """

    step: float = 1.0
    name = "sensitivity"

    def check(self, objective: Objective) -> None:
        """Refuse activations that are not zero at zero, and layers that share weights."""
        order_of(objective.network)

    def score(self, objective: Objective, training: Training, rng: np.random.Generator) -> Scores:
        """Score all places; see `Indicator`."""
        began = time.perf_counter()
        values = sensitivities(objective, training.theta, self.step)
        places, points = np.arange(len(values)), objective.network.mesh.points
        return Scores(values, points, places, time.perf_counter() - began)

    def extend(
        self,
        objective: Objective,
        training: Training,
        scores: Scores,
        row: int,
        rng: np.random.Generator,
    ) -> Insertion:
        """Insert zeros, or a random direction; see `Indicator`."""
        position = int(scores.places[row])
        if _wakes(objective.network.block.phi):
            return insert_zeros(objective, training.theta, position, self.step)
        return insert_random(objective, training.theta, position, rng, self.step)


@dataclass(frozen=True)
class RandomPlace:
    """Insert anywhere: the control.

    Parameters
    ----------
    start : ``zero`` weights, or a random ``direction`` with ε by a line search; None takes zeros
        where these can be trained (φ'(0) ≠ 0).
    step : h of new layers.
    """

    start: str | None = None
    step: float = 1.0
    name = "random"

    def __post_init__(self) -> None:
        if self.start is not None and self.start not in STARTS:
            raise InputError(f"unknown start {self.start!r}; choose from {', '.join(STARTS)}.")

    def check(self, objective: Objective) -> None:
        """Refuse activations that are not zero at zero, and layers that share weights."""
        order_of(objective.network)

    def score(self, objective: Objective, training: Training, rng: np.random.Generator) -> Scores:
        """Have no opinion; see `Indicator`."""
        points = objective.network.mesh.points
        return Scores(np.full(len(points), np.nan), points, rng.permutation(len(points)), 0.0)

    def extend(
        self,
        objective: Objective,
        training: Training,
        scores: Scores,
        row: int,
        rng: np.random.Generator,
    ) -> Insertion:
        """Insert zeros or a random direction; see `Indicator`."""
        zero = _wakes(objective.network.block.phi) if self.start is None else self.start == "zero"
        position = int(scores.places[row])
        if zero:
            return insert_zeros(objective, training.theta, position, self.step)
        return insert_random(objective, training.theta, position, rng, self.step)


def insert_zeros(objective: Objective, theta: Array, position: int, step: float = 1.0) -> Insertion:
    """Insert a layer of zeros, which changes nothing."""
    grown, new = deeper(objective, theta, position, None, step)
    value = objective.value(theta)
    return Insertion(grown, new, position, 0.0, value, grown.value(new), evaluations=1)


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


def _nothing(objective: Objective, theta: Array, position: int) -> Insertion:
    value = objective.value(theta)
    return Insertion(objective, theta, position, 0.0, value, value, accepted=False)


def _wakes(phi: Activation) -> bool:
    """Whether a layer of zeros has a gradient."""
    return phi.at_zero[1] != 0.0


INDICATORS: dict[str, Indicator] = {
    "topological": Topological(),
    "sensitivity": Sensitivity(),
    "random": RandomPlace(),
}


def indicator_of(indicator: str | Indicator) -> Indicator:
    """Return the indicator of that name.

    Raises
    ------
    InputError
        Unknown name.
    """
    if not isinstance(indicator, str):
        return indicator
    if indicator == "dwr":
        from .grow_dwr import Residuals

        return Residuals()
    if indicator not in INDICATORS:
        names = [*INDICATORS, "dwr"]
        near = difflib.get_close_matches(indicator, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(names)}."
        raise InputError(f"unknown indicator {indicator!r}; {hint}")
    return INDICATORS[indicator]
