"""The terms of a problem: collocation, path constraints, misfit, priors; for costs see `costs`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import casadi as ca
import numpy as np
from scipy import sparse

from ..model.problem import Problem
from ..model.symbolic import (
    Symbols,
    constrained,
    constrained_at,
    derivatives,
    residuals,
)
from ..numerics import Array, Index
from ..numerics.scheme import Scheme
from .costs import boundary_constraints, costs, moves, rates, stage_places
from .decided import Group, Place, groups_of, times_of
from .initial import initial_states
from .lags import lags
from .layout import Layout
from .lift import lift
from .links import durations, links
from .regularisation import parameter_priors, prior, ridge
from .residual import integrated_residual
from .samples import misfit_term
from .term import MappedTerm, ParameterBlocks, data_function
from .unknowns import Unknowns


def build_terms(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks
) -> tuple[MappedTerm, ...]:
    """Return all terms of the NLP, objective and constraints."""
    groups = groups_of(problem)
    terms = [
        *(_collocation(problem, layout, scheme, blocks, group) for group in groups),
        *(t for group in groups for t in _algebraic(problem, layout, scheme, blocks, group)),
        *lags(problem, layout, scheme, blocks),
        *(t for group in groups for t in _path_constraints(problem, layout, scheme, blocks, group)),
        *(t for group in groups for t in boundary_constraints(problem, layout, blocks, group)),
        *initial_states(problem, layout, blocks),
        *rates(problem, layout, blocks),
        *moves(problem, layout, blocks),
        *links(problem, layout, blocks),
        *durations(layout, blocks),
        *_point_constraints(problem, layout, blocks),
        *([misfit_term(problem, layout, scheme, blocks)] if problem.n_measurements else []),
        *(t for group in groups for t in costs(problem, layout, scheme, blocks, group)),
        *(t for g in groups for t in integrated_residual(problem, layout, scheme, blocks, g)),
        *ridge(problem, layout, blocks),
        *prior(layout, blocks),
        *parameter_priors(problem, layout, blocks),
    ]
    return tuple(term for term in terms if term.points)


def linear_part(layout: Layout, scheme: Scheme) -> sparse.csr_matrix:
    """Return the constant part of the rows, Σ_j D_kj X_j, of all experiments."""
    rows, columns, data = [], [], []
    for part in layout.experiments:
        states = part.states[part.element_nodes()]  # (elements, nodes, states)
        for k, j in np.argwhere(scheme.D != 0.0):
            rows.append(part.rows[:, k, :].ravel())
            columns.append(states[:, j, :].ravel())
            data.append(np.full(rows[-1].size, scheme.D[k, j]))
    entries = (np.concatenate(data), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_matrix(entries, shape=(layout.rows, layout.columns))


def _collocation(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks, group: Group
) -> MappedTerm:
    """−h f at every stage, scattered to the rows by B (ones, for most schemes)."""
    s, step = Symbols.of(problem), ca.SX.sym("h")
    states, places, steps, entries = [], [], [], []
    offset, nx = 0, len(problem.states)
    for number in group.numbers:
        part = layout.experiments[number]
        stage_nodes = part.element_nodes()[:, list(scheme.stages)]
        states.append(part.states[stage_nodes.ravel()])
        places.append(stage_places(number, part, scheme))
        steps.append(np.repeat(part.mesh.steps, stage_nodes.shape[1]))
        point = offset + np.arange(stage_nodes.size).reshape(stage_nodes.shape)
        for k, q in np.argwhere(scheme.B[:, list(scheme.stages)] != 0.0):
            columns = point[:, q][:, None] * nx + np.arange(nx)[None, :]
            factor = np.full(columns.size, scheme.B[k, scheme.stages[q]])
            entries.append((part.rows[:, k, :].ravel(), columns.ravel(), factor))
        offset += stage_nodes.size
    v, f = Unknowns.of(problem, layout, s, places), derivatives(problem, s)
    constants = [times_of(places), np.concatenate(steps)[:, None], *v.constants]

    def defect(f: ca.SX) -> ca.SX:
        return v.put_into(-step * v.stretch * f)

    return MappedTerm.build(
        "collocation",
        defect(f),
        (ca.vertcat(s.x, v.own), np.hstack([np.vstack(states), v.own_columns])),
        (v.shared, v.shared_columns),
        (
            ca.vertcat(s.t, step, v.data, s.u),
            data_function(blocks, constants, [group.named("stage_inputs")]),
        ),
        _sparse(entries, (layout.rows, offset * nx)),
        lift(problem, s, v, (f, partial(derivatives, problem)), defect),
    )


def _algebraic(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks, group: Group
) -> list[MappedTerm]:
    """g at every stage."""
    if not problem.algebraics:
        return []
    s, parts = Symbols.of(problem), [layout.experiments[n] for n in group.numbers]
    nodes = [part.element_nodes()[:, list(scheme.stages)].ravel() for part in parts]
    states = np.vstack([part.states[at] for part, at in zip(parts, nodes, strict=True)])
    pairs = zip(group.numbers, parts, strict=True)
    places = [stage_places(number, part, scheme) for number, part in pairs]
    v, g = Unknowns.of(problem, layout, s, places), residuals(problem, s)
    rows = np.concatenate([part.algebraic_rows.ravel() for part in parts])
    data = data_function(blocks, [times_of(places), *v.constants], [group.named("stage_inputs")])
    return [
        MappedTerm.build(
            "algebraic",
            v.put_into(g),
            (ca.vertcat(s.x, v.own), np.hstack([states, v.own_columns])),
            (v.shared, v.shared_columns),
            (ca.vertcat(s.t, v.data, s.u), data),
            _sparse([(rows, np.arange(len(rows)), np.ones(len(rows)))], (layout.rows, len(rows))),
            lift(problem, s, v, (g, partial(residuals, problem)), v.put_into),
        )
    ]


def _path_constraints(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks, group: Group
) -> list[MappedTerm]:
    terms = []
    parts = [layout.experiments[n] for n in group.numbers]
    for number, constraint in enumerate(problem.path_constraints):
        s, places = Symbols.of(problem), []
        for n, part in zip(group.numbers, parts, strict=True):
            places.append(Place(n, part.times, False, part.element, scheme.nodes[part.place]))
        v, value = Unknowns.of(problem, layout, s, places), constrained(problem, constraint, s)
        states = np.vstack([part.states for part in parts])
        rows = np.concatenate([part.path_rows[number] for part in parts])
        scatter = _sparse(
            [(rows, np.arange(len(rows)), np.ones(len(rows)))], (layout.rows, len(rows))
        )
        inputs = [group.named("node_inputs")]
        data = data_function(blocks, [times_of(places), *v.constants], inputs)
        terms.append(
            MappedTerm.build(
                f"path.{constraint.name}",
                v.put_into(value),
                (ca.vertcat(s.x, v.own), np.hstack([states, v.own_columns])),
                (v.shared, v.shared_columns),
                (ca.vertcat(s.t, v.data, s.u), data),
                scatter,
                lift(problem, s, v, (value, partial(constrained, problem, constraint)), v.put_into),
            )
        )
    return terms


def _point_constraints(
    problem: Problem, layout: Layout, blocks: ParameterBlocks
) -> list[MappedTerm]:
    terms = []
    for constraint in problem.point_constraints:
        s, z = Symbols.of(problem), ca.SX.sym("z", constraint.points.shape[1])
        points, times = constraint.held_at(problem.varies_in_time)
        v = Unknowns.of(problem, layout, s, [Place(0, times)])
        rows = layout.point_rows[constraint.name]
        scatter = _sparse(
            [(rows, np.arange(len(rows)), np.ones(len(rows)))], (layout.rows, len(rows))
        )
        terms.append(
            MappedTerm.build(
                f"point.{constraint.name}",
                v.put_into(constrained_at(problem, constraint, s, z)),
                (v.own, v.own_columns),
                (v.shared, v.shared_columns),
                (ca.vertcat(z, v.data), data_function(blocks, [points, *v.constants], [])),
                scatter,
            )
        )
    return terms


def _sparse(
    entries: Sequence[tuple[Index, Index, Array]], shape: tuple[int, int]
) -> sparse.csc_matrix:
    rows, columns, data = (np.concatenate([e[i] for e in entries]) for i in range(3))
    return sparse.csc_matrix((data, (rows, columns)), shape=shape)
