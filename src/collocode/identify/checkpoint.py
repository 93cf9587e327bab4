"""Checkpoints: the rows of a sweep in a JSON file, so that a stopped one can go on."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FileError
from ..results.store import plain

Row = dict[str, Any]


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

    def read(self) -> dict[str, Row]:
        """Return the rows that are known; none if there is no file yet.

        Raises
        ------
        FileError
            The file is no checkpoint, or one of another sweep.
        """
        if self.path is None or not self.path.is_file():
            return {}
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            rows: dict[str, Row] = {k: dict(v) for k, v in content["rows"].items()}
            swept, conditions = content["swept"], dict(content["conditions"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FileError(f"{self.path} is not a checkpoint of a sweep; delete it.") from error
        if swept != self.name:
            raise FileError(f"{self.path} belongs to a sweep over {swept!r}; name another.")
        now = _as_json(self.conditions)
        for key in sorted({*now, *conditions}):
            if now.get(key) != conditions.get(key):
                raise FileError(
                    f"{self.path} was made with {key} = {conditions.get(key)}, not {now.get(key)}; "
                    "name another checkpoint or delete it."
                )
        for row in rows.values():  # JSON has no infinity
            row.update({k: float("inf") for k in ("validation", "training") if row[k] is None})
        return rows

    def write(self, rows: Mapping[str, Row]) -> None:
        """Write all rows, in one step.

        Raises
        ------
        FileError
            The folder is missing or cannot be written.
        """
        if self.path is None:
            return
        content = {"swept": self.name, "conditions": _as_json(self.conditions), "rows": rows}
        try:
            with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=".collocode-") as aside:
                fresh = Path(aside) / self.path.name
                text = json.dumps(plain(content), indent=1, allow_nan=False) + "\n"
                fresh.write_text(text, encoding="utf-8")
                os.replace(fresh, self.path)
        except OSError as error:
            raise FileError(
                f"cannot write {self.path} ({error.strerror or error}); check the folder."
            ) from error


def _as_json(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conditions as they look when read again; objects as text."""
    answer: dict[str, Any] = json.loads(json.dumps(plain(conditions), default=str))
    return answer
