"""Files of growths: a zip of the trainings' own files and one JSON text; nothing is executed."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FileError
from ...results.status import Termination
from ..trainers.training import load_training
from .growth import Extension, Growth, GrowthCycle

FORMAT = "collocode growth 2"
_TEXT = "growth.json"
_LARGEST = 2**31  # bytes a file may unpack to


def save_growth(growth: Growth, path: str | Path) -> Path:
    """Write a growth to a ``.zip`` file, in one step; return its path.

    Raises
    ------
    FileError
        The folder is missing or cannot be written.
    """
    target = Path(path)
    target = target if target.suffix == ".zip" else target.with_name(target.name + ".zip")
    text = {
        "format": FORMAT,
        "termination": growth.termination.name,
        "message": growth.message,
        "indicator": growth.indicator,
        "trainer": growth.trainer,
        "name": growth.name,
        "cycles": [_entry(cycle) for cycle in growth.cycles],
    }
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".collocode-") as aside:
            made = Path(aside) / target.name
            with zipfile.ZipFile(made, "w") as archive:
                archive.writestr(_TEXT, json.dumps(text))
                for number, cycle in enumerate(growth.cycles):
                    part = cycle.training.save(Path(aside) / _part(number))
                    archive.write(part, _part(number))
            os.replace(made, target)
    except OSError as error:
        raise FileError(
            f"cannot write {target} ({error.strerror or error}); check the folder."
        ) from error
    return target


def load_growth(path: str | Path) -> Growth:
    """Read what `save_growth` wrote, a checkpoint of `grow` for example.

    Raises
    ------
    FileError
        Missing, corrupt or foreign file.
    """
    source = Path(path)
    if not source.is_file():
        raise FileError(f"there is no file {str(source)!r}; check the path.")
    try:
        return _read(source)
    except Exception as error:  # a hostile file can fail in zip, zlib, NumPy, JSON, memory, ...
        reason = " ".join(str(error).split())[:200]
        raise FileError(f"{source} is not a growth saved by collocode ({reason}).") from error


def _read(source: Path) -> Growth:
    with zipfile.ZipFile(source) as archive, tempfile.TemporaryDirectory() as aside:
        if sum(info.file_size for info in archive.infolist()) > _LARGEST:
            raise ValueError("it would unpack to more than 2 GiB")
        text = json.loads(archive.read(_TEXT))
        if text["format"] != FORMAT:
            raise ValueError(f"its format is {text['format']!r}")
        cycles = []
        for number, entry in enumerate(text["cycles"]):
            part = Path(aside) / _part(number)  # never a name out of the archive
            part.write_bytes(archive.read(_part(number)))
            cycles.append(_cycle(part, entry))
    if not cycles:
        raise ValueError("it has no cycles")
    words = {key: str(text[key]) for key in ("message", "indicator", "trainer", "name")}
    ended = Termination[text["termination"]]
    return Growth(termination=ended, cycles=tuple(cycles), **words)


def _part(number: int) -> str:
    return f"cycle{number}.npz"


def _entry(cycle: GrowthCycle) -> dict[str, Any]:
    return {
        "values": cycle.values.tolist(),
        "depths": cycle.depths.tolist(),
        "scoring_seconds": cycle.scoring_seconds,
        "extension": asdict(cycle.extension) if cycle.extension else None,
        "frozen": None if cycle.frozen is None else np.flatnonzero(cycle.frozen).tolist(),
    }


def _cycle(part: Path, entry: dict[str, Any]) -> GrowthCycle:
    training = load_training(part)
    frozen = None
    if entry["frozen"] is not None:
        frozen = np.zeros(training.network.n_weights, dtype=bool)
        frozen[np.asarray(entry["frozen"], dtype=int)] = True
    values, depths = (np.asarray(entry[name], dtype=float) for name in ("values", "depths"))
    if values.shape != depths.shape:
        raise ValueError("scores and depths differ in number")
    extension = Extension(**entry["extension"]) if entry["extension"] else None
    return GrowthCycle(
        training=training,
        values=values,
        depths=depths,
        scoring_seconds=float(entry["scoring_seconds"]),
        extension=extension,
        frozen=frozen,
    )
