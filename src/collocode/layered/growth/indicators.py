r"""Where to grow: indicators that score all places and make the network deeper at one of them.

=======================  ============================================================================
`Topological`            decrease of J that a layer promises; the layer begins with the best weights
`Sensitivity`            :math:`\|\sum_sP_s\tilde x_s^T\|`, the slope of J in the weights of a linear
                         candidate; the layer begins with zeros
`DualWeightedResiduals`  size of a layer's part in the discretization error; the layer is halved
`RandomPlace`            any place, and zeros or a random direction: what the others have to beat
=======================  ============================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ...checks import check_choice
from ...errors import InputError
from ...numerics import Array, Index
from ..depth import bisect, check_one_each
from ..objective import Objective
from ..refinement.estimate import INDICATORS as KINDS
from ..refinement.estimate import estimate_layers
from ..trainers.training import Training
from .insertion import Insertion, insert_random, insert_zeros, measured, search_insertion
from .neurons import order_of
from .topological import TopologicalDerivative, sensitivities, topological_derivative

STARTS = ("zero", "direction")


@dataclass(frozen=True, eq=False, kw_only=True)
class Scores:
    """What an indicator says of a trained network.

    Attributes
    ----------
    objective, training : whose scores they are.
    values : (L,) of every place; nan where it has no opinion.
    depths : (L,) where the places are in [0, T].
    places : (L,) numbers of gaps between layers (0 ... N), or of layers.
    derivative : the topological derivative, where it is one.
    """

    objective: Objective
    training: Training
    values: Array
    depths: Array
    places: Index
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

    def extend(self, scores: Scores, row: int, rng: np.random.Generator) -> Insertion:
        """Make the network deeper at the place of a row of the scores."""


@dataclass(frozen=True)
class Topological:
    """`topological_derivative`, and ε by a line search.

    Parameters
    ----------
    selection, adjoint : as for `topological_derivative`.
    step : h of new layers.
    """

    selection: str | float = "rows"
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
        return Scores(
            objective=objective,
            training=training,
            values=found.scores,
            depths=depths,
            places=found.positions,
            derivative=found,
        )

    def extend(self, scores: Scores, row: int, rng: np.random.Generator) -> Insertion:
        """Insert the best weights; see `Indicator`."""
        objective, training = scores.objective, scores.training
        found, position = scores.derivative, int(scores.places[row])
        assert found is not None
        if scores.values[row] <= 0.0:
            same = measured(objective, training.theta, objective, training.theta, position)
            return replace(same, accepted=False)
        way, both = found.direction(position), found.order == 2
        done = search_insertion(objective, training.theta, position, way, step=self.step, both=both)
        return replace(done, predicted=found.predicted(done.epsilon, position))


class _Untrained:
    """Begins a layer with weights that no derivative has chosen."""

    start: str | None = None
    step: float

    def check(self, objective: Objective) -> None:
        """Refuse activations that are not zero at zero, and layers that share weights."""
        order_of(objective.network)

    def extend(self, scores: Scores, row: int, rng: np.random.Generator) -> Insertion:
        """Insert zeros where these can be trained, or a random direction; see `Indicator`."""
        objective, training = scores.objective, scores.training
        zero = objective.network.block.phi.at_zero[1] != 0.0
        zero = zero if self.start is None else self.start == "zero"
        position = int(scores.places[row])
        if zero:
            return insert_zeros(objective, training.theta, position, self.step)
        return insert_random(objective, training.theta, position, rng, self.step)


@dataclass(frozen=True)
class Sensitivity(_Untrained):
    """Insert zeros where the slope of J in the weights of a linear candidate is largest.

    Where φ'(0) = 0 the gradient in a layer of zeros vanishes and no training by gradients can wake
    it; so the layer begins with a random direction there, its ε by a line search.

    Parameters
    ----------
    step : h of new layers.
    """

    step: float = 1.0
    name = "sensitivity"

    def score(self, objective: Objective, training: Training, rng: np.random.Generator) -> Scores:
        """Score all places; see `Indicator`."""
        values = sensitivities(objective, training.theta, self.step)
        places, points = np.arange(len(values)), objective.network.mesh.points
        return Scores(
            objective=objective, training=training, values=values, depths=points, places=places
        )


@dataclass(frozen=True)
class DualWeightedResiduals:
    """Halve the layer whose step costs most, by `estimate_layers`, instead of adding a new one.

    Parameters
    ----------
    kind : ``error`` or ``freedom``, as for `LayerEstimate.of`.

    Raises
    ------
    InputError
        Another kind.
    """

    kind: str = "freedom"
    name = "dwr"

    def __post_init__(self) -> None:
        check_choice("indicator", self.kind, KINDS)

    def check(self, objective: Objective) -> None:
        """Refuse layers that share weights or are all frozen."""
        check_one_each(objective.network)
        part = objective.network.slices["coefficients"]
        if not objective.free[part].any():
            raise InputError(
                "all layers are frozen, and so would be the halves of a bisected one; free the "
                "coefficients or take the indicator 'topological', whose layers are new."
            )

    def score(self, objective: Objective, training: Training, rng: np.random.Generator) -> Scores:
        """Score all layers; see `Indicator`."""
        estimate = estimate_layers(objective, training.theta, freedom=self.kind != "error")
        values = np.abs(estimate.of(self.kind))
        middles = 0.5 * (estimate.mesh[1:] + estimate.mesh[:-1])
        places = np.arange(len(values))
        return Scores(
            objective=objective, training=training, values=values, depths=middles, places=places
        )

    def extend(self, scores: Scores, row: int, rng: np.random.Generator) -> Insertion:
        """Bisect; J changes by the discretization error, so it may rise a little."""
        objective, training = scores.objective, scores.training
        layer, old = int(scores.places[row]), objective.network
        network, theta = bisect(old, training.theta, [layer])
        frozen = objective.frozen
        if frozen is not None:
            first = old.slices["coefficients"].start + layer * old.row
            frozen = np.insert(frozen, first, frozen[first : first + old.row])
        finer = replace(objective, network=network, frozen=frozen)
        done = measured(objective, training.theta, finer, theta, layer)
        return replace(done, accepted=bool(np.isfinite(done.after)))


@dataclass(frozen=True)
class RandomPlace(_Untrained):
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
        if self.start is not None:
            check_choice("start", self.start, STARTS)

    def score(self, objective: Objective, training: Training, rng: np.random.Generator) -> Scores:
        """Have no opinion; see `Indicator`."""
        points = objective.network.mesh.points
        values, places = np.full(len(points), np.nan), rng.permutation(len(points))
        return Scores(
            objective=objective, training=training, values=values, depths=points, places=places
        )


INDICATORS: dict[str, Indicator] = {
    "topological": Topological(),
    "sensitivity": Sensitivity(),
    "random": RandomPlace(),
    "dwr": DualWeightedResiduals(),
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
    check_choice("indicator", indicator, INDICATORS)
    return INDICATORS[indicator]
