"""Writing files in one step: complete in their place, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import FileError


@contextmanager
def replacing(*targets: Path) -> Iterator[list[Path]]:
    """Yield paths to write to; on leaving without an error they take the places of ``targets``.

    The targets share one folder, in which a hidden folder lives meanwhile.

    Raises
    ------
    FileError
        The folder is missing or cannot be written.
    """
    try:
        # a folder and not mkstemp, whose files nobody else may read
        with tempfile.TemporaryDirectory(dir=targets[0].parent, prefix=".collocode-") as aside:
            paths = [Path(aside) / target.name for target in targets]
            yield paths
            for path, target in zip(paths, targets, strict=True):
                os.replace(path, target)
    except FileError:
        raise
    except OSError as error:
        raise FileError(
            f"cannot write {targets[0]} ({error.strerror or error}); check the folder."
        ) from error


def read_bytes(path: Path, largest: int, what: str) -> bytes:
    """Return a file's content, if it is a file of at most ``largest`` bytes.

    Raises
    ------
    FileError
        No such file, too large, or unreadable.
    """
    if not path.is_file():
        raise FileError(f"there is no file {str(path)!r}; check the path.")
    try:
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror or error}).") from error
    if len(content) > largest:
        raise FileError(f"{path} is larger than {largest} bytes, too much for {what}.")
    return content
