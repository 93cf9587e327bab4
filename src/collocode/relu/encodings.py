r"""The four encodings of a layer of (clipped) ReLU units, as rows and columns of a `Program`.

Each encoding is one function ``(program, unit) -> v``.  With pre-activation a = W v' + b in [L, U]:

- ``bigm``: v - s = a, 0 <= v <= U z, 0 <= s <= -L (1 - z), z binary; the slack s = v - a makes it
  the usual v >= a, v <= a - L (1 - z) with one dense row a unit instead of two.  A clipped unit is
  two ReLUs in a chain: first max(a, 0), then c - max(c - v, 0).
- ``clipped``: both kinks at once.  v - s + t = a, 0 <= s <= -L (1 - z1), 0 <= t <= (U - c) z2,
  c z2 <= v <= c z1, z2 <= z1.  Without clip levels it is ``bigm``.
- ``partition``: the disjunction off / on / saturated over partial sums; see `partition`.
- ``complementarity``: v - s = a, v >= 0, s >= 0, v s <= 0; no binaries, a nonlinear program.

Decided units (`Bounds.stable`) need neither binaries nor big-Ms: v is a, 0 or c.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bounds import OFF, ON, SATURATED, UNDECIDED, Bounds, affine_range
from .network import ReluNetwork
from .partition import partition
from .program import Index, Mark, Program, Values
from .units import Units

Array = NDArray[np.float64]
ENCODINGS = ("bigm", "clipped", "partition", "complementarity")


def _bigm(program: Program, u: Units) -> Index:
    v, cut, below = u.values(program), np.flatnonzero(u.up > u.level), np.flatnonzero(u.low < 0.0)
    parts: list[tuple[Index, Any]] = [(v, 1.0)]
    excess: list[tuple[Index, Any]] = []
    if len(cut):
        t, _ = _second_kink(program, u, v, cut)
        parts.append((t, u.at(cut)))
        excess = [(t, u.at(cut)[below])]
    if len(below):
        z, s = _first_kink(program, u, below)
        parts.append((s, u.at(below, -1.0)))
        rows = [(v[below], 1.0), *excess, (z, -u.up[below])]
        program.add_rows(f"{u.name}.on", rows, -np.inf, 0.0)
    u.sums(program, parts)
    return v


def _clipped(program: Program, u: Units) -> Index:
    v, cut, below = u.values(program), np.flatnonzero(u.up > u.level), np.flatnonzero(u.low < 0.0)
    parts: list[tuple[Index, Any]] = [(v, 1.0)]
    first = np.full(len(v), -1)
    if len(below):
        z, s = _first_kink(program, u, below)
        first[below] = z
        parts.append((s, u.at(below, -1.0)))
        top = np.minimum(u.level, u.up)[below]
        program.add_rows(f"{u.name}.on", [(v[below], 1.0), (z, -top)], -np.inf, 0.0)
    if len(cut):
        t, z2 = _second_kink(program, u, v, cut)
        parts.append((t, u.at(cut)))
        both = first[cut] >= 0
        if both.any():
            rows = [(z2[both], 1.0), (first[cut][both], -1.0)]
            program.add_rows(f"{u.name}.order", rows, -np.inf, 0.0)
    u.sums(program, parts)
    return v


def _first_kink(program: Program, u: Units, below: Index) -> tuple[Index, Index]:
    """Add z and s of the kink at zero: 0 <= s <= -L (1 - z)."""
    off = -u.low[below]
    z = u.add(program, "z", below, 1.0, lambda a: a > 0.0, integer=True)
    s = u.add(program, "s", below, off, lambda a: np.maximum(-a, 0.0))
    program.add_rows(f"{u.name}.off", [(s, 1.0), (z, off)], -np.inf, off)
    return z, s


def _second_kink(program: Program, u: Units, v: Index, cut: Index) -> tuple[Index, Index]:
    """Add t and z of the kink at c: 0 <= t <= (U - c) z, v >= c where z is 1."""
    c, floor = u.level[cut], np.maximum(u.low[cut], 0.0)
    z = u.add(program, "z2", cut, 1.0, lambda a: a > c, integer=True)
    t = u.add(program, "t", cut, u.up[cut] - c, lambda a: np.maximum(a - c, 0.0))
    program.add_rows(f"{u.name}.cut", [(t, 1.0), (z, c - u.up[cut])], -np.inf, 0.0)
    program.add_rows(f"{u.name}.at", [(v[cut], 1.0), (z, floor - c)], floor, np.inf)
    return t, z


def _complementarity(program: Program, u: Units) -> Index:
    every, low = np.arange(len(u.b)), np.maximum(u.low, 0.0)
    h = u.add(program, "h", every, np.maximum(u.up, 0.0), lambda a: np.maximum(a, 0.0), low)
    s = u.add(program, "s", every, np.maximum(-u.low, 0.0), lambda a: np.maximum(-a, 0.0))
    u.sums(program, [(h, 1.0), (s, -1.0)])
    program.products += [
        (int(p), int(q)) for p, q, low in zip(h, s, u.low, strict=True) if low < 0.0
    ]
    cut = np.flatnonzero(u.up > u.level)
    if not len(cut):
        return h
    c, low = u.level[cut], np.minimum(low, u.level)[cut]
    t = u.add(program, "t", cut, u.up[cut] - c, lambda a: np.maximum(a - c, 0.0))
    v = u.add(program, "v", cut, c, lambda a: a.clip(0.0, c), low)
    r = u.add(program, "r", cut, c - low, lambda a: c - a.clip(0.0, c))
    program.add_rows(f"{u.name}.cut", [(h[cut], 1.0), (v, -1.0), (t, -1.0)], 0.0, 0.0)
    program.add_rows(f"{u.name}.room", [(v, 1.0), (r, 1.0)], c, c)
    program.products += [(int(p), int(q)) for p, q in zip(t, r, strict=True)]
    found = h.copy()
    found[cut] = v
    return found


_ADD: dict[str, Callable[[Program, Units], Index]] = {
    "bigm": _bigm,
    "clipped": _clipped,
    "partition": partition,
    "complementarity": _complementarity,
}


def encode(
    network: ReluNetwork, bounds: Bounds, box: Array, encoding: str, partitions: int = 2
) -> tuple[Program, Index, Index]:
    """Write a network as a program over its inner inputs and outputs (see `ReluNetwork.core`).

    Parameters
    ----------
    bounds : proved ranges of the pre-activations.
    box : (inputs, 2) the range of the inner inputs (see `core_box`).
    encoding, partitions : one of `ENCODINGS`; groups of the third.

    Returns
    -------
    The program, its columns of the inputs and of the outputs.
    """
    low, up = box.T
    program = Program()
    inputs = program.add_columns("x", low, up)
    values = Values(inputs, np.zeros(len(low)), low, up)
    states = bounds.stable(network)
    for layer, state in enumerate(states):
        values = _layer(program, network, bounds, values, layer, state, encoding, partitions)
    W, b = network.weights[-1], network.biases[-1]
    outputs = program.add_columns("y", bounds.lower[-1], bounds.upper[-1])
    inner, coefficients, constant = values.through(W, b)
    program.add_rows("output", [(outputs, -1.0), (inner, coefficients)], -constant, -constant)
    return program, inputs, outputs


def values_at(
    program: Program, network: ReluNetwork, x: Index, y: Index, point: Array
) -> tuple[Index, Array]:
    """Return those columns, and their values, that are known where the inner inputs are ``point``."""
    reached = network.pre_activations(point)
    parts = [(x, point), (y, reached[-1])]
    parts += [(m.columns, m.function(reached[m.layer][m.units])) for m in program.marks]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]).astype(
        float
    )


def _layer(
    program: Program,
    network: ReluNetwork,
    bounds: Bounds,
    values: Values,
    layer: int,
    state: Array,
    encoding: str,
    partitions: int,
) -> Values:
    """Add a hidden layer; return its unit values."""
    W, b, level = network.weights[layer], network.biases[layer], network.level(layer)
    low, up = bounds.lower[layer], bounds.upper[layer]
    v_low, v_up = bounds.activations(network, layer)
    inner, coefficients, constant = values.through(W, b)
    if bounds.conditional:
        _enforce(program, network, values, layer, state)
    free = values.column >= 0
    column = np.full(len(b), -1)
    on = np.flatnonzero(state == ON)
    if len(on):
        column[on] = program.add_columns(f"layer{layer}.on", low[on], up[on])
        program.marks.append(Mark(column[on], layer, on, lambda a: a))
        program.add_rows(
            f"layer{layer}.on",
            [(column[on], 1.0), (inner, -coefficients[on])],
            constant[on],
            constant[on],
        )
    units = np.flatnonzero(state == UNDECIDED)
    if len(units):
        column[units] = _ADD[encoding](
            program,
            Units(
                layer,
                units,
                inner,
                coefficients[units],
                constant[units],
                low[units],
                up[units],
                level[units],
                values.lower[free],
                values.upper[free],
                partitions,
            ),
        )
    return Values(column, np.where(column >= 0, 0.0, v_low), v_low, v_up)


def _enforce(
    program: Program, network: ReluNetwork, values: Values, layer: int, state: Array
) -> None:
    """Add a <= 0 for units said to be off and a >= c for saturated ones, where it is not implied.

    The other units' columns hold their pre-activations within the bounds anyway.
    """
    W, b, level = network.weights[layer], network.biases[layer], network.level(layer)
    inner, coefficients, constant = values.through(W, b)
    least, most = affine_range(W, b, values.lower, values.upper)
    for name, units, low, up in (
        ("held_off", np.flatnonzero((state == OFF) & (most > 0.0)), -np.inf, 0.0),
        ("held_at", np.flatnonzero((state == SATURATED) & (least < level)), level, np.inf),
    ):
        if len(units):
            sides = (np.broadcast_to(s, level.shape)[units] - constant[units] for s in (low, up))
            program.add_rows(f"layer{layer}.{name}", [(inner, coefficients[units])], *sides)
