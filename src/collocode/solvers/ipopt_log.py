"""Reading what only IPOPT's own log tells: where the time went, and which linear solver ran."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

_ENTRIES = {
    # factorisations and back-solves; MUMPS's own factorisation entry stays at zero
    "linear solver": "StdAugSystemSolverMultiSolve",
}


@contextmanager
def log_file() -> Iterator[Path]:
    """Yield the path of a log file that is gone afterwards."""
    with TemporaryDirectory(prefix="collocode-") as folder:
        yield Path(folder) / "ipopt.log"


def read_timings(text: str) -> dict[str, float]:
    """Return seconds by `_ENTRIES` from a log written with ``print_timing_statistics``."""
    timings = {}
    for label, name in _ENTRIES.items():
        line = text[max(0, text.find(name)) :].partition("\n")[0]  # a search for lines takes 1 ms
        if match := re.search(r"^\w+\.*:\s.*?wall:\s*([\d.eE+-]+)\)", line):
            timings[label] = float(match.group(1))
    return timings


def read_linear_solver(text: str) -> str:
    """Return the linear solver's name as IPOPT logged it, or an empty string."""
    match = re.search(r"running with linear solver ([\w-]+)", text)
    return match.group(1).rstrip(".").lower() if match else ""


def read_version(text: str) -> str:
    """Return IPOPT's name with its version as it logged it: ``IPOPT 3.14.19``."""
    match = re.search(r"This is Ipopt version ([\w.]*\w)", text)
    return f"IPOPT {match.group(1)}" if match else "IPOPT"


def empty(path: Path) -> None:
    """Forget what earlier solves wrote."""
    with suppress(FileNotFoundError):
        os.truncate(path, 0)


def read_log(path: Path) -> str:
    """Return the log's text, or an empty string."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
