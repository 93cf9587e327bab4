"""`train`: one verb for all trainers; and that by the simultaneous NLP, whose multipliers are the adjoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...checks import check_choice, check_fields
from ...errors import InputError
from ...kinds import check_type
from ...numerics import Array
from ...results.status import SolverResult, Termination
from ...solvers.protocol import Progress, WarmStart
from ...solvers.solve import make_solver
from ...solvers.threads import one_blas_thread
from ..continuous import ContinuousObjective
from ..network import LayeredNetwork
from ..objective import Objective
from ..program import LayeredProgram, layered_program
from ..samples import Samples
from .descent import LBFGS, Adam, SteepestDescent
from .gauss_newton import GaussNewton
from .run import Limits, Run, Stop, Trainer
from .training import Step, Training, load_training

_INTERFACES = ("casadi", "cyipopt")


@dataclass(frozen=True)
class Simultaneous:
    """All states and weights at once by IPOPT, with exact second derivatives.

    Validation is looked at when it is over, so there is no early stopping; the history has IPOPT's
    objective and dual infeasibility, and in its last row J and ∇J of the weights found.

    Parameters
    ----------
    options : IPOPT options, such as ``{"linear_solver": "spral"}``.
    interface : ``casadi`` or ``cyipopt``.
    warm : start the multipliers from the adjoint of the start; pays after a refinement.

    Raises
    ------
    InputError
        Unknown interface.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    interface: str = "casadi"
    warm: bool = False
    name = "ipopt"

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("interface", self.interface, _INTERFACES)

    def run(self, run: Run, theta: Array, memory: Mapping[str, Array]) -> None:
        """Solve; see `Trainer`."""
        value, gradient = run.gradient(theta)
        run.report(theta, value, float(np.linalg.norm(gradient)))
        program = layered_program(run.objective, theta)
        first = run.iteration - 1

        def progress(at: Progress) -> None:
            if at.iteration:
                run.evaluations += 1.0
                run.gradients += 1.0
                run.note(first + at.iteration, at.objective, at.dual)

        result = self._solve(run, program, theta, first, progress)
        run.adjoint = program.adjoint(result.lam_g)
        theta = program.theta(result.x)
        value, gradient = run.gradient(theta)
        run.iteration = first + result.iterations
        why = result.termination
        message = "" if why is Termination.CONVERGED else result.message
        run.report(theta, value, float(np.linalg.norm(gradient)), termination=why, message=message)

    def _solve(
        self, run: Run, program: LayeredProgram, theta: Array, first: int, progress: Any
    ) -> SolverResult:
        limits: dict[str, Any] = {
            "tol": max(run.limits.tolerance, 1e-12),
            "max_iter": max(0, run.limits.iterations - first),
        }
        if np.isfinite(run.limits.seconds):
            limits["max_wall_time"] = max(1e-3, run.limits.seconds - run.seconds)
        solver = make_solver(program, self.interface, {**limits, **self.options})
        warm = None
        if self.warm:
            P = run.objective.adjoint(theta)
            warm = WarmStart(program.multipliers(P), np.zeros(program.columns))
        return solver.solve(program, warm, progress)


TRAINERS: dict[str, Trainer] = {
    "armijo": SteepestDescent("armijo"),
    "barzilai-borwein": SteepestDescent("barzilai-borwein"),
    "lbfgs": LBFGS(),
    "adam": Adam(),
    "gauss-newton": GaussNewton(),
    "ipopt": Simultaneous(),
}


def train(
    objective: Objective,
    trainer: str | Trainer = "lbfgs",
    start: ArrayLike | None = None,
    *,
    validation: Samples | None = None,
    iterations: int = 500,
    seconds: float = float("inf"),
    tolerance: float = 1e-6,
    patience: int | None = None,
    every: int = 1,
    seed: int = 0,
    callback: Callable[[Step], Any] | None = None,
    checkpoint: str | Path | None = None,
    resume: Training | str | Path | None = None,
) -> Training:
    """Train a layered network.

    Parameters
    ----------
    objective : what is minimised.
    trainer : ``armijo``, ``barzilai-borwein``, ``lbfgs``, ``adam``, ``gauss-newton``, ``ipopt``, or
        one of the classes `SteepestDescent`, `LBFGS`, `Adam`, `GaussNewton`, `Simultaneous` with
        settings of one's own.
    start : (n_weights,) weights; None draws them with ``seed``.
    validation : samples that tell the best iterate and when to stop early.
    iterations, seconds, tolerance, patience, every : limits; see `Limits`.
    callback : called with every `Step`.
    checkpoint : file that is kept up to date and written at the end.
    resume : an earlier training, or its file, to go on from (instead of ``start``).

    Returns
    -------
    A `Training`, whatever happened: its status tells.  Ctrl-C ends it after the iteration.

    Raises
    ------
    InputError
        Unknown trainer, weights or a file of another network, a start at which J is infinite.
    MissingDependency
        ``adam`` without optax.

    Examples
    --------
    >>> from collocode import Mesh
    >>> from collocode.layered import LayeredNetwork, LogisticLoss, squares2d
    >>> samples, validation = squares2d(n=200)
    >>> network = LayeredNetwork(2, 1, 3, Mesh.uniform(0, 5, 5), lift="pad")
    >>> training = train(Objective(network, samples, LogisticLoss()), iterations=60,
    ...                  validation=validation)
    >>> bool(training.history["training"].iloc[-1] > 0.8)
    True
    """
    check_type("train", objective, Objective, ContinuousObjective)
    method, network = _trainer(trainer), objective.network
    if isinstance(objective, ContinuousObjective) and isinstance(
        method, GaussNewton | Simultaneous
    ):
        raise InputError(
            f"{method.name} works on layers, not in continuous depth; choose lbfgs, adam, armijo or "
            "barzilai-borwein."
        )
    earlier = _earlier(resume, start, network)
    theta = network.initial(seed) if start is None else network.checked(start)
    limits = Limits(iterations, seconds, tolerance, patience, every)
    run = Run(objective, limits, method.name, validation, callback, checkpoint, earlier)
    memory: Mapping[str, Array] = {}
    if earlier is not None:
        theta = earlier.theta
        memory = earlier.memory if earlier.trainer == method.name else {}
    with run.interrupt, one_blas_thread():  # a second thread waits more than it works here
        try:
            method.run(run, theta.copy(), memory)
        except Stop as stop:
            done = run.training(stop.termination, stop.message)
    if checkpoint is not None:
        done.save(checkpoint)
    return done


def _earlier(
    resume: Training | str | Path | None, start: ArrayLike | None, network: LayeredNetwork
) -> Training | None:
    """Return the training to go on from, if it is one of this network."""
    earlier = load_training(resume) if isinstance(resume, str | Path) else resume
    if earlier is not None and start is not None:
        raise InputError("give either start or resume, not both.")
    if earlier is not None and earlier.network.description() != network.description():
        raise InputError(
            f"the training to resume is of {earlier.network}, but the objective of {network}."
        )
    return earlier


def _trainer(trainer: str | Trainer) -> Trainer:
    if not isinstance(trainer, str):
        return trainer
    key = trainer.lower().replace("_", "-")
    check_choice("trainer", key, TRAINERS)
    return TRAINERS[key]
