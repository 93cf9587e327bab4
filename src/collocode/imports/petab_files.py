"""The YAML files of PEtab, the files that they name beside them, and array files of networks."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from types import ModuleType
from typing import Any

import numpy as np

from ..checks import check_has
from ..errors import FileError, InputError, MissingDependency
from ..files import read_bytes, refusing
from ..numerics import Array

_LARGEST_YAML, _LARGEST_ARRAYS = 1_000_000, 100_000_000
_DEEPEST = 5  # groups within each other
LONGEST_NAME = 200  # letters of a file's name or an id


def read_yaml(source: Path, what: str) -> dict[str, Any]:
    """Return a YAML file's mapping, read as plain data.

    Raises
    ------
    MissingDependency
        PyYAML is not installed.
    FileError, InputError
        Missing, too large or damaged, or no mapping.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingDependency(
            "PEtab's YAML files are read by PyYAML, which is not installed; "
            "pip install 'collocode[petab]'."
        ) from error
    text = read_bytes(source, _LARGEST_YAML, what)
    with refusing(source, what):
        content = yaml.safe_load(text)  # plain data only
    if not isinstance(content, dict):
        raise InputError(
            f"{source} is no {what.removeprefix('a ')}: it is no mapping; name the YAML file of one."
        )
    return content


def names_beside(source: Path, given: Any, what: str) -> list[str]:
    """Return the names of files beside a problem's that it lists under ``what``.

    Raises
    ------
    InputError
        No list of names, an address, or a name that is not relative.
    """
    names = given if isinstance(given, list) else []
    if not names or not all(isinstance(n, str) and n for n in names):
        raise InputError(f"{source} needs {what}, a list of file names beside it; add it.")
    for name in names:
        if "://" in name:
            raise InputError(f"{source} names {name[:80]!r} under {what}; download it first.")
        if Path(name).is_absolute() or PureWindowsPath(name).drive or len(name) > LONGEST_NAME:
            raise InputError(
                f"{source} names {name[:80]!r} under {what}; name a file beside it, by a relative path."
            )
    return names


def hdf5() -> ModuleType:
    """Return h5py.

    Raises
    ------
    MissingDependency
        It is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingDependency(
            "PEtab-SciML's array files are read by h5py, which is not installed; pip install 'collocode[petab]'."
        ) from error
    return h5py


class Arrays:
    """What the array files (HDF5) hold."""

    def __init__(self, source: Path, names: Any) -> None:
        self.source, self._found = source, dict[str, Array]()
        for name in names_beside(source, names, "array_files") if names else []:
            self._read(source.parent / name)

    def _read(self, path: Path) -> None:
        h5py = hdf5()
        read_bytes(path, _LARGEST_ARRAYS, "an array file")  # there, and not too large
        with refusing(path, "an array file"), h5py.File(path, "r") as file:
            for top in ("parameters", "inputs"):
                group = file.get(top, getlink=False)
                if group is not None:
                    self._walk(h5py, group, (top,), path)

    def _walk(self, h5py: Any, group: Any, at: tuple[str, ...], path: Path) -> None:
        for key in group:
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):  # no other file is opened
                raise FileError(f"{path} has a link at {key[:60]!r}; write the array itself.")
            item, here = group[key], (*at, str(key))
            if isinstance(item, h5py.Group):
                if len(here) < _DEEPEST:
                    self._walk(h5py, item, here, path)
                continue
            if item.dtype.kind not in "iuf" or item.size > _LARGEST_ARRAYS // 8 or item.external:
                raise FileError(
                    f"{path}: {'/'.join(here)[:100]!r} is no array of numbers; correct it."
                )
            values = np.asarray(item[()], dtype=float)
            if not np.isfinite(values).all():
                raise FileError(
                    f"{path}: {'/'.join(here)[:100]!r} has values that are not finite; correct it."
                )
            self._found["/".join(here)] = values

    def weights(self, network: str, layer: str, array: str) -> Array:
        """Weights or biases of a layer."""
        key = f"parameters/{network}/{layer}/{array}"
        check_has(f"the array files of {self.source}", "array", key, self._found)
        return self._found[key]

    def inputs(self, name: str) -> dict[str, Array]:
        """Values of an input by condition; by "0" where they hold in all."""
        start = f"inputs/{name}/"
        found = {
            k.removeprefix(start): v.ravel() for k, v in self._found.items() if k.startswith(start)
        }
        if not found or len({len(v) for v in found.values()}) > 1:
            raise InputError(
                f"the array files of {self.source} have no arrays of one length for input {name!r}; add inputs/{name}."
            )
        return found
