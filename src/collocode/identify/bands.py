r"""What a band is drawn around, and how it depends on a solution's unknowns.

At a time of element `e` a state is :math:`\sum_j\ell_j(\tau)X_{e,j}`, an algebraic variable the polynomial
through its stages, an output :math:`h(x,z,u,p,\theta)` of both: rows of derivatives by the program's columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import casadi as ca
import numpy as np
from scipy import sparse

from ..checks import check_choice
from ..model.symbolic import output_function
from ..numerics import Array, Index
from ..numerics.scheme import lagrange_matrix
from ..results.resolved import resolved
from ..results.solution import Solution
from ..transcription.nlp import NLP

Of = Literal["states", "algebraics", "outputs"]
_KINDS = ("states", "algebraics", "outputs")
Entries = tuple[Index, Index, Array]  # rows, columns, values


def banded(
    solution: Solution, nlp: NLP, number: int, times: Array, of: Of
) -> tuple[sparse.csr_array, Array]:
    """Return (N k, columns) derivatives and (N, k) values of states, algebraic variables or outputs."""
    check_choice("of", of, _KINDS)
    known = _Known(nlp, number, times, solution.result.x)
    if of == "states":
        return known.states(), solution.states(times, number)
    if of == "algebraics":
        return known.algebraics(), solution.algebraics(times, number)
    return known.outputs(solution), solution.fitted(times, number)


class _Known:
    """Where the unknowns of some times are."""

    def __init__(self, nlp: NLP, number: int, times: Array, x: Array) -> None:
        self.nlp, self.number, self.times, self.x = nlp, number, times, x
        self.part = nlp.layout.experiments[number]
        given, mesh = resolved(nlp, x, number)
        self.placed = given.placed  # parameters that are times of events, where elements meet
        self.element, self.tau = mesh.locate(times)

    def states(self) -> sparse.csr_array:
        """(N states, columns)."""
        basis = self.nlp.scheme.interpolation(self.tau)
        columns = self.part.states[self.part.element_nodes()[self.element]]  # (N, nodes, states)
        every = [self._entries(basis, columns[:, :, i]) for i in range(columns.shape[2])]

        def at(element: Index, tau: Array) -> Array:
            nodes = self.x[self.part.states[self.part.element_nodes()[element]]]
            return np.einsum("ij,ijx->ix", self.nlp.scheme.interpolation(tau), nodes)

        return self._matrix(every) + self._along_boundaries(at)

    def _along_boundaries(self, at: Callable[[Index, Array], Array]) -> sparse.csr_array:
        """By how much (N, k) values in elements change as these move with the times of events."""
        nlp, found = self.nlp, sparse.csr_array((at(self.element, self.tau).size, self.nlp.columns))
        for name in self.placed:
            column = int(nlp.layout.parameter_columns(self.number, (name,))[0])
            step, around = 1e-6 * nlp.column_scale[column], []
            for sign in (-1.0, 1.0):
                moved = np.array(self.x)
                moved[column] += sign * step
                around.append(at(*resolved(nlp, moved, self.number)[1].locate(self.times)))
            slope = ((around[1] - around[0]) / (2.0 * step)).ravel()
            entries = (slope, (np.arange(len(slope)), np.full(len(slope), column)))
            found = found + sparse.csr_array(entries, shape=found.shape)
        return found

    def _carried(self, name: str) -> Entries | None:
        """Derivative of an input or algebraic variable; None of one that is given."""
        if name in self.part.decided:
            decided = self.part.decided[name]
            return self._entries(
                lagrange_matrix(decided.nodes, self.tau), decided.columns[self.element]
            )
        if name in self.part.spanned:
            function = self.part.spanned[name]
            mesh = self.part.mesh  # in whose times the basis is
            times = mesh.points[self.element] + self.tau * mesh.steps[self.element]
            alive, phi = function.basis.active(times, np.zeros(len(times), dtype=bool))
            return self._entries(phi, function.columns[alive])
        return None

    def algebraics(self) -> sparse.csr_array:
        """(N algebraic variables, columns)."""
        names = list(self.nlp.problem.algebraics)
        found = [self._carried(name) for name in names]

        def at(element: Index, tau: Array) -> Array:
            columns = [self.part.decided[name] for name in names]
            tables = [(lagrange_matrix(d.nodes, tau), self.x[d.columns[element]]) for d in columns]
            return np.column_stack([(w * values).sum(axis=1) for w, values in tables])

        every = self._matrix([entries for entries in found if entries is not None])
        return every + self._along_boundaries(at) if names else every

    def outputs(self, solution: Solution) -> sparse.csr_array:
        """(N outputs, columns) by the chain rule."""
        nlp, problem = self.nlp, self.nlp.problem
        h = output_function(problem)
        s = [ca.MX.sym(n, h.size1_in(i)) for i, n in enumerate(("t", "x", "u", "p", "theta"))]
        slopes = [ca.densify(ca.jacobian(h(*s), v)) for v in s[1:]]
        slope = ca.Function("slope", s, [ca.vec(v) for v in slopes])
        inputs = solution.trajectories[self.number].experiment.inputs
        x, theta = solution.states(self.times, self.number), solution.result.x[nlp.layout.weights]
        columns = nlp.layout.parameter_columns(self.number, problem.coefficient_names)
        p = solution.result.x[columns]
        u = [inputs[name](self.times) for name in problem.carried]
        table = np.column_stack(u) if u else np.empty((len(self.times), 0))
        N, k = len(self.times), len(problem.outputs)
        every = slope.map(N)(self.times[None, :], x.T, table.T, p, theta)
        by_x, by_u, by_p, by_theta = (
            np.asarray(v, dtype=float).T.reshape(N, -1, k).swapaxes(1, 2) for v in every
        )
        found = sparse.csr_array((N * k, nlp.columns))
        found = found + _rowwise(by_x) @ self.states()
        given = len(problem.inputs)
        if problem.algebraics:
            last = given + len(problem.algebraics)
            found = found + _rowwise(by_u[:, :, given:last]) @ self.algebraics()
        for j, name in enumerate(problem.inputs):
            entries = self._carried(name)
            if entries is not None:
                found = found + _rowwise(by_u[:, :, j : j + 1]) @ self._matrix([entries])
        for slopes_by, at in ((by_p, columns), (by_theta, nlp.layout.weights)):
            dense = slopes_by.reshape(N * k, -1)
            pick = sparse.csr_array(
                (np.ones(len(at)), (np.arange(len(at)), at)), shape=(len(at), nlp.columns)
            )
            found = found + sparse.csr_array(dense) @ pick
        return sparse.csr_array(found)

    def _entries(self, weights: Array, columns: Index) -> Entries:
        N, width = weights.shape
        return np.repeat(np.arange(N), width), columns.ravel(), weights.ravel()

    def _matrix(self, parts: list[Entries]) -> sparse.csr_array:
        """(N parts, columns): of every time all quantities, one after the other."""
        N, k = len(self.times), len(parts)
        rows = np.concatenate(
            [np.empty(0, dtype=int), *(r * k + i for i, (r, _, _) in enumerate(parts))]
        )
        columns = np.concatenate([np.empty(0, dtype=int), *(c for _, c, _ in parts)])
        values = np.concatenate([np.empty(0), *(v for _, _, v in parts)])
        return sparse.csr_array((values, (rows, columns)), shape=(N * k, self.nlp.columns))


def _rowwise(blocks: Array) -> sparse.csr_array:
    """(N k, N m) block diagonal of (N, k, m)."""
    N, k, m = blocks.shape
    rows = np.broadcast_to(np.arange(N * k).reshape(N, k, 1), blocks.shape)
    columns = np.broadcast_to(np.arange(N * m).reshape(N, 1, m), blocks.shape)
    entries = (blocks.ravel(), (rows.ravel(), columns.ravel()))
    return sparse.csr_array(entries, shape=(N * k, N * m))
