r"""By how much the discrete Lagrangian misses the exact one, element by element.

Put the exact trajectory :math:`\hat x` through :math:`X_{e,0}` into the nodes of element `e`.  The
rows of the scheme do not vanish there but leave the truncation errors
:math:`\gamma_e=\sum_jD_{kj}\hat X_j-h\sum_jB_{kj}f(\hat X_j)`, and the measurements, which the NLP
compares with the interpolant, differ from the exact ones, as a Lagrange cost's quadrature does from its
integral.  So

.. math:: \delta L_e=\sum_{t_i\in e}\bigl(J_i(\hat x(t_i))-J_i(x_h[\hat X](t_i))\bigr)
          +\int_eL(\hat x)\,dt-h\sum_jb_jL(\hat X_j)-\lambda_e^T\gamma_e

is what an exact scheme on the same nodes would change in the Lagrangian, and its value and slope
at the discrete solution are all that an error estimate needs.  Nothing here asks which scheme it
is: rows, weights and multipliers speak for themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..numerics import Array
from .reconstruction import Reconstruction
from .running import Running


@dataclass(frozen=True, eq=False)
class Defect:
    """Rows (E, m, states) γ and (E,) costs, of the exact solution or of a direction."""

    rows: Array
    costs: Array

    def lagrangian(self, multipliers: Array) -> Array:
        """(E,) costs − λᵀγ; ``multipliers`` are (E, m, states)."""
        return np.asarray(self.costs - np.einsum("ekx,ekx->e", multipliers, self.rows))


class Defects:
    """The defects of a reconstruction, to first order and in full, and along directions."""

    def __init__(self, better: Reconstruction) -> None:
        self.better, self.elements = better, better.elements
        e, scheme = self.elements, self.elements.nlp.scheme
        self._to_nodes = better.at(scheme.nodes)
        self._stages = list(scheme.stages)
        self._tau = scheme.nodes[self._stages]
        self._inputs = e.inputs(self._tau)
        self._running, fine = Running(e), better.fine
        self._quadrature = fine.nodes[list(fine.stages)], fine.weights[list(fine.stages)]
        self._fine_inputs = e.inputs(self._quadrature[0])
        s = e.measurements
        self._fine, self._coarse = better.at(s.tau), scheme.interpolation(s.tau)

    def linear(self) -> Defect:
        """Residual of the discrete solution, answered by the linearised equation."""
        e, change = self.elements, self.better.change
        # of the interpolant: a stage at the element's start has a value of its own
        at_nodes = self._interpolated(e.nlp.scheme.nodes)
        x = at_nodes[:, self._stages]
        nodes = self._nodes(change)
        still = np.zeros((len(e), len(self._tau), e.parameter_columns.shape[1]))
        (f,) = e.call_nodes(e.functions.rhs, self._tau, x, self._inputs)
        (slope,) = e.call_nodes(
            *(e.functions.along, self._tau, x, self._inputs),
            *(nodes[:, self._stages], still, np.zeros_like(e.theta)),
        )
        rows = self._rows(at_nodes + nodes, f + slope)
        tau, _ = self._quadrature
        values, by_x = self._running.value(tau, self._interpolated(tau), self._fine_inputs)
        fine = values + np.einsum("ekx,ekx->ek", by_x, change[:, 1:])
        values, by_x = self._running.value(self._tau, x, self._inputs)
        coarse = values + np.einsum("ekx,ekx->ek", by_x, nodes[:, self._stages])
        running = self._missed(fine, coarse)
        if not len(e.measurements.tau):
            return Defect(rows, running)
        _, by_x, _ = self._misfit(self._sample(self._coarse, e.states))
        moved = self._sample(self._fine, change) - self._sample(self._coarse, nodes)
        return Defect(rows, running + self._sum(np.einsum("ix,ix->i", by_x, moved)))

    def full(self) -> Defect:
        """Truncation errors of the exact solution, and what its curvature does to the misfit."""
        e = self.elements
        nodes = self._nodes(self.better.states)
        (f,) = e.call_nodes(e.functions.rhs, self._tau, nodes[:, self._stages], self._inputs)
        discrete, exact = self._at_samples()
        change = self._misfit(exact)[0][:, 0] - self._misfit(discrete)[0][:, 0]
        fine = self._running.value(
            self._quadrature[0], self.better.states[:, 1:], self._fine_inputs
        )
        coarse = self._running.value(self._tau, nodes[:, self._stages], self._inputs)
        return Defect(self._rows(nodes, f), self._missed(fine[0], coarse[0]) + self._sum(change))

    def misfit_slope(self) -> Array:
        """(E, m+1, states) by how much the misfit's gradient by the nodes changes."""
        e = self.elements
        discrete, exact = self._at_samples()
        change = self._misfit(exact)[1] - self._misfit(discrete)[1]
        found = np.zeros_like(e.states)
        np.add.at(found, e.measurements.element, self._coarse[:, :, None] * change[:, None, :])
        return found

    def along(self, v: Array, dp: Array, dtheta: Array) -> Defect:
        """Derivative of `full` by nodes, parameters and weights, along a direction.

        Parameters
        ----------
        v, dp, dtheta : (E, m+1, states), (E, parameters) and (weights,).
        """
        e = self.elements
        varied = self.better.variation(v[:, 0], dp, dtheta)
        nodes, moved = self._nodes(self.better.states), self._nodes(varied)
        p = np.repeat(dp[:, None, :], len(self._tau), axis=1)
        (slope,) = e.call_nodes(
            *(e.functions.along, self._tau, nodes[:, self._stages], self._inputs),
            *(moved[:, self._stages], p, dtheta),
        )
        discrete, exact = self._at_samples()
        now = self._sample(self._coarse, v)
        then = now + self._sample(self._fine, varied) - self._sample(self._coarse, moved)
        total = np.zeros(len(now))
        for sign, x, change in ((1.0, exact, then), (-1.0, discrete, now)):
            _, by_x, by_p = self._misfit(x)
            total += sign * np.einsum("ix,ix->i", by_x, change)
            total += sign * np.einsum("ip,ip->i", by_p, dp[e.measurements.element])
        fine = self._running.along(
            *(self._quadrature[0], self.better.states[:, 1:], self._fine_inputs),
            *(varied[:, 1:], dp, dtheta),
        )
        stages = nodes[:, self._stages], self._inputs, moved[:, self._stages]
        coarse = self._running.along(self._tau, *stages, dp, dtheta)
        return Defect(self._rows(moved, slope), self._missed(fine, coarse) + self._sum(total))

    def _missed(self, fine: Array, coarse: Array) -> Array:
        """(E,) integral of a running cost minus the scheme's quadrature of it."""
        e = self.elements
        weights = e.nlp.scheme.weights[self._stages]
        return np.asarray(e.step * (fine @ self._quadrature[1] - coarse @ weights))

    def _interpolated(self, tau: Array) -> Array:
        """(E, len(tau), states) interpolant of the discrete states."""
        e = self.elements
        return np.einsum("kj,ejx->ekx", e.nlp.scheme.interpolation(tau), e.states)

    def _nodes(self, fine: Array) -> Array:
        """(E, m+1, states) values at the scheme's nodes of values at the fine nodes."""
        return np.einsum("kj,ejx->ekx", self._to_nodes, fine)

    def _rows(self, nodes: Array, f: Array) -> Array:
        scheme = self.elements.nlp.scheme
        used = np.einsum("kj,ejx->ekx", scheme.B[:, self._stages], f)
        linear = np.einsum("kj,ejx->ekx", scheme.D, nodes)
        return np.asarray(linear - self.elements.step[:, None, None] * used)

    def interpolation_error(self) -> Array:
        """(N, states) exact solution minus its interpolant, at the measurement times."""
        nodes = self._nodes(self.better.states)
        return self._sample(self._fine, self.better.states) - self._sample(self._coarse, nodes)

    def _at_samples(self) -> tuple[Array, Array]:
        """(N, states) interpolant at the measurement times, without and with its error."""
        discrete = self._sample(self._coarse, self.elements.states)
        return discrete, discrete + self.interpolation_error()

    def _sample(self, matrix: Array, values: Array) -> Array:
        """(N, states) at the measurement times, by a row of ``matrix`` each."""
        return np.einsum("ij,ijx->ix", matrix, values[self.elements.measurements.element])

    def _misfit(self, x: Array) -> list[Array]:
        e, s = self.elements, self.elements.measurements
        return e.call(e.functions.misfit, s.element, s.tau, x, s.inputs, *s.data)

    def _sum(self, values: Array) -> Array:
        """(E,) sums of values at the measurement times."""
        found = np.bincount(
            self.elements.measurements.element, values, minlength=len(self.elements)
        )
        return np.asarray(found, dtype=float)
