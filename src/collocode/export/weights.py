"""Networks as NumPy arrays in an ``.npz`` file: ``W1``, ``b1``, ``W2``, ... and a JSON description.

Matrices have the shape (outputs, inputs) of their layer, so ``W @ a + b`` evaluates it.  A file
without the description (made elsewhere) is read with the network given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..archives import Schema
from ..checks import check_path
from ..errors import FileError
from ..files import read_npz, refusing
from ..forms import Numbers, form_of
from ..model.network import MLP
from ..results.doors import network_of
from ..results.model import TrainedModel
from ..results.network import TrainedNetwork
from ..results.solution import Solution

_ARRAYS = {"network": form_of(MLP), "*": (Numbers(("rows", "columns")), Numbers(("rows",)))}
NETWORK = Schema("network", 1, "a network", _ARRAYS, largest=2**28)


def save_weights(network: TrainedNetwork | TrainedModel | Solution, path: str | Path) -> None:
    """Write a network as ``.npz``.

    Raises
    ------
    FileError
        The folder cannot be written.
    """
    network = network_of("save_weights", network)
    tree: dict[str, Any] = {"network": asdict(network.network)}
    for number, (W, b) in enumerate(network.network.matrices(network.weights), start=1):
        tree[f"W{number}"], tree[f"b{number}"] = W, b
    NETWORK.write(path, tree)


def load_weights(path: str | Path, network: MLP | None = None) -> TrainedNetwork:
    """Read a network that `save_weights` wrote, or arrays W1, b1, ... for a given network.

    Raises
    ------
    FileError
        Missing, corrupt, too large; arrays of other shapes, or with values that are not finite.
    """
    check_path("load_weights", path)
    source = Path(path)
    if network is None:
        return NETWORK.read(source, lambda tree: _own(source, tree))
    arrays = read_npz(source, NETWORK.largest, NETWORK.noun)
    with refusing(source, NETWORK.noun):
        return _trained(source, network, arrays)


def _own(source: Path, tree: Mapping[str, Any]) -> TrainedNetwork:
    network = MLP(**tree["network"])
    known = {f"{kind}{n}" for n in range(1, len(network.sizes)) for kind in "Wb"}
    if foreign := tree.keys() - known - {"network"}:
        raise ValueError(f"{min(foreign)!r} belongs to no layer")
    return _trained(source, network, tree)


def _trained(source: Path, network: MLP, arrays: Mapping[str, Any]) -> TrainedNetwork:
    matrices = []
    for number, (_, _, rows, columns) in enumerate(network.layers(), start=1):
        W, b = arrays[f"W{number}"], arrays[f"b{number}"]
        if W.shape != (rows, columns) or b.shape != (rows,):
            raise FileError(
                f"{source}: layer {number} has shapes {W.shape} and {b.shape}, not "
                f"{(rows, columns)} and {(rows,)}; give the network that the file is of."
            )
        if not (np.isfinite(W).all() and np.isfinite(b).all()):
            raise FileError(
                f"{source}: layer {number} has values that are not finite; train it again."
            )
        matrices.append((W, b))
    return TrainedNetwork(network, network.vector(matrices))
