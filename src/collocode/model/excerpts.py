"""Parts of an experiment: some of its columns, a window in time, some of its samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..numerics import Array, Mask
from .events import Event, ends_before


class Excerpts:
    """Takes parts of an experiment."""

    if TYPE_CHECKING:  # an experiment has them

        @property
        def times(self) -> Array:
            """(N,) times."""

        @property
        def values(self) -> Array:
            """(N, outputs) measurements."""

        @property
        def outputs(self) -> tuple[str, ...]:
            """Names of the columns."""

        @property
        def weights(self) -> Array | None:
            """(N, outputs) factors of their losses."""

        @property
        def sigma(self) -> Any:
            """(N, outputs) standard deviations."""

        @property
        def censored(self) -> Any:
            """(N, outputs) -1, 0 or 1."""

        @property
        def samples(self) -> int:
            """Number of times."""

        @property
        def initial(self) -> Mapping[str, Any]:
            """What is known of the initial states."""

        @property
        def history(self) -> Mapping[str, Any]:
            """What was before."""

        @property
        def steady(self) -> Any:
            """How it rested."""

        @property
        def events(self) -> Sequence[Event]:
            """What happens."""

        @property
        def start(self) -> float | None:
            """When it begins."""

        @property
        def name(self) -> str:
            """What messages call it."""

    def select(self, outputs: Sequence[str]) -> Self:
        """Return the experiment with only the columns ``outputs``, NaN where it has none."""
        mine = [self.outputs.index(n) if n in self.outputs else -1 for n in outputs]

        def columns(table: Any, absent: float) -> Any:
            if table is None:
                return None
            padded = np.column_stack([table, np.full(self.samples, absent)])
            return padded[:, mine]

        return replace(  # type: ignore[type-var]
            self,
            values=columns(self.values, np.nan),
            weights=columns(self.weights, 1.0),
            sigma=columns(self.sigma, np.nan),
            censored=columns(self.censored, 0.0),
            outputs=tuple(outputs),
        )

    def window(
        self, start: float, end: float, name: str | None = None, begins: float | None = None
    ) -> Self:
        """Return the part of the experiment that was measured in [start, end].

        Its window is from ``begins``, by default the first sample there, or the experiment's own start, to
        the last one.
        """
        keep = (self.times >= start) & (self.times <= end)
        if begins is None:
            inside = self._begins_before(start) and keep.any()
            begins = float(self.times[keep][0]) if inside else self.start
        last = float(self.times[keep][-1]) if keep.any() else None
        return self.with_samples(keep, begins, last, name or self.name)

    def with_samples(self, keep: Mask, start: float | None, end: float | None, name: str) -> Self:
        """Return the experiment in [start, end] with the samples ``keep``.

        What is known of the beginning goes with it only from there.
        """

        def rows(table: Any) -> Any:
            return None if table is None else np.asarray(table)[keep]

        whole = start is None or not self._begins_before(start)
        return replace(  # type: ignore[type-var]
            self,
            times=self.times[keep],
            values=self.values[keep],
            weights=rows(self.weights),
            sigma=rows(self.sigma),
            censored=rows(self.censored),
            initial=self.initial if whole else {},
            history=self.history if whole else {},
            steady=self.steady if whole else None,
            name=name,
            events=self.events_from(start),
            start=start,
            end=end,
        )

    def met(self, predicted: Array) -> Array:
        """(N, outputs) predictions; where they are beyond a limit that a datum is censored at, the limit."""
        if self.censored is None:
            return predicted
        beyond = np.asarray(self.censored) * (predicted - self.values) > 0.0
        return np.where(beyond, self.values, predicted)

    def _begins_before(self, time: float) -> bool:
        return self.start is not None and self.start < time

    def events_from(self, start: float | None) -> tuple[Event, ...]:
        """Return the events that are not over at a time."""
        return tuple(e for e in self.events if start is None or not ends_before(e, start))
