r"""Activations with two derivatives in NumPy: what adjoints, Jacobians and insertions need.

The formulas are those of `collocode.model.network`, so that a layer means the same in NumPy, CasADi
and JAX; the derivatives are written down beside them.  One activation is added for layers that are
inserted: :math:`\varphi(a)=2\,\mathrm{SiLU}(a)-\tanh a`, which has
:math:`\varphi(0)=\varphi'(0)=0` and :math:`\varphi''(0)=1`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model import network as _model
from ..model.operations import NUMPY, Operations

Array = NDArray[np.float64]
Derivative = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Activation:
    r"""A scalar function with its first and second derivative.

    Attributes
    ----------
    name : as a user writes it.
    formula : (a, operations) -> φ(a), in NumPy, CasADi or JAX.
    slope, curvature : (a, φ(a)) -> φ'(a) and φ''(a), NumPy arrays; the value is handed over because
        it is known and often saves the work.
    smooth : whether φ is twice differentiable everywhere.

    Examples
    --------
    >>> activation("silu_tanh").at_zero
    (0.0, 0.0, 1.0)
    """

    name: str
    formula: Callable[[Any, Operations], Any]
    slope: Derivative
    curvature: Derivative
    smooth: bool = True

    def __call__(self, a: Any, ops: Operations = NUMPY) -> Any:
        """Evaluate φ."""
        return self.formula(a, ops)

    @property
    def at_zero(self) -> tuple[float, float, float]:
        """φ(0), φ'(0), φ''(0): they decide how a layer can be inserted without a jump."""
        zero = np.zeros(1)
        value = np.asarray(self(zero), dtype=float)
        derivatives = (value, self.slope(zero, value), self.curvature(zero, value))
        return tuple(float(np.asarray(v)[0]) for v in derivatives)  # type: ignore[return-value]


def _sigmoid(a: Array) -> Array:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * a))


def _swish_slope(a: Array, y: Array) -> Array:
    s = _sigmoid(a)
    return np.asarray(s + y * (1.0 - s))


def _swish_curvature(a: Array, y: Array) -> Array:
    s = _sigmoid(a)
    return np.asarray(s * (1.0 - s) * (2.0 + a * (1.0 - 2.0 * s)))


def _silu_tanh(a: Any, ops: Operations) -> Any:
    # 2 SiLU(a) - tanh(a) = a (1 + tanh(a/2)) - tanh(a)
    return a * (1.0 + ops.tanh(0.5 * a)) - ops.tanh(a)


def _silu_tanh_slope(a: Array, y: Array) -> Array:
    half, full = np.tanh(0.5 * a), np.tanh(a)
    return np.asarray(half + 0.5 * a * (1.0 - half**2) + full**2)


def _silu_tanh_curvature(a: Array, y: Array) -> Array:
    half, full = np.tanh(0.5 * a), np.tanh(a)
    return np.asarray((1.0 - half**2) * (1.0 - 0.5 * a * half) + 2.0 * full * (1.0 - full**2))


_DERIVATIVES: dict[str, tuple[Derivative, Derivative]] = {
    "tanh": (lambda a, y: 1.0 - y * y, lambda a, y: -2.0 * y * (1.0 - y * y)),
    "sigmoid": (lambda a, y: y * (1.0 - y), lambda a, y: y * (1.0 - y) * (1.0 - 2.0 * y)),
    "softplus": (lambda a, y: _sigmoid(a), lambda a, y: _sigmoid(a) * (1.0 - _sigmoid(a))),
    "swish": (_swish_slope, _swish_curvature),
    "linear": (lambda a, y: np.ones_like(a), lambda a, y: np.zeros_like(a)),
    "relu": (lambda a, y: (a > 0.0).astype(float), lambda a, y: np.zeros_like(a)),
    "silu_tanh": (_silu_tanh_slope, _silu_tanh_curvature),
}
_FORMULAS = {**_model.ACTIVATIONS, "silu_tanh": _silu_tanh}


def activation_names() -> tuple[str, ...]:
    """Names that `activation` knows.

    Examples
    --------
    >>> "tanh" in activation_names(), "silu_tanh" in activation_names()
    (True, True)
    """
    return tuple(_DERIVATIVES)


def activation(name: str) -> Activation:
    """Return the activation called ``name``.

    Raises
    ------
    InputError
        Unknown name.
    """
    if name not in _DERIVATIVES:
        raise InputError(
            f"unknown activation {name!r}; choose from {', '.join(activation_names())}."
        )
    return Activation(name, _FORMULAS[name], *_DERIVATIVES[name], smooth=name != "relu")
