"""What a refinement of layers returns: its cycles, the network chosen, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..forward import predict
from ..network import LayeredNetwork
from ..problem import LayeredProblem
from ..trainers.training import Training
from .estimate import LayerEstimate, flow_value

Array = NDArray[np.float64]


class LayerRefinementStatus(Enum):
    """Why a refinement of layers stopped."""

    REACHED = "tolerance reached"
    STALLED = "validation no longer improves"
    BUDGET = "layer budget used up"
    CYCLES = "cycle limit"
    TIME = "time limit"
    FAILED = "training failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, eq=False)
class LayerCycle:
    """One network of a refinement, trained.

    Attributes
    ----------
    training : how it was trained; ``training.theta`` its last weights, ``training.best`` those of least
        validation loss.
    estimate : indicators at the last weights.
    marked : numbers of the layers that were bisected next.
    scores : accuracy or relative error of the best weights, by the problem's part.
    seconds : of the whole cycle.
    """

    training: Training
    estimate: LayerEstimate
    marked: tuple[int, ...]
    scores: dict[str, float]
    seconds: float

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
    def judged(self) -> float:
        """Score of the part that decides: validation, or training where there is none."""
        return self.scores.get("validation", self.scores["training"])

    @property
    def wrong(self) -> float:
        """Share of wrong answers, or the relative error, on that part."""
        return 1.0 - self.judged if self.training.metric == "accuracy" else self.judged


@dataclass(frozen=True, eq=False)
class LayerRefinement:
    """The outcome of `refine_layers`.

    Attributes
    ----------
    problem : what was asked, with the first network.
    status : why it stopped.
    cycles : all networks, the first one first.
    tol : bound of the estimated discretization error, None if none was asked for.
    rule, indicator : how layers were marked.
    chosen : number of the cycle of the best validation score, the earliest of equals; without
        validation the last one.
    uniform : the same with all layers bisected, if that was asked for.
    """

    problem: LayeredProblem
    status: LayerRefinementStatus
    cycles: tuple[LayerCycle, ...]
    tol: float | None
    rule: str
    indicator: str
    chosen: int
    uniform: LayerRefinement | None = None

    @property
    def success(self) -> bool:
        """Whether it reached the tolerance or, where none was given, ended by its own rules."""
        status = LayerRefinementStatus
        if self.tol is not None:
            return self.status is status.REACHED
        return self.status in (status.STALLED, status.BUDGET, status.CYCLES)

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
    def estimate(self) -> LayerEstimate:
        """Estimate of the last network."""
        return self.cycles[-1].estimate

    @property
    def seconds(self) -> float:
        """Wall time of all cycles."""
        return float(sum(cycle.seconds for cycle in self.cycles))

    @property
    def work(self) -> float:
        """Layers passed, forward or backward, by all samples, in all cycles."""
        return float(sum(cycle.work for cycle in self.cycles))

    def predict(self, X: ArrayLike) -> Array:
        """(S, outputs) read-outs of the chosen network."""
        return predict(self.network, self.theta, X)

    @property
    def reference(self) -> LayerCycle | None:
        """The cycle of optimal weights with the least Σ|η|: the others are measured against it."""
        optimal = [c for c in self.cycles if c.estimate.stationary]
        return min(optimal, key=lambda c: c.estimate.magnitude, default=None)

    def flows(self) -> list[float]:
        """Return J of the flow with each cycle's weights, not trained again; see `flow_value`."""
        return [
            flow_value(self.problem.with_network(c.network).objective, c.training.theta)
            for c in self.cycles
        ]

    def table(self, flow: bool = True) -> pd.DataFrame:
        """One row a cycle.

        ``effectivity`` is the estimate over the error against a finer *trained* network, the corrected
        value of `reference`; it is known where both have optimal weights.  ``flow`` is J of the flow
        with the cycle's weights as they are.

        Parameters
        ----------
        flow : whether to compute that, some dozen evaluations of J a cycle.
        """
        flows = self.flows() if flow else [float("nan")] * len(self.cycles)
        finest, rows = self.reference, []
        for number, (c, as_flow) in enumerate(zip(self.cycles, flows, strict=True)):
            e = c.estimate
            known = finest is not None and finest is not c and e.stationary
            exact = finest.estimate.corrected if finest is not None and known else float("nan")
            rows.append(
                {
                    "cycle": number,
                    "layers": c.layers,
                    "weights": c.network.n_weights,
                    "objective": e.value,
                    "estimate": e.error,
                    "magnitude": e.magnitude,
                    "effectivity": e.effectivity(exact),
                    "flow": as_flow,
                    "freedom": float(e.freedom.sum()),
                    "gradient": e.gradient_norm,
                    **c.scores,
                    "marked": len(c.marked),
                    "iterations": c.training.iterations,
                    "evaluations": c.training.evaluations,
                    "work": c.work,
                    "ended": c.training.status,
                    "seconds": c.seconds,
                    "estimate seconds": e.seconds,
                }
            )
        return pd.DataFrame(rows).set_index("cycle")

    def with_uniform(self, uniform: LayerRefinement) -> LayerRefinement:
        """Return the refinement with a uniform one beside it."""
        return replace(self, uniform=uniform)

    def __repr__(self) -> str:
        depths = " ".join(str(c.layers) for c in self.cycles)
        part = "validation" if "validation" in self.best.scores else "training"
        return (
            f"LayerRefinement({self.status.value}; layers {depths}; chosen {self.best.layers} with "
            f"{part} {self.metric} {self.best.judged:.4g})"
        )


def best_of(cycles: Sequence[LayerCycle]) -> int:
    """Return the earliest cycle of the best validation score; without validation the last."""
    if "validation" not in cycles[0].scores:
        return len(cycles) - 1
    return int(np.argmin([cycle.wrong for cycle in cycles]))


def stalled(cycles: Sequence[LayerCycle], patience: int | None, gain: float) -> bool:
    """Whether the last ``patience`` cycles have lowered the validation error by no share ``gain``."""
    if patience is None or "validation" not in cycles[0].scores:
        return False
    best, since = cycles[0].wrong, 0
    for cycle in cycles[1:]:
        since += 1
        if cycle.wrong < best * (1.0 - gain):
            best, since = cycle.wrong, 0
    return since >= patience
