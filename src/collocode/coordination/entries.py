"""What the batches agree on: the entries of the consensus vector.

In order: the states where windows meet, the parameters of experiments that were cut into windows,
the shared parameters, the network weights.  Weights are as they are; states and parameters are in
units of a tenth of their typical size, because the misfit is about a hundred times as curved in
them, and one penalty has to serve all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..transcription.nlp import NLP
from .batches import Batch

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_FIRM = 0.1


@dataclass(frozen=True, eq=False)
class Entries:
    """Names, sizes and bounds of the consensus entries.

    Attributes
    ----------
    names : one an entry, such as ``y1[run;2]`` (where windows 2 and 3 of it meet) or ``nn.W1[0,1]``.
    scale : typical sizes; consensus vectors hold values divided by these.
    lower, upper : bounds, in the problem's units.
    common : how many of the last ones every batch has: shared parameters and weights.
    """

    names: tuple[str, ...]
    scale: Array
    lower: Array
    upper: Array
    common: int

    @classmethod
    def of(cls, nlp: NLP, batches: Sequence[Batch]) -> Entries:
        """List the entries of the batches of a problem whose whole NLP is given."""
        problem, layout = nlp.problem, nlp.layout
        names, scale, lower, upper = [], [], [], []
        for key in dict.fromkeys(link.key for batch in batches for link in batch.links):
            for i, state in enumerate(problem.states):
                names.append(f"{state}[{key}]")
                scale.append(problem.state_scale[i])
                low, high = problem.bounds.get(state, (-np.inf, np.inf))
                lower.append(low)
                upper.append(high)
        columns: list[int] = []
        experiments = [e.name for e in problem.experiments]
        for label in dict.fromkeys(label for batch in batches for _, label in batch.own):
            names += [f"{name}[{label}]" for name in layout.own_names]
            columns += layout.experiments[experiments.index(label)].parameters.tolist()
        names += [*layout.shared_names, *layout.weight_names]
        columns += [*layout.shared.tolist(), *layout.weights.tolist()]
        sizes = np.concatenate([scale, nlp.column_scale[columns]])
        sizes[: len(sizes) - len(layout.weights)] *= _FIRM
        return cls(
            tuple(names),
            sizes,
            np.concatenate([lower, nlp.lower[columns]]),
            np.concatenate([upper, nlp.upper[columns]]),
            len(layout.shared) + len(layout.weights),
        )

    def __len__(self) -> int:
        return len(self.names)

    def copies(self, batch: Batch) -> Index:
        """Which entries a batch has a copy of, in the order of `columns`."""
        number = {name: k for k, name in enumerate(self.names)}
        states = batch.problem.states
        parameters = batch.problem.dynamics.parameters
        own = [name for q in parameters if q.per_experiment for name in q.names]
        wanted = [f"{state}[{link.key}]" for link in batch.links for state in states]
        wanted += [f"{name}[{label}]" for _, label in batch.own for name in own]
        every = range(len(self.names) - self.common, len(self.names))
        return np.array([*(number[name] for name in wanted), *every], dtype=int)


def copied_columns(batch: Batch, nlp: NLP) -> tuple[Index, Array]:
    """Columns of a batch's NLP that are copies of consensus entries, as in `copies`, and scales."""
    layout = nlp.layout
    links = [layout.experiments[link.experiment].states[link.node] for link in batch.links]
    own = [layout.experiments[number].parameters for number, _ in batch.own]
    empty = np.empty(0, dtype=int)
    columns = np.concatenate([empty, *links, *own, layout.shared, layout.weights]).astype(int)
    scale = nlp.column_scale[columns]
    scale[: len(scale) - len(layout.weights)] *= _FIRM
    return columns, scale
