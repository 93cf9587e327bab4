"""What a refinement of layers returns: its cycles, the network chosen, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...adapt.refinement import Cycle, Refinement
from ...numerics import Array
from ...results.status import Termination
from ..forward import predict
from ..network import LayeredNetwork
from ..objective import LayeredProblem
from ..trainers.training import Training
from .estimate import LayerEstimate, flow_value


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerCycle(Cycle):
    """One network of a refinement, trained.

    Attributes
    ----------
    estimate : indicators at the last weights.
    training : how it was trained; ``training.theta`` its last weights, ``training.best`` those of least
        validation loss.
    scores : accuracy or relative error of the best weights, by the problem's part.
    """

    estimate: LayerEstimate
    training: Training
    scores: dict[str, float]

    @property
    def network(self) -> LayeredNetwork:
        """The network."""
        return self.training.network

    @property
    def layers(self) -> int:
        """Its number of layers."""
        return self.network.layers

    @property
    def work(self) -> float:
        """Layers passed, forward or backward, by all samples during the training."""
        return (self.training.evaluations + self.training.gradients) * self.layers

    @property
    def score(self) -> float:
        """Score of the part that decides: validation, or training where there is none."""
        return self.scores.get("validation", self.scores["training"])

    @property
    def wrong(self) -> float:
        """Share of wrong answers, or the relative error, on that part."""
        return 1.0 - self.score if self.training.metric == "accuracy" else self.score

    def size_columns(self) -> dict[str, Any]:
        """Layers, weights, objective."""
        e = self.estimate
        return {"layers": self.layers, "weights": self.network.n_weights, "objective": e.value}

    def work_columns(self) -> dict[str, Any]:
        """Freedom, slope and scores of the network, and what its training took."""
        e, t = self.estimate, self.training
        found = {"freedom": float(e.freedom.sum()), "gradient": e.stationarity, **self.scores}
        spent = {"iterations": t.iterations, "evaluations": t.evaluations, "work": self.work}
        return {**found, **spent, "ended": t.status}


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerRefinement(Refinement[LayerCycle]):
    """The outcome of `refine_layers`.

    Attributes
    ----------
    problem : what was asked, with the first network.
    indicator : what layers were marked by.
    """

    problem: LayeredProblem
    indicator: str

    @property
    def success(self) -> bool:
        """Whether it reached the tolerance or, where none was given, ended by its own rules."""
        own = (Termination.EARLY_STOPPED, Termination.SIZE_LIMIT, Termination.ITERATION_LIMIT)
        return super().success if self.tol is not None else self.termination in own

    @property
    def chosen(self) -> int:
        """Number of the cycle of best validation score, the earliest of equals; without it the last."""
        return best_of(self.cycles)

    @property
    def best(self) -> LayerCycle:
        """The chosen cycle."""
        return self.cycles[self.chosen]

    @property
    def network(self) -> LayeredNetwork:
        """The chosen network."""
        return self.best.network

    @property
    def theta(self) -> Array:
        """Its best weights."""
        return self.best.training.best

    @property
    def metric(self) -> str:
        """``accuracy`` or ``relative error``: what the scores are."""
        return self.cycles[0].training.metric

    @property
    def work(self) -> float:
        """Layers passed, forward or backward, by all samples, in all cycles."""
        return float(sum(cycle.work for cycle in self.cycles))

    def predict(self, X: ArrayLike) -> Array:
        """(S, outputs) read-outs of the chosen network."""
        return predict(self.network, self.theta, X)

    def exact(self, cycle: LayerCycle) -> float:
        """Corrected value of the most accurate *trained* network; known where both weights are optimal."""
        return super().exact(cycle) if cycle.solved else float("nan")

    def flows(self) -> list[float]:
        """Return J of the flow with each cycle's weights, not trained again; see `flow_value`."""
        return [
            flow_value(self.problem.with_network(c.network).objective, c.training.theta)
            for c in self.cycles
        ]

    def table(self, flow: bool = True) -> pd.DataFrame:
        """One row per cycle; ``flow`` is J of the flow with the cycle's weights as they are.

        Parameters
        ----------
        flow : whether to compute that, some dozen evaluations of J per cycle.
        """
        found = super().table()
        flows = self.flows() if flow else float("nan")
        found.insert(found.columns.get_loc("effectivity") + 1, "flow", flows)
        return found

    def __repr__(self) -> str:
        depths = " ".join(str(c.layers) for c in self.cycles)
        part = "validation" if "validation" in self.best.scores else "training"
        return (
            f"LayerRefinement({self.status}; layers {depths}; chosen {self.best.layers} with "
            f"{part} {self.metric} {self.best.score:.4g})"
        )


def best_of(cycles: Sequence[LayerCycle]) -> int:
    """Return the earliest cycle of the best validation score; without validation the last."""
    if "validation" not in cycles[0].scores:
        return len(cycles) - 1
    return int(np.argmin([cycle.wrong for cycle in cycles]))
