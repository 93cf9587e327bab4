"""Which column is which unknown, and which row is which equation.

Columns, in order: for every experiment its node states (node by node, state by state), the unknowns
of inputs that are decided, algebraic variables, its own parameters, its times where these are free;
then the shared parameters; then the network weights.  What varies in time has its coefficients for
columns.  The matrix of a chain of elements with a dense border of shared columns is thus visible in
the order itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import casadi as ca
import numpy as np

from ..model.consistent import end_constraints
from ..model.initial import Initial
from ..model.problem import Problem
from ..model.symbolic import Symbols, constrained_at, residuals_by_name
from ..numerics import Index
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from .labels import (
    at_node,
    listed,
    of_boundary,
    of_coefficient,
    of_equation,
    of_initial,
    of_link,
    of_path,
    of_point,
    of_rate,
    of_state,
    weight_blocks,
)
from .program import Block, Place
from .structure import Chain, ChainStructure, stacked
from .windows import ExperimentLayout, Linked, Numbers, Spanned, laid, linked


@dataclass(frozen=True, eq=False)
class Layout:
    """The index layout of a whole NLP; see the module docstring for the order."""

    state_names: tuple[str, ...]
    equation_names: tuple[str, ...]
    stages: tuple[int, ...]
    own_names: tuple[str, ...]
    shared_names: tuple[str, ...]
    weight_names: tuple[str, ...]
    path_names: tuple[str, ...]
    boundary_names: tuple[str, ...]
    boundary_at: tuple[str, ...]
    point_rows: Mapping[str, Index]
    experiments: tuple[ExperimentLayout, ...]
    links: tuple[Linked, ...]
    link_names: tuple[tuple[str, tuple[str, ...]], ...]
    bindings: tuple[Mapping[str, str], ...]
    ends: Index
    shared: Index
    weights: Index
    columns: int
    rows: int

    @classmethod
    def of(cls, problem: Problem, meshes: Sequence[Mesh], scheme: Scheme) -> Layout:
        """Lay out the unknowns of ``problem`` on one mesh per experiment."""
        parameters = problem.all_parameters
        own = tuple(name for q in parameters if q.per_experiment for name in q.names)
        shared = tuple(name for q in parameters if not q.per_experiment for name in q.names)
        weights = weight_names(problem)
        columns, rows = Numbers(), Numbers()
        parts: list[ExperimentLayout] = []
        spanned: dict[str, Spanned] = {}
        for e, mesh in zip(problem.experiments, meshes, strict=True):
            part = laid(problem, e, mesh, scheme, len(own), columns, rows, spanned)
            parts.append(part)
            spanned = {**part.spanned, **spanned}
        links = [linked(problem, link, parts, columns, rows) for link in problem.links]
        points = {name: rows.take(count) for name, count in _point_values(problem).items()}
        shared_columns, weight_columns = columns.take(len(shared)), columns.take(len(weights))
        return cls(
            problem.states,
            residuals_by_name(problem, Symbols.of(problem))[0]
            if problem.algebraics
            else tuple(problem.lags),
            scheme.stages,
            own,
            shared,
            weights,
            tuple(c.name for c in problem.path_constraints),
            tuple(c.name for c in end_constraints(problem)),
            tuple(c.at for c in end_constraints(problem)),
            points,
            tuple(parts),
            tuple(links),
            tuple((link.name, problem.linked(link)) for link in problem.links),
            tuple(
                {k: v for k, v in e.parameters.items() if isinstance(v, str)}
                for e in problem.experiments
            ),
            np.array([parts[e].states[at, i] for e, at, i, _ in known_ends(problem)], dtype=int),
            shared_columns,
            weight_columns,
            columns.count,
            rows.count,
        )

    def column_blocks(self) -> tuple[Block, ...]:
        """A block per state, decided input, own and shared parameter, and matrix of weights."""

        def nodes() -> list[Place]:
            return [
                (e.name, *divmod(n, e.rows.shape[1]))
                for e in self.experiments
                for n in range(len(e.times))
            ]

        def names() -> list[Place]:
            return [(e.name,) for e in self.experiments]

        blocks = []
        for i, state in enumerate(self.state_names):
            numbers = np.concatenate([e.states[:, i] for e in self.experiments])
            blocks.append(Block(state, numbers, nodes, at_node))
        for name in dict.fromkeys(n for e in self.experiments for n in e.decided):
            blocks.append(self._decided_block(name))
        blocks += self._spanned_blocks()
        for j, name in enumerate(self.own_names):
            own = np.array([e.parameters[j] for e in self.experiments], dtype=int)
            blocks.append(Block(name, own, names))
        for name in dict.fromkeys(n for e in self.experiments for n in e.bound):
            bound = [e for e in self.experiments if name in e.bound]
            numbers = np.array([e.bound[name] for e in bound])
            blocks.append(Block(f"{name} given", numbers, listed([(e.name,) for e in bound])))
        moving = [e for e in self.experiments if len(e.free_times)]
        for k, name in enumerate(("start", "end") if moving else ()):
            ends = np.array([e.free_times[k] for e in moving])
            blocks.append(Block(name, ends, lambda: [(e.name,) for e in moving]))
        for where, (name, states) in zip(self.links, self.link_names, strict=True):
            for j, state in enumerate(states):
                blocks.append(Block(f"{name}.{state}", np.array(where.columns[j])))
        blocks += [
            Block(name, np.array(column))
            for name, column in zip(self.shared_names, self.shared, strict=True)
        ]
        return (*blocks, *weight_blocks(self.weight_names, self.weights))

    def _decided_block(self, name: str) -> Block:
        """Unknowns of one decided input in all windows that decide it."""
        columns, places = [], []
        for e in self.experiments:
            if name in e.decided:
                table = e.decided[name].columns
                whose, place = np.divmod(np.arange(table.size), table.shape[1])
                found, first = np.unique(table.ravel(), return_index=True)
                columns.append(found)
                places += [(e.name, int(whose[j]), int(place[j])) for j in first]
        return Block(name, np.concatenate(columns), listed(places), at_node)

    def _spanned_blocks(self) -> list[Block]:
        """Coefficients of the decided inputs that are functions of a basis; shared ones once."""
        found, known = [], set()
        for e in self.experiments:
            for name, function in e.spanned.items():
                if int(function.columns[0]) not in known:
                    known.add(int(function.columns[0]))
                    labels = [(e.name, label) for label in function.basis.names()]
                    found.append(Block(name, function.columns, listed(labels), of_coefficient))
        return found

    def row_blocks(self) -> tuple[Block, ...]:
        """Blocks of the rows: equations, path and boundary constraints, initial states, rates, links and points."""
        points = [Block(name, rows, label=of_point) for name, rows in self.point_rows.items()]
        return (
            *self._equation_blocks(),
            *self._constraint_blocks(),
            *self._initial_blocks(),
            *self._rate_blocks(),
            *self._duration_blocks(),
            *self._link_blocks(),
            *points,
        )

    def _equation_blocks(self) -> Iterator[Block]:
        def equations() -> list[Place]:
            return [
                (e.name, element, k + 1, self.state_names[i])
                for e in self.experiments
                for element, k, i in np.ndindex(e.rows.shape)
            ]

        rows = np.concatenate([e.rows.ravel() for e in self.experiments])
        yield Block("collocation", rows, equations, of_state)
        for k, name in enumerate(self.equation_names):
            stages: list[Place] = [
                (e.name, element, self.stages[at])
                for e in self.experiments
                for element, at in np.ndindex(e.algebraic_rows.shape[:2])
            ]
            rows = np.concatenate([e.algebraic_rows[:, :, k].ravel() for e in self.experiments])
            yield Block(name, rows, listed(stages), of_equation)

    def _constraint_blocks(self) -> Iterator[Block]:
        def nodes() -> list[Place]:
            return [
                (e.name, *divmod(n, e.rows.shape[1]))
                for e in self.experiments
                for n in range(len(e.times))
            ]

        for c, name in enumerate(self.path_names):
            rows = np.concatenate([e.path_rows[c] for e in self.experiments])
            yield Block(name, rows, nodes, of_path)
        for c, name in enumerate(self.boundary_names):
            rows = np.array([e.boundary_rows[c] for e in self.experiments])
            yield Block(name, rows, lambda: [(e.name,) for e in self.experiments], of_boundary)

    def _initial_blocks(self) -> Iterator[Block]:
        given = [e for e in self.experiments if len(e.initial_rows)]
        if given:
            rows = np.concatenate([e.initial_rows for e in given])
            pairs = [(self.state_names[i], e.name) for e in given for i in e.determined]
            yield Block("initial", rows, listed(pairs), of_initial)

    def _rate_blocks(self) -> Iterator[Block]:
        for name in dict.fromkeys(n for e in self.experiments for n in e.rate_rows):
            parts = [(e.name, e.rate_rows[name]) for e in self.experiments if name in e.rate_rows]
            places = [(label, k) for label, numbers in parts for k in range(len(numbers))]
            rows = np.concatenate([numbers for _, numbers in parts])
            yield Block(name, rows, listed(places), of_rate)
        for e in self.experiments:
            for name, function in e.spanned.items():
                if len(function.move_rows):
                    places = [(e.name, k) for k in range(len(function.move_rows))]
                    yield Block(name, function.move_rows, listed(places), of_rate)

    def _duration_blocks(self) -> Iterator[Block]:
        bounded = [e for e in self.experiments if len(e.duration_row)]
        if bounded:
            rows = np.concatenate([e.duration_row for e in bounded])
            yield Block("duration", rows, listed([(e.name,) for e in bounded]))

    def _link_blocks(self) -> Iterator[Block]:
        for where, (name, states) in zip(self.links, self.link_names, strict=True):
            whose = [(self.experiments[n].name,) for n in (where.before, where.after)]
            ends = np.column_stack([where.end_rows, where.start_rows])
            for j, state in enumerate(states):
                yield Block(f"{name}.{state}", ends[j], listed(whose), of_link)
            if len(where.time_row):
                yield Block(f"{name}.time", where.time_row, listed(whose[:1]), of_link)

    def structure(self) -> ChainStructure:
        """A chain of elements per experiment; the border is parameters, free times, junctions, weights."""
        chains = []
        for number, e in enumerate(self.experiments):
            elements, m, _ = e.rows.shape
            every = np.arange(elements)
            found = [(every, e.rows), (every, e.algebraic_rows)]  # elements, and rows of each
            found += [(e.element, path) for path in e.path_rows]
            found.append((np.zeros(len(e.initial_rows), dtype=int), e.initial_rows))
            for c, name in enumerate(self.boundary_at):
                at = 0 if name == "start" else elements - 1
                found.append((np.array([at]), np.array([e.boundary_rows[c]])))
            for link in self.links:
                pair = (link.before, elements - 1, link.end_rows), (link.after, 0, link.start_rows)
                for whose, at, joined in pair:
                    if whose == number:
                        found.append((np.full(len(joined), at), joined))
            found += [(every, numbers) for numbers in e.rate_rows.values()]
            nodes = e.states[e.element_nodes()]
            links, inner = [e.states[::m]], [nodes[:, 1:-1].reshape(elements, -1)]
            for decided in e.decided.values():
                table, ends = decided.columns, decided.spans
                links += [np.append(table[:, 0], table[-1, -1])[:, None]] if ends else []
                inner.append(table[:, 1:-1] if ends else table)
            chains.append(Chain(np.hstack(links), np.hstack(inner), stacked(elements, found)))
        own = [
            np.concatenate([e.parameters, e.free_times, [*e.bound.values()]]).astype(int)
            for e in self.experiments
        ]
        functions = [f for e in self.experiments for f in e.spanned.values()]
        spanned = np.unique(np.concatenate([own[0][:0], *(f.columns for f in functions)]))
        junctions = [link.columns for link in self.links]
        border = np.concatenate([*own, spanned, *junctions, self.shared, self.weights])
        between = [link.time_row for link in self.links]
        between += [e.duration_row for e in self.experiments]
        between += [f.move_rows for f in functions]
        points = np.concatenate([np.empty(0, dtype=int), *between, *self.point_rows.values()])
        return ChainStructure(tuple(chains), border, points)

    def parameter_columns(self, experiment: int | None, names: Sequence[str]) -> Index:
        """Columns of the named parameters as ``experiment`` sees them.

        None is a run of which nothing is told: it sees what is shared, and beside it the first experiment's own.
        """
        part = self.experiments[experiment or 0]
        own = dict(zip(self.own_names, part.parameters, strict=True))
        known: Mapping[str, int] = {**dict(zip(self.shared_names, self.shared, strict=True)), **own}
        if experiment is None:
            return np.array([known[name] for name in names], dtype=int)
        known, bindings = {**known, **part.bound}, self.bindings[experiment]
        return np.array([known[bindings.get(name, name)] for name in names], dtype=int)

    def columns_of(self, name: str) -> Index:
        """Columns of a parameter's own values, one, or one an experiment."""
        if name in self.shared_names:
            return self.shared[[self.shared_names.index(name)]]
        j = self.own_names.index(name)
        return np.array([e.parameters[j] for e in self.experiments], dtype=int)

    @cached_property
    def initial_columns(self) -> Mapping[int, int]:
        """Column of the state that every row of `ExperimentLayout.initial_rows` gives."""
        pairs = ((e.initial_rows, e.states[0, e.determined]) for e in self.experiments)
        return {
            row: c for rows, cs in pairs for row, c in zip(rows.tolist(), cs.tolist(), strict=True)
        }


def known_ends(problem: Problem) -> list[tuple[int, int, int, Initial]]:
    """Return (experiment, node, state, what is known of it) of all first and last states that may carry a prior.

    In a fit all may, since `admm` holds those where it cuts; what decides is not cut, and takes those of known spread.
    """
    ends = [
        (number, at, i, known(experiment, state))
        for at, known in ((0, problem.initial_of), (-1, problem.final_of))
        for number, experiment in enumerate(problem.experiments)
        for i, state in enumerate(problem.states)
    ]
    spread = [np.isfinite(known.std) and not known.is_fixed for *_, known in ends]
    return [end for end, one in zip(ends, spread, strict=True) if one or not problem.decides]


def _point_values(problem: Problem) -> dict[str, int]:
    """Number of rows of every point constraint."""
    sizes, s = {}, Symbols.of(problem)
    for constraint in problem.point_constraints:
        z = ca.SX.sym("z", constraint.points.shape[1])
        values = constrained_at(problem, constraint, s, z).numel()
        sizes[constraint.name] = values * len(constraint.held_at(problem.varies_in_time)[1])
    return sizes


def weight_names(problem: Problem) -> tuple[str, ...]:
    """Names of all weights, ``network.W1[i,j]``, in the order of the weight vector.

    Those of a `TimeVarying` network name the function too: ``network.W1[i,j].P2``.
    """
    return tuple(
        f"{name}.{weight}"
        for name, network in problem.dynamics.networks.items()
        for weight in network.weight_names()
    )
