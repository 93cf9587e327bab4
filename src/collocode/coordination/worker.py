"""What runs in a worker: batches as they come, few solvers, one at a time.

A worker keeps the NLPs of its batches (data, bounds, a start: small) and the built functions and
solvers (large) apart.  Batches of equal structure share the latter; of different structures the
least recently used solver is given up when there are more than ``settings.solvers``.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import replace

from ..errors import CollocodeError
from ..solvers.protocol import Solver
from ..solvers.solve import make_solver
from ..solvers.threads import one_blas_thread
from ..transcription.nlp import NLP
from .batches import Batch
from .parcel import unpacked
from .subproblem import Subproblem, structure
from .task import Answer, Failure, Missing, Point, Settings, Task

Reply = Answer | Missing | Failure

_ONE_SOLVE = threading.Lock()  # MUMPS does not run twice in one process, whoever asks


class Worker:
    """Solves tasks; state is a cache only, so that losing it costs time and nothing else.

    Parameters
    ----------
    settings : the same for all batches.
    keeps_points : points stay here instead of travelling back with the answers.
    """

    def __init__(self, settings: Settings, keeps_points: bool = False) -> None:
        self._settings, self._keeps_points = settings, keeps_points
        self._data: dict[int, Batch] = {}
        self._structures: dict[int, tuple[object, ...]] = {}
        self._subproblems: dict[int, Subproblem] = {}
        self._solvers: OrderedDict[tuple[object, ...], tuple[NLP, Solver]] = OrderedDict()
        self._points: dict[int, tuple[int, Point]] = {}

    def run(self, task: Task, batch: Batch | bytes | None = None) -> Reply:
        """Solve a task; ``batch`` brings the data, maybe packed, of one that was never seen here.

        Nothing is raised: what goes wrong comes back as a `Failure`, and what was built for the
        batch is given up, so that another try begins from its data.
        """
        try:
            with _ONE_SOLVE, one_blas_thread():
                return self._run(task, batch)
        except Exception as error:
            self._forget(task.batch)
            message = str(error) if isinstance(error, CollocodeError) else described(error)
            return Failure(task.batch, message, isinstance(error, CollocodeError))

    def _run(self, task: Task, batch: Batch | bytes | None) -> Reply:
        began = time.perf_counter()
        if task.batch not in self._data:
            if batch is None:
                return Missing(task.batch)
            self._data[task.batch] = unpacked(batch) if isinstance(batch, bytes) else batch
        subproblem, solver = self._prepared(task.batch)
        built = time.perf_counter() - began
        kept = self._kept(task)
        if not task.solve:
            return replace(subproblem.measure(task, kept), point=None)
        answer = subproblem.solve(solver, task, kept)
        assert answer.point is not None
        if self._keeps_points:
            self._points[task.batch] = (task.iteration, answer.point)
            answer = replace(answer, point=None)
        return replace(answer, build_seconds=built)

    def _kept(self, task: Task) -> Point | None:
        if task.point is not None or task.iteration == 0:
            return task.point
        iteration, point = self._points.get(task.batch, (-1, None))
        return point if iteration == task.iteration - 1 else None

    def _prepared(self, number: int) -> tuple[Subproblem, Solver]:
        data = self._data[number]
        key = self._structures.get(number)
        if key is None:
            key = self._structures[number] = structure(data, self._settings)
        if key in self._solvers:
            self._solvers.move_to_end(key)
            nlp, solver = self._solvers[key]
            if number not in self._subproblems:
                self._subproblems[number] = Subproblem(data, self._settings, like=nlp)
            return self._subproblems[number], solver
        subproblem = self._subproblems[number] = Subproblem(data, self._settings)
        solver = make_solver(subproblem.nlp, self._settings.interface, self._settings.options)
        self._solvers[key] = (subproblem.nlp, solver)
        if len(self._solvers) > self._settings.solvers:
            self._give_up(next(iter(self._solvers)))
        return subproblem, solver

    def _give_up(self, key: tuple[object, ...]) -> None:
        """Drop a solver, its functions, and the NLPs that hold them; the batches' data stay."""
        if self._solvers.pop(key, None) is not None:
            for number in [k for k in self._subproblems if self._structures[k] == key]:
                del self._subproblems[number]

    def _forget(self, number: int) -> None:
        """Drop all that belongs to a batch, the solver that it shares included."""
        key = self._structures.pop(number, None)
        for kept in (self._data, self._subproblems, self._points):
            kept.pop(number, None)
        if key is not None:
            self._give_up(key)


def described(error: BaseException) -> str:
    """An exception of unknown origin in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
