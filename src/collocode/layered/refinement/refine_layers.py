r"""`refine_layers`: train, estimate, mark, bisect, train on; a network that grows where it pays.

A bisected layer leaves its weights to both halves, fitted to do together what it did (`prolong`), so that
every training begins about where the last one ended.  A refinement is accepted if its network is no worse
than its parent, in J and in validation loss; else the one layer that can be split with the least harm is
tried, and if that fails too, the loop ends.  It also ends when the estimated error is below a tolerance,
when validation no longer improves, or at a budget.  The setting is that of Hintermüller, Hinze & Korolev,
*Layerwise goal-oriented adaptivity for neural ODEs: an optimal control perspective*, arXiv 2601.07397.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...adapt.loop import Budget, adapt
from ...adapt.marking import Marking
from ...checks import check_choice, check_whole
from ...errors import InputError
from ...kinds import check_type
from ...numerics import Array
from ...results.status import Termination
from ...solvers.interrupt import Interrupt
from ...solvers.threads import one_blas_thread
from ..depth import one_each
from ..network import LayeredNetwork
from ..objective import LayeredProblem
from ..trainers.run import Trainer
from ..trainers.train import TRAINERS, Simultaneous
from ..trainers.training import Step, Training, load_training
from .estimate import INDICATORS, estimate_layers
from .method import Layers, Solved
from .prolong import Prolongation
from .result import LayerCycle, LayerRefinement

OnCycle = Callable[[LayerCycle], Any]
ACCEPT = ("better", "all")
PROLONG = ("fit", "copy")
_LONG = 20  # times as many iterations for the reference, at most


def refine_layers(
    problem: LayeredProblem,
    trainer: str | Trainer = "lbfgs",
    *,
    tol: float | None = None,
    max_layers: int = 20,
    max_cycles: int = 20,
    rule: str = "dorfler",
    theta: float = 0.5,
    number: int = 1,
    indicator: str = "error",
    stall: int | None = 3,
    gain: float = 0.02,
    iterations: int = 100,
    tolerance: float = 1e-4,
    patience: int | None = None,
    seconds: float = float("inf"),
    start: ArrayLike | Training | str | Path | None = None,
    seed: int = 0,
    prolongation: str = "fit",
    accept: str | None = None,
    reference: int | None = None,
    compare: bool = False,
    checkpoint: str | Path | None = None,
    on_cycle: OnCycle | None = None,
    callback: Callable[[Step], Any] | None = None,
) -> LayerRefinement:
    """Train a layered network on a layer mesh that is refined where it pays.

    Parameters
    ----------
    problem : network to begin with, samples, loss, validation.
    trainer : as for `collocode.layered.trainers.train`.
    tol : bound of the estimated discretization error of the objective; None leaves it to validation.
        It counts as reached if the weights are optimal and the network before, corrected by its
        estimate, agrees: so train long enough (``iterations``, ``tolerance``).
    max_layers, max_cycles, seconds : budget.
    rule, theta, number : as for `collocode.adapt.marking.mark`.
    indicator : what is marked: ``error``, layers that the discretization error comes from; ``freedom``,
        layers whose halves want weights of their own.
    stall : cycles without a better validation score after which it stops; None goes on.
    gain : share of the validation error (one less accuracy) that a better score has to take away.
    iterations, tolerance, patience : limits of every cycle's training; see `collocode.layered.Limits`.
    start : weights of the first network; or a training, or its file, whose network goes before the
        problem's: so a run goes on from its checkpoint.
    seed : of the first weights.
    prolongation : ``fit``, halves that do together what the layer did; ``copy``, halves with its weights.
    accept : ``better``, only networks that are no worse than their parent in J and in validation loss;
        ``all``. None means ``all`` where there is a ``tol``: the error of J is wanted then, not a small J.
    reference : layers to which the last network is refined at the end, and trained until it converges (or
        for twenty times the iterations): J of that is what the table's ``error`` and ``effectivity`` are against; see
        `LayerRefinement.against_fine`.
    compare : whether to bisect all layers in a second run from the same first training.
    checkpoint : file that keeps the last cycle's training.
    on_cycle, callback : called with every `LayerCycle`, and with every `Step` of a training.

    Returns
    -------
    A `LayerRefinement`; its ``network`` and ``theta`` are those of the best validation score.

    Raises
    ------
    InputError
        A rule, indicator or budget that makes no sense, a block without an estimator, ``freedom``
        where a basis ties the layers' weights together.

    Examples
    --------
    >>> from collocode import Mesh
    >>> from collocode.layered import LayeredNetwork, LogisticLoss, squares2d
    >>> samples, validation = squares2d(n=200)
    >>> network = LayeredNetwork(inputs=2, outputs=1, width=2, mesh=Mesh.uniform(0, 8, 1))
    >>> problem = LayeredProblem(network, samples, LogisticLoss(), validation=validation)
    >>> found = refine_layers(problem, max_layers=4, iterations=60, stall=None)
    >>> layers = [cycle.layers for cycle in found.cycles]
    >>> layers[0], 1 < max(layers) <= 4
    (1, True)
    """
    check_type("refine_layers", problem, LayeredProblem)
    _check(problem.network, tol, indicator, stall, gain)
    budget = Budget(max_layers, max_cycles, seconds, "layer")
    accept = ("better" if tol is None else "all") if accept is None else accept
    check_choice("accept", accept, ACCEPT)
    check_choice("prolongation", prolongation, PROLONG)
    problem, weights = _first(problem, start, seed)
    budget.check(problem.network.layers, "network")
    how: dict[str, Any] = {"iterations": iterations, "tolerance": tolerance, "patience": patience}
    how |= {"callback": callback, "checkpoint": checkpoint}
    method = Layers(
        problem=problem,
        trainer=_method(trainer),
        tol=tol,
        marking=Marking(rule, theta, number),
        most=max_layers,
        indicator=indicator,
        stall=stall,
        gain=gain,
        fit=prolongation == "fit",
        choosy=accept == "better",
        how=how,
    )
    estimate_layers(problem.objective, weights, freedom=False)  # refuses before hours of training
    # the matrices of a layer are too small for more threads: they wait for each other
    with one_blas_thread(), Interrupt():
        began = time.perf_counter()
        first = Prolongation(network=problem.network, theta=weights)
        trained = Solved(method.train(first, seconds))
        spent = time.perf_counter() - began
        found = method.refinement(adapt(method, trained, spent, budget, on_cycle))
        if found.termination is Termination.INTERRUPTED or found.termination.failed:
            return found
        found = (
            found
            if reference is None
            else found.against_fine(reference, iterations=_LONG * iterations)
        )
        if not compare:
            return found
        how = {**how, "checkpoint": None}
        beside = replace(method, marking=Marking("uniform"), how=how)
        uniform = beside.refinement(adapt(beside, trained, spent, budget, on_cycle))
        return found.with_uniform(replace(uniform, reference=found.reference))


def _first(
    problem: LayeredProblem, start: ArrayLike | Training | str | Path | None, seed: int
) -> tuple[LayeredProblem, Array]:
    """Return the problem with the network to begin with, and its weights."""
    earlier = load_training(start) if isinstance(start, str | Path) else start
    if isinstance(earlier, Training):
        return problem.with_network(earlier.network), earlier.theta
    if earlier is None:
        return problem, problem.network.initial(seed)
    return problem, problem.network.checked(earlier)


def _method(trainer: str | Trainer) -> str | Trainer:
    """Return the trainer; a named IPOPT starts its multipliers from the adjoint, which pays here."""
    named = TRAINERS.get(trainer) if isinstance(trainer, str) else trainer
    return replace(named, warm=True) if isinstance(named, Simultaneous) else trainer


def _check(
    network: LayeredNetwork, tol: float | None, indicator: str, stall: int | None, gain: float
) -> None:
    """Refuse settings that make no sense."""
    if tol is not None and not (np.isfinite(tol) and tol > 0.0):
        raise InputError(f"the tolerance must be positive and finite, not {tol}.")
    if stall is not None:
        check_whole("stall", stall)
    if not 0.0 <= gain < 1.0:
        raise InputError(f"gain must lie in [0, 1), not {gain}.")
    check_choice("indicator", indicator, INDICATORS)
    if indicator == "freedom" and not one_each(network):
        raise InputError(
            f"with the basis {network.time_basis!r} a bisected layer gets no weights of its own, so "
            "there is no freedom to estimate; take indicator='error'."
        )
