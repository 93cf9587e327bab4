"""Result folders: complete or untouched, and never over somebody else's files."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..errors import FileError, InputError
from ..files import clear_leftovers, replacing

Writer = Callable[[Path], object]


def write_csv(columns: Mapping[str, ArrayLike], path: Path) -> None:
    """Write columns of equal length as pandas does, with a header; NaN is left empty."""
    cells = [["" if v != v else v for v in np.asarray(c).tolist()] for c in columns.values()]
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(columns)
        rows.writerows(zip(*cells, strict=True))


class Folder:
    """A folder for the files of one run, listed in a JSON manifest.

    Parameters
    ----------
    path : where; it is made if need be.
    manifest : name of the JSON file whose ``files`` entry lists what belongs to the run.
    also : names that belong to the run though no manifest lists them yet, as a checkpoint does.

    Raises
    ------
    FileError
        The folder cannot be made or written.
    """

    def __init__(self, path: Path, manifest: str = "report.json", also: Iterable[str] = ()) -> None:
        self.path, self.manifest, self._also = path, manifest, frozenset(also)
        try:
            path.mkdir(parents=True, exist_ok=True)
            clear_leftovers(path)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            raise FileError(
                f"cannot write into {path} ({error.strerror}); choose another folder."
            ) from error

    def owned(self) -> set[str]:
        """Names of the files that an earlier run left here."""
        try:
            written = json.loads((self.path / self.manifest).read_text(encoding="utf-8"))
            if not str(written.get("schema", written.get("format"))).startswith("collocode"):
                return {*self._also}
            return {self.manifest, *self._also, *(str(name) for name in written["files"])}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {*self._also}

    def check(self, names: Iterable[str]) -> None:
        """Refuse to replace files that no earlier run wrote.

        Raises
        ------
        InputError
            Such a file exists.
        """
        owned = self.owned()
        for name in names:
            if name not in owned and (self.path / name).exists():
                raise InputError(
                    f"{self.path / name} exists and was not written by collocode; choose another "
                    "folder or move it."
                )

    def write(self, files: Mapping[str, Writer]) -> list[Path]:
        """Write files: first all of them aside, then each in its place.

        What an earlier run left and this one does not write is removed.
        """
        self.check(files)
        stale = self.owned() - set(files)
        with replacing(*(self.path / name for name in files)) as places:
            for place, writer in zip(places, files.values(), strict=True):
                writer(place)
        for name in stale:
            if Path(name).name == name:
                with suppress(OSError):
                    (self.path / name).unlink(missing_ok=True)
        return [self.path / name for name in files]


def refuse_existing(target: Path) -> None:
    """Refuse to write over a file.

    Raises
    ------
    InputError
        It exists.
    """
    if target.exists():
        raise InputError(f"{target} exists; choose another --out or remove it.")


def write_file(target: Path, writer: Writer) -> None:
    """Write one file in one step.

    Raises
    ------
    FileError
        Its folder is missing or cannot be written.
    """
    with replacing(target) as (place,):
        writer(place)


def file_stem(name: str) -> str:
    """Return an experiment's name as part of a file name.

    Examples
    --------
    >>> file_stem("van_der_pol.csv"), file_stem("run 3/a")
    ('van_der_pol', 'run_3_a')
    """
    stem = name.removesuffix(".csv")
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem).strip(".") or "experiment"


def unique_stems(names: Iterable[str]) -> dict[str, str]:
    """Return a file stem for each name, numbered where two would be the same."""
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        stem = first = file_stem(name)
        count = 1
        while stem.lower() in taken:
            count += 1
            stem = f"{first}_{count}"
        stems[name] = stem
        taken.add(stem.lower())
    return stems
