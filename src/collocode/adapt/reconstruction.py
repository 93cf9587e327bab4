r"""A better solution element by element, from the discrete one.

From the left end :math:`X_{e,0}` of its element the equation is solved once more by a Radau
method with two stages more than the scheme has: order :math:`2s+3` at the end of the element, and
damping as stiff equations want it.  All elements are independent of each other, so Newton's method
works on a batch of small dense systems, and starts from the discrete solution.

The *first* Newton step is the response of the linearised equation to the residual of the discrete
solution; the *converged* one is the exact trajectory through :math:`X_{e,0}`.  Both are kept: they
are the two halves of the estimate of a goal's error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..numerics import Array, Mask
from ..numerics.scheme import Scheme, lagrange_matrix
from ..numerics.schemes import scheme
from .elements import Elements

EXTRA_STAGES = 2
_MOST_STEPS, _ACCURACY = 8, 1e-4


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Element-wise solutions of higher order.

    Attributes
    ----------
    elements : where.
    fine : the scheme they come from.
    states : (E, S+1, states) at its nodes; they start at the discrete X_{e,0}.
    change : (E, S+1, states) first Newton step, from the discrete solution.
    converged : (E,) whether Newton's method converged; where it did not, ``states`` is one step.
    """

    elements: Elements
    fine: Scheme
    states: Array
    change: Array
    converged: Mask

    def at(self, tau: Array) -> Array:
        """(len(tau), S+1) matrix from the fine nodes to local coordinates."""
        return lagrange_matrix(self.fine.nodes, tau)

    def variation(self, first: Array, dp: Array, dtheta: Array) -> Array:
        r"""(E, S+1, states) solution of :math:`\dot v=f_xv+f_p\,dp+f_\theta\,d\theta` from ``first``.

        Parameters
        ----------
        first : (E, states) at the left ends.
        dp, dtheta : (E, parameters) and (weights,) directions.
        """
        e, nodes = self.elements, self.fine.nodes[1:]
        inner, u = self.states[:, 1:], e.inputs(nodes)
        _, matrix = _newton_matrix(e, self.fine, inner, u)
        dp = np.repeat(dp[:, None, :], len(nodes), axis=1)
        (slope,) = e.call_nodes(e.functions.along, nodes, inner, u, 0.0 * inner, dp, dtheta)
        known = e.step[:, None, None] * slope
        known = known - self.fine.D[None, :, :1] * first[:, None, :]
        found = solve_all(matrix, known)
        return np.concatenate([first[:, None, :], found], axis=1)


def reconstruct(elements: Elements) -> Reconstruction:
    """Solve every element again from its left end, by a method of higher order."""
    coarse = elements.nlp.scheme
    fine = scheme("legendre_radau", len(coarse.stages) + EXTRA_STAGES)
    nodes = fine.nodes[1:]
    first = elements.states[:, :1]
    u = elements.inputs(nodes)
    states = np.einsum("kj,ejx->ekx", coarse.interpolation(nodes), elements.states)
    begun = states.copy()
    with np.errstate(all="ignore"):
        change = _step(elements, fine, first, states, u)
        states = states + change
        size, goal = _largest(change), _ACCURACY * _largest(change)
        goal = np.maximum(goal, 1e-13 * _largest(begun))
        step = size
        for _ in range(_MOST_STEPS):
            if (step <= goal).all():
                break
            more = _step(elements, fine, first, states, u)
            step = _largest(more)
            states = states + np.where(np.isfinite(more), more, 0.0)
    converged = np.isfinite(states).all(axis=(1, 2)) & (step <= np.maximum(goal, 1e-2 * size))
    linear = begun + change
    states = np.where(converged[:, None, None], states, linear)
    zero = np.zeros_like(first)
    return Reconstruction(
        elements,
        fine,
        np.concatenate([first, states], axis=1),
        np.concatenate([zero, change], axis=1),
        converged,
    )


def _largest(values: Array) -> Array:
    return np.asarray(np.abs(values).max(axis=(1, 2)), dtype=float)


def _step(e: Elements, fine: Scheme, first: Array, states: Array, u: Array) -> Array:
    """Newton step for D X − h f(X) = 0 in every element."""
    f, matrix = _newton_matrix(e, fine, states, u)
    residual = np.einsum("kj,ejx->ekx", fine.D[:, 1:], states) + fine.D[None, :, :1] * first
    return -solve_all(matrix, residual - e.step[:, None, None] * f)


def _newton_matrix(e: Elements, fine: Scheme, states: Array, u: Array) -> tuple[Array, Array]:
    """f at the fine nodes, and the matrices D ⊗ I − h diag(f_x) as (E, S, states, S, states)."""
    count, nodes, nx = states.shape
    f, slope = e.call_nodes(e.functions.jacobian, fine.nodes[1:], states, u)
    slope = slope.reshape(count, nodes, nx, nx).swapaxes(2, 3)  # CasADi writes columns
    matrix = np.zeros((count, nodes, nx, nodes, nx))
    state, node = np.arange(nx), np.arange(nodes)
    matrix[:, :, state, :, state] = fine.D[:, 1:]
    matrix[:, node, :, node, :] -= (e.step[:, None, None, None] * slope).swapaxes(0, 1)
    return f, matrix


def solve_all(matrix: Array, right: Array) -> Array:
    """Solve a batch of linear systems; the unknowns have the shape of ``right``."""
    count, nodes, nx = right.shape
    square, column = matrix.reshape(count, nodes * nx, -1), right.reshape(count, nodes * nx, 1)
    try:
        found = np.linalg.solve(square, column)
    except np.linalg.LinAlgError:  # an element too long for its dynamics: least squares
        found = np.linalg.pinv(square) @ column
    return np.asarray(found, dtype=float).reshape(right.shape)
