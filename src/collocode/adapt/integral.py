"""The goal that is an integral along a trajectory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from ..errors import InputError
from ..model.constraints import PathConstraint
from ..model.symbolic import Symbols, constrained
from ..numerics import Array
from ..numerics.schemes import scheme
from ..transcription.nlp import NLP
from .elements import Elements, number_of
from .reconstruction import Reconstruction


def goal_function(nlp: NLP, function: Callable[..., Any], what: str) -> ca.Function:
    """Return (t, x, u, p, θ) -> g, its gradient by x and by p, for g(t, x, u, p, nn).

    Raises
    ------
    InputError
        A function that fails, or that depends on algebraic variables, networks, or parameters in time.
    """
    problem, s = nlp.problem, Symbols.of(nlp.problem)
    value = constrained(problem, PathConstraint(what, function), s)
    z = s.u[len(problem.inputs) :]
    if problem.algebraics and ca.depends_on(value, z):
        raise InputError(
            f"{what} cannot use algebraic variables; write what they are of the states."
        )
    if ca.depends_on(value, s.theta):
        raise InputError(f"{what} cannot use networks; write it of states and parameters.")
    p, theta = s.p, s.theta
    if problem.varies_in_time:
        if ca.depends_on(value, s.p):
            raise InputError(f"{what} cannot use parameters that vary in time.")
        p = ca.SX.sym("p", len(problem.coefficient_names))
        theta = ca.SX.sym("theta", len(nlp.layout.weights))
    gradients = [ca.densify(ca.gradient(value, v)) for v in (s.x, p)]
    return ca.Function("goal", [s.t, s.x, s.u, p, theta], [value, *gradients])


@dataclass(frozen=True)
class Integral:
    r"""An integral :math:`\int g(t, x, u, p)\,dt` along one trajectory.

    Parameters
    ----------
    function : ``g(t, x, u, p)``, one scalar; names as in a right-hand side (``x.prey``, ``p.mu``).
    experiment : name or number.
    label : for reports.
    """

    function: Callable[..., Any]
    experiment: int | str = 0
    label: str = "integral"

    def __str__(self) -> str:
        return self.label

    def check(self, nlp: NLP) -> None:
        """Refuse integrands that fail."""
        number_of(nlp, self.experiment)
        self._function(nlp)

    def _integrand(self) -> Callable[..., Any]:
        """g as a function of (t, x, u, p, nn)."""
        g = self.function
        return lambda t, x, u, p, nn: g(t, x, u, p)

    def _function(self, nlp: NLP) -> ca.Function:
        """(t, x, u, p, θ) -> g, its gradient by x and by p."""
        return goal_function(nlp, self._integrand(), "an integral goal")

    def _points(self, e: Elements) -> tuple[Array, Array, Array]:
        """Gauss nodes and weights of (0, 1), and (E,) steps, zero in other experiments."""
        gauss = scheme("legendre_gauss", len(e.nlp.scheme.stages) + 3)
        here = e.experiment == number_of(e.nlp, self.experiment)
        return gauss.nodes[1:-1], gauss.weights[1:-1], np.where(here, e.step, 0.0)

    def _values(self, e: Elements, tau: Array, states: Array) -> list[Array]:
        return e.call_nodes(self._function(e.nlp), tau, states, e.inputs(tau))

    def value(self, elements: Elements) -> float:
        """Integral of g along the interpolant."""
        tau, weights, step = self._points(elements)
        x = np.einsum("kj,ejx->ekx", elements.nlp.scheme.interpolation(tau), elements.states)
        return float(step @ self._values(elements, tau, x)[0][:, :, 0] @ weights)

    def gradient(self, elements: Elements) -> Array:
        """By states and parameters."""
        e = elements
        tau, weights, step = self._points(e)
        matrix = e.nlp.scheme.interpolation(tau)
        x = np.einsum("kj,ejx->ekx", matrix, e.states)
        _, by_x, by_p = self._values(e, tau, x)
        found = np.zeros(e.nlp.columns)
        share = np.einsum("e,k,kj,ekx->ejx", step, weights, matrix, by_x)
        np.add.at(found, e.columns, share)
        np.add.at(found, e.parameter_columns, np.einsum("e,k,ekp->ep", step, weights, by_p))
        return found

    def defect(self, better: Reconstruction) -> Array:
        """Integrals along the exact trajectory minus those along its interpolant."""
        e = better.elements
        tau, weights, step = self._points(e)
        matrix = e.nlp.scheme.interpolation(tau) @ better.at(e.nlp.scheme.nodes)
        exact, interpolated = (
            self._values(e, tau, np.einsum("kj,ejx->ekx", m, better.states))[0][:, :, 0]
            for m in (better.at(tau), matrix)
        )
        return np.asarray(step * ((exact - interpolated) @ weights))
