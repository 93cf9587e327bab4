"""All parts of a matrix by kernels: what is to be done for each of them is told once, and then takes one call for all."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from ...kernels.calls import Calls
from ...numerics import Array, Index
from ...numerics.parallel import for_each, most_threads
from .blocks import Blocks
from .compiled import Compiled
from .part import Part


class Together:
    """The parts of one matrix after another.

    Parameters
    ----------
    library : the compiled kernels.
    blocks, parts : of the matrix; the parts are worked on by kernels.

    Attributes
    ----------
    usable : whether the last factorisation, and solutions with it, are done here: else each part does it by itself.
    """

    def __init__(self, library: ctypes.CDLL, blocks: Blocks, parts: Sequence[Part]) -> None:
        self._library, self._parts, p = library, parts, blocks.places
        self._work = [part.work for part in parts if isinstance(part.work, Compiled)]
        loads = [[blocks.loading(part.range, part.slots)] for part in parts]
        first = [[work.eliminating(Part.GROWTH[0])] for work in self._work]
        self._condenses = p.unequal > 0
        if self._condenses:
            self._begin, self._eliminate = Calls(library, loads), Calls(library, first)
        else:
            self._begin = Calls(library, [[*a, *b] for a, b in zip(loads, first, strict=True)])
        self.own, self.rows = (
            np.zeros((p.elements + p.chains, p.own)),
            np.zeros((p.elements, p.equal)),
        )
        self._thetas, self._theta = np.zeros((len(parts), p.border)), np.zeros(p.border)
        self._segments: list[Index] = []
        self.usable = False

    def eliminate(self, values: Array) -> None:
        """See `Part.eliminate`."""
        threads = most_threads()
        self._begin.place("values", values)
        self._begin.run(threads)
        if self._condenses:
            for_each(Part.condense, self._parts)
            self._eliminate.run(threads)
        for part, work in zip(self._parts, self._work, strict=True):
            work.take()
            part.settle()
        if any(part.singular for part in self._parts):
            return
        found = [v for work in self._work for v in (work.left, work.right)]
        same = len(found) == len(self._segments) and all(map(np.array_equal, found, self._segments))
        if not same:
            self._segments = [array.copy() for array in found]
            self._lay_out()
        if not self.usable:
            for_each(Part.project, self._parts)
            return
        failed = self._project.run(threads)[self._reducing]
        for part, groups in zip(self._parts, self._groups, strict=True):
            part.take(groups)
        if failed.any():
            self._parts[0].singular = True

    def _lay_out(self) -> None:
        """Tell the calls by which chains of these segments are worked on."""
        made = [
            [work.ends_of(chains, firsts, k) for k, chains, firsts in part.chains_of()]
            for part, work in zip(self._parts, self._work, strict=True)
        ]
        self._groups = [[g for g in groups if g is not None] for groups in made]
        self.usable = sum(map(len, self._groups)) == sum(map(len, made))
        if not self.usable:
            return
        project, down, up = [], [], []
        for k, (part, work) in enumerate(zip(self._parts, self._work, strict=True)):
            groups, own, rows = self._groups[k], self.own[part.slots], self.rows[part.range]
            calls = [work.projecting(part.shared)]
            project.append([*calls, *(work.reducing(g, part.fixed, part.shared) for g in groups)])
            down.append(work.going_down(own, rows, self._thetas[k], groups))
            up.append(work.going_up(own, self._theta, groups))
        # all calls but the first one of each part tell whether rows depend on each other
        self._reducing = np.array([k > 0 for calls in project for k in range(len(calls))])
        self._project, self._down, self._up = (
            Calls(self._library, lists) for lists in (project, down, up)
        )

    def down(self, pull: Array) -> tuple[Array, Array]:
        """See `Part.down`, of the right-hand side in `own` and `rows`."""
        self._thetas[:] = 0.0
        if self._condenses:
            for part, theta in zip(self._parts, self._thetas, strict=True):
                part.pull(self.own[part.slots], pull[part.range], theta)
        self._down.run(most_threads())
        v = np.empty((sum(part.chains for part in self._parts), self._parts[0].states))
        begin = 0
        for part, groups in zip(self._parts, self._groups, strict=True):
            for group in groups:
                v[begin + group.chains] = group.v
            begin += part.chains
        total = np.zeros(self._thetas.shape[1])
        for theta in self._thetas:  # in the order of the parts, as without kernels
            total += theta
        return v, total

    def up(self, v: Array, theta: Array) -> tuple[Array, Array, Array]:
        """See `Part.up`, of all parts."""
        self._theta[:], begin = theta, 0
        for part, groups in zip(self._parts, self._groups, strict=True):
            for group in groups:
                group.v[:] = v[begin + group.chains]
            begin += part.chains
        self._up.run(most_threads())
        y, mu = (
            np.concatenate(arrays) for arrays in zip(*(w.found for w in self._work), strict=True)
        )
        values = np.zeros((len(mu), 0))
        if self._condenses:
            values = np.concatenate([part.values(y[part.slots], theta) for part in self._parts])
        return y, mu, values
