"""The checkpoint of a sweep: rows by value, the best fit's point, and when they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..archives import Schema, Tree
from ..conditions import as_json, check_conditions
from ..errors import FileError

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
        "problems": {"*": str},
        "rows": {"*": _ROW},
        "best": ({"value": str, "x": [float]}, None),
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
    problems : fingerprints of what is fitted, by value.
    """

    path: Path | None
    name: str
    conditions: Mapping[str, Any]
    problems: dict[str, str] = field(default_factory=dict)

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
        check_conditions(self.path, conditions, self.conditions)
        for value in tree["rows"]:
            there = tree["problems"][value]
            here = self.problems.setdefault(value, there)  # of another value than is asked for
            check_conditions(self.path, {"problem": there}, {"problem": here})
        return tree["rows"], tree["best"]

    def write(self, rows: Mapping[str, Row], point: Point | None) -> None:
        """Write all rows and where the best fit is, in one step.

        Raises
        ------
        FileError
            The folder is missing or cannot be written.
        """
        if self.path is None:
            return
        tree = {
            "swept": self.name,
            "conditions": as_json(self.conditions),
            "problems": {value: self.problems[value] for value in rows},
            "rows": rows,
            "best": point,
        }
        SWEEP.write(self.path, tree)


def _content(tree: Tree) -> Tree:
    """Return the tree, if its best value is one of the rows."""
    if tree["best"] is not None and tree["best"]["value"] not in tree["rows"]:
        raise ValueError("the best value has no row")
    if absent := tree["rows"].keys() - tree["problems"].keys():
        raise ValueError(f"the row of {min(absent)} tells not of which problem it is")
    return tree
