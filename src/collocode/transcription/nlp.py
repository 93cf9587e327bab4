"""`NLP`: a discretized identification problem, a `Program` that knows where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ..model.misfit import costs_of_data, deviations_of
from ..model.problem import Problem
from ..numerics import Array
from ..numerics.scheme import Scheme
from .assembly import assemble
from .functions import Functions
from .initial import put_initial
from .layout import Layout
from .program import Program
from .samples import prediction_term


@dataclass(frozen=True, kw_only=True)
class StartRecord:
    """Where a start came from; see `collocode.start_from`.

    Attributes
    ----------
    name : of the strategy that was used.
    merits : of every candidate that evaluates, the objective after one Picard sweep; lower is better.
    passed : why the others were passed over, by name.
    interrupted : whether Ctrl-C ended it.
    rivals : parameters of other optima that explain the data as well, by name and in natural units.
    """

    name: str
    merits: Mapping[str, float] = field(default_factory=dict)
    passed: Mapping[str, str] = field(default_factory=dict)
    interrupted: bool = False
    rivals: Sequence[Mapping[str, float]] = ()


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class NLP(Program):
    """A `Problem` on a mesh by a scheme; see `Program` for all that solvers look at.

    Attributes
    ----------
    problem, scheme, layout : where it came from, and which column and row is what.
    parameters : among them ``measurements``, ``weights`` and ``regularisation``.
    start_record : where the start came from, if a start strategy made it.
    """

    problem: Problem
    scheme: Scheme
    layout: Layout
    start_record: StartRecord | None = None

    def with_start(self, start: ArrayLike) -> Self:
        """Return the program with another starting point, which no strategy made."""
        return replace(super().with_start(start), start_record=None)

    def __repr__(self) -> str:
        strength = f", λ={self.strength:.2g}" if self.strength is not None else ""
        return (
            f"NLP({self.problem.name!r}, {self.scheme}, elements={self.elements}, "
            f"variables={self.columns}, constraints={self.rows}{strength})"
        )

    @property
    def strength(self) -> float | None:
        """λ of the penalty on the weights, as it stands among the parameters; None without weights."""
        if not len(self.layout.weights):
            return None
        return float(self.parameters["regularisation"][0])

    @property
    def elements(self) -> int:
        """Number of elements of all experiments."""
        return sum(part.mesh.elements for part in self.layout.experiments)

    def with_initial(self, x: Array) -> Array:
        """Return ``x`` with the initial states that its parameters give."""
        return put_initial(self.problem, self.terms, self.layout, x, self.p)

    def predictions(self, x: ArrayLike) -> tuple[Array, sparse.csc_matrix]:
        """Return model outputs at the measured samples and their Jacobian.

        Returns
        -------
        (samples, outputs) values h(x_h(t_i)), experiment after experiment, and the
        (samples * outputs, columns) sparse Jacobian.
        """
        return self._predicted(x, "predictions", False)

    def spreads(self, x: ArrayLike) -> tuple[Array, sparse.csc_matrix]:
        """Return the same of σ as a likelihood's model says it; 0 where the data tell it."""
        return self._predicted(x, "spreads", True)

    def sigma(self, x: ArrayLike) -> Array:
        """(samples, outputs) σ of every measurement at a point, given or said by a model."""
        known = self.parameters["sigma"]
        return known if (known > 0.0).all() else np.where(known > 0.0, known, self.spreads(x)[0])

    def deviations(self, x: ArrayLike) -> Array:
        """(samples, outputs) standard deviations of the data, in their units, at a point."""
        if not self.problem.loss.likelihood:
            return self.parameters["sigma"]
        h = self.predictions(x)[0]
        return deviations_of(self.problem.loss, self.problem.outputs, h, self.sigma(x))

    def costs(self, x: ArrayLike, predicted: Array) -> Array:
        """(samples, outputs) what the data cost where this is predicted, before their weights."""
        y, sigma = self.parameters["measurements"], self.sigma(x)
        censored = self.parameters.get("censored", np.zeros(y.shape))
        return costs_of_data(self.problem, predicted, y, sigma, censored)

    def _predicted(self, x: ArrayLike, name: str, spread: bool) -> tuple[Array, sparse.csc_matrix]:
        made_from = (self.problem, self.layout, self.scheme)
        functions = self.cache(name, lambda: self._prediction_functions(spread), *made_from)
        value, jacobian = functions.jacobian(x, self.p)
        outputs = len(self.problem.outputs)
        return np.asarray(value, dtype=float).reshape(-1, outputs), jacobian.sparse()

    def _prediction_functions(self, spread: bool) -> Functions:
        term = prediction_term(self.problem, self.layout, self.scheme, self.parameters, spread)
        rows = term.points * len(self.problem.outputs)
        return assemble([term], sparse.csr_matrix((rows, self.columns)), len(self.p))
