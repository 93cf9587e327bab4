r"""Links of windows as rows: both ends equal a junction, which belongs to the border.

The junction :math:`y` has columns of its own, so that each row, :math:`j(x^-(t_f))-y=0` and
:math:`x^+(t_0)-y=0`, touches one element only and the chains stay chains.
"""

from __future__ import annotations

import casadi as ca
import numpy as np
from scipy import sparse

from ..model.links import Link
from ..model.problem import Problem
from ..model.symbolic import Symbols, jumped
from ..numerics import Index
from .costs import at_end, inputs_at
from .decided import times_of
from .layout import Layout
from .term import MappedTerm, ParameterBlocks, data_function
from .unknowns import Unknowns
from .windows import Linked


def durations(layout: Layout, blocks: ParameterBlocks) -> list[MappedTerm]:
    """Return the lengths t_f − t_0 of windows whose length is bounded."""
    ends = ca.SX.sym("t", 2)
    return [
        MappedTerm.build(
            "duration",
            ends[1] - ends[0],
            (ends, part.free_times[None, :]),
            (ca.SX(0, 1), np.empty(0, dtype=int)),
            (ca.SX(0, 1), data_function(blocks, [np.empty((1, 0))], [])),
            _into(part.duration_row, layout.rows),
        )
        for part in layout.experiments
        if len(part.duration_row)
    ]


def links(problem: Problem, layout: Layout, blocks: ParameterBlocks) -> list[MappedTerm]:
    """Return the terms of all links."""
    terms = []
    for link, where in zip(problem.links, layout.links, strict=True):
        terms += [
            _end(problem, layout, blocks, link, where),
            _start(problem, layout, blocks, link, where),
        ]
        if len(where.time_row):
            terms.append(_time(problem, layout, blocks, where))
    return terms


def _end(
    problem: Problem, layout: Layout, blocks: ParameterBlocks, link: Link, where: Linked
) -> MappedTerm:
    s, y = Symbols.of(problem), ca.SX.sym("y", len(where.columns))
    states, places = at_end(layout, [where.before], "end")
    v = Unknowns.of(problem, layout, s, places)
    place, experiment = places[0], problem.experiments[where.before]
    u = inputs_at(problem, experiment, place.times, place.left)
    data = data_function(blocks, [times_of(places), *v.constants, u], [])
    return MappedTerm.build(
        f"link.{link.name}",
        v.put_into(jumped(problem, link, s)) - y,
        (ca.vertcat(s.x, v.own, y), np.hstack([states, v.own_columns, where.columns[None, :]])),
        (v.shared, v.shared_columns),
        (ca.vertcat(s.t, v.data, s.u), data),
        _into(where.end_rows, layout.rows),
    )


def _start(
    problem: Problem, layout: Layout, blocks: ParameterBlocks, link: Link, where: Linked
) -> MappedTerm:
    x, y = (ca.SX.sym(name, len(where.columns)) for name in "xy")
    chosen = [problem.states.index(name) for name in problem.linked(link)]
    first = layout.experiments[where.after].states[0, chosen]
    return MappedTerm.build(
        f"link.{link.name}",
        x - y,
        (ca.vertcat(x, y), np.concatenate([first, where.columns])[None, :]),
        (ca.SX(0, 1), np.empty(0, dtype=int)),
        (ca.SX(0, 1), data_function(blocks, [np.empty((1, 0))], [])),
        _into(where.start_rows, layout.rows),
    )


def _time(problem: Problem, layout: Layout, blocks: ParameterBlocks, where: Linked) -> MappedTerm:
    """t_0 of the one − t_f of the other; a time that is given is a constant."""
    a, b = (ca.SX.sym(name) for name in ("tf", "t0"))
    columns, given, symbols, known = [], [], [], []
    for number, k, symbol in ((where.before, 1, a), (where.after, 0, b)):
        part, window = layout.experiments[number], problem.experiments[number]
        if len(part.free_times):
            columns.append(part.free_times[k])
            symbols.append(symbol)
        else:
            given.append(symbol)
            known.append(window.end if k else window.start)
    return MappedTerm.build(
        "link.time",
        b - a,
        (ca.vertcat(*symbols), np.array(columns, dtype=int)[None, :]),
        (ca.SX(0, 1), np.empty(0, dtype=int)),
        (
            ca.vertcat(ca.SX(0, 1), *given),
            data_function(blocks, [np.array(known, dtype=float).reshape(1, -1)], []),
        ),
        _into(where.time_row, layout.rows),
    )


def _into(rows: Index, count: int) -> sparse.csc_matrix:
    entries = (np.ones(len(rows)), (rows, np.arange(len(rows))))
    return sparse.csc_matrix(entries, shape=(count, len(rows)))
