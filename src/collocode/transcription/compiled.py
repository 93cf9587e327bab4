"""Derivatives of one network layer by layer, by the kernel in `kernels/layers.c`: see there."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import address
from ..kernels.calls import Calls
from ..model.network import MLP
from ..numerics import Array, Index
from ..numerics.parallel import most_threads
from .layers import Pass, scales_of

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


@dataclass(frozen=True, eq=False)
class Job:
    """What a kernel is to do at some points.

    Attributes
    ----------
    network : what it is told.
    down : (K, inputs) gradient by the inputs, if there is one by the outputs; once it is done.
    kept : what has to be there until then.
    """

    network: _Network
    down: Array
    kept: Any


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
        first, kinds = (
            np.ascontiguousarray(v, dtype=np.int64) for v in (places.first, places.kinds)
        )
        table = np.zeros((len(places.members), rows), dtype=np.int64)
        for kept, members in zip(table, places.members, strict=True):
            kept[: len(members)] = members
        self._lengths = np.array([len(m) for m in places.members], dtype=np.int64)
        self._kept: dict[str, NDArray[Any]] = {
            "sizes": np.array(mlp.sizes, dtype=np.int64), "places": first, "kinds": kinds,
            "members": table, "lengths": self._lengths,
            "scale": np.array(np.broadcast_to(scales_of(mlp)[0], (mlp.sizes[0],))),
        }  # fmt: skip
        self._places = {name: address(array) for name, array in self._kept.items()}

    def job(
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
    ) -> Job:
        """What writes the nonzeros by weights, and adds to ``own`` what goes by the network's inputs.

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

        """
        points, inputs = by_unknowns.shape[:2]
        scaled = None if top is None else np.ascontiguousarray(top * call.output_scale)
        start = None if gradient is None else np.ascontiguousarray(gradient * call.output_scale)
        down = np.zeros((points, inputs))
        arrays: dict[str, Array | None] = {
            "theta": np.ascontiguousarray(theta), "own": own, "out": out, "top": scaled, "gradient": start,
            "by_unknowns": np.ascontiguousarray(by_unknowns), "down": down, "factors": factors,
        }  # fmt: skip
        # the arrays have to live as long as their addresses
        lists = [[*map(_contiguous, v)] for v in (call.inputs, call.slopes, call.bends)]
        pointers = [*map(_pointers, lists)]
        of_layers = zip(("inputs", "slopes", "bends"), pointers, strict=True)
        network = _Network(
            depth=call.depth, points=points, rows=self._rows, unknowns=by_unknowns.shape[2],
            before=before, moves=moves, count=len(self._lengths), **self._places,
            **{name: None if v is None else address(v) for name, v in arrays.items()},
            **{name: ctypes.cast(v, ctypes.c_void_p) for name, v in of_layers},
        )  # fmt: skip
        return Job(network, down, (arrays, lists, pointers))

    @contextmanager
    def doing(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Other threads do them meanwhile, if there are any; at the end of the context they are done."""
        places = (ctypes.c_void_p(ctypes.addressof(job.network)) for job in jobs)
        calls = Calls(self._library, [[("layers_differentiate", place)] for place in places])
        with calls.meanwhile(most_threads()):
            yield
        if calls.results.any():
            raise MemoryError("no memory for a block of points")


def _contiguous(array: Array | None) -> Array | None:
    return None if array is None else np.ascontiguousarray(array)


def _pointers(arrays: list[Array | None]) -> ctypes.Array[ctypes.c_void_p]:
    """An array of their addresses."""
    places = [ctypes.c_void_p() if array is None else address(array) for array in arrays]
    return (ctypes.c_void_p * max(len(places), 1))(*places)
