"""Files: written whole or not at all, read within limits, never executed.

`replacing` stands under everything that writes: files are made in a hidden folder beside their
place, forced to the disk and then renamed, so that a reader, a full disk or a killed process meets
the old file or the new one, never a half.  What a killed process leaves is that hidden folder; a lock
that died with it tells that nobody works there (`clear_leftovers`).

Saved fits and checkpoints are archives (`collocode.archives`).
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .errors import FileError

try:
    import fcntl
except ImportError:  # Windows has no such locks: leftovers stay there
    fcntl = None  # type: ignore[assignment]

PLAIN = "biufcUS"  # kinds of arrays that are data: numbers and text, no objects, no records
_TOO_LARGE = "{} holds more than {} bytes, too much for {}; name another file."
_HIDDEN = ".collocode-unfinished-"
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the other methods unpack without a limit


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
        with _hidden(folder) as aside:
            paths = [aside / target.name for target in targets]
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


@contextmanager
def _hidden(folder: Path) -> Iterator[Path]:
    """Yield a new hidden folder in another, locked for as long as it is used."""
    with ExitStack() as stack:
        with _locked(folder, shared=True):  # nobody clears up before it is locked
            made = tempfile.TemporaryDirectory(
                dir=folder, prefix=_HIDDEN, ignore_cleanup_errors=True
            )
            path = Path(stack.enter_context(made))
            stack.enter_context(_locked(path))
        yield path


def clear_leftovers(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left in a folder."""
    with _locked(folder) as alone:
        for path in folder.iterdir() if alone else ():
            if re.fullmatch(re.escape(_HIDDEN) + r"\w{8}", path.name):
                with _locked(path) as left:
                    if left:
                        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _locked(folder: Path, shared: bool = False) -> Iterator[bool]:
    """Lock a folder if that goes at once, and yield whether it did; the lock ends with the process."""
    number = None
    with suppress(OSError, AttributeError):
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        locked = False
        with suppress(OSError, AttributeError):
            if number is not None:
                kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
                fcntl.flock(number, kind | fcntl.LOCK_NB)
                locked = True
        yield locked
    finally:
        if number is not None:
            os.close(number)


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
    if source.is_dir():
        raise FileError(f"{source} is a folder; name the file in it that is {what}.")
    if not source.is_file():
        raise FileError(f"there is no file {str(source)!r}; check the path.")
    try:
        yield source
    except FileError:
        raise
    except Exception as error:
        # of zip, zlib, NumPy, HDF5, JSON; recursion, memory, missing entries, ...
        # strerror is the system's; a library's OSError without one means damage
        if isinstance(error, OSError) and error.strerror:
            raise FileError(
                f"{source} cannot be read ({error.strerror}); check its permissions."
            ) from error
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
    if info.compress_type not in METHODS:
        raise ValueError(f"{info.filename!r} is packed by an unusual method")
    with archive.open(info) as stream:
        old = npy.read_magic(stream) == (1, 0)
        read_header = npy.read_array_header_1_0 if old else npy.read_array_header_2_0
        shape, fortran, dtype = read_header(stream)
        if dtype.kind not in PLAIN:
            return None
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or stream.tell() + size != info.file_size:
            raise ValueError(f"the array {info.filename!r} is corrupt")
        content = bytearray(stream.read())
    return np.ndarray(shape, dtype, content, order="F" if fortran else "C")


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
