"""`solve`: NLP -> Solution, through the interface of one's choice."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..model.activations import ACTIVATIONS
from ..results.solution import Solution
from ..transcription.nlp import NLP
from .options import merge
from .protocol import OnIteration, Solver, WarmStart

# interface -> (module, class); modules are imported when asked for, so extras stay extras
INTERFACES: dict[str, tuple[str, str]] = {
    "casadi": ("ipopt_casadi", "CasadiIpopt"),
    "cyipopt": ("ipopt_cyipopt", "CyIpopt"),
    "pyomo": ("pyomo_nl", "PyomoNl"),
}


def make_solver(
    nlp: NLP,
    interface: str = "casadi",
    options: Mapping[str, Any] | None = None,
    deterministic: bool = False,
) -> Solver:
    """Build a solver for an NLP's functions, to be used for many starts, data and bounds.

    Parameters
    ----------
    nlp : the structure.
    interface : ``casadi``, ``cyipopt`` or ``pyomo``.
    options : IPOPT options, spelt ``{"tol": 1e-8}`` or ``{"ipopt.tol": 1e-8}``.
    deterministic : fix MUMPS's pivot order, for the same iterates on every platform.

    Raises
    ------
    InputError
        Unknown interface or option, or a network that IPOPT cannot differentiate twice (ReLU).
    MissingDependency
        The interface's package is not installed.
    """
    if interface not in INTERFACES:
        near = difflib.get_close_matches(str(interface), INTERFACES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(INTERFACES)}."
        raise InputError(f"unknown interface {interface!r}; {hint}")
    for name, network in nlp.problem.dynamics.networks.items():
        if network.mlp.smoothness < 1:
            able = sorted(n for n, a in ACTIVATIONS.items() if not a.kinks and n != "linear")
            raise InputError(
                f"network {name!r} uses {network.mlp.activation}, whose kinks IPOPT's second-order "
                f"steps cannot cross; choose one of {', '.join(able)}."
            )
    module, attribute = INTERFACES[interface]
    adapter = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
    solver: Solver = adapter(nlp, merge(options, deterministic))
    return solver


def solve(
    nlp: NLP,
    interface: str = "casadi",
    options: Mapping[str, Any] | None = None,
    *,
    warm: Solution | None = None,
    deterministic: bool = False,
    on_iteration: OnIteration | None = None,
) -> Solution:
    """Solve an NLP from its start.

    Parameters
    ----------
    nlp, interface, options, deterministic : as for `make_solver`.
    warm : a solution of the same structure, whose point and multipliers start IPOPT.
    on_iteration : called with a `Progress` after every iteration.

    Returns
    -------
    A `Solution`, whatever happened: its status tells whether it is one.  Ctrl-C, an iteration or a
    time limit return the best iterate.
    """
    solver = make_solver(nlp, interface, options, deterministic)
    return solve_with(solver, nlp, warm=warm, on_iteration=on_iteration)


def solve_with(
    solver: Solver,
    nlp: NLP,
    *,
    warm: Solution | None = None,
    on_iteration: OnIteration | None = None,
) -> Solution:
    """Solve an NLP with a solver that `make_solver` built; see `solve`."""
    multipliers = None
    if warm is not None:
        nlp = nlp.with_start(warm.result.x)
        multipliers = WarmStart(warm.result.lam_g, warm.result.lam_x)
    answer = solver.solve(nlp, multipliers, on_iteration)
    return Solution.of(nlp, answer.with_timings(build=nlp.build_seconds))
