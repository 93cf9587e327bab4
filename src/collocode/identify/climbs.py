"""Climbs from scattered parameters: one after the other or in processes, with the same results, resumable.

What a climb found is a record of numbers, which travels from a worker process and into a checkpoint, and
becomes a `Solution` here.  When a climb is given up depends on the best of those that stand at least
`LAG` places before it in the list, and on nothing that another order of finishing would change.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np

from ..adapt.first_mesh import meshes_at_samples
from ..archives import Schema
from ..conditions import check_conditions
from ..errors import FileError
from ..forms import Numbers
from ..model.problem import Problem
from ..numerics import Array
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.interrupt import Interrupt
from ..solvers.processes import deserialize, isolated, serialize
from ..solvers.protocol import OnIteration
from ..solvers.threads import one_blas_thread
from ..transcription.discretize import discretize
from ..transcription.nlp import NLP
from .fisher_scoring import ScoringResult
from .scoring_fit import climbed, solution_of
from .shooting import Shooting, can_be_shot
from .starting_points import hopeless

Start = Sequence[Mapping[str, float]]  # candidates, values of parameters in natural units
LAG = 8  # places in the list; no more processes have work at a time
_TICK = 0.1  # seconds between two looks at whether to stop
CHECKPOINT = Schema(
    "multistart",
    1,
    "a checkpoint of a multistart",
    {
        "conditions": {"*": str},
        "climbs": {
            "*": {
                "meshes": [{"points": Numbers(("points",), finite=True)}],
                "x": Numbers(("columns",)),
                "value": float,
                "termination": Termination,
                "history": Numbers(("iterations",)),
                "seconds": float,
            }
        },
        "finished": bool,
    },
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Climb:
    """What a climb found: point and meshes, -log L with the priors' share; no point if it could not begin."""

    meshes: tuple[Array, ...]
    x: Array
    value: float
    termination: Termination
    history: Array
    seconds: float

    @property
    def began(self) -> bool:
        """Whether there is a point."""
        return len(self.x) > 0

    @property
    def tree(self) -> dict[str, Any]:
        """For a checkpoint."""
        told = {k: getattr(self, k) for k in ("x", "value", "history", "seconds")}
        meshes = [{"points": points} for points in self.meshes]
        return {**told, "meshes": meshes, "termination": self.termination.name}

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> Climb:
        """Of what `tree` gave."""
        meshes = tuple(mesh["points"] for mesh in tree["meshes"])
        return cls(**{**tree, "meshes": meshes, "termination": Termination[tree["termination"]]})


@dataclass(frozen=True, eq=False)
class Climber:
    """Climbs one problem from parameters of any values."""

    problem: Problem
    scheme: Scheme
    shares: tuple[float, ...] = ()

    @cached_property
    def nlp(self) -> NLP:
        """The program that climbs begin on."""
        return discretize(self.problem, self.scheme, mesh=meshes_at_samples(self.problem))

    @cached_property
    def shooting(self) -> Shooting | None:
        """What simulates them first, if that can be."""
        return Shooting(self.problem) if can_be_shot(self.problem) else None

    def climb(self, start: Start, best: float, on_iteration: OnIteration | None = None) -> Climb:
        """Climb from the best of a start's candidates, and give up what will not come near the ``best``."""
        began = time.perf_counter()
        found = climbed(self.nlp, start, on_iteration, hopeless(best), self.shares, self.shooting)
        seconds = time.perf_counter() - began
        if found is None:
            nothing, end = np.empty(0), Termination.EVALUATION_ERROR
            return Climb(
                meshes=(),
                x=nothing,
                value=np.inf,
                termination=end,
                history=nothing,
                seconds=seconds,
            )
        nlp, scored = found
        return Climb(
            meshes=tuple(part.mesh.points for part in nlp.layout.experiments),
            x=scored.x,
            value=scored.value,
            termination=scored.termination,
            history=np.array(scored.history),
            seconds=seconds,
        )

    def solution(self, climb: Climb) -> Solution:
        """Return the `Solution` of a climb that began.

        Raises
        ------
        FileError
            It belongs to another program.
        """
        own = [part.mesh.points for part in self.nlp.layout.experiments]
        same = len(own) == len(climb.meshes) and all(map(np.array_equal, own, climb.meshes))
        meshes = tuple(Mesh(points) for points in climb.meshes)
        nlp = self.nlp if same else discretize(self.problem, self.scheme, mesh=meshes)
        if nlp.columns != len(climb.x):
            raise FileError("the checkpoint's climbs are of another problem; delete it.")
        scored = ScoringResult(
            x=climb.x,
            value=climb.value,
            termination=climb.termination,
            history=tuple(climb.history.tolist()),
            damping=0.0,
        )
        return solution_of(nlp, scored, climb.seconds)


@dataclass
class Climbs:
    """Climbs from a list of starts; those that are ``done``, by place in the list, are not done again."""

    climber: Climber
    starts: Sequence[Start]
    done: dict[int, Climb] = field(default_factory=dict)

    def best_before(self, place: int) -> float:
        """The least value of those that stand so far before a start that it may know them."""
        known = [self.done[k].value for k in range(max(0, place - LAG + 1))]
        return min(known, default=np.inf)

    def _ready(self, waiting: Sequence[int]) -> int | None:
        """The next start, unless what it has to know is not there yet."""
        if waiting and all(k in self.done for k in range(max(0, waiting[0] - LAG + 1))):
            return waiting[0]
        return None

    def run(
        self, workers: int, interrupt: Interrupt, on_iteration: OnIteration | None = None
    ) -> Iterator[int]:
        """Climb from what is not done yet, and give the place of what is, until told to stop."""
        waiting = [k for k in range(len(self.starts)) if k not in self.done]
        workers = min(workers, LAG, len(waiting))
        if workers < 2:
            for place in waiting:
                best = self.best_before(place)
                self.done[place] = self.climber.climb(self.starts[place], best, on_iteration)
                yield place
                if interrupt.requested:
                    return
            return
        pool = _Pool(workers, self.climber)
        try:
            yield from self._in_processes(pool, waiting, interrupt)
        finally:
            pool.close()

    def _in_processes(self, pool: _Pool, waiting: list[int], interrupt: Interrupt) -> Iterator[int]:
        while (waiting or pool.busy) and not interrupt.requested:
            if not (pool.idle or pool.busy):  # all have died
                yield from self.run(1, interrupt)
                return
            while pool.idle and (place := self._ready(waiting)) is not None:
                waiting.pop(0)
                pool.send(place, (self.starts[place], self.best_before(place)))
            for place, climb in pool.answers():
                if climb is None:  # the process died, which another may not
                    best = self.best_before(place)
                    climb = self.climber.climb(self.starts[place], best)
                self.done[place] = climb
                yield place


class _Pool:
    """Processes that each climb from one start at a time; they end with their pipes."""

    def __init__(self, workers: int, climber: Climber) -> None:
        setup = serialize(climber, "the problem")
        context = multiprocessing.get_context("spawn")
        self.idle: list[Connection] = []
        self.busy: dict[Connection, int] = {}
        self._processes = []
        with isolated():
            for _ in range(workers):
                mine, there = context.Pipe()
                process = context.Process(target=_serve, args=(there, setup), daemon=True)
                process.start()
                there.close()
                self._processes.append(process)
                self.idle.append(mine)

    def send(self, place: int, task: tuple[Start, float]) -> None:
        """Hand the next start to an idle process."""
        pipe = self.idle.pop(0)
        self.busy[pipe] = place
        with suppress(OSError):  # if it is dead, reading will tell
            pipe.send(task)

    def answers(self) -> Iterator[tuple[int, Climb | None]]:
        """What has come by now; None of a process that died."""
        for pipe in wait(list(self.busy), timeout=_TICK):
            assert isinstance(pipe, Connection)
            place, climb = self.busy.pop(pipe), None
            try:
                climb = pipe.recv()
                self.idle.append(pipe)
            except (EOFError, OSError):
                pipe.close()
            yield place, climb

    def close(self) -> None:
        """End the processes, the busy ones too."""
        for pipe in (*self.idle, *self.busy):
            pipe.close()
        for process in self._processes:
            process.terminate()
            process.join()


def _serve(pipe: Connection, setup: bytes) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's business
    climber: Climber = deserialize(setup)
    with suppress(EOFError, OSError), one_blas_thread():
        while True:
            pipe.send(climber.climb(*pipe.recv()))


@dataclass(frozen=True)
class ClimbsFile:
    """The checkpoint of a multistart: what climbs found, by seed, and for what that holds."""

    path: Path
    conditions: Mapping[str, Any]

    def read(self) -> dict[int, Climb]:
        """Return what climbs found, by seed; nothing if there is no file.

        Raises
        ------
        FileError
            It is no checkpoint, or one of another problem or other seeds.
        """
        if not CHECKPOINT.place(self.path).is_file():
            return {}
        tree = CHECKPOINT.read(self.path, dict)
        check_conditions(self.path, tree["conditions"], self.conditions)
        return {int(seed): Climb.of(climb) for seed, climb in tree["climbs"].items()}

    def write(self, climbs: Mapping[int, Climb], finished: bool = False) -> None:
        """Write all in one step.

        Raises
        ------
        FileError
            The folder is missing or cannot be written.
        """
        trees = {str(seed): climb.tree for seed, climb in climbs.items()}
        told = {"conditions": dict(self.conditions), "climbs": trees, "finished": finished}
        CHECKPOINT.write(self.path, told)
