"""What is asked of a network, and what an answer is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, listed
from ..results.status import SolutionStatus, Termination
from .bounds import Bounds
from .constraints import Linear
from .network import ReluNetwork
from .polish import objective as value_at
from .record import Record
from .result import OptimumResult

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked, in the user's units: minimise cost·[x; y] (a maximum has its sign turned).

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
    callback: Callable[..., Any] | None
    start: Array | None = None
    start_seconds: float = 0.0

    def core_cost(self) -> Array:
        """Return the cost over inner inputs and outputs; it lacks the constant cost·shift."""
        network = self.network
        return self.cost * np.concatenate([network.input_scale, network.output_scale])

    def value(self, x: Array) -> float:
        """Return the objective at x, in the sense asked for."""
        return -self.sense * value_at(self.network, self.cost, x)


def weights_of(network: ReluNetwork, objective: int | ArrayLike) -> Array:
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


def judged(
    question: Question,
    proved: Bounds,
    x: Array,
    bound: float,
    termination: Termination,
    message: str,
    nodes: int,
    solver: str,
    local: bool = False,
) -> OptimumResult:
    """Return the result at ``x`` with the status that the point and the bound deserve."""
    found = np.isfinite(x).all()
    y = question.network(x) if found else np.full(question.network.outputs, np.nan)
    value = question.value(x) if found else np.nan
    sense = question.sense
    ranges = np.vstack([question.box, np.transpose(proved.outputs(question.network))])
    sides = np.where(question.cost > 0.0, ranges[:, 0], ranges[:, 1])  # where cost is least
    trivial = float(-sense * question.cost @ sides)  # from the ranges alone
    if termination is not Termination.INFEASIBLE:
        bound = sense * min(sense * bound, sense * trivial) if np.isfinite(bound) else trivial
    distance = sense * (bound - value)
    status = SolutionStatus.FEASIBLE if found else SolutionStatus.NONE
    if termination is Termination.CONVERGED and found and not local:
        status = SolutionStatus.OPTIMAL
        if distance > 1e-3 * max(1.0, abs(value)):
            status = SolutionStatus.FEASIBLE
            message += (
                f"; but the network itself gives {value:.6g} where the encoding claims "
                f"{bound:.6g}: scale the network (scaled) or use bounds='lp'"
            )
    elif termination is Termination.INFEASIBLE and not found:
        status = SolutionStatus.INFEASIBLE
        names = [
            n
            for n, row in zip(question.linear.names, question.linear.A, strict=True)
            if row[question.network.inputs :].any()
        ]
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
        nodes=nodes,
        seconds=np.nan,
        tightening_seconds=proved.seconds,
        root_bound=np.nan,
        embedded_error=np.nan,
        sense=sense,
        solver=solver,
        record=Record("", "", 0, 0, 0, 0, 0, {}, (), 0.0),
        bounds=proved,
    )
