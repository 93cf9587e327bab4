"""Checkpoints: the coordinator's state in an ``.npz`` of numbers and one JSON text.

A checkpoint is replaced in one step after every iteration, so that a killed run leaves the last
complete one.  Reading it executes nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from ..results.store import plain
from .batches import Batch
from .entries import Entries
from .history import rows_of, table
from .state import State
from .task import Point, Settings

FORMAT = "collocode admm 1"


@dataclass(frozen=True)
class Checkpoint:
    """A file, and the conditions under which its state counts.

    Attributes
    ----------
    path : the ``.npz`` file; None keeps nothing.
    conditions : what has to be the same: data, batches, entries, scheme, regularisation.
    """

    path: Path | None
    conditions: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        path: str | Path | None,
        batches: Sequence[Batch],
        entries: Entries,
        penalty: Any,
        settings: Settings,
    ) -> Checkpoint:
        """Describe a run."""
        digest = hashlib.sha256()
        for batch in batches:
            for experiment in batch.problem.experiments:
                digest.update(np.ascontiguousarray(experiment.times).tobytes())
                digest.update(np.ascontiguousarray(experiment.values).tobytes())
            for mesh in batch.meshes:
                digest.update(mesh.points.tobytes())
        names = hashlib.sha256("\n".join(entries.names).encode()).hexdigest()
        conditions = {
            "data and mesh": digest.hexdigest()[:16],
            "batches": len(batches),
            "consensus entries": f"{len(entries)} ({names[:8]})",
            "scheme": f"{settings.scheme.name} {settings.scheme.degree}",
            "regularisation": f"{type(penalty).__name__} {penalty.strength:.17g}",
            "start": f"{settings.start}, seed {settings.seed}",
        }
        return cls(None if path is None else Path(path), conditions)

    def write(self, state: State) -> None:
        """Write the state.

        Raises
        ------
        FileError
            The folder is missing or full, or cannot be written; an earlier checkpoint stays.
        """
        assert self.path is not None
        c = state.consensus
        arrays: dict[str, Any] = {"z": c.z}
        if state.best[1] is not None:
            arrays["best"] = state.best[1]
        for b, (dual, point) in enumerate(zip(c.duals, state.points, strict=True)):
            arrays[f"dual{b}"] = dual
            if point is not None:
                arrays |= {f"{k}{b}": getattr(point, k) for k in ("x", "lam_g", "lam_x")}
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
                with fresh.open("wb") as file:
                    np.savez(file, **arrays)
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
        assert self.path is not None
        if not self.path.is_file():
            raise FileError(f"there is no checkpoint {self.path} to go on from; leave out resume.")
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            header = json.loads(bytes(arrays["header"]).decode())
            if header["format"] != FORMAT:
                raise ValueError(header["format"])
            self._compare(header["conditions"])
            return _state(fresh, arrays, header)
        except FileError:
            raise
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
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
    duals = tuple(_like(arrays[f"dual{b}"], dual) for b, dual in enumerate(c.duals))
    points = tuple(
        Point(arrays[f"x{b}"], arrays[f"lam_g{b}"], arrays[f"lam_x{b}"])
        if f"x{b}" in arrays
        else None
        for b in range(len(duals))
    )
    best = float("inf") if header["best"] is None else float(header["best"])
    found = _like(arrays["best"], c.z) if "best" in arrays else None
    rho, floor = (float(v) for v in header["rho"])
    seen = tuple(float(v) for v in header["seen"])
    z = _like(arrays["z"], c.z)
    consensus = replace(c, z=z, duals=duals, rho=rho, floor=floor, seen=seen)
    return State(consensus, points, rows_of(header["history"]), (best, found))


def _like(found: Any, wanted: Any) -> Any:
    if found.shape != wanted.shape or not np.isfinite(found).all():
        raise ValueError("shape")
    return found
