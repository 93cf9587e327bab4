"""`admm`: train over batches of data, by Newton's method or by consensus ADMM."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..checks import counted
from ..errors import CollocodeWarning, InputError, caller_level, is_quiet, quietly
from ..kinds import check_type
from ..model.losses import L1, L2
from ..model.problem import Problem
from ..model.varying import penalty_matrix
from ..numerics import Array
from ..numerics.mesh import Mesh
from ..numerics.schemes import scheme
from ..results.doubts import warn
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.options import merge
from ..solvers.outcome import result
from ..solvers.protocol import OnIteration
from ..solvers.solve import solve
from ..solvers.threads import single_threaded
from ..transcription.layout import Layout
from ..transcription.nlp import NLP
from .checkpoint import Checkpoint, CheckpointFile
from .consensus import ADMMRules
from .coordinator import ADMM, Callbacks, run
from .executors import Executor, InProcess
from .newton import Newton
from .newton_state import NewtonRules, NewtonState
from .partition import Batch, Groups, Partition, measurements
from .split import only_collocation
from .state import State, table
from .subproblem import FitSettings
from .variables import ConsensusVariables, consensus_regulariser

_MOST_WEIGHTS = 2000  # half the square of their number travels from every batch in every iteration


@dataclass(frozen=True, eq=False, kw_only=True)
class ADMMResult:
    """What `admm` returns.

    Attributes
    ----------
    solution : the whole problem's solution with the consensus network (polished, if asked for).
    termination, message : why the iteration stopped, in a word and in a sentence.
    history : one row per iteration, see `collocode.coordination.state.Iteration`.
    consensus : consensus variables by name.
    batches : names of the batches.
    polished : whether the whole problem was solved at the end.
    kept_best : whether the consensus is not the last one but the best simulated one.
    warnings : what went wrong without stopping the run.
    executor, workers, seconds : where it ran, and for how long in all.
    """

    solution: Solution
    termination: Termination
    message: str
    history: pd.DataFrame
    consensus: dict[str, float]
    batches: tuple[str, ...]
    polished: bool
    kept_best: bool
    warnings: tuple[str, ...]
    executor: str
    workers: int
    seconds: float

    @property
    def success(self) -> bool:
        """Whether consensus was reached to the tolerances, or the whole was polished."""
        agreed = self.termination is Termination.CONVERGED
        return self.solution.success and (agreed or self.polished)

    @cached_property
    def mse(self) -> float:
        """Mean squared error of the returned model against all data, simulated.

        From the states that were fitted to the consensus, over whole experiments, in the data's units:
        other initial states than those of ``history.batch_mse``, which each batch fits to its own network.
        """
        errors = [s.simulated for s in self.solution.score() if s.role == "train"]
        counts = [measurements(part.experiment) for part in self.solution.trajectories]
        return float(np.average(errors, weights=counts))

    def __repr__(self) -> str:
        scaled = self.history["scaled"].iloc[-1] if len(self.history) else float("nan")
        return (
            f"ADMMResult({self.solution.name!r}, {self.termination.value} after "
            f"{counted(len(self.history), 'iteration')}, batches={len(self.batches)}, scaled primal residual={scaled:.1e})"
        )


@single_threaded
def admm(
    problem: Problem,
    batches: int | Groups | Partition = 2,
    *,
    rules: ADMMRules | NewtonRules | None = None,
    executor: Executor | None = None,
    settings: FitSettings | None = None,
    regularisation: L1 | L2 | None = None,
    checkpoint: Checkpoint | str | Path | None = None,
    polish: bool = False,
    callbacks: Callbacks | None = None,
) -> ADMMResult:
    r"""Train over batches of data, by Newton's method or by consensus ADMM.

    .. math:: \min \sum_b f_b(x_b, \theta_b) + r(\bar\theta)\quad\text{s.t.}\quad
              \theta_b = \bar\theta

    With `NewtonRules` the batches linearise and the coordinator steps: the optimum is that of one NLP.
    With `ADMMRules` each batch is solved in every iteration, and their networks are averaged.

    Parameters
    ----------
    problem : what to identify.
    batches : how many (whole experiments where there are enough of them, else windows in time),
        groups of experiments' names, or a `Partition`.
    rules : `NewtonRules` or `ADMMRules`; None takes the former, but the latter where there are an `L1`,
        constraints, points that stay with the workers, or more than 2000 weights.
    executor : where the batches are solved: `InProcess` (None), `ProcessPool` or `DaskCluster`; the
        iterates are the same everywhere.
    settings : scheme, mesh, start and solver; None takes `FitSettings()`, what `fit` does.
    regularisation : `L1` or `L2` of the consensus weights; None takes the problem's.
    checkpoint : a file that is replaced after every iteration, and whether to go on from it.
    polish : solve the whole problem at the end, from the consensus.
    callbacks : see `Callbacks`.

    Returns
    -------
    An `ADMMResult`, whatever happened: look at ``termination`` and ``warnings``.

    Raises
    ------
    InputError
        Batches that the data do not allow, a batch whose functions fail, a model that cannot be sent
        to another process.
    FileError
        A checkpoint that cannot be written, read, or is of another run.
    MissingDependency, WorkerError
        A cluster without its package, one that nobody answers for, or without workers.

    Warns
    -----
    CollocodeWarning
        Batches that do not agree at the end, or a fit that should not be believed.
    """
    with quietly():
        found = _found(
            problem,
            batches,
            rules,
            executor,
            settings,
            regularisation,
            checkpoint,
            polish,
            callbacks,
        )
    _warn(found)
    return found


def _warn(found: ADMMResult) -> None:
    """Emit one `CollocodeWarning` if the batches do not agree, or what they agree on should not be believed."""
    if found.success or not found.solution.success:
        warn(found.solution)
    elif found.termination is not Termination.INTERRUPTED and not is_quiet():
        warnings.warn(
            f"{found.solution.name}: the batches do not agree ({found.termination.value}: {found.message}), so "
            "that this is no optimum of the whole; collocode.findings(result) says what to do.",
            CollocodeWarning,
            stacklevel=caller_level(),
        )


def _found(
    problem: Problem,
    batches: int | Groups | Partition,
    rules: ADMMRules | NewtonRules | None,
    executor: Executor | None,
    settings: FitSettings | None,
    regularisation: L1 | L2 | None,
    checkpoint: Checkpoint | str | Path | None,
    polish: bool,
    callbacks: Callbacks | None,
) -> ADMMResult:
    """Return the result of `admm`."""
    check_type("admm", problem, Problem)
    _check_decisions(problem)
    if isinstance(rules, NewtonRules):
        problem.refuse_decisions("NewtonRules")
    began = time.perf_counter()
    partition = batches if isinstance(batches, Partition) else Partition(batches)
    settings, callbacks = settings or FitSettings(), callbacks or Callbacks()
    given, executor = (
        problem.penalty if regularisation is None else regularisation,
        executor or InProcess(),
    )
    rules = rules or usual_rules(problem, given, executor.points)()
    whole = settings.begun(problem)
    parts = partition.cut(problem, [e.mesh for e in whole.layout.experiments])
    variables = ConsensusVariables.of(whole, parts)
    regulariser = consensus_regulariser(given, penalty_matrix(whole.problem.weight_blocks))
    coordinator = _coordinator(rules, problem, variables, regulariser, parts)
    state: Any = coordinator.start(whole, parts)
    if isinstance(rules, NewtonRules) and executor.points != "coordinator":
        raise InputError(
            "NewtonRules keeps the batches' points with the coordinator; leave out points= or give "
            "rules=ADMMRules()."
        )
    save = None
    if checkpoint is not None:
        wanted = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
        file = CheckpointFile.of(wanted.path, parts, variables, regulariser, settings)
        state, save = file.read(state) if wanted.resume else state, file.write
    session = executor.open(parts, settings)
    try:
        limits = rules.iterations, rules.time_limit
        outcome = run(coordinator, session, state, *limits, save=save, callbacks=callbacks)
    finally:
        session.close()
    state, agreed = outcome.state, outcome.termination is Termination.CONVERGED
    z, kept_best = state.z, False
    if isinstance(state, State) and not agreed and state.best[1] is not None:
        z, kept_best = state.best[1], state.best[1] is not z
    x = variables.assembled(whole, parts, z, [None if p is None else p.x for p in state.points])
    if agreed and isinstance(state, NewtonState) and not polish:
        solution = _optimum(whole, x, variables, parts, state, settings)
    else:
        solution = _finished(whole.with_start(x), settings, polish, callbacks.on_finish)
    seconds = time.perf_counter() - began
    return ADMMResult(
        solution=replace(solution, result=solution.result.with_timings(total=seconds)),
        termination=outcome.termination,
        message=outcome.message,
        history=table(state.history),
        consensus=variables.named(z),
        batches=coordinator.batches,
        polished=polish,
        kept_best=kept_best,
        warnings=outcome.warnings,
        executor=session.name,
        workers=session.workers,
        seconds=seconds,
    )


def _coordinator(
    rules: NewtonRules | ADMMRules,
    problem: Problem,
    variables: ConsensusVariables,
    regulariser: Any,
    parts: Sequence[Batch],
) -> ADMM | Newton:
    """Return what agrees on the shared variables by these rules."""
    if isinstance(rules, NewtonRules):
        if not len(variables):
            raise InputError(
                f"the batches of problem {problem.name!r} have nothing in common that they could agree on; "
                "fit every experiment by itself."
            )
        return Newton.of(rules, variables, variables.ridge(regulariser), parts)
    names = tuple(batch.name for batch in parts)
    return ADMM(rules=rules, variables=variables, regulariser=regulariser, batches=names)


def _check_decisions(problem: Problem) -> None:
    """Refuse what batches cannot have apart: no data at all, linked windows, one control in several."""
    if not problem.n_measurements:
        raise InputError(
            f"admm agrees on what batches of data share, and problem {problem.name!r} has no data; use fit "
            "for it."
        )
    if problem.links:
        raise InputError(
            f"link {problem.links[0].name!r} joins windows of problem {problem.name!r}, which batches of admm "
            "cannot solve apart; use fit for it."
        )
    shared = [n for e in problem.experiments for n, c in e.controls.items() if c.shared]
    if shared:
        raise InputError(
            f"windows share control {shared[0]!r}, and batches of admm agree on parameters and weights only; "
            "use fit for it."
        )


def usual_rules(problem: Problem, given: L1 | L2, points: str) -> type[ADMMRules | NewtonRules]:
    """Return what rules a problem gets of which none are said: Newton's, where they are possible.

    Parameters
    ----------
    problem, given : the latter is the regularisation.
    points : where the executor keeps the batches' points.
    """
    if problem.decides:
        return ADMMRules
    ends = [(e.start, e.end) for e in problem.experiments]
    meshes = [Mesh.uniform(a, b, 1) for a, b in ends if a is not None and b is not None]
    layout = Layout.of(problem, meshes, scheme("radau"))
    few = len(layout.weights) <= _MOST_WEIGHTS and only_collocation(layout)
    newton = few and not isinstance(given, L1) and points == "coordinator"
    return NewtonRules if newton else ADMMRules


def _optimum(
    nlp: NLP,
    x: Array,
    variables: ConsensusVariables,
    batches: Sequence[Batch],
    state: NewtonState,
    settings: FitSettings,
) -> Solution:
    """Read the whole problem's solution off the batches: nothing is left to solve."""
    found = [(p.lam_g, p.lam_x) for p in state.points]
    lam_g, lam_x = variables.multipliers(nlp, batches, found, state.net)
    history = table(state.history)
    point = x / nlp.column_scale, lam_g / nlp.row_scale, lam_x * nlp.column_scale
    answer = result(
        nlp,
        point,
        None,
        "Solve_Succeeded",
        merge(settings.options, settings.deterministic),
        history={k: history[k].to_numpy(dtype=float) for k in ("objective", "primal", "dual")},
        interface="batches",
        solver="Newton's method",
        linear_solver="condensed by batch",
    )
    return Solution.of(nlp, answer)


def _finished(
    nlp: NLP, settings: FitSettings, polish: bool, on_iteration: OnIteration | None
) -> Solution:
    """Fit the states of all data to the consensus in the NLP's start, or with ``polish`` everything.

    The batches' copies differ by the primal residual, so their trajectories belong to slightly
    different networks.  With weights and shared parameters fixed this is one NLP without the dense
    border of weights, from the batches' trajectories; with ``polish`` it is the monolithic problem.
    """
    held = nlp
    if not polish:
        fixed = np.concatenate([nlp.layout.shared, nlp.layout.weights])
        lower, upper = nlp.lower.copy(), nlp.upper.copy()
        lower[fixed] = upper[fixed] = nlp.start[fixed]
        held = replace(nlp, lower=lower, upper=upper)
    solution = solve(
        held,
        settings.interface,
        settings.options,
        deterministic=settings.deterministic,
        on_iteration=on_iteration,
    )
    # the bounds were a means: what a consensus is worth (intervals, bands) is asked of the whole
    return replace(solution, nlp=nlp)
