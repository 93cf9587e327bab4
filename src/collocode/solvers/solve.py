"""`solve`: Program -> solution, through the interface of one's choice."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, overload

from ..checks import check_choice
from ..errors import InputError
from ..kinds import check_type
from ..model.activations import ACTIVATIONS
from ..results.doubts import warn
from ..results.program_solution import ProgramSolution
from ..results.solution import Solution
from ..transcription.nlp import NLP
from ..transcription.program import Program
from .kinks import Approaching
from .options import BARE, merge
from .protocol import OnIteration, Solver, WarmStart
from .threads import single_threaded

# interface -> (module, class); modules are imported when asked for, so extras stay extras
INTERFACES: dict[str, tuple[str, str]] = {
    "casadi": ("ipopt_casadi", "CasadiIpopt"),
    "cyipopt": ("ipopt_cyipopt", "CyIpopt"),
    "pyomo": ("pyomo_nl", "PyomoNl"),
}


def make_solver(
    program: Program,
    interface: str = "casadi",
    options: Mapping[str, Any] | None = None,
    deterministic: bool = False,
) -> Solver:
    """Build a solver for a program's functions, to be used for many starts, data and bounds.

    Parameters
    ----------
    program : the structure.
    interface : ``casadi``, ``cyipopt`` or ``pyomo``.
    options : IPOPT options, spelt ``{"tol": 1e-8}`` or ``{"ipopt.tol": 1e-8}``.
    deterministic : fix MUMPS's pivot order, for the same iterates on every platform.

    Raises
    ------
    InputError
        Unknown interface or option, or what IPOPT cannot differentiate twice (ReLU).
    MissingDependency
        The interface's package is not installed.
    """
    check_type("make_solver", program, Program)
    check_choice("interface", interface, INTERFACES)
    if program.kinks:
        able = sorted(n for n, a in ACTIVATIONS.items() if not a.kinks and n != "linear")
        raise InputError(
            f"{program.kinks[0]}, whose kinks IPOPT's second-order steps cannot cross; choose "
            f"one of {', '.join(able)}."
        )
    module, attribute = INTERFACES[interface]
    adapter = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
    # windows that decide, on a chain without a border of weights
    bare = isinstance(program, NLP) and program.problem.decides and not len(program.layout.weights)
    ours = BARE if bare and not deterministic else {}
    solver: Solver = adapter(program, merge({**ours, **(options or {})}, deterministic))
    return Approaching(solver) if "rounding" in program.parameters else solver


@overload
def solve(  # type: ignore[overload-overlap]  # the more special comes first
    program: NLP,
    interface: str = ...,
    options: Mapping[str, Any] | None = ...,
    *,
    warm: Solution | None = ...,
    deterministic: bool = ...,
    on_iteration: OnIteration | None = ...,
) -> Solution: ...


@overload
def solve(
    program: Program,
    interface: str = ...,
    options: Mapping[str, Any] | None = ...,
    *,
    warm: Solution | ProgramSolution | None = ...,
    deterministic: bool = ...,
    on_iteration: OnIteration | None = ...,
) -> ProgramSolution: ...


@single_threaded
def solve(
    program: Program,
    interface: str = "casadi",
    options: Mapping[str, Any] | None = None,
    *,
    warm: Solution | ProgramSolution | None = None,
    deterministic: bool = False,
    on_iteration: OnIteration | None = None,
) -> Solution | ProgramSolution:
    """Solve a program from its start.

    Parameters
    ----------
    program, interface, options, deterministic : as for `make_solver`.
    warm : a solution of the same structure, whose point and multipliers start IPOPT.
    on_iteration : called with a `Progress` after every iteration.

    Returns
    -------
    A `Solution` of an `NLP`, a `ProgramSolution` of any other program, whatever happened: its status
    tells whether it is one.  Ctrl-C, an iteration or a time limit return the best iterate.

    Raises
    ------
    InputError, MissingDependency
        As `make_solver`; a program that no solver can do anything with, such as with more equations than
        free unknowns.

    Warns
    -----
    CollocodeWarning
        The solution of an `NLP` should not be believed; `collocode.findings` says what to do.
    """
    check_type("solve", program, Program)
    solver = make_solver(program, interface, options, deterministic)
    solution = solve_with(solver, program, warm=warm, on_iteration=on_iteration)
    warn(solution)
    return solution


@overload
def solve_with(  # type: ignore[overload-overlap]
    solver: Solver,
    program: NLP,
    *,
    warm: Solution | WarmStart | None = ...,
    on_iteration: OnIteration | None = ...,
) -> Solution: ...


@overload
def solve_with(
    solver: Solver,
    program: Program,
    *,
    warm: Solution | ProgramSolution | WarmStart | None = ...,
    on_iteration: OnIteration | None = ...,
) -> ProgramSolution: ...


def solve_with(
    solver: Solver,
    program: Program,
    *,
    warm: Solution | ProgramSolution | WarmStart | None = None,
    on_iteration: OnIteration | None = None,
) -> Solution | ProgramSolution:
    """Solve a program with a solver that `make_solver` built; see `solve`.

    ``warm`` may also be multipliers alone, which belong to the program's own start.
    """
    check_type("solve_with", program, Program)
    multipliers = warm if isinstance(warm, WarmStart) else None
    if warm is not None and not isinstance(warm, WarmStart):
        check_type("warm=", warm, Solution, ProgramSolution)
        program = program.with_start(warm.result.x)
        if isinstance(program, NLP) and isinstance(warm, Solution):
            program = replace(program, start_record=warm.start_record)
        multipliers = WarmStart(warm.result.lam_g, warm.result.lam_x)
    answer = solver.solve(program, multipliers, on_iteration)
    answer = answer.with_timings(build=program.build_seconds)
    if isinstance(program, NLP):
        return Solution.of(program, answer)
    return ProgramSolution(program, answer)
