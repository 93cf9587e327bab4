"""Running a solver that reads ``.nl`` and writes ``.sol`` files, as AMPL does."""

from __future__ import annotations

import importlib.util
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import MissingDependency

_NUMBER = r"[+-]?\d[\d.eE+-]*"
# Ipopt's table: iter, objective, inf_pr, inf_du, lg(mu), ||d||, lg(rg), alpha_du, alpha_pr
_ITERATION = re.compile(
    rf"^\s*(\d+)r?\s+({_NUMBER})\s+({_NUMBER})\s+({_NUMBER})\s+({_NUMBER})\s+{_NUMBER}\s+(\S+)"
    rf"\s+{_NUMBER}\s+({_NUMBER})[a-zA-Z]?\s"
)


def find_solver(name: str) -> str:
    """Return the executable of a solver given by name or path.

    Raises
    ------
    MissingDependency
        If there is none.
    """
    candidates = [shutil.which(name), shutil.which(name, path=str(Path(sys.executable).parent))]
    if name == "pounce":  # the wheel's binary itself, without a Python process in front of it
        package = importlib.util.find_spec("pounce")
        folders = (package.submodule_search_locations or []) if package else []
        candidates = [
            shutil.which("pounce", path=str(Path(f) / "bin")) for f in folders
        ] + candidates
    found = next((c for c in candidates if c), None)
    if found is None:
        remedy = (
            "run: pip install 'collocode[pyomo]'."
            if name == "pounce"
            else "put it on the PATH, or give its path by the option 'pyomo.solver'."
        )
        raise MissingDependency(f"the .nl solver {name!r} is not installed; {remedy}")
    return found


def run(
    command: list[str],
    folder: Path,
    on_line: Callable[[str], Any],
    stop: Callable[[], bool],
) -> tuple[str, bool]:
    """Run a solver; return its output, and whether ``stop`` ended it.

    The process has a session of its own, so that Ctrl-C reaches us and not the solver.
    """
    output = bytearray()
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    stopped, done = False, 0
    try:
        while True:
            ready, _, _ = select.select([process.stdout], [], [], 0.1)
            chunk = os.read(process.stdout.fileno(), 1 << 16) if ready else None
            output += chunk or b""
            *lines, _ = output[done:].split(b"\n")
            for line in lines:
                done += len(line) + 1
                on_line(line.decode(errors="replace"))
            stopped = stop()
            if stopped or chunk == b"":
                break
    finally:
        if process.poll() is None and (stopped or sys.exc_info()[0]):
            process.terminate()
        process.stdout.close()
        process.wait()
    return output.decode(errors="replace"), stopped


def iteration(line: str) -> dict[str, float] | None:
    """Return a row of IPOPT's iteration table under our names, or None."""
    match = _ITERATION.match(line)
    if match is None:
        return None
    count, objective, primal, dual, mu, regularisation, step = match.groups()
    return {
        "iteration": float(count),
        "objective": float(objective),
        "primal": float(primal),
        "dual": float(dual),
        "mu": 10.0 ** float(mu),
        "step": float(step),
        "regularisation": 0.0 if regularisation == "-" else 10.0 ** float(regularisation),
    }


def arguments(options: Mapping[str, Any]) -> list[str]:
    """Return options as ``key=value``."""
    spelt = {True: "yes", False: "no"}
    return [
        f"{name}={spelt[value] if isinstance(value, bool) else value}"
        for name, value in options.items()
    ]
