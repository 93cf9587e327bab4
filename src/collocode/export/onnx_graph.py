"""An ONNX graph by its names: who makes a tensor, who uses it, constants, formulas of activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from ..errors import InputError
from ..model.activations import ACTIVATIONS
from ..numerics import Array
from .onnx import activation_nodes

LARGEST = 2**28  # bytes of a constant
_CONSTANT = (
    "Constant",
    "Identity",
    "Cast",
    "Transpose",
)  # understood where the operands are constants
_LONGEST = 24  # operators of an activation's formula, at most


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

    nonlinear = {name: phi for name, phi in ACTIVATIONS.items() if name != "linear"}
    known = [(name, activation_nodes(phi, None, emit)) for name, phi in nonlinear.items()]
    known += [
        (name, _Pattern(phi.operator, (None,), phi.attributes))
        for name, phi in nonlinear.items()
        if phi.operator and not phi.native
    ]
    # as PyTorch and Keras write them; beyond 20 softplus is its argument to 3e-9
    switch = emit("Where", emit("Greater", None, 20.0), None, emit("Softplus", None))
    known.append(("softplus", switch))
    for cube in (emit("Pow", None, 3.0), emit("Mul", None, emit("Mul", None, None))):
        inner = emit("Add", None, emit("Mul", 0.044715, cube))
        root = float(np.sqrt(2.0 / np.pi))
        part = emit("Add", 1.0, emit("Tanh", emit("Mul", root, inner)))
        forms = [
            emit("Mul", 0.5, emit("Mul", None, part)),
            emit("Mul", None, emit("Mul", 0.5, part)),
            emit("Mul", emit("Mul", 0.5, None), part),
        ]
        known += [("gelu", form) for form in forms]
    return tuple(known)


class OnnxGraph:
    """A graph of one input and one output; it remembers which operators were understood.

    Raises
    ------
    InputError
        What it has, for a message: more inputs or outputs, old or foreign operators.
    """

    def __init__(self, onnx: Any, model: Any) -> None:
        self.onnx, graph = onnx, model.graph
        opsets = {o.domain: o.version for o in model.opset_import}
        if opsets.get("", opsets.get("ai.onnx", 1)) < 7:
            raise InputError("operators of before opset 7, which broadcast otherwise")
        self.nodes = graph.node
        self.users: dict[str, list[Any]] = {}
        self._producers: dict[str, Any] = {}
        self._initializers = {t.name: t for t in graph.initializer}
        self._taken: set[str] = set()  # first outputs of the operators that were understood
        for node in self.nodes:
            if node.domain not in ("", "ai.onnx") and node.op_type != "Scaler":
                raise InputError(f"the operator {node.op_type} of {node.domain}")
            self._producers |= dict.fromkeys(node.output, node)
            for name in set(node.input):
                self.users.setdefault(name, []).append(node)
        inputs = [v for v in graph.input if v.name not in self._initializers]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise InputError("more than one input or output")
        self.input, self.output = inputs[0], graph.output[0]

    @property
    def single(self) -> bool:
        """Whether some number of the file has single precision."""
        constants = [*self._initializers.values()]
        constants += [a.t for n in self.nodes if n.op_type == "Constant" for a in n.attribute]
        kinds = {t.data_type for t in constants} | {self.input.type.tensor_type.elem_type}
        kinds |= {self.settings(n).get("to") for n in self.nodes if n.op_type == "Cast"}
        operators = {
            n.op_type for n in self.nodes
        }  # of which two compute in single precision anyway
        return bool(operators & {"Scaler", "Gelu"}) or self.onnx.TensorProto.FLOAT in kinds

    def take(self, node: Any) -> None:
        """Remember that an operator was understood."""
        self._taken.add(node.output[0])

    def require_all_taken(self) -> None:
        """Refuse operators that were not understood; constants may stand idle."""
        for node in self.nodes:
            if node.op_type != "Constant" and node.output[0] not in self._taken:
                raise InputError(f"the operator {node.op_type} beside the chain")

    def settings(self, node: Any) -> dict[str, Any]:
        """Return the attributes of an operator."""
        return {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}

    def matrix(self, name: str) -> Array:
        """Return a constant of two axes."""
        array = self.constant(name)
        if array.ndim != 2:
            raise InputError(f"{name!r} of shape {array.shape}")
        return array

    def constant(self, name: str, finite: bool = True) -> Array:
        """Return a constant, checked."""
        tensor = self._initializers.get(name)
        if tensor is None:
            node = self._producers.get(name)
            if node is None or node.op_type not in _CONSTANT:
                raise InputError(f"the tensor {name!r}, which is no constant")
            self._taken.add(node.output[0])
            settings = self.settings(node)
            if node.op_type == "Constant":
                (kind, tensor), *_ = settings.items()
                if kind != "value":
                    tensor = self.onnx.numpy_helper.from_array(np.array(tensor, dtype=float))
            else:
                inner = self.constant(node.input[0], finite)
                return (
                    inner.transpose(settings.get("perm")) if node.op_type == "Transpose" else inner
                )
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise InputError("weights in another file")
        if int(np.prod([float(d) for d in tensor.dims])) * 4 > LARGEST:
            raise InputError("weights larger than the file")
        array = np.asarray(self.onnx.numpy_helper.to_array(tensor), dtype=float)
        if not array.size:
            raise InputError(f"{name!r} of shape {array.shape}")
        if np.isnan(array).any() or (finite and np.isinf(array).any()):
            raise InputError(f"{name!r} with values that are not finite")
        return array

    def activation_after(self, tensor: str) -> tuple[str, str] | None:
        """Return the activation that is applied to ``tensor``, if one is, and its result's name."""
        for name, pattern in _patterns():
            end = self._end_of(pattern, tensor)
            if end is not None:
                return name, end
        return None

    def _end_of(self, pattern: _Pattern, tensor: str) -> str | None:
        """Return the result of the operators after ``tensor`` if they are those of the pattern."""
        for last in self._after(tensor):
            if last.op_type != pattern.operator:
                continue
            taken: set[str] = set()
            if not self._matches(pattern, last.output[0], tensor, taken):
                continue
            inner = {tensor, *taken} - {last.output[0]}
            users = [n for name in inner for n in self.users.get(name, [])]
            if all(n.output[0] in taken for n in users):  # nothing else uses what is inside
                self._taken |= taken
                return str(last.output[0])
        return None

    def _after(self, tensor: str) -> list[Any]:
        """Return the next operators after ``tensor``, as many as a formula may have."""
        found: list[Any] = []
        names = [tensor]
        while names and len(found) < _LONGEST:
            for node in self.users.get(names.pop(0), [])[:_LONGEST]:
                if not any(node is known for known in found):
                    found.append(node)
                    names += node.output
        return found

    def _matches(self, pattern: Any, name: str, tensor: str, taken: set[str]) -> bool:
        """Whether ``name`` is computed from ``tensor`` as the pattern says; note what is on the way."""
        if pattern is None:
            return name == tensor
        if isinstance(pattern, float):
            return self._is_number(name, pattern, taken)
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

    def _is_number(self, name: str, number: float, taken: set[str]) -> bool:
        """Whether ``name`` is a constant of that value."""
        try:
            values = self.constant(name)
        except InputError:
            return False
        if name in self._producers:
            taken.add(name)
        return values.size == 1 and bool(np.isclose(values.item(), number, rtol=1e-6, atol=0.0))

    def _attributes(self, node: Any, pattern: _Pattern) -> bool:
        """Whether the node has the pattern's attributes; ONNX's default stands for an absent one."""
        value_of = self.onnx.helper.get_attribute_value
        given = self.settings(node)
        for name, wanted in pattern.attributes.items():
            default = self.onnx.defs.get_schema(node.op_type).attributes[name].default_value
            value = given.get(name, value_of(default))
            if (value.decode() if isinstance(value, bytes) else value) != wanted:
                return False
        return True
