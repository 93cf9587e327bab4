"""The goal that is a cost: a `Lagrange` or `Mayer` object, one of the problem's own or another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from ..errors import InputError
from ..model.costs import Cost, Lagrange, Mayer
from ..numerics import Array
from ..transcription.nlp import NLP
from .elements import Elements
from .integral import Integral, goal_function
from .reconstruction import Reconstruction


@dataclass(frozen=True)
class CostValue:
    """A cost, with its weight, summed over the windows that bear it.

    Parameters
    ----------
    cost : `Lagrange` or `Mayer`.
    """

    cost: Cost

    def __str__(self) -> str:
        return f"cost {self.cost.name}"

    def check(self, nlp: NLP) -> None:
        """Refuse windows that there are not, and functions that fail."""
        names = [part.name for part in nlp.layout.experiments]
        absent = [name for name in self.cost.windows if name not in names]
        if absent:
            raise InputError(
                f"the goal, cost {self.cost.name!r}, names window {absent[0]!r}; there are: "
                f"{', '.join(names)}."
            )
        for part in self._parts(nlp):
            part.check(nlp)

    def _parts(self, nlp: NLP) -> list[Integral | _AtEnd]:
        numbers = [k for k, e in enumerate(nlp.layout.experiments) if self.cost.borne_by(e.name)]
        if isinstance(self.cost, Lagrange):
            return [_CostIntegral(self.cost.function, k, self.cost.name) for k in numbers]
        assert isinstance(self.cost, Mayer)
        return [_AtEnd(self.cost.function, k, self.cost.at == "end") for k in numbers]

    def value(self, elements: Elements) -> float:
        """Its value at the discrete solution; an integral is that of the interpolant."""
        return self.cost.weight * sum(part.value(elements) for part in self._parts(elements.nlp))

    def gradient(self, elements: Elements) -> Array:
        """By states and parameters."""
        parts = [part.gradient(elements) for part in self._parts(elements.nlp)]
        return np.asarray(self.cost.weight * np.sum(parts, axis=0))

    def defect(self, better: Reconstruction) -> Array:
        """Of the exact trajectory minus of its interpolant."""
        parts = [part.defect(better) for part in self._parts(better.elements.nlp)]
        return np.asarray(self.cost.weight * np.sum(parts, axis=0))


class _CostIntegral(Integral):
    """An integral whose function knows networks, as that of a cost does."""

    def _integrand(self) -> Callable[..., Any]:
        return self.function


@dataclass(frozen=True)
class _AtEnd:
    """A function ``M(t, x, u, p, nn)`` at one end of a window."""

    function: Callable[..., Any]
    number: int
    last: bool

    def check(self, nlp: NLP) -> None:
        """Refuse functions that fail."""
        self._function(nlp)

    def _function(self, nlp: NLP) -> ca.Function:
        return goal_function(nlp, self.function, "a goal at an end")

    def _values(self, e: Elements) -> tuple[Any, list[Array]]:
        """Columns of the states there; M and its gradients by x and by p, (1, entries) each."""
        element = int(e.first[self.number + 1] - 1 if self.last else e.first[self.number])
        tau, node = np.array([float(self.last)]), -1 if self.last else 0
        u = e.inputs(tau)[element]
        found = e.call(
            self._function(e.nlp), np.array([element]), tau, e.states[element, node][None], u
        )
        return (e.columns[element, node], e.parameter_columns[element]), found

    def value(self, e: Elements) -> float:
        """M at the discrete solution."""
        return float(self._values(e)[1][0][0, 0])

    def gradient(self, e: Elements) -> Array:
        """By the states there, and by parameters."""
        columns, (_, by_x, by_p) = self._values(e)
        found = np.zeros(e.nlp.columns)
        for where, slope in zip(columns, (by_x, by_p), strict=True):
            np.add.at(found, where, slope[0])
        return found

    def defect(self, better: Reconstruction) -> Array:
        """Zero: nodes are points of every trajectory."""
        return np.zeros(len(better.elements))
