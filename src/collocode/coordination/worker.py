"""What runs in a worker process: batches as they come, few solvers, one at a time.

A worker keeps the NLPs of its batches (data, bounds, a start: small) and the built functions and
solvers (large) apart.  Batches of equal structure share the latter; of different structures the
least recently used solver is given up when there are too many.

Models are written anywhere: in scripts, notebooks, files given to the command line, lambdas.  A
process elsewhere can import what is installed and nothing else, so functions and classes of all
other modules travel with their code.
"""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from ..errors import CollocodeError, InputError
from ..numerics.parallel import threads
from ..solvers.protocol import Solver
from ..solvers.solve import make_solver
from ..solvers.threads import one_blas_thread
from ..transcription.nlp import NLP
from .condensed import Condensed, answered
from .messages import Answer, NewtonTask
from .partition import Batch
from .split import Split
from .subproblem import BatchResult, FitSettings, Point, Subproblem, Task, structure

_PACKAGE = __name__.partition(".")[0]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
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


# ---- processes and what is sent to them -----------------------------------------------------------


@contextmanager
def isolated() -> Iterator[None]:
    """Start processes that leave Ctrl-C to the caller, have one BLAS thread each, and no script.

    A signal that is blocked here is blocked in the children too, from their first instruction on.
    A spawned process would import the caller's script, and begin what that begins; models bring
    their code along instead, see `serialize`.
    """
    before = {name: os.environ.get(name) for name in _THREADS}
    main = sys.modules["__main__"]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def serialize(value: Any, what: str) -> bytes:
    """Return ``value`` as bytes; ``what`` names it in messages.

    Raises
    ------
    InputError
        It holds something that cannot be sent, such as an open file.
    """
    try:
        with _code_included():
            return bytes(cloudpickle.dumps(value))
    except Exception:  # a module's globals may not travel where the module itself can be imported
        try:
            return bytes(cloudpickle.dumps(value))
        except Exception as error:
            raise InputError(
                f"{what} cannot be sent to another process ({' '.join(str(error).split())}); keep "
                "open files, locks and symbols out of the model, or solve in this process."
            ) from error


def deserialize(data: bytes) -> Any:
    """Return what `serialize` was given."""
    return cloudpickle.loads(data)


@contextmanager
def _code_included() -> Iterator[None]:
    modules = [m for m in list(sys.modules.values()) if not _installed(m)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _installed(module: ModuleType) -> bool:
    """Whether every Python with the same packages can import the module."""
    known = getattr(module, "__dict__", {})  # getattr on the module itself may set off an import
    name, file = str(known.get("__name__")), known.get("__file__")
    if file is None or sys.modules.get(name) is not module:
        return True
    return _is_ours(name) or _in_environment(str(file))


@cache  # a thousand modules are looked at for every batch
def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in (_PACKAGE, "__main__", "__mp_main__")


@cache
def _in_environment(file: str) -> bool:
    return any(file.startswith(root) for root in _roots())


@cache
def _roots() -> tuple[str, ...]:
    paths = {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix}
    return tuple({text for path in paths for text in (str(path), str(Path(path).resolve()))})
