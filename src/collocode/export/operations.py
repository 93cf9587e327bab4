"""The arithmetic of Pyomo expressions, for networks and for tapes, which are replayed point by point.

A tape shares intermediate results; a Pyomo expression is a tree, in which whatever is used twice
stands twice.  Where that is harmless (two states behind one hidden layer) the tree is left as it
is, which solvers evaluate fastest; where it multiplies (deep networks) the shared results become
named Expressions, which ``.nl`` files carry as defined variables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..checks import installed
from ..errors import InputError
from ..model.activations import ACTIVATIONS, Operations
from ..transcription.tape import ALGEBRA, ARITY, NAMES, Tape


def pyomo_environ() -> Any:
    """Return ``pyomo.environ``.

    Raises
    ------
    MissingDependency
        If Pyomo is not installed.
    """
    with installed("Pyomo", "pyomo"):
        import pyomo.environ as pyo
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
    them or cannot differentiate them.  Whether a window is in a phase is data: such a condition is decided here.
    """
    pyo = pyomo_environ()

    def of_data(value: Any) -> float:
        if not isinstance(value, int | float):
            raise InputError(
                "an equation asks whether something unknown equals a number, which a Pyomo model cannot express; "
                "rewrite it smoothly, or solve through the casadi or cyipopt interface."
            )
        return value

    named = ("exp", "log", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh")
    return {
        **ALGEBRA,
        "eq": lambda a, b: float(of_data(a) == of_data(b)),
        "if_else_zero": lambda a, b: b if of_data(a) else 0.0,
        "sq": lambda a: a**2,
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
    absent = names - set(supported) - {"const", "input", "output"}
    if absent:
        absent |= names & {"if_else_zero"}  # what they decide
        raise InputError(
            f"{where} uses {', '.join(sorted(absent))}, which a Pyomo model cannot express; "
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


_TOLERATED = 4.0  # by how much a tree may exceed the operations of its tape
_WORTH_A_NAME = 4.0  # operations


class ReplayedTape:
    """A tape in single assignment, ready to be run at many points.

    Parameters
    ----------
    tape : the tape, of one output vector.
    operations : arithmetic by operation name.
    where : the term's name, for messages.
    doubled : operations whose operand will stand twice in what they become.

    Raises
    ------
    InputError
        An operation that the arithmetic lacks.
    """

    def __init__(
        self,
        tape: Tape,
        operations: Mapping[str, Callable[..., Any]],
        where: str,
        doubled: Collection[str] = (),
    ) -> None:
        self._outputs: list[int | None] = [None] * tape.outputs[0]
        self._steps: list[tuple[Any, int, int, Any]] = []  # operation or leaf, operands, constant
        self._sizes: list[float] = []
        self._uses: list[int] = []
        register: dict[int, int] = {}
        require({NAMES[c] for c in tape.code.tolist()}, operations, where)
        for code, target, (a, b), constant in zip(
            tape.code.tolist(),
            tape.target.tolist(),
            tape.operands.tolist(),
            tape.constants.tolist(),
            strict=True,
        ):
            name = NAMES[code]
            if name == "output":
                self._outputs[b] = register[a]
            elif name in ("const", "input"):
                register[target] = self._append((name, a, b, constant), 0.0)
            else:
                read = [register[r] for r in (a, b)[: ARITY[name]]]
                times = 2 if name in doubled else 1
                for r in read:
                    self._uses[r] += times
                size = 1.0 + times * sum(self._sizes[r] for r in read)
                step = (operations[name], read[0], read[1] if len(read) == 2 else -1, None)
                register[target] = self._append(step, size)
        tree = sum(self._sizes[o] for o in self._outputs if o is not None)
        operations_run = sum(size > 0.0 for size in self._sizes)
        self._named = [
            tree > _TOLERATED * operations_run and uses > 1 and size >= _WORTH_A_NAME
            for uses, size in zip(self._uses, self._sizes, strict=True)
        ]

    def _append(self, step: tuple[Any, int, int, Any], size: float) -> int:
        self._steps.append(step)
        self._sizes.append(size)
        self._uses.append(0)
        return len(self._steps) - 1

    @property
    def names(self) -> int:
        """How many results get a name at every point."""
        return sum(self._named)

    def run(self, arguments: Sequence[Sequence[Any]], name: Callable[[int, Any], Any]) -> list[Any]:
        """Return the output vector at one point.

        Parameters
        ----------
        arguments : one sequence of scalars an input.
        name : called with a running number and a shared result; returns what stands for it.
        """
        values: list[Any] = []
        count = 0
        for (operation, a, b, constant), named in zip(self._steps, self._named, strict=True):
            if operation == "const":
                value = constant
            elif operation == "input":
                value = arguments[a][b]
            else:
                value = operation(values[a]) if b < 0 else operation(values[a], values[b])
            if named:
                value = name(count, value)
                count += 1
            values.append(value)
        return [0.0 if o is None else values[o] for o in self._outputs]
