"""`Call`: a CasADi Function evaluated on arrays, without a Python list or an object of CasADi's between."""

from __future__ import annotations

from collections.abc import Sequence

import casadi as ca
import numpy as np

from ..numerics import Array


class Call:
    """One result of a CasADi function, bound to arrays.

    CasADi keeps bare pointers to the arrays, so they have to live as long as the buffer does.

    Parameters
    ----------
    function : with dense arguments.
    arguments : contiguous arrays in CasADi's order, columns one after the other; what they hold at the
        time of a call counts.
    wanted : number of the result.

    Attributes
    ----------
    result : (nonzeros,) overwritten by every call.
    """

    def __init__(self, function: ca.Function, arguments: Sequence[Array], wanted: int = 0) -> None:
        self.result = np.zeros(function.nnz_out(wanted))
        self._buffer, self._evaluate = function.buffer()
        self._alive = function, arguments
        for i, argument in enumerate(arguments):
            assert argument.size == function.nnz_in(i) and argument.flags.c_contiguous
            if argument.size:
                self._buffer.set_arg(i, argument.reshape(-1).data)
        self._buffer.set_res(wanted, self.result.data)

    def __call__(self) -> Array:
        """Evaluate; return `result`."""
        self._evaluate()
        return self.result
