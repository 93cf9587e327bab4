r"""Trained networks as ONNX files, and back.

Written: opset 17, one input ``z`` of shape (N, inputs), one output ``y`` of shape (N, outputs), and
the operators Sub, Mul, Gemm, Min and Add of clipped or shifted units, and what the activation needs: its own operator, or, where opset 17 or
onnxruntime in double precision lacks that, its formula (a softplus is max(a, 0) + log(1 + exp(−|a|))).
Numbers are float64, or float32 on request.

Read: chains of layers (Gemm, or MatMul and Add) with one activation, as PyTorch, Keras and this
module write them.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from ..checks import check_choice, installed
from ..errors import InputError
from ..files import replacing
from ..model.activations import Activation, Operations, activation
from ..numerics import Array
from ..results.doors import network_of
from ..results.model import TrainedModel
from ..results.network import TrainedNetwork
from ..results.solution import Solution
from .dense_chain import DenseChain

OPSET, IR_VERSION = 17, 8


@dataclass(frozen=True)
class OnnxFile:
    """What was written.

    Attributes
    ----------
    path, opset, dtype : the file, its operator set and its number type.
    error : largest difference from the network itself at 1000 random inputs, by onnxruntime where
        it is installed and else by ONNX's own reference evaluator.
    """

    path: Path
    opset: int
    dtype: str
    error: float


def onnx_package() -> Any:
    """Return ``onnx``.

    Raises
    ------
    MissingDependency
        If it is not installed.
    """
    with installed("ONNX", "exchange"):
        import onnx
    return onnx


@runtime_checkable
class Chained(Protocol):
    """A network that is a chain of dense layers, as a `relu.ReluNetwork` is."""

    def chain(self) -> DenseChain:
        """Return the chain."""
        ...

    def __call__(self, x: ArrayLike) -> Array:
        """Evaluate at x, (samples, inputs)."""
        ...


def write_onnx(
    network: TrainedNetwork | TrainedModel | Solution | Chained,
    path: str | Path,
    dtype: str = "float64",
) -> OnnxFile:
    """Write a trained network as an ONNX file.

    Parameters
    ----------
    network : as ``solution.network()`` returns it, or a `relu.ReluNetwork`.
    dtype : ``float64`` or ``float32``.

    Raises
    ------
    InputError
        Another dtype, or an activation for which ONNX has no operators.
    FileError
        The folder cannot be written.
    MissingDependency
        ``onnx`` is not installed.
    """
    evaluated: Callable[..., Any]
    if isinstance(network, Chained) and not isinstance(network, type):
        evaluated, chain = network, network.chain()
    else:
        evaluated = trained = network_of("write_onnx", network)
        chain = DenseChain.of(trained)
    check_choice("dtype", dtype, ("float64", "float32"))
    onnx = onnx_package()
    target = Path(path)
    graph = _Graph(onnx, dtype)
    _build(graph, chain)
    model = graph.model(chain)
    onnx.checker.check_model(model)
    content = model.SerializeToString(deterministic=True)
    with replacing(target) as (aside,):
        aside.write_bytes(content)
    unit = np.random.default_rng(0).normal(size=(1000, len(chain.shift)))
    z = chain.shift + chain.scale * unit
    difference = evaluate(content, z) - evaluated(z.astype(dtype).astype(float))
    return OnnxFile(target, OPSET, dtype, float(np.abs(difference).max()))


def evaluate(model: bytes, z: Array) -> Array:
    """Evaluate a serialized model at one input per row, in batches where its size is fixed."""
    onnx = onnx_package()
    proto: Any = onnx.load_model_from_string(model)
    entry = proto.graph.input[0]
    kind = onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type)
    run = _runtime(model)
    if run is None:
        from onnx.reference import ReferenceEvaluator

        run = ReferenceEvaluator(proto).run
    batch, *shape = [d.dim_value for d in entry.type.tensor_type.shape.dim] or [0]
    shape = shape if len(shape) > 1 else [z.shape[1]]
    rows = np.resize(z, (-(-len(z) // batch) * batch, z.shape[1])) if batch else z
    parts = [
        run(None, {str(entry.name): part.reshape(-1, *shape).astype(kind)})[0]
        for part in (np.split(rows, len(rows) // batch) if batch else [rows])
    ]
    return np.concatenate(parts).reshape(len(rows), -1)[: len(z)].astype(np.float64)


def _runtime(model: bytes) -> Any:
    """Return onnxruntime's function of a model, None where it is missing or cannot load it.

    It lacks some operators in double precision, and fails to fuse others.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 4  # its complaints are those of its exceptions
    try:
        return onnxruntime.InferenceSession(model, settings, ["CPUExecutionProvider"]).run
    except Exception:  # its classes have no base of their own
        return None


class _Graph:
    """Nodes and constants, appended one after the other."""

    def __init__(self, onnx: Any, dtype: str) -> None:
        self._onnx, self._dtype = onnx, np.dtype(dtype)
        self._kind = onnx.helper.np_dtype_to_tensor_dtype(self._dtype)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._numbers: dict[float, str] = {}

    def constant(self, name: str, values: Any) -> str:
        """Add a constant; return its name."""
        array = np.asarray(values, dtype=float).astype(self._dtype)
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def number(self, value: float) -> str:
        """Add a number once; return its name."""
        if value not in self._numbers:
            self._numbers[value] = self.constant(f"number{len(self._numbers)}", value)
        return self._numbers[value]

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        output = f"{operator.lower()}{len(self._nodes)}"
        made = self._onnx.helper.make_node(operator, list(inputs), [output], output, **attributes)
        self._nodes.append(made)
        return output

    def model(self, chain: DenseChain) -> Any:
        """Return the model; the last node's output is ``y``."""
        helper = self._onnx.helper
        self._nodes[-1].output[0] = "y"
        sizes = [len(chain.shift), *(len(layer.b) for layer in chain.layers)]
        made = helper.make_model(
            helper.make_graph(
                self._nodes,
                "network",
                [helper.make_tensor_value_info("z", self._kind, ["N", sizes[0]])],
                [helper.make_tensor_value_info("y", self._kind, ["N", sizes[-1]])],
                self._constants,
            ),
            producer_name="collocode",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        note = {"sizes": sizes, "activation": chain.layers[0].activation}
        helper.set_model_props(made, {"collocode": json.dumps(note)})
        return made


def _build(graph: _Graph, chain: DenseChain) -> None:
    a = "z"
    if chain.shift.any():
        a = graph.node("Sub", a, graph.constant("shift", chain.shift))
    if (chain.scale != 1.0).any():
        a = graph.node("Mul", a, graph.constant("scale", 1.0 / chain.scale))
    for number, layer in enumerate(chain.layers, start=1):
        names = graph.constant(f"W{number}", layer.W), graph.constant(f"b{number}", layer.b)
        a = graph.node("Gemm", a, *names, transB=1)
        a = _activation(graph, layer.activation, a)
        if layer.level is not None:
            a = graph.node("Min", a, graph.constant(f"level{number}", layer.level))
    if (chain.output_scale != 1.0).any():
        a = graph.node("Mul", a, graph.constant("output_scale", chain.output_scale))
    if chain.output_shift.any():
        graph.node("Add", a, graph.constant("output_shift", chain.output_shift))


Emit = Callable[..., Any]  # (operator, *operands, **attributes) -> what stands for the result


@dataclass(frozen=True)
class _Value:
    """A tensor of a graph under construction, with arithmetic."""

    emit: Emit
    handle: Any

    def _with(self, operator: str, *others: Any, swapped: bool = False) -> _Value:
        operands = [o.handle if isinstance(o, _Value) else float(o) for o in others]
        pair = [*operands, self.handle] if swapped else [self.handle, *operands]
        return _Value(self.emit, self.emit(operator, *pair))

    def __add__(self, other: Any) -> _Value:
        return self._with("Add", other)

    def __radd__(self, other: Any) -> _Value:
        return self._with("Add", other, swapped=True)

    def __sub__(self, other: Any) -> _Value:
        return self._with("Sub", other)

    def __mul__(self, other: Any) -> _Value:
        return self._with("Mul", other)

    def __rmul__(self, other: Any) -> _Value:
        return self._with("Mul", other, swapped=True)

    def __neg__(self) -> _Value:
        return self._with("Neg")


class _OnnxOperations(Operations):
    """The namespace of ONNX operators that onnxruntime has in double precision."""

    def sigmoid(self, a: _Value) -> _Value:
        """ONNX has one of its own."""
        return a._with("Sigmoid")


def activation_nodes(phi: Activation, a: Any, emit: Emit) -> Any:
    """Write φ(a) by ``emit``: its operator where that is native, else its formula.

    Raises
    ------
    InputError
        The formula uses what ONNX has no operator for.
    """
    if phi.operator and phi.native:
        return emit(phi.operator, a, **phi.attributes)

    def refuse(*_: Any) -> Any:
        raise InputError(
            f"ONNX has no operators for the activation {phi.name!r}; choose another, or export "
            "the weights."
        )

    def maximum(a: _Value, b: Any) -> _Value:
        return a._with("Max", b) if b else a._with("Relu")

    operations = _OnnxOperations(
        name="onnx",
        tanh=lambda v: v._with("Tanh"),
        exp=lambda v: v._with("Exp"),
        log=lambda v: v._with("Log"),
        sqrt=lambda v: v._with("Sqrt"),
        absolute=lambda v: v._with("Abs"),
        cosh=refuse,
        maximum=maximum,
        matrix=refuse,
    )
    return (phi.values or phi.formula)(_Value(emit, a), operations).handle


def _activation(graph: _Graph, name: str, a: str) -> str:
    def emit(operator: str, *operands: Any, **attributes: Any) -> str:
        names = [graph.number(o) if isinstance(o, float) else o for o in operands]
        return graph.node(operator, *names, **attributes)

    return str(activation_nodes(activation(name), a, emit))
