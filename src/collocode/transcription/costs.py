r"""Terms of what is decided: costs along windows and at their ends, boundaries, slopes of controls.

The integral of a cost is the scheme's own quadrature, :math:`\sum_eh_e\sum_jb_jL(t_{e,j},X_{e,j},u)`.
"""

from __future__ import annotations

from collections.abc import Sequence

import casadi as ca
import numpy as np
from scipy import sparse

from ..model.consistent import end_constraints
from ..model.costs import Lagrange, Mayer
from ..model.experiment import Experiment
from ..model.problem import Problem
from ..model.symbolic import Symbols, constrained, costed
from ..numerics import Array, Index, Mask
from ..numerics.scheme import Scheme
from .decided import Group, Place, times_of
from .layout import Layout
from .term import MappedTerm, ParameterBlocks, data_function
from .unknowns import Unknowns
from .windows import ExperimentLayout


def costs(
    problem: Problem,
    layout: Layout,
    scheme: Scheme,
    blocks: ParameterBlocks,
    group: Group,
    only: Sequence[int] | None = None,
) -> list[MappedTerm]:
    """Return a term for every cost of a group's windows, or some of them, called ``cost.<name>``."""
    terms = []
    mine = [n for n in group.numbers if only is None or n in only]
    for cost in problem.costs:
        bearing = [n for n in mine if cost.borne_by(layout.experiments[n].name)]
        if not bearing:
            continue
        s = Symbols.of(problem)
        if isinstance(cost, Lagrange):
            states, places, weights = _along(layout, scheme, bearing)
        else:
            assert isinstance(cost, Mayer)
            states, places = at_end(layout, bearing, cost.at)
            weights = None
        v = Unknowns.of(problem, layout, s, places)
        value, constants = costed(problem, cost, s), [*v.constants]
        if weights is not None:
            share = ca.SX.sym("share")
            value = share * v.stretch * value
            constants = [weights, *constants]
        constants, names = [times_of(places), *constants], [group.named("stage_inputs")]
        if weights is None or len(bearing) < len(group.numbers):
            given = [(problem.experiments[p.experiment], p) for p in places]
            u = [inputs_at(problem, e, p.times, p.left) for e, p in given]
            constants, names = [*constants, np.vstack(u)], []
        symbols = ca.vertcat(s.t, *([] if weights is None else [share]), v.data, s.u)
        data = data_function(blocks, constants, names)
        terms.append(
            MappedTerm.build(
                f"cost.{cost.name}",
                v.put_into(value),
                (ca.vertcat(s.x, v.own), np.hstack([states, v.own_columns])),
                (v.shared, v.shared_columns),
                (symbols, data),
            )
        )
    return terms


def boundary_constraints(
    problem: Problem, layout: Layout, blocks: ParameterBlocks, group: Group
) -> list[MappedTerm]:
    """Return a term for every constraint at one end of the windows of a group."""
    terms = []
    for number, constraint in enumerate(end_constraints(problem)):
        s = Symbols.of(problem)
        states, places = at_end(layout, group.numbers, constraint.at)
        v = Unknowns.of(problem, layout, s, places)
        u = np.vstack(
            [inputs_at(problem, problem.experiments[p.experiment], p.times, p.left) for p in places]
        )
        rows = np.array([layout.experiments[n].boundary_rows[number] for n in group.numbers])
        entries = (np.ones(len(rows)), (rows, np.arange(len(rows))))
        terms.append(
            MappedTerm.build(
                f"path.{constraint.name}",
                v.put_into(constrained(problem, constraint, s)),
                (ca.vertcat(s.x, v.own), np.hstack([states, v.own_columns])),
                (v.shared, v.shared_columns),
                (
                    ca.vertcat(s.t, v.data, s.u),
                    data_function(blocks, [times_of(places), *v.constants, u], []),
                ),
                sparse.csc_matrix(entries, shape=(layout.rows, len(rows))),
            )
        )
    return terms


def rates(problem: Problem, layout: Layout, blocks: ParameterBlocks) -> list[MappedTerm]:
    r"""Return the slopes :math:`(U_{e+1}-U_e)/(r h_e)` of controls whose rate is bounded."""
    terms = []
    for number, part in enumerate(layout.experiments):
        for name, rows in part.rate_rows.items():
            s, step, ends = Symbols.of(problem), ca.SX.sym("h"), ca.SX.sym("U", 2)
            elements = np.arange(part.mesh.elements)
            v = Unknowns.of(problem, layout, s, [Place(number, part.mesh.points[:-1])])
            constants = [part.mesh.steps[:, None], *v.constants]
            entries = (np.ones(len(rows)), (rows, elements))
            terms.append(
                MappedTerm.build(
                    f"rate.{name}",
                    v.put_into((ends[1] - ends[0]) / (step * v.stretch)),
                    (
                        ca.vertcat(ends, v.own),
                        np.hstack([part.decided[name].columns, v.own_columns]),
                    ),
                    (v.shared, v.shared_columns),
                    (ca.vertcat(step, v.data), data_function(blocks, constants, [])),
                    sparse.csc_matrix(entries, shape=(layout.rows, len(rows))),
                )
            )
    return terms


def moves(
    problem: Problem,
    layout: Layout,
    blocks: ParameterBlocks,
    only: Sequence[int] | None = None,
) -> list[MappedTerm]:
    r"""Return penalties :math:`w\sum_k(c_{k+1}-c_k)^2` on moves, and their slopes where these are bounded.

    Windows that share a control are charged once.
    """
    terms: list[MappedTerm] = []
    charged: set[int] = set()
    for number, part in enumerate(layout.experiments):
        if only is not None and number not in only:
            continue
        for name, function in part.spanned.items():
            control = problem.experiments[number].controls[name]
            pairs = np.column_stack([function.columns[:-1], function.columns[1:]])
            if not len(pairs):
                continue
            s, width, ends = Symbols.of(problem), ca.SX.sym("h"), ca.SX.sym("c", 2)
            widths = np.diff(function.basis.nodes())[:, None]
            v = Unknowns.of(
                problem, layout, s, [Place(number, np.full(len(pairs), part.mesh.start))]
            )
            own = ca.vertcat(ends, v.own), np.hstack([pairs, v.own_columns])
            data = ca.vertcat(width, v.data), data_function(blocks, [widths, *v.constants], [])
            rest = own, (v.shared, v.shared_columns), data
            if control.moves and int(pairs[0, 0]) not in charged:
                charged.add(int(pairs[0, 0]))
                value = control.moves * (ends[1] - ends[0]) ** 2
                terms.append(MappedTerm.build(f"cost.moves of {name}", value, *rest))
            rows = function.move_rows
            if len(rows):
                slope = v.put_into((ends[1] - ends[0]) / (width * v.stretch))
                entries = (np.ones(len(rows)), (rows, np.arange(len(rows))))
                into = sparse.csc_matrix(entries, shape=(layout.rows, len(rows)))
                terms.append(MappedTerm.build(f"rate.{name}", slope, *rest, into))
    return terms


def stage_places(number: int, part: ExperimentLayout, scheme: Scheme) -> Place:
    """Return the stages of all elements of an experiment."""
    stages, elements = list(scheme.stages), part.mesh.elements
    return Place(
        number,
        part.times[part.element_nodes()[:, stages]].ravel(),
        np.tile(scheme.nodes[stages] == 1.0, elements),
        np.repeat(np.arange(elements), len(stages)),
        np.tile(scheme.nodes[stages], elements),
    )


def inputs_at(problem: Problem, experiment: Experiment, times: Array, left: Mask | bool) -> Array:
    """(N, carried) given inputs at ``times``; 0 for what is decided and for algebraic variables."""
    columns = [
        experiment.inputs[name](times, left) if name in experiment.inputs else np.zeros(len(times))
        for name in problem.carried
    ]
    return np.column_stack(columns) if columns else np.empty((len(times), 0))


def _along(
    layout: Layout, scheme: Scheme, numbers: Sequence[int]
) -> tuple[Index, list[Place], Array]:
    """States, places and shares h b of all stages of some windows."""
    states, places, shares = [], [], []
    weights = scheme.weights[list(scheme.stages)]
    for number in numbers:
        part = layout.experiments[number]
        states.append(part.states[part.element_nodes()[:, list(scheme.stages)].ravel()])
        places.append(stage_places(number, part, scheme))
        shares.append(np.outer(part.mesh.steps, weights).reshape(-1, 1))
    return np.vstack(states), places, np.vstack(shares)


def at_end(layout: Layout, numbers: Sequence[int], end: str) -> tuple[Index, list[Place]]:
    """States and places of one end of some windows, a point a window."""
    states, places = [], []
    for number in numbers:
        part, last = layout.experiments[number], end == "end"
        states.append(part.states[-1:] if last else part.states[:1])
        element = np.array([part.mesh.elements - 1 if last else 0])
        times = np.array([part.mesh.end if last else part.mesh.start])
        places.append(Place(number, times, last, element, np.array([float(last)])))
    return np.vstack(states), places
