"""Counts of what an encoding consists of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bounds import UNDECIDED, Bounds, describe
from .network import ReluNetwork
from .program import Program


@dataclass(frozen=True)
class Record:
    """What an embedding added.

    Attributes
    ----------
    encoding, bounds : names of both.
    columns, binaries, rows, nonzeros, products : counts; products are complementarities.
    units : how many hidden units the bounds decided: off, on, saturated, undecided.
    big_m : (undecided units,) max(|L|, |U|).
    tightening_seconds : time the bounds took.
    """

    encoding: str
    bounds: str
    columns: int
    binaries: int
    rows: int
    nonzeros: int
    products: int
    units: dict[str, int]
    big_m: tuple[float, ...]
    tightening_seconds: float

    def __repr__(self) -> str:
        largest = f", big-M up to {max(self.big_m):.3g}" if self.big_m else ""
        return (
            f"Record({self.encoding} on {self.bounds} bounds: {self.columns} columns, "
            f"{self.binaries} binaries, {self.rows} rows, "
            f"{self.units['undecided']} undecided units{largest})"
        )


def record_of(network: ReluNetwork, program: Program, encoding: str, bounds: Bounds) -> Record:
    """Count what a program consists of."""
    states, arrays = bounds.stable(network), program.arrays()
    largest = [
        np.maximum(np.abs(bounds.lower[k]), np.abs(bounds.upper[k]))[state == UNDECIDED]
        for k, state in enumerate(states)
    ]
    return Record(
        encoding,
        bounds.kind,
        program.columns,
        int(arrays.integer.sum()),
        program.rows,
        int(arrays.A.nnz),
        len(program.products),
        describe(states),
        tuple(float(v) for v in np.concatenate([np.zeros(0), *largest])),
        bounds.seconds,
    )
