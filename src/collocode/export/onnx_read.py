"""ONNX files read as networks: the chain of operators is recognised and folded into dense layers.

===========================================  =======================================================
layers                                       Gemm (alpha, beta, transB), MatMul
sums and products with constants, anywhere   Add, Sub, Mul, Div, Neg, BatchNormalization, Scaler
activations                                  every `ACTIVATIONS` as operator or as formula
clipped units, for ReLU networks             Clip, Min, Max
what changes nothing                         Identity, Cast, Dropout, Flatten, Reshape to the same size
===========================================  =======================================================

Everything else is refused by name.  What was read is compared with what onnxruntime (or, without it,
ONNX's own evaluator) computes from the file; so no operator may stand beside the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..checks import apart, check_path, counted
from ..errors import CollocodeError, FileError, InputError
from ..files import read_bytes
from ..numerics import Array
from ..results.network import TrainedNetwork
from .dense_chain import ChainBuilder, DenseChain
from .onnx import evaluate, onnx_package
from .onnx_graph import OnnxGraph

Network = TypeVar("Network", bound=Callable[..., Any])
LARGEST = 2**28  # bytes
_ROUNDING = 1000  # units of rounding, of the largest number on the way


def read_onnx(path: str | Path) -> TrainedNetwork:
    """Read a fully connected network with one activation.

    Raises
    ------
    FileError
        Missing, corrupt, larger than 256 MiB, with weights in other files, with numbers that are
        not finite, or of another structure, named.
    MissingDependency
        ``onnx`` is not installed.
    """
    check_path("read_onnx", path)
    return read_network(path, DenseChain.to_mlp)


def read_network(path: str | Path, make: Callable[[DenseChain], Network]) -> Network:
    """Read a chain of dense layers, make a network of it, and compare it with the file.

    Parameters
    ----------
    make : returns the network, (samples, inputs) -> (samples, outputs); an `InputError` says what
        the chain has that it cannot hold.

    Raises
    ------
    FileError
        See `read_onnx`.
    """
    onnx = onnx_package()
    source = Path(path)
    content = read_bytes(source, LARGEST, "a network")
    try:
        model = onnx.ModelProto()
        model.ParseFromString(content)
        if len(model.graph.node) == 0:
            raise FileError(f"{source} is no ONNX file: it has no operators.")
        with np.errstate(all="ignore"):
            graph = OnnxGraph(onnx, model)
            chain = _Reader(graph).chain()
            network = make(chain)
            _compare(content, chain, network, np.float32 if graph.single else np.float64)
        return network
    except InputError as error:
        raise FileError(f"{source} is no network that can be read here: it has {error}.") from error
    except CollocodeError as error:
        raise FileError(str(error)) from error
    except Exception as error:  # protobuf, NumPy and missing fields each fail in their own way
        reason = " ".join(str(error).split())[:200]
        raise FileError(f"{source} is no ONNX file that can be read ({reason}).") from error


def _compare(
    content: bytes,
    chain: DenseChain,
    network: Callable[..., Any],
    precision: type[np.floating[Any]],
) -> None:
    """Refuse a network that is another function than that of its file."""
    unit = np.random.default_rng(0).normal(size=(20, len(chain.shift)))
    x = (chain.shift + chain.scale * unit).astype(precision).astype(float)
    expected, found = evaluate(content, x), np.asarray(network(x))
    slack = _ROUNDING * np.finfo(precision).eps * chain.magnitude(x)
    wrong = np.isfinite(expected) & np.isfinite(slack) & ~(np.abs(found - expected) <= slack)
    if wrong.any():
        told = apart(expected[wrong][0], found[wrong][0])
        raise InputError(
            f"operators that onnxruntime computes otherwise ({told[0]}, not "
            f"{told[1]}); please report the file"
        )


class _Reader:
    """Walks from the input to the output and tells a `ChainBuilder` what it meets."""

    def __init__(self, graph: OnnxGraph) -> None:
        self._onnx, self._graph = graph.onnx, graph
        self._input, kind = graph.input.name, graph.input.type.tensor_type
        if kind.elem_type not in (self._onnx.TensorProto.FLOAT, self._onnx.TensorProto.DOUBLE):
            raise InputError("an input that is neither float nor double")
        self._batch, *shape = [d.dim_value for d in kind.shape.dim] or [0, 0]
        self._flat = len(shape) == 1
        if not shape or (not self._flat and 0 in shape):
            raise InputError(f"an input of {counted(1 + len(shape), 'dimension')}")
        self._chain = ChainBuilder(int(np.prod(shape)) or None)

    def chain(self) -> DenseChain:
        """Return the chain."""
        tensor, end = self._input, self._graph.output.name
        for _ in range(len(self._graph.nodes)):
            if tensor == end:
                break
            tensor = self._step(tensor)
        if tensor != end or not self._flat:
            raise InputError("a loop or a gap")
        self._graph.require_all_taken()
        return self._chain.chain()

    def _step(self, tensor: str) -> str:
        """Take the operators that use ``tensor``; return the next tensor of the chain."""
        users = self._graph.users.get(tensor, [])
        alone = len(users) == 1 and users[0].op_type in _TAKEN  # no formula begins like that
        found = None if alone else self._graph.activation_after(tensor)
        if found is not None:
            self._chain.activate(found[0])
            return found[1]
        if len(users) != 1:
            kinds = sorted(n.op_type for n in users)
            raise InputError(f"{', '.join(kinds) or 'nothing'} after {tensor!r}")
        node = users[0]
        if node.op_type == "Gelu":
            raise InputError("the operator Gelu in its exact form; the tanh form is read")
        if node.op_type not in _TAKEN:
            raise InputError(f"the operator {node.op_type}")
        getattr(self, f"_{node.op_type.lower()}")(node, tensor)
        self._graph.take(node)
        return str(node.output[0])

    # ---- one operator each ----------------------------------------------------------------------

    def _identity(self, node: Any, tensor: str) -> None:
        pass

    def _cast(self, node: Any, tensor: str) -> None:
        kinds = (self._onnx.TensorProto.FLOAT, self._onnx.TensorProto.DOUBLE)
        if self._graph.settings(node).get("to") not in kinds:
            raise InputError("a Cast to another type than float or double")

    def _dropout(self, node: Any, tensor: str) -> None:
        training = (
            len(node.input) > 2 and node.input[2] and self._graph.constant(node.input[2]).any()
        )
        if training or any(self._graph.users.get(name) for name in node.output[1:]):
            raise InputError("a Dropout in training")

    def _flatten(self, node: Any, tensor: str) -> None:
        if self._graph.settings(node).get("axis", 1) not in ((1, -1) if self._flat else (1,)):
            raise InputError("a Flatten of the samples")
        self._flat = True

    def _reshape(self, node: Any, tensor: str) -> None:
        shape = [int(v) for v in self._graph.constant(node.input[1]).ravel()]
        width = self._chain.width
        rows = shape[0] in (0, -1) or 0 < shape[0] == self._batch
        same = len(shape) == 2 and (
            shape[1] == width
            or (shape[1] == -1 and shape[0] != -1)
            or (shape[1] == 0 and self._flat)
        )
        if not (rows and same) or self._graph.settings(node).get("allowzero", 0):
            raise InputError(f"a Reshape to {shape}")
        self._flat = True

    def _gemm(self, node: Any, tensor: str) -> None:
        settings = self._graph.settings(node)
        if settings.get("transA", 0) or node.input[0] != tensor:
            raise InputError("a Gemm of a transposed input")
        W = self._graph.matrix(node.input[1])
        W = settings.get("alpha", 1.0) * (W if settings.get("transB", 0) else W.T)
        b = self._vector(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
        self._dense(W, settings.get("beta", 1.0) * b)

    def _matmul(self, node: Any, tensor: str) -> None:
        if node.input[0] != tensor:
            raise InputError("a MatMul of a transposed input")
        self._dense(self._graph.matrix(node.input[1]).T, np.zeros(1))

    def _dense(self, W: Array, b: Array) -> None:
        if not self._flat:
            raise InputError("a layer along the last of several dimensions")
        self._chain.dense(W, b)

    def _add(self, node: Any, tensor: str) -> None:
        self._chain.add(self._other(node, tensor))

    def _sub(self, node: Any, tensor: str) -> None:
        values = self._other(node, tensor)
        if node.input[0] == tensor:
            self._chain.add(-values)
        else:
            self._chain.multiply(-np.ones(1))
            self._chain.add(values)

    def _mul(self, node: Any, tensor: str) -> None:
        self._chain.multiply(self._other(node, tensor))

    def _div(self, node: Any, tensor: str) -> None:
        if node.input[0] != tensor:
            raise InputError("a division by the network")
        self._chain.divide(self._other(node, tensor))

    def _neg(self, node: Any, tensor: str) -> None:
        self._chain.multiply(-np.ones(1))

    def _batchnormalization(self, node: Any, tensor: str) -> None:
        settings = self._graph.settings(node)
        if settings.get("training_mode", 0) or len(node.output) > 1 or node.input[0] != tensor:
            raise InputError("a BatchNormalization in training")
        factor, offset, mean, variance = (self._vector(name) for name in node.input[1:5])
        self._chain.add(-mean)
        self._chain.multiply(factor / np.sqrt(variance + settings.get("epsilon", 1e-5)))
        self._chain.add(offset)

    def _scaler(self, node: Any, tensor: str) -> None:
        settings = self._graph.settings(node)
        if node.domain != "ai.onnx.ml" or not self._flat:
            raise InputError(f"the operator Scaler of {node.domain or 'ONNX itself'}")
        self._chain.add(-np.array(settings.get("offset", [0.0]), dtype=float))
        self._chain.multiply(np.array(settings.get("scale", [1.0]), dtype=float))

    def _clip(self, node: Any, tensor: str) -> None:
        settings = self._graph.settings(node)
        limits = []
        for position, name, default in ((1, "min", -np.inf), (2, "max", np.inf)):
            limits.append(np.array([settings.get(name, default)], dtype=float))
            if len(node.input) > position and node.input[position]:
                limits[-1] = self._vector(node.input[position], finite=False)
        self._chain.clip(*limits)

    def _max(self, node: Any, tensor: str) -> None:
        self._chain.clip(self._other(node, tensor, finite=False), np.array([np.inf]))

    def _min(self, node: Any, tensor: str) -> None:
        self._chain.clip(np.array([-np.inf]), self._other(node, tensor, finite=False))

    def _other(self, node: Any, tensor: str, finite: bool = True) -> Array:
        """Return the constant operand of a sum or product."""
        names = [name for name in node.input if name != tensor]
        if len(node.input) != 2 or len(names) != 1:
            raise InputError(
                f"{node.op_type} of {counted(len(node.input), 'operand')}, {tensor!r} among them"
            )
        return self._vector(names[0], finite)

    def _vector(self, name: str, finite: bool = True) -> Array:
        """Return one number per entry of a sample, or one for all."""
        array = self._graph.constant(name, finite)
        if array.size > 1 and (array.shape[-1] != array.size or array.ndim > 2 or not self._flat):
            raise InputError(f"{name!r} of shape {array.shape}")
        return array.reshape(-1)


_TAKEN = frozenset([
    "Identity", "Cast", "Dropout", "Flatten", "Reshape", "Gemm", "MatMul", "Add", "Sub", "Mul",
    "Div", "Neg", "BatchNormalization", "Scaler", "Clip", "Max", "Min",
])  # fmt: skip
