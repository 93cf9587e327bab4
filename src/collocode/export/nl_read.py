"""``.nl`` files back as an NLP that IPOPT can solve, whoever wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import casadi as ca
import numpy as np
from scipy import sparse

from ..checks import check_path
from ..numerics import Array, Index
from ..transcription.assembly import assemble
from ..transcription.program import Block, Program
from ..transcription.term import MappedTerm, data_function
from .nl_shapes import Shape, build, summands
from .nl_text import NlText, parse

Instance = tuple[Index, Array]  # variables and constants of one expression
Expression = tuple[int | None, int, float]  # row (None: objective), beginning, factor
_RARE = 4  # so many expressions of one shape get a mapped term of their own
_GROWTH = 20  # canonical forms may be so many times longer than the file


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class NlModel(Program):
    """A `Program` of which nothing is known but its functions; f is minus a maximised objective.

    Attributes
    ----------
    path : where it was read.
    multipliers : (rows,) the dual start in our sign, or None.
    suffixes : values by name and kind (0 variables, 1 constraints, 2 objectives, 3 problem).
    options : the numbers on the file's first line.
    """

    path: Path
    multipliers: Array | None
    suffixes: Mapping[tuple[str, int], Mapping[int, float]]
    options: tuple[float, ...]


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
    check_path("read_nl", path)
    nl = parse(path)
    start = np.zeros(nl.variables)
    for j, value in nl.start.items():
        start[j] = value
    lower, upper = nl.bounds
    multipliers = None
    if nl.dual:
        multipliers = np.zeros(nl.constraints)
        for i, value in nl.dual.items():
            multipliers[i] = value if nl.maximise else -value
    terms, linear = _terms_of(nl)
    return NlModel(
        name=nl.path.stem,
        path=nl.path,
        functions=assemble(terms, linear, 0),
        terms=tuple(terms),
        linear=linear,
        lower=lower,
        upper=upper,
        row_lower=nl.row_bounds[0],
        row_upper=nl.row_bounds[1],
        start=start,
        column_blocks=(_block("v", nl.path.with_suffix(".col"), nl.variables),),
        row_blocks=(_block("c", nl.path.with_suffix(".row"), nl.constraints),),
        maximise=nl.maximise,
        multipliers=multipliers,
        suffixes=nl.suffixes,
        options=nl.options,
    )


def _terms_of(nl: NlText) -> tuple[list[MappedTerm], sparse.csr_matrix]:
    """Return the mapped terms and the linear part of the constraints."""
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
    return terms, linear


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
    scatter = None if rows[0] is None else _scatter(nl, rows)
    return MappedTerm.build(
        "nl",
        value,
        (_pick(variables, own), columns[:, own]),
        (_pick(variables, shared), columns[0, shared]),
        (data, data_function({}, [constants[:, ~equal]], ())),
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
        value, scatter = ca.vertcat(*values), _scatter(nl, [row for row, _, _ in expressions])
    return MappedTerm.build("nl", ca.SX(value), (variables, columns), scatter=scatter)


def _linear_term(nl: NlText, sign: float) -> MappedTerm:
    """Return the linear part of the objective."""
    columns = np.array([j for j, _ in nl.gradient]).reshape(-1, 1)
    factors = sign * np.array([v for _, v in nl.gradient]).reshape(-1, 1)
    x, c = ca.SX.sym("x"), ca.SX.sym("c")
    data = (c, data_function({}, [factors], ()))
    return MappedTerm.build("linear", c * x, (x, columns), data=data)


def _scatter(nl: NlText, rows: list[int | None]) -> sparse.csc_matrix:
    """Return the matrix that adds each value to its row."""
    entries = (np.ones(len(rows)), (rows, np.arange(len(rows))))
    return sparse.csc_matrix(entries, shape=(nl.constraints, len(rows)))


def _pick(symbols: ca.SX, entries: list[int]) -> ca.SX:
    return symbols[entries] if entries else ca.SX(0, 1)


def _block(letter: str, path: Path, count: int) -> Block:
    """Columns or rows named by a ``.col`` or ``.row`` file, or numbered if it does not fit."""
    names = _names(path, count)
    if names is None:
        return Block(letter, np.arange(count), label=lambda name, place: f"{name}{place[0]}")
    return Block(letter, np.arange(count), label=lambda _, place: names[place[0]])


def _names(path: Path, count: int) -> list[str] | None:
    try:
        if path.stat().st_size > 1000 * (count + 100):
            return None
        names = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return names[:count] if count <= len(names) <= count + 100 else None
