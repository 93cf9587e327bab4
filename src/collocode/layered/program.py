r"""The simultaneous problem: the states of all samples at all layers are unknowns beside the weights.

.. math:: \min\ J\quad\text{s.t.}\quad x_{s,0}-\ell(y_s)=0,\qquad
          x_{s,n+1}-\Phi(x_{s,n};K(t_n),b(t_n),h_n)=0

Rows carry the sign of the toolkit, :math:`L=f+\lambda^Tg`, so at a solution the adjoint is
:math:`P_n=\partial J/\partial x_n=-\lambda_n`.  Columns are the states, sample by sample and layer by
layer, then opening, read-out and coefficients; weights of a basis with local support are gathered
layer by layer, so that J and H keep the sparsity of the chain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..errors import check_type
from ..transcription.assembly import assemble
from ..transcription.program import Block, Program
from ..transcription.structure import Chain, ChainStructure, stacked
from .forward import forward, lifted
from .objective import Objective
from .program_terms import Columns, terms_of

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class LayeredProgram(Program):
    """The simultaneous problem as a `Program`, with maps between its points and the network.

    Attributes
    ----------
    objective_of : the objective of the weights alone.
    layout : which column and row is what.
    """

    objective_of: Objective
    layout: Columns

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


def layered_program(objective: Objective, theta: ArrayLike) -> LayeredProgram:
    """Write the training as one program that starts from the states of ``theta``.

    An activation with kinks makes it one that `collocode.solve` refuses.
    """
    check_type("layered_program", objective, Objective)
    network = objective.network
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
    block = network.block
    return LayeredProgram(
        name="layered network",
        objective_of=objective,
        layout=layout,
        functions=assemble(terms, linear, 0),
        terms=terms,
        linear=linear,
        lower=lower,
        upper=upper,
        row_lower=right,
        row_upper=right.copy(),
        start=start,
        column_blocks=(
            Block("state", layout.states),
            *(Block(part, layout.weights[where]) for part, where in network.slices.items()),
        ),
        row_blocks=(Block("initial", layout.initial), Block("layer", layout.steps)),
        kinks=(f"the block uses {block.activation}",) if block.phi.kinks else (),
        make_structure=lambda: _structure(layout),
    )


def _structure(layout: Columns) -> ChainStructure:
    """A chain of layers per sample; all weights are the border."""
    chains = []
    for links, initial, rows in zip(layout.states, layout.initial, layout.steps, strict=True):
        per_layer = stacked([np.append(initial, rows[0]), *rows[1:]])
        inner = np.empty((len(rows), 0), dtype=int)
        chains.append(Chain(links=links, inner=inner, rows=per_layer))
    return ChainStructure(tuple(chains), layout.weights, np.empty(0, dtype=int))


def _identity(layout: Columns) -> sparse.csr_matrix:
    """Every row has its own new state with coefficient one."""
    rows = np.concatenate([layout.initial.ravel(), layout.steps.ravel()])
    columns = np.concatenate([layout.states[:, 0].ravel(), layout.states[:, 1:].ravel()])
    shape = (len(rows), layout.states.size + len(layout.weights))
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
