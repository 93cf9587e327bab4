"""HiGHS through its own wheel: the one file that imports ``highspy``.

Huangfu & Hall, Parallelizing the dual revised simplex method, Math. Prog. Comp. 10 (2018).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import installed
from ..errors import InputError
from ..numerics import Array
from ..solvers.interrupt import aside, interrupted
from .mip import Index, MipArrays

OnProgress = Callable[["MipProgress"], Any]


@dataclass(frozen=True)
class MipProgress:
    """A line of a branch-and-bound log: seconds, nodes, incumbent and best bound."""

    seconds: float
    nodes: int
    incumbent: float
    bound: float


def highspy_package() -> Any:
    """Return ``highspy``.

    Raises
    ------
    MissingDependency
        If it is not installed.
    """
    with installed("HiGHS", "relu"):
        import highspy
    return highspy


def _silent(highspy: Any) -> Any:
    """Return an instance that prints nothing, not even the banner of its first callback."""

    class Silent(highspy.Highs):
        def enableCallbacks(self) -> None:  # called by the constructor, before any option
            self.setOptionValue("output_flag", False)
            super().enableCallbacks()

    highs = Silent()
    highs.setOptionValue("output_flag", False)  # for releases whose constructor calls nothing
    return highs


def load(arrays: MipArrays, cost: Array, integer: bool, options: Mapping[str, Any]) -> Any:
    """Return a Highs instance that holds: minimise cost·u over a program.

    Raises
    ------
    InputError
        An option or a value that HiGHS refuses, named.
    """
    highspy = highspy_package()
    highs = _silent(highspy)
    for name, value in options.items():
        if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise InputError(f"HiGHS refuses the option {name}={value!r}; see its list of options.")
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), len(arrays.row_lower)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, arrays.lower, arrays.upper
    lp.row_lower_, lp.row_upper_ = arrays.row_lower, arrays.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = arrays.A.indptr, arrays.A.indices
    lp.a_matrix_.value_ = arrays.A.data
    if integer and arrays.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(i)] for i in arrays.integer]
    if highs.passModel(lp) == highspy.HighsStatus.kError:
        raise InputError(
            "HiGHS refuses the model: its numbers are out of range; scale the network."
        )
    return highs


class DualBounds:
    r"""Lower bounds of :math:`\pm u_j` over the LP relaxation of a program, one after the other.

    One HiGHS instance keeps its basis while the objective changes, so each program after the first
    takes few primal simplex pivots.  What is returned is not the solver's objective but

    .. math:: \sum_i \min(\lambda_i \underline r_i, \lambda_i \overline r_i)
              + \sum_j \min(d_j \underline u_j, d_j \overline u_j),\quad d = c - A^\top \lambda,

    which bounds the optimum from below whatever the multipliers λ are, so neither tolerances nor an
    early stop can make it wrong (Neumaier & Shcherbina, Math. Program. 99, 2004).
    """

    def __init__(self, arrays: MipArrays) -> None:
        options = {"presolve": "off", "solver": "simplex", "simplex_strategy": 4, "threads": 1}
        self._arrays = arrays
        self._transposed = arrays.A.T.tocsr()
        self._highs = load(arrays, np.zeros(len(arrays.lower)), False, options)
        self._watched = _Watched(self._highs, simplex=True)

    def minimum(self, column: int, sign: float, seconds: float = np.inf) -> float:
        """Return a proved lower bound of ``sign``·u_column; stop the LP after ``seconds``."""
        highs, arrays = self._highs, self._arrays
        if np.isfinite(seconds):
            highs.setOptionValue("time_limit", highs.getRunTime() + max(seconds, 0.0))
        highs.changeColCost(int(column), sign)
        self._watched.run()
        dual = np.asarray(highs.getSolution().row_dual)
        highs.changeColCost(int(column), 0.0)
        if len(dual) != len(arrays.row_lower) or not np.isfinite(dual).all():
            dual = np.zeros(len(arrays.row_lower))
        side = np.where(dual > 0.0, arrays.row_lower, arrays.row_upper)
        dual = np.where(np.isfinite(side), dual, 0.0)
        reduced = -(self._transposed @ dual)
        reduced[column] += sign
        terms = np.concatenate(
            [
                dual * np.where(np.isfinite(side), side, 0.0),
                reduced * np.where(reduced > 0.0, arrays.lower, arrays.upper),
            ]
        )
        return float(terms.sum() - 1e-12 * np.abs(terms).sum())  # rounding of the sums


@dataclass(frozen=True, eq=False)
class MipAnswer:
    """What branch and bound returned: ``status`` is HiGHS' word, ``x`` None without a point."""

    x: Array | None
    bound: float
    nodes: int
    status: str


def solve_mip(
    highs: Any,
    time_limit: float | None = None,
    start: tuple[Index, Array] | None = None,
    on_progress: OnProgress | None = None,
) -> MipAnswer:
    """Run branch and bound on a loaded program; Ctrl-C within an `Interrupt` ends the search.

    Parameters
    ----------
    start : (columns, values) of a partial solution that HiGHS completes.
    """
    if time_limit is not None:
        highs.setOptionValue("time_limit", float(time_limit))
    if start is not None:
        highs.setSolution(len(start[0]), start[0].astype(np.int32), start[1])
    _Watched(highs, on_progress).run()
    info, solution = highs.getInfo(), highs.getSolution()
    feasible = info.primal_solution_status == 2  # kSolutionStatusFeasible
    status = highs.modelStatusToString(highs.getModelStatus())
    bound = info.mip_dual_bound
    if not len(highs.getLp().integrality_):  # an LP has no such entry
        bound = info.objective_function_value if status == "Optimal" else -np.inf
    return MipAnswer(
        x=np.asarray(solution.col_value) if feasible else None,
        bound=bound,
        nodes=max(int(info.mip_node_count), 0),
        status=status,
    )


class _Watched:
    """A HiGHS instance that tells how far it is, and ends when it is told to.

    Its callbacks run aside: nothing that a signal or ``on_progress`` raises passes through HiGHS.
    """

    def __init__(
        self, highs: Any, on_progress: OnProgress | None = None, simplex: bool = False
    ) -> None:
        kinds = highspy_package().cb.HighsCallbackType
        self._highs, self._show = highs, on_progress
        self._lines = kinds.kCallbackMipLogging
        self._cancelled, self._error = threading.Event(), list[BaseException]()
        if on_progress is not None:  # the lines are made for a log, so there must be one: nowhere
            highs.setOptionValue("log_to_console", False)
            highs.setOptionValue("output_flag", True)
        highs.setCallback(self._called, None)
        for kind in (
            kinds.kCallbackSimplexInterrupt if simplex else kinds.kCallbackMipInterrupt,
            *([self._lines] if on_progress is not None else ()),
        ):
            highs.startCallback(kind)

    def run(self) -> None:
        """Solve; raise what ``on_progress`` raised."""
        self._cancelled.clear()
        aside(self._highs.run, self._cancelled.set)
        if self._error:
            raise self._error.pop()

    def _called(self, kind: Any, message: str, out: Any, into: Any, data: Any) -> None:
        if kind != self._lines:
            into.user_interrupt = interrupted() or self._cancelled.is_set()
        elif self._show is not None:
            sides = out.mip_primal_bound, out.mip_dual_bound
            try:
                self._show(MipProgress(out.running_time, int(out.mip_node_count), *sides))
            except BaseException as error:
                self._error.append(error)
                self._cancelled.set()


def relaxation_bound(arrays: MipArrays, cost: Array) -> float:
    """Return the optimum of the LP relaxation of min cost·u, inf if it is infeasible."""
    highs = load(arrays, cost, False, {"threads": 1})
    _Watched(highs, simplex=True).run()
    status = highs.modelStatusToString(highs.getModelStatus())
    if status == "Optimal":
        return float(highs.getInfo().objective_function_value)
    return np.inf if status == "Infeasible" else -np.inf
