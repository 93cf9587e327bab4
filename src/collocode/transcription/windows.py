"""Where the unknowns and equations of one experiment, window or link are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..model.consistent import end_constraints
from ..model.control import Control
from ..model.experiment import Experiment
from ..model.links import Link
from ..model.problem import Problem
from ..numerics import Array, Index
from ..numerics.bases import Basis
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme


@dataclass(frozen=True, eq=False)
class Decided:
    """Where the unknowns of one decided input are.

    Attributes
    ----------
    columns : (elements, unknowns of an element) columns; neighbours may share one.
    nodes : (unknowns of an element,) their places in it, 0 to 1.
    continuous : whether neighbours share what both have at their common point.
    """

    columns: Index
    nodes: Array
    continuous: bool = True

    @classmethod
    def of(cls, first: int, elements: int, nodes: Array, continuous: bool = True) -> Decided:
        """Number the unknowns from ``first`` on."""
        stride = len(nodes) - (continuous and nodes[0] == 0.0 and nodes[-1] == 1.0)
        element = np.arange(elements)[:, None] * stride
        return cls(first + element + np.arange(len(nodes))[None, :], nodes, continuous)

    @property
    def count(self) -> int:
        """Number of unknowns."""
        return int(self.columns[-1, -1] - self.columns[0, 0]) + 1

    @property
    def spans(self) -> bool:
        """Whether it has unknowns at both ends of an element, which neighbours share."""
        return bool(self.continuous and self.nodes[0] == 0.0 and self.nodes[-1] == 1.0)

    def times(self, mesh: Mesh) -> Array:
        """(elements, unknowns of an element) times of the unknowns."""
        return mesh.points[:-1, None] + mesh.steps[:, None] * self.nodes[None, :]


@dataclass(frozen=True, eq=False)
class Spanned:
    """Where the coefficients of a decided input are that is a basis' function of time.

    Attributes
    ----------
    basis : in the window's own, unstretched times.
    columns : (K,) columns of its coefficients; windows may share them.
    move_rows : (K-1,) rows of the slope from one to the next, where it is bounded and no other window
        has them already; else empty.
    """

    basis: Basis
    columns: Index
    move_rows: Index


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
    algebraic_rows : (elements, stages, algebraic variables) rows of the algebraic equations, or of those
        that say what delayed states are.
    element, place : (nodes,) element of every node, and its place there among the scheme's nodes; a mesh
        point belongs to the element that ends there, or if that has no stage there, to the next one.
    path_rows : (constraints, nodes) rows of the path constraints.
    boundary_rows : (constraints,) rows of those at one end.
    rate_rows : (elements,) rows of the slope of a decided input, by its name.
    decided : unknowns of decided inputs, algebraic variables and delayed states, by their names.
    spanned : coefficients of the decided inputs that are functions of a basis.
    duration_row : (1,) row of the length of a window, where that is bounded; else empty.
    free_times : (2,) columns of start and end; empty where both are given.
    bound : columns of parameters that are a number in this experiment, by their names.
    determined : (k,) numbers of the states whose initial value is a function of the parameters.
    initial_rows : (k,) rows that say so.
    """

    name: str
    mesh: Mesh
    times: Array
    states: Index
    parameters: Index
    rows: Index
    algebraic_rows: Index
    element: Index
    place: Index
    path_rows: Index
    boundary_rows: Index
    rate_rows: Mapping[str, Index]
    decided: Mapping[str, Decided]
    spanned: Mapping[str, Spanned]
    duration_row: Index
    free_times: Index
    bound: Mapping[str, int]
    determined: Index
    initial_rows: Index

    @property
    def free_initial(self) -> Index:
        """Columns of the initial states that no function of the parameters gives."""
        return np.delete(self.states[0], self.determined)

    @property
    def dependent(self) -> Index:
        """(dependent,) columns that the equations determine: later states, then algebraic variables.

        Those of initial states that parameters give, and then element by element; as many as `equations`.
        """
        elements, m, nx = self.rows.shape
        states = self.states[1:].reshape(elements, m * nx)
        mine = [d.columns for d in self.decided.values() if not d.continuous]
        return np.append(self.states[0, self.determined], np.hstack([states, *mine]))

    @property
    def equations(self) -> Index:
        """(dependent,) rows of initial states, of collocation and of algebraic equations."""
        elements = len(self.rows)
        both = [self.rows.reshape(elements, -1), self.algebraic_rows.reshape(elements, -1)]
        return np.append(self.initial_rows, np.hstack(both))

    @property
    def decisions(self) -> Index:
        """Columns of what the window decides: inputs and times."""
        inputs = [d.columns.ravel() for d in self.decided.values() if d.continuous]
        functions = [f.columns for f in self.spanned.values()]
        return np.concatenate([*inputs, *functions, self.free_times]).astype(int)

    def element_nodes(self) -> Index:
        """(elements, intervals+1) node numbers of every element."""
        elements, intervals, _ = self.rows.shape
        return np.arange(elements)[:, None] * intervals + np.arange(intervals + 1)[None, :]


@dataclass(frozen=True, eq=False)
class Linked:
    """Where the junction of a link is.

    Attributes
    ----------
    before, after : numbers of the windows.
    columns : (states,) of the junction.
    end_rows, start_rows : (states,) rows in which the windows' ends equal it.
    time_row : (1,) row in which the one starts when the other ends; empty if it need not.
    """

    before: int
    after: int
    columns: Index
    end_rows: Index
    start_rows: Index
    time_row: Index


class Numbers:
    """Numbers of columns or rows, given out in turn."""

    def __init__(self) -> None:
        self.count = 0

    def take(self, *shape: int) -> Index:
        """Return the next numbers, in an array."""
        numbers = self.count + np.arange(int(np.prod(shape))).reshape(shape)
        self.count += numbers.size
        return numbers


def laid(
    problem: Problem,
    experiment: Experiment,
    mesh: Mesh,
    scheme: Scheme,
    own: int,
    columns: Numbers,
    rows: Numbers,
    before: Mapping[str, Spanned],
) -> ExperimentLayout:
    """Lay out one experiment or window behind those before it; ``before`` has what it shares with them."""
    nx, m, elements = len(problem.states), scheme.intervals, mesh.elements
    nodes = elements * m + 1
    later = 0 if 0 in scheme.stages and m not in scheme.stages else 1
    element = np.clip((np.arange(nodes) - later) // m, 0, elements - 1)
    states, decided, spanned = columns.take(nodes, nx), {}, {}
    for name, control in experiment.controls.items():
        if control.basis is not None:
            spanned[name] = _spanned(control, before.get(name), columns, rows)
            continue
        decided[name] = Decided.of(columns.count, elements, control.nodes(scheme))
        columns.take(decided[name].count)
    stages = scheme.nodes[list(scheme.stages)]
    own_to_stages = (*problem.algebraics, *problem.lags)
    for name in own_to_stages:  # one a stage and element: they jump where inputs do
        decided[name] = Decided.of(columns.count, elements, stages, continuous=False)
        columns.take(decided[name].count)
    numeric = [n for n, given in experiment.parameters.items() if not isinstance(given, str)]
    functions = [problem.initial_of(experiment, state).function for state in problem.states]
    determined = [i for i, function in enumerate(functions) if function is not None]
    return ExperimentLayout(
        name=experiment.name,
        mesh=mesh,
        times=nodes_of(mesh, scheme),
        states=states,
        parameters=columns.take(own),
        rows=rows.take(elements, m, nx),
        algebraic_rows=rows.take(elements, len(stages), len(own_to_stages)),
        element=element,
        place=np.arange(nodes) - element * m,
        path_rows=rows.take(len(problem.path_constraints), nodes),
        boundary_rows=rows.take(len(end_constraints(problem))),
        rate_rows={
            name: rows.take(elements)
            for name, control in experiment.controls.items()
            if control.is_rate_bounded and control.basis is None
        },
        duration_row=rows.take(0 if experiment.duration_bounds is None else 1),
        decided=decided,
        spanned=spanned,
        free_times=columns.take(2 if experiment.is_free else 0),
        bound=dict(zip(numeric, columns.take(len(numeric)).tolist(), strict=True)),
        determined=np.array(determined, dtype=int),
        initial_rows=rows.take(len(determined)),
    )


def _spanned(control: Control, before: Spanned | None, columns: Numbers, rows: Numbers) -> Spanned:
    """Number the coefficients of a control, unless it shares those of a window before."""
    assert control.basis is not None
    if control.shared and before is not None:
        return Spanned(control.basis, before.columns, rows.take(0))
    count = control.basis.size
    moves = count - 1 if control.is_rate_bounded else 0
    return Spanned(control.basis, columns.take(count), rows.take(moves))


def linked(
    problem: Problem,
    link: Link,
    parts: Sequence[ExperimentLayout],
    columns: Numbers,
    rows: Numbers,
) -> Linked:
    """Number the junction of a link and its rows."""
    names = [part.name for part in parts]
    before, after = names.index(link.before), names.index(link.after)
    count = len(problem.linked(link))
    moving = any(len(parts[n].free_times) for n in (before, after))
    return Linked(
        before=before,
        after=after,
        columns=columns.take(count),
        end_rows=rows.take(count),
        start_rows=rows.take(count),
        time_row=rows.take(1 if link.time and moving else 0),
    )


def nodes_of(mesh: Mesh, scheme: Scheme) -> Array:
    """(nodes,) times of all nodes of a mesh, element ends included."""
    inside = mesh.points[:-1, None] + mesh.steps[:, None] * scheme.nodes[None, :-1]
    return np.append(inside.ravel(), mesh.end)
