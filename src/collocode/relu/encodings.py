r"""The four encodings of a layer of (clipped) ReLU units, as rows and columns of a mixed-integer program.

Each encoding is one function ``(program, units) -> v``.  With pre-activation a = W v' + b in [L, U]:

- ``bigm``: v - s = a, 0 <= v <= U z, 0 <= s <= -L (1 - z), z binary; the slack s = v - a makes it
  the usual v >= a, v <= a - L (1 - z) with one dense row per unit instead of two.  A clipped unit is
  two ReLUs in a chain: first max(a, 0), then c - max(c - v, 0).
- ``clipped``: both kinks at once.  v - s + t = a, 0 <= s <= -L (1 - z1), 0 <= t <= (U - c) z2,
  c z2 <= v <= c z1, z2 <= z1.  Without clip levels it is ``bigm``.
- ``partition``: the inputs of a unit are split into N groups of equal size in the order of their
  weights, with partial sums p_n.  For each case k (off, on, saturated) that the bounds allow there is
  a binary d_k, Σ d_k = 1, and a copy of the partial sums:

  .. math:: \sum_k p^k_n = p_n,\quad \underline p_n d_k \le p^k_n \le \overline p_n d_k,\quad
            L_k d_k \le \sum_n p^k_n + b\,d_k \le U_k d_k,\quad
            v = \sum_n p^{on}_n + b\,d_{on} + c\,d_{sat}

  N = 1 is big-M, N = inputs the convex hull over the box of the inputs
  (Tsay, Kronqvist, Thebelt & Misener, NeurIPS 2021; *saturated* is the same disjunction once more).
- ``complementarity``: v - s = a, v >= 0, s >= 0, v s <= 0; no binaries, a nonlinear program.

Units that the bounds decide (`Bounds.stable`) need neither binaries nor big-Ms: v is a, 0 or c.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import check_choice, check_whole
from ..numerics import Array
from .bounds import OFF, ON, SATURATED, UNDECIDED, Bounds, affine_range
from .mip import Index, MixedIntegerProgram, StartRule, UndecidedUnits, UnitValues
from .network import ReluNetwork


def encode(
    network: ReluNetwork, bounds: Bounds, box: Array, encoding: str, partitions: int = 2
) -> tuple[MixedIntegerProgram, Index, Index]:
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
    program = MixedIntegerProgram()
    inputs = program.add_columns("x", low, up)
    values = UnitValues(inputs, np.zeros(len(low)), low, up)
    for layer in range(len(network.clip)):
        values = _add_layer(program, network, bounds, values, layer, encoding, partitions)
    outputs = program.add_columns("y", bounds.lower[-1], bounds.upper[-1])
    inner, coefficients, constant = values.through(network.weights[-1], network.biases[-1])
    program.add_rows([(outputs, -1.0), (inner, coefficients)], -constant, -constant)
    return program, inputs, outputs


def mip_start(
    program: MixedIntegerProgram, network: ReluNetwork, x: Index, y: Index, point: Array
) -> tuple[Index, Array]:
    """Return those columns, and their values, that are known where the inner inputs are ``point``."""
    reached = network.pre_activations(point)
    parts = [(x, point), (y, reached[-1])]
    parts += [(r.columns, r.function(reached[r.layer][r.units])) for r in program.start_rules]
    columns, values = zip(*parts, strict=True)
    return np.concatenate(columns), np.concatenate(values).astype(float)


def check_encoding(encoding: str, partitions: int) -> None:
    """Refuse unknown encodings and numbers of partitions.

    Raises
    ------
    InputError
        Naming what there is.
    """
    check_choice("encoding", encoding, ENCODINGS)
    check_whole("partitions", partitions)


def _add_layer(
    program: MixedIntegerProgram,
    network: ReluNetwork,
    bounds: Bounds,
    values: UnitValues,
    layer: int,
    encoding: str,
    partitions: int,
) -> UnitValues:
    """Add a hidden layer; return its unit values."""
    W, b, state = network.weights[layer], network.biases[layer], bounds.stable(network)[layer]
    low, up = bounds.lower[layer], bounds.upper[layer]
    inner, coefficients, constant = values.through(W, b)
    if bounds.conditional:
        _enforce(program, network, values, layer, state)
    free = values.column >= 0
    column = np.full(len(b), -1)
    on = np.flatnonzero(state == ON)
    if len(on):
        column[on] = program.add_columns(f"layer{layer}.on", low[on], up[on])
        program.start_rules.append(StartRule(column[on], layer, on, lambda a: a))
        rows = [(column[on], 1.0), (inner, -coefficients[on])]
        program.add_rows(rows, constant[on], constant[on])
    units = np.flatnonzero(state == UNDECIDED)
    if len(units):
        undecided = UndecidedUnits(
            layer=layer,
            units=units,
            inner=inner,
            W=coefficients[units],
            b=constant[units],
            low=low[units],
            up=up[units],
            level=network.level(layer)[units],
            inner_low=values.lower[free],
            inner_up=values.upper[free],
            partitions=partitions,
        )
        column[units] = _ADD[encoding](program, undecided)
    v_low, v_up = bounds.activations(network, layer)
    return UnitValues(column, np.where(column >= 0, 0.0, v_low), v_low, v_up)


def _enforce(
    program: MixedIntegerProgram,
    network: ReluNetwork,
    values: UnitValues,
    layer: int,
    state: Index,
) -> None:
    """Add a <= 0 for units said to be off and a >= c for saturated ones, where it is not implied.

    The other units' columns hold their pre-activations within the bounds anyway.
    """
    W, b, level = network.weights[layer], network.biases[layer], network.level(layer)
    inner, coefficients, constant = values.through(W, b)
    least, most = affine_range(W, b, values.lower, values.upper)
    off = np.flatnonzero((state == OFF) & (most > 0.0))
    saturated = np.flatnonzero((state == SATURATED) & (least < level))
    if len(off):
        program.add_rows([(inner, coefficients[off])], -np.inf, -constant[off])
    if len(saturated):
        floor = (level - constant)[saturated]
        program.add_rows([(inner, coefficients[saturated])], floor, np.inf)


def _big_m(program: MixedIntegerProgram, u: UndecidedUnits) -> Index:
    v = u.add_values(program)
    cut, below = np.flatnonzero(u.up > u.level), np.flatnonzero(u.low < 0.0)
    parts: list[tuple[Index, Any]] = [(v, 1.0)]
    excess: list[tuple[Index, Any]] = []
    if len(cut):
        t, _ = _second_kink(program, u, v, cut)
        parts.append((t, u.rows_of(cut)))
        excess = [(t, u.rows_of(cut)[below])]
    if len(below):
        z, s = _first_kink(program, u, below)
        parts.append((s, u.rows_of(below, -1.0)))
        program.add_rows([(v[below], 1.0), *excess, (z, -u.up[below])], -np.inf, 0.0)
    u.add_sums(program, parts)
    return v


def _clipped(program: MixedIntegerProgram, u: UndecidedUnits) -> Index:
    v = u.add_values(program)
    cut, below = np.flatnonzero(u.up > u.level), np.flatnonzero(u.low < 0.0)
    parts: list[tuple[Index, Any]] = [(v, 1.0)]
    first = np.full(len(v), -1)
    if len(below):
        z, s = _first_kink(program, u, below)
        first[below] = z
        parts.append((s, u.rows_of(below, -1.0)))
        program.add_rows([(v[below], 1.0), (z, -np.minimum(u.level, u.up)[below])], -np.inf, 0.0)
    if len(cut):
        t, z2 = _second_kink(program, u, v, cut)
        parts.append((t, u.rows_of(cut)))
        both = first[cut] >= 0
        if both.any():
            program.add_rows([(z2[both], 1.0), (first[cut][both], -1.0)], -np.inf, 0.0)
    u.add_sums(program, parts)
    return v


def _first_kink(
    program: MixedIntegerProgram, u: UndecidedUnits, below: Index
) -> tuple[Index, Index]:
    """Add z and s of the kink at zero: 0 <= s <= -L (1 - z)."""
    off = -u.low[below]
    z = u.add(program, "z", below, 1.0, lambda a: a > 0.0, integer=True)
    s = u.add(program, "s", below, off, lambda a: np.maximum(-a, 0.0))
    program.add_rows([(s, 1.0), (z, off)], -np.inf, off)
    return z, s


def _second_kink(
    program: MixedIntegerProgram, u: UndecidedUnits, v: Index, cut: Index
) -> tuple[Index, Index]:
    """Add t and z of the kink at c: 0 <= t <= (U - c) z, v >= c where z is 1."""
    c, floor = u.level[cut], np.maximum(u.low[cut], 0.0)
    z = u.add(program, "z2", cut, 1.0, lambda a: a > c, integer=True)
    t = u.add(program, "t", cut, u.up[cut] - c, lambda a: np.maximum(a - c, 0.0))
    program.add_rows([(t, 1.0), (z, c - u.up[cut])], -np.inf, 0.0)
    program.add_rows([(v[cut], 1.0), (z, floor - c)], floor, np.inf)
    return t, z


def _partition(program: MixedIntegerProgram, u: UndecidedUnits) -> Index:
    v = u.add_values(program)
    for unit in range(len(v)):
        _partition_unit(program, u, unit, v[unit : unit + 1])
    return v


def _partition_unit(program: MixedIntegerProgram, u: UndecidedUnits, unit: int, v: Index) -> None:
    name, w, b = f"layer{u.layer}.{unit}", u.W[unit], u.b[unit]
    low, up, level = u.low[unit], u.up[unit], u.level[unit]
    order = np.argsort(w, kind="stable")
    groups = [g for g in np.array_split(order[w[order] != 0.0], u.partitions) if len(g)]
    matrix = np.zeros((len(groups), len(w)))
    for row, group in enumerate(groups):
        matrix[row, group] = w[group]
    least, most = affine_range(matrix, np.zeros(len(groups)), u.inner_low, u.inner_up)
    if len(groups) == 1:
        least, most = np.maximum(least, low - b), np.minimum(most, up - b)
    cases = []  # (range of a, slope, value at slope 0): v = slope a + value
    if low < 0.0:
        cases.append((low, 0.0, 0.0, 0.0))
    cases.append((max(low, 0.0), min(up, level), 1.0, 0.0))
    if up > level:
        cases.append((level, up, 0.0, level))
    only = np.array([unit])
    d = [
        u.add(program, f"{unit}.z{k}", only, 1.0, _within(case, first=k == 0), integer=True)
        for k, case in enumerate(cases[:-1])
    ]
    d.append(program.add_columns(f"{name}.last", 0.0, 1.0))
    program.add_rows([(np.concatenate(d), np.ones((1, len(cases))))], 1.0, 1.0)
    shares = np.ones((1, len(groups)))
    value: list[tuple[Index, Array]] = [(v, -np.ones((1, 1)))]
    parts = []
    for number, (case_low, case_up, slope, constant) in enumerate(cases):
        p = program.add_columns(f"{name}.p{number}", np.minimum(least, 0.0), np.maximum(most, 0.0))
        chosen = d[number]
        k = np.repeat(chosen, len(groups))
        program.add_rows([(p, 1.0), (k, -least)], 0.0, np.inf)
        program.add_rows([(p, 1.0), (k, -most)], -np.inf, 0.0)
        program.add_rows([(p, shares), (chosen, [[b - case_low]])], 0.0, np.inf)
        program.add_rows([(p, shares), (chosen, [[b - case_up]])], -np.inf, 0.0)
        value += [(p, slope * shares), (chosen, np.array([[slope * b + constant]]))]
        parts.append((p, np.eye(len(groups))))
    program.add_rows([*parts, (u.inner, -matrix)], 0.0, 0.0)
    program.add_rows(value, 0.0, 0.0)


def _within(case: tuple[float, ...], first: bool) -> Callable[[Array], Any]:
    """Return whether a is within the range of a case (the first one is open below)."""
    return lambda a: (first | (a > case[0])) & (a <= case[1])


def _complementarity(program: MixedIntegerProgram, u: UndecidedUnits) -> Index:
    every, low = np.arange(len(u.b)), np.maximum(u.low, 0.0)
    h = u.add(program, "h", every, np.maximum(u.up, 0.0), lambda a: np.maximum(a, 0.0), low)
    s = u.add(program, "s", every, np.maximum(-u.low, 0.0), lambda a: np.maximum(-a, 0.0))
    u.add_sums(program, [(h, 1.0), (s, -1.0)])
    below = u.low < 0.0
    program.products += zip(h[below].tolist(), s[below].tolist(), strict=True)
    cut = np.flatnonzero(u.up > u.level)
    if not len(cut):
        return h
    c, low = u.level[cut], np.minimum(low, u.level)[cut]
    t = u.add(program, "t", cut, u.up[cut] - c, lambda a: np.maximum(a - c, 0.0))
    v = u.add(program, "v", cut, c, lambda a: a.clip(0.0, c), low)
    r = u.add(program, "r", cut, c - low, lambda a: c - a.clip(0.0, c))
    program.add_rows([(h[cut], 1.0), (v, -1.0), (t, -1.0)], 0.0, 0.0)
    program.add_rows([(v, 1.0), (r, 1.0)], c, c)
    program.products += zip(t.tolist(), r.tolist(), strict=True)
    found = h.copy()
    found[cut] = v
    return found


_ADD: dict[str, Callable[[MixedIntegerProgram, UndecidedUnits], Index]] = {
    "bigm": _big_m,
    "clipped": _clipped,
    "partition": _partition,
    "complementarity": _complementarity,
}
ENCODINGS = tuple(_ADD)
