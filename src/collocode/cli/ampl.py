"""``.nl`` files on the command line, as AMPL's solvers take them.

``collocode solve model.nl`` reports and writes ``model.sol``; ``collocode_ipopt model -AMPL`` (or
``collocode solve model -AMPL``) is the convention by which AMPL and Pyomo call a solver: the stub of
the file's name, ``name=value`` options, further ones in ``$collocode_ipopt_options``.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import typer

import collocode as cc

from ..errors import InputError
from .run import Run
from .settings import parse_options
from .terminal import SOLVED, guarded, live_progress, messages

_USAGE = "usage: collocode_ipopt STUB[.nl] [-AMPL] [NAME=VALUE]..."


def solve_file(
    path: Path, options: list[str], deterministic: bool = False, run: Run | None = None
) -> int:
    """Solve an ``.nl`` file, write its ``.sol``; return the exit status.

    Without a `Run` it does as AMPL expects: the solver's message, and status 0.
    """
    from ..solvers.nl_solve import sol_of

    source = path if path.suffix == ".nl" else path.with_name(path.name + ".nl")
    chosen, name = parse_options(options), f"{source.stem}.sol"
    writes = int(chosen.pop("wantsol", 1)) & 1
    if "outlev" in chosen:
        chosen["print_level"] = chosen.pop("outlev")
    model = cc.read_nl(source)
    folder = None if run is None else run.folder([name])
    with live_progress(messages()) as show:
        result = cc.solve_nl(model, chosen, deterministic=deterministic, on_iteration=show)
    if run is None:
        print(sol_of(model, result).message)
        cc.write_solution(model, result)
        return SOLVED
    asked = run.asked(None, {"options": chosen}, problem=model)
    write = partial(cc.write_solution, model, result)
    if folder is not None:
        return run.finish(result, asked, folder, {name: write})
    return run.finish(result, asked, None, beside=write if writes else None)


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
            status = solve_file(Path(stubs[0]), options)
    except typer.Exit as error:
        status = error.exit_code
    sys.exit(status)
