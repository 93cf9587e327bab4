"""What a refinement of layers returns: its cycles, the network chosen, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from ..trainers.run import Trainer
from ..trainers.train import train
from ..trainers.training import Training
from .estimate import LayerEstimate, estimate_layers, flow_value
from .prolong import prolong


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerCycle(Cycle):
    """One network of a refinement, trained.

    Attributes
    ----------
    estimate : indicators at the last weights.
    training : how it was trained; ``training.theta`` its last weights, ``training.best`` those of least
        validation loss.
    scores : accuracy or relative error of the best weights, by the problem's part.
    rejected : trainings of refinements of the network before that were worse than it.
    passes : layers passed by all samples in finding the weights to begin with.
    stuck : no refinement was accepted, so that the network is the one before.
    """

    estimate: LayerEstimate
    training: Training
    scores: dict[str, float]
    rejected: tuple[Training, ...] = ()
    passes: float = 0.0
    stuck: bool = False

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
        """Layers passed, forward or backward, by all samples: in training, and in what was rejected."""
        done = self.rejected if self.stuck else (*self.rejected, self.training)
        return self.passes + sum((t.evaluations + t.gradients) * t.network.layers for t in done)

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
        tried = {"validation loss": t.least_loss, "rejected": len(self.rejected)}
        return {**found, **tried, **spent, "ended": t.status}


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerRefinement(Refinement[LayerCycle]):
    """The outcome of `refine_layers`.

    Attributes
    ----------
    problem : what was asked, with the first network.
    indicator : what layers were marked by.
    reference : J of a fine network, trained until it converged; None if none is known.
    """

    problem: LayeredProblem
    indicator: str
    reference: float | None = None

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
        """The reference; without one the corrected value of the most accurate network, if both are optimal."""
        if self.reference is not None:
            return self.reference
        return super().exact(cycle) if cycle.solved else float("nan")

    def against_fine(
        self, layers: int = 64, trainer: str | Trainer = "lbfgs", **limits: Any
    ) -> LayerRefinement:
        """Return the refinement with a reference: the last network made fine, and trained until it converges.

        Its J, corrected by its own estimate, is the reference; as it is, where training did not converge.

        Parameters
        ----------
        layers : its number, at least; all layers are bisected until there are as many.
        trainer, limits : as for `collocode.layered.trainers.train`; 5000 iterations unless given.
        """
        network, theta = self.cycles[-1].network, self.cycles[-1].training.theta
        while network.layers < layers:
            objective = self.problem.with_network(network).objective
            finer = prolong(objective, theta, range(network.layers))
            network, theta = finer.network, finer.theta
        objective = self.problem.with_network(network).objective
        done = train(objective, trainer, theta, **{"iterations": 5000, "tolerance": 1e-5, **limits})
        fine = estimate_layers(objective, done.theta, freedom=False)
        return replace(self, reference=fine.corrected if done.success else fine.value)

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
