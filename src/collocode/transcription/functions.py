r"""The functions of a program, and the same in scaled variables :math:`\tilde x = x/s,\ \tilde g = r g,\ \tilde f = c f`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar

import casadi as ca
import numpy as np

from ..numerics import Array

_T = TypeVar("_T")
# names of arguments and results, as casadi.nlpsol wants them
JACOBIAN = ("x", "p"), ("g", "jac_g_x")
HESSIAN = ("x", "p", "lam_f", "lam_g"), ("triu_hess_gamma_x_x",)
_KEPT = 64  # values per key; the oldest is given up


class Expressions(Protocol):
    """f, ∇f, g, J and the Hessian's upper triangle as MX of ``symbols``, each made when it is first asked for.

    ``exact`` and ``kernels`` as in `Functions`.  Python functions that they call live as long as they do.
    """

    symbols: tuple[ca.MX, ca.MX, ca.MX, ca.MX]
    exact: bool
    kernels: bool

    @property
    def f(self) -> ca.MX:
        """Objective."""

    @property
    def gradient(self) -> ca.MX:
        """Its derivatives."""

    @property
    def g(self) -> ca.MX:
        """Constraints."""

    @property
    def jacobian(self) -> ca.MX:
        """Their derivatives."""

    @property
    def hessian(self) -> ca.MX:
        """Upper triangle of the Hessian of σ f + λᵀ g."""

    @property
    def jacobian_in_place(self) -> ca.Function | None:
        """(x, p) -> NaN, J, if that is what ``jacobian`` calls: it writes to where the result is wanted."""

    @property
    def hessian_in_place(self) -> ca.Function | None:
        """(x, p, σ, λ) -> upper triangle of the Hessian, likewise."""

    def scaled(self, s: Array, r: Array, c: float) -> Expressions:
        """Return those of x / s, r g and c f."""


@dataclass(frozen=True, eq=False)
class Functions:
    """f, ∇f, g, J and H; arguments ``x, p`` and, for the Hessian, ``lam_f, lam_g``.

    ``gradient`` returns (f, ∇f), ``jacobian`` (g, J), ``hessian`` the upper triangle of the Hessian
    of σ f + λᵀ g; each is built when it is first asked for, as ``casadi.nlpsol`` wants it.
    """

    expressions: Expressions
    _kept: dict[str, list[tuple[tuple[Any, ...], Any]]] = field(default_factory=dict, repr=False)

    @cached_property
    def objective(self) -> ca.Function:
        """(x, p) -> f."""
        return self._of_point("nlp_f", [self.expressions.f], ["f"])

    @cached_property
    def gradient(self) -> ca.Function:
        """(x, p) -> f, ∇f."""
        values = [self.expressions.f, self.expressions.gradient]
        return self._of_point("nlp_grad_f", values, ["f", "grad_f_x"])

    @cached_property
    def constraints(self) -> ca.Function:
        """(x, p) -> g."""
        return self._of_point("nlp_g", [self.expressions.g], ["g"])

    @cached_property
    def jacobian(self) -> ca.Function:
        """(x, p) -> g, J."""
        values = [self.expressions.g, self.expressions.jacobian]
        return self._of_point("nlp_jac_g", values, [*JACOBIAN[1]])

    @cached_property
    def hessian(self) -> ca.Function:
        """(x, p, σ, λ) -> upper triangle of the Hessian."""
        return ca.Function(
            "nlp_hess_l",
            [*self.expressions.symbols],
            [self.expressions.hessian],
            *HESSIAN,
            {"allow_free": False},
        )

    @cached_property
    def for_solver(self) -> tuple[ca.Function, ca.Function, ca.Function]:
        """`gradient`, `jacobian` and `hessian`, with NaN for f and g: a solver has evaluated those already."""
        known = self.expressions
        unknown = [ca.MX(ca.DM.nan(count)) for count in (1, self.rows)]
        gradient = self._of_point("nlp_grad_f", [unknown[0], known.gradient], ["f", "grad_f_x"])
        jacobian = known.jacobian_in_place
        if jacobian is None:
            jacobian = self._of_point("nlp_jac_g", [unknown[1], known.jacobian], [*JACOBIAN[1]])
        hessian = known.hessian_in_place
        return gradient, jacobian, self.hessian if hessian is None else hessian

    def _of_point(self, name: str, values: list[ca.MX], names: list[str]) -> ca.Function:
        point = [*self.expressions.symbols[:2]]
        return ca.Function(name, point, values, ["x", "p"], names, {"allow_free": False})

    @property
    def exact(self) -> bool:
        """Whether the Hessian has the networks' own second derivatives (else: Gauss-Newton)."""
        return self.expressions.exact

    @property
    def kernels(self) -> bool:
        """Whether compiled kernels differentiate some of its networks."""
        return self.expressions.kernels

    @property
    def pattern(self) -> ca.Sparsity:
        """Nonzeros of the Jacobian, without making more of it than a solver needs."""
        function = self.expressions.jacobian_in_place
        return (
            self.expressions.jacobian.sparsity() if function is None else function.sparsity_out(1)
        )

    @property
    def nonzeros(self) -> int:
        """Number of nonzeros of the Jacobian."""
        return int(self.pattern.nnz())

    @property
    def columns(self) -> int:
        """Number of variables."""
        return int(self.expressions.symbols[0].numel())

    @property
    def parameters(self) -> int:
        """Length of the parameter vector."""
        return int(self.expressions.symbols[1].numel())

    @property
    def rows(self) -> int:
        """Number of constraints."""
        return int(self.expressions.symbols[3].numel())

    def cache(self, key: str, make: Callable[[], _T], *made_from: Any) -> _T:
        """Return what ``make`` returned for ``key`` and these inputs, else make it and keep it.

        Arrays among ``made_from`` are compared by value, everything else by identity.
        """
        entries = self._kept.setdefault(key, [])
        for inputs, value in entries:
            if len(inputs) == len(made_from) and all(map(_same, inputs, made_from)):
                return value
        made = make()
        entries.append((made_from, made))
        del entries[:-_KEPT]
        return made

    def scaled(self, s: Array, r: Array, c: float = 1.0) -> Functions:
        """Return the functions of x / s, r g and c f; scales that are powers of two lose no digit."""
        return Functions(self.expressions.scaled(s, r, c))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a is b or np.array_equal(a, b)
    return a is b
