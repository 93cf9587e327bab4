r"""Optimize over a network: the best input within a box and constraints.

.. math:: \max\ w \cdot [x; y]\quad\text{over}\quad y = N(x),\ \underline x \le x \le \overline x,\
          \underline r \le A [x; y] \le \overline r

The bounds are proved first, the encoding is written, HiGHS gets it directly, started from a point
that `collocode.relu.polish` found; its answer is polished and evaluated by the network itself.
SCIP, Gurobi, IPOPT (for ``complementarity``) and constraints in Pyomo go through
`collocode.relu.through_pyomo`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..results.status import Termination
from ..solvers.interrupt import Interrupt
from .bounds import Bounds, as_box, core_box
from .constraints import Linear, as_linear, require_feasible
from .embed import check_encoding
from .encodings import encode, values_at
from .highs import MipAnswer, MipProgress, OnProgress, load, relaxation_bound, solve_mip
from .network import ReluNetwork
from .polish import objective as value_at
from .polish import polish, walk
from .proof import proved_bounds
from .question import Question, judged, weights_of
from .record import record_of
from .result import OptimumResult
from .scaling import scaled, scaled_bounds
from .split import split
from .tighten import lp_bounds

Array = NDArray[np.float64]
_GAP = 1e-6  # HiGHS' own 1e-4 leaves optima of different encodings visibly apart
_TERMINATION = {
    "Optimal": Termination.CONVERGED,
    "Infeasible": Termination.INFEASIBLE,
    "Time limit reached": Termination.TIME_LIMIT,
    "Iteration limit reached": Termination.ITERATION_LIMIT,
    "Solution limit reached": Termination.ITERATION_LIMIT,
    "Interrupted by user": Termination.INTERRUPTED,
}


def maximize(
    network: ReluNetwork,
    box: ArrayLike,
    constraints: Any = None,
    *,
    objective: int | ArrayLike = 0,
    encoding: str = "bigm",
    bounds: Any = "split",
    scaling: str | None = None,
    solver: str = "highs",
    time_limit: float | None = None,
    time_budget: float | None = None,
    workers: int = 1,
    partitions: int = 2,
    warm: bool = True,
    root: bool = True,
    options: Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
) -> OptimumResult:
    """Return the input at which a network's output is largest.

    Parameters
    ----------
    box : (inputs, 2) lower and upper bounds of the inputs.
    constraints : linear constraints on inputs, or inputs and outputs (see `as_linear`), or a
        function ``f(model, x, y)`` that adds constraints to a Pyomo model.
    objective : number of an output, weights of the outputs, or weights of inputs and outputs.
    encoding, partitions : see `embed`.
    bounds, time_budget, workers : see `proved_bounds`.  With ``split``, parts of the box that cannot
        beat the point found first are dropped before anything is encoded, if ``constraints`` are
        linear; with few inputs little is left to search.
    scaling : ``neuron`` or ``layer`` scales network and bounds before they are encoded, see `scaled`.
    solver : ``highs``, ``scip``, ``gurobi``, or another name that Pyomo knows;
        ``complementarity`` always runs IPOPT and finds a local optimum.
    time_limit : seconds of the solver, without the bounds.  When it is over, the best point and
        the best bound are returned.
    warm : give HiGHS a point found by walking over linear regions.
    root : solve the LP relaxation too, for ``root_bound``.
    options : of the solver, by its own names.
    on_progress : called with a `MipProgress` now and then (HiGHS without Pyomo).

    Raises
    ------
    InputError
        An unbounded input; constraints that cannot hold, named; an unknown name.
    MissingDependency
        A solver that is not installed, with what to install.

    Examples
    --------
    >>> absolute = ReluNetwork(([[1.0], [-1.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    >>> found = maximize(absolute, [(-2.0, 1.0)])
    >>> found.x, found.value, found.status.value
    (array([-2.]), 2.0, 'optimal')
    """
    given = {k: v for k, v in locals().items() if k not in ("network", "box", "constraints")}
    return _optimise(network, box, constraints, 1, **given)


def minimize(
    network: ReluNetwork, box: ArrayLike, constraints: Any = None, **settings: Any
) -> OptimumResult:
    """Return the input at which a network's output is smallest; arguments as for `maximize`."""
    known = set(maximize.__kwdefaults__ or {})
    strange = sorted(set(settings) - known)
    if strange:
        raise InputError(f"minimize has no argument {strange[0]!r}; it has {', '.join(known)}.")
    return _optimise(
        network, box, constraints, -1, **{**(maximize.__kwdefaults__ or {}), **settings}
    )


def _optimise(
    network: ReluNetwork,
    box: ArrayLike,
    constraints: Any,
    sense: int,
    *,
    objective: int | ArrayLike,
    encoding: str,
    bounds: Any,
    scaling: str | None,
    solver: str,
    time_budget: float | None,
    workers: int,
    partitions: int,
    **settings: Any,
) -> OptimumResult:
    check_encoding(encoding, partitions)
    limit = settings["time_limit"]
    if limit is not None and not limit >= 0.0:
        raise InputError(f"time_limit must be a number of seconds, not {limit}.")
    callback = constraints if callable(constraints) else None
    linear = as_linear(network, None if callback else constraints)
    cost = -sense * weights_of(network, objective)
    question = Question(network, as_box(network, box), linear, cost, sense, callback)
    require_feasible(network, question.box, linear)
    if callback is None and (settings["warm"] or bounds == "split"):
        question = _started(question)
    question, proved = _proved(question, bounds, time_budget, workers)
    if scaling is not None:
        question = replace(question, network=scaled(network, proved, scaling))
        proved = scaled_bounds(network, proved, scaling)
    if solver == "highs" and callback is None and encoding != "complementarity":
        return _by_highs(question, proved, encoding, partitions, **settings)
    from .through_pyomo import by_pyomo

    return by_pyomo(question, proved, encoding, partitions, solver, **settings)


def _started(question: Question) -> Question:
    """Look for a good feasible point."""
    began = time.perf_counter()
    network = question.network
    start = walk(
        network.core(),
        question.core_cost(),
        core_box(network, question.box),
        question.linear.core(network),
    )
    return replace(question, start=start, start_seconds=time.perf_counter() - began)


def _proved(
    question: Question, bounds: Any, time_budget: float | None, workers: int
) -> tuple[Question, Bounds]:
    """Prove bounds; with ``split`` and a known point, only where it can be beaten."""
    began = time.perf_counter()
    network, linear = question.network, question.linear
    if isinstance(bounds, str) and bounds == "split" and question.callback is None:
        core, cost, box = network.core(), question.core_cost(), core_box(network, question.box)
        value = np.inf if question.start is None else value_at(core, cost, question.start)
        hull, known = split(core, box, linear.core(network), cost, value, None, time_budget)
        shift, scale = network.input_shift[:, None], network.input_scale[:, None]
        low, up = question.box.T[:, :, None]
        question = replace(question, box=np.clip(shift + scale * hull, low, up))
        if time_budget is not None:
            time_budget = max(0.0, time_budget - known.seconds)
        proved = lp_bounds(network, question.box, linear, time_budget, workers, known)
    else:
        proved = proved_bounds(network, question.box, bounds, linear, time_budget, workers)
    return question, replace(proved, seconds=time.perf_counter() - began)


def _by_highs(
    question: Question,
    proved: Bounds,
    encoding: str,
    partitions: int,
    *,
    time_limit: float | None,
    warm: bool,
    root: bool,
    options: Mapping[str, Any] | None,
    on_progress: OnProgress | None,
) -> OptimumResult:
    network = question.network
    core, inner = network.core(), question.linear.core(network)
    box = core_box(network, question.box)
    program, x, y = encode(network, proved, box, encoding, partitions)
    both = np.concatenate([x, y])
    if len(inner.A):
        program.add_rows("constraint", [(both, inner.A)], inner.lower, inner.upper)
    arrays, cost = program.arrays(), np.zeros(program.columns)
    cost[both] = question.core_cost()
    shift = np.concatenate([network.input_shift, network.output_shift])
    constant = float(question.cost @ shift)
    relaxed = relaxation_bound(arrays, cost) + constant if root else np.nan
    began = time.perf_counter()
    start = question.start if warm else None
    highs = load(arrays, cost, True, {"mip_rel_gap": _GAP, **(options or {})})

    def told(line: MipProgress) -> None:
        sides = (-question.sense * (v + constant) for v in (line.incumbent, line.bound))
        assert on_progress is not None
        on_progress(MipProgress(line.seconds, line.nodes, *sides))

    with Interrupt() as interrupt:
        answer = solve_mip(
            highs,
            None if time_limit is None else max(0.0, time_limit - question.start_seconds),
            None if start is None else values_at(program, core, x, y, start),
            None if on_progress is None else told,
            lambda: interrupt.requested,
        )
    point = None if answer.x is None else np.clip(answer.x[x], box[:, 0], box[:, 1])
    error = np.nan if answer.x is None else float(np.abs(core(answer.x[x]) - answer.x[y]).max())
    candidates = [point, question.start]
    if point is not None:
        candidates.insert(1, polish(core, cost[both], box, inner, point))
    point = _best(core, cost[both], inner, candidates)
    found = _result(question, proved, answer, point, constant)
    return replace(
        found,
        root_bound=-question.sense * relaxed,
        seconds=question.start_seconds + time.perf_counter() - began,
        embedded_error=error,
        record=record_of(network, program, encoding, proved),
    )


def _best(
    core: ReluNetwork, cost: Array, inner: Linear, points: list[Array | None]
) -> Array | None:
    """Return the best of the points that satisfy the constraints (else the first of all)."""
    known = [p for p in points if p is not None]
    allowed = [p for p in known if inner.satisfied(core, p[None], 1e-6)[0]] or known[:1]
    return min(allowed, key=lambda p: value_at(core, cost, p), default=None)


def _result(
    question: Question, proved: Bounds, answer: MipAnswer, point: Array | None, constant: float
) -> OptimumResult:
    """Judge an answer of HiGHS; ``point`` is in inner inputs."""
    network, sense = question.network, question.sense
    termination = _TERMINATION.get(answer.status, Termination.ERROR)
    x = np.full(network.inputs, np.nan)
    if point is not None:
        x = np.clip(network.input_shift + network.input_scale * point, *question.box.T)
    return judged(
        question, proved, x, -sense * (answer.bound + constant), termination, answer.status,
        answer.nodes, "highs",
    )  # fmt: skip
