"""What is asked of a network, how its answer is sought, and what the answer is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import check_fields, check_has, counted, listed
from ..errors import InputError
from ..numerics import Array
from ..results.status import SolutionStatus, Termination
from .bounds import Bounds, core_box
from .constraints import Linear
from .encodings import check_encoding
from .mip import EncodingSummary
from .network import ReluNetwork


@dataclass(frozen=True, eq=False, kw_only=True)
class OptimizationSettings:
    """How an optimum over a network is sought.

    Attributes
    ----------
    encoding, partitions : see `embed`.
    bounds, time_budget, workers : see `proved_bounds`.  With ``split``, parts of the box that cannot
        beat the point found first are dropped before anything is encoded, if the constraints are
        linear; with few inputs little is left to search.
    scaling : ``neuron`` or ``layer`` scales network and bounds before they are encoded, see `scaled`.
    solver : ``highs``, ``scip``, ``gurobi``, or another name that Pyomo knows;
        ``complementarity`` always runs IPOPT and finds a local optimum.
    time_limit : seconds of the solver, without the bounds.  When it is over, the best point and
        the best bound are returned.
    warm : give HiGHS a point found by walking over linear regions.
    root : solve the LP relaxation too, for ``root_bound``.
    options : of the solver, by its own names.

    Raises
    ------
    InputError
        An unknown encoding, a number out of its range.
    """

    encoding: str = "bigm"
    partitions: int = 2
    bounds: Any = "split"
    time_budget: float | None = None
    workers: int = 1
    scaling: str | None = None
    solver: str = "highs"
    time_limit: float | None = None
    warm: bool = True
    root: bool = True
    options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_encoding(self.encoding, self.partitions)
        if self.time_limit is not None and not self.time_limit >= 0.0:
            raise InputError(f"time_limit must be a number of seconds, not {self.time_limit}.")

    def changed(self, changes: Mapping[str, Any]) -> OptimizationSettings:
        """Return the settings with others by name.

        Raises
        ------
        InputError
            A name that is none of them.
        """
        for name in changes:
            if name in _OBJECTIVE:
                raise InputError(
                    f"an optimization has no setting {name!r}; what is optimized is told by objective=, the "
                    "number of an output or weights of the outputs."
                )
            check_has("an optimization", "setting", name, [f.name for f in fields(self)])
        return replace(self, **changes)


# what others call the objective
_OBJECTIVE = ("weights", "cost", "costs", "goal", "output", "outputs", "target", "function")


@dataclass(frozen=True, eq=False, kw_only=True)
class OptimizationProblem:
    """Minimise cost·[x; y] over y = N(x), the box and constraints (a maximum has its sign turned).

    Attributes
    ----------
    network, box, linear : where y = N(x), and x may be.
    cost : (inputs + outputs,).
    sense : 1 if a maximum was asked for, else -1.
    callback : constraints written by the user over Pyomo variables, or None.
    start, start_seconds : a good feasible point (inner inputs) or None, and the time it took.
    """

    network: ReluNetwork
    box: Array
    linear: Linear
    cost: Array
    sense: int
    callback: Callable[..., Any] | None = None
    start: Array | None = None
    start_seconds: float = 0.0

    def core(self) -> OptimizationProblem:
        """Return the problem over inner inputs and outputs; its cost lacks the constant cost·shift."""
        network = self.network
        return replace(
            self,
            network=network.core(),
            box=core_box(network, self.box),
            linear=self.linear.core(network),
            cost=self.cost * np.concatenate([network.input_scale, network.output_scale]),
        )

    def cost_at(self, x: Array) -> Any:
        """Return cost·[x; N(x)] at x, (inputs,) or (samples, inputs)."""
        return np.concatenate([x, self.network(x)], axis=-1) @ self.cost

    def value(self, x: Array) -> float:
        """Return the objective at x, in the sense asked for."""
        return -self.sense * float(self.cost_at(x))

    def bound_of_ranges(self, proved: Bounds) -> float:
        """Return the bound of the objective that follows from the ranges of inputs and outputs."""
        ranges = np.vstack([self.box, np.transpose(proved.outputs(self.network))])
        sides = np.where(self.cost > 0.0, ranges[:, 0], ranges[:, 1])  # where the cost is least
        return float(-self.sense * self.cost @ sides)


def objective_weights(network: ReluNetwork, objective: int | ArrayLike) -> Array:
    """Return the objective as weights of [x; y].

    Raises
    ------
    InputError
        No such output, or another shape.
    """
    n, m = network.inputs, network.outputs
    if isinstance(objective, int | np.integer) and not isinstance(objective, bool):
        if not 0 <= objective < m:
            raise InputError(f"objective is output {objective}, but there are {m}, from 0.")
        return np.concatenate([np.zeros(n), np.eye(m)[objective]])
    weights = np.asarray(objective, dtype=float)
    if weights.shape not in ((m,), (n + m,)) or not np.isfinite(weights).all():
        raise InputError(
            f"objective must be the number of an output, ({m},) weights of the outputs or "
            f"({n + m},) weights of inputs and outputs, all finite; its shape is {weights.shape}."
        )
    return np.concatenate([np.zeros(n), weights]) if len(weights) == m else weights


@dataclass(frozen=True, eq=False, kw_only=True)
class OptimumResult:
    """The optimum, or the best point and the best bound when the solver stopped early.

    Attributes
    ----------
    x : (inputs,) the best point, NaN if there is none.
    y : (outputs,) the network's outputs at x, by forward evaluation.
    value : the objective at (x, y).
    bound : no feasible point is better than this.
    status, termination, message : what the point is worth, why the solver stopped, its own word.
    nodes : branch-and-bound nodes; -1 where the solver does not say.
    seconds : of the solver; ``tightening_seconds`` of the bounds before it.
    root_bound : optimum of the LP relaxation (NaN where it was not asked for or is no LP).
    embedded_error : largest difference between the encoding's outputs and y, in units of the
        output scale.
    sense : 1 for a maximum, -1 for a minimum.
    solver, summary, bounds : what ran, what it was given, and the ranges it was built from.
    """

    x: Array
    y: Array
    value: float
    bound: float
    status: SolutionStatus
    termination: Termination
    message: str
    nodes: int
    seconds: float
    tightening_seconds: float
    root_bound: float = np.nan
    embedded_error: float
    sense: int
    solver: str
    summary: EncodingSummary
    bounds: Bounds

    @property
    def gap(self) -> float:
        """Distance from value to bound, relative to max(1, |value|); inf without a point."""
        if not np.isfinite(self.value):
            return np.inf
        return max(0.0, self.sense * (self.bound - self.value)) / max(1.0, abs(self.value))

    @property
    def root_gap(self) -> float:
        """Distance from value to the bound of the LP relaxation, relative as in ``gap``."""
        return self.sense * (self.root_bound - self.value) / max(1.0, abs(self.value))

    @property
    def success(self) -> bool:
        """Whether the value is proved to be the optimum, to the solver's tolerance."""
        return self.status is SolutionStatus.OPTIMAL

    @property
    def encoding(self) -> str:
        """Name of the encoding."""
        return self.summary.encoding

    def __repr__(self) -> str:
        return (
            f"OptimumResult({'max' if self.sense > 0 else 'min'} {self.value:.6g}, "
            f"bound {self.bound:.6g}, {self.status.value} ({self.termination.value}), "
            f"{counted(self.nodes, 'node')}, {self.seconds:.3g} s + {self.tightening_seconds:.3g} s of "
            f"tightening, {self.solver})"
        )


def assessed(
    problem: OptimizationProblem,
    proved: Bounds,
    *,
    x: Array,
    bound: float,
    termination: Termination,
    message: str,
    local: bool = False,
    **told: Any,
) -> OptimumResult:
    """Return the result at ``x`` with the status that the point and the bound deserve.

    Parameters
    ----------
    x, bound, termination, message : the solver's answer, NaN where it has none.
    local : whether it proves nothing about other points.
    told : the rest of `OptimumResult`, as it is.
    """
    network, sense = problem.network, problem.sense
    found = bool(np.isfinite(x).all())
    y = network(x) if found else np.full(network.outputs, np.nan)
    value = problem.value(x) if found else np.nan
    if termination is not Termination.INFEASIBLE:
        trivial = problem.bound_of_ranges(proved)
        bound = sense * min(sense * bound, sense * trivial) if np.isfinite(bound) else trivial
    status = SolutionStatus.FEASIBLE if found else SolutionStatus.NONE
    if termination is Termination.CONVERGED and found and not local:
        status = SolutionStatus.OPTIMAL
        if sense * (bound - value) > 1e-3 * max(1.0, abs(value)):
            status = SolutionStatus.FEASIBLE
            message += (
                f"; but the network itself gives {value:.6g} where the encoding claims "
                f"{bound:.6g}: scale the network (scaled) or use bounds='lp'"
            )
    elif termination is Termination.INFEASIBLE and not found:
        status = SolutionStatus.INFEASIBLE
        on_outputs = np.flatnonzero(problem.linear.A[:, network.inputs :].any(axis=1))
        names = [problem.linear.names[row] for row in on_outputs]
        message += (
            f": no input in the box satisfies {listed(names) if names else 'the constraints'}"
        )
    return OptimumResult(
        x=x,
        y=y,
        value=value,
        bound=bound,
        status=status,
        termination=termination,
        message=message,
        tightening_seconds=proved.seconds,
        sense=sense,
        bounds=proved,
        **told,
    )
