"""``collocode doctor``, what is installed and works; and ``collocode schemes``, the catalogue."""

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
from typing import Any

import numpy as np
import typer
from rich.status import Status

import collocode as cc

from .. import kernels
from ..errors import CollocodeError, InputError
from ..reports.parts import Column, Table
from .terminal import SOLVED, UNSOLVED, guarded, messages, output, show_table, styled

MARK = "collocode-probe "  # before the answers of `probe`

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


def doctor() -> None:
    """Tell what is installed, what works, and what to do about the rest."""
    with guarded():
        status = _examine()
    raise typer.Exit(status)


def _examine() -> int:
    """Look, try, tell; the exit status is 0 if the default interface works."""
    from ..solvers.solve import INTERFACES

    show_table(packages_table())
    with _waiting(), ThreadPoolExecutor(1) as pool:
        linear = pool.submit(findings, "linear", LINEAR_SOLVERS)
        interfaces = findings("interface", tuple(INTERFACES))
        solvers = linear.result()
    for what, found, remedies in (
        ("interface", interfaces, REMEDIES),
        ("linear solver", solvers, {}),
    ):
        print()
        show_table(_table(what, found, remedies))
    default = next(finding for finding in interfaces if finding.name == "casadi")
    text = "works." if default.works else f"does not work: {default.text}"
    tone = "good" if default.works else "bad"
    print()
    output().print(styled([((f"The default interface {text}", tone),)]), soft_wrap=True)
    return SOLVED if default.works else UNSOLVED


def _waiting() -> AbstractContextManager[object]:
    """Show that something happens, on a terminal."""
    console = messages()
    text = "solving a tiny problem by every interface and linear solver"
    return Status(text, console=console) if console.is_terminal else nullcontext()


def packages_table() -> Table:
    """Return versions of Python and of the packages that matter."""
    system = f"{platform.system()} {platform.machine()}"
    rows = [{"package": "python", "version": (platform.python_version(), ""), "purpose": system}]
    for number, (name, purpose) in enumerate(PACKAGES.items()):
        version = _version(name)
        absent = ("missing", "bad") if number < REQUIRED else ("–", "quiet")
        shown = absent if version is None else (version, "")
        rows.append({"package": name, "version": shown, "purpose": purpose})
    compiled = (kernels.state(), "" if kernels.library() else "quiet")
    rows.append(
        {"package": "compiled kernels", "version": compiled, "purpose": "the same results, sooner"}
    )
    columns = [
        Column("package", left=True),
        Column("version", left=True, show=lambda row: row["version"]),
        Column("purpose", heading="what for", left=True, show=lambda r: (r["purpose"], "quiet")),
    ]
    return Table(name="packages", columns=columns, rows=rows)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _table(what: str, found: list[Finding], remedies: dict[str, str]) -> Table:
    groups: dict[tuple[bool, str], list[str]] = {}
    for finding in found:
        text = finding.solver if finding.works else _what_to_do(finding, remedies)
        groups.setdefault((finding.works, text), []).append(finding.name)
    columns = [
        Column("names", heading=what, left=True),
        Column(
            "works", left=True, show=lambda row: ("yes", "good") if row["works"] else ("no", "warn")
        ),
        Column("text", heading="ran with, or what to do", left=True),
    ]
    rows = [
        {"names": ", ".join(names), "works": works, "text": text}
        for (works, text), names in groups.items()
    ]
    return Table(name=what, columns=columns, rows=rows)


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
    command = [sys.executable, "-m", "collocode.cli.doctor", kind, *names]
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


def print_version() -> None:
    """Print the version."""
    print(f"collocode {metadata.version('collocode')}")


# ---- schemes -------------------------------------------------------------------------------------

DEGREES = range(1, 10)


def schemes() -> None:
    """List the discretization schemes with their orders."""
    show_table(schemes_table())
    print()
    print("Columns 1 … 9: order at the mesh points by degree (number of stages).")
    print("· global grids: one element of high degree, converging with the degree.")
    print("Choose with: collocode solve MODEL --scheme radau --degree 3 --elements 66")


def schemes_table() -> Table:
    """Return name, usual degree and order by degree of every scheme, derived from its matrices."""
    from ..numerics.schemes import GLOBAL_SCHEMES, scheme, scheme_names

    def order(name: str, degree: int) -> str:
        if name in GLOBAL_SCHEMES:
            return "·"
        try:
            return str(scheme(name, degree).order)
        except InputError:  # there is no such degree
            return "–"

    rows = [
        {"scheme": name, "usual": scheme(name).degree, **{str(d): order(name, d) for d in DEGREES}}
        for name in scheme_names()
    ]
    columns = [
        Column("scheme", left=True),
        Column("usual", "d", "usual degree"),
        *(Column(str(degree)) for degree in DEGREES),
    ]
    return Table(name="schemes", columns=columns, rows=rows)


RATE = 0.7


def tiny_problem() -> cc.Problem:
    """Identify the rate of an exponential decay from exact data."""
    t = np.linspace(0.0, 2.0, 11)
    data = cc.Experiment(t, np.exp(-RATE * t), outputs=("c",), name="decay")
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    return cc.Problem(decay, [data], name="probe")


def probe(kind: str, name: str) -> dict[str, Any]:
    """Solve the tiny problem through an interface, or with a linear solver, and tell how it went."""
    options = {"linear_solver": name} if kind == "linear" else {}
    try:
        solution = cc.fit(
            tiny_problem(), interface="casadi" if kind == "linear" else name, options=options
        )
    except CollocodeError as error:
        return {"works": False, "text": str(error), "solver": ""}
    except Exception as error:  # whatever a broken installation raises is the finding
        return {"works": False, "text": f"{type(error).__name__}: {error}", "solver": ""}
    result = solution.result
    solver = ", ".join(part for part in (result.solver, result.linear_solver) if part)
    off = abs(solution.parameters["k"] - RATE)
    if not solution.success or off > 1e-4:
        text = f"{solution.status} ({result.message}), error of the estimate {off:.1e}"
        return {"works": False, "text": text, "solver": solver}
    if kind == "linear" and result.linear_solver and name not in result.linear_solver:
        text = f"{result.linear_solver} ran instead"
        return {"works": False, "text": text, "solver": solver}
    return {"works": True, "text": "", "solver": solver}


def main(arguments: list[str]) -> None:
    """Probe every name of a kind: ``interface casadi pyomo`` or ``linear mumps spral``."""
    kind, *names = arguments
    for name in names:
        answer = {"name": name, **probe(kind, name)}
        print("\n" + MARK + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
