"""`admm`: train over batches of data."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..model.losses import L1, L2
from ..model.problem import Problem
from ..model.varying import penalty_matrix
from ..numerics.scheme import Scheme
from ..results.solution import Solution
from ..solvers.options import merge
from ..solvers.protocol import OnIteration
from ..starts.strategies import start_from
from ..transcription.discretize import MeshLike, discretize
from ..transcription.nlp import NLP
from .batches import Batch, cut
from .checkpoint import Checkpoint
from .consensus import ADMMRules, Consensus
from .coordinator import Coordinator
from .entries import Entries
from .executors import make_executor
from .finish import assembled, finished
from .history import Row, table
from .penalty import consensus_penalty
from .state import Ending, State
from .task import Answer, Settings

Array = NDArray[np.float64]
POINTS = ("coordinator", "workers")
_RHO = 0.02


@dataclass(frozen=True, eq=False)
class Agreement:
    """What `admm` returns.

    Attributes
    ----------
    solution : the whole problem's solution with the consensus network (polished, if asked for).
    ending : why the iteration stopped.
    history : a row an iteration, see `collocode.coordination.history.Row`.
    consensus : consensus entries by name.
    batches : names of the batches.
    polished : whether the whole problem was solved at the end.
    kept_best : whether the consensus is not the last one but the best simulated one.
    troubles : what went wrong without stopping the run.
    executor, workers, seconds : where it ran, and for how long in all.
    """

    solution: Solution
    ending: Ending
    history: pd.DataFrame
    consensus: dict[str, float]
    batches: tuple[str, ...]
    polished: bool
    kept_best: bool
    troubles: tuple[str, ...]
    executor: str
    workers: int
    seconds: float

    @property
    def success(self) -> bool:
        """Whether consensus was reached to the tolerances, or the whole was polished."""
        return self.solution.success and (self.ending is Ending.CONVERGED or self.polished)

    def __repr__(self) -> str:
        scaled = self.history["scaled"].iloc[-1] if len(self.history) else float("nan")
        return (
            f"Agreement({self.solution.name!r}, {self.ending.value} after {len(self.history)} "
            f"iterations, batches={len(self.batches)}, scaled primal residual={scaled:.1e})"
        )


def admm(
    problem: Problem,
    batches: int | Sequence[Sequence[str]] = 2,
    scheme: Scheme | str = "radau",
    degree: int | None = None,
    mesh: MeshLike = None,
    start: str = "gradient_matching",
    seed: int = 0,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    overlap: float = 0.0,
    boundary: str = "shared",
    regularisation: L1 | L2 | None = None,
    rho: float | None = None,
    rules: ADMMRules | None = None,
    iterations: int = 50,
    time_limit: float = np.inf,
    polish: bool = False,
    measure: bool = True,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    points: str = "coordinator",
    solvers: int = 32,
    interface: str = "casadi",
    options: Mapping[str, Any] | None = None,
    on_iteration: Callable[[Row], Any] | None = None,
    on_answer: Callable[[Answer], Any] | None = None,
    on_finish: OnIteration | None = None,
) -> Agreement:
    r"""Train over batches of data by consensus ADMM.

    .. math:: \min \sum_b f_b(x_b, \theta_b) + r(\bar\theta)\quad\text{s.t.}\quad
              \theta_b = \bar\theta

    Parameters
    ----------
    problem : what to identify.
    batches : how many (whole experiments where there are enough of them, else windows in time), or
        groups of experiments' names.
    scheme, degree, mesh, start, seed : as for `fit`; the mesh is that of the whole problem.
    workers : processes of this machine; 1 solves the batches here, one after the other.
    scheduler : address of a Dask scheduler, ``tcp://host:port``, or ``local`` for a cluster of
        ``workers`` processes on this machine; needs ``collocode[cluster]``.
    overlap, boundary : how windows of one experiment meet, see `collocode.coordination.batches.cut`.
    regularisation : `L1` or `L2` of the consensus weights; None takes the problem's.
    rho : first penalty, in units of the loss; None takes 0.02 divided by the number of batches,
        each of which has that part of the loss.
    rules : relaxation, tolerances, how ρ moves; None takes `ADMMRules()`.
    iterations, time_limit : limits, the latter in seconds.
    polish : solve the whole problem at the end, from the consensus.
    measure : simulate every consensus on all data; the best one is kept if the iteration does not
        converge.
    checkpoint : an ``.npz`` file, replaced after every iteration.
    resume : go on from the checkpoint.
    points : ``coordinator`` (the batches' points travel: a lost worker loses nothing, and the
        checkpoint holds all) or ``workers`` (only consensus entries travel).
    solvers : most solvers that a worker keeps; batches of equal structure share one.
    interface, options : of the solver of the batches, as for `solve`.
    on_iteration, on_answer, on_finish : called after every iteration, after every batch, and in
        every iteration of the last solve.

    Returns
    -------
    An `Agreement`, whatever happened: look at ``ending`` and ``troubles``.

    Raises
    ------
    InputError
        Batches that the data do not allow, arguments out of range, a batch whose functions fail, a
        model that cannot be sent to another process.
    FileError
        A checkpoint that cannot be written, read, or is of another run.
    MissingDependency, WorkerError
        A cluster without its package, one that nobody answers for, or without workers.
    """
    began = time.perf_counter()
    _check(workers, iterations, points, resume, checkpoint)
    whole = start_from(discretize(problem, scheme, degree, mesh), start, seed)
    parts = cut(problem, [e.mesh for e in whole.layout.experiments], batches, overlap, boundary)
    entries = Entries.of(whole, parts)
    penalty = consensus_penalty(
        problem.regularisation if regularisation is None else regularisation,
        penalty_matrix(whole.problem.weight_blocks),
        entries.scale[len(entries) - len(whole.layout.weights) :],
    )
    settings = Settings(whole.scheme, start, seed, interface, merge(options), solvers)
    file = Checkpoint.of(checkpoint, parts, entries, penalty, settings)
    copies = [entries.copies(batch) for batch in parts]
    penalty_0 = _RHO / len(parts) if rho is None else rho
    first = Consensus.start(_initial(whole, parts, entries), copies, penalty_0)
    state = State(first, (None,) * len(parts))
    if resume:
        state = file.read(state)
    coordinator = Coordinator(
        parts,
        entries,
        penalty,
        len(whole.layout.weights),
        rules or ADMMRules(),
        iterations,
        time_limit,
        measure,
        file.write if checkpoint is not None else None,
        on_iteration,
        on_answer,
    )
    executor = make_executor(parts, settings, workers, scheduler, points == "workers")
    try:
        state, ending, troubles = coordinator.run(state, executor)
    finally:
        executor.close()
    z, kept_best = state.consensus.z, False
    if ending is not Ending.CONVERGED and state.best[1] is not None:
        kept_best = state.best[1] is not z
        z = state.best[1]
    x = assembled(whole, parts, entries, z, state.points)
    solution = finished(whole, x, polish, interface, options, on_finish)
    seconds = time.perf_counter() - began
    return Agreement(
        replace(solution, result=solution.result.with_timings(total=seconds)),
        ending,
        table(state.history),
        dict(zip(entries.names, (z * entries.scale).tolist(), strict=True)),
        tuple(batch.name for batch in parts),
        polish,
        kept_best,
        tuple(troubles),
        executor.name,
        executor.workers,
        seconds,
    )


def _initial(whole: NLP, batches: Sequence[Batch], entries: Entries) -> Array:
    """Consensus to begin with: what the start strategy found on the whole problem."""
    layout, x, m = whole.layout, whole.start, whole.scheme.intervals
    found: dict[str, float] = {}
    for batch in batches:
        for link in batch.links:
            origin, first = batch.places[link.experiment]
            elements = 0 if link.node == 0 else batch.meshes[link.experiment].elements
            columns = layout.experiments[origin].states[(first + elements) * m]
            for state, column in zip(layout.state_names, columns, strict=True):
                found[f"{state}[{link.key}]"] = x[column]
    for part in layout.experiments:
        for name, column in zip(layout.own_names, part.parameters, strict=True):
            found[f"{name}[{part.name}]"] = x[column]
    found |= dict(zip(layout.shared_names, x[layout.shared], strict=True))
    found |= dict(zip(layout.weight_names, x[layout.weights], strict=True))
    return np.array([found[name] for name in entries.names]) / entries.scale


def _check(
    workers: int, iterations: int, points: str, resume: bool, checkpoint: str | Path | None
) -> None:
    if workers < 1 or iterations < 1:
        raise InputError("workers and iterations must be at least 1.")
    if points not in POINTS:
        raise InputError(f"points stay with the {' or the '.join(POINTS)}, not with {points!r}.")
    if resume and checkpoint is None:
        raise InputError("resume goes on from a checkpoint; name its file by checkpoint=.")
