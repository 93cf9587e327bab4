"""Derivatives of one network layer by layer, by the kernel in `kernels/layers.c`: see there."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import address
from ..model.network import MLP
from ..numerics import Array, Index
from .layers import Pass

_SIZES = "depth", "points", "rows", "unknowns", "before", "moves", "count"
_ARRAYS = (
    "sizes", "theta", "inputs", "slopes", "bends", "scale", "by_unknowns", "top", "gradient", "own",
    "down", "out", "factors", "places", "kinds", "lengths", "members",
)  # fmt: skip


class _Network(ctypes.Structure):
    """``network_t`` of layers.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _SIZES),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
    )


@dataclass(frozen=True, eq=False)
class Places:
    """Where a matrix has the nonzeros by a network's weights, which begin at its first layer.

    Attributes
    ----------
    first : (weights,) where those of a weight's column begin, -1 for none; point after point.
    kinds : (weights,) which of the ``members``.
    members : (rows,) of a point's rows, of each kind.
    """

    first: Index
    kinds: Index
    members: tuple[Index, ...]


class Kernel:
    """First or second derivatives of a network at points, written to their places.

    Parameters
    ----------
    library : the compiled kernels.
    mlp : the network.
    places : of the nonzeros.
    rows : of a point; of second derivatives its unknowns.
    """

    def __init__(self, library: ctypes.CDLL, mlp: MLP, places: Places, rows: int) -> None:
        self._library, self._rows = library, rows
        self._sizes = np.array(mlp.sizes, dtype=np.int64)
        self._places, self._kinds = (
            np.ascontiguousarray(v, dtype=np.int64) for v in (places.first, places.kinds)
        )
        self._members = np.zeros((len(places.members), rows), dtype=np.int64)
        for kept, members in zip(self._members, places.members, strict=True):
            kept[: len(members)] = members
        self._lengths = np.array([len(m) for m in places.members], dtype=np.int64)

    def __call__(
        self,
        call: Pass,
        theta: Array,
        by_unknowns: Array,
        top: Array | None,
        own: Array,
        out: Array,
        before: int,
        factors: Array | None = None,
        gradient: Array | None = None,
        moves: bool = False,
    ) -> Array:
        """Write the nonzeros by weights, and add to ``own`` what goes by the network's inputs.

        Parameters
        ----------
        theta : the network's weights.
        by_unknowns : (K, inputs, unknowns) derivatives of the inputs.
        top : (K, rows, outputs) derivatives of the rows by the outputs, None for zero.
        own : (K, rows, unknowns).
        out : all nonzeros; ``before`` points of them come before these.
        factors : (K, rows) of the nonzeros, None for one.
        gradient : (K, outputs) of what is differentiated for the second time.
        moves : whether the networks' own second derivatives count.

        Returns
        -------
        (K, inputs) gradient by the inputs, if there was one by the outputs.
        """
        points, inputs = by_unknowns.shape[:2]
        scaled = None if top is None else np.ascontiguousarray(top * call.output_scale)
        start = None if gradient is None else np.ascontiguousarray(gradient * call.output_scale)
        arrays: dict[str, NDArray[Any] | None] = {
            "sizes": self._sizes, "theta": np.ascontiguousarray(theta), "own": own, "out": out,
            "scale": np.array(np.broadcast_to(call.scale, (inputs,))), "top": scaled,
            "by_unknowns": np.ascontiguousarray(by_unknowns), "gradient": start,
            "down": np.zeros((points, inputs)), "factors": factors, "places": self._places, "kinds": self._kinds,
            "lengths": self._lengths, "members": self._members,
        }  # fmt: skip
        lists = {
            name: _pointers([None if v is None else np.ascontiguousarray(v) for v in parts])
            for name, parts in (
                ("inputs", call.inputs), ("slopes", call.slopes), ("bends", call.bends)
            )
        }  # fmt: skip
        network = _Network(
            depth=call.depth, points=points, rows=self._rows, unknowns=by_unknowns.shape[2],
            before=before, moves=moves, count=len(self._lengths),
            **{name: None if v is None else address(v) for name, v in arrays.items()},
            **{name: ctypes.cast(v[0], ctypes.c_void_p) for name, v in lists.items()},
        )  # fmt: skip
        if self._library.layers_differentiate(ctypes.byref(network)):
            raise MemoryError("no memory for a block of points")
        down = arrays["down"]
        assert down is not None
        return down


def _pointers(arrays: list[Array | None]) -> tuple[Any, list[Array | None]]:
    """An array of their addresses, and they themselves, which have to live as long."""
    made = (ctypes.c_void_p * max(len(arrays), 1))()
    for k, array in enumerate(arrays):
        made[k] = None if array is None else array.ctypes.data
    return made, arrays
