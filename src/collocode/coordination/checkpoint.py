"""Checkpoints: the coordinator's state in an ``.npz`` of numbers and one JSON text.

A checkpoint is replaced in one step after every iteration, so that a killed run leaves the last
complete one.  Reading it executes nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ..errors import FileError
from ..model.experiment import Experiment, Initial
from ..numerics.mesh import Mesh
from ..results.store import plain
from .partition import Batch
from .state import State, history_of, table
from .subproblem import FitSettings, Point
from .variables import ConsensusVariables, Regulariser

FORMAT = "collocode admm 2"
_DAMAGE = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, BadZipFile)
_POINT = ("x", "lam_g", "lam_x")
_EMPTY = np.empty(0)


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
        file = Path(path)
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
        arrays: dict[str, Any] = {"z": c.z}
        if state.best[1] is not None:
            arrays["best"] = state.best[1]
        rows = {"dual": list(c.duals)}
        for part in _POINT:
            rows[part] = [_EMPTY if p is None else getattr(p, part) for p in state.points]
        for part, row in rows.items():  # one array for all batches: a thousand files take a second
            arrays[part] = np.concatenate(row)
            arrays[f"{part} lengths"] = np.array([len(v) for v in row])
        header = {
            "format": FORMAT,
            "conditions": self.conditions,
            "rho": [c.rho, c.floor],
            "seen": c.seen,
            "best": state.best[0],
            "history": table(state.history).reset_index().to_dict("list"),
        }
        arrays["header"] = np.frombuffer(json.dumps(plain(header)).encode(), dtype=np.uint8)
        try:
            with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=".collocode-") as aside:
                fresh = Path(aside) / self.path.name
                content = io.BytesIO()
                np.savez(content, **arrays)
                with fresh.open("wb") as file:
                    file.write(content.getbuffer())
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(fresh, self.path)
        except OSError as error:
            raise FileError(
                f"cannot write the checkpoint {self.path} ({error.strerror or error}); the run goes "
                "on without."
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
        try:
            content = io.BytesIO(self.path.read_bytes())
            with np.load(content, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            header = json.loads(bytes(arrays["header"]).decode())
            if header["format"] != FORMAT:
                raise ValueError(header["format"])
            self._compare(header["conditions"])
            return _state(fresh, arrays, header)
        except FileError:
            raise
        except _DAMAGE as error:
            raise FileError(
                f"{self.path} is not a checkpoint of an ADMM run, or it is damaged; delete it."
            ) from error

    def _compare(self, there: Mapping[str, Any]) -> None:
        for key, here in self.conditions.items():
            if there.get(key) != here:
                raise FileError(
                    f"{self.path} was made with other {key} ({there.get(key)}, now {here}); name "
                    "another checkpoint or delete it."
                )


def _state(fresh: State, arrays: Mapping[str, Any], header: Mapping[str, Any]) -> State:
    c = fresh.consensus
    rows = {part: _rows(arrays[part], arrays[f"{part} lengths"]) for part in ("dual", *_POINT)}
    duals = tuple(_like(found, dual) for found, dual in zip(rows["dual"], c.duals, strict=True))
    points = tuple(
        Point(*point) if len(point[0]) else None
        for point in zip(*(rows[part] for part in _POINT), strict=True)
    )
    if len(points) != len(duals):
        raise ValueError("points")
    best = float("inf") if header["best"] is None else float(header["best"])
    found = _like(arrays["best"], c.z) if "best" in arrays else None
    rho, floor = (float(v) for v in header["rho"])
    seen = tuple(float(v) for v in header["seen"])
    z = _like(arrays["z"], c.z)
    consensus = replace(c, z=z, duals=duals, rho=rho, floor=floor, seen=seen)
    return State(consensus, points, history_of(header["history"]), (best, found))


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
    for signal in experiment.inputs.values():
        yield from (signal.times, signal.values)
    for known in experiment.initial.values():
        yield np.array([known.value, known.std] if isinstance(known, Initial) else [known, 0.0])


def _like(found: Any, wanted: Any) -> Any:
    if found.shape != wanted.shape or not np.isfinite(found).all():
        raise ValueError("shape")
    return found
