"""J or H of a program whose border is one network's: every nonzero is written once, where the solver wants it.

The border's columns are the last ones, so its nonzeros are the last ones too: kernels write them there,
in the solver's scales, and CasADi evaluates only what is left of it and the little that other terms add
to them.  As an expression of the matrix each nonzero is read and written four times more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import casadi as ca
import numpy as np

from ..numerics import Array
from .callbacks import Evaluated

# (own, shared, data[, multipliers]), values by own unknowns, nonzeros of the border
Put = Callable[[Sequence[Array], Array, Array], None]


def in_place(
    name: str,
    names: tuple[Sequence[str], Sequence[str]],
    symbols: Sequence[ca.MX],
    arguments: Sequence[ca.MX],
    parts: tuple[ca.MX, ca.MX, ca.Sparsity],
    put: Put,
) -> Evaluated | None:
    """Return a matrix as the last result of a function; None where more is added to the border than it has entries.

    Parameters
    ----------
    names : of arguments and results; those before the last are numbers that are NaN.
    symbols : arguments of the matrix.
    arguments : of the term, as expressions of the symbols.
    parts : symbol of the term's derivatives by its points' own unknowns, the matrix without the border as an
        expression of that and the symbols, and the pattern of the border, which are its last columns.
    put : writes the derivatives by own unknowns, and the border.
    """
    own, rest, border = parts
    rows, columns = rest.shape
    left, right = ca.horzsplit(rest, [0, columns - border.size2(), columns])
    i, j = (np.array(v, dtype=int) for v in right.sparsity().get_triplet())
    where = np.array(border.get_nz((i + j * rows).tolist()), dtype=int)
    if where.min(initial=0) < 0:
        return None
    before = _Buffered([*symbols], [*arguments])
    after = _Buffered([*symbols, own], [left, right])
    by_own, begin, lock = np.zeros(own.numel()), left.nnz(), threading.Lock()

    def run(given: Sequence[Array], results: Sequence[Array]) -> None:
        *unknown, found = results
        for values in unknown:
            values[:] = np.nan
        with lock:
            put(before(given), by_own, found[begin:])
            _, more = after([*given, by_own], found[:begin])
            found[begin + where] += more

    patterns = [ca.Sparsity.dense(rows, 1)] * (len(names[1]) - 1)
    whole = ca.Sparsity(left.sparsity())
    whole.appendColumns(border)  # horzcat takes four times as long
    patterns.append(whole)
    return Evaluated(name, run, [v.shape for v in symbols], patterns, names)


class _Buffered:
    """A function on arrays: results of its own, or the first one where it is wanted."""

    def __init__(self, symbols: list[ca.MX], results: list[ca.MX]) -> None:
        function = ca.Function("part", symbols, results)
        self._buffer, self._run = function.buffer()
        self._results = [np.zeros(function.nnz_out(k)) for k in range(function.n_out())]
        for k, result in enumerate(self._results):
            self._put(k, result)

    def _put(self, number: int, result: Array) -> None:
        if result.size:
            self._buffer.set_res(number, result.data)

    def __call__(self, arguments: Sequence[Array], first: Array | None = None) -> list[Array]:
        for k, a in enumerate(arguments):
            if a.size:
                self._buffer.set_arg(k, a.data)
        if first is None:
            self._run()
            return self._results
        self._put(0, first)
        self._run()
        return [first, *self._results[1:]]
