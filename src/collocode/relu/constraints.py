"""Linear constraints on the inputs (and outputs) of a network: lower <= A [x; y] <= upper.

They are given in the style of `scipy.optimize.LinearConstraint`, in the user's units.  Those on
inputs alone also tighten bounds; all of them enter the optimization.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog

from ..checks import apart, counted, listed
from ..errors import InputError
from ..numerics import Array
from .bounds import Bounds, affine_range, as_box, sample_box
from .network import ReluNetwork


@dataclass(frozen=True, eq=False)
class Linear:
    """lower <= A [x; y] <= upper, one row per constraint, in the user's units.

    Attributes
    ----------
    A : (rows, inputs + outputs).
    lower, upper : (rows,).
    names : (rows,) what messages call them.
    """

    A: Array
    lower: Array
    upper: Array
    names: tuple[str, ...]

    def satisfied(self, network: ReluNetwork, x: Array, slack: float = 1e-9) -> Array:
        """Tell for each of (samples, inputs) points whether it satisfies all constraints."""
        if not len(self.A):
            return np.ones(len(x), dtype=bool)
        value = np.hstack([x, network(x)]) @ self.A.T
        size = slack * (1.0 + np.abs(value))
        return np.asarray(((value >= self.lower - size) & (value <= self.upper + size)).all(axis=1))

    def core(self, network: ReluNetwork) -> Linear:
        """Return the same constraints over the inner inputs and outputs (see `ReluNetwork.core`)."""
        shift = np.concatenate([network.input_shift, network.output_shift])
        scale = np.concatenate([network.input_scale, network.output_scale])
        offset = self.A @ shift
        return Linear(self.A * scale, self.lower - offset, self.upper - offset, self.names)

    def on_inputs(self, network: ReluNetwork) -> Linear:
        """Return those constraints that no output enters."""
        rows = np.flatnonzero(~self.A[:, network.inputs :].any(axis=1))
        names = tuple(self.names[row] for row in rows)
        return Linear(self.A[rows], self.lower[rows], self.upper[rows], names)


def as_linear(network: ReluNetwork, constraints: Any) -> Linear:
    """Check linear constraints.

    Parameters
    ----------
    constraints : None; an object with ``A``, ``lb``, ``ub`` as `scipy.optimize.LinearConstraint`; a
        tuple (A, lower, upper); or a list of these.  A has one column per input, or one per input
        and then one per output.

    Raises
    ------
    InputError
        Another kind or shape, values that are not finite, crossed sides, named by position.
    """
    n, m = network.inputs, network.outputs
    if constraints is None:
        return Linear(np.zeros((0, n + m)), np.zeros(0), np.zeros(0), ())
    if isinstance(constraints, Linear):
        return constraints
    parts = constraints if isinstance(constraints, list) else [constraints]
    rows: list[Array] = []
    lower: list[Array] = []
    upper: list[Array] = []
    names: list[str] = []
    for number, part in enumerate(parts):
        A, low, up = _checked(part, f"constraint {number}", n, m)
        rows.append(A)
        lower.append(low)
        upper.append(up)
        label = f"constraint {number}" if len(parts) > 1 else "the constraint"
        names += [label if len(A) == 1 else f"row {i} of {label}" for i in range(len(A))]
    if not rows:
        return as_linear(network, None)
    return Linear(np.vstack(rows), np.concatenate(lower), np.concatenate(upper), tuple(names))


def _checked(part: Any, name: str, n: int, m: int) -> tuple[Array, Array, Array]:
    if all(hasattr(part, key) for key in ("A", "lb", "ub")):
        part = (part.A, part.lb, part.ub)
    if not isinstance(part, tuple) or len(part) != 3:
        raise InputError(
            f"{name} must be (A, lower, upper) or a scipy.optimize.LinearConstraint, not "
            f"{type(part).__name__}; several of them go into a list."
        )
    A = part[0].toarray() if hasattr(part[0], "toarray") else part[0]
    try:
        A = np.atleast_2d(np.array(A, dtype=float))
        low, up = (np.broadcast_to(np.array(s, dtype=float), (len(A),)) for s in part[1:])
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} does not fit together: {error}.") from error
    if A.ndim != 2 or A.shape[1] not in (n, n + m):
        raise InputError(
            f"{name} has {counted(A.shape[-1], 'column')}; it needs {n} (inputs) or {n + m} (inputs, outputs)."
        )
    if not np.isfinite(A).all() or np.isnan(low).any() or np.isnan(up).any():
        raise InputError(f"{name} has values that are not finite.")
    if (low > up).any():
        row = int(np.flatnonzero(low > up)[0])
        told = apart(low[row], up[row])
        raise InputError(f"{name} asks for {told[0]} <= ... <= {told[1]}, which is empty.")
    if A.shape[1] == n:
        A = np.hstack([A, np.zeros((len(A), m))])
    return A, low, up


def require_feasible(network: ReluNetwork, box: Any, linear: Linear) -> None:
    """Refuse constraints on inputs that no point of the box satisfies.

    Raises
    ------
    InputError
        Naming a constraint that fails alone, or a set that fails together.
    """
    ours = linear.on_inputs(network)
    if not len(ours.A):
        return
    low, up = as_box(network, box).T
    A = ours.A[:, : network.inputs]
    least, most = affine_range(A, np.zeros(len(A)), low, up)
    slack = 1e-9 * (1.0 + np.abs(A) @ np.maximum(np.abs(low), np.abs(up)))
    for row in np.flatnonzero((least > ours.upper + slack) | (most < ours.lower - slack)):
        told = apart(ours.lower[row], ours.upper[row], least[row], most[row])
        raise InputError(
            f"{ours.names[row]} cannot hold: it asks for a value in [{told[0]}, "
            f"{told[1]}], but over the box it is in [{told[2]}, {told[3]}]."
        )
    violated = _least_violated(A, ours, low, up, slack)
    if violated:
        raise InputError(
            f"the constraints cannot hold together within the box; the least relaxation changes "
            f"{listed(violated)}."
        )


def _least_violated(A: Array, ours: Linear, low: Array, up: Array, slack: Array) -> list[str]:
    """Minimise the sum of violations; return the names of those above the slack."""
    n, rows = A.shape[1], len(A)
    unit = np.eye(rows)
    blocks, sides = [], []
    for sign, side in ((1.0, ours.upper), (-1.0, -ours.lower)):
        finite = np.isfinite(side)
        blocks.append(np.hstack([sign * A, -unit])[finite])
        sides.append(side[finite])
    cost = np.concatenate([np.zeros(n), 1.0 / np.maximum(np.abs(A).sum(axis=1), 1e-300)])
    limits = [*zip(low, up, strict=True), *[(0.0, None)] * rows]
    found = linprog(cost, np.vstack(blocks), np.concatenate(sides), bounds=limits)
    excess = found.x[n:] if found.x is not None else np.zeros(rows)
    return [ours.names[row] for row in np.flatnonzero(excess > slack + 1e-7 * np.abs(excess))]


def sampled_range(
    network: ReluNetwork,
    box: ArrayLike,
    samples: int = 10_000,
    seed: int = 0,
    constraints: Any = None,
) -> Bounds:
    """Return the range that the pre-activations reach at random inputs: bounds from inside.

    Parameters
    ----------
    samples : points of the box, see `sample_box`.
    constraints : linear constraints on the inputs; points that violate them are left out.

    Raises
    ------
    InputError
        An unbounded input; no sample satisfies the constraints.
    """
    points = sample_box(as_box(network, box), samples, seed)
    points = points[as_linear(network, constraints).satisfied(network, points)]
    if not len(points):
        raise InputError(
            f"none of {samples} random inputs satisfies the constraints; give more samples, or "
            "looser constraints."
        )
    reached = network.pre_activations(points)
    low, up = (tuple(side(a, axis=0) for a in reached) for side in (np.min, np.max))
    return Bounds(low, up, kind="sampled")
