"""The NLP record: everything a solver, an exporter or an algorithm needs, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..errors import InputError
from ..model.problem import Problem
from ..numerics.scheme import Scheme
from .assembly import Functions, assemble
from .layout import Layout
from .term import MappedTerm
from .terms import prediction_term

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NLP:
    r"""min f(x; p) subject to lower ≤ x ≤ upper, row_lower ≤ g(x; p) ≤ row_upper.

    The one sign rule: :math:`L = \sigma f + \lambda^T g`, so at a solution
    :math:`\nabla f + J^T\lambda + \lambda_x = 0` (CasADi's convention).

    Attributes
    ----------
    problem, scheme, layout : where it came from, and which column and row is what.
    functions : f, ∇f, g, J and H with fixed sparsity.
    terms, linear : what the functions were assembled from (exporters read them).
    lower, upper, row_lower, row_upper : bounds.
    start : (columns,) starting point.
    parameters : values of the NLP parameters by block, e.g. ``measurements``, ``regularisation``.
    column_scale, row_scale : solvers work on x / column_scale and row_scale * g.
    build_seconds : wall time that `discretize` took.
    """

    problem: Problem
    scheme: Scheme
    layout: Layout
    functions: Functions
    terms: tuple[MappedTerm, ...]
    linear: sparse.csr_matrix
    lower: Array
    upper: Array
    row_lower: Array
    row_upper: Array
    start: Array
    parameters: dict[str, Array]
    column_scale: Array
    row_scale: Array
    build_seconds: float = 0.0
    _cache: dict[str, Any] = field(default_factory=dict, repr=False)

    def cache(self, key: str, make: Callable[[], Any]) -> Any:
        """Return what ``make`` returned for ``key`` first; shared by all copies of the record."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def __repr__(self) -> str:
        elements = sum(part.mesh.elements for part in self.layout.experiments)
        return (
            f"NLP({self.problem.name!r}, {self.scheme}, elements={elements}, "
            f"variables={self.columns}, constraints={self.rows})"
        )

    @property
    def columns(self) -> int:
        """Number of variables."""
        return self.layout.columns

    @property
    def rows(self) -> int:
        """Number of constraints."""
        return self.layout.rows

    @property
    def p(self) -> Array:
        """(parameters,) all parameter blocks in one vector."""
        return np.concatenate([np.ravel(v) for v in self.parameters.values()])

    def with_start(self, start: ArrayLike) -> NLP:
        """Return the NLP with another starting point.

        Raises
        ------
        InputError
            Wrong length or entries that are not finite.
        """
        x = np.asarray(start, dtype=float)
        if x.shape != (self.columns,):
            raise InputError(
                f"the start has shape {x.shape}, but the NLP has {self.columns} columns."
            )
        if not np.isfinite(x).all():
            culprit = self.layout.column_names[int(np.flatnonzero(~np.isfinite(x))[0])]
            raise InputError(f"the start of {culprit} is not finite; choose another start.")
        return replace(self, start=x)

    def with_parameters(self, **blocks: ArrayLike) -> NLP:
        """Return the NLP with other parameter values; functions and solvers are kept."""
        values = dict(self.parameters)
        for name, block in blocks.items():
            if name not in values:
                raise InputError(
                    f"there is no parameter block {name!r}; there are: {', '.join(values)}."
                )
            given = np.asarray(block, dtype=float)
            if given.shape not in (values[name].shape, ()):
                raise InputError(
                    f"parameter block {name!r} has shape {values[name].shape}, not {given.shape}."
                )
            values[name] = np.broadcast_to(given, values[name].shape).copy()
        return replace(self, parameters=values)

    def objective(self, x: ArrayLike) -> float:
        """Value of f."""
        return float(self.functions.objective(x, self.p))

    def constraints(self, x: ArrayLike) -> Array:
        """(rows,) values of g."""
        return np.asarray(self.functions.constraints(x, self.p), dtype=float).ravel()

    def predictions(self, x: ArrayLike) -> tuple[Array, sparse.csc_matrix]:
        """Return model outputs at the measured samples and their Jacobian.

        Returns
        -------
        (samples, outputs) values h(x_h(t_i)), experiment after experiment, and the
        (samples * outputs, columns) sparse Jacobian.
        """
        functions: Functions = self.cache("predictions", self._prediction_functions)
        value, jacobian = functions.jacobian(x, self.p)
        outputs = len(self.problem.outputs)
        return np.asarray(value, dtype=float).reshape(-1, outputs), jacobian.sparse()

    def _prediction_functions(self) -> Functions:
        term = prediction_term(self.problem, self.layout, self.scheme, self.parameters)
        rows = term.points * len(self.problem.outputs)
        return assemble([term], sparse.csr_matrix((rows, self.columns)), len(self.p))

    def violation(self, x: ArrayLike) -> Array:
        """(rows,) by how much each row's bounds are violated."""
        g = self.constraints(x)
        return np.maximum(0.0, np.maximum(self.row_lower - g, g - self.row_upper))

    def kkt_residual(self, x: ArrayLike, lam_g: ArrayLike, lam_x: ArrayLike) -> float:
        r"""Largest of :math:`|\nabla f+J^T\lambda+\lambda_x|`, violation and complementarity.

        Multipliers follow the one sign rule: positive at an active upper bound.
        """
        x, lam_g, lam_x = (np.asarray(v, dtype=float).ravel() for v in (x, lam_g, lam_x))
        gradient = np.asarray(self.functions.gradient(x, self.p)[1], dtype=float).ravel()
        jacobian = self.functions.jacobian(x, self.p)[1]
        stationarity = gradient + np.asarray(ca.mtimes(jacobian.T, lam_g)).ravel() + lam_x
        bounds = np.maximum(0.0, np.maximum(self.lower - x, x - self.upper))
        gaps = [
            np.where(lam > 0.0, np.minimum(upper, 1e30) - v, v - np.maximum(lower, -1e30))
            * np.abs(lam)
            for lam, v, lower, upper in (
                (lam_x, x, self.lower, self.upper),
                (lam_g, self.constraints(x), self.row_lower, self.row_upper),
            )
        ]
        free = self.lower < self.upper  # a fixed variable's stationarity is its bound's business
        parts = (stationarity[free], bounds, self.violation(x), gaps[0][free], gaps[1])
        return float(np.max([np.abs(v).max(initial=0.0) for v in parts]))
