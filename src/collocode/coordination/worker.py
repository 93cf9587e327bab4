"""What runs in a worker process: batches as they come, few solvers, one at a time.

A worker keeps the NLPs of its batches (data, bounds, a start: small) and the built functions and
solvers (large) apart.  Batches of equal structure share the latter; of different structures the
least recently used solver is given up when there are too many.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from ..errors import CollocodeError
from ..numerics.parallel import threads
from ..solvers.processes import deserialize
from ..solvers.protocol import Solver
from ..solvers.solve import make_solver
from ..solvers.threads import one_blas_thread
from ..transcription.nlp import NLP
from .condensed import Condensed, answered
from .messages import Answer, NewtonTask
from .partition import Batch
from .split import Split
from .subproblem import BatchResult, FitSettings, Point, Subproblem, Task, structure

_ONE_SOLVE = threading.Lock()  # MUMPS does not run twice in one process, whoever asks


@dataclass(frozen=True)
class Missing:
    """A worker's reply to a task of a batch that it has never seen: it wants its data."""

    batch: int


@dataclass(frozen=True)
class Failure:
    """A worker's reply to a task that raised: the message, and whether the input is to blame."""

    batch: int
    message: str
    input_error: bool = False


Question = Task | NewtonTask
Reply = BatchResult | Answer | Missing | Failure


class Worker:
    """Solves tasks; state is a cache only, so that losing it costs time and nothing else.

    Parameters
    ----------
    settings : the same for all batches.
    solvers : most solvers that are kept.
    keeps_points : points stay here instead of travelling back with the results.
    """

    def __init__(
        self, settings: FitSettings, solvers: int = 32, keeps_points: bool = False
    ) -> None:
        self._settings, self._most, self._keeps_points = settings, solvers, keeps_points
        self._data: dict[int, Batch] = {}
        self._structures: dict[int, tuple[object, ...]] = {}
        self._subproblems: dict[int, Subproblem] = {}
        self._solvers: OrderedDict[tuple[object, ...], tuple[NLP, Solver | None]] = OrderedDict()
        self._splits: dict[int, Split] = {}
        self._linear: OrderedDict[int, Condensed] = OrderedDict()
        self._points: dict[int, tuple[int, Point]] = {}

    def run(self, task: Question, batch: Batch | bytes | None = None) -> Reply:
        """Solve a task; ``batch`` brings the data, maybe serialized, of one that was never seen here.

        Nothing is raised: what goes wrong comes back as a `Failure`, and what was built for the
        batch is given up, so that another try begins from its data.
        """
        try:
            with _ONE_SOLVE, one_blas_thread(), threads(1):  # workers are many already
                return self._run(task, batch)
        except Exception as error:
            self._forget(task.batch)
            message = str(error) if isinstance(error, CollocodeError) else described(error)
            return Failure(task.batch, message, isinstance(error, CollocodeError))

    def _run(self, task: Question, batch: Batch | bytes | None) -> Reply:
        began = time.perf_counter()
        if task.batch not in self._data:
            if batch is None:
                return Missing(task.batch)
            self._data[task.batch] = deserialize(batch) if isinstance(batch, bytes) else batch
        if isinstance(task, NewtonTask):
            return self._linearised(task)
        subproblem, solver = self._prepared(task.batch)
        built = time.perf_counter() - began
        kept = self._kept(task)
        if not task.solve:
            return replace(subproblem.simulate(task, kept), point=None)
        result = subproblem.solve(solver, task, kept)
        assert result.point is not None
        if self._keeps_points:
            self._points[task.batch] = (task.iteration, result.point)
            result = replace(result, point=None)
        return replace(result, build_seconds=built)

    def _kept(self, task: Task) -> Point | None:
        if task.point is not None or task.iteration == 0:
            return task.point
        iteration, point = self._points.get(task.batch, (-1, None))
        return point if iteration == task.iteration - 1 else None

    def _linearised(self, task: NewtonTask) -> Answer:
        """Answer a task of Newton's method; the last linearisations are kept."""
        number = task.batch
        subproblem = self._subproblem(number)
        if number not in self._splits:
            self._splits[number] = Split.of(subproblem)
        last = self._linear.pop(number, None)
        answer, here = answered(subproblem.nlp, self._splits[number], task, last)
        self._linear[number] = here
        if len(self._linear) > self._most:
            self._linear.popitem(last=False)
        return answer

    def _prepared(self, number: int) -> tuple[Subproblem, Solver]:
        subproblem, key = self._subproblem(number), self._structures[number]
        nlp, solver = self._solvers[key]
        if solver is None:
            settings = self._settings
            how = (settings.interface, settings.options, settings.deterministic)
            solver = make_solver(nlp, *how)
            self._solvers[key] = nlp, solver
        return subproblem, solver

    def _subproblem(self, number: int) -> Subproblem:
        data = self._data[number]
        key = self._structures.get(number)
        if key is None:
            key = self._structures[number] = structure(data, self._settings)
        if key in self._solvers:
            self._solvers.move_to_end(key)
            if number not in self._subproblems:
                like = self._solvers[key][0]
                self._subproblems[number] = Subproblem(data, self._settings, like=like)
            return self._subproblems[number]
        subproblem = self._subproblems[number] = Subproblem(data, self._settings)
        self._solvers[key] = subproblem.nlp, None
        if len(self._solvers) > self._most:
            self._give_up(next(iter(self._solvers)))
        return subproblem

    def _give_up(self, key: tuple[object, ...]) -> None:
        """Drop a solver, its functions, and the NLPs that hold them; the batches' data stay."""
        if self._solvers.pop(key, None) is not None:
            for number in [k for k in self._subproblems if self._structures[k] == key]:
                for kept in (self._subproblems, self._splits, self._linear):
                    kept.pop(number, None)

    def _forget(self, number: int) -> None:
        """Drop all that belongs to a batch, the solver that it shares included."""
        key = self._structures.pop(number, None)
        for kept in (self._data, self._subproblems, self._points, self._splits, self._linear):
            kept.pop(number, None)
        if key is not None:
            self._give_up(key)


def described(error: BaseException) -> str:
    """An exception of unknown origin in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
