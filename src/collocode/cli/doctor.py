"""``collocode doctor``: what is installed, what works, and what to do about what does not."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import metadata

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from ..solvers.solve import INTERFACES
from .probe import MARK
from .terminal import SOLVED, UNSOLVED, messages, output, plain_table

PACKAGES = {
    "collocode": "this package",
    "casadi": "derivatives, and IPOPT with MUMPS and SPRAL",
    "numpy": "arrays",
    "scipy": "simulation, splines",
    "pandas": "tables",
    "matplotlib": "plots",
    "typer": "command line",
    "rich": "command line",
    "cyipopt": "optional: IPOPT through cyipopt",
    "pyomo": "optional: Pyomo models",
    "pounce-solver": "optional: a solver that reads .nl",
    "pyomo-pounce": "optional: pounce as a Pyomo solver",
    "distributed": "optional: Dask clusters",
    "jax": "optional: JAX functions, benchmarks",
    "diffrax": "optional: benchmarks",
    "onnx": "optional: ONNX files",
    "onnxruntime": "optional: checks of ONNX files",
}
REQUIRED = 8  # so many of PACKAGES come with collocode
LINEAR_SOLVERS = ("mumps", "spral", "ma27", "ma57", "ma77", "ma86", "ma97", "pardiso")
REMEDIES = {
    "casadi": "reinstall it: pip install --force-reinstall casadi",
    "cyipopt": "build it against casadi's own Ipopt: make cyipopt",
    "pyomo": "install the extra: pip install 'collocode[pyomo]'",
}
_SECONDS = 120


@dataclass(frozen=True)
class Finding:
    """What one probe found."""

    name: str
    works: bool
    text: str
    solver: str = ""


def run_doctor() -> int:
    """Look, try, tell; the exit status is 0 if the default interface works."""
    console = output()
    console.print(packages_table())
    console.print()
    with _waiting(), ThreadPoolExecutor(1) as pool:
        linear = pool.submit(findings, "linear", LINEAR_SOLVERS)
        interfaces = findings("interface", tuple(INTERFACES))
        solvers = linear.result()
    console.print(_table("interface", interfaces, REMEDIES))
    console.print()
    console.print(_table("linear solver", solvers, {}))
    console.print()
    default = next(finding for finding in interfaces if finding.name == "casadi")
    if default.works:
        console.print(Text("The default interface works.", "green"))
        return SOLVED
    console.print(Text(f"The default interface does not work: {default.text}", "red"))
    return UNSOLVED


def _waiting() -> AbstractContextManager[object]:
    """Show that something happens, on a terminal."""
    console = messages()
    text = "solving a tiny problem by every interface and linear solver"
    return Status(text, console=console) if console.is_terminal else nullcontext()


def packages_table() -> Table:
    """Return versions of Python and of the packages that matter."""
    table = plain_table("package", "version", "what for")
    table.add_row("python", platform.python_version(), f"{platform.system()} {platform.machine()}")
    for number, (name, purpose) in enumerate(PACKAGES.items()):
        version = _version(name)
        absent = Text(
            "missing" if number < REQUIRED else "–", "red" if number < REQUIRED else "dim"
        )
        table.add_row(name, absent if version is None else version, Text(purpose, "dim"))
    return table


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _table(what: str, found: list[Finding], remedies: dict[str, str]) -> Table:
    table = plain_table(what, "works", "ran with, or what to do")
    rows: dict[tuple[bool, str], list[str]] = {}
    for finding in found:
        text = finding.solver if finding.works else _what_to_do(finding, remedies)
        rows.setdefault((finding.works, text), []).append(finding.name)
    for (works, text), names in rows.items():
        mark = Text("yes", "green") if works else Text("no", "yellow")
        table.add_row(", ".join(names), mark, Text(text))
    return table


def _what_to_do(finding: Finding, remedies: dict[str, str]) -> str:
    library = re.search(r"needs (\S+), which is not installed.*option '(\w+)'", finding.text)
    if library:
        return f"needs {library[1]}; if you have it, give --option {library[2]}=PATH"
    remedy = remedies.get(finding.name, "")
    return (
        finding.text if not remedy or "pip install" in finding.text else f"{finding.text} {remedy}."
    )


def findings(kind: str, names: tuple[str, ...]) -> list[Finding]:
    """Probe names of a kind; one that brings the process down is reported, the others go on."""
    found: dict[str, Finding] = {}
    while len(found) < len(names):
        left = [name for name in names if name not in found]
        answers, ending = _probe(kind, left)
        found.update({finding.name: finding for finding in answers})
        if len(answers) < len(left):
            culprit = left[len(answers)]
            found[culprit] = Finding(culprit, False, f"the process that tried it {ending}")
    return [found[name] for name in names]


def _probe(kind: str, names: list[str]) -> tuple[list[Finding], str]:
    """Run one process; return its findings, and how it ended."""
    command = [sys.executable, "-m", "collocode.cli.probe", kind, *names]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        text = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else ""
        return _parse(text), f"did not answer within {_SECONDS} s"
    if answer.returncode < 0:
        return _parse(answer.stdout), f"crashed (signal {-answer.returncode}); do not use it here"
    last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
    return _parse(answer.stdout), f"ended with status {answer.returncode}: {last}"


def _parse(text: str) -> list[Finding]:
    lines = [line.removeprefix(MARK) for line in text.splitlines() if line.startswith(MARK)]
    return [Finding(**json.loads(line)) for line in lines]


def print_version(console: Console) -> None:
    """Print the version."""
    console.print(f"collocode {metadata.version('collocode')}")
