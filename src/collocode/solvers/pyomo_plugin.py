r"""IPOPT from the casadi wheel as a solver of Pyomo: ``SolverFactory("collocode_ipopt")``.

The model is written as ``.nl`` into a folder that is gone afterwards, read back, and solved in this
process.  It is registered with both of Pyomo's factories, the new one
(``pyomo.contrib.solver.common.factory``) and ``pyomo.environ.SolverFactory``; both understand
``tee``, ``time_limit`` (``timelimit``), ``load_solutions``,
``raise_exception_on_nonoptimal_result``, ``symbolic_solver_labels`` and ``solver_options``
(``options``).  Duals have Pyomo's sign.  A suffix ``scaling_factor`` is obeyed.
"""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..checks import listed
from ..errors import FileError, InputError, MissingDependency
from ..export.nl_read import NlModel, read_nl
from ..export.operations import pyomo_environ
from ..export.sol import Sol
from ..results.status import SolutionStatus, Termination
from ..transcription.program import Block
from .nl_solve import sol_of, solve_nl

NAME = "collocode_ipopt"
_CONDITIONS = {
    Termination.CONVERGED: "convergenceCriteriaSatisfied",
    Termination.ACCEPTABLE: "convergenceCriteriaSatisfied",
    Termination.ITERATION_LIMIT: "iterationLimit",
    Termination.TIME_LIMIT: "maxTimeLimit",
    Termination.INFEASIBLE: "locallyInfeasible",
    Termination.DIVERGING: "unbounded",
    Termination.UNBOUNDED: "unbounded",
    Termination.STALLED: "minStepLength",
    Termination.INTERRUPTED: "interrupted",
    Termination.EVALUATION_ERROR: "error",
    Termination.ERROR: "error",
}
_WORTH = {
    SolutionStatus.OPTIMAL: "optimal",
    SolutionStatus.FEASIBLE: "feasible",
    SolutionStatus.INFEASIBLE: "infeasible",
    SolutionStatus.NONE: "noSolution",
}


def register() -> type:
    """Register the solver with Pyomo; return its class.

    Raises
    ------
    MissingDependency
        Pyomo is not installed, or older than 6.10.
    """
    pyomo_environ()
    try:
        from pyomo.contrib.solver.common.base import Availability, SolverBase
        from pyomo.contrib.solver.common.factory import SolverFactory
        from pyomo.contrib.solver.common.solution_loader import SolutionLoader  # noqa: F401
    except ImportError as error:
        raise MissingDependency("this Pyomo is too old; run: pip install 'pyomo>=6.10'.") from error

    class CollocodeIpopt(SolverBase):
        """IPOPT from the casadi wheel, for any continuous Pyomo model."""

        name = NAME

        def available(self, recheck: bool = False) -> Any:
            """Return yes: it comes with the package."""
            return Availability.FullLicense

        def version(self, recheck: bool = False) -> tuple[int, ...]:
            """Return IPOPT's version."""
            return ipopt_version()

        def solve(self, model: Any, **settings: Any) -> Any:
            """Solve a model; see ``pyomo.contrib.solver.common.base.SolverBase``."""
            return _solve(model, self.config(value=settings, preserve_implicit=True))

    SolverFactory.register(NAME, doc="IPOPT from the casadi wheel, through collocode")(
        CollocodeIpopt
    )
    return CollocodeIpopt


def ipopt_version() -> tuple[int, ...]:
    """Return the version of the wheel's IPOPT, as it names itself when it solves."""
    import casadi as ca

    from .ipopt_log import log_file, read_log, read_version

    x = ca.MX.sym("x")
    with log_file() as log:
        quiet = {"print_level": 0, "sb": "yes", "output_file": str(log), "file_print_level": 5}
        ca.nlpsol("probe", "ipopt", {"x": x, "f": x**2}, {"print_time": False, "ipopt": quiet})()
        return tuple(int(n) for n in re.findall(r"\d+", read_version(read_log(log))))


def _solve(model: Any, config: Any) -> Any:
    from pyomo.contrib.solver.common import results as pyomo_results
    from pyomo.contrib.solver.common.util import NoOptimalSolutionError, NoSolutionError

    if config.threads not in (None, 1):
        raise InputError(f"{NAME} runs in one thread; leave out threads={config.threads}.")
    began = time.perf_counter()
    results = pyomo_results.Results()
    results.solver_name, results.solver_version = NAME, ipopt_version()
    results.timing_info.start_timestamp = datetime.datetime.now(datetime.UTC)
    condition, worth = _run(model, config, results)
    results.termination_condition = pyomo_results.TerminationCondition[condition]
    results.solution_status = pyomo_results.SolutionStatus[worth]
    results.solver_config = config
    results.timing_info.wall_time = time.perf_counter() - began
    if config.raise_exception_on_nonoptimal_result and worth != "optimal":
        raise NoOptimalSolutionError()
    if config.load_solutions:
        if worth == "noSolution":
            raise NoSolutionError()
        results.solution_loader.load_solution()
    return results


def _run(model: Any, config: Any, results: Any) -> tuple[str, str]:
    """Write, read and solve the model; fill in the results; return condition and worth."""
    from pyomo.common.errors import InfeasibleConstraintException
    from pyomo.core.staleflag import StaleFlagManager

    StaleFlagManager.mark_all_as_stale()
    results.extra_info.iteration_count = 0
    objective = _objective(model)
    try:
        nlp, order = _read_back(model, config.symbolic_solver_labels)
    except InfeasibleConstraintException as error:
        if "infeasible variable" in str(error):  # fixed outside its bounds
            reason = str(error).partition("variable ")[2].rstrip(".")
            raise InputError(
                f"{model.name!r}: {reason}; correct the value or the bounds."
            ) from error
        results.extra_info.message = str(error)
        return "provenInfeasible", "noSolution"
    if nlp is None:  # all variables are fixed, and the constraints hold: the writer looked
        results.solution_loader = _loader(model, order, Sol("", 0, np.zeros(0), np.zeros(0)))
        results.incumbent_objective = None if objective is None else objective()
        return "convergenceCriteriaSatisfied", "optimal"
    options = dict(config.solver_options)
    if config.time_limit is not None:
        options["max_wall_time"] = config.time_limit
    if config.tee:
        options.setdefault("print_level", 5)
    if any(name == "scaling_factor" for name, _ in nlp.suffixes):
        options.setdefault("nlp_scaling_method", "user-scaling")
    with _teed(config.tee):
        answer = solve_nl(nlp, options)
    results.extra_info.iteration_count = answer.iterations
    results.extra_info.message = answer.message
    results.solution_loader = _loader(model, order, sol_of(nlp, answer))
    if answer.status in (SolutionStatus.OPTIMAL, SolutionStatus.FEASIBLE):
        results.incumbent_objective = answer.objective
    return _CONDITIONS[answer.termination], _WORTH[answer.status]


def _objective(model: Any) -> Any:
    import pyomo.environ as pyo

    active = list(model.component_data_objects(pyo.Objective, active=True))
    if len(active) > 1:
        names = listed(o.name for o in active)
        raise InputError(
            f"{model.name!r} has {len(active)} active objectives ({names}); deactivate all but one."
        )
    return active[0] if active else None


def _read_back(model: Any, labels: bool) -> tuple[NlModel | None, Any]:
    from pyomo.repn.plugins.nl_writer import NLWriter

    with TemporaryDirectory(prefix="collocode-") as name:
        path = Path(name) / "model.nl"
        with (
            path.open("w", newline="") as stream,
            path.with_suffix(".row").open("w", encoding="utf-8") as rows,
            path.with_suffix(".col").open("w", encoding="utf-8") as columns,
        ):
            order = NLWriter().write(
                model,
                stream,
                rows if labels else None,
                columns if labels else None,
                symbolic_solver_labels=labels,
                linear_presolve=False,
                scale_model=False,
            )
        if not order.variables:
            return None, order
        try:
            nlp = read_nl(path)
        except FileError as error:
            raise InputError(str(error).replace(str(path), f"the model {model.name!r}")) from error
        return _renamed(nlp, model.name, order.variables, order.constraints), order


def _renamed(nlp: NlModel, name: str, columns: Sequence[Any], rows: Sequence[Any]) -> NlModel:
    """Return the model with Pyomo's names, for messages."""
    return replace(
        nlp,
        name=name,
        column_blocks=(_block(columns),),
        row_blocks=(_block(rows),),
    )


def _block(components: Sequence[Any]) -> Block:
    return Block("", np.arange(len(components)), label=lambda _, place: components[place[0]].name)


@contextmanager
def _teed(streams: Any) -> Iterator[None]:
    """Send what IPOPT prints to all streams."""
    if not streams:
        yield
        return

    class Tee:
        def write(self, text: str) -> int:
            for stream in streams:
                stream.write(text)
            return len(text)

        def flush(self) -> None:
            for stream in streams:
                stream.flush()

    with redirect_stdout(Tee()):
        yield


def _loader(model: Any, order: Any, sol: Sol) -> Any:
    """Return Pyomo's access to a solution."""
    from pyomo.common.collections import ComponentMap
    from pyomo.contrib.solver.common.solution_loader import SolutionLoader

    values = ComponentMap(zip(order.variables, sol.x.tolist(), strict=True))
    duals = dict(zip(order.constraints, sol.dual.tolist(), strict=True))
    bounds = {
        name: ComponentMap((order.variables[j], v) for j, v in entries.items())
        for name, entries in sol.suffixes.items()
    }
    costs = ComponentMap((v, sum(b.get(v, 0.0) for b in bounds.values())) for v in order.variables)

    def chosen(all_of_them: Any, wanted: Any) -> Any:
        if wanted is None:
            return all_of_them
        return type(all_of_them)((key, all_of_them[key]) for key in wanted)

    class Loader(SolutionLoader):
        _pyomo_model = model

        def get_number_of_solutions(self) -> int:
            return 1

        def get_vars(self, vars_to_load: Any = None) -> Mapping[Any, float]:
            return chosen(values, vars_to_load)

        def get_duals(self, cons_to_load: Any = None) -> Mapping[Any, float]:
            return chosen(duals, cons_to_load)

        def get_reduced_costs(self, vars_to_load: Any = None) -> Mapping[Any, float]:
            return chosen(costs, vars_to_load)

        def load_import_suffixes(self) -> None:
            suffixes = self._collect_and_clear_import_suffixes()
            for name, found in {"dual": duals, "rc": costs, **bounds}.items():
                if name in suffixes:
                    suffixes[name].update(found)

    return Loader()
