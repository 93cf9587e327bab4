r"""The functions of a program, and the same in scaled variables :math:`\tilde x = x/s,\ \tilde g = r g`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import casadi as ca
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_T = TypeVar("_T")
_FULL = 20  # entries a column
_KEPT = 64  # values per key; the oldest is given up


@dataclass(frozen=True, eq=False)
class Functions:
    """f, ∇f, g, J and H; arguments ``x, p`` and, for the Hessian, ``lam_f, lam_g``.

    ``gradient`` returns (f, ∇f), ``jacobian`` (g, J), ``hessian`` the upper triangle of the Hessian
    of σ f + λᵀ g.  ``evaluated`` are Python functions that they call, which live as long as they do.
    ``exact`` tells whether the Hessian has the networks' own second derivatives (else: Gauss-Newton).
    """

    objective: ca.Function
    gradient: ca.Function
    constraints: ca.Function
    jacobian: ca.Function
    hessian: ca.Function
    evaluated: tuple[ca.Callback, ...] = ()
    exact: bool = True
    _kept: dict[str, list[tuple[tuple[Any, ...], Any]]] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> int:
        """Number of variables."""
        return int(self.objective.numel_in(0))

    @property
    def parameters(self) -> int:
        """Length of the parameter vector."""
        return int(self.objective.numel_in(1))

    @property
    def rows(self) -> int:
        """Number of constraints."""
        return int(self.constraints.numel_out(0))

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

    def scaled(self, s: Array, r: Array) -> Functions:
        """Return the functions of x / s and r g; scales that are powers of two lose no digit."""
        column, row = ca.DM(s.tolist()), ca.DM(r.tolist())
        x, p = ca.MX.sym("x", len(s)), ca.MX.sym("p", self.parameters)
        sigma, lam = ca.MX.sym("lam_f"), ca.MX.sym("lam_g", len(r))
        inner = column * x
        # inlined, so that `slopes` can leave the values out
        f, gradient = self.gradient.call([inner, p], True, False)
        g, jacobian = self.jacobian.call([inner, p], True, False)
        hessian = self.hessian(inner, p, sigma, row * lam)
        return Functions.of(
            [x, p, sigma, lam],
            self.objective(inner, p),
            (f, column * gradient),
            row * self.constraints(inner, p),
            (row * g, jacobian * _outer(r, s, jacobian.sparsity())),
            hessian * _outer(s, s, hessian.sparsity()),
            evaluated=self.evaluated,
            exact=self.exact,
        )

    def slopes(self) -> tuple[ca.Function, ca.Function]:
        """`gradient` and `jacobian` with NaN for f and g, for who has evaluated those already."""
        x, p = ca.MX.sym("x", self.columns), ca.MX.sym("p", self.parameters)
        made = []
        for function in (self.gradient, self.jacobian):
            derivative = function.call([x, p], True, False)[1]
            outputs = [ca.MX(ca.DM.nan(function.size_out(0))), derivative]
            names = function.name_in(), function.name_out()
            made.append(ca.Function(function.name(), [x, p], outputs, *names))
        return made[0], made[1]

    @classmethod
    def of(
        cls,
        arguments: list[ca.MX],
        f: ca.MX,
        gradient: tuple[ca.MX, ca.MX],
        g: ca.MX,
        jacobian: tuple[ca.MX, ca.MX],
        hessian: ca.MX,
        **rest: Any,
    ) -> Functions:
        """Name the functions as ``casadi.nlpsol`` wants them; arguments are x, p, σ and λ."""
        point, names, options = arguments[:2], ["x", "p"], {"allow_free": False}
        f, g = ca.densify(f), ca.densify(g)
        gradient = ca.densify(gradient[0]), ca.densify(gradient[1])
        return cls(
            ca.Function("nlp_f", point, [f], names, ["f"], options),
            ca.Function("nlp_grad_f", point, list(gradient), names, ["f", "grad_f_x"], options),
            ca.Function("nlp_g", point, [g], names, ["g"], options),
            ca.Function("nlp_jac_g", point, list(jacobian), names, ["g", "jac_g_x"], options),
            ca.Function(
                "nlp_hess_l",
                arguments,
                [hessian],
                [*names, "lam_f", "lam_g"],
                ["triu_hess_gamma_x_x"],
                options,
            ),
            **rest,
        )


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a is b or np.array_equal(a, b)
    return a is b


def _outer(left: Array, right: Array, pattern: ca.Sparsity) -> ca.DM:
    """Return left rightᵀ on a pattern; CasADi's products take long for many columns, lists for many entries."""
    if pattern.nnz() > _FULL * pattern.size2():
        sides = (ca.diag(ca.DM(v.tolist())) for v in (left, right))
        return ca.mtimes([next(sides), ca.DM(pattern, 1.0), next(sides)])
    rows = np.array(pattern.row(), dtype=np.intp)
    starts = np.array(pattern.colind(), dtype=np.intp)
    columns = np.repeat(np.arange(len(right)), starts[1:] - starts[:-1])
    return ca.DM(pattern, (left[rows] * right[columns]).tolist())
