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
from .subproblem import Subproblem, structure
from .task import Answer, Failure, Missing, Point, Settings, Task

Reply = Answer | Missing | Failure


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
        self._subproblems: dict[int, Subproblem] = {}
        self._solvers: OrderedDict[tuple[object, ...], tuple[NLP, Solver]] = OrderedDict()
        self._points: dict[int, tuple[int, Point]] = {}
        self._lock = threading.Lock()  # MUMPS does not run twice in one process

    def run(self, task: Task, batch: Batch | None = None) -> Reply:
        """Solve a task; ``batch`` brings the data of a batch that this worker has not seen.

        Nothing is raised: what goes wrong comes back as a `Failure`.
        """
        try:
            with self._lock, one_blas_thread():
                return self._run(task, batch)
        except Exception as error:
            message = str(error) if isinstance(error, CollocodeError) else _described(error)
            return Failure(task.batch, message, isinstance(error, CollocodeError))

    def _run(self, task: Task, batch: Batch | None) -> Reply:
        began = time.perf_counter()
        if batch is None and task.batch not in self._data:
            return Missing(task.batch)
        subproblem, solver = self._prepared(task.batch, batch)
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

    def _prepared(self, number: int, batch: Batch | None) -> tuple[Subproblem, Solver]:
        data = self._data.setdefault(number, batch) if batch is not None else self._data[number]
        key = structure(data, self._settings)
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
            self._forget(self._solvers.popitem(last=False)[1][0])
        return subproblem, solver

    def _forget(self, nlp: NLP) -> None:
        """Drop functions, and the batches' NLPs that hold them; their data stay."""
        held = [k for k, s in self._subproblems.items() if s.nlp.functions is nlp.functions]
        for number in held:
            del self._subproblems[number]


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
