r"""Finding the repetition in an ``.nl`` file.

A discretized problem writes the same formula thousands of times with other variables and other
constants.  Each expression is brought to a canonical form, its *shape*: variables numbered in the
order of their first appearance, constants taken out (but for exponents), defined variables
followed in place.  Expressions of one shape become one `MappedTerm`, whose derivatives are taken
once; so building and evaluating an imported file costs what our own transcription costs.
Expressions whose shape is rare are bundled into one function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import casadi as ca

from .nl_text import OPERANDS, VARIADIC, NlText

Key = list[Any]


def _power(a: Any, b: Any) -> Any:
    return a * a if isinstance(b, float) and b == 2.0 else a**b


OPERATIONS: dict[str, Callable[..., Any]] = {
    "o0": lambda a, b: a + b, "o1": lambda a, b: a - b, "o2": lambda a, b: a * b,
    "o3": lambda a, b: a / b, "o4": ca.fmod, "o5": _power, "o6": lambda a, b: ca.fmax(a - b, 0.0),
    "o13": ca.floor, "o14": ca.ceil, "o15": ca.fabs, "o16": lambda a: -a,
    "o20": ca.logic_or, "o21": ca.logic_and, "o22": lambda a, b: a < b, "o23": lambda a, b: a <= b,
    "o24": ca.eq, "o28": lambda a, b: a >= b, "o29": lambda a, b: a > b, "o30": ca.ne,
    "o34": ca.logic_not, "o35": ca.if_else, "o37": ca.tanh, "o38": ca.tan, "o39": ca.sqrt,
    "o40": ca.sinh, "o41": ca.sin, "o42": ca.log10, "o43": ca.log, "o44": ca.exp, "o45": ca.cosh,
    "o46": ca.cos, "o47": ca.atanh, "o48": ca.atan2, "o49": ca.atan, "o50": ca.asinh,
    "o51": ca.asin, "o52": ca.acosh, "o53": ca.acos, "o75": _power, "o76": lambda a: a * a,
    "o77": lambda a, b: a**b,
}  # fmt: skip
_POWERS = ("o5", "o75")


@dataclass
class Shape:
    """Expressions in canonical form.

    Attributes
    ----------
    key : operations, local numbers of variables (int), ``n`` for a constant that was taken out.
    columns : variable -> local number.
    constants : those taken out.
    defined : defined variable -> number of its place in the key.
    """

    nl: NlText
    key: Key = field(default_factory=list)
    columns: dict[int, int] = field(default_factory=dict)
    constants: list[float] = field(default_factory=list)
    defined: dict[int, int] = field(default_factory=dict)

    def add(self, start: int, factor: float = 1.0) -> int:
        """Append the expression at line ``start``, times a factor; return where it ended."""
        self.key += ["o2", "n"]
        self.constants.append(factor)
        lines, key, columns, constants = self.nl.lines, self.key, self.columns, self.constants
        variables = self.nl.variables
        stack: list[tuple[int, int, list[int]]] = []  # suspended expressions
        at, need, powers = start, 1, [0]
        while True:
            while need:
                token = lines[at]
                at += 1
                kind = token[0]
                exponent = powers[-1] == need and kind == "n"
                if powers[-1] == need:
                    powers.pop()
                if kind == "v":
                    number = int(token[1:])
                    need -= 1
                    if number < variables:
                        key.append(columns.setdefault(number, len(columns)))
                    elif number in self.defined:
                        key.append(f"r{self.defined[number]}")
                    else:
                        stack.append((at, need, powers))
                        at, need, powers = self._enter(number), 1, [0]
                elif kind != "o":  # a constant
                    need -= 1
                    key.append(token if exponent else "n")
                    if not exponent:
                        constants.append(float(token[1:]))
                elif token in VARIADIC:
                    key.append((token, int(lines[at])))
                    need += int(lines[at]) - 1
                    at += 1
                else:
                    key.append(token)
                    if token in _POWERS:
                        powers.append(need)
                    need += OPERANDS[token] - 1
            if not stack:
                return at
            at, need, powers = stack.pop()

    def _enter(self, number: int) -> int:
        """Begin a defined variable's place in the key; return where its expression begins."""
        self.defined[number] = len(self.defined)
        self.key.append("d")
        definition = self.nl.defined[number]
        if definition.linear:
            self.key.append(("o54", len(definition.linear) + 1))
            for variable, value in definition.linear:
                self.key += ["o2", "n", self.columns.setdefault(variable, len(self.columns))]
                self.constants.append(value)
        return definition.start


def build(key: Sequence[Any], variables: Any, constants: Sequence[Any]) -> list[Any]:
    """Return the value of every expression in a key, over CasADi scalars.

    Parameters
    ----------
    variables : by local number.
    constants : in the order of their ``n``.
    """
    values: list[Any] = []
    places: list[Any] = []
    pending: list[tuple[Any, int, list[Any]]] = []  # operation, operands it takes, those it has
    taken = iter(constants)
    for token in key:
        if isinstance(token, int):
            value = variables[token]
        elif isinstance(token, tuple):
            pending.append((token[0], token[1], []))
            continue
        elif token == "n":
            value = next(taken)
        elif token[0] in "nls":
            value = float(token[1:])
        elif token[0] == "r":
            value = places[int(token[1:])]
        elif token == "d":
            pending.append((len(places), 1, []))
            places.append(None)
            continue
        else:
            pending.append((token, OPERANDS[token], []))
            continue
        while pending:
            operation, count, operands = pending[-1]
            operands.append(value)
            if len(operands) < count:
                break
            pending.pop()
            value = _apply(operation, operands)
            if isinstance(operation, int):
                places[operation] = value
        else:
            values.append(value)
    return values


def _apply(operation: Any, operands: list[Any]) -> Any:
    if isinstance(operation, int):
        return operands[0]
    if operation in OPERATIONS:
        return OPERATIONS[operation](*operands)
    total = operands[0]
    fold = {"o54": OPERATIONS["o0"], "o11": ca.fmin, "o12": ca.fmax}[operation]
    for operand in operands[1:]:
        total = fold(total, operand)
    return total


def summands(nl: NlText, start: int) -> list[tuple[int, float]]:
    """Part a sum into (beginning, factor), through nested sums, signs and constant factors."""
    found: list[tuple[int, float]] = []
    factors = [1.0]  # of the expressions to come, the next one last
    at = start
    while factors:
        factor, token = factors.pop(), nl.lines[at]
        if token == "o54":
            factors += [factor] * int(nl.lines[at + 1])
            at += 2
        elif token == "o0":
            factors += [factor, factor]
            at += 1
        elif token == "o1":
            factors += [-factor, factor]
            at += 1
        elif token == "o16":
            factors.append(-factor)
            at += 1
        elif token == "o2" and nl.lines[at + 1][0] == "n":
            factors.append(factor * float(nl.lines[at + 1][1:]))
            at += 2
        else:
            found.append((at, factor))
            at = _end(nl, at)
    return found


def _end(nl: NlText, at: int) -> int:
    """Return where the expression that begins at ``at`` ends."""
    need = 1
    while need:
        token = nl.lines[at]
        at += 1
        if token in VARIADIC:
            need += int(nl.lines[at]) - 1
            at += 1
        else:
            need += OPERANDS.get(token, 0) - 1
    return at
