"""Chains of a part by the kernels in `kernels/eliminate.c`, `hessian.c` and `sides.c`: what `plain` does, a call for a whole part."""

from __future__ import annotations

import ctypes
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
        self._at = ctypes.byref(self._part)
        self._most = max(1, _ROWS // m)
        self._X = np.empty((self._most, m, c + w))
        # results of one right-hand side after the other, and where these are
        self._y, self._segment, self._links = (
            np.empty(s) for s in ((slots, m), (elements, d), (slots, d))
        )
        self._nu, self._mu = np.empty((elements, d)), np.empty((elements, m))
        found = self._y, self._segment, self._links, self._nu, self._mu
        self._found = [address(v) for v in found]

    def eliminate(self, growth: float) -> None:
        """See `Plain`."""
        self._library.chains_eliminate(self._at, ctypes.c_double(growth))
        count = self._part.segments
        for name in ("left", "right", "E", "B"):
            setattr(self, name, self._kept[name][:count])
        self.singular = bool(self._part.singular)

    def project(self, shared: Array) -> None:
        """See `Plain`."""
        c = 2 * self._part.states
        self._both = both = np.empty((self._part.segments, c, self._X.shape[2]))
        self._library.chains_project(
            self._at, ctypes.c_int64(self._most), *map(address, (self._X, shared, both))
        )
        self._own, self._mixed = both[:, :, :c], both[:, :, c:]

    def ends(self, chains: Index, first: Index, k: int, fixed: Mask, shared: Array) -> Ends | None:
        """See `Plain`."""
        d, w, count, size = (
            self._rows.states,
            self._rows.border,
            len(chains),
            (k + 1) * self._rows.states,
        )
        if size > _LEAST:
            return super().ends(chains, first, k, fixed, shared)
        M, A, x = (np.empty((count, size, n)) for n in (size, size, 1))
        b, theta, work = (np.empty((count, size, w)) for _ in range(3))
        D, W = np.empty((count, d, d)), np.empty((count, d, w))
        arrays = {"first": first, "M": M, "A": A, "b": b, "theta": theta, "D": D, "W": W, "x": x}
        told = _Ends(count=count, segments=k, **{name: address(v) for name, v in arrays.items()})
        at = ctypes.byref(told)
        given = map(address, (self._both, fixed, shared, work))
        if self._library.chains_ends(self._at, at, *given):
            return None
        segments = first[:, None] + np.arange(k)
        links = np.column_stack([self.left[first], self.right[segments]])
        P, N = M[:, : k * d], M[:, k * d :].swapaxes(1, 2)
        made = CompiledEnds(chains, segments, links, P, N, A, b, theta, D, W)
        made.call, made.at, made.kept = self._library, (self._at, at), arrays
        return made

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
    at: tuple[Any, Any]
    kept: dict[str, NDArray[Any]]

    def down(self, segment: Array, links: Array, theta: Array) -> Array:
        """See `Ends`."""
        v = np.empty(self.D.shape[:2])
        self.call.chains_ends_down(*self.at, *map(address, (segment, links, theta, v)))
        return v

    def up(self, v: Array, theta: Array, links: Array, found: Array, nu: Array) -> None:
        """See `Ends`."""
        self.call.chains_ends_up(*self.at, *map(address, (v, theta, links, found, nu)))
