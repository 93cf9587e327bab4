"""``.nl`` files on the command line, as AMPL's solvers take them.

``collocode solve model.nl`` reports and writes ``model.sol``; ``collocode_ipopt model -AMPL`` (or
``collocode solve model -AMPL``) is the convention by which AMPL and Pyomo call a solver: the stub of
the file's name, ``name=value`` options, further ones in ``$collocode_ipopt_options``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from ..errors import InputError
from ..solvers.nl_solve import read_nl, sol_of, solve_nl, write_solution
from .progress import live_progress
from .settings import parse_options
from .terminal import SOLVED, UNSOLVED, guarded, messages, output

_USAGE = "usage: collocode_ipopt STUB[.nl] [-AMPL] [NAME=VALUE]..."


def run_nl(
    path: Path,
    options: list[str],
    deterministic: bool = False,
    as_ampl: bool = False,
    out: Path | None = None,
) -> int:
    """Solve an ``.nl`` file, write its ``.sol``; return the exit status."""
    source = path if path.suffix == ".nl" else path.with_name(path.name + ".nl")
    chosen = parse_options(options)
    writes = int(chosen.pop("wantsol", 1)) & 1 or as_ampl
    if "outlev" in chosen:
        chosen["print_level"] = chosen.pop("outlev")
    model = read_nl(source)
    with live_progress(messages()) as show:
        result = solve_nl(model, chosen, deterministic=deterministic, on_iteration=show)
    print(sol_of(model, result).message)
    if not as_ampl:
        output().print(
            f"{model.columns} variables, {model.rows} constraints, {result.iterations} iterations\n"
            f"objective {result.objective:.10g}, violation {result.violation:.1e}"
        )
    if writes:
        target = source.with_suffix(".sol") if out is None else out / f"{source.stem}.sol"
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        write_solution(model, result, target)
        if not as_ampl:
            output().print(f"wrote {target}", soft_wrap=True)
    return SOLVED if result.success or as_ampl else UNSOLVED


def main() -> None:
    """Run ``collocode_ipopt``."""
    try:
        with guarded():
            words = sys.argv[1:]
            if words[:1] in (["-v"], ["--version"]):
                from ..solvers.pyomo_plugin import ipopt_version

                print("Ipopt " + ".".join(map(str, ipopt_version())) + " (collocode)")
                return
            flags = [w for w in words if w.startswith("-")]
            stubs = [w for w in words if not w.startswith("-") and "=" not in w]
            if len(stubs) != 1 or any(flag != "-AMPL" for flag in flags):
                raise InputError(_USAGE)
            options = os.environ.get("collocode_ipopt_options", "").split()  # noqa: SIM112 (AMPL)
            options += [w for w in words if "=" in w and not w.startswith("-")]
            status = run_nl(Path(stubs[0]), options, as_ampl="-AMPL" in flags)
    except typer.Exit as error:
        status = error.exit_code
    sys.exit(status)
