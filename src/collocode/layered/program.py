r"""The simultaneous problem: the states of all samples at all layers are unknowns beside the weights.

.. math:: \min\ J\quad\text{s.t.}\quad x_{s,0}-\ell(y_s)=0,\qquad
          x_{s,n+1}-\Phi(x_{s,n};K(t_n),b(t_n),h_n)=0

Rows carry the sign of the toolkit, :math:`L=f+\lambda^Tg`, so at a solution the adjoint is
:math:`P_n=\partial J/\partial x_n=-\lambda_n`.  Columns are the states, sample by sample and layer by
layer, then opening, read-out and coefficients; weights of a basis with local support are gathered
layer by layer, so that J and H keep the sparsity of the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..errors import InputError
from ..transcription.assembly import Functions, assemble
from ..transcription.term import MappedTerm
from .forward import forward, lifted
from .objective import Objective
from .program_terms import Columns, terms_of

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class LayeredNLP:
    """The simultaneous problem; has the fields of `collocode.NLP` that solvers look at."""

    objective_of: Objective
    layout: Columns
    functions: Functions
    terms: tuple[MappedTerm, ...]
    linear: sparse.csr_matrix
    lower: Array
    upper: Array
    row_lower: Array
    row_upper: Array
    start: Array
    p: Array
    column_scale: Array
    row_scale: Array
    _cache: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> int:
        """Number of unknowns."""
        return len(self.lower)

    @property
    def rows(self) -> int:
        """Number of equations."""
        return len(self.row_lower)

    def cache(self, key: str, make: Callable[[], Any]) -> Any:
        """Return what ``make`` returned for ``key`` first."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def objective(self, x: ArrayLike) -> float:
        """Value of f."""
        return float(self.functions.objective(x, self.p))

    def constraints(self, x: ArrayLike) -> Array:
        """(rows,) values of g."""
        return np.asarray(self.functions.constraints(x, self.p), dtype=float).ravel()

    def violation(self, x: ArrayLike) -> Array:
        """(rows,) by how much each row is violated."""
        g = self.constraints(x)
        return np.maximum(0.0, np.maximum(self.row_lower - g, g - self.row_upper))

    def theta(self, x: Array) -> Array:
        """(n_weights,) weights in a point."""
        return np.asarray(x[self.layout.weights])

    def states(self, x: Array) -> Array:
        """(N+1, S, D) states in a point."""
        return np.asarray(x[self.layout.states].swapaxes(0, 1))

    def adjoint(self, lam_g: Array) -> Array:
        """(N+1, S, D) P_n = ∂J/∂x_n = −λ_n from the multipliers."""
        later = lam_g[self.layout.steps].swapaxes(0, 1)
        return -np.concatenate([lam_g[self.layout.initial][None], later])

    def multipliers(self, P: Array) -> Array:
        """(rows,) multipliers of an adjoint; the inverse of `adjoint`."""
        lam_g = np.empty(self.rows)
        lam_g[self.layout.initial] = -P[0]
        lam_g[self.layout.steps] = -P[1:].swapaxes(0, 1)
        return lam_g


def layered_nlp(objective: Objective, theta: ArrayLike) -> LayeredNLP:
    """Write the training as one NLP that starts from the states of ``theta``.

    Raises
    ------
    InputError
        An activation with kinks, which second-order steps cannot cross.
    """
    network = objective.network
    if network.block.phi.kinks:
        raise InputError(
            f"the activation {network.block.activation!r} has kinks that IPOPT's second-order steps "
            "cannot cross; choose a smooth one, or another trainer."
        )
    weights = network.checked(theta)
    layout = Columns.of(network, len(objective.samples))
    terms = terms_of(objective, layout)
    linear = _identity(layout)
    start = np.empty(linear.shape[1])
    start[layout.states] = forward(network, weights, objective.samples.X).swapaxes(0, 1)
    start[layout.weights] = weights
    lower, upper = np.full(len(start), -np.inf), np.full(len(start), np.inf)
    fixed = layout.weights[~objective.free]
    lower[fixed] = upper[fixed] = start[fixed]
    right = np.zeros(linear.shape[0])
    if network.lift != "opening":
        right[layout.initial] = lifted(network, weights, objective.samples.X)
    return LayeredNLP(
        objective,
        layout,
        assemble(terms, linear, 0),
        terms,
        linear,
        lower,
        upper,
        right,
        right.copy(),
        start,
        np.empty(0),
        np.ones(len(lower)),
        np.ones(len(right)),
    )


def _identity(layout: Columns) -> sparse.csr_matrix:
    """Every row has its own new state with coefficient one."""
    rows = np.concatenate([layout.initial.ravel(), layout.steps.ravel()])
    columns = np.concatenate([layout.states[:, 0].ravel(), layout.states[:, 1:].ravel()])
    shape = (len(rows), layout.states.size + len(layout.weights))
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
