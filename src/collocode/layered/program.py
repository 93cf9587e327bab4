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

import casadi as ca
import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ..kinds import check_type
from ..numerics import Array, Index
from ..transcription.assembly import assemble
from ..transcription.program import Block, Program
from ..transcription.structure import Chain, ChainStructure, stacked
from ..transcription.term import MappedTerm, data_function
from .blocks import COLUMN
from .forward import forward, lifted
from .network import LayeredNetwork
from .objective import Objective


@dataclass(frozen=True, eq=False)
class Columns:
    """Which column and row is what.

    Attributes
    ----------
    states : (S, N+1, D) columns.
    weights : (n_weights,) columns of the weight vector's entries.
    initial, steps : (S, D) and (S, N, D) rows.
    """

    states: Index
    weights: Index
    initial: Index
    steps: Index

    @classmethod
    def of(cls, network: LayeredNetwork, samples: int) -> Columns:
        """Number the unknowns and equations of a network on so many samples."""
        shape = (samples, network.layers + 1, network.state_size)
        states = np.arange(int(np.prod(shape))).reshape(shape)
        weights = np.empty(network.n_weights, dtype=np.intp)
        first = states.size
        for part in ("opening", "readout", "coefficients"):  # the longest last: a dense border
            where = network.slices[part]
            weights[where] = first + np.arange(where.stop - where.start)
            first += where.stop - where.start
        initial = np.arange(samples * shape[2]).reshape(samples, shape[2])
        steps = initial.size + np.arange(samples * network.layers * shape[2])
        return cls(states, weights, initial, steps.reshape(samples, network.layers, shape[2]))


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class LayeredProgram(Program):
    """The simultaneous problem as a `Program`, with maps between its points and the network.

    Attributes
    ----------
    layout : which column and row is what.
    """

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
        first = np.zeros(len(initial), dtype=int)
        per_layer = stacked(len(rows), [(first, initial), (np.arange(len(rows)), rows)])
        inner = np.empty((len(rows), 0), dtype=int)
        chains.append(Chain(links=links, inner=inner, rows=per_layer))
    return ChainStructure(tuple(chains), layout.weights, np.empty(0, dtype=int))


def _identity(layout: Columns) -> sparse.csr_matrix:
    """Every row has its own new state with coefficient one."""
    rows = np.concatenate([layout.initial.ravel(), layout.steps.ravel()])
    columns = np.concatenate([layout.states[:, 0].ravel(), layout.states[:, 1:].ravel()])
    shape = (len(rows), layout.states.size + len(layout.weights))
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)


def terms_of(objective: Objective, layout: Columns) -> tuple[MappedTerm, ...]:
    """Opening, layers, loss and penalties."""
    return (
        *_lift(objective, layout),
        _layers(objective.network, layout),
        _loss(objective, layout),
        *_penalties(objective, layout),
    )


def _scatter(rows: Index, layout: Columns) -> sparse.csc_matrix:
    total = layout.initial.size + layout.steps.size
    flat = rows.ravel()
    return sparse.csc_matrix(
        (np.ones(len(flat)), (flat, np.arange(len(flat)))), shape=(total, len(flat))
    )


def _constants(*tables: Array) -> ca.Function:
    return data_function({}, tables, ())


def _lift(objective: Objective, layout: Columns) -> list[MappedTerm]:
    """−tanh(K₀ y + b₀) in the initial rows, where there is an opening."""
    network = objective.network
    if network.lift != "opening":
        return []
    d, inputs = network.width, network.inputs
    theta, y = ca.SX.sym("opening", d * (inputs + 1)), ca.SX.sym("y", inputs)
    value = -ca.tanh(ca.reshape(theta[: d * inputs], d, inputs) @ y + theta[d * inputs :])
    own = (ca.SX(0, 1), np.empty((len(objective.samples), 0), dtype=np.intp))
    shared = (theta, layout.weights[network.slices["opening"]])
    data = (y, _constants(objective.samples.X))
    rows = _scatter(layout.initial[:, :d], layout)
    return [MappedTerm.build("opening", value, own, shared, data, rows)]


def _layers(network: LayeredNetwork, layout: Columns) -> MappedTerm:
    """−Φ(x_n; K, b, h) in the rows of x_{n+1}, for all samples and layers at once."""
    samples, _, D = layout.states.shape
    d, stages = network.width, len(network.block.stages)
    alive, values = _alive(network)
    k = alive.shape[1]
    x, h = ca.SX.sym("x", D), ca.SX.sym("h")
    c, v = ca.SX.sym("c", network.row, k), ca.SX.sym("v", k, stages)
    flat = ca.mtimes(c, v)  # (row, stages)
    K = [ca.reshape(flat[: d * d, i], d, d) for i in range(stages)]
    b = [flat[d * d :, i] for i in range(stages)]
    value = -network.block.step(x, K, b, h, COLUMN)
    states = layout.states[:, :-1].reshape(-1, D)
    coefficients = layout.weights[network.slices["coefficients"]].reshape(-1, network.row)
    own: tuple[ca.SX, Index] = (x, states)
    shared: tuple[ca.SX, Index] | None = None
    if k == network.time_basis.size:
        shared = (ca.vec(c), coefficients.ravel())
    else:
        gathered = np.tile(coefficients[alive].reshape(network.layers, -1), (samples, 1))
        own = (ca.vertcat(x, ca.vec(c)), np.hstack([states, gathered]))
    steps = np.tile(network.mesh.steps, samples)[:, None]
    data = (ca.vertcat(h, ca.vec(v)), _constants(steps, np.tile(values, (samples, 1))))
    return MappedTerm.build("layers", value, own, shared, data, _scatter(layout.steps, layout))


def _alive(network: LayeredNetwork) -> tuple[Index, Array]:
    """Return the functions alive in every layer, (N, k), and their values at its stages, (N, stages·k).

    Layers with fewer than k name others beside, whose values are zero.
    """
    stages, size = len(network.block.stages), network.time_basis.size
    table = network.time_values.toarray().reshape(network.layers, stages, size)
    used = (table != 0.0).any(axis=1)
    k = int(used.sum(axis=1).max())
    alive = np.argsort(~used, axis=1, kind="stable")[:, :k]
    if k == size:
        alive = np.broadcast_to(np.arange(size), (network.layers, size))
    values = np.take_along_axis(table, alive[:, None, :], axis=2)
    return alive, values.reshape(network.layers, -1)


def _loss(objective: Objective, layout: Columns) -> MappedTerm:
    network = objective.network
    d, o = network.width, network.outputs
    x, theta, target = ca.SX.sym("x", d), ca.SX.sym("r", o * (d + 1)), ca.SX.sym("y", o)
    u = ca.reshape(theta[: o * d], o, d) @ x + theta[o * d :]
    value = objective.loss.symbolic(u, target) / len(objective.samples)
    shared = (theta, layout.weights[network.slices["readout"]])
    data = (target, _constants(objective.targets))
    return MappedTerm.build("loss", value, (x, layout.states[:, -1, :d]), shared, data)


def _penalties(objective: Objective, layout: Columns) -> list[MappedTerm]:
    """Ridge terms: one point an entry of a coefficient, of the opening, of the read-out."""
    network, penalty = objective.network, objective.regularisation
    gram = ca.DM(sparse.csc_matrix(network.time_basis.gram()))
    coefficients = layout.weights[network.slices["coefficients"]].reshape(-1, network.row).T
    parts = [("weights", penalty.weights, gram, coefficients)]
    for part, factor in (("readout", penalty.readout), ("opening", penalty.opening)):
        parts.append((part, factor, ca.DM(1.0), layout.weights[network.slices[part]][:, None]))
    terms = []
    for part, factor, gram, columns in parts:
        if factor > 0.0 and len(columns):
            c = ca.SX.sym("c", gram.shape[0])
            value = 0.5 * factor * ca.dot(c, ca.mtimes(gram, c))
            terms.append(MappedTerm.build(f"ridge.{part}", value, (c, columns)))
    return terms
