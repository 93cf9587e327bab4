"""IPOPT options: defaults, spellings, and a refusal of unknown names."""

from __future__ import annotations

import contextlib
import ctypes
import difflib
import io
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import casadi as ca

from ..errors import InputError, MissingDependency
from ..transcription.nlp import NLP
from ..transcription.program import Program

# METIS with no scaling inside MUMPS factorises these arrow-shaped systems several times faster than
# MUMPS's own choice, for the same iterates; docs/figures/measure_linear_solvers.py prints by how much
DEFAULTS: dict[str, Any] = {
    "tol": 1e-8,
    "max_iter": 500,
    "mumps_pivot_order": 5,
    "mumps_permuting_scaling": 0,
    "mumps_scaling": 0,  # variables and rows come scaled
}
WARM: dict[str, Any] = {
    "warm_start_init_point": "yes",
    "warm_start_bound_push": 1e-8,
    "warm_start_bound_frac": 1e-8,
    "warm_start_slack_bound_push": 1e-8,
    "warm_start_slack_bound_frac": 1e-8,
    "warm_start_mult_bound_push": 1e-8,
}
# A fit's objective is of the order of the noise in units of the data's variance: IPOPT's 0.1 would make the barrier
# of active bounds all of it, and take a good start far away from the data (benchmarks/iterations.py)
FITS: dict[str, Any] = {"mu_init": 1e-3}
# where windows decide and MUMPS it is: AMD is up to 1.7 times as fast as METIS on a chain without a border of
# weights, and another 8 % are saved where IPOPT refines what its own test of the residual asks for, not
# once always (benchmarks/control.py)
BARE: dict[str, Any] = {"mumps_pivot_order": 0, "min_refinement_steps": 0}
# AMD instead of METIS, whose random numbers differ between platforms; about twice the factorisation
DETERMINISTIC: dict[str, Any] = {"mumps_permuting_scaling": 0, "mumps_pivot_order": 0}

GAUSS_NEWTON = "gauss-newton"
_OURS = ("linear_solver", "chains"), ("hessian_approximation", GAUSS_NEWTON)  # none of IPOPT's
_USUAL = (
    "tol", "max_iter", "max_cpu_time", "max_wall_time", "dual_inf_tol", "constr_viol_tol",
    "compl_inf_tol", "acceptable_tol", "acceptable_iter", "mu_init", "mu_strategy", "mu_target",
    "bound_push", "bound_frac", "bound_relax_factor", "honor_original_bounds",
    "nlp_scaling_method", "nlp_scaling_max_gradient", "obj_scaling_factor", "linear_solver",
    "hessian_approximation", "limited_memory_max_history", "warm_start_init_point",
    "warm_start_bound_push", "warm_start_mult_bound_push", "fixed_variable_treatment",
    "mumps_permuting_scaling", "mumps_pivot_order", "mumps_scaling", "mumps_mem_percent",
    "mumps_pivtol", "print_level", "output_file", "file_print_level", "print_timing_statistics",
    "derivative_test", "diverging_iterates_tol", "expect_infeasible_problem", "start_with_resto",
    "line_search_method", "alpha_for_y", "recalc_y", "watchdog_shortened_iter_trigger",
    "max_resto_iter", "least_square_init_duals", "ma27_pivtol", "hsllib", "option_file_name",
)  # fmt: skip


def merge(given: Mapping[str, Any] | None, deterministic: bool = False) -> dict[str, Any]:
    """Return IPOPT options: defaults, then the caller's, spelt ``tol`` or ``ipopt.tol`` or nested.

    Examples
    --------
    >>> options = merge({"ipopt.tol": 1e-6, "ipopt": {"max_iter": 10}})
    >>> options["tol"], options["max_iter"]
    (1e-06, 10)
    """
    options = {**DEFAULTS, **(DETERMINISTIC if deterministic else {})}
    for name, value in (given or {}).items():
        if isinstance(value, Mapping):
            options.update({str(k).removeprefix("ipopt."): v for k, v in value.items()})
        else:
            options[str(name).removeprefix("ipopt.")] = value
    return options


def typed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as the int, float or str that IPOPT wants, once it has accepted them.

    A solver for a problem of one variable is asked, because neither CasADi nor cyipopt says which
    option was wrong.

    Raises
    ------
    InputError
        An option that IPOPT does not know, or a value of the wrong type or out of range.

    Examples
    --------
    >>> typed({"tol": 1, "max_iter": 20.0, "warm_start_init_point": True})
    {'tol': 1.0, 'max_iter': 20, 'warm_start_init_point': 'yes'}
    """
    # what is asked takes milliseconds; our own are of the right types
    ours = [(k, v, type(v)) for own in (DEFAULTS, BARE, DETERMINISTIC) for k, v in own.items()]
    given = [name for name, v in options.items() if (name, v, type(v)) not in ours]
    asked = {name: _converted(name, options[name]) for name in given}
    converted = {**options, **asked}
    if asked and not _accepted(tuple(sorted(asked.items()))):
        for name, value in asked.items():
            if _complaint({name: value}):
                raise refused_option(name, value)
    if converted.get("linear_solver") == "ma97":  # the others say so; this one crashes the process
        library = str(converted.get("hsllib", "libhsl.so"))
        try:
            ctypes.CDLL(library)
        except OSError as error:
            raise _needs_library("ma97", library) from error
    return converted


def without_ours(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are IPOPT's, and not this package's beside it; refuse a wrong number of threads.

    Raises
    ------
    InputError
        See `threads_of`.
    """
    threads_of(options)
    return {k: v for k, v in options.items() if (k, v) not in _OURS and k != "threads"}


def threads_of(options: Mapping[str, Any]) -> int | None:
    """Return the option ``threads``, which is none of IPOPT's; None if it is not there.

    Raises
    ------
    InputError
        It is not a positive whole number.
    """
    threads = options.get("threads")
    if threads is None or (isinstance(threads, int) and threads > 0 and threads is not True):
        return threads
    raise InputError(f"threads = {threads!r} is no number of threads; give 1, 2, ….")


def beginning(program: Program, mu: float | None) -> dict[str, Any]:
    """Return options for how IPOPT begins; ``mu`` is a warm start's first barrier parameter, None begins cold."""
    if mu is not None:
        return {**WARM, "mu_init": mu}
    return FITS if isinstance(program, NLP) and not program.problem.decides else {}


def ipopt_options(
    options: Mapping[str, Any], log: Path, program: Program, mu: float | None
) -> dict[str, Any]:
    """Return what an interface hands to IPOPT: a silent console, a log file, the caller's options.

    ``program`` and ``mu`` are as for `beginning`.
    """
    return {
        "print_level": 0,
        "sb": "yes",
        **({"output_file": str(log)} if options.get("file_print_level") != 0 else {}),
        "file_print_level": 5,
        "print_timing_statistics": "yes",
        **beginning(program, mu),
        **options,
    }


def _converted(name: str, value: Any) -> Any:
    kind = _kind(name)
    if kind is str and isinstance(value, bool):
        return "yes" if value else "no"
    if kind is str:
        if not isinstance(value, str):
            raise refused_option(name, value)
        return value
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise refused_option(name, value) from error
    if math.isnan(number) or (kind is int and not number.is_integer()):
        raise refused_option(name, value)
    return int(number) if kind is int else number


@lru_cache(maxsize=256)
def _kind(name: str) -> type:
    """Return the type of an IPOPT option, which CasADi names when it is given a list."""
    complaint = _complaint({name: [0]})
    if "No such IPOPT option" in complaint:
        raise unknown_option(name)
    kinds = {"is_double": float, "is_int": int, "is_string": str}
    return next((kind for mark, kind in kinds.items() if mark in complaint), str)


@lru_cache(maxsize=64)
def _accepted(options: tuple[tuple[str, Any], ...]) -> bool:
    """Whether IPOPT takes all of the options; the probe costs as much as a small solver."""
    return not _complaint(dict(options))


def _complaint(options: Mapping[str, Any]) -> str:
    """Return what CasADi says against the options, or nothing."""
    x = ca.MX.sym("x")
    given = {"print_time": False, "ipopt": {"print_level": 0, **options}}
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # IPOPT prints a manual page
            ca.nlpsol("probe", "ipopt", {"x": x, "f": x**2}, given)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        return str(error)
    return ""


def unknown_option(name: str, solver: str = "IPOPT") -> InputError:
    """Return the error for an option that the solver does not know."""
    near = difflib.get_close_matches(name, _USUAL, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"see {_manual(solver)}."
    return InputError(f"{solver} has no option {name!r}; {hint}")


def refused_option(name: str, value: Any, solver: str = "IPOPT") -> InputError:
    """Return the error for an option value that the solver refuses."""
    return InputError(f"{solver} refuses {name} = {value!r}; see {_manual(solver)}.")


def _manual(solver: str) -> str:
    return "the options page of the Ipopt manual" if solver == "IPOPT" else "its manual"


def unavailable_solver(options: Mapping[str, Any], log: str) -> Exception:
    """Return the error for a linear solver that this IPOPT cannot run, given IPOPT's log.

    IPOPT looks for HSL's and Pardiso's libraries when it starts, not when the option is set.
    """
    name = str(options.get("linear_solver", "mumps"))
    missing = re.search(r"(\S+): cannot open shared object", log)
    if missing is None:
        return refused_option("linear_solver", name)
    return _needs_library(name, missing.group(1))


def _needs_library(solver: str, library: str) -> MissingDependency:
    option = "pardisolib" if solver.startswith("pardiso") else "hsllib"
    return MissingDependency(
        f"linear solver {solver!r} needs {library}, which is not installed; give its path by the "
        f"option {option!r}, or use 'mumps' or 'spral'."
    )
