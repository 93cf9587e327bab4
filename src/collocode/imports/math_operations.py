"""What the operations of SBML's and PEtab's formulas mean in CasADi: the whitelist."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import casadi as ca

Meaning = tuple[int, int, Callable[..., Any]]
_AVOGADRO = 6.02214179e23  # SBML Level 3, section 3.4.6
_RELATIONS = ("EQ", "NEQ", "LT", "LEQ", "GT", "GEQ")
_MANY = 100_000


@cache
def operations(library: ModuleType) -> dict[int, Meaning]:
    """Fewest and most operands, and the meaning, of every operation that may occur, by libsbml's number."""
    return {getattr(library, f"AST_{name}"): meaning for name, meaning in MEANINGS.items()}


@cache
def relations(library: ModuleType) -> frozenset[int]:
    """The comparisons among them."""
    return frozenset(getattr(library, f"AST_RELATIONAL_{name}") for name in _RELATIONS)


def both(*truths: Any) -> Any:
    """Whether all hold."""
    return MEANINGS["LOGICAL_AND"][2](*truths)


def _sum(*terms: Any) -> Any:
    total = ca.SX(0.0)
    for term in terms:
        total += term
    return total


def _product(*factors: Any) -> Any:
    total = ca.SX(1.0)
    for factor in factors:
        total *= factor
    return total


def _minus(first: Any, *rest: Any) -> Any:
    return first - rest[0] if rest else -first


def _power(base: Any, exponent: Any) -> Any:
    exponent = ca.SX(exponent)
    if exponent.is_constant() and float(exponent).is_integer():
        return ca.SX(base) ** int(float(exponent))
    return ca.SX(base) ** exponent


def _root(*values: Any) -> Any:
    if len(values) == 1:
        return ca.sqrt(values[0])
    degree, base = values
    degree = ca.SX(degree)
    square = degree.is_constant() and float(degree) == 2.0
    return ca.sqrt(base) if square else ca.SX(base) ** (1.0 / degree)


def _log(*values: Any) -> Any:
    """log(base, x), or log10(x)."""
    base, x = values if len(values) == 2 else (10.0, values[0])
    return ca.log(x) / ca.log(base)


def _chain(compare: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def relation(*values: Any) -> Any:
        truth = ca.SX(1.0)
        for a, b in itertools.pairwise(values):
            truth = ca.logic_and(truth, compare(ca.SX(a), ca.SX(b)))
        return truth

    return relation


def _fold(combine: Callable[[Any, Any], Any], start: float) -> Callable[..., Any]:
    def folded(*values: Any) -> Any:
        total = ca.SX(start)
        for value in values:
            total = combine(total, ca.SX(value))
        return total

    return folded


def _extreme(choose: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def extreme(first: Any, *rest: Any) -> Any:
        for value in rest:
            first = choose(first, value)
        return first

    return extreme


def _piecewise(*values: Any) -> Any:
    """piecewise(value, condition, value, condition, ..., otherwise); NaN where no piece applies.

    A truth may lie between 0 and 1, where a switch is smoothed; then the pieces are mixed.
    """
    whole = len(values) % 2 == 0
    pieces, otherwise = (values, ca.SX(math.nan)) if whole else (values[:-1], values[-1])
    cases = [(v, ca.SX(c)) for v, c in zip(pieces[::2], pieces[1::2], strict=True)]
    if whole and any(_smoothed(truth) for _, truth in cases):
        return _shared(cases)
    for value, truth in reversed(cases):
        if _smoothed(truth):
            otherwise = _part(truth, value) + _part(1.0 - truth, otherwise)
        else:
            otherwise = ca.if_else(truth, value, otherwise)
    return otherwise


def _smoothed(truth: ca.SX) -> bool:
    return any(symbol.name().startswith("switch:") for symbol in ca.symvar(truth))


def _part(share: Any, value: Any) -> ca.SX:
    """A share of a piece, which may be infinite where it does not apply."""
    return ca.if_else(share, share * value, 0.0)


def _shared(cases: Sequence[tuple[Any, ca.SX]]) -> ca.SX:
    """The mean of the pieces by their truths, of which earlier ones come first; 0/0 without any."""
    total, shares = ca.SX(0.0), ca.SX(0.0)
    for value, truth in cases:
        share = ca.fmin(truth, 1.0 - shares)
        total, shares = total + _part(share, value), shares + share
    return total / shares


def _one(function: Callable[[Any], Any]) -> Meaning:
    return 1, 1, lambda x: function(ca.SX(x))


MEANINGS: dict[str, Meaning] = {
    "PLUS": (0, _MANY, _sum),
    "TIMES": (0, _MANY, _product),
    "MINUS": (1, 2, _minus),
    "DIVIDE": (2, 2, lambda a, b: ca.SX(a) / b),
    "POWER": (2, 2, _power),
    "FUNCTION_POWER": (2, 2, _power),
    "FUNCTION_ROOT": (1, 2, _root),
    "FUNCTION_EXP": _one(ca.exp),
    "FUNCTION_LN": _one(ca.log),
    "FUNCTION_LOG": (1, 2, _log),
    "FUNCTION_ABS": _one(ca.fabs),
    "FUNCTION_CEILING": _one(ca.ceil),
    "FUNCTION_FLOOR": _one(ca.floor),
    "FUNCTION_MAX": (1, _MANY, _extreme(ca.fmax)),
    "FUNCTION_MIN": (1, _MANY, _extreme(ca.fmin)),
    **{
        f"FUNCTION_{name}": _one(getattr(ca, function))
        for name, function in {
            "SIN": "sin",
            "COS": "cos",
            "TAN": "tan",
            "SINH": "sinh",
            "COSH": "cosh",
            "TANH": "tanh",
            "ARCSIN": "asin",
            "ARCCOS": "acos",
            "ARCTAN": "atan",
            "ARCSINH": "asinh",
            "ARCCOSH": "acosh",
            "ARCTANH": "atanh",
        }.items()
    },
    "FUNCTION_PIECEWISE": (1, _MANY, _piecewise),
    "RELATIONAL_EQ": (2, _MANY, _chain(lambda a, b: a == b)),
    "RELATIONAL_NEQ": (2, 2, _chain(lambda a, b: a != b)),
    "RELATIONAL_LT": (2, _MANY, _chain(lambda a, b: a < b)),
    "RELATIONAL_LEQ": (2, _MANY, _chain(lambda a, b: a <= b)),
    "RELATIONAL_GT": (2, _MANY, _chain(lambda a, b: a > b)),
    "RELATIONAL_GEQ": (2, _MANY, _chain(lambda a, b: a >= b)),
    "LOGICAL_AND": (0, _MANY, _fold(lambda a, b: a * b, 1.0)),
    "LOGICAL_OR": (0, _MANY, _fold(lambda a, b: a + b - a * b, 0.0)),
    "LOGICAL_XOR": (0, _MANY, _fold(lambda a, b: a + b - 2.0 * a * b, 0.0)),
    "LOGICAL_NOT": _one(lambda a: 1.0 - a),
    "CONSTANT_PI": (0, 0, lambda: math.pi),
    "CONSTANT_E": (0, 0, lambda: math.e),
    "CONSTANT_TRUE": (0, 0, lambda: 1.0),
    "CONSTANT_FALSE": (0, 0, lambda: 0.0),
    "NAME_AVOGADRO": (0, 0, lambda: _AVOGADRO),
}
