r"""What the batches agree on: the consensus variables, and their regulariser.

In order: the states where windows meet, the parameters of experiments that were cut into windows,
the shared parameters, the network weights.  Weights are as they are; states and parameters are in
units of a tenth of their typical size, because the misfit is about a hundred times as curved in
them, and one penalty has to serve all.

`L1` and `L2` act on each weight by itself.  Where weights vary in time, the ridge is an integral,
:math:`\lambda\frac1T\int\lVert\theta(t)\rVert^2dt = \lambda\,\theta^TM\theta` with the bases' Gram
matrices in `M`, and its proximal operator solves :math:`(I + 2\lambda\,\mathrm{diag}(s) M) z = v`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from ..errors import InputError
from ..model.losses import L1, L2
from ..numerics import Array, Index
from ..transcription.layout import Layout
from ..transcription.nlp import NLP
from ..transcription.windows import ExperimentLayout
from .consensus import Prox
from .partition import FIRST, Batch

_FIRM = 0.1


@dataclass(frozen=True, eq=False, kw_only=True)
class ConsensusVariables:
    """Names, sizes and bounds of the consensus variables.

    Attributes
    ----------
    names : such as ``y1[run;2]`` (where windows 2 and 3 of it meet) or ``nn.W1[0,1]``.
    columns : where they are in the whole problem's NLP.
    scale : typical sizes; consensus vectors hold values divided by these.
    lower, upper : bounds, in the problem's units.
    states : how many of the first ones are states.
    shared, weights : how many of the last ones are shared parameters, and then weights; these are in
        every batch.
    """

    names: tuple[str, ...]
    columns: Index
    scale: Array
    lower: Array
    upper: Array
    states: int
    shared: int
    weights: int

    @classmethod
    def of(cls, nlp: NLP, batches: Sequence[Batch]) -> ConsensusVariables:
        """List those of the batches of a problem whose whole NLP is given."""
        layout, m, found = nlp.layout, nlp.scheme.intervals, dict[str, int]()
        for batch in batches:
            for shared in batch.shared_states:
                origin, first = batch.origins[shared.experiment]
                after = 0 if shared.node == FIRST else batch.meshes[shared.experiment].elements
                row = layout.experiments[origin].states[(first + after) * m]
                names = (f"{state}[{shared.key}]" for state in layout.state_names)
                found |= dict(zip(names, row.tolist(), strict=True))
        states = len(found)
        own = {part.name: part.parameters for part in layout.experiments}
        for label in dict.fromkeys(label for b in batches for _, label in b.shared_parameters):
            names = (f"{name}[{label}]" for name in layout.own_names)
            found |= dict(zip(names, own[label].tolist(), strict=True))
        found |= dict(zip(layout.shared_names, layout.shared.tolist(), strict=True))
        found |= dict(zip(layout.weight_names, layout.weights.tolist(), strict=True))
        columns = np.array(list(found.values()), dtype=int)
        return cls(
            names=tuple(found),
            columns=columns,
            scale=_units(nlp, columns, states),
            lower=nlp.lower[columns],
            upper=nlp.upper[columns],
            states=states,
            shared=len(layout.shared),
            weights=len(layout.weights),
        )

    def __len__(self) -> int:
        return len(self.names)

    def copies(self, batch: Batch) -> Index:
        """Which variables a batch has a copy of, in the order of `copied_columns`."""
        number = {name: k for k, name in enumerate(self.names)}
        parameters = batch.problem.all_parameters
        own = [name for q in parameters if q.per_experiment for name in q.names]
        wanted = [f"{x}[{s.key}]" for s in batch.shared_states for x in batch.problem.states]
        wanted += [f"{name}[{label}]" for _, label in batch.shared_parameters for name in own]
        every = range(len(self) - self.shared - self.weights, len(self))
        return np.array([*(number[name] for name in wanted), *every], dtype=int)

    def initial(self, nlp: NLP) -> Array:
        """Return the consensus to begin with: the start of the whole problem's NLP."""
        return np.asarray(nlp.start[self.columns] / self.scale)

    def assembled(
        self, nlp: NLP, batches: Sequence[Batch], z: Array, points: Sequence[Array | None]
    ) -> Array:
        """Return the whole problem's variables: states of the batches, parameters of the consensus.

        Parameters
        ----------
        nlp, batches : the whole problem's, and what it was cut into.
        z : consensus.
        points : per batch the variables of its NLP; None leaves the start of ``nlp``.
        """
        x = nlp.start.copy()
        for batch, point in zip(batches, points, strict=True):
            if point is None:
                continue
            here = Layout.of(batch.problem, batch.meshes, nlp.scheme)
            for part, nodes, there in self._places(nlp, batch, here):
                x[there.states[nodes]] = point[part.states]
                x[there.parameters] = point[part.parameters]
                x[there.decisions] = point[part.decisions]
        x[self.columns[self.states :]] = (z * self.scale)[self.states :]
        return np.clip(x, nlp.lower, nlp.upper)

    def restricted(self, nlp: NLP, batch: Batch) -> tuple[Array, int]:
        """Return a batch's variables at the start of the whole problem's NLP, and its number of rows."""
        here = Layout.of(batch.problem, batch.meshes, nlp.scheme)
        x = np.zeros(here.columns)
        for part, nodes, there in self._places(nlp, batch, here):
            x[part.states] = nlp.start[there.states[nodes]]
            x[part.parameters] = nlp.start[there.parameters]
            x[part.decisions] = nlp.start[there.decisions]
            x[list(part.bound.values())] = nlp.start[[there.bound[name] for name in part.bound]]
        x[here.shared], x[here.weights] = (
            nlp.start[nlp.layout.shared], nlp.start[nlp.layout.weights],
        )  # fmt: skip
        return x, here.rows

    def multipliers(
        self, nlp: NLP, batches: Sequence[Batch], found: Sequence[tuple[Array, Array]], net: Array
    ) -> tuple[Array, Array]:
        """Return the whole problem's multipliers of rows and bounds, where the batches' rows are its own.

        Parameters
        ----------
        nlp, batches, found : the whole problem's, what it was cut into, and multipliers of these.
        net : multipliers of the bounds of the scaled consensus.
        """
        lam_g, lam_x = np.zeros(nlp.rows), np.zeros(nlp.columns)
        for batch, (rows, bounds) in zip(batches, found, strict=True):
            here = Layout.of(batch.problem, batch.meshes, nlp.scheme)
            for (part, nodes, there), (_, first) in zip(
                self._places(nlp, batch, here), batch.origins, strict=True
            ):
                lam_g[there.rows[first : first + len(part.rows)]] = rows[part.rows]
                if first == 0:
                    lam_g[there.initial_rows] = rows[part.initial_rows]
                lam_x[there.states[nodes]] += bounds[part.states]
                lam_x[there.parameters] += bounds[part.parameters]
        lam_x[self.columns] += net / self.scale
        return lam_g, lam_x

    def _places(
        self, nlp: NLP, batch: Batch, here: Layout
    ) -> Iterator[tuple[ExperimentLayout, Index, ExperimentLayout]]:
        """A batch's experiments, which nodes of the whole problem's they are, and these."""
        for part, (origin, first) in zip(here.experiments, batch.origins, strict=True):
            nodes = first * nlp.scheme.intervals + np.arange(len(part.times))
            yield part, nodes, nlp.layout.experiments[origin]

    def named(self, z: Array) -> dict[str, float]:
        """Return consensus values by name, in the problem's units."""
        return dict(zip(self.names, (z * self.scale).tolist(), strict=True))

    def penalty(self, regulariser: Regulariser, z: Array) -> float:
        """Value of the regulariser of the weights in ``z``."""
        first = len(self) - self.weights
        return regulariser.value((z * self.scale)[first:])

    def ridge(self, regulariser: Regulariser) -> Array:
        """(n, n) Hessian of a quadratic regulariser.

        Raises
        ------
        InputError
            One that has kinks.
        """
        if isinstance(regulariser, L1):
            raise InputError(
                "L1 has kinks, which NewtonRules cannot take; give rules=ADMMRules() or an L2."
            )
        first = len(self) - self.weights
        matrix = np.zeros((len(self), len(self)))
        given = (
            regulariser.matrix.toarray()
            if isinstance(regulariser, IntegralL2)
            else np.eye(self.weights)
        )
        units = self.scale[first:]
        matrix[first:, first:] = 2.0 * regulariser.strength * units[:, None] * given * units
        return matrix

    def prox(self, regulariser: Regulariser) -> Prox:
        """Proximal operator of regulariser and bounds, variable by variable."""
        lower, upper = self.lower / self.scale, self.upper / self.scale
        first = len(self) - self.weights
        units = self.scale[first:]

        def step(v: Array, size: Array) -> Array:
            z = v.copy()
            z[first:] = regulariser.prox(units * v[first:], units**2 * size[first:]) / units
            return np.clip(z, lower, upper)

        return step


def copied_columns(batch: Batch, nlp: NLP) -> tuple[Index, Array]:
    """Columns of a batch's NLP that are copies of consensus variables, as in `copies`, and scales."""
    layout = nlp.layout
    states = [layout.experiments[s.experiment].states[s.node] for s in batch.shared_states]
    own = [layout.experiments[number].parameters for number, _ in batch.shared_parameters]
    empty = np.empty(0, dtype=int)
    columns = np.concatenate([empty, *states, *own, layout.shared, layout.weights]).astype(int)
    return columns, _units(nlp, columns, sum(map(len, states)))


def _units(nlp: NLP, columns: Index, states: int) -> Array:
    """Typical sizes of columns of which the first are the states of nodes; the same in all batches."""
    nodes = states // len(nlp.problem.states)
    of_states = np.tile(nlp.problem.state_scale, nodes)
    scale = np.concatenate([of_states, nlp.column_scale[columns[states:]]])
    scale[: len(scale) - len(nlp.layout.weights)] *= _FIRM
    return scale


# ---- the regulariser ------------------------------------------------------------------------------


class Regulariser(Protocol):
    """What the consensus step asks for."""

    @property
    def strength(self) -> float:
        """λ."""

    def value(self, theta: Array) -> float:
        """r(θ)."""

    def prox(self, v: Array, step: Array | float) -> Array:
        """Minimise r(z) + Σ (z - v)²/(2 step)."""


@dataclass(frozen=True, eq=False)
class IntegralL2:
    """λ θᵀ M θ with a symmetric positive semidefinite matrix M."""

    strength: float
    matrix: sparse.csr_matrix

    def value(self, theta: Array) -> float:
        """Value of the penalty."""
        return float(self.strength * (theta @ (self.matrix @ theta)))

    def prox(self, v: Array, step: Array | float) -> Array:
        """Solve (I + 2 λ diag(step) M) z = v."""
        steps = sparse.diags(np.broadcast_to(step, v.shape))
        system = sparse.identity(len(v)) + 2.0 * self.strength * steps @ self.matrix
        return np.asarray(spsolve(sparse.csc_matrix(system), v))


def consensus_regulariser(given: L1 | L2, matrix: sparse.csr_matrix) -> Regulariser:
    """Return the regulariser of weights whose mean square has the matrix M, often the identity."""
    if isinstance(given, L1) or not matrix.shape[0]:
        return given
    plain = abs(matrix - sparse.identity(matrix.shape[0])).max() == 0.0
    return given if plain else IntegralL2(given.strength, matrix)
