"""Growing by dual-weighted residuals: the layer whose step costs most is halved, not a new one added.

The estimate is that of `collocode.layered.refinement.estimate`; here it is asked the question of `grow`, so
that both answers can be compared in one loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..depth import bisect, one_each
from ..objective import Objective
from ..refinement.estimate import check_indicator, estimate_layers
from ..trainers.training import Training
from .indicators import Scores
from .insertion import Insertion

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Residuals:
    """Bisect the layer with the largest indicator.

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
        check_indicator(self.kind)

    def check(self, objective: Objective) -> None:
        """Refuse layers that share weights or are all frozen."""
        if not one_each(objective.network):
            raise InputError(
                f"growing needs layers with weights of their own, not {objective.network.basis!r}; "
                "prolong the weights to PiecewiseConstant first, or refine the layers instead."
            )
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
        return Scores(values, middles, np.arange(len(values)), estimate.seconds)

    def extend(
        self,
        objective: Objective,
        training: Training,
        scores: Scores,
        row: int,
        rng: np.random.Generator,
    ) -> Insertion:
        """Bisect; J changes by the discretization error, so it may rise a little."""
        layer, old = int(scores.places[row]), objective.network
        network, theta = bisect(old, training.theta, [layer])
        frozen = objective.frozen
        if frozen is not None:
            first = old.slices["coefficients"].start + layer * old.row
            frozen = np.insert(frozen, first, frozen[first : first + old.row])
        finer = replace(objective, network=network, frozen=frozen)
        before, after = objective.value(training.theta), finer.value(theta)
        accepted = bool(np.isfinite(after))
        return Insertion(finer, theta, layer, 0.0, before, after, evaluations=1, accepted=accepted)
