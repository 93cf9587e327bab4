"""The checkpoint of a sweep: rows by value, the best fit's point, and when they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..archives import Schema, Tree
from ..errors import FileError
from ..files import plain

_ROW = {
    "validation": float,
    "training": float,
    "start": str,
    "status": str,
    "converged": bool,
    "objective": float,
    "iterations": int,
    "seconds": float,
}
SWEEP = Schema(
    "sweep",
    1,
    "a checkpoint of a sweep",
    {
        "swept": str,
        "conditions": {"*": object},
        "rows": {"*": _ROW},
        "best?": {"value": str, "x": [float]},
        "finished?": bool,
    },
    suffix=".json",
)
Row = dict[str, Any]
Point = dict[str, Any]  # value and point x of the best fit so far


@dataclass(frozen=True)
class Checkpoint:
    """Rows by value, and the conditions under which they hold.

    Attributes
    ----------
    path : the JSON file; None keeps nothing.
    name : what is swept.
    conditions : what has to be the same for the rows to count: held-out data, settings, options.
    """

    path: Path | None
    name: str
    conditions: Mapping[str, Any]

    def read(self) -> tuple[dict[str, Row], Point | None]:
        """Return the rows that are known and the point of the best fit; none without a file.

        Raises
        ------
        FileError
            The file is no checkpoint, or one of another sweep.
        """
        if self.path is None or not self.path.is_file():
            return {}, None
        tree = SWEEP.read(self.path, _content)
        swept, conditions = tree["swept"], tree["conditions"]
        if swept != self.name:
            raise FileError(f"{self.path} belongs to a sweep over {swept!r}; name another.")
        now = _as_json(self.conditions)
        for key in sorted({*now, *conditions}):
            if now.get(key) != conditions.get(key):
                raise FileError(
                    f"{self.path} was made with {key} = {conditions.get(key)}, not {now.get(key)}; "
                    "name another checkpoint or delete it."
                )
        return tree["rows"], tree.get("best")

    def write(self, rows: Mapping[str, Row], point: Point | None) -> None:
        """Write all rows and where the best fit is, in one step.

        Raises
        ------
        FileError
            The folder is missing or cannot be written.
        """
        if self.path is None:
            return
        conditions = _as_json(self.conditions)
        tree = {"swept": self.name, "conditions": conditions, "rows": rows}
        SWEEP.write(self.path, tree if point is None else {**tree, "best": point})


def _content(tree: Tree) -> Tree:
    """Return the tree, if its best value is one of the rows."""
    if "best" in tree and tree["best"]["value"] not in tree["rows"]:
        raise ValueError("the best value has no row")
    return tree


def _as_json(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conditions as they look when read again; objects as text."""
    answer: dict[str, Any] = json.loads(json.dumps(plain(conditions), default=str))
    return answer
