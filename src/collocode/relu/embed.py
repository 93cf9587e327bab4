r"""A network inside a Pyomo model: one verb, the outputs and a summary of what was added.

>>> import pyomo.environ as pyo
>>> model = pyo.ConcreteModel()
>>> model.x = pyo.Var(bounds=(-2.0, 1.0))
>>> absolute = ReluNetwork(([[1.0], [-1.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
>>> added = embed(model, absolute, [model.x])
>>> model.largest = pyo.Objective(expr=added.outputs[0], sense=pyo.maximize)
>>> done = pyo.SolverFactory("highs").solve(model)
>>> model.x.value, len(added.binaries), added.summary.units["undecided"]
(-2.0, 2, 2)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import counted
from ..errors import InputError
from ..export.operations import pyomo_environ
from ..kinds import kinds_checked
from ..numerics import Array
from .bounds import Bounds, as_box, core_box
from .encodings import check_encoding, encode, mip_start
from .mip import EncodingSummary, MixedIntegerProgram, summarise
from .network import ReluNetwork
from .proved import proved_bounds


@dataclass(frozen=True, eq=False)
class Embedded:
    """A network in a Pyomo model.

    Attributes
    ----------
    outputs : (outputs,) Pyomo variables, in the user's units.
    binaries : the binary variables.
    summary : what was added.
    block : the Pyomo block that holds it: variables ``u`` (inside) and ``y`` (outputs).
    bounds : the bounds that were used.
    """

    outputs: tuple[Any, ...]
    binaries: tuple[Any, ...]
    summary: EncodingSummary
    block: Any
    bounds: Bounds


@kinds_checked
def embed(
    model: Any,
    network: ReluNetwork,
    inputs: Sequence[Any],
    encoding: str = "bigm",
    bounds: Any = "interval",
    *,
    box: ArrayLike | None = None,
    constraints: Any = None,
    partitions: int = 2,
    time_budget: float | None = None,
    workers: int = 1,
    name: str = "network",
) -> Embedded:
    """Write a network into a Pyomo model or block.

    Parameters
    ----------
    model : where a block ``name`` is added (with a number, if there is one of that name).
    inputs : (inputs,) Pyomo variables or expressions, in the user's units.
    encoding : ``bigm``, ``clipped``, ``partition``, or ``complementarity`` (a nonlinear model, for
        IPOPT by ``SolverFactory("collocode_ipopt")``); see `collocode.relu.encodings`.
    bounds : ``interval``, ``lp``, ``mip``, ``split``, `Bounds`, or a number M; see `proved_bounds`.
    box : (inputs, 2) range to which the inputs are held; by default that of the variables.
    constraints : linear constraints (see `as_linear`) **that the model has anyway**; they make the
        bounds tighter and are not added to the model.
    partitions : groups of inputs per unit, of the encoding ``partition``.
    time_budget, workers : of the bounds.

    Raises
    ------
    InputError
        An unbounded input, another number of inputs, an unknown encoding, bounds that would cut
        the graph of the network.
    MissingDependency
        Pyomo, or HiGHS for ``bounds="lp"``, is not installed.
    """
    check_encoding(encoding, partitions)
    pyomo_environ()
    given = list(inputs.values()) if hasattr(inputs, "values") else list(inputs)
    if len(given) != network.inputs:
        raise InputError(
            f"the network has {counted(network.inputs, 'input')}, but {len(given)} were given."
        )
    limits = as_box(network, _box_of(given) if box is None else box)
    proved = proved_bounds(network, limits, bounds, constraints, time_budget, workers)
    return write_network(model, network, given, limits, proved, encoding, partitions, name)[0]


@kinds_checked
def smoothed(network: ReluNetwork, inputs: Sequence[Any], width: float) -> list[Any]:
    r"""Outputs of a network whose kinks are rounded, for IPOPT: :math:`\tfrac12(a+\sqrt{a^2+w^2})` for max(a, 0).

    A unit is at most w/2 above, at its kink, and :math:`w^2/4|a|` far from it; a clipped one is the difference of two.
    Only +, * and powers are used, so that inputs may be numbers or expressions of CasADi, Pyomo or JAX.

    Parameters
    ----------
    inputs : (inputs,) numbers or expressions, in the user's units.
    width : w, in the units of a pre-activation.

    Raises
    ------
    InputError
        A width that is not positive, another number of inputs.

    Examples
    --------
    >>> absolute = ReluNetwork(([[1.0], [-1.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    >>> round(smoothed(absolute, [0.5], 1e-3)[0], 5), smoothed(absolute, [0.0], 1e-3)
    (0.5, [0.001])
    """
    if not width > 0.0:
        raise InputError(f"the width of the rounding must be positive, not {width!r}.")
    given = list(inputs)
    if len(given) != network.inputs:
        raise InputError(
            f"the network has {counted(network.inputs, 'input')}, but {len(given)} were given."
        )

    def positive(a: Any) -> Any:
        return 0.5 * (a + (a * a + width * width) ** 0.5)

    def affine(W: Array, b: Array, v: list[Any]) -> list[Any]:
        rows = zip(W.tolist(), b.tolist(), strict=True)
        return [sum((w * x for w, x in zip(row, v, strict=True)), shift) for row, shift in rows]

    scales = zip(given, network.input_shift.tolist(), network.input_scale.tolist(), strict=True)
    v = [(x - shift) / scale for x, shift, scale in scales]
    for layer, (W, b) in enumerate(zip(network.weights[:-1], network.biases[:-1], strict=True)):
        a, levels = affine(W, b, v), network.clip[layer] if network.clip else None
        v = [positive(unit) for unit in a]
        if levels is not None:
            tops = np.broadcast_to(levels, len(a)).tolist()
            v = [
                y if np.isinf(top) else y - positive(unit - top)
                for y, unit, top in zip(v, a, tops, strict=True)
            ]
    last = affine(network.weights[-1], network.biases[-1], v)
    ends = zip(last, network.output_shift.tolist(), network.output_scale.tolist(), strict=True)
    return [shift + scale * y for y, shift, scale in ends]


def write_network(
    model: Any,
    network: ReluNetwork,
    inputs: list[Any],
    box: Array,
    bounds: Bounds,
    encoding: str,
    partitions: int,
    name: str = "network",
) -> tuple[Embedded, Callable[[Array], None]]:
    """Write a network with proved bounds into a Pyomo model.

    Returns
    -------
    What was added, and a function that sets the variables' values from a point (inner inputs).
    """
    pyo = pyomo_environ()
    from pyomo.common.modeling import unique_component_name

    program, x, y = encode(network, bounds, core_box(network, box), encoding, int(partitions))
    block = pyo.Block(concrete=True)
    model.add_component(unique_component_name(model, name), block)
    columns = _write(pyo, block, program)

    def outside(kind: str, i: int) -> Any:
        shift, scale = getattr(network, f"{kind}_shift")[i], getattr(network, f"{kind}_scale")[i]
        return float(shift) + float(scale) * columns[(x if kind == "input" else y)[i]]

    low, up = (side.tolist() for side in bounds.outputs(network))
    block.input = pyo.Constraint(
        range(network.inputs), rule=lambda _, i: inputs[i] == outside("input", i)
    )
    block.y = pyo.Var(range(network.outputs), bounds=lambda _, i: (low[i], up[i]))
    block.output = pyo.Constraint(
        range(network.outputs), rule=lambda _, i: block.y[i] == outside("output", i)
    )

    def start(point: Array) -> None:
        for j, value in zip(*mip_start(program, network.core(), x, y, point), strict=True):
            columns[j].set_value(float(value), skip_validation=True)  # rounding may pass a bound

    outputs = tuple(block.y[i] for i in range(network.outputs))
    binaries = tuple(columns[j] for j in program.binaries())
    summary = summarise(network, program, encoding, bounds)
    return Embedded(outputs, binaries, summary, block, bounds), start


def _box_of(inputs: list[Any]) -> Array:
    """Return the range of Pyomo variables or expressions, ±inf where there is none."""
    from pyomo.contrib.fbbt.expression_bounds_walker import ExpressionBoundsVisitor

    found = [ExpressionBoundsVisitor().walk_expression(part) for part in inputs]
    return np.array([[-np.inf if s is None else s for s in pair] for pair in found], dtype=float)


def _write(pyo: Any, block: Any, program: MixedIntegerProgram) -> list[Any]:
    """Write columns and rows into a block; return the Pyomo variables in order."""
    arrays = program.arrays()
    low, up = arrays.lower.tolist(), arrays.upper.tolist()
    position = {name: k for k, name in enumerate(program.names)}
    block.u = pyo.Var(
        program.names,
        bounds=lambda _, name: (low[position[name]], up[position[name]]),
        within=lambda _, name: pyo.Binary if arrays.integer[position[name]] else pyo.Reals,
    )
    columns = [block.u[name] for name in program.names]
    A = arrays.A

    def row(_: Any, i: int) -> Any:
        part = slice(A.indptr[i], A.indptr[i + 1])
        body = pyo.quicksum(
            c * columns[j] for c, j in zip(A.data[part].tolist(), A.indices[part], strict=True)
        )
        lower, upper = arrays.row_lower[i], arrays.row_upper[i]
        if lower == upper:
            return body == float(lower)
        return (
            float(lower) if np.isfinite(lower) else None,
            body,
            float(upper) if np.isfinite(upper) else None,
        )

    block.rows = pyo.Constraint(range(program.rows), rule=row)
    if program.products:
        pairs = program.products
        block.products = pyo.Constraint(
            range(len(pairs)), rule=lambda _, k: columns[pairs[k][0]] * columns[pairs[k][1]] <= 0.0
        )
    return columns
