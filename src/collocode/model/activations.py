r"""Activations, one record each, and the arithmetic that they and networks are written over.

A formula is written once over an `Operations` namespace.  Which arithmetic it then means is the
namespace's business: `NUMPY` evaluates, `CASADI` builds graphs, `jax_operations` returns the one for
JAX; Pyomo's and ONNX's live with the exporters.  A new activation is one entry of `ACTIVATIONS`.

==============  =====================================================  ==========
``tanh``        :math:`\tanh a`                                        smooth
``sigmoid``     :math:`1/(1+e^{-a})`                                   smooth
``softplus``    :math:`\log(1+e^a)`                                    smooth
``swish``       :math:`a/(1+e^{-a})`, SiLU                             smooth
``gelu``        :math:`\frac a2(1+\tanh(\sqrt{2/\pi}(a+0.044715a^3)))`  smooth
``silu_tanh``   2 SiLU(a) − tanh a: φ(0) = φ'(0) = 0, φ''(0) = 1       smooth
``linear``      a                                                      smooth
``elu``         a for a > 0, else :math:`e^a-1`                        once
``relu``        max(a, 0)                                              continuous
==============  =====================================================  ==========

GELU is the tanh form of Hendrycks & Gimpel (arXiv 1606.08415), which every backend can say; it differs
from :math:`a\,\Phi(a)` by less than 5e-4.  ELU: Clevert, Unterthiner & Hochreiter (ICLR 2016), α = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np

from ..checks import check_choice, installed
from ..numerics import Array

_FUNCTIONS = ("tanh", "exp", "log", "cosh", "sqrt")


@dataclass(frozen=True, kw_only=True)
class Operations:
    """What activations and losses may use; arrays are columns, ``matrix`` reshapes column-major."""

    name: str
    tanh: Callable[[Any], Any]
    exp: Callable[[Any], Any]
    log: Callable[[Any], Any]
    cosh: Callable[[Any], Any]
    sqrt: Callable[[Any], Any]
    absolute: Callable[[Any], Any]
    maximum: Callable[[Any, Any], Any]
    matrix: Callable[[Any, int, int], Any]

    def sigmoid(self, a: Any) -> Any:
        """½ + ½ tanh(a/2): no overflow, in value or derivatives."""
        return 0.5 + 0.5 * self.tanh(0.5 * a)


def _column_major(vector: Any, rows: int, columns: int) -> Any:
    return vector.reshape((rows, columns), order="F")


def _array_operations(name: str, module: Any) -> Operations:
    functions = {f: getattr(module, f) for f in (*_FUNCTIONS, "maximum")}
    return Operations(name=name, absolute=module.abs, matrix=_column_major, **functions)


NUMPY = _array_operations("numpy", np)
CASADI = Operations(
    name="casadi",
    absolute=ca.fabs,
    maximum=ca.fmax,
    matrix=ca.reshape,
    **{f: getattr(ca, f) for f in _FUNCTIONS},
)


def jax_operations() -> Operations:
    """Return the namespace for JAX arrays."""
    with installed("JAX", "learn"):
        import jax.numpy as jnp
    return _array_operations("jax", jnp)


Formula = Callable[[Any, Operations], Any]
Derivative = Callable[[Array, Array], Array]


@dataclass(frozen=True, kw_only=True, eq=False)
class Activation:
    r"""A scalar function with all that is known of it.

    Attributes
    ----------
    name : as a user writes it.
    formula : (a, operations) -> φ(a); no overflow for |a| ≤ 1300, in value and two derivatives.
    slope, curvature : (a, φ(a)) -> φ'(a) and φ''(a), NumPy arrays; the value is handed over because
        it is known and often saves the work.  In a kink, one of the one-sided derivatives.
    smoothness : number of continuous derivatives.  Second-order methods cross the places where φ''
        jumps (`elu`, 1) but not kinks (`relu`, 0).
    operator, attributes : the ONNX operator that computes it, if there is one.
    native : whether the operator is written: opset 17 has it and onnxruntime knows it in double
        precision.  Else the formula is written, and the operator is understood when read.
    values : another formula for files that need values only; None takes ``formula``.

    Examples
    --------
    >>> activation("silu_tanh").at_zero
    (0.0, 0.0, 1.0)
    >>> sorted(activation("softplus").functions)
    ['cosh', 'log', 'tanh']
    """

    name: str
    formula: Formula
    slope: Derivative
    curvature: Derivative
    smoothness: float = np.inf
    operator: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    native: bool = True
    values: Formula | None = None

    def __call__(self, a: Any, ops: Operations = NUMPY) -> Any:
        """Evaluate φ."""
        return self.formula(a, ops)

    @property
    def kinks(self) -> bool:
        """Whether φ' jumps somewhere, which no method of second order can cross."""
        return self.smoothness < 1

    @property
    def at_zero(self) -> tuple[float, float, float]:
        """φ(0), φ'(0), φ''(0): they decide how a layer can be inserted without a jump."""
        zero = np.zeros(1)
        value = np.asarray(self(zero), dtype=float)
        derivatives = (value, self.slope(zero, value), self.curvature(zero, value))
        return tuple(float(np.asarray(v)[0]) for v in derivatives)  # type: ignore[return-value]

    @cached_property
    def functions(self) -> frozenset[str]:
        """Names of the `Operations` that the formula calls, found by calling it."""
        seen: set[str] = set()

        def noted(name: str) -> Callable[..., Any]:
            def apply(*operands: Any) -> Any:
                seen.add(name)
                return getattr(NUMPY, name)(*operands)

            return apply

        recording = {name: noted(name) for name in (*_FUNCTIONS, "absolute", "maximum")}
        self.formula(1.0, Operations(name="recording", matrix=NUMPY.matrix, **recording))
        return frozenset(seen)


def _softplus(a: Any, ops: Operations) -> Any:
    # a/2 + log(2 cosh(a/2)) with the angle halved once more, so that two derivatives hold at |a| = 1400
    quarter = 0.25 * a
    return 0.5 * a + 2.0 * ops.log(ops.cosh(quarter)) + ops.log(2.0 + 2.0 * ops.tanh(quarter) ** 2)


_GELU, _CUBIC = float(np.sqrt(2.0 / np.pi)), 0.044715


def _gelu(a: Any, ops: Operations) -> Any:
    return 0.5 * a * (1.0 + ops.tanh(_GELU * a * (1.0 + _CUBIC * a * a)))


def _gelu_parts(a: Array) -> tuple[Array, Array, Array]:
    """t = tanh u, u' and u'' of u = √(2/π)(a + 0.044715 a³)."""
    t = np.tanh(_GELU * a * (1.0 + _CUBIC * a * a))
    return t, _GELU * (1.0 + 3.0 * _CUBIC * a * a), 6.0 * _GELU * _CUBIC * a


def _gelu_slope(a: Array, y: Array) -> Array:
    t, du, _ = _gelu_parts(a)
    return np.asarray(0.5 * (1.0 + t) + 0.5 * a * (1.0 - t * t) * du)


def _gelu_curvature(a: Array, y: Array) -> Array:
    t, du, ddu = _gelu_parts(a)
    return np.asarray((1.0 - t * t) * (du + 0.5 * a * (ddu - 2.0 * t * du * du)))


def _silu_tanh(a: Any, ops: Operations) -> Any:
    # 2 SiLU(a) - tanh(a) = a (1 + tanh(a/2)) - tanh(a)
    return a * (1.0 + ops.tanh(0.5 * a)) - ops.tanh(a)


def _silu_tanh_slope(a: Array, y: Array) -> Array:
    half, full = np.tanh(0.5 * a), np.tanh(a)
    return np.asarray(half + 0.5 * a * (1.0 - half**2) + full**2)


def _silu_tanh_curvature(a: Array, y: Array) -> Array:
    half, full = np.tanh(0.5 * a), np.tanh(a)
    return np.asarray((1.0 - half**2) * (1.0 - 0.5 * a * half) + 2.0 * full * (1.0 - full**2))


def _elu(a: Any, ops: Operations) -> Any:
    # max(a, 0) + exp(min(a, 0)) - 1 by |a|, which every backend has; CasADi's derivative at 0 is 1
    size = ops.absolute(a)
    return 0.5 * (a + size) + ops.exp(0.5 * (a - size)) - 1.0


_RECORDS = (
    Activation(
        name="tanh",
        formula=lambda a, ops: ops.tanh(a),
        slope=lambda a, y: 1.0 - y * y,
        curvature=lambda a, y: -2.0 * y * (1.0 - y * y),
        operator="Tanh",
    ),
    Activation(
        name="sigmoid",
        formula=lambda a, ops: ops.sigmoid(a),
        slope=lambda a, y: y * (1.0 - y),
        curvature=lambda a, y: y * (1.0 - y) * (1.0 - 2.0 * y),
        operator="Sigmoid",
    ),
    Activation(
        name="softplus",
        formula=_softplus,
        slope=lambda a, y: NUMPY.sigmoid(a),
        curvature=lambda a, y: NUMPY.sigmoid(a) * NUMPY.sigmoid(-a),
        operator="Softplus",
        native=False,
        values=lambda a, ops: ops.maximum(a, 0.0) + ops.log(1.0 + ops.exp(-ops.absolute(a))),
    ),
    Activation(
        name="swish",
        formula=lambda a, ops: a * ops.sigmoid(a),
        slope=lambda a, y: (s := NUMPY.sigmoid(a)) + y * (1.0 - s),
        curvature=lambda a, y: (s := NUMPY.sigmoid(a)) * (1.0 - s) * (2.0 + a * (1.0 - 2.0 * s)),
    ),
    Activation(
        name="gelu",
        formula=_gelu,
        slope=_gelu_slope,
        curvature=_gelu_curvature,
        operator="Gelu",
        attributes={"approximate": "tanh"},
        native=False,
    ),
    Activation(
        name="silu_tanh",
        formula=_silu_tanh,
        slope=_silu_tanh_slope,
        curvature=_silu_tanh_curvature,
    ),
    Activation(
        name="linear",
        formula=lambda a, ops: a,
        slope=lambda a, y: np.ones_like(a),
        curvature=lambda a, y: np.zeros_like(a),
        operator="Identity",
    ),
    Activation(
        name="elu",
        formula=_elu,
        slope=lambda a, y: np.where(a > 0.0, 1.0, y + 1.0),
        curvature=lambda a, y: np.where(a > 0.0, 0.0, y + 1.0),
        smoothness=1,
        operator="Elu",
        attributes={"alpha": 1.0},
        native=False,
    ),
    Activation(
        name="relu",
        formula=lambda a, ops: ops.maximum(a, 0.0),
        slope=lambda a, y: (a > 0.0).astype(float),
        curvature=lambda a, y: np.zeros_like(a),
        smoothness=0,
        operator="Relu",
    ),
)
ACTIVATIONS: Mapping[str, Activation] = {record.name: record for record in _RECORDS}


def activation_names() -> tuple[str, ...]:
    """Names that `activation` knows.

    Examples
    --------
    >>> "tanh" in activation_names(), "silu_tanh" in activation_names()
    (True, True)
    """
    return tuple(ACTIVATIONS)


def activation(name: str) -> Activation:
    """Return the activation called ``name``.

    Raises
    ------
    InputError
        Unknown name.
    """
    check_choice("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
