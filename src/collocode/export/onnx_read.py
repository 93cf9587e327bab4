"""ONNX files read as networks: the chain of layers is recognised, nothing is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CollocodeError, FileError
from ..files import read_bytes
from ..model.activations import ACTIVATIONS
from ..model.network import MLP
from ..results.model import TrainedNetwork
from .onnx import activation_nodes, onnx_package

Array = NDArray[np.float64]
LARGEST = 2**28  # bytes


@dataclass(frozen=True)
class _Pattern:
    """An operator and its operands: patterns, numbers, or None for the argument."""

    operator: str
    operands: tuple[Any, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@cache
def _patterns() -> tuple[tuple[str, _Pattern], ...]:
    """(activation, pattern) of all that is understood: as written here, and the operators of others."""

    def emit(operator: str, *operands: Any, **attributes: Any) -> _Pattern:
        return _Pattern(operator, operands, attributes)

    known = [(name, activation_nodes(phi, None, emit)) for name, phi in ACTIVATIONS.items()]
    known += [
        (name, _Pattern(phi.operator, (None,), phi.attributes))
        for name, phi in ACTIVATIONS.items()
        if phi.operator and not phi.native
    ]
    return tuple(known)


def read_onnx(path: str | Path) -> TrainedNetwork:
    """Read a fully connected network.

    Raises
    ------
    FileError
        Missing, corrupt, larger than 256 MiB, with weights in other files, with numbers that are
        not finite, or of another structure, named.
    MissingDependency
        ``onnx`` is not installed.
    """
    onnx = onnx_package()
    source = Path(path)
    content = read_bytes(source, LARGEST, "a network")
    try:
        model = onnx.ModelProto()
        model.ParseFromString(content)
        if len(model.graph.node) == 0:
            raise FileError(f"{source} is no ONNX file: it has no operators.")
        return _Chain(onnx, model.graph, source).network()
    except CollocodeError as error:
        raise FileError(str(error)) from error
    except Exception as error:  # protobuf, NumPy and missing fields each fail in their own way
        reason = " ".join(str(error).split())[:200]
        raise FileError(f"{source} is no ONNX file that can be read ({reason}).") from error


@dataclass
class _Found:
    shift: Array | None = None
    scale: Array | None = None
    output_scale: Array | None = None
    layers: list[tuple[Array, Array]] = field(default_factory=list)
    activations: list[str] = field(default_factory=list)


class _Chain:
    """Walks from the input to the output."""

    def __init__(self, onnx: Any, graph: Any, source: Path) -> None:
        self._onnx, self._graph, self._source = onnx, graph, source
        self._constants = {t.name: t for t in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self._constants[node.output[0]] = node.attribute[0].t
        self._producers = {n.output[0]: n for n in graph.node}
        self._found = _Found()

    def network(self) -> TrainedNetwork:
        """Return the network."""
        inputs = [v.name for v in self._graph.input if v.name not in self._constants]
        if len(inputs) != 1 or len(self._graph.output) != 1:
            raise self._strange("more than one input or output")
        tensor, end = inputs[0], self._graph.output[0].name
        for _ in range(len(self._graph.node)):
            if tensor == end:
                break
            tensor = self._step(tensor)
        if tensor != end:
            raise self._strange("a loop or a gap")
        return self._assembled()

    def _step(self, tensor: str) -> str:
        """Take the operators that use ``tensor``; return the next tensor of the chain."""
        users = [n for n in self._graph.node if tensor in n.input]
        found = self._found
        if len(found.layers) == len(found.activations) + 1:
            for name, pattern in _patterns():
                end = self._end_of(pattern, tensor)
                if end is not None:
                    found.activations.append(name)
                    return end
        if len(users) != 1:
            kinds = sorted(n.op_type for n in users)
            raise self._strange(f"{', '.join(kinds) or 'nothing'} after {tensor!r}")
        node = users[0]
        kind = node.op_type
        if kind == "Identity":
            return str(node.output[0])
        if kind == "Gemm":
            self._gemm(node)
        elif kind == "MatMul" and node.input[0] == tensor:
            W = self._values(node.input[1], 2).T
            found.layers.append((W, np.zeros(len(W))))
        elif kind == "Add" and found.layers and len(found.activations) < len(found.layers):
            W, b = found.layers[-1]
            found.layers[-1] = (W, b + self._values(self._other(node, tensor), 1))
        elif kind in ("Sub", "Mul", "Div"):
            self._normalisation(node, tensor)
        else:
            raise self._strange(f"the operator {kind}")
        return str(node.output[0])

    def _end_of(self, pattern: _Pattern, tensor: str) -> str | None:
        """Return the result of the operators after ``tensor`` if they are those of the pattern."""
        for last in self._graph.node:
            if last.op_type != pattern.operator:
                continue
            taken: set[str] = set()
            if not self._matches(pattern, last.output[0], tensor, taken):
                continue
            inner = {tensor, *taken} - {last.output[0]}
            users = [n for n in self._graph.node if inner & set(n.input)]
            if all(n.output[0] in taken for n in users):  # nothing else uses what is inside
                return str(last.output[0])
        return None

    def _matches(self, pattern: Any, name: str, tensor: str, taken: set[str]) -> bool:
        """Whether ``name`` is computed from ``tensor`` as the pattern says; note what is on the way."""
        if pattern is None:
            return name == tensor
        if isinstance(pattern, float):
            if name not in self._constants:
                return False
            values = self._onnx.numpy_helper.to_array(self._constants[name])
            return values.size == 1 and bool(
                np.isclose(values.item(), pattern, rtol=1e-6, atol=0.0)
            )
        node = self._producers.get(name)
        if node is None or node.op_type != pattern.operator or not self._attributes(node, pattern):
            return False
        orders = [list(node.input)]
        if pattern.operator in ("Add", "Mul", "Max"):
            orders.append(orders[0][::-1])
        for order in orders:
            inside = {name}
            if len(order) == len(pattern.operands) and all(
                self._matches(p, n, tensor, inside)
                for p, n in zip(pattern.operands, order, strict=True)
            ):
                taken |= inside
                return True
        return False

    def _attributes(self, node: Any, pattern: _Pattern) -> bool:
        """Whether the node has the pattern's attributes; ONNX's default stands for an absent one."""
        value_of = self._onnx.helper.get_attribute_value
        given = {a.name: value_of(a) for a in node.attribute}
        for name, wanted in pattern.attributes.items():
            default = self._onnx.defs.get_schema(node.op_type).attributes[name].default_value
            value = given.get(name, value_of(default))
            if (value.decode() if isinstance(value, bytes) else value) != wanted:
                return False
        return True

    def _gemm(self, node: Any) -> None:
        settings = {a.name: self._onnx.helper.get_attribute_value(a) for a in node.attribute}
        if settings.get("transA", 0):
            raise self._strange("a transposed input")
        W = self._values(node.input[1], 2)
        W = W if settings.get("transB", 0) else W.T
        b = self._values(node.input[2], 1) if len(node.input) > 2 else np.zeros(len(W))
        b = np.broadcast_to(b, (len(W),)) * settings.get("beta", 1.0)
        self._found.layers.append((W * settings.get("alpha", 1.0), b))

    def _normalisation(self, node: Any, tensor: str) -> None:
        values = self._values(self._other(node, tensor), 1)
        found = self._found
        if node.op_type == "Sub" and node.input[0] == tensor and not found.layers:
            found.shift = values
        elif node.op_type == "Mul" and not found.layers:
            found.scale = 1.0 / values
        elif node.op_type == "Div" and node.input[0] == tensor and not found.layers:
            found.scale = values
        elif node.op_type == "Mul" and len(found.layers) == len(found.activations) + 1:
            found.output_scale = values
        else:
            raise self._strange(f"{node.op_type} in this place")

    def _other(self, node: Any, tensor: str) -> str:
        return str(next((name for name in node.input if name != tensor), ""))

    def _values(self, name: str, dimensions: int) -> Array:
        """Return a constant, checked."""
        if name not in self._constants:
            raise self._strange(f"the tensor {name!r}, which is no constant")
        tensor = self._constants[name]
        if tensor.data_location == self._onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise self._strange("weights in another file")
        if int(np.prod([float(d) for d in tensor.dims])) * 4 > LARGEST:
            raise self._strange("weights larger than the file")
        array = np.asarray(self._onnx.numpy_helper.to_array(tensor), dtype=float)
        array = array.reshape(-1) if dimensions == 1 else array
        if array.ndim != dimensions or not array.size:
            raise self._strange(f"{name!r} of shape {array.shape}")
        if not np.isfinite(array).all():
            raise FileError(f"{self._source}: {name!r} has values that are not finite.")
        return array

    def _assembled(self) -> TrainedNetwork:
        found = self._found
        if not found.layers:
            raise self._strange("no layer")
        if len(found.activations) != len(found.layers) - 1 or len(set(found.activations)) > 1:
            raise self._strange(f"the activations {', '.join(found.activations) or 'none'}")
        sizes = [found.layers[0][0].shape[1], *(len(W) for W, _ in found.layers)]
        for (W, b), before in zip(found.layers, sizes, strict=False):
            if W.shape[1] != before or b.shape != (len(W),):
                raise self._strange("layers that do not fit")

        def spread(values: Array | None, length: int) -> tuple[float, ...]:
            if values is None:
                return ()
            if len(values) not in (1, length):
                raise self._strange("a normalisation of another size")
            return tuple(np.broadcast_to(values, length).tolist())

        network = MLP(
            tuple(sizes),
            found.activations[0] if found.activations else "linear",
            spread(found.shift, sizes[0]),
            spread(found.scale, sizes[0]),
            spread(found.output_scale, sizes[-1]),
        )
        return TrainedNetwork(network, network.vector([(W, b) for W, b in found.layers]))

    def _strange(self, what: str) -> FileError:
        return FileError(f"{self._source} is no fully connected network: it has {what}.")
