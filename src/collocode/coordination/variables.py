r"""What the batches agree on: the consensus variables, and their regulariser.

In order: the states where windows meet, the parameters of experiments that were cut into windows,
the shared parameters, the network weights.  Weights are as they are; states and parameters are in
units of a tenth of their typical size, because the misfit is about a hundred times as curved in
them, and one penalty has to serve all.

`L1` and `L2` act on each weight by itself.  Where weights vary in time, the ridge is an integral,
:math:`\lambda\frac1T\int\lVert\theta(t)\rVert^2dt = \lambda\,\theta^TM\theta` with the bases' Gram
matrices in `M`, and its proximal operator solves :math:`(I + 2\lambda s M) z = v`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from ..model.losses import L1, L2
from ..transcription.layout import Layout
from ..transcription.nlp import NLP
from .consensus import Prox
from .partition import Batch

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_FIRM = 0.1


@dataclass(frozen=True, eq=False, kw_only=True)
class ConsensusVariables:
    """Names, sizes and bounds of the consensus variables.

    Attributes
    ----------
    names : such as ``y1[run;2]`` (where windows 2 and 3 of it meet) or ``nn.W1[0,1]``.
    scale : typical sizes; consensus vectors hold values divided by these.
    lower, upper : bounds, in the problem's units.
    shared, weights : how many of the last ones are shared parameters, and then weights; these are in
        every batch.
    """

    names: tuple[str, ...]
    scale: Array
    lower: Array
    upper: Array
    shared: int
    weights: int

    @classmethod
    def of(cls, nlp: NLP, batches: Sequence[Batch]) -> ConsensusVariables:
        """List those of the batches of a problem whose whole NLP is given."""
        problem, layout = nlp.problem, nlp.layout
        names, scale, lower, upper = [], [], [], []
        for key in dict.fromkeys(s.key for batch in batches for s in batch.shared_states):
            for i, state in enumerate(problem.states):
                names.append(f"{state}[{key}]")
                scale.append(problem.state_scale[i])
                low, high = problem.bounds.get(state, (-np.inf, np.inf))
                lower.append(low)
                upper.append(high)
        columns: list[int] = []
        experiments = [e.name for e in problem.experiments]
        for label in dict.fromkeys(label for b in batches for _, label in b.shared_parameters):
            names += [f"{name}[{label}]" for name in layout.own_names]
            columns += layout.experiments[experiments.index(label)].parameters.tolist()
        names += [*layout.shared_names, *layout.weight_names]
        columns += [*layout.shared.tolist(), *layout.weights.tolist()]
        sizes = np.concatenate([scale, nlp.column_scale[columns]])
        sizes[: len(sizes) - len(layout.weights)] *= _FIRM
        return cls(
            names=tuple(names),
            scale=sizes,
            lower=np.concatenate([lower, nlp.lower[columns]]),
            upper=np.concatenate([upper, nlp.upper[columns]]),
            shared=len(layout.shared),
            weights=len(layout.weights),
        )

    def __len__(self) -> int:
        return len(self.names)

    def copies(self, batch: Batch) -> Index:
        """Which variables a batch has a copy of, in the order of `copied_columns`."""
        number = {name: k for k, name in enumerate(self.names)}
        states = batch.problem.states
        parameters = batch.problem.dynamics.parameters
        own = [name for q in parameters if q.per_experiment for name in q.names]
        wanted = [f"{state}[{s.key}]" for s in batch.shared_states for state in states]
        wanted += [f"{name}[{label}]" for _, label in batch.shared_parameters for name in own]
        every = range(len(self) - self.shared - self.weights, len(self))
        return np.array([*(number[name] for name in wanted), *every], dtype=int)

    def initial(self, nlp: NLP, batches: Sequence[Batch]) -> Array:
        """Return the consensus to begin with: the start of the whole problem's NLP."""
        layout, x, m = nlp.layout, nlp.start, nlp.scheme.intervals
        found: dict[str, float] = {}
        for batch in batches:
            for shared in batch.shared_states:
                origin, first = batch.origins[shared.experiment]
                elements = 0 if shared.node == 0 else batch.meshes[shared.experiment].elements
                columns = layout.experiments[origin].states[(first + elements) * m]
                for state, column in zip(layout.state_names, columns, strict=True):
                    found[f"{state}[{shared.key}]"] = x[column]
        for part in layout.experiments:
            for name, column in zip(layout.own_names, part.parameters, strict=True):
                found[f"{name}[{part.name}]"] = x[column]
        found |= dict(zip(layout.shared_names, x[layout.shared], strict=True))
        found |= dict(zip(layout.weight_names, x[layout.weights], strict=True))
        return np.array([found[name] for name in self.names]) / self.scale

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
        x, intervals, layout = nlp.start.copy(), nlp.scheme.intervals, nlp.layout
        for batch, point in zip(batches, points, strict=True):
            if point is None:
                continue
            here = Layout.of(batch.problem, batch.meshes, nlp.scheme)
            for part, (origin, first) in zip(here.experiments, batch.origins, strict=True):
                there = layout.experiments[origin]
                nodes = first * intervals + np.arange(len(part.times))
                x[there.states[nodes]] = point[part.states]
                x[there.parameters] = point[part.parameters]
        found = self.named(z)
        for whole in layout.experiments:
            for name, column in zip(layout.own_names, whole.parameters, strict=True):
                x[column] = found.get(f"{name}[{whole.name}]", x[column])
        values = z * self.scale
        first = len(self) - self.weights
        x[layout.shared] = values[first - self.shared : first]
        x[layout.weights] = values[first:]
        return np.clip(x, nlp.lower, nlp.upper)

    def named(self, z: Array) -> dict[str, float]:
        """Return consensus values by name, in the problem's units."""
        return dict(zip(self.names, (z * self.scale).tolist(), strict=True))

    def prox(self, regulariser: Regulariser) -> Prox:
        """Proximal operator of regulariser and bounds, variable by variable."""
        lower, upper = self.lower / self.scale, self.upper / self.scale
        first = len(self) - self.weights

        def step(v: Array, size: Array) -> Array:
            z = v.copy()
            z[first:] = regulariser.prox(v[first:], size[first:])
            return np.clip(z, lower, upper)

        return step


def copied_columns(batch: Batch, nlp: NLP) -> tuple[Index, Array]:
    """Columns of a batch's NLP that are copies of consensus variables, as in `copies`, and scales."""
    layout = nlp.layout
    states = [layout.experiments[s.experiment].states[s.node] for s in batch.shared_states]
    own = [layout.experiments[number].parameters for number, _ in batch.shared_parameters]
    empty = np.empty(0, dtype=int)
    columns = np.concatenate([empty, *states, *own, layout.shared, layout.weights]).astype(int)
    scale = nlp.column_scale[columns]
    scale[: len(scale) - len(layout.weights)] *= _FIRM
    return columns, scale


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
        """Solve (I + 2 λ s M) z = v; the step ``s`` is one number, every weight being in all batches."""
        size = float(np.max(step))
        system = sparse.identity(len(v)) + 2.0 * self.strength * size * self.matrix
        return np.asarray(spsolve(sparse.csc_matrix(system), v))


@dataclass(frozen=True, eq=False)
class ScaledL1:
    """λ Σ |s z| for variables that are in units s."""

    strength: float
    scale: Array

    def value(self, theta: Array) -> float:
        """Value of the penalty."""
        return float(self.strength * np.abs(self.scale * theta).sum())

    def prox(self, v: Array, step: Array | float) -> Array:
        """Soft threshold."""
        return np.asarray(
            np.sign(v) * np.maximum(np.abs(v) - self.strength * self.scale * step, 0.0)
        )


def consensus_regulariser(given: L1 | L2, matrix: sparse.csr_matrix, scale: Array) -> Regulariser:
    """Return the regulariser of the consensus' weights.

    Parameters
    ----------
    given : in the weights' own units.
    matrix : M, the identity for plain weights.
    scale : (weights,) units of the consensus variables.
    """
    units = sparse.diags(scale)
    scaled = sparse.csr_matrix(units @ matrix @ units)
    if not matrix.shape[0] or abs(scaled - sparse.identity(len(scale))).max() == 0.0:
        return given
    if isinstance(given, L1):
        return ScaledL1(given.strength, scale)
    return IntegralL2(given.strength, scaled)
