"""Lagrange costs element by element: integrand, Hamiltonian and their derivatives at points.

Windows that bear the same costs share their functions, so that all their elements are called at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import casadi as ca
import numpy as np

from ..model.costs import Lagrange
from ..model.problem import Problem
from ..model.symbolic import cost_function, rhs_function
from ..numerics import Array
from .elements import Elements, point_arguments


@dataclass(frozen=True, eq=False)
class RunningCost:
    """The sum L of the Lagrange costs that some windows bear, weighed, at one point.

    Attributes
    ----------
    windows : their names.
    value : (t, x, u, p, θ) -> L and its gradient by x.
    along : (t, x, u, p, θ, dx, dp, dθ) -> L_x dx + L_p dp + L_θ dθ.
    hamiltonian : (t, x, u, p, θ, z) -> H = L + zᵀf, its gradient by u, and its Hessian column by column.
    """

    windows: frozenset[str]
    value: ca.Function
    along: ca.Function
    hamiltonian: ca.Function

    @classmethod
    def of(cls, problem: Problem, windows: frozenset[str]) -> RunningCost:
        """Derive the functions for windows that bear the same costs."""
        name = next(iter(windows))
        every = [c for c in problem.costs if isinstance(c, Lagrange) and c.borne_by(name)]
        function, rhs = cost_function(problem, every), rhs_function(problem)
        given, known = point_arguments(problem)
        symbol = type(given[0]).sym
        _, x, u, p, theta = given
        value, z = function(*known), symbol("z", x.numel())
        change = [symbol("d", v.numel()) for v in (x, p, theta)]
        slope = ca.jtimes(value, ca.vertcat(x, p, theta), ca.vertcat(*change))
        energy = value + ca.dot(z, rhs(*known))
        hessian, gradient = ca.hessian(energy, u)
        dense = [ca.densify(ca.vec(v)) for v in (gradient, hessian)]
        return cls(
            windows,
            ca.Function("L", given, [ca.densify(value), ca.densify(ca.gradient(value, x))]),
            ca.Function("along", [*given, *change], [ca.densify(slope)]),
            ca.Function("H", [*given, z], [ca.densify(energy), *dense]),
        )


_KNOWN: WeakKeyDictionary[Problem, tuple[RunningCost, ...]] = WeakKeyDictionary()


def running_costs(problem: Problem) -> tuple[RunningCost, ...]:
    """Return the costs of all windows, derived once however many meshes a problem is solved on."""
    if problem not in _KNOWN:
        every = [cost for cost in problem.costs if isinstance(cost, Lagrange)]
        alike: dict[tuple[bool, ...], set[str]] = {}
        for e in problem.experiments:
            alike.setdefault(tuple(c.borne_by(e.name) for c in every), set()).add(e.name)
        _KNOWN[problem] = tuple(RunningCost.of(problem, frozenset(n)) for n in alike.values())
    return _KNOWN[problem]


class Running:
    """The running costs at local coordinates that all elements share."""

    def __init__(self, elements: Elements) -> None:
        self.elements = elements
        names = np.array([e.name for e in elements.experiments])[elements.experiment]
        self._parts = [
            (np.isin(names, list(cost.windows)), cost)
            for cost in running_costs(elements.nlp.problem)
        ]

    def value(self, tau: Array, x: Array, u: Array) -> tuple[Array, Array]:
        """(E, K) L and (E, K, states) its gradient."""
        value, by_x = self._called("value", tau, (x, u), (1, x.shape[2]))
        return value[:, :, 0], by_x

    def along(self, tau: Array, x: Array, u: Array, dx: Array, dp: Array, dtheta: Array) -> Array:
        """(E, K) derivative of L along (E, K, states), (E, parameters) and (weights,) directions."""
        p = np.repeat(dp[:, None, :], len(tau), axis=1)
        (slope,) = self._called("along", tau, (x, u, dx, p), (1,), dtheta)
        return slope[:, :, 0]

    def hamiltonian(self, tau: Array, x: Array, u: Array, z: Array) -> tuple[Array, Array, Array]:
        """(E, K) H, (E, K, inputs) its gradient by u and (E, K, inputs, inputs) its Hessian."""
        count = u.shape[2]
        value, gradient, hessian = self._called(
            "hamiltonian", tau, (x, u, z), (1, count, count * count)
        )
        return value[:, :, 0], gradient, hessian.reshape(*hessian.shape[:2], count, count)

    def _called(
        self, which: str, tau: Array, given: tuple[Array, ...], sizes: tuple[int, ...], *flat: Array
    ) -> list[Array]:
        found = [np.zeros((len(self.elements), len(tau), size)) for size in sizes]
        for here, cost in self._parts:
            part = self.elements.called(
                getattr(cost, which), np.flatnonzero(here), tau, *(v[here] for v in given), *flat
            )
            for table, values in zip(found, part, strict=True):
                table[here] = values
        return found
