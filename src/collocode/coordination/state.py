"""The coordinator's state, everything that a run needs to go on; its history; the file that keeps it.

A checkpoint is replaced in one step after every iteration, so that a killed run leaves the last
complete one.  Reading it executes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import FileError
from ..files import Schema
from ..model.experiment import Experiment, Initial
from ..numerics.mesh import Mesh
from .consensus import Consensus
from .partition import Batch
from .subproblem import BatchResult, FitSettings, Point
from .variables import ConsensusVariables, Regulariser

Array = NDArray[np.float64]
ADMM_CHECKPOINT = Schema("admm", 2, "a checkpoint of an ADMM run", compress=False)
_POINT = ("x", "lam_g", "lam_x")
_EMPTY = np.empty(0)


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """One iteration.

    Attributes
    ----------
    iteration : from 1.
    primal, dual, primal_limit, dual_limit, scaled : see `Residuals`.
    rho : the penalty of this iteration's solves.
    objective : Σ f_b + r(z), with the batches' own copies in f_b.
    lagrangian : augmented Lagrangian before the dual step.
    simulated_objective : Σ f_b + r(z) with the consensus network, simulated batch by batch; NaN where
        not measured.
    batch_mse : mean squared error of these simulations against the data, in the data's units.  They
        start where the batches' own networks start, window by window; the error of the returned
        model, whose states are fitted to the consensus, is `ADMMResult.mse`.
    steps : IPOPT iterations of all batches.
    seconds : wall time of the iteration; ``batch_seconds`` of the slowest batch, ``build_seconds``
        spent on building in all batches.
    rescued : batches that were not solved at the first attempt, with what helped.
    """

    iteration: int
    primal: float
    dual: float
    primal_limit: float
    dual_limit: float
    scaled: float
    rho: float
    objective: float
    lagrangian: float
    simulated_objective: float = float("nan")
    batch_mse: float = float("nan")
    steps: int
    seconds: float
    batch_seconds: float
    build_seconds: float
    rescued: str


def simulated(results: Sequence[BatchResult], penalty: float = 0.0) -> tuple[float, float]:
    """Return the simulated objective and mean squared error that batches report."""
    objective = sum(r.simulated_loss for r in results) + penalty
    squares, count = (sum(r.squares[k] for r in results) for k in (0, 1))
    return float(objective), float(squares / count) if count else float("nan")


def table(history: Sequence[Iteration]) -> pd.DataFrame:
    """Return the history as a table, one row per iteration."""
    names = list(Iteration.__dataclass_fields__)
    frame = pd.DataFrame([asdict(row) for row in history], columns=names)
    return frame.set_index("iteration")


@dataclass(frozen=True, eq=False)
class State:
    """Where a run is.

    Attributes
    ----------
    consensus : z, duals and ρ.
    points : per batch its last primal-dual point; None before the first solve, or where points
        stay with the workers.
    history : one record per iteration.
    best : the consensus of lowest simulated objective so far, and that objective.
    """

    consensus: Consensus
    points: tuple[Point | None, ...]
    history: tuple[Iteration, ...] = ()
    best: tuple[float, Array | None] = (float("inf"), None)

    @property
    def iteration(self) -> int:
        """Number of finished iterations."""
        return len(self.history)

    def simulated(self, results: Sequence[BatchResult], penalty: float) -> State:
        """Note what the simulation of the present consensus gave; ``penalty`` is its r(z)."""
        (objective, mse), best, history = simulated(results, penalty), self.best, self.history
        if np.isfinite(objective) and objective < best[0]:
            best = (objective, self.consensus.z)
        if history:
            last = replace(history[-1], simulated_objective=objective, batch_mse=mse)
            history = (*history[:-1], last)
        return replace(self, best=best, history=history)


# ---- checkpoints ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checkpoint:
    """A file that keeps a run's last iteration.

    Parameters
    ----------
    path : an ``.npz`` file, replaced after every iteration.
    resume : whether to go on from what it holds.
    """

    path: str | Path
    resume: bool = False


@dataclass(frozen=True)
class CheckpointFile:
    """A file, and the conditions under which its state counts.

    Attributes
    ----------
    path : the ``.npz`` file.
    conditions : what has to be the same: data, batches, variables, scheme, regularisation.
    """

    path: Path
    conditions: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        path: str | Path,
        batches: Sequence[Batch],
        variables: ConsensusVariables,
        regulariser: Regulariser,
        settings: FitSettings,
    ) -> CheckpointFile:
        """Describe a run.

        Raises
        ------
        FileError
            The file's folder does not exist, or must not be written to.
        """
        file = ADMM_CHECKPOINT.place(path)
        if not (file.parent.is_dir() and os.access(file.parent, os.W_OK)):
            raise FileError(
                f"the checkpoint {file} cannot be written, as there is no folder {file.parent} that "
                "may be written to; create it or name another."
            )
        digest = hashlib.sha256()
        for batch in batches:
            for experiment, mesh in zip(batch.problem.experiments, batch.meshes, strict=True):
                for array in _arrays_of(experiment, mesh):
                    digest.update(np.ascontiguousarray(array).tobytes())
        names = hashlib.sha256("\n".join(variables.names).encode()).hexdigest()
        scheme = settings.collocation
        conditions = {
            "data and mesh": digest.hexdigest()[:16],
            "batches": len(batches),
            "consensus variables": f"{len(variables)} ({names[:8]})",
            "scheme": f"{scheme.name} {scheme.degree}",
            "regularisation": f"{type(regulariser).__name__} {regulariser.strength:.17g}",
            "start": f"{settings.start}, seed {settings.seed}",
        }
        return cls(file, conditions)

    def write(self, state: State) -> None:
        """Write the state.

        Raises
        ------
        FileError
            The folder is missing or full, or cannot be written; an earlier checkpoint stays.
        """
        c = state.consensus
        rows = {"dual": list(c.duals)}
        for part in _POINT:
            rows[part] = [_EMPTY if p is None else getattr(p, part) for p in state.points]
        value, best = state.best
        tree = {
            "conditions": self.conditions,
            "rho": [c.rho, c.floor],
            "seen": c.seen,
            "z": c.z,
            "best": {"value": value, "z": best},
            "history": [asdict(row) for row in state.history],
            # one array for all batches: a thousand members take a second
            "rows": {name: np.concatenate(row) for name, row in rows.items()},
            "lengths": {name: np.array([len(v) for v in row]) for name, row in rows.items()},
        }
        try:
            ADMM_CHECKPOINT.write(self.path, tree)
        except FileError as error:
            reason = getattr(error.__cause__, "strerror", None) or error
            raise FileError(
                f"cannot write the checkpoint {self.path} ({reason}); the run goes on without."
            ) from error

    def read(self, fresh: State) -> State:
        """Return the state that the file holds; ``fresh`` gives its structure.

        Raises
        ------
        FileError
            There is no such file, it is no checkpoint, or one of another run.
        """
        if not self.path.is_file():
            raise FileError(f"there is no checkpoint {self.path} to go on from; leave out resume.")

        def build(tree: Mapping[str, Any]) -> State:
            self._compare(tree["conditions"])
            return _state(fresh, tree)

        return ADMM_CHECKPOINT.read(self.path, build)

    def _compare(self, there: Mapping[str, Any]) -> None:
        for key, here in self.conditions.items():
            if there.get(key) != here:
                raise FileError(
                    f"{self.path} was made with other {key} ({there.get(key)}, now {here}); name "
                    "another checkpoint or delete it."
                )


def _state(fresh: State, tree: Mapping[str, Any]) -> State:
    c = fresh.consensus
    rows = {part: _rows(row, tree["lengths"][part]) for part, row in tree["rows"].items()}
    duals = tuple(_like(found, dual) for found, dual in zip(rows["dual"], c.duals, strict=True))
    points = tuple(
        Point(*point) if len(point[0]) else None
        for point in zip(*(rows[part] for part in _POINT), strict=True)
    )
    if len(points) != len(duals):
        raise ValueError("points")
    best = tree["best"]["z"]
    rho, floor = (float(v) for v in tree["rho"])
    seen = tuple(float(v) for v in tree["seen"])
    z = _like(tree["z"], c.z)
    consensus = replace(c, z=z, duals=duals, rho=rho, floor=floor, seen=seen)
    found = None if best is None else _like(best, c.z)
    history = tuple(Iteration(**row) for row in tree["history"])
    return State(consensus, points, history, (float(tree["best"]["value"]), found))


def _rows(stacked: Any, lengths: Any) -> list[Any]:
    """Take rows of different lengths apart."""
    ends = np.cumsum(lengths)
    if stacked.shape != (ends[-1],):
        raise ValueError("rows")
    return np.split(stacked, ends[:-1])


def _arrays_of(experiment: Experiment, mesh: Mesh) -> Iterator[Any]:
    """All numbers on which an experiment's part of the misfit depends."""
    yield from (experiment.times, experiment.values, mesh.points)
    if experiment.weights is not None:
        yield experiment.weights
    if experiment.sigma is not None:
        yield np.asarray(experiment.sigma)
    for signal in experiment.inputs.values():
        yield from (signal.times, signal.values)
    for known in experiment.initial.values():
        yield np.array([known.value, known.std] if isinstance(known, Initial) else [known, 0.0])


def _like(found: Any, wanted: Any) -> Any:
    if found.shape != wanted.shape or not np.isfinite(found).all():
        raise ValueError("shape")
    return found
