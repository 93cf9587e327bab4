"""The data of a term's points: constants and blocks of the parameter vector, one column a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import casadi as ca
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Blocks = Mapping[str, Array]


def data_function(blocks: Blocks, constants: Sequence[Array], names: Sequence[str]) -> ca.Function:
    """Parameter vector -> (data, points): constant rows, then the rows of the named blocks."""
    p, offsets = parameter_symbol(blocks), offsets_of(blocks)
    rows = []
    for constant in constants:
        flat = np.ascontiguousarray(constant).ravel().tolist()
        rows.append(ca.MX(ca.reshape(ca.DM(flat), constant.shape[1], constant.shape[0])))
    for name in names:
        block = blocks[name]
        points, width = (len(block), 1) if block.ndim == 1 else block.shape
        part = p[offsets[name] : offsets[name] + block.size]
        rows.append(ca.reshape(part, width, points))
    return ca.Function("data", [p], [ca.vertcat(*rows)])


def parameter_symbol(blocks: Blocks) -> ca.MX:
    """Symbol of the whole parameter vector."""
    return ca.MX.sym("p", sum(np.size(v) for v in blocks.values()))


def offsets_of(blocks: Blocks) -> dict[str, int]:
    """Where every block begins in the parameter vector."""
    sizes = np.cumsum([0, *(np.size(v) for v in blocks.values())])
    return dict(zip(blocks, sizes.tolist(), strict=False))
