"""A small problem in four batches, one of which goes wrong when it is told to."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import casadi as ca
import numpy as np

import collocode as cc
from collocode.coordination.checkpoint import CheckpointFile
from collocode.coordination.consensus import ADMMRules, Consensus
from collocode.coordination.coordinator import ADMM, Callbacks, Outcome, run
from collocode.coordination.executors import Executor, Session
from collocode.coordination.partition import Batch, Partition
from collocode.coordination.state import State
from collocode.coordination.subproblem import FitSettings, Task
from collocode.coordination.variables import ConsensusVariables
from collocode.results.status import Termination
from collocode.starts.strategies import start_from

BATCHES, TRAPPED = 4, 2


@dataclass(frozen=True, eq=False)
class Trap(cc.Signal):
    """An input that raises, or kills its process, if a file in ``folder`` asks for it."""

    folder: str = ""

    def __call__(self, times: Any, left: Any = False) -> Any:
        here = Path(self.folder)
        if self._sprung(here / "raise once"):
            raise RuntimeError("the sensor is on fire")
        if (here / "raise").exists() and np.ndim(times) == 0:  # in simulations
            raise RuntimeError("the sensor has burnt down")
        if (here / "misuse").exists():
            raise cc.InputError("the sensor was never connected")
        if self._sprung(here / "die once") or (here / "die").exists():
            worker = multiprocessing.parent_process() is not None or "MAY_DIE" in os.environ
            assert worker, "that would be the end of the tests"
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(times, left)

    @staticmethod
    def _sprung(file: Path) -> bool:
        """Whether the file was there; it is gone now, so that this happens once."""
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
            return True
        return False


def oscillators(folder: str = "", samples: int = 21, number: int = BATCHES) -> cc.Problem:
    """ẍ = N(x, ẋ) - x + u from noisy runs of the damped oscillator; the third has a `Trap`."""
    rng, t = np.random.default_rng(1), np.linspace(0.0, 3.0, samples)
    experiments = []
    for k in range(number):
        a, b = rng.uniform(0.5, 1.5, 2)
        x = np.exp(-0.3 * t) * (a * np.cos(t) + b * np.sin(t))
        v = np.gradient(x, t)
        noise = 0.01 * rng.standard_normal((samples, 2))
        # it varies, if hardly: what does not is looked up once, and springs no trap
        signal_ = Trap([0.0, 3.0], [0.0, 1e-9], folder=folder if k == TRAPPED else "/nowhere")
        experiments.append(
            cc.Experiment(
                t,
                np.column_stack([x, v]) + noise,
                ("x", "v"),
                inputs={"u": signal_},
                name=f"run {k}",
            )
        )
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: ca.vertcat(x.v, nn(x.x, x.v) - p.k * x.x + u.u),
        networks={"nn": cc.MLP((2, 3, 1))},
        parameters=[cc.Parameter("k", 0.8)],
    )
    return cc.Problem(dynamics, experiments, regularisation=cc.L2(1e-4))


@dataclass(frozen=True, eq=False)
class Case:
    """All that a run needs but its executor, as `admm` prepares it."""

    batches: tuple[Batch, ...]
    variables: ConsensusVariables
    settings: FitSettings
    first: State
    penalty: Any

    @classmethod
    def of(cls, problem: cc.Problem, number: int = BATCHES) -> Case:
        whole = start_from(cc.discretize(problem, mesh=8), "gradient_matching", 0)
        batches = Partition(number).cut(problem, [e.mesh for e in whole.layout.experiments])
        variables = ConsensusVariables.of(whole, batches)
        columns = np.concatenate([whole.layout.shared, whole.layout.weights])
        z = whole.start[columns] / variables.scale[-len(columns) :]
        z = np.concatenate([np.zeros(len(variables) - len(z)), z])
        consensus = Consensus.start(z, [variables.copies(b) for b in batches], 0.02 / number)
        first = State(consensus, (None,) * number)
        return cls(batches, variables, FitSettings(), first, problem.regularisation)

    def checkpoint(self, path: Path) -> CheckpointFile:
        return CheckpointFile.of(path, self.batches, self.variables, self.penalty, self.settings)

    def open(self, executor: Executor) -> Session:
        return executor.open(self.batches, self.settings)

    def tasks(self, *numbers: int) -> list[Task]:
        """The tasks of the first iteration, of all batches or of some."""
        c = self.first.consensus
        return [
            Task(
                batch=b,
                iteration=0,
                target=c.target(b),
                consensus=c.z[c.copies[b]],
                rho=c.rho,
                simulate=False,
            )
            for b in numbers or range(len(self.batches))
        ]

    def outcome(
        self,
        session: Session,
        iterations: int = 4,
        state: State | None = None,
        save: Callable[[State], Any] | None = None,
        simulate: bool = True,
        time_limit: float = np.inf,
        **callbacks: Any,
    ) -> Outcome:
        coordinator = ADMM(
            rules=ADMMRules(absolute=1e-12, relative=0.0, simulate=simulate),
            variables=self.variables,
            regulariser=self.penalty,
            batches=tuple(batch.name for batch in self.batches),
        )
        return run(
            coordinator,
            session,
            state or self.first,
            iterations,
            time_limit,
            save=save,
            callbacks=Callbacks(**callbacks),
        )

    def run(self, session: Session, *how: Any, **more: Any) -> tuple[State, Termination, list[str]]:
        found = self.outcome(session, *how, **more)
        return found.state, found.termination, list(found.warnings)


def environment(**more: str) -> dict[str, str]:
    """Variables of a process that is to import these tests and what they test."""
    path = os.pathsep.join([os.getcwd(), *sys.path])
    return {**os.environ, "PYTHONPATH": path, **more}


def at(iteration: int, do: Callable[[], Any]) -> Callable[[Any], None]:
    """Return an ``on_iteration`` that does something after one of the iterations."""

    def look(row: Any) -> None:
        if row.iteration == iteration:
            do()

    return look
