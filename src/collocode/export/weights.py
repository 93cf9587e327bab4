"""Networks as NumPy arrays in an ``.npz`` file: ``W1``, ``b1``, ``W2``, ... and a JSON description.

Matrices have the shape (outputs, inputs) of their layer, so ``W @ a + b`` evaluates it.  A file
without the description (made elsewhere) is read with the network given.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError
from ..model.network import MLP
from ..results.model import TrainedNetwork
from .files import replacing

Array = NDArray[np.float64]
FORMAT = "collocode network 1"
LARGEST = 2**28  # bytes that all arrays may take


def save_weights(network: TrainedNetwork, path: str | Path) -> None:
    """Write a network as ``.npz``.

    Raises
    ------
    FileError
        The folder cannot be written.
    """
    header = {"format": FORMAT, **asdict(network.network)}
    arrays: dict[str, Any] = {"network": np.frombuffer(json.dumps(header).encode(), np.uint8)}
    for number, (W, b) in enumerate(network.network.matrices(network.weights), start=1):
        arrays[f"W{number}"], arrays[f"b{number}"] = W, b
    target = Path(path)
    target = target if target.suffix == ".npz" else target.with_name(target.name + ".npz")
    with replacing(target) as (aside,):
        np.savez(aside, **arrays)


def load_weights(path: str | Path, network: MLP | None = None) -> TrainedNetwork:
    """Read a network that `save_weights` wrote, or arrays W1, b1, ... for a given network.

    Raises
    ------
    FileError
        Missing, corrupt, too large; arrays of other shapes, or with values that are not finite.
    """
    source = Path(path)
    if not source.is_file():
        raise FileError(f"there is no file {str(source)!r}; check the path.")
    try:
        return _read(source, network)
    except FileError:
        raise
    except Exception as error:  # a hostile file can fail in zip, zlib, NumPy, JSON, memory, ...
        reason = " ".join(str(error).split())[:200]
        raise FileError(f"{source} holds no network ({reason}).") from error


def _read(source: Path, network: MLP | None) -> TrainedNetwork:
    with zipfile.ZipFile(source) as archive:
        if sum(info.file_size for info in archive.infolist()) > LARGEST:
            raise FileError(f"{source} would unpack to more than 256 MiB; it is refused.")
        for info in archive.infolist():
            _check_claim(archive, info)
    with np.load(source, allow_pickle=False) as stored:
        if network is None:
            header = json.loads(bytes(stored["network"]))
            if header.pop("format") != FORMAT:
                raise FileError(f"{source} is not of the format {FORMAT!r}.")
            network = MLP(**header)
        matrices = []
        for number, (_, _, rows, columns) in enumerate(network.layers(), start=1):
            W, b = stored[f"W{number}"], stored[f"b{number}"]
            if W.shape != (rows, columns) or b.shape != (rows,):
                raise FileError(
                    f"{source}: layer {number} has shapes {W.shape} and {b.shape}, not "
                    f"{(rows, columns)} and {(rows,)}."
                )
            if not (np.isfinite(W).all() and np.isfinite(b).all()):
                raise FileError(f"{source}: layer {number} has values that are not finite.")
            matrices.append((W, b))
    return TrainedNetwork(network, network.vector(matrices))


def _check_claim(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Refuse an array whose header claims more than its member holds, before it is allocated."""
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(stream)
    size = float(dtype.itemsize)
    for length in shape:
        size *= length
    if dtype.hasobject or size > info.file_size:
        raise FileError(f"{archive.filename}: the array {info.filename!r} is corrupt.")
