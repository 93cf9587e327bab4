"""Files: written whole or not at all, read within limits, never executed.

`replacing` stands under everything that writes: files are made in a hidden folder beside their
place, forced to the disk and then renamed, so that a reader, a full disk or a killed process meets
the old file or the new one, never a half.

An *archive* is a tree of mappings, lists, numbers, text and arrays in one ``.npz``.  Each array is a
member under its path in the tree (``np.load(file)["scheme.nodes"]``); all else is JSON text in the
member ``header``, with the name and the version of a `Schema`.  Without arrays the header alone will
do, as a ``.json`` file.  What is in the tree is its owner's business.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .errors import FileError

Tree = dict[str, Any]
T = TypeVar("T")
_PLAIN = "biufcUS"  # kinds of arrays that are data: numbers and text, no objects, no records
_TOO_LARGE = "{} holds more than {} bytes, too much for {}; name another file."
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the other methods unpack without a limit


@contextmanager
def replacing(*targets: Path) -> Iterator[list[Path]]:
    """Yield paths to write to; on leaving without an error they take the places of ``targets``.

    The targets share one folder, in which a hidden one lives meanwhile.

    Raises
    ------
    FileError
        The folder is missing or full, or cannot be written; what was there stays.
    """
    folder = targets[0].parent
    try:
        # a folder and not mkstemp, whose files nobody else may read
        with tempfile.TemporaryDirectory(dir=folder, prefix=".collocode-") as aside:
            paths = [Path(aside) / target.name for target in targets]
            yield paths
            for path in paths:
                _force(path)
            for path, target in zip(paths, targets, strict=True):
                os.replace(path, target)
            with suppress(OSError):  # the files are in their places; some systems cannot do more
                _force(folder)
    except FileError:
        raise
    except OSError as error:
        raise FileError(
            f"cannot write {targets[0]} ({error.strerror or error}); check the folder."
        ) from error


def _force(path: Path) -> None:
    """Have a file's content, or a folder's entries, written to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in one step; see `replacing`."""
    with replacing(Path(path)) as (aside,):
        aside.write_text(text, encoding="utf-8")


@contextmanager
def refusing(path: str | Path, what: str) -> Iterator[Path]:
    """Turn whatever a missing, hostile or damaged file sets off into one sentence that names it.

    Raises
    ------
    FileError
        Missing, unreadable, too large, foreign, cut off or corrupt.
    """
    source = Path(path)
    if not source.is_file():
        raise FileError(f"there is no file {str(source)!r}; check the path.")
    try:
        yield source
    except FileError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise FileError(f"{source} cannot be read ({reason}); check its permissions.") from error
    except Exception as error:  # zip, zlib, NumPy, JSON, recursion, memory, missing entries, ...
        words = " ".join(str(error).split())[:200] or type(error).__name__
        reason = f"{words} is missing" if isinstance(error, KeyError) else words
        raise FileError(
            f"{source} is not {what}, or it is damaged ({reason}); name another file or make it "
            "anew."
        ) from error


def read_bytes(path: str | Path, largest: int, what: str) -> bytes:
    """Return a file's content, if it is a file of at most ``largest`` bytes; see `refusing`."""
    with refusing(path, what) as source, source.open("rb") as stream:
        content = stream.read(largest + 1)
        if len(content) > largest:
            raise FileError(_TOO_LARGE.format(source, largest, what))
    return content


def read_npz(
    path: str | Path, largest: int, what: str, skip: bool = False
) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` that anybody may have written, at most ``largest`` bytes.

    A member that is neither numbers nor text is left out if ``skip`` says so, else refused.
    """
    found = {}
    with refusing(path, what) as source, zipfile.ZipFile(source) as archive:
        if sum(info.file_size for info in archive.infolist()) > largest:
            raise FileError(_TOO_LARGE.format(source, largest, what))
        for info in archive.infolist():
            array = _array(archive, info)
            if array is not None:
                found[info.filename.removesuffix(".npy")] = array
            elif not skip:
                raise ValueError(f"{info.filename!r} holds neither numbers nor text")
    return found


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any] | None:
    """Read a member, believing nothing of what it says of its size; None if it holds objects."""
    if info.compress_type not in _METHODS:
        raise ValueError(f"{info.filename!r} is packed by an unusual method")
    with archive.open(info) as stream:
        old = npy.read_magic(stream) == (1, 0)
        read_header = npy.read_array_header_1_0 if old else npy.read_array_header_2_0
        shape, fortran, dtype = read_header(stream)
        if dtype.kind not in _PLAIN:
            return None
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or stream.tell() + size != info.file_size:
            raise ValueError(f"the array {info.filename!r} is corrupt")
        content = bytearray(stream.read())
    return np.ndarray(shape, dtype, content, order="F" if fortran else "C")


@dataclass(frozen=True)
class Schema:
    """A kind of archive: what it is called, and in which version it is written and read.

    Attributes
    ----------
    name : as in the file, after "collocode".
    version : to be raised whenever a reader of the last version would fail or be wrong.
    noun : for messages, with its article.
    largest : bytes that an archive may unpack to.
    compress, suffix : whether arrays are deflated; ``.json`` is for trees without arrays.
    """

    name: str
    version: int
    noun: str
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
        with zipfile.ZipFile(packed, "w", _METHODS[self.compress]) as archive:
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
            header = json.loads(text)
            self._check(source, header["schema"], header["version"])
            return build(_put_together(header["content"], arrays))

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
        if value.dtype.kind not in _PLAIN:
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


def _put_together(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return [_put_together(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        return arrays[value["$array"]]
    if "$float" in value:
        return float(value["$float"])
    return {k[1:] if k.startswith("$") else k: _put_together(v, arrays) for k, v in value.items()}


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: arrays as lists, enums as text, NaN and inf as None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
