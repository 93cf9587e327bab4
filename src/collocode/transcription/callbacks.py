"""Python code as a CasADi function: arrays in place, nothing copied on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Shape = tuple[int, int]


class Evaluated(ca.Callback):
    """A function of dense matrices that NumPy evaluates.

    It has to be kept as long as any function that calls it.

    Parameters
    ----------
    name : of the function.
    run : (arguments, results) -> None; flat arrays, column by column, the results to be filled.
    inputs, outputs : shapes.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Array], Sequence[Array]], None],
        inputs: Sequence[Shape],
        outputs: Sequence[Shape],
    ) -> None:
        ca.Callback.__init__(self)
        self._code, self._inputs, self._outputs = run, inputs, outputs
        self.construct(name, {})

    def get_n_in(self) -> int:
        return len(self._inputs)

    def get_n_out(self) -> int:
        return len(self._outputs)

    def get_sparsity_in(self, i: int) -> ca.Sparsity:
        return ca.Sparsity.dense(*self._inputs[i])

    def get_sparsity_out(self, i: int) -> ca.Sparsity:
        return ca.Sparsity.dense(*self._outputs[i])

    def has_eval_buffer(self) -> bool:
        return True

    def eval_buffer(self, arguments: Sequence[Any], results: Sequence[Any]) -> int:
        """Hand the memory that CasADi owns to the code; what is not wanted goes to scratch."""
        given = [
            np.frombuffer(a) if a is not None else np.zeros(rows * columns)
            for a, (rows, columns) in zip(arguments, self._inputs, strict=True)
        ]
        filled = [
            np.frombuffer(r) if r is not None else np.empty(rows * columns)
            for r, (rows, columns) in zip(results, self._outputs, strict=True)
        ]
        self._code(given, filled)
        return 0
