"""Calling what a user wrote with CasADi symbols, and reading what it returns."""

from __future__ import annotations

import math
import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import casadi as ca

from ..checks import counted
from ..errors import CollocodeError, InputError
from .dynamics import Named, stack

_LOCK = threading.RLock()


@dataclass(frozen=True)
class _Lost:
    """A symbolic expression that the user's code made a number or a truth value of."""

    kind: str
    value: ca.SX

    def sentence(self, what: str, labels: Mapping[str, str]) -> str:
        names = [labels.get(str(v), str(v)) for v in ca.symvar(self.value)]
        listed = " and ".join(dict.fromkeys(names))
        if self.kind == "bool":
            return (
                f"{what} asks for the truth of a condition on {listed} (if, and, or, max, min), which "
                "is unknown while the equations are built; use casadi.if_else(condition, a, b), "
                "casadi.fmax or casadi.fmin, smoothed where a fit has to pass."
            )
        return (
            f"{what} makes a number of {listed}, which loses it (a Signal, an interpolator, a table "
            "or a math function was called there); list a signal of time in inputs= of the "
            "Experiment and write u.name, take np.interp for a table, numpy or casadi for functions."
        )


@contextmanager
def _noted() -> Iterator[list[_Lost]]:
    """Note every symbol that becomes a number (CasADi makes NaN of it) or a truth value."""
    lost: list[_Lost] = []
    with _LOCK:
        kept = {kind: getattr(ca.SX, f"__{kind}__") for kind in ("float", "int", "bool")}

        def noting(kind: str) -> Any:
            def convert(value: ca.SX) -> Any:
                if not value.is_constant():
                    lost.append(_Lost(kind, value))
                return kept[kind](value)

            return convert

        try:
            for kind in kept:
                setattr(ca.SX, f"__{kind}__", noting(kind))
            yield lost
        finally:
            for kind, original in kept.items():
                setattr(ca.SX, f"__{kind}__", original)


def called(what: str, function: Any, arguments: tuple[Any, ...]) -> Any:
    """Call the user's code; say which symbol it lost if it did, whether that raised or not.

    Raises
    ------
    InputError
        It fails on symbols, or makes numbers of them.
    """
    with _noted() as lost, warnings.catch_warnings():
        # CasADi's notice that np.sin(x) keeps meaning what it does
        warnings.filterwarnings("ignore", r"\s*casadi: a numpy function", FutureWarning)
        try:
            value, error = function(*arguments), None
        except CollocodeError:
            raise
        except Exception as raised:
            value, error = None, raised
    if lost:
        raise InputError(lost[-1].sentence(what, _labels(arguments))) from error
    if error is not None:
        if "'SX' object is not callable" in str(error):
            raise InputError(
                f"{what} calls a state or an input as a function of time; they are its values now, and a past one is "
                f"a delayed state of its own: delays={{'late': cc.Delay('tau', of='N')}} and then x.late."
            ) from error
        reason = re.sub(r"^\S+\.[ch]pp:\d+: ", "", str(error))  # CasADi's own source line
        raise InputError(
            f"{what} failed on CasADi symbols ({type(error).__name__}: {reason}); use arithmetic, "
            "casadi or numpy functions, no if on a state, and inputs= for a signal of time."
        ) from error
    return value


def _labels(arguments: tuple[Any, ...]) -> dict[str, str]:
    """What users call the symbols among the arguments of their function."""
    labels = {"t": "time"}
    for part in arguments:
        if isinstance(part, Named):
            labels |= part.labels()
    return labels


def column_of(what: str, value: Any, length: int | None, symbols: Sequence[ca.SX]) -> ca.SX:
    """Return what the user's code gave as a dense column of expressions of known symbols.

    Raises
    ------
    InputError
        No numbers, another length, a symbol of its own, or NaN.
    """
    try:
        stacked = stack(value)
        column = stacked if isinstance(stacked, ca.SX) else ca.SX(stacked)
    except (TypeError, NotImplementedError, ValueError) as error:
        raise InputError(
            f"{what} returned {type(value).__name__}, not numbers; return a list."
        ) from error
    if column.shape != (column.numel() if length is None else length, 1) or not column.numel():
        raise InputError(
            f"{what} returned {counted(column.numel(), 'value')}, but {length} are needed."
        )
    column = column if column.is_dense() else ca.densify(column)
    function = ca.Function("column", [*symbols], [column], {"allow_free": True})
    if function.has_free():
        strange = function.get_free()[0]
        raise InputError(f"{what} uses a symbol of its own, {strange!r}; make it a Parameter.")
    if has_nan(function, operations_of(function)):
        raise InputError(
            f"{what} contains NaN; math functions turn symbols into NaN, so use those of casadi or "
            "numpy, and check constants."
        )
    return column


def operations_of(function: ca.Function) -> list[int]:
    """Operation of every step of an SX function."""
    return [function.instruction_id(k) for k in range(function.n_instructions())]


def has_nan(function: ca.Function, operations: Sequence[int]) -> bool:
    """Whether NaN is computed with, as where math.sin was called with a symbol.

    A branch of ``if_else`` that is NaN says where a formula is not defined, and is none of these.
    """
    constants = (k for k, operation in enumerate(operations) if operation == ca.OP_CONST)
    if not any(math.isnan(function.instruction_constant(k)) for k in constants):
        return False  # what the steps read and write takes three times as long to ask for
    held: set[int] = set()  # places of the work vector, which are used again
    for k, operation in enumerate(operations):
        used, out = function.instruction_input(k), function.instruction_output(k)
        if operation == ca.OP_CONST:
            held.difference_update(out)
            held.update(out if math.isnan(function.instruction_constant(k)) else ())
        elif operation != ca.OP_INPUT:
            branch = operation == ca.OP_IF_ELSE_ZERO
            if held.intersection(used[:1] if branch else used):
                return True
            held.difference_update(() if operation == ca.OP_OUTPUT else out)
    return False
