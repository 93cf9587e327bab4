r"""Chains of affine maps and activations, folded into dense layers.

.. math:: v_0 = (x - m)/s,\quad v_l = \varphi_l(W_l v_{l-1} + b_l),\quad y = m_y + s_y (W_L v_{L-1} + b_L)

A reader of foreign files calls `ChainBuilder` once for each operator, in their order.  Products and sums
with constants are folded exactly wherever they stand: those before the first layer and after the last one
stay outside, where they keep the numbers inside near one; all others go into the nearest layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..checks import counted
from ..errors import InputError
from ..model.network import MLP
from ..numerics import Array
from ..results.network import TrainedNetwork


@dataclass(frozen=True, eq=False)
class DenseLayer:
    """W v + b and an activation; ``level`` is where a ``relu`` is cut off above, None for nowhere."""

    W: Array
    b: Array
    activation: str = "linear"
    level: Array | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseChain:
    """Dense layers between two diagonal affine maps; no scale is zero.

    Attributes
    ----------
    layers : the last one has the activation ``linear``.
    shift, scale : (inputs,) the first layer sees (x - shift)/scale.
    output_shift, output_scale : (outputs,) what becomes of the last layer's result.
    """

    layers: tuple[DenseLayer, ...]
    shift: Array
    scale: Array
    output_shift: Array
    output_scale: Array

    @classmethod
    def of(cls, trained: TrainedNetwork) -> DenseChain:
        """Return the chain that a network is."""
        network = trained.network
        layers = [
            DenseLayer(W, b, network.activation) for W, b in network.matrices(trained.weights)
        ]
        layers[-1] = replace(layers[-1], activation="linear")
        inputs, outputs = network.sizes[0], network.sizes[-1]
        return cls(
            layers=tuple(layers),
            shift=np.array(network.shift or np.zeros(inputs)),
            scale=np.array(network.scale or np.ones(inputs)),
            output_shift=np.zeros(outputs),
            output_scale=np.array(network.output_scale or np.ones(outputs)),
        )

    def magnitude(self, x: Array) -> Array:
        """Bound the numbers on the way from x, (samples, inputs), to the output: what rounding is of."""
        v = (np.abs(x) + np.abs(self.shift)) / np.abs(self.scale)
        for layer in self.layers:
            v = 1.0 + v @ np.abs(layer.W).T + np.abs(layer.b)
        return np.asarray(np.abs(self.output_shift) + np.abs(self.output_scale) * v)

    def merged(self) -> DenseChain:
        """Return the chain with layers that no activation parts multiplied into one."""
        found: list[DenseLayer] = []
        for layer in self.layers:
            if found and found[-1].activation == "linear":
                W, b = found[-1].W, found.pop().b
                layer = replace(layer, W=layer.W @ W, b=layer.W @ b + layer.b)
            found.append(layer)
        return replace(self, layers=tuple(found))

    def to_mlp(self) -> TrainedNetwork:
        """Return the chain as a network with one activation.

        Raises
        ------
        InputError
            Different activations, or clipped units.
        """
        names = sorted({layer.activation for layer in self.layers} - {"linear"})
        if len(names) > 1:
            raise InputError(f"the activations {', '.join(names)} side by side")
        if any(layer.level is not None for layer in self.layers):
            raise InputError("clipped units, which relu.ReluNetwork.from_onnx reads")
        chain = self.merged() if names else self
        layers = [(layer.W, layer.b) for layer in chain.layers]
        W, b = layers[-1]
        layers[-1] = (W, b + self.output_shift / self.output_scale)

        def unless(neutral: float, values: Array) -> tuple[float, ...]:
            return tuple(values.tolist()) if (values != neutral).any() else ()

        network = MLP(
            (layers[0][0].shape[1], *(len(b) for _, b in layers)),
            names[0] if names else "linear",
            unless(0.0, self.shift),
            unless(1.0, self.scale),
            unless(1.0, self.output_scale),
        )
        return TrainedNetwork(network, network.vector(list(layers)))


class ChainBuilder:
    """Takes one operator after the other; ``width`` is that of the tensor, None while unknown.

    The tensor is ``factor * base + offset``, where the base is the dense layer under construction or,
    before one begins, the last activation (or the input, whose map is kept as shift and scale).
    """

    def __init__(self, width: int | None) -> None:
        self.width = self._inputs = width
        self._shift, self._scale = np.zeros(1), np.ones(1)
        self._factor, self._offset = np.ones(1), np.zeros(1)
        self._dense: tuple[Array, Array] | None = None
        self._layers: list[DenseLayer] = []

    def add(self, values: Array) -> None:
        """Add constants, one per entry or one for all."""
        self._fit(values)
        if self._at_input:
            self._shift = self._shift - values * self._scale
        elif self._dense is not None and (self._factor == 1.0).all() and not self._offset.any():
            W, b = self._dense
            self._dense = W, b + values
        else:
            self._offset = self._offset + values

    def multiply(self, values: Array) -> None:
        """Multiply by constants, one per entry or one for all."""
        self._fit(values)
        if self._at_input and (values != 0.0).all():
            self._scale = self._scale / values
            return
        if self._at_input:
            self._open()
        self._factor, self._offset = self._factor * values, self._offset * values

    def divide(self, values: Array) -> None:
        """Divide by constants, one per entry or one for all.

        Raises
        ------
        InputError
            One of them is zero.
        """
        self._fit(values)
        if not (values != 0.0).all():
            raise InputError("a division by zero")
        if self._at_input:
            self._scale = self._scale * values
        else:
            self._factor, self._offset = self._factor / values, self._offset / values

    def dense(self, W: Array, b: Array) -> None:
        """Apply W v + b.

        Raises
        ------
        InputError
            Columns or entries that do not fit.
        """
        if self.width not in (None, W.shape[1]) or b.shape not in ((1,), (len(W),)):
            raise InputError(f"a layer of shape {W.shape} for {self.width} entries")
        if self._at_input:
            self._inputs = W.shape[1]
        elif self._dense is None:
            b = b + W @ np.broadcast_to(self._offset, (W.shape[1],))
            W = W * self._factor
        else:
            self._close("linear")
        self._dense = W, np.broadcast_to(b, (len(W),)).astype(float)
        self._factor, self._offset = np.ones(1), np.zeros(1)
        self.width = len(W)

    def activate(self, name: str, level: Array | None = None) -> None:
        """Apply an activation; a ``relu`` may have a level at which it is cut off."""
        if name == "relu" and level is None and self._after_relu:
            return
        self._open()
        self._close(name, level)

    def clip(self, low: Array, high: Array) -> None:
        """Apply min(max(v, low), high), by units max(v, 0) and affine maps.

        Raises
        ------
        InputError
            Limits that cross or are infinite for some entries only.
        """
        self._fit(low)
        self._fit(high)
        if not (low < high).all():
            raise InputError("a Clip whose limits cross")
        below, above = np.isfinite(low), np.isfinite(high)
        if self._after_relu and (low <= 0.0).all() and (high > 0.0).all():
            last = self._layers[-1]  # ReLU6 as a ReLU and then a Clip, or a Min
            level = np.minimum(high, np.inf if last.level is None else last.level)
            level = np.broadcast_to(level, last.b.shape)
            self._layers[-1] = replace(last, level=level)
        elif below.all():
            level = high - low
            self.add(-low)
            self.activate("relu", None if np.isposinf(high).all() else level)
            self.add(low)
        elif above.all() and not below.any():  # min(v, c) = c - max(c - v, 0)
            self.multiply(-np.ones(1))
            self.add(high)
            self.activate("relu")
            self.multiply(-np.ones(1))
            self.add(high)
        elif below.any() or above.any():
            raise InputError("a Clip of some entries only")

    def chain(self) -> DenseChain:
        """Return what has been built."""
        self._open()
        assert self._dense is not None
        W, b = self._dense
        outputs, inputs = len(b), self._layers[0].W.shape[1] if self._layers else W.shape[1]
        factor, offset = (
            np.broadcast_to(self._factor, b.shape),
            np.broadcast_to(self._offset, b.shape),
        )
        if (factor == 0.0).any():
            W, b, factor = factor[:, None] * W, factor * b, np.ones(outputs)
        return DenseChain(
            layers=(*self._layers, DenseLayer(W, b)),
            shift=np.broadcast_to(self._shift, (inputs,)),
            scale=np.broadcast_to(self._scale, (inputs,)),
            output_shift=offset,
            output_scale=factor,
        )

    @property
    def _at_input(self) -> bool:
        return self._dense is None and not self._layers

    @property
    def _after_relu(self) -> bool:
        """Whether the tensor is what a ``relu`` returned, unchanged."""
        fresh = self._dense is None and (self._factor == 1.0).all() and not self._offset.any()
        return bool(self._layers) and bool(fresh) and self._layers[-1].activation == "relu"

    def _fit(self, values: Array) -> None:
        """Check the length of constants; it tells the width where that is unknown."""
        if len(values) > 1 and self.width is None:
            self.width = self._inputs = len(values)
        if len(values) not in (1, self.width):
            raise InputError(
                f"{counted(len(values), 'constant')} for {self.width or 'unknown'} entries"
            )

    def _open(self) -> None:
        """Begin a diagonal layer where there is none: an activation needs one before it."""
        if self._dense is None:
            if self.width is None:
                raise InputError("an unknown number of inputs")
            self._dense = np.eye(self.width), np.zeros(self.width)

    def _close(self, name: str, level: Array | None = None) -> None:
        """End the layer under construction by an activation."""
        assert self._dense is not None
        W, b = self._dense
        factor = np.broadcast_to(self._factor, b.shape)
        W, b = factor[:, None] * W, factor * b + self._offset
        self._layers.append(
            DenseLayer(W, b, name, None if level is None else np.broadcast_to(level, b.shape))
        )
        self._dense, self._factor, self._offset = None, np.ones(1), np.zeros(1)
