"""Chains of a part by the kernels in `kernels/eliminate.c`, `hessian.c` and `sides.c`: what `plain` does, a call for a whole part."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels import address
from ...numerics import Array, Index, Mask
from .ends import Ends
from .plain import Bordered, Plain

_GROUP, _LEVEL = 4, 5  # segments of a group, numbers of a level
_LEAST = 48  # more columns than that are left to LAPACK
_ROWS = 192  # of the basis that are multiplied at once: they stay in the cache
_SIZES = (
    "elements", "chains", "states", "inner", "border", "couples", "singular", "segments", "levels",
)  # fmt: skip
_ARRAYS = (
    "before", "A_left", "A", "A_border", "H", "across", "H_border", "Z", "left", "right", "E", "B",
    "start", "segment", "level", "index", "numbers", "scratch", "frozen", "stayed",
)  # fmt: skip


Call = tuple[Any, ...]  # of a kernel by name, see `kernels.calls`


class _Part(ctypes.Structure):
    """``part_t`` of chains.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _SIZES),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
    )


class _Ends(ctypes.Structure):
    """``ends_t`` of chains.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("count", "segments")),
        *((name, ctypes.c_void_p) for name in ("first", "M", "A", "b", "theta", "D", "W", "x")),
    )


class Compiled(Plain):
    """One part's chains, as `Plain` has them, always in the same memory.

    Parameters
    ----------
    library : the compiled kernels.
    rows, hessian, couples : see `Plain`.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        rows: Bordered,
        hessian: tuple[Array, Array, Array],
        couples: bool,
    ) -> None:
        self._library, self._rows = library, rows
        self._H, _, self._H_border = hessian
        d, n, w, elements = rows.states, rows.inner, rows.border, rows.elements
        m, c, slots, most = rows.own, 2 * d, elements + rows.chains, _GROUP * d
        # of an element, and of the merges that take out its right link: at worst by fours
        numbers = m * m + n * c + most * most + most * c
        scratch = max(
            m * (n + m) + m * c, 2 * most**2 + most * c + d * (c + w), m * (m + d) + c * m,
            slots * m + 2 * (m + most), _LEAST * (2 * _LEAST + d),
        )  # fmt: skip
        self._kept: dict[str, NDArray[np.generic]] = {
            "before": rows.before, "A_left": rows.A_left, "A": rows.A, "A_border": rows.A_border,
            "H": hessian[0], "across": hessian[1], "H_border": hessian[2], "Z": np.zeros((elements + 1, m, c + w)),
            "left": np.zeros(elements, dtype=np.int64), "right": np.zeros(elements, dtype=np.int64),
            "E": np.zeros((elements, d, c)), "B": np.zeros((elements, d, w)),
            "start": np.zeros(elements, dtype=np.int64),
            "segment": np.zeros(elements, dtype=np.int64),
            "level": np.zeros((elements + 1, _LEVEL), dtype=np.int64),
            "index": np.zeros((elements, 2 + _GROUP), dtype=np.int64),
            "numbers": np.zeros((elements, numbers)), "scratch": np.zeros(scratch),
            "frozen": np.zeros(slots, dtype=np.int8), "stayed": np.zeros(slots, dtype=np.int8),
        }  # fmt: skip
        assert all(array.flags.c_contiguous for array in self._kept.values())
        places = {name: array.ctypes.data for name, array in self._kept.items()}
        self._part = _Part(
            elements=elements, chains=rows.chains, states=d, inner=n, border=w, couples=couples,
            **places,
        )  # fmt: skip
        self.place = self._at = ctypes.c_void_p(ctypes.addressof(self._part))
        self._most = max(1, _ROWS // m)
        self._X = np.empty((self._most, m, c + w))
        # results of one right-hand side after the other, and where these are
        self._y, self._segment, self._links = (
            np.empty(s) for s in ((slots, m), (elements, d), (slots, d))
        )
        self._nu, self._mu = np.empty((elements, d)), np.empty((elements, m))
        self._up = np.zeros((slots, d))
        found = self._y, self._segment, self._links, self._nu, self._mu
        self._found = [address(v) for v in found]

    def eliminate(self, growth: float) -> None:
        """See `Plain`."""
        most = np.array([growth])
        self._library.chains_eliminate(self._at, address(most))
        self.take()

    def eliminating(self, growth: float) -> Call:
        """The call by which that is done, before `take`."""
        return "chains_eliminate", self.place, np.array([growth])

    def take(self) -> None:
        """Take note of what was eliminated."""
        count = self._part.segments
        for name in ("left", "right", "E", "B"):
            setattr(self, name, self._kept[name][:count])
        self.singular = bool(self._part.singular)

    def project(self, shared: Array) -> None:
        """See `Plain`."""
        _, *given = self.projecting(shared)
        self._library.chains_project(
            *(ctypes.c_int64(v) if isinstance(v, int) else v for v in given)
        )

    def projecting(self, shared: Array) -> Call:
        """The call by which that is done."""
        self._both = np.empty((self._part.segments, 2 * self._part.states, self._X.shape[2]))
        at = map(address, (self._X, shared, self._both))
        return "chains_project", self.place, self._most, *at

    def ends(self, chains: Index, first: Index, k: int, fixed: Mask, shared: Array) -> Ends | None:
        """See `Plain`."""
        made = self.ends_of(chains, first, k)
        if made is None:
            c = 2 * self._part.states
            self._own, self._mixed = self._both[:, :, :c], self._both[:, :, c:]
            return super().ends(chains, first, k, fixed, shared)
        _, *given = self.reducing(made, fixed, shared)
        return None if self._library.chains_ends(*given) else made

    def ends_of(self, chains: Index, first: Index, k: int) -> CompiledEnds | None:
        """Memory for what is left of chains of k segments, None if there are too many for a kernel."""
        d, w, count, size = (
            self._rows.states,
            self._rows.border,
            len(chains),
            (k + 1) * self._rows.states,
        )
        if size > _LEAST:
            return None
        M, A, x = (np.empty((count, size, n)) for n in (size, size, 1))
        b, theta, work = (np.empty((count, size, w)) for _ in range(3))
        D, W = np.empty((count, d, d)), np.empty((count, d, w))
        arrays = {"first": first, "M": M, "A": A, "b": b, "theta": theta, "D": D, "W": W, "x": x}
        told = _Ends(count=count, segments=k, **{name: address(v) for name, v in arrays.items()})
        segments = first[:, None] + np.arange(k)
        links = np.column_stack([self.left[first], self.right[segments]])
        P, N = M[:, : k * d], M[:, k * d :].swapaxes(1, 2)
        made = CompiledEnds(chains, segments, links, P, N, A, b, theta, D, W)
        made.call, made.part, made.told, made.kept = self._library, self.place, told, (arrays, work)
        made.place, made.v = ctypes.c_void_p(ctypes.addressof(told)), np.empty((count, d))
        return made

    def reducing(self, ends: CompiledEnds, fixed: Mask, shared: Array) -> Call:
        """The call by which they are made."""
        return (
            "chains_ends",
            self.place,
            ends.place,
            *map(address, (self._both, fixed, shared, ends.kept[1])),
        )

    def going_down(
        self, own: Array, rows: Array, theta: Array, groups: Sequence[CompiledEnds]
    ) -> list[Call]:
        """The calls of `down`, and of all groups' with v of their own."""
        y, segment, links, _, _ = self._found
        at = self.place
        calls: list[Call] = [("chains_down", at, own, rows, y, segment, links, theta)]
        for g in groups:
            calls.append(("chains_ends_down", at, g.place, segment, links, theta, g.v))
        return calls

    def going_up(self, own: Array, theta: Array, groups: Sequence[CompiledEnds]) -> list[Call]:
        """The calls of all groups' `up`, and of this one's, whose results are in `found`."""
        y, _, links, nu, mu = self._found
        at = self.place
        calls: list[Call] = [
            ("chains_ends_up", at, g.place, g.v, theta, links, self._up, nu) for g in groups
        ]
        return [*calls, ("chains_up", at, own, self._up, nu, theta, y, mu)]

    @property
    def found(self) -> tuple[Array, Array]:
        """(slots, own) and (elements, rows) of the last right-hand side, when it has gone up."""
        return self._y, self._mu

    def down(self, own: Array, rows: Array, theta: Array) -> tuple[Array, Array, Array]:
        """See `Plain`."""
        y, segment, links, _, _ = self._found
        given = map(address, (own, rows))
        self._library.chains_down(self._at, *given, y, segment, links, address(theta))
        return self._y, self._segment[: self._part.segments], self._links

    def up(self, own: Array, links: Array, nu: Array, theta: Array, y: Array) -> Array:
        """See `Plain`."""
        *_, room, mu = self._found
        self._nu[: len(nu)] = nu
        given = address(own), address(links), room, address(theta), address(y), mu
        self._library.chains_up(self._at, *given)
        return self._mu


class CompiledEnds(Ends):
    """The same, worked on by kernels."""

    call: ctypes.CDLL
    part: ctypes.c_void_p
    told: _Ends
    place: ctypes.c_void_p
    v: Array
    kept: Any

    def down(self, segment: Array, links: Array, theta: Array) -> Array:
        """See `Ends`."""
        given = map(address, (segment, links, theta, self.v))
        self.call.chains_ends_down(self.part, self.place, *given)
        return self.v

    def up(self, v: Array, theta: Array, links: Array, found: Array, nu: Array) -> None:
        """See `Ends`."""
        given = map(address, (v, theta, links, found, nu))
        self.call.chains_ends_up(self.part, self.place, *given)
