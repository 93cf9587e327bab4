"""``.nl`` files back as an NLP that IPOPT can solve, whoever wrote them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..transcription.assembly import Functions, assemble
from ..transcription.term import MappedTerm
from .nl_shapes import Shape, build, summands
from .nl_text import NlText, parse

Array = NDArray[np.float64]
Instance = tuple[NDArray[np.intp], Array]  # variables and constants of one expression
Expression = tuple[int | None, int, float]  # row (None: objective), beginning, factor
_RARE = 4  # so many expressions of one shape get a mapped term of their own
_GROWTH = 20  # canonical forms may be so many times longer than the file


@dataclass(frozen=True, eq=False)
class NlModel:
    r"""A nonlinear program of which nothing is known but its functions.

    It has the fields of `collocode.NLP` that solvers use, and the same sign rule
    :math:`L = f + \\lambda^T g`.

    Attributes
    ----------
    path : where it was read.
    functions : f, ∇f, g, J and H; f is to be *minimised*, so it is minus the file's objective if
        ``maximise``.
    lower, upper, row_lower, row_upper, start : bounds and starting point.
    column_names, row_names : from the ``.col`` and ``.row`` files, or ``v3`` and ``c5``.
    multipliers : (rows,) the dual start in our sign, or None.
    suffixes : values by name and kind (0 variables, 1 constraints, 2 objectives, 3 problem).
    options : the numbers on the file's first line.
    """

    path: Path
    functions: Functions
    lower: Array
    upper: Array
    row_lower: Array
    row_upper: Array
    start: Array
    column_scale: Array
    row_scale: Array
    maximise: bool
    column_names: list[str]
    row_names: list[str]
    multipliers: Array | None
    suffixes: Mapping[tuple[str, int], Mapping[int, float]]
    options: tuple[int, ...]
    p: Array = field(default_factory=lambda: np.zeros(0))
    _cache: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> int:
        """Number of variables."""
        return len(self.lower)

    @property
    def rows(self) -> int:
        """Number of constraints."""
        return len(self.row_lower)

    def cache(self, key: str, make: Callable[[], Any]) -> Any:
        """Return what ``make`` returned for ``key`` first."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def objective(self, x: ArrayLike) -> float:
        """Value of f."""
        return float(self.functions.objective(x, self.p))

    def constraints(self, x: ArrayLike) -> Array:
        """(rows,) values of g."""
        return np.asarray(self.functions.constraints(x, self.p), dtype=float).ravel()

    def violation(self, x: ArrayLike) -> Array:
        """(rows,) by how much each row's bounds are violated."""
        g = self.constraints(x)
        return np.maximum(0.0, np.maximum(self.row_lower - g, g - self.row_upper))


def read_nl(path: str | Path) -> NlModel:
    """Read an ``.nl`` file (text form, continuous variables) that AMPL, Pyomo or we wrote.

    Raises
    ------
    FileError
        Missing, corrupt, or with parts that are not supported, named.

    Examples
    --------
    >>> model = read_nl("model.nl")  # doctest: +SKIP
    >>> model.columns, model.column_names[0]  # doctest: +SKIP
    (562, 'y1[experiment;0.0]')
    """
    nl = parse(path)
    start = np.zeros(nl.variables)
    for j, value in nl.start.items():
        start[j] = value
    lower, upper = nl.bounds
    start = np.where(np.isfinite(start), start, 0.0)
    multipliers = None
    if nl.dual:
        multipliers = np.zeros(nl.constraints)
        for i, value in nl.dual.items():
            multipliers[i] = value if nl.maximise else -value
    return NlModel(
        nl.path,
        _functions(nl),
        lower,
        upper,
        *nl.row_bounds,
        start,
        np.ones(nl.variables),
        np.ones(nl.constraints),
        nl.maximise,
        _names(nl.path.with_suffix(".col"), nl.variables, "v"),
        _names(nl.path.with_suffix(".row"), nl.constraints, "c"),
        multipliers,
        nl.suffixes,
        nl.options,
    )


def _functions(nl: NlText) -> Functions:
    """Assemble the functions from mapped terms."""
    entries = [(i, j, v) for i, pairs in nl.linear.items() for j, v in pairs if v]
    rows, columns, data = zip(*entries, strict=True) if entries else ((), (), ())
    linear = sparse.csr_matrix((data, (rows, columns)), shape=(nl.constraints, nl.variables))
    sign = -1.0 if nl.maximise else 1.0
    objective: list[Expression] = []
    if nl.objective is not None:
        objective = [(None, at, sign * v) for at, v in summands(nl, nl.objective)]
    bodies: list[Expression] = [(i, at, 1.0) for i, at in nl.bodies.items() if not _is_zero(nl, at)]
    terms = [*_terms(nl, objective), *_terms(nl, bodies)]
    if nl.gradient:
        terms.append(_linear_term(nl, sign))
    return assemble(terms, linear, 0)


def _is_zero(nl: NlText, at: int) -> bool:
    """Whether an expression is the constant 0, as for linear constraints."""
    return nl.lines[at][0] == "n" and float(nl.lines[at][1:]) == 0.0


def _terms(nl: NlText, expressions: list[Expression]) -> list[MappedTerm]:
    """Group expressions (row, beginning, factor) by shape; rare shapes become one term."""
    groups: dict[tuple[Any, ...], list[tuple[int, Instance]]] = {}
    budget = _GROWTH * len(nl.lines)
    for number, (_, at, factor) in enumerate(expressions):
        shape = Shape(nl)
        shape.add(at, factor)
        key = tuple(shape.key)
        budget -= len(key)
        instance = np.array(list(shape.columns), dtype=int), np.array(shape.constants)
        groups.setdefault(key, []).append((number, instance))
        if budget < 0:  # defined variables that everything uses
            groups.clear()
            break
    mapped = {k: g for k, g in groups.items() if len(g) >= _RARE or len(groups) <= _RARE}
    done = {number for group in mapped.values() for number, _ in group}
    terms = [
        _mapped(nl, key, [s for _, s in group], [expressions[n][0] for n, _ in group])
        for key, group in mapped.items()
    ]
    rest = [entry for number, entry in enumerate(expressions) if number not in done]
    return [*terms, _bundled(nl, rest)] if rest else terms


def _mapped(
    nl: NlText, key: tuple[Any, ...], shapes: list[Instance], rows: list[int | None]
) -> MappedTerm:
    """Return the term of expressions of one shape; constants that all share are put in."""
    columns = np.array([c for c, _ in shapes]).reshape(len(shapes), -1)
    constants = np.array([v for _, v in shapes]).reshape(len(shapes), -1)
    variables = ca.SX.sym("v", columns.shape[1])
    same = (columns == columns[0]).all(axis=0) & (len(shapes) > 1)
    equal = (constants == constants[0]).all(axis=0)
    data = ca.SX.sym("n", int((~equal).sum()))
    symbols = iter(ca.vertsplit(data) if data.numel() else [])
    numbers = [
        float(v) if fixed else next(symbols) for v, fixed in zip(constants[0], equal, strict=True)
    ]
    value = ca.SX(build(key, ca.vertsplit(variables) if variables.numel() else [], numbers)[0])
    own = np.flatnonzero(~same).tolist()
    shared = sorted(np.flatnonzero(same).tolist(), key=lambda s: int(columns[0, s]))
    scatter = None
    if rows[0] is not None:
        entries = (np.ones(len(rows)), (np.array(rows), np.arange(len(rows))))
        scatter = sparse.csc_matrix(entries, shape=(nl.constraints, len(rows)))
    return MappedTerm.build(
        "nl",
        value,
        (_pick(variables, own), columns[:, own]),
        (_pick(variables, shared), columns[0, shared]),
        (data, _constant(constants[:, ~equal])),
        scatter,
    )


def _bundled(nl: NlText, expressions: list[Expression]) -> MappedTerm:
    """Return one term for all expressions, with defined variables shared among them."""
    shape = Shape(nl)
    for _, at, factor in expressions:
        shape.add(at, factor)
    variables = ca.SX.sym("v", len(shape.columns))
    values = build(shape.key, ca.vertsplit(variables) if shape.columns else [], shape.constants)
    columns = np.array(list(shape.columns), dtype=int).reshape(1, -1)
    if expressions[0][0] is None:
        value, scatter = ca.sum1(ca.vertcat(*values)), None
    else:
        value, rows = ca.vertcat(*values), np.array([row for row, _, _ in expressions])
        entries = (np.ones(len(rows)), (rows, np.arange(len(rows))))
        scatter = sparse.csc_matrix(entries, shape=(nl.constraints, len(rows)))
    nothing = (ca.SX(0, 1), np.zeros(0, dtype=int))
    data = (ca.SX(0, 1), _constant(np.zeros((1, 0))))
    return MappedTerm.build("nl", ca.SX(value), (variables, columns), nothing, data, scatter)


def _linear_term(nl: NlText, sign: float) -> MappedTerm:
    """Return the linear part of the objective."""
    columns = np.array([j for j, _ in nl.gradient]).reshape(-1, 1)
    factors = sign * np.array([v for _, v in nl.gradient]).reshape(-1, 1)
    x, c = ca.SX.sym("x"), ca.SX.sym("c")
    nothing = (ca.SX(0, 1), np.zeros(0, dtype=int))
    return MappedTerm.build("linear", c * x, (x, columns), nothing, (c, _constant(factors)))


def _pick(symbols: ca.SX, entries: list[int]) -> ca.SX:
    return symbols[entries] if entries else ca.SX(0, 1)


def _constant(values: Array) -> ca.Function:
    """Return a function of nothing whose value is ``values`` transposed."""
    p = ca.MX.sym("p", 0)
    matrix = ca.DM(values.T.tolist()) if values.size else ca.DM(values.shape[1], values.shape[0])
    return ca.Function("data", [p], [ca.MX(matrix)])


def _names(path: Path, count: int, letter: str) -> list[str]:
    """Return the names in a ``.col`` or ``.row`` file, or numbers if it does not fit."""
    numbered = [f"{letter}{j}" for j in range(count)]
    try:
        if path.stat().st_size > 1000 * (count + 100):
            return numbered
        names = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return numbered
    return names[:count] if count <= len(names) <= count + 100 else numbered
