r"""Parsing the text form of AMPL's ``.nl`` files (D. M. Gay, *Writing .nl files*, 2005).

Only data come out: numbers, and expressions as slices of lines.  Nothing is evaluated, no function
is imported, recursion does not follow the file's nesting, and every count that the file claims is
checked against the lines that it has, so memory stays proportional to its size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np

from ..checks import apart
from ..errors import FileError
from ..files import read_bytes
from ..numerics import Array

LARGEST = 2**30  # bytes
_UNARY = (13, 14, 15, 16, 34, *range(37, 48), *range(49, 54), 76)
_BINARY = (*range(7), *range(20, 25), 28, 29, 30, 48, 75, 77)
# operation -> number of operands; those of `VARIADIC` tell theirs on the next line
OPERANDS = {f"o{n}": 1 for n in _UNARY} | {f"o{n}": 2 for n in _BINARY} | {"o35": 3}
VARIADIC = {"o11", "o12", "o54"}
_VBTOL = 3  # as second option: a tolerance follows


def whole(word: str) -> int:
    """Return the integer that C reads; Python's digits are more.

    Examples
    --------
    >>> whole("12")
    12
    >>> whole("1_2")
    Traceback (most recent call last):
    ValueError: '1_2' is no number
    """
    if "_" in word or not word.isascii():
        raise ValueError(f"{word[:20]!r} is no number")
    return int(word)


def real(word: str) -> float:
    """Return the finite number that C reads."""
    value = float(word)
    if not -np.inf < value < np.inf or "_" in word or not word.isascii():
        raise ValueError(f"{word[:20]!r} is no finite number")
    return value


def _bound(word: str) -> float:
    """A number that may be infinite."""
    value = float(word)
    return value if abs(value) == np.inf and word.isascii() else real(word)


@dataclass(frozen=True)
class Defined:
    """A defined variable: linear terms (variable, factor) and where its expression begins."""

    linear: list[tuple[int, float]]
    start: int


@dataclass(eq=False)
class NlText:
    """The segments of an ``.nl`` file; expressions are positions in ``lines``."""

    path: Path
    lines: list[str]
    options: tuple[float, ...] = (1, 1, 0)
    variables: int = 0
    constraints: int = 0
    objectives: int = 0
    maximise: bool = False
    objective: int | None = None
    bodies: dict[int, int] = field(default_factory=dict)
    defined: dict[int, Defined] = field(default_factory=dict)
    linear: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    gradient: list[tuple[int, float]] = field(default_factory=list)
    bounds: tuple[Array, Array] = field(default_factory=lambda: (np.zeros(0), np.zeros(0)))
    row_bounds: tuple[Array, Array] = field(default_factory=lambda: (np.zeros(0), np.zeros(0)))
    start: dict[int, float] = field(default_factory=dict)
    dual: dict[int, float] = field(default_factory=dict)
    suffixes: dict[tuple[str, int], dict[int, float]] = field(default_factory=dict)


def parse(path: str | Path) -> NlText:
    """Read an ``.nl`` file of the text form.

    Raises
    ------
    FileError
        Missing, no ``.nl`` file or not all of one; or with parts that a continuous solver cannot
        take: discrete variables, logical constraints, complementarity, imported functions.
    """
    source = Path(path)
    content = read_bytes(source, LARGEST, "an .nl file")
    if content[:1] == b"b":
        raise FileError(f"{source} is a binary .nl file; write it as text (AMPL: option gname).")
    if content[:1] != b"g":
        raise FileError(f"{source} is no .nl file: its first letter is not g.")
    known: dict[str, str] = {}  # most lines are operations and variables: one copy of each will do
    stripped = (line.partition(b"#")[0].strip().decode("latin-1") for line in BytesIO(content))
    lines = [known.setdefault(line, line) for line in stripped]
    parser = _Parser(NlText(source, lines))
    try:
        return parser.run()
    except (IndexError, ValueError, OverflowError) as error:
        line = min(parser.at, len(parser.nl.lines))
        raise FileError(
            f"{source} is no .nl file, or not all of one; see line {line} ({error})."
        ) from error


class _Parser:
    """Reads segment after segment; ``at`` is the next line."""

    def __init__(self, nl: NlText) -> None:
        self.nl, self.at = nl, 0

    def run(self) -> NlText:
        self._header()
        readers = {
            "C": self._constraint, "O": self._objective, "V": self._defined, "J": self._jacobian,
            "G": self._gradient, "b": self._bounds, "r": self._row_bounds, "x": self._start,
            "d": self._dual, "k": self._counts, "K": self._counts, "S": self._suffix,
        }  # fmt: skip
        refused = {"F": "imported functions", "L": "logical constraints"}
        lines, seen = self.nl.lines, set()
        while self.at < len(lines):
            line = self._line()
            if not line:
                continue
            kind = line[0]
            if kind in refused:
                raise FileError(f"{self.nl.path} has {refused[kind]}, which are not supported.")
            if kind not in readers:
                raise ValueError(f"unknown segment {line[:20]!r}")
            seen.add(kind)
            readers[kind](line[1:].split())
        if "b" not in seen or (self.nl.constraints and "r" not in seen):
            raise ValueError("the bounds are missing")
        if len(self.nl.bodies) != self.nl.constraints:
            raise ValueError("a constraint is missing")
        return self.nl

    def _line(self) -> str:
        self.at += 1
        return self.nl.lines[self.at - 1]

    def _integers(self) -> list[int]:
        return [whole(word) for word in self._line().split()]

    def _header(self) -> None:
        nl = self.nl
        words = self._line()[1:].split()
        count = whole(words[0]) if words else 0
        nl.options = tuple(whole(word) for word in words[1 : 1 + count]) or nl.options
        if nl.options[1:2] == (_VBTOL,):
            nl.options += (real(words[1 + count]),)
        sizes = self._integers()
        nl.variables, nl.constraints, nl.objectives = sizes[:3]
        if nl.variables < 1 or nl.constraints < 0 or nl.objectives < 0:
            raise ValueError("impossible sizes")
        if nl.variables + nl.constraints > len(nl.lines):
            raise ValueError("it claims more variables and constraints than it has lines")
        complementarities = sum(self._integers()[2:4])
        self.at += 2
        functions = self._integers()[1:2]
        discrete = sum(self._integers()[:5])
        self.at += 3
        logical = sizes[5:6]
        for count, what in (
            (discrete, "discrete variables"),
            (complementarities, "complementarity conditions"),
            (sum(functions), "imported functions"),
            (sum(logical), "logical constraints"),
            (nl.objectives > 1, f"{nl.objectives} objectives"),
        ):
            if count:
                raise FileError(f"{nl.path} has {what}, which are not supported.")

    # ---- expressions --------------------------------------------------------------------------

    def _expression(self) -> int:
        """Check one expression, step over it, and return where it begins."""
        start, need, lines = self.at, 1, self.nl.lines
        at, total = start, self.nl.variables
        while need:
            token = lines[at]
            at += 1
            kind = token[:1]
            if kind == "v":
                number = whole(token[1:])
                if not 0 <= number < total and number not in self.nl.defined:
                    self.at = at
                    raise ValueError(f"{token[:20]} is not defined")
                need -= 1
            elif kind == "n" or kind in ("s", "l"):
                real(token[1:])
                need -= 1
            elif token in OPERANDS:
                need += OPERANDS[token] - 1
            elif token in VARIADIC:
                count = whole(lines[at])
                at += 1
                if not 1 <= count <= len(lines) - at:
                    raise ValueError("more operands than lines")
                need += count - 1
            else:
                self.at = at
                raise FileError(
                    f"{self.nl.path} has {token[:20]!r} in line {at}, which is no operation that "
                    "is supported."
                )
        self.at = at
        return start

    def _constraint(self, words: list[str]) -> None:
        number = self._numbered(words[0], self.nl.constraints)
        if number in self.nl.bodies:
            raise ValueError(f"C{number} is defined twice")
        self.nl.bodies[number] = self._expression()

    def _objective(self, words: list[str]) -> None:
        self._numbered(words[0], self.nl.objectives)
        self.nl.maximise = bool(self._numbered(words[1], 2))
        if self.nl.objective is not None:
            raise ValueError("O0 is defined twice")
        self.nl.objective = self._expression()

    def _defined(self, words: list[str]) -> None:
        number, terms = whole(words[0]), whole(words[1])
        if number < self.nl.variables or number in self.nl.defined:
            raise ValueError(f"V{number} is defined twice")
        linear = self._pairs(terms, self.nl.variables)
        self.nl.defined[number] = Defined(linear, self._expression())

    # ---- linear parts, bounds, values -----------------------------------------------------------

    def _numbered(self, word: str, limit: int) -> int:
        number = whole(word)
        if not 0 <= number < limit:
            raise ValueError(f"there is no number {number}")
        return number

    def _pairs(self, count: int, limit: int) -> list[tuple[int, float]]:
        """Read ``number value`` a line."""
        if not 0 <= count <= len(self.nl.lines) - self.at:
            raise ValueError("more entries than lines")
        pairs = []
        for line in self.nl.lines[self.at : self.at + count]:
            number, value = line.split()
            pairs.append((whole(number), real(value)))
        self.at += count
        if any(not 0 <= number < limit for number, _ in pairs):
            raise ValueError("an entry belongs to nothing")
        return pairs

    def _jacobian(self, words: list[str]) -> None:
        row = self._numbered(words[0], self.nl.constraints)
        if row in self.nl.linear:
            raise ValueError(f"J{row} is defined twice")
        self.nl.linear[row] = self._pairs(whole(words[1]), self.nl.variables)

    def _gradient(self, words: list[str]) -> None:
        self._numbered(words[0], self.nl.objectives)
        if self.nl.gradient:
            raise ValueError("G0 is defined twice")
        self.nl.gradient = self._pairs(whole(words[1]), self.nl.variables)

    def _start(self, words: list[str]) -> None:
        self.nl.start = dict(self._pairs(whole(words[0]), self.nl.variables))

    def _dual(self, words: list[str]) -> None:
        self.nl.dual = dict(self._pairs(whole(words[0]), max(1, self.nl.constraints)))

    def _counts(self, words: list[str]) -> None:
        self.at += self._numbered(words[0], self.nl.variables + 1)

    def _suffix(self, words: list[str]) -> None:
        kind, count, name = whole(words[0]) & 3, whole(words[1]), words[2]
        limit = (self.nl.variables, self.nl.constraints, 1 << 20, 1)[kind]
        self.nl.suffixes[name, kind] = dict(self._pairs(count, limit))

    def _bounds(self, words: list[str]) -> None:
        self.nl.bounds = self._intervals(self.nl.variables)

    def _row_bounds(self, words: list[str]) -> None:
        self.nl.row_bounds = self._intervals(self.nl.constraints)

    def _intervals(self, count: int) -> tuple[Array, Array]:
        lower, upper = np.full(count, -np.inf), np.full(count, np.inf)
        for j in range(count):
            words = self._line().split()
            kind, values = words[0], [_bound(word) for word in words[1:3]]
            if kind == "5":
                raise FileError(
                    f"{self.nl.path} has complementarity conditions, which are not supported."
                )
            if kind == "0":
                lower[j], upper[j] = values
            elif kind == "1":
                upper[j] = values[0]
            elif kind == "2":
                lower[j] = values[0]
            elif kind == "4":
                lower[j] = upper[j] = values[0]
            elif kind != "3":
                raise ValueError(f"{kind!r} is no kind of bound")
            if lower[j] == np.inf or upper[j] == -np.inf:
                raise ValueError("a bound is infinite on the wrong side")
            if not lower[j] <= upper[j]:
                told = apart(lower[j], upper[j])
                raise ValueError(f"the bounds {told[0]} and {told[1]} cross")
        return lower, upper
