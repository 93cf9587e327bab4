"""Archives: saved fits and checkpoints, one format for all.

An *archive* is a tree of mappings, lists, numbers, text and arrays in one ``.npz``.  Each array is a
member under its path in the tree (``np.load(file)["scheme.nodes"]``); all else is JSON text in the
member ``header``, with the name and the version of a `Schema`.  Without arrays the header alone will
do, as a ``.json`` file.  What the tree has to be is its owner's `Schema.form`, checked on reading.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .errors import FileError
from .files import METHODS, PLAIN, read_bytes, read_npz, refusing, replacing, write_text
from .forms import Form, fitted

Tree = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Schema:
    """A kind of archive: what it is called, and in which version it is written and read.

    Attributes
    ----------
    name : as in the file, after "collocode".
    version : to be raised whenever a reader of the last version would fail or be wrong.
    noun : for messages, with its article.
    form : of its content.
    largest : bytes that an archive may unpack to.
    compress, suffix : whether arrays are deflated; ``.json`` is for trees without arrays.
    """

    name: str
    version: int
    noun: str
    form: Form
    _: KW_ONLY
    largest: int = 2**31
    compress: bool = True
    suffix: str = ".npz"

    def place(self, path: str | Path) -> Path:
        """Return the path with the suffix added where it has another."""
        path = Path(path)
        return path if path.suffix == self.suffix else path.with_name(path.name + self.suffix)

    def write(self, path: str | Path, tree: Mapping[str, Any]) -> Path:
        """Write an archive in one step, see `replacing`; return its path, which has the suffix."""
        target = self.place(path)
        arrays: dict[str, NDArray[Any]] = {}
        content = _taken_apart(tree, "", arrays)
        header = {"schema": f"collocode {self.name}", "version": self.version, "content": content}
        if self.suffix == ".json":
            assert not arrays, "arrays have no place in a .json file"
            write_text(target, json.dumps(header, indent=1, allow_nan=False) + "\n")
            return target
        text = json.dumps(header, allow_nan=False)
        arrays["header"] = np.frombuffer(text.encode(), dtype=np.uint8)
        packed = BytesIO()  # in memory, as a zip file that meets a full disk cannot be closed
        with zipfile.ZipFile(packed, "w", METHODS[self.compress]) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                    npy.write_array(stream, array, allow_pickle=False)
        with replacing(target) as (aside,):
            aside.write_bytes(packed.getbuffer())
        return target

    def read(self, path: str | Path, build: Callable[[Tree], T]) -> T:
        """Return what ``build`` makes of an archive's tree; what fails in it is the file's fault.

        Raises
        ------
        FileError
            As in `refusing`, or an archive of another kind or version.
        """
        arrays: dict[str, NDArray[Any]] = {}
        place = self.place(path)
        with refusing(place if place.is_file() else path, self.noun) as source:
            if self.suffix == ".json":
                text = read_bytes(source, self.largest, self.noun)
            else:
                arrays = read_npz(source, self.largest, self.noun)
                text = arrays["header"].tobytes()
            header = json.loads(text, parse_constant=_no_json)
            header = fitted(header, {"schema": str, "version": int, "content": object})
            self._check(source, header["schema"], header["version"])
            used = {"header"}
            tree = fitted(_put_together(header["content"], arrays, used), self.form)
            if foreign := arrays.keys() - used:
                raise ValueError(f"the member {min(foreign)!r} belongs to nothing")
            return build(tree)

    def _check(self, source: Path, schema: str, version: int) -> None:
        if (name := schema.removeprefix("collocode ")) != self.name:
            raise FileError(
                f"{source} holds {name!r}, which is not {self.noun} ({self.name!r}); name another "
                "file."
            )
        if version != self.version:
            remedy = "update collocode" if version > self.version else "make it anew"
            raise FileError(
                f"{source} is {self.noun} in version {version} of its format and this collocode "
                f"reads version {self.version}; {remedy}."
            )


def _taken_apart(value: Any, place: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return a tree as strict JSON; arrays and what JSON cannot say become marked references."""
    if isinstance(value, Mapping):
        return {
            f"${key}" if key.startswith("$") else key: _taken_apart(
                inner, f"{place}.{key}" if place else key, arrays
            )
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_taken_apart(v, f"{place}.{i}", arrays) for i, v in enumerate(value)]
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in PLAIN:
            raise TypeError(f"{place} has the type {value.dtype}; archives hold numbers and text")
        name = _member(place, arrays)
        arrays[name] = value
        return {"$array": name}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{place} is a {type(value).__name__}; archives hold numbers, text and arrays")


def _member(place: str, taken: Mapping[str, Any]) -> str:
    """Return a name for an array: its place in the tree, in letters that every system knows."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in place)
    name, count = plain, 1
    while name in taken or name in ("", "header"):
        count += 1
        name = f"{plain}~{count}"
    return name


def _put_together(value: Any, arrays: Mapping[str, NDArray[Any]], used: set[str]) -> Any:
    if isinstance(value, list):
        return [_put_together(v, arrays, used) for v in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, inner),) = value.items()
        if key == "$array":
            used.add(inner)
            return arrays[inner]
        if key == "$float":
            return float({"nan": "nan", "inf": "inf", "-inf": "-inf"}[inner])
    return {
        k[1:] if k.startswith("$") else k: _put_together(v, arrays, used) for k, v in value.items()
    }


def _no_json(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
