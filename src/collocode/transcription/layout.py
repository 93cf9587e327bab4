"""Which column is which unknown, and which row is which equation.

Columns, in order: for every experiment its node states (node by node, state by state) and its own
parameters; then the shared parameters; then the network weights.  What varies in time has its
coefficients for columns.  The matrix of a chain of
elements with a dense border of shared columns is thus visible in the order itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ..model.problem import Problem
from ..model.symbolic import Symbols, constrained_at
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from .program import Block, Place
from .structure import Chain, ChainStructure, stacked

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class ExperimentLayout:
    """Where one experiment's unknowns and equations are.

    Attributes
    ----------
    name, mesh : the experiment and its elements.
    times : (nodes,) all nodes, element ends included.
    states : (nodes, states) columns.
    parameters : (own parameters,) columns, in the order of the problem's ``per_experiment`` ones;
        one that varies in time has one column per coefficient.
    rows : (elements, intervals, states) rows of the collocation equations.
    path_rows : (constraints, nodes) rows of the path constraints.
    """

    name: str
    mesh: Mesh
    times: Array
    states: Index
    parameters: Index
    rows: Index
    path_rows: Index

    def element_nodes(self) -> Index:
        """(elements, intervals+1) node numbers of every element."""
        elements, intervals, _ = self.rows.shape
        return np.arange(elements)[:, None] * intervals + np.arange(intervals + 1)[None, :]


@dataclass(frozen=True, eq=False)
class Layout:
    """The index layout of a whole NLP; see the module docstring for the order."""

    state_names: tuple[str, ...]
    own_names: tuple[str, ...]
    shared_names: tuple[str, ...]
    weight_names: tuple[str, ...]
    path_names: tuple[str, ...]
    point_rows: Mapping[str, Index]
    experiments: tuple[ExperimentLayout, ...]
    shared: Index
    weights: Index
    columns: int
    rows: int

    @classmethod
    def of(cls, problem: Problem, meshes: Sequence[Mesh], scheme: Scheme) -> Layout:
        """Lay out the unknowns of ``problem`` on one mesh per experiment."""
        parameters = problem.dynamics.parameters
        own = tuple(name for q in parameters if q.per_experiment for name in q.names)
        shared = tuple(name for q in parameters if not q.per_experiment for name in q.names)
        weights = weight_names(problem)
        nx, m, n_path = len(problem.states), scheme.intervals, len(problem.path_constraints)
        column = row = 0
        parts = []
        for experiment, mesh in zip(problem.experiments, meshes, strict=True):
            nodes = mesh.elements * m + 1
            times = np.append(
                (mesh.points[:-1, None] + mesh.steps[:, None] * scheme.nodes[None, :-1]).ravel(),
                mesh.end,
            )
            states = column + np.arange(nodes * nx).reshape(nodes, nx)
            column += nodes * nx
            mine = column + np.arange(len(own))
            column += len(own)
            rows = row + np.arange(mesh.elements * m * nx).reshape(mesh.elements, m, nx)
            row += rows.size
            path_rows = row + np.arange(n_path * nodes).reshape(n_path, nodes)
            row += path_rows.size
            parts.append(
                ExperimentLayout(experiment.name, mesh, times, states, mine, rows, path_rows)
            )
        point_rows = {}
        for name, values in _point_values(problem).items():
            point_rows[name] = row + np.arange(values)
            row += values
        shared_columns = column + np.arange(len(shared))
        weight_columns = column + len(shared) + np.arange(len(weights))
        return cls(
            problem.states,
            own,
            shared,
            weights,
            tuple(c.name for c in problem.path_constraints),
            point_rows,
            tuple(parts),
            shared_columns,
            weight_columns,
            column + len(shared) + len(weights),
            row,
        )

    def column_blocks(self) -> tuple[Block, ...]:
        """A block per state, own and shared parameter, and matrix of weights."""

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
            blocks.append(Block(state, numbers, nodes, _at_node))
        for j, name in enumerate(self.own_names):
            own = np.array([e.parameters[j] for e in self.experiments], dtype=int)
            blocks.append(Block(name, own, names))
        blocks += [
            Block(name, np.array(column))
            for name, column in zip(self.shared_names, self.shared, strict=True)
        ]
        return (*blocks, *_weight_blocks(self.weight_names, self.weights))

    def row_blocks(self) -> tuple[Block, ...]:
        """Collocation equations, then a block per path and per point constraint."""

        def equations() -> list[Place]:
            return [
                (e.name, element, k + 1, self.state_names[i])
                for e in self.experiments
                for element, k, i in np.ndindex(e.rows.shape)
            ]

        def nodes() -> list[Place]:
            return [
                (e.name, *divmod(n, e.rows.shape[1]))
                for e in self.experiments
                for n in range(len(e.times))
            ]

        rows = np.concatenate([e.rows.ravel() for e in self.experiments])
        blocks = [Block("collocation", rows, equations, _of_state)]
        for c, name in enumerate(self.path_names):
            numbers = np.concatenate([e.path_rows[c] for e in self.experiments])
            blocks.append(Block(name, numbers, nodes, _of_path))
        for name, numbers in self.point_rows.items():
            blocks.append(Block(name, numbers, label=_of_point))
        return tuple(blocks)

    def structure(self) -> ChainStructure:
        """A chain of elements per experiment; parameters and weights are the border."""
        chains = []
        for e in self.experiments:
            elements, m, _ = e.rows.shape
            rows = [part.ravel() for part in e.rows]
            for path in e.path_rows:
                for element in range(elements):
                    last = (element + 1) * m + (element == elements - 1)
                    rows[element] = np.append(rows[element], path[element * m : last])
            nodes = e.states[e.element_nodes()]
            chains.append(Chain(e.states[::m], nodes[:, 1:-1].reshape(elements, -1), stacked(rows)))
        own = [e.parameters for e in self.experiments]
        border = np.concatenate([*own, self.shared, self.weights])
        points = np.concatenate([np.empty(0, dtype=int), *self.point_rows.values()])
        return ChainStructure(tuple(chains), border, points)

    def parameter_columns(self, experiment: int, names: Sequence[str]) -> Index:
        """Columns of the named parameters as ``experiment`` sees them."""
        own = dict(zip(self.own_names, self.experiments[experiment].parameters, strict=True))
        known: Mapping[str, int] = {**dict(zip(self.shared_names, self.shared, strict=True)), **own}
        return np.array([known[name] for name in names], dtype=int)


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


def _weight_blocks(names: Sequence[str], columns: Index) -> list[Block]:
    """Group ``nn.W1[0,1]``, or ``nn.W1[0,1].P2`` where it varies in time, by matrix and function."""
    groups: dict[str, tuple[list[Place], list[int], str, str]] = {}
    for name, column in zip(names, columns.tolist(), strict=True):
        stem, _, rest = name.partition("[")
        numbers, _, function = rest.partition("]")
        places, members, *_ = groups.setdefault(stem + function, ([], [], stem, function))
        places.append(tuple(int(n) for n in numbers.split(",")))
        members.append(column)
    return [
        Block(name, np.array(members, dtype=int), _listed(places), _of_weight(stem, function))
        for name, (places, members, stem, function) in groups.items()
    ]


def _listed(places: list[Place]) -> Callable[[], list[Place]]:
    return lambda: places


def _of_weight(stem: str, function: str) -> Callable[[str, Place], str]:
    return lambda _, place: f"{stem}[{','.join(map(str, place))}]{function}"


def _at_node(name: str, place: Place) -> str:
    experiment, element, node = place
    return f"{name}[{experiment};{element}.{node}]"


def _of_state(name: str, place: Place) -> str:
    experiment, element, stage, state = place
    return f"{name}.{state}[{experiment};{element}.{stage}]"


def _of_path(name: str, place: Place) -> str:
    return f"path.{_at_node(name, place)}"


def _of_point(name: str, place: Place) -> str:
    return f"point.{name}[{place[0]}]"
