"""Probes of the doctor, run in a process of their own: ``python -m collocode.cli.probe``.

A linear solver that is broken may crash the process or write on its terminal; neither must happen
to the doctor.  Every probe answers with one line of JSON behind a mark.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

import collocode as cc

from ..errors import CollocodeError
from .doctor import MARK

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
