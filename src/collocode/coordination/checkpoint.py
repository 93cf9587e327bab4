"""The file that keeps a run's state.

It is replaced in one step after every iteration, so that a killed run leaves the last complete one.
Reading it executes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..archives import Schema
from ..conditions import UNFITTED, check_conditions, fingerprint
from ..errors import FileError
from ..forms import Numbers
from ..numerics import Array
from ..transcription.layout import Layout
from .consensus import check_rho
from .filter import Filter
from .newton_state import NewtonState
from .partition import Batch
from .state import Iteration, State
from .subproblem import FitSettings, Point
from .variables import ConsensusVariables, Regulariser

_EMPTY = np.empty(0)
_POINT = ("x", "lam_g", "lam_x")
_ROWS = ("dual", *_POINT)
_FINITE_STATES = Numbers(("states",), finite=True)
_FINITE = Numbers(("n",), finite=True)
ADMM_CHECKPOINT = Schema(
    "admm",
    4,
    "a checkpoint of an ADMM run",
    {
        "conditions": {
            "method": str,
            "data and mesh": str,
            "batches": int,
            "consensus variables": str,
            "scheme": str,
            "regularisation": str,
            "start": str,
        },
        "rho": [float],
        "seen": [float],
        "z": _FINITE,
        "best": {"value": float, "z": (_FINITE, None)},
        "history": [Iteration],
        "rows": {part: Numbers((part,)) for part in _ROWS},
        "lengths": {part: Numbers(("batches",), dtype="int64") for part in _ROWS},
        "newton?": {
            "pull": _FINITE_STATES,
            "net": _FINITE,
            "mu": float,
            "radius": float,
            "rounding?": float,
            "damping?": float,
        },
        "ended?": str,
    },
    compress=False,
)


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
    sizes : per batch, columns and rows of its NLP.
    """

    path: Path
    conditions: Mapping[str, Any]
    sizes: tuple[tuple[int, int], ...]

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
        told = [(batch.problem.experiments, batch.meshes) for batch in batches]
        names = hashlib.sha256("\n".join(variables.names).encode()).hexdigest()
        scheme = settings.collocation
        conditions = {
            "data and mesh": fingerprint(told, without=UNFITTED),
            "batches": len(batches),
            "consensus variables": f"{len(variables)} ({names[:8]})",
            "scheme": f"{scheme.name} {scheme.degree}"
            + (f", residual {scheme.residual:g}" if scheme.residual else ""),
            "regularisation": f"{type(regulariser).__name__} {regulariser.strength:.17g}",
            "start": f"{settings.start}, seed {settings.seed}",
        }
        layouts = (Layout.of(batch.problem, batch.meshes, scheme) for batch in batches)
        return cls(file, conditions, tuple((layout.columns, layout.rows) for layout in layouts))

    def write(self, state: State | NewtonState) -> None:
        """Write the state.

        Raises
        ------
        FileError
            The folder is missing or full, or cannot be written; an earlier checkpoint stays.
        """
        rows = {"dual": [_EMPTY] * len(state.points)}
        if isinstance(state, State):
            rows = {"dual": list(state.consensus.duals)}
        for part in _POINT:
            rows[part] = [_EMPTY if p is None else getattr(p, part) for p in state.points]
        tree = {
            "conditions": {"method": _method(state), **self.conditions},
            "z": state.z,
            "history": [asdict(row) for row in state.history],
            # one array for all batches: a thousand members take a second
            "rows": {name: np.concatenate(row) for name, row in rows.items()},
            "lengths": {name: np.array([len(v) for v in row]) for name, row in rows.items()},
            **(_of_admm(state) if isinstance(state, State) else _of_newton(state)),
        }
        try:
            ADMM_CHECKPOINT.write(self.path, tree)
        except FileError as error:
            reason = getattr(error.__cause__, "strerror", None) or error
            raise FileError(
                f"cannot write the checkpoint {self.path} ({reason}); the run goes on without."
            ) from error

    def read(self, fresh: State | NewtonState) -> State | NewtonState:
        """Return the state that the file holds; ``fresh`` gives its structure.

        Raises
        ------
        FileError
            There is no such file, it is no checkpoint, or one of another run.
        """
        if not self.path.is_file():
            raise FileError(f"there is no checkpoint {self.path} to go on from; leave out resume.")

        def build(tree: Mapping[str, Any]) -> State | NewtonState:
            check_conditions(
                self.path, tree["conditions"], {"method": _method(fresh), **self.conditions}
            )
            return _state(fresh, tree, self.sizes)

        return ADMM_CHECKPOINT.read(self.path, build)


def _method(state: State | NewtonState) -> str:
    return "ADMM" if isinstance(state, State) else "Newton"


def _of_admm(state: State) -> dict[str, Any]:
    c, (value, best) = state.consensus, state.best
    return {"rho": [c.rho, c.floor], "seen": c.seen, "best": {"value": value, "z": best}}


def _of_newton(state: NewtonState) -> dict[str, Any]:
    kept = state.filter
    pairs = [] if kept is None else [kept.first, *(v for pair in kept.pairs for v in pair)]
    more = {
        "pull": state.pull,
        "net": state.net,
        "mu": state.mu,
        "radius": state.radius,
        "rounding": state.rounding,
        "damping": state.damping,
    }
    return {"rho": [], "seen": pairs, "best": {"value": np.inf, "z": None}, "newton": more}


def _state(
    fresh: State | NewtonState, tree: Mapping[str, Any], sizes: Sequence[tuple[int, int]]
) -> State | NewtonState:
    rows = {part: _split(row, tree["lengths"][part]) for part, row in tree["rows"].items()}
    points = tuple(
        _point(Point(*parts), *size)
        for *parts, size in zip(*(rows[part] for part in _POINT), sizes, strict=True)
    )
    z, best = _like(tree["z"], fresh.z), tree["best"]
    history = tuple(Iteration(**row) for row in tree["history"])
    if [row.iteration for row in history] != list(range(1, len(history) + 1)):
        raise ValueError("the iterations do not follow each other")
    if isinstance(fresh, NewtonState):
        return _newton_state(fresh, tree, z, points, history)
    c = fresh.consensus
    duals = tuple(_like(found, dual) for found, dual in zip(rows["dual"], c.duals, strict=True))
    rho, floor = tree["rho"]
    check_rho(rho)
    consensus = replace(c, z=z, duals=duals, rho=rho, floor=floor, seen=tuple(tree["seen"]))
    found = None if best["z"] is None else _like(best["z"], z)
    return State(consensus, points, history, (best["value"], found))


def _newton_state(
    fresh: NewtonState,
    tree: Mapping[str, Any],
    z: Array,
    points: tuple[Point | None, ...],
    history: tuple[Iteration, ...],
) -> NewtonState:
    more, seen = tree.get("newton"), tree["seen"]
    known = [point for point in points if point is not None]
    if more is None or len(known) < len(points) or len(seen) % 2 == 0:
        raise ValueError("it lacks what Newton's method goes on from")
    positive = more["mu"] > 0.0 and min(more["radius"], more.get("damping", 0.0)) >= 0.0
    if not (positive and more.get("rounding", 1.0) >= 1.0):
        raise ValueError(
            "barrier, radius and damping must not be negative, and no kink sharper than it is"
        )
    return replace(
        fresh,
        z=z,
        pull=_like(more["pull"], fresh.pull),
        net=_like(more["net"], fresh.net),
        points=tuple(known),
        mu=more["mu"],
        radius=more["radius"],
        rounding=more.get("rounding", 1.0),
        damping=more.get("damping", 0.0),
        filter=Filter(seen[0], tuple(zip(seen[1::2], seen[2::2], strict=True))),
        history=history,
    )


def _split(stacked: Array, lengths: NDArray[np.int64]) -> list[Array]:
    """Take rows of different lengths apart."""
    if lengths.min(initial=0) < 0 or lengths.max(initial=0) > len(stacked):
        raise ValueError("the lengths do not fit the rows")
    if lengths.sum() != len(stacked):
        raise ValueError("the lengths do not fit the rows")
    return np.split(stacked, np.cumsum(lengths)[:-1])


def _point(point: Point, columns: int, rows: int) -> Point | None:
    """Return a batch's point, None where it stayed with the workers."""
    lengths = len(point.x), len(point.lam_g), len(point.lam_x)
    if lengths == (0, 0, 0):
        return None
    if lengths != (columns, rows, columns) or not np.isfinite(point.x).all():
        raise ValueError("a batch's point does not fit its problem")
    return point


def _like(found: Array, wanted: Array) -> Array:
    if found.shape != wanted.shape or not np.isfinite(found).all():
        raise ValueError("the consensus does not fit the problem")
    return found
