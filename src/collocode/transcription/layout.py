"""Which column is which unknown, and which row is which equation.

Columns, in order: for every experiment its node states (node by node, state by state) and its own
parameters; then the shared parameters; then the network weights.  What varies in time has its
coefficients for columns.  The matrix of a chain of
elements with a dense border of shared columns is thus visible in the order itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ..model.problem import Problem
from ..model.symbolic import Symbols, constrained_at
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme

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
        one that varies in time has a column a coefficient.
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
        """Lay out the unknowns of ``problem`` on one mesh an experiment."""
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

    @cached_property
    def column_names(self) -> list[str]:
        """One name a column, such as ``y1[run 3;12.1]`` (element 12, node 1) or ``nn.W1[0,1]``."""
        names: list[str] = []
        for e in self.experiments:
            m = e.rows.shape[1]
            for node in range(len(e.times)):
                place = f"{node // m}.{node % m}"
                names += [f"{state}[{e.name};{place}]" for state in self.state_names]
            names += [f"{parameter}[{e.name}]" for parameter in self.own_names]
        return names + list(self.shared_names) + list(self.weight_names)

    @cached_property
    def row_names(self) -> list[str]:
        """One name a row: ``collocation.y1[run 3;12.1]`` or ``path.name[run 3;node]``."""
        names: list[str] = []
        for e in self.experiments:
            elements, m, _ = e.rows.shape
            names += [
                f"collocation.{state}[{e.name};{element}.{k + 1}]"
                for element in range(elements)
                for k in range(m)
                for state in self.state_names
            ]
            names += [
                f"path.{name}[{e.name};{node // m}.{node % m}]"
                for name in self.path_names
                for node in range(len(e.times))
            ]
        for name, rows in self.point_rows.items():
            names += [f"point.{name}[{k}]" for k in range(len(rows))]
        return names

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
