r"""The partition-based encoding of ReLU units, with a third case for clipped ones.

The inputs of a unit are split into N groups of equal size in the order of their weights, with
partial sums p_n = Σ_{i in group n} w_i v'_i.  For each case k (off, on, saturated) that the bounds
allow there is a binary d_k, Σ d_k = 1, and a copy of the partial sums:

.. math:: \sum_k p^k_n = p_n,\quad \underline p_n d_k \le p^k_n \le \overline p_n d_k,\quad
          L_k d_k \le \sum_n p^k_n + b\,d_k \le U_k d_k,\quad
          v = \sum_n p^{on}_n + b\,d_{on} + c\,d_{sat}

N = 1 is big-M, N = inputs the convex hull over the box of the inputs.

Tsay, Kronqvist, Thebelt & Misener, Partition-based formulations for mixed-integer optimization of
trained ReLU neural networks, NeurIPS 2021; the saturated case is the same disjunction once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .program import Index, Program
from .units import Units

Array = NDArray[np.float64]


def partition(program: Program, u: Units) -> Index:
    """Add the units; return their columns v."""
    v = u.values(program)
    for unit in range(len(v)):
        _partition_unit(program, u, unit, v[unit : unit + 1])
    return v


def _partition_unit(program: Program, u: Units, unit: int, v: Index) -> None:
    name = f"{u.name}.{unit}"
    w, b = u.W[unit], u.b[unit]
    low, up, level = u.low[unit], u.up[unit], u.level[unit]
    order = np.argsort(w, kind="stable")
    order = order[w[order] != 0.0]
    groups = [g for g in np.array_split(order, u.partitions) if len(g)]
    matrix = np.zeros((len(groups), len(w)))
    for row, group in enumerate(groups):
        matrix[row, group] = w[group]
    plus, minus = np.maximum(matrix, 0.0), np.minimum(matrix, 0.0)
    least = plus @ u.inner_low + minus @ u.inner_up
    most = plus @ u.inner_up + minus @ u.inner_low
    if len(groups) == 1:
        least, most = np.maximum(least, low - b), np.minimum(most, up - b)
    terms = []  # (range of a, slope, value at slope 0): v = slope a + value
    if low < 0.0:
        terms.append((low, 0.0, 0.0, 0.0))
    terms.append((max(low, 0.0), min(up, level), 1.0, 0.0))
    if up > level:
        terms.append((level, up, 0.0, level))
    d = np.concatenate(
        [
            *(
                u.add(
                    program,
                    f"{unit}.z{k}",
                    np.array([unit]),
                    1.0,
                    _within(term, k == 0),
                    integer=True,
                )
                for k, term in enumerate(terms[:-1])
            ),
            program.add_columns(f"{name}.last", 0.0, 1.0),
        ]
    )
    one = np.ones((1, len(terms)))
    program.add_rows(f"{name}.one", [(d, one)], 1.0, 1.0)
    shares = np.ones((1, len(groups)))
    value: list[tuple[Index, Array]] = [(v, -np.ones((1, 1)))]
    parts = []
    for number, (term_low, term_up, slope, constant) in enumerate(terms):
        p = program.add_columns(f"{name}.p{number}", np.minimum(least, 0.0), np.maximum(most, 0.0))
        k = np.full(len(groups), d[number])
        chosen = d[number : number + 1]
        program.add_rows(f"{name}.least", [(p, 1.0), (k, -least)], 0.0, np.inf)
        program.add_rows(f"{name}.most", [(p, 1.0), (k, -most)], -np.inf, 0.0)
        for bound, side in ((term_low, (0.0, np.inf)), (term_up, (-np.inf, 0.0))):
            program.add_rows(f"{name}.range", [(p, shares), (chosen, [[b - bound]])], *side)
        value += [(p, slope * shares), (chosen, np.array([[slope * b + constant]]))]
        parts.append((p, np.eye(len(groups))))
    program.add_rows(f"{name}.sum", [*parts, (u.inner, -matrix)], 0.0, 0.0)
    program.add_rows(f"{name}.v", value, 0.0, 0.0)


def _within(term: tuple[float, ...], first: bool) -> Callable[[Array], Any]:
    """Return whether a is within the range of a term (the first one is open below)."""
    return lambda a: (first | (a > term[0])) & (a <= term[1])
