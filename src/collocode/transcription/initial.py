r"""Initial states that parameters give, as rows :math:`x_i(t_0)-g_i(p)=0`, or by a steady state.

The states keep their columns, so that the chain of elements stays a chain; whoever counts degrees of
freedom leaves them out.
"""

from __future__ import annotations

from collections.abc import Sequence

import casadi as ca
import numpy as np
from scipy import sparse

from ..model.problem import Problem
from ..model.symbolic import Symbols, initial_values
from ..numerics import Array
from .costs import at_end
from .decided import times_of
from .layout import Layout
from .rest import rest_key, rest_of
from .term import MappedTerm, ParameterBlocks, data_function
from .unknowns import Unknowns


def initial_states(problem: Problem, layout: Layout, blocks: ParameterBlocks) -> list[MappedTerm]:
    """Return a term for all experiments whose initial states are the same functions."""
    terms = []
    for numbers in _alike(problem, layout):
        s = Symbols.of(problem)
        states, places = at_end(layout, numbers, "start")
        v = Unknowns.of(problem, layout, s, places)
        first = problem.experiments[numbers[0]]
        if first.steady is None:
            name, given = "initial", initial_values(problem, first, s)
            chosen = [problem.states.index(state) for state in given]
            value = s.x[chosen] - ca.vertcat(*given.values())
        else:
            name, value = "rest", rest_of(problem, first).equations(s)
        rows = np.concatenate([layout.experiments[n].initial_rows for n in numbers])
        entries = (np.ones(len(rows)), (rows, np.arange(len(rows))))
        terms.append(
            MappedTerm.build(
                name,
                v.put_into(value),
                (ca.vertcat(s.x, v.own), np.hstack([states, v.own_columns])),
                (v.shared, v.shared_columns),
                (
                    ca.vertcat(s.t, v.data),
                    data_function(blocks, [times_of(places), *v.constants], []),
                ),
                sparse.csc_matrix(entries, shape=(layout.rows, len(rows))),
            )
        )
    return terms


def put_initial(
    problem: Problem, terms: Sequence[MappedTerm], layout: Layout, x: Array, p: Array
) -> Array:
    """Return ``x`` with the initial states that its parameters give; ``p`` are the program's."""
    found = x.copy()
    rests: dict[tuple[int, bytes], Array] = {}
    for number, (e, part) in enumerate(zip(problem.experiments, layout.experiments, strict=True)):
        if e.steady is not None:
            values = x[layout.parameter_columns(number, problem.coefficient_names)]
            rest = rest_of(problem, e)
            key = id(rest), values.tobytes()
            if key not in rests:
                rests[key] = rest.state(values, x[layout.weights])
            found[part.states[0]] = rests[key]
    for term in terms:
        if term.name == "initial" and term.scatter is not None:
            shared = ca.repmat(ca.DM(x[term.shared_columns].tolist()), 1, term.points)
            arguments = x[term.own_columns].T, shared, term.data_function(ca.DM(p.tolist()))
            missed = np.asarray(term.function.map(term.points)(*arguments)).T.ravel()
            columns = [layout.initial_columns[row] for row in term.scatter.indices.tolist()]
            found[columns] -= missed
    return found


def _alike(problem: Problem, layout: Layout) -> list[list[int]]:
    """Numbers of experiments, those with the same equations together."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, (e, part) in enumerate(zip(problem.experiments, layout.experiments, strict=True)):
        if len(part.initial_rows):
            key = tuple(problem.initial_of(e, state).function for state in problem.states)
            groups.setdefault(key if e.steady is None else rest_key(problem, e), []).append(number)
    return list(groups.values())
