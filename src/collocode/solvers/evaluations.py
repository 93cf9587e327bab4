"""A program's functions on arrays that are allocated once (``Function.buffer``)."""

from __future__ import annotations

from collections.abc import Callable

import casadi as ca
import numpy as np

from ..model.calls import Call
from ..numerics import Array, Index
from ..transcription.functions import Functions


class Evaluations:
    """The NLP's functions on arrays of their own.

    Attributes
    ----------
    x, p, sigma, lam : (columns,), (parameters,), (1,), (rows,) arguments.
    f, gradient, g, jacobian, hessian : `Call`s, whose ``result`` holds f, ∇f, g and the nonzeros.
    jacobian_pattern, hessian_pattern : (rows, columns) of the nonzeros; the Hessian's lower triangle.
    """

    def __init__(self, functions: Functions) -> None:
        columns, parameters = functions.objective.numel_in(0), functions.objective.numel_in(1)
        self.x, self.p = np.zeros(columns), np.zeros(parameters)
        self.sigma, self.lam = np.zeros(1), np.zeros(functions.constraints.numel_out(0))
        point = (self.x, self.p)
        self.f = Call(functions.objective, point, 0)
        self.gradient = Call(functions.gradient, point, 1)
        self.g = Call(functions.constraints, point, 0)
        self.jacobian: Callable[[], Array] = Call(functions.jacobian, point, 1)
        self.hessian = Call(functions.hessian, (*point, self.sigma, self.lam), 0)
        self.jacobian_pattern = _triplet(functions.jacobian.sparsity_out(1))
        if len(self.lam) and not len(self.jacobian_pattern[0]):
            # IPOPT takes no rows without entries
            zero = np.zeros(1, dtype=int)
            self.jacobian_pattern, self.jacobian = (zero, zero), lambda: np.zeros(1)
        upper_rows, upper_columns = _triplet(functions.hessian.sparsity_out(0))
        self.hessian_pattern = (upper_columns, upper_rows)


def _triplet(pattern: ca.Sparsity) -> tuple[Index, Index]:
    rows, columns = pattern.get_triplet()
    return np.array(rows, dtype=int), np.array(columns, dtype=int)
