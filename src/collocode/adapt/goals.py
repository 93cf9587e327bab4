r"""Goals: the numbers whose discretization error is to be estimated.

=========================== ======================================================= =============
goal                        what it is                                              as a text
=========================== ======================================================= =============
`ObjectiveValue`            the NLP's objective (the default)                       ``objective``
`SimulatedMisfit`           misfit of the trained model's own trajectories          ``simulated``
`StateAt`                   a state at a time                                       ``state:y1@7.5``
`Integral`                  :math:`\int g(t,x,u,p)\,dt` along a trajectory          ``integral:y1``
`ParameterValue`            an estimated parameter                                  ``parameter:mu``
`Lagrange`, `Mayer`         a cost, the problem's own or another
=========================== ======================================================= =============

A goal knows its value at the discrete solution, its gradient by the NLP's columns, and by how much
it changes in each element if the exact trajectory takes the place of the interpolant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..checks import apart, listed
from ..errors import InputError
from ..model.costs import Cost
from ..model.parameters import Parameter
from ..numerics import Array
from ..results.resolved import resolved
from ..transcription.nlp import NLP
from .cost_goal import CostValue
from .elements import Elements, number_of
from .integral import Integral
from .reconstruction import Reconstruction


class Goal(Protocol):
    """What an estimate asks of a goal."""

    def check(self, nlp: NLP) -> None:
        """Raise `InputError` if the goal names what the problem does not have."""

    def value(self, elements: Elements) -> float:
        """Value at the discrete solution."""

    def gradient(self, elements: Elements) -> Array:
        """(columns,) derivative by the NLP's variables."""

    def defect(self, better: Reconstruction) -> Array:
        """(E,) goal of the exact trajectory minus that of its interpolant."""


@dataclass(frozen=True)
class ObjectiveValue:
    """The objective of the NLP: misfit, priors and regularisation at the optimum."""

    def __str__(self) -> str:
        return "objective"

    def check(self, nlp: NLP) -> None:
        """Every NLP has one."""


@dataclass(frozen=True)
class SimulatedMisfit:
    """The misfit of the trained model's exact trajectories, its numbers held fixed.

    Its error is what the fit gains by following its own numerical errors: the difference of
    simulated and collocated misfit.
    """

    def __str__(self) -> str:
        return "simulated misfit"

    def check(self, nlp: NLP) -> None:
        """Every NLP has one."""


@dataclass(frozen=True)
class StateAt:
    """A state at a time.

    Parameters
    ----------
    state : its name.
    time : within the experiment's mesh.
    experiment : name or number.
    """

    state: str
    time: float
    experiment: int | str = 0

    def __str__(self) -> str:
        return f"{self.state} at {self.time:.12g}"

    def check(self, nlp: NLP) -> None:
        """Refuse unknown states and times outside the horizon."""
        if self.state not in nlp.problem.states:
            raise InputError(
                f"the goal names state {self.state!r}; the states are: {listed(nlp.problem.states)}."
            )
        mesh = nlp.layout.experiments[number_of(nlp, self.experiment)].mesh
        if not mesh.start <= self.time <= mesh.end:
            told = apart(self.time, mesh.start, mesh.end, digits=12)
            raise InputError(
                f"the goal asks for t = {told[0]}, outside the horizon "
                f"[{told[1]}, {told[2]}]; choose a time within it."
            )

    def _place(self, e: Elements) -> tuple[int, Array, int]:
        number = number_of(e.nlp, self.experiment)
        element, tau = resolved(e.nlp, e.x, number)[1].locate(self.time)
        column = e.nlp.problem.states.index(self.state)
        return int(element[0] + e.first[number]), tau, column

    def value(self, elements: Elements) -> float:
        """x_h(t)."""
        element, tau, i = self._place(elements)
        weights = elements.nlp.scheme.interpolation(tau)[0]
        return float(weights @ elements.states[element, :, i])

    def gradient(self, elements: Elements) -> Array:
        """Lagrange polynomials at the element's nodes."""
        element, tau, i = self._place(elements)
        found = np.zeros(elements.nlp.columns)
        found[elements.columns[element, :, i]] = elements.nlp.scheme.interpolation(tau)[0]
        return found

    def defect(self, better: Reconstruction) -> Array:
        """Interpolation error at t."""
        e = better.elements
        element, tau, i = self._place(e)
        exact = better.states[element, :, i]
        weights = better.at(tau)[0] - e.nlp.scheme.interpolation(tau)[0] @ better.at(
            e.nlp.scheme.nodes
        )
        found = np.zeros(len(e))
        found[element] = weights @ exact
        return found


@dataclass(frozen=True)
class ParameterValue:
    """An estimated physical parameter.

    Parameters
    ----------
    name : of the parameter.
    experiment : whose, if every experiment has one of its own.
    """

    name: str
    experiment: int | str = 0

    def __str__(self) -> str:
        return f"parameter {self.name}"

    def check(self, nlp: NLP) -> None:
        """Refuse unknown and fixed parameters."""
        known = nlp.problem.coefficient_names
        if self.name not in known:
            raise InputError(f"the goal names parameter {self.name!r}; there are: {listed(known)}.")
        column = self._column(nlp)
        if nlp.lower[column] == nlp.upper[column]:
            raise InputError(f"parameter {self.name!r} is fixed and has no error; free its bounds.")

    def _column(self, nlp: NLP) -> int:
        number = number_of(nlp, self.experiment)
        return int(nlp.layout.parameter_columns(number, [self.name])[0])

    def value(self, elements: Elements) -> float:
        """The estimate, in natural units."""
        decided = ColumnValue(self._column(elements.nlp)).value(elements)
        return float(self._parameter(elements).natural(decided))

    def gradient(self, elements: Elements) -> Array:
        """A unit vector times the slope of its scale."""
        column = ColumnValue(self._column(elements.nlp))
        slope = self._parameter(elements).slope(column.value(elements))
        return column.gradient(elements) * float(slope)

    def _parameter(self, elements: Elements) -> Parameter:
        known = elements.nlp.problem.all_parameters
        return next(q for q in known if self.name in q.names)

    def defect(self, better: Reconstruction) -> Array:
        """Zero: no element has a part in it."""
        return np.zeros(len(better.elements))


@dataclass(frozen=True)
class ColumnValue:
    """Any variable of the NLP, by its number."""

    column: int

    def __str__(self) -> str:
        return f"column {self.column}"

    def check(self, nlp: NLP) -> None:
        """Refuse numbers that are none."""
        if not 0 <= self.column < nlp.columns:
            raise InputError(f"the goal names column {self.column}; there are {nlp.columns}.")

    def value(self, elements: Elements) -> float:
        """The variable."""
        return float(elements.x[self.column])

    def gradient(self, elements: Elements) -> Array:
        """A unit vector."""
        found = np.zeros(elements.nlp.columns)
        found[self.column] = 1.0
        return found

    def defect(self, better: Reconstruction) -> Array:
        """Zero: nodes are points of every trajectory."""
        return np.zeros(len(better.elements))


AnyGoal = ObjectiveValue | SimulatedMisfit | Goal


def goal_of(text: AnyGoal | Cost | str) -> AnyGoal:
    """Return the goal that a text or a cost stands for; see the table of this module.

    An experiment may follow: ``state:y1@7.5,run 2``.

    Raises
    ------
    InputError
        The text names no goal.

    Examples
    --------
    >>> goal_of("state:y1@7.5"), goal_of("parameter:mu,run 2")
    (StateAt(state='y1', time=7.5, experiment=0), ParameterValue(name='mu', experiment='run 2'))
    """
    if isinstance(text, Cost):
        return CostValue(text)
    if not isinstance(text, str):
        return text
    kind, _, rest = text.partition(":")
    what, comma, name = rest.partition(",")
    experiment: int | str = name.strip() if comma else 0
    what = what.strip()
    simple: dict[str, AnyGoal] = {"objective": ObjectiveValue(), "simulated": SimulatedMisfit()}
    if kind in simple and not rest:
        return simple[kind]
    if kind == "parameter" and what:
        return ParameterValue(what, experiment)
    if kind == "integral" and what:
        return Integral(lambda t, x, u, p: x[what], experiment, f"integral of {what}")
    if kind == "state" and "@" in what:
        state, _, time = what.rpartition("@")
        try:
            return StateAt(state.strip(), float(time), experiment)
        except ValueError:
            pass
    raise InputError(
        f"unknown goal {text!r}; choose objective, simulated, parameter:NAME, state:NAME@TIME or "
        "integral:NAME."
    )
