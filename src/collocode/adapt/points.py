"""The model's functions at one point, for estimators that look between the nodes."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import casadi as ca

from ..model.activations import CASADI
from ..model.problem import Problem
from ..model.symbolic import output_function, rhs_function


@dataclass(frozen=True, eq=False)
class PointFunctions:
    """f, its derivatives and the misfit at one point; CasADi maps them over columns.

    Attributes
    ----------
    rhs : (t, x, u, p, θ) -> f.
    jacobian : (t, x, u, p, θ) -> f, and f_x column by column.
    along : (t, x, u, p, θ, dx, dp, dθ) -> f_x dx + f_p dp + f_θ dθ.
    misfit : (t, x, u, p, θ, y, w, σ) -> Σ w ρ((h − y)/σ), its gradient by x and by p.
    """

    rhs: ca.Function
    jacobian: ca.Function
    along: ca.Function
    misfit: ca.Function

    @classmethod
    def of(cls, problem: Problem) -> PointFunctions:
        """Derive the functions of a problem."""
        rhs, output = rhs_function(problem), output_function(problem)
        arguments = [ca.SX.sym(rhs.name_in(i), rhs.size1_in(i)) for i in range(5)]
        _, x, _, p, theta = arguments
        f, h = rhs(*arguments), output(*arguments)
        change = [ca.SX.sym("d", v.numel()) for v in (x, p, theta)]
        slope = ca.jtimes(f, ca.vertcat(x, p, theta), ca.vertcat(*change))
        y, w, sigma = (ca.SX.sym(name, h.numel()) for name in ("y", "w", "sigma"))
        value = ca.dot(w, problem.loss.cost(h, y, sigma, CASADI))
        jacobian = ca.vec(ca.densify(ca.jacobian(f, x)))
        by_x, by_p = (ca.densify(ca.gradient(value, v)) for v in (x, p))
        return cls(
            ca.Function("f", arguments, [ca.densify(f)]),
            ca.Function("f_x", arguments, [ca.densify(f), jacobian]),
            ca.Function("along", [*arguments, *change], [ca.densify(slope)]),
            ca.Function("misfit", [*arguments, y, w, sigma], [value, by_x, by_p]),
        )


_KNOWN: WeakKeyDictionary[Problem, PointFunctions] = WeakKeyDictionary()


def point_functions(problem: Problem) -> PointFunctions:
    """Return a problem's functions, derived once however many meshes it is solved on."""
    if problem not in _KNOWN:
        _KNOWN[problem] = PointFunctions.of(problem)
    return _KNOWN[problem]
