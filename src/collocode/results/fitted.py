"""Collocated states by experiment, and what those who judge a fit may ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from numpy.typing import ArrayLike

from ..model.control import Control
from ..model.experiment import Experiment
from ..model.truth import Truth
from ..numerics import Array
from ..numerics.mesh import Mesh
from .integrate import Simulation
from .model import TrainedModel


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """The ridge that a fit was made with.

    Attributes
    ----------
    strength : λ.
    chosen : whether it is the one that the evidence asks for, as exactly as the data tell.
    asked : λ that the evidence asks for; NaN if nobody asked.
    effective : number of weights that the data determine, γ; NaN if nobody asked.
    solves : how many it took.
    """

    strength: float
    chosen: bool = False
    asked: float = float("nan")
    effective: float = float("nan")
    solves: int = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory:
    """The collocated states of one experiment, or window.

    Attributes
    ----------
    experiment : what was measured; its inputs and times as they were decided, where they were.
    mesh, times, states : elements; (nodes,) times; (nodes, states) values.
    multipliers : (elements, intervals, states) of the collocation rows.
    parameters : (parameters,) as this experiment sees them.
    controls : bounds and kinds of the inputs that were decided, by name.
    """

    experiment: Experiment
    mesh: Mesh
    times: Array
    states: Array
    multipliers: Array
    parameters: Array
    controls: Mapping[str, Control] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Trajectory({self.experiment.name!r}, {self.mesh}, nodes={len(self.times)})"


class Fitted(Protocol):
    """A `Solution`, as the scores see it; its attributes and methods tell more."""

    @property
    def model(self) -> TrainedModel:
        """The trained right-hand side."""

    @property
    def trajectories(self) -> tuple[Trajectory, ...]:
        """One an experiment."""

    @property
    def test(self) -> tuple[Experiment, ...]:
        """Experiments that were not fitted."""

    @property
    def truth(self) -> Truth | None:
        """The true system, where it is known."""

    @property
    def runs(self) -> tuple[Simulation, ...]:
        """Simulated at the times of every experiment."""

    @property
    def parameters(self) -> dict[str, float]:
        """Estimated parameters by name."""

    def simulate(self, experiment: int | str = 0, initial: ArrayLike | None = None) -> Simulation:
        """Integrate the trained model over an experiment."""

    def states(self, times: ArrayLike, experiment: int | str = 0) -> Array:
        """(N, states) collocated states."""

    def fitted(self, times: ArrayLike, experiment: int | str = 0) -> Array:
        """(N, outputs) outputs of the collocated states."""

    def gap(self, experiment: int | str = 0) -> float:
        """Largest relative difference of collocated and simulated states."""
