"""Formulas of SBML and PEtab as CasADi expressions, by a whitelist on libsbml's syntax trees.

A formula is never executed: `translate` walks the tree that libsbml parsed, and each kind of node that
may occur stands in a table with what it means.  Names are looked up among the ids that the caller
knows, calls of function definitions are written out.  Depth and number of nodes are limited, so that
neither a deep tree nor functions that call each other twice over can exhaust the machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import casadi as ca

from ..checks import counted, listed
from ..errors import InputError, MissingDependency
from .math_operations import both, operations, relations

MOST_NODES = 2_000_000
MOST_LETTERS = 20_000
DEEPEST = 150  # nested operations; each is a frame of Python's stack


def libsbml() -> ModuleType:
    """Return python-libsbml.

    Raises
    ------
    MissingDependency
        It is not installed.
    """
    try:
        import libsbml as library
    except ImportError as error:
        raise MissingDependency(
            "SBML and PEtab files are read by python-libsbml, which is not installed; "
            "pip install 'collocode[petab]'."
        ) from error
    return library


@dataclass(frozen=True, eq=False, kw_only=True)
class Switch:
    """A comparison: its truth, as a symbol and as what that means, by the sign of a difference.

    ``rising`` is 1 if it is true where the difference is positive, -1 where negative, 0 for equality.
    """

    symbol: ca.SX
    difference: ca.SX
    truth: ca.SX
    rising: float


@dataclass
class Formulas:
    """Translates formulas of one file.

    Attributes
    ----------
    functions : (arguments, body) of function definitions by id, bodies as libsbml's trees.
    switches : if not None, the truth of every comparison that time has part in becomes a new symbol, and
        what it means is put here by the symbol's name.
    """

    functions: Mapping[str, tuple[tuple[str, ...], Any]] = field(default_factory=dict)
    switches: dict[str, Switch] | None = None
    _nodes: int = 0

    def parsed(self, text: str, names: Mapping[str, ca.SX], where: str) -> ca.SX:
        """Return an infix formula, such as PEtab's, as an expression; log is the natural logarithm.

        Raises
        ------
        InputError
            It is too long, cannot be parsed, or as `translated`.
        """
        library = libsbml()
        if len(text) > MOST_LETTERS or max(text.count(b) for b in "([{") > 50 * DEEPEST:
            raise InputError(f"{where} is longer than {MOST_LETTERS} letters; shorten it.")
        depth = deepest = 0
        for letter in text:
            depth += (letter in "([{") - (letter in ")]}")
            deepest = max(deepest, depth)
        if deepest > DEEPEST:
            raise InputError(f"{where} nests deeper than {DEEPEST} operations; simplify it.")
        settings = library.L3ParserSettings()
        settings.setParseLog(library.L3P_PARSE_LOG_AS_LN)
        settings.setParseUnits(library.L3P_NO_UNITS)
        settings.setParseAvogadroCsymbol(library.L3P_AVOGADRO_IS_NAME)
        settings.setComparisonCaseSensitivity(library.L3P_COMPARE_BUILTINS_CASE_SENSITIVE)
        tree = library.parseL3FormulaWithSettings(text.replace("**", "^"), settings)
        if tree is None:
            raise InputError(f"{where} is no formula: {text[:80]!r}; correct it.")
        return self.translated(tree, names, where)

    def translated(self, tree: Any, names: Mapping[str, ca.SX], where: str) -> ca.SX:
        """Return libsbml's tree as an expression in ``names``, in which time is called ``time``.

        Raises
        ------
        InputError
            An operation or a name that is not known, or too large or too deep a tree.
        """
        if tree is None:
            raise InputError(f"{where} has no formula; add it or take the element out.")
        return ca.SX(self._walk(tree, names, where, DEEPEST))

    def _walk(self, tree: Any, names: Mapping[str, ca.SX], where: str, left: int) -> Any:
        library, kind = libsbml(), tree.getType()
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise InputError(f"{where} makes more than {MOST_NODES} operations; simplify it.")
        if left <= 0:
            raise InputError(f"{where} nests deeper than {DEEPEST} operations; simplify it.")
        if kind in (
            library.AST_INTEGER,
            library.AST_REAL,
            library.AST_REAL_E,
            library.AST_RATIONAL,
        ):
            return tree.getValue()
        if kind in (library.AST_NAME, library.AST_NAME_TIME):
            name = "time" if kind == library.AST_NAME_TIME else tree.getName()
            if name not in names:
                raise InputError(
                    f"{where} uses {str(name)[:60]!r}, which is not defined; define it."
                )
            return names[name]
        values = []
        if kind == library.AST_FUNCTION:
            for k in range(tree.getNumChildren()):
                values.append(self._walk(tree.getChild(k), names, where, left - 1))
            return self._call(tree.getName(), values, names, where, left)
        table = operations(library)
        if kind not in table:
            what = tree.getOperatorName() or tree.getName() or f"operation {kind}"
            raise InputError(
                f"{where} uses {str(what)[:60]!r}, which is not supported; it may use arithmetic, powers, "
                "exponentials, logarithms, trigonometric functions, min, max and piecewise."
            )
        least, most, make = table[kind]
        if not least <= tree.getNumChildren() <= most:
            raise InputError(
                f"{where} has an operation of {tree.getNumChildren()} operands; correct it."
            )
        for k in range(tree.getNumChildren()):
            values.append(self._walk(tree.getChild(k), names, where, left - 1))
        if self.switches is not None and kind in relations(library):
            pairs = itertools.pairwise(ca.SX(v) for v in values)
            return both(*(self._switch(a - b, make, names["time"]) for a, b in pairs))
        return make(*values)

    def _switch(self, difference: ca.SX, compare: Any, time: ca.SX) -> ca.SX:
        """The truth of a comparison of ``difference`` with zero."""
        truth = compare(difference, 0.0)
        if difference.is_constant():
            return ca.SX(truth)
        assert self.switches is not None
        symbol = ca.SX.sym(f"switch:{len(self.switches) + 1}")
        rising = float(compare(1.0, 0.0)) - float(compare(-1.0, 0.0))
        self.switches[symbol.name()] = Switch(
            symbol=symbol, difference=difference, truth=truth, rising=rising
        )
        return symbol if ca.depends_on(difference, time) else ca.SX(truth)

    def _call(
        self, name: str, values: list[Any], names: Mapping[str, ca.SX], where: str, left: int
    ) -> Any:
        if name not in self.functions:
            known = f"function definitions: {listed(self.functions)}"
            raise InputError(f"{where} calls {str(name)[:60]!r}, which is not defined; {known}.")
        arguments, body = self.functions[name]
        if len(arguments) != len(values):
            raise InputError(
                f"{where} calls {name!r} with {counted(len(values), 'argument')}, but it takes {len(arguments)}."
            )
        inner = dict(zip(arguments, (ca.SX(v) for v in values), strict=True))
        return self._walk(body, {"time": names["time"], **inner}, where, left - 1)
