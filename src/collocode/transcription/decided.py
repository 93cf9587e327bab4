r"""Inputs and times that are decided, and algebraic variables, as the points of terms see them.

In an element a decided input or an algebraic variable is the polynomial through its unknowns,
:math:`u(\tau)=\sum_jw_j(\tau)U_{e,j}`; a point that is the place of an unknown sees that one alone.
One that is a function of a basis, :math:`u(t)=\sum_jc_j\varphi_j(t)`, has the functions that are alive at a
point of the mesh.
A window with free times keeps its mesh; with :math:`r=(t_f-t_0)/(\hat t_f-\hat t_0)`, the hats
marking the mesh's own times, a point of it lies at :math:`t=t_0+r(\hat t-\hat t_0)` and a step is
:math:`r\hat h`.

Where an event has an estimated time T, points near it move along, :math:`t=\hat t+\lambda(\hat
t)(T-T_0)`, and steps are longer by the slope of that.

Windows that decide the same have terms of the same form; they are a group.  The experiments of a
problem that only identifies are one group, in which nothing is decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import casadi as ca
import numpy as np

from ..model.problem import Problem
from ..model.symbolic import Symbols, named_parameters
from ..numerics import Array, Index, Mask
from ..numerics.scheme import lagrange_matrix
from .windows import ExperimentLayout


@dataclass(frozen=True)
class Group:
    """Windows that decide the same inputs in the same way, and whose times are free or are not.

    Attributes
    ----------
    numbers : of the windows.
    suffix : of the names of the group's parameter blocks, empty for the first group.
    """

    numbers: tuple[int, ...]
    suffix: str

    def named(self, block: str) -> str:
        """Name of a parameter block of the group."""
        return block + self.suffix


def groups_of(problem: Problem) -> tuple[Group, ...]:
    """Return the groups of a problem's windows; one, if it only identifies."""
    found: dict[Any, list[int]] = {}
    for number, e in enumerate(problem.experiments):
        decided = tuple(
            (name, e.controls[name].kind) for name in problem.inputs if name in e.controls
        )
        found.setdefault((decided, e.is_free), []).append(number)
    return tuple(
        Group(tuple(numbers), f".{k}" if k else "") for k, numbers in enumerate(found.values())
    )


@dataclass(frozen=True, eq=False)
class Place:
    """Points of one experiment.

    Attributes
    ----------
    experiment : its number.
    times : (points,) by its mesh.
    left : which of them end a piece at a jump.
    element, tau : (points,) element and place in it; None where no input is looked at.
    """

    experiment: int
    times: Array
    left: bool | Mask = False
    element: Index | None = None
    tau: Array | None = None


def times_of(places: Sequence[Place]) -> Array:
    """(points, 1) times."""
    return np.concatenate([p.times for p in places])[:, None]


@dataclass(frozen=True, eq=False)
class Decisions:
    """Decided inputs and times at the points of a term.

    Attributes
    ----------
    own, own_columns : symbols that differ from point to point, and their (points, own) columns.
    data, constants : symbols of what is known of the points, and these as (points, entries) tables.
    symbols, values : of the model's functions, and what they are in terms of ``own`` and ``data``.
    stretch : r, by which a step of the mesh is longer.
    """

    own: list[ca.SX]
    own_columns: list[Index]
    data: list[ca.SX]
    constants: list[Array]
    symbols: list[ca.SX]
    values: list[ca.SX]
    stretch: ca.SX

    @classmethod
    def of(
        cls,
        problem: Problem,
        parts: Sequence[ExperimentLayout],
        s: Symbols,
        places: Sequence[Place],
    ) -> Decisions:
        """Gather them; all places are of one group."""
        found = cls([], [], [], [], [], [], ca.SX(1))
        if all(p.element is not None for p in places):
            for name in parts[0].decided:
                found._add_input(name, s.u[problem.carried.index(name)], parts, places)
            for name in parts[0].spanned:
                found._add_function(name, s.u[problem.carried.index(name)], parts, places)
        if len(parts[0].free_times):
            return found._with_times(s, parts, places)
        if any(e.placed for e in problem.experiments):
            return found._with_boundaries(problem, s, parts, places)
        return found

    def _add_input(
        self, name: str, symbol: ca.SX, parts: Sequence[ExperimentLayout], places: Sequence[Place]
    ) -> None:
        known = [part.decided[name] for part in parts]
        pairs = list(zip(known, places, strict=True))
        columns = np.vstack([d.columns[p.element] for d, p in pairs])
        taus = [np.empty(0) if p.tau is None else p.tau for p in places]
        weights = np.vstack([lagrange_matrix(d.nodes, t) for d, t in zip(known, taus, strict=True)])
        self.symbols.append(symbol)
        if ((weights == 0.0) | (weights == 1.0)).all():
            unknown = ca.SX.sym(name)
            self.own_columns.append(
                np.take_along_axis(columns, weights.argmax(axis=1)[:, None], axis=1)
            )
            self.values.append(unknown)
        else:
            unknown, w = (ca.SX.sym(f"{name}{k}", columns.shape[1]) for k in "uw")
            self.own_columns.append(columns)
            self.values.append(ca.dot(unknown, w))
            self.data.append(w)
            self.constants.append(weights)
        self.own.append(unknown)

    def _add_function(
        self, name: str, symbol: ca.SX, parts: Sequence[ExperimentLayout], places: Sequence[Place]
    ) -> None:
        tables = []
        for part, place in zip(parts, places, strict=True):
            known = part.spanned[name]
            alive, phi = known.basis.active(place.times, place.left)
            tables.append((known.columns[alive], phi))
        columns = np.vstack([numbers for numbers, _ in tables])
        values = np.vstack([phi for _, phi in tables])
        unknown, w = (ca.SX.sym(f"{name}{k}", columns.shape[1]) for k in "cw")
        self.symbols.append(symbol)
        self.own.append(unknown)
        self.own_columns.append(columns)
        self.values.append(ca.dot(unknown, w))
        self.data.append(w)
        self.constants.append(values)

    def _with_boundaries(
        self,
        problem: Problem,
        s: Symbols,
        parts: Sequence[ExperimentLayout],
        places: Sequence[Place],
    ) -> Decisions:
        """Points and steps that move along with estimated times of events, see `Boundary`."""
        time, stretch = s.t, ca.SX(1)
        data, constants = [*self.data], [*self.constants]
        for name in dict.fromkeys(n for e in problem.experiments for n in e.placed):
            rows = []
            for part, place in zip(parts, places, strict=True):
                experiment = problem.experiments[place.experiment]
                table = np.zeros((len(place.times), 3))
                for b in problem.boundaries(experiment):
                    if b.parameter == name:
                        table[:, 0], table[:, 2] = b.share(place.times), b.at
                        if place.element is not None:
                            ends = b.share(part.mesh.points)
                            slopes = np.diff(ends) / part.mesh.steps
                            table[:, 1] = slopes[place.element]
                rows.append(table)
            known = ca.SX.sym(name, 3)
            later = named_parameters(problem, s)[name] - known[2]
            time, stretch = time + known[0] * later, stretch + known[1] * later
            data.append(known)
            constants.append(np.vstack(rows))
        return replace(
            self,
            data=data,
            constants=constants,
            symbols=[*self.symbols, s.t],
            values=[*self.values, time],
            stretch=stretch,
        )

    def _with_times(
        self, s: Symbols, parts: Sequence[ExperimentLayout], places: Sequence[Place]
    ) -> Decisions:
        start, end, first, share = (ca.SX.sym(n) for n in ("t0", "tf", "first", "share"))
        table = []
        for part, place in zip(parts, places, strict=True):
            mesh, count = part.mesh, len(place.times)
            known = [mesh.start, 1.0 / (mesh.end - mesh.start)]
            table.append((np.tile(part.free_times, (count, 1)), np.tile(known, (count, 1))))
        stretch = (end - start) * share
        return Decisions(
            [*self.own, start, end],
            [*self.own_columns, np.vstack([columns for columns, _ in table])],
            [*self.data, first, share],
            [*self.constants, np.vstack([known for _, known in table])],
            [*self.symbols, s.t],
            [*self.values, start + (s.t - first) * stretch],
            stretch,
        )
