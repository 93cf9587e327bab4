r"""Hyperbolic functions and the tangent written with exp, sqrt, sin and cos, for readers without them.

Networks here are made of tanh, exp, log, cosh and | | (a sigmoid is a tanh, a softplus a tanh and a
cosh).  SCIP and BARON know exp, log and | | only.

.. math:: \tanh a = 1 - \frac{2}{1+e^{2m}},\qquad
          m = \tfrac12\bigl(a + c - \sqrt{(a-c)^2+\delta}\bigr),\ c = 20,\ \delta = 10^{-12}

With :math:`m = a` the exponential would overflow at :math:`a = 355` and its derivative, inf/inf,
be NaN.  Instead `m` is `a` to 1e-14 below `c`, and stays below `c`, where tanh is 1 to the last
digit; unlike min(a, c) it is smooth and needs no function that a global solver would lack.
Value, first and second derivative differ from tanh's by less than 1e-13 everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import InputError
from ..model.activations import ACTIVATIONS
from .operations import pyomo_environ

#: all that can be rewritten: ``rewrite=EXP_ONLY`` serves SCIP and BARON
EXP_ONLY = ("tanh", "sinh", "cosh", "tan")
_CAP, _ROUNDING = 20.0, 1e-12


def rewritten(names: Iterable[str]) -> frozenset[str]:
    """Return the functions that ``names`` (functions or activations) ask to rewrite.

    Raises
    ------
    InputError
        A name for which there is no rewriting.

    Examples
    --------
    >>> sorted(rewritten(["softplus"]))
    ['cosh', 'tanh']
    """
    wanted = [names] if isinstance(names, str) else list(names)
    parts = {name: frozenset({name}) for name in EXP_ONLY}
    for name, phi in ACTIVATIONS.items():
        if "maximum" not in phi.functions:
            parts[name] = phi.functions & parts.keys()
    for name in wanted:
        if name not in parts:
            raise InputError(
                f"there is no rewriting of {name!r} with exp; there is of {', '.join(parts)}."
            )
    return frozenset().union(*(parts[name] for name in wanted))


def with_exp(names: Iterable[str]) -> Mapping[str, Callable[[Any], Any]]:
    """Return the rewritten functions over Pyomo expressions, by name."""
    chosen = frozenset(names)
    if not chosen:
        return {}
    pyo = pyomo_environ()

    def tanh(a: Any) -> Any:
        capped = 0.5 * (a + _CAP - pyo.sqrt((a - _CAP) ** 2 + _ROUNDING))
        return 1.0 - 2.0 / (1.0 + pyo.exp(2.0 * capped))

    table: dict[str, Callable[[Any], Any]] = {
        "tanh": tanh,
        "sinh": lambda a: 0.5 * (pyo.exp(a) - pyo.exp(-a)),
        "cosh": lambda a: 0.5 * (pyo.exp(a) + pyo.exp(-a)),
        "tan": lambda a: pyo.sin(a) / pyo.cos(a),
    }
    return {name: table[name] for name in chosen}
