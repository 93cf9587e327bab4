"""The checkpoint of a sweep: rows by value, the best fit's point, and when they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FileError
from ..files import Schema, plain

SWEEP = Schema("sweep", 1, "a checkpoint of a sweep", suffix=".json")
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
        swept, conditions, rows, point = SWEEP.read(self.path, _content)
        if swept != self.name:
            raise FileError(f"{self.path} belongs to a sweep over {swept!r}; name another.")
        now = _as_json(self.conditions)
        for key in sorted({*now, *conditions}):
            if now.get(key) != conditions.get(key):
                raise FileError(
                    f"{self.path} was made with {key} = {conditions.get(key)}, not {now.get(key)}; "
                    "name another checkpoint or delete it."
                )
        return rows, point

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


def _content(
    tree: dict[str, Any],
) -> tuple[str, dict[str, Any], dict[str, Row], Point | None]:
    rows = {value: dict(row) for value, row in tree["rows"].items()}
    best, point = tree.get("best"), None
    if best is not None:
        point = {"value": str(best["value"]), "x": [float(x) for x in best["x"]]}
        if point["value"] not in rows:
            raise ValueError("the best value has no row")
    return str(tree["swept"]), dict(tree["conditions"]), rows, point


def _as_json(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conditions as they look when read again; objects as text."""
    answer: dict[str, Any] = json.loads(json.dumps(plain(conditions), default=str))
    return answer
