r"""The terms of the simultaneous problem, each mapped over all its points at once."""

from __future__ import annotations

from dataclasses import dataclass

import casadi as ca
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..transcription.term import MappedTerm, data_function
from .arithmetic import COLUMN
from .network import LayeredNetwork
from .objective import Objective

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_NONE = (ca.SX(0, 1), np.empty(0, dtype=np.intp))


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
    return [
        MappedTerm.build(
            "opening",
            value,
            own,
            (theta, layout.weights[network.slices["opening"]]),
            (y, _constants(objective.samples.X)),
            _scatter(layout.initial[:, :d], layout),
        )
    ]


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
    shared: tuple[ca.SX, Index] = _NONE
    if k == network.time_basis.size:
        shared = (ca.vec(c), coefficients.ravel())
    else:
        gathered = np.tile(coefficients[alive].reshape(network.layers, -1), (samples, 1))
        own = (ca.vertcat(x, ca.vec(c)), np.hstack([states, gathered]))
    return MappedTerm.build(
        "layers",
        value,
        own,
        shared,
        (
            ca.vertcat(h, ca.vec(v)),
            _constants(
                np.tile(network.mesh.steps, samples)[:, None], np.tile(values, (samples, 1))
            ),
        ),
        _scatter(layout.steps, layout),
    )


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
    return MappedTerm.build(
        "loss",
        objective.loss.symbolic(u, target) / len(objective.samples),
        (x, layout.states[:, -1, :d]),
        (theta, layout.weights[network.slices["readout"]]),
        (target, _constants(objective.targets)),
    )


def _penalties(objective: Objective, layout: Columns) -> list[MappedTerm]:
    """Ridge terms: one point an entry of a coefficient, of the opening, of the read-out."""
    network, penalty = objective.network, objective.regularisation
    empty = ca.SX(0, 1)
    terms = []
    if penalty.weights > 0.0:
        c = ca.SX.sym("c", network.time_basis.size)
        gram = ca.DM(sparse.csc_matrix(network.time_basis.gram()))
        columns = layout.weights[network.slices["coefficients"]].reshape(-1, network.row).T
        value = 0.5 * penalty.weights * ca.dot(c, ca.mtimes(gram, c))
        data = (empty, _constants(np.empty((len(columns), 0))))
        terms.append(MappedTerm.build("ridge.weights", value, (c, columns), _NONE, data))
    for part, factor in (("readout", penalty.readout), ("opening", penalty.opening)):
        columns = layout.weights[network.slices[part]][:, None]
        if factor > 0.0 and len(columns):
            v = ca.SX.sym("v")
            data = (empty, _constants(np.empty((len(columns), 0))))
            terms.append(
                MappedTerm.build(f"ridge.{part}", 0.5 * factor * v**2, (v, columns), _NONE, data)
            )
    return terms
