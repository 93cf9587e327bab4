"""The arithmetic of Pyomo expressions, for networks and for tapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import InputError, MissingDependency
from ..model.activations import ACTIVATIONS, Operations


def pyomo_environ() -> Any:
    """Return ``pyomo.environ``.

    Raises
    ------
    MissingDependency
        If Pyomo is not installed.
    """
    try:
        import pyomo.environ as pyo
    except ImportError as error:
        raise MissingDependency(
            "Pyomo is not installed; run: pip install 'collocode[pyomo]'."
        ) from error
    return pyo


def pyomo_operations() -> Operations:
    """Return the namespace for NumPy object arrays of Pyomo expressions (see `MLP.__call__`)."""
    pyo = pyomo_environ()

    def each(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return np.frompyfunc(function, 1, 1)

    def refuse(a: Any, b: Any) -> Any:
        raise InputError("Pyomo has no max(); embed a ReLU network by a MIP encoding instead.")

    return Operations(
        name="pyomo",
        tanh=each(pyo.tanh),
        exp=each(pyo.exp),
        log=each(pyo.log),
        cosh=each(pyo.cosh),
        sqrt=each(pyo.sqrt),
        absolute=each(abs),
        maximum=refuse,
        matrix=lambda v, rows, columns: v.reshape((rows, columns), order="F"),
    )


def pyomo_tape_operations() -> Mapping[str, Callable[..., Any]]:
    """Return what the operations of a tape (`transcription.tape.ARITY`) mean in Pyomo.

    Conditions, ``fmin`` and ``fmax``, ``erf`` and the like are absent: ``.nl`` solvers either lack
    them or cannot differentiate them.
    """
    pyo = pyomo_environ()
    named = ("exp", "log", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh")
    return {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: a / b,
        "pow": lambda a, b: a**b,
        "constpow": lambda a, b: a**b,
        "assign": lambda a: a,
        "neg": lambda a: -a,
        "sq": lambda a: a**2,
        "twice": lambda a: 2.0 * a,
        "inv": lambda a: 1.0 / a,
        "fabs": abs,
        "hypot": lambda a, b: pyo.sqrt(a**2 + b**2),
        "log1p": lambda a: pyo.log(1.0 + a),
        "expm1": lambda a: pyo.exp(a) - 1.0,
        **{name: getattr(pyo, name) for name in (*named, "tanh", "asinh", "acosh", "atanh")},
    }


def require(names: set[str], supported: Mapping[str, Any], where: str) -> None:
    """Refuse operations that Pyomo lacks.

    Raises
    ------
    InputError
        Naming the operations.
    """
    absent = sorted(names - set(supported) - {"const", "input", "output"})
    if absent:
        raise InputError(
            f"{where} uses {', '.join(absent)}, which a Pyomo model cannot express; "
            "rewrite it smoothly, or solve through the casadi or cyipopt interface."
        )


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
