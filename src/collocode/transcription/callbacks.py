"""NumPy called by CasADi, and CasADi by NumPy: arrays in place, nothing converted on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import casadi as ca
import numpy as np

from ..numerics import Array

Shape = tuple[int, int]


class Evaluated(ca.Callback):
    """A function that NumPy evaluates.

    It has to be kept as long as any function that calls it.

    Parameters
    ----------
    name : of the function.
    run : (arguments, results) -> None; nonzeros, column by column, the results to be filled.
    inputs, outputs : shapes of the dense arguments, patterns of the results.
    names : of arguments and results, where somebody asks for them.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Array], Sequence[Array]], None],
        inputs: Sequence[Shape],
        outputs: Sequence[ca.Sparsity],
        names: tuple[Sequence[str], Sequence[str]] | None = None,
    ) -> None:
        ca.Callback.__init__(self)
        self._code, self._inputs, self._outputs = run, inputs, outputs
        numbers = [f"i{k}" for k in range(len(inputs))], [f"o{k}" for k in range(len(outputs))]
        self._names = names or numbers
        self.construct(name, {})

    def get_n_in(self) -> int:
        """Number of arguments."""
        return len(self._inputs)

    def get_n_out(self) -> int:
        """Number of results."""
        return len(self._outputs)

    def get_name_in(self, i: int) -> str:
        """Name of an argument."""
        return self._names[0][i]

    def get_name_out(self, i: int) -> str:
        """Name of a result."""
        return self._names[1][i]

    def get_sparsity_in(self, i: int) -> ca.Sparsity:
        """Shape of an argument."""
        return ca.Sparsity.dense(*self._inputs[i])

    def get_sparsity_out(self, i: int) -> ca.Sparsity:
        """Pattern of a result."""
        return self._outputs[i]

    def has_eval_buffer(self) -> bool:
        """True: memory is handed over."""
        return True

    def eval_buffer(self, arguments: Sequence[Any], results: Sequence[Any]) -> int:
        """Hand the memory that CasADi owns to the code; what is not wanted goes to scratch."""
        given = [
            np.frombuffer(a) if a is not None else np.zeros(rows * columns)
            for a, (rows, columns) in zip(arguments, self._inputs, strict=True)
        ]
        filled = [
            np.frombuffer(r) if r is not None else np.empty(pattern.nnz())
            for r, pattern in zip(results, self._outputs, strict=True)
        ]
        self._code(given, filled)
        return 0


class Mapped:
    """A CasADi function of one point, over all points: (K, entries) arrays in and out."""

    def __init__(self, arguments: list[ca.SX], results: list[ca.SX], points: int) -> None:
        dense = [ca.densify(ca.vec(part)) for part in results]
        self._map(ca.Function("point", arguments, dense), points)

    def _map(self, point: ca.Function, points: int) -> None:
        self._point, self._function = point, point.map(points)
        self._buffer, self._run = self._function.buffer()
        self._shapes = [(points, point.numel_out(i)) for i in range(point.n_out())]

    def over(self, points: int) -> Mapped:
        """The same function over another number of points, with memory of its own."""
        made = Mapped.__new__(Mapped)
        made._map(self._point, points)
        return made

    def bound(self, arguments: Sequence[Array], result: Array) -> Callable[[], None]:
        """What evaluates the one result of these very arrays, by the numbers that they hold then."""
        buffer, run = self._function.buffer()
        for i, a in enumerate(arguments):
            assert a.flags.c_contiguous and a.size == self._function.numel_in(i)
            if a.size:
                buffer.set_arg(i, a.data)
        assert result.flags.c_contiguous and result.shape == self._shapes[0]
        buffer.set_res(0, result.data)

        def evaluate(alive: tuple[object, ...] = (buffer, arguments, result)) -> None:
            run()  # CasADi keeps bare pointers to what has to be alive

        return evaluate

    def __call__(self, *arguments: Array) -> list[Array]:
        """Evaluate; one result an array."""
        results = [np.empty(shape) for shape in self._shapes]
        given = [np.ascontiguousarray(a, dtype=float) for a in arguments]
        for i, a in enumerate(given):
            if a.size:
                self._buffer.set_arg(i, a.data)
        for i, r in enumerate(results):
            if r.size:
                self._buffer.set_res(i, r.data)
        self._run()
        return results
