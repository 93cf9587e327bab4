"""Trained ReLU networks, plain or clipped, as frozen arrays.

The affine maps outside (``input_shift``, ...) keep the numbers inside near one, where tolerances of
MIP solvers mean what they say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..archives import Schema
from ..checks import counted
from ..errors import InputError
from ..export.dense_chain import DenseChain, DenseLayer
from ..export.onnx_read import read_network
from ..forms import Numbers
from ..model.network import MLP
from ..numerics import Array
from . import readers
from .readers import broadcast_vector, finite_array

_VECTOR = Numbers(("n",), finite=True)
RELU_NETWORK = Schema(
    "relu network",
    1,
    "a ReLU network",
    {
        "weights": [Numbers(("rows", "columns"), finite=True)],
        "biases": [_VECTOR],
        "clip": [(Numbers(("n",)), None)],
        "input_shift": Numbers(("inputs",), finite=True),
        "input_scale": Numbers(("inputs",), finite=True),
        "output_shift": Numbers(("outputs",), finite=True),
        "output_scale": Numbers(("outputs",), finite=True),
    },
    largest=2**28,
)


@dataclass(frozen=True, eq=False, repr=False)
class ReluNetwork:
    r"""A fully connected network of (clipped) ReLU units with a linear read-out.

    .. math:: a_l = W_l v_{l-1} + b_l,\quad v_l = \min(\max(a_l, 0), c_l),\quad
              y = m_y + s_y a_L,\quad v_0 = (x - m)/s

    Parameters
    ----------
    weights : one (rows, columns) array per layer, read-out included.
    biases : one (rows,) array per layer.
    clip : for every hidden layer the upper levels (rows,), a number for all its units, or None;
        ``inf`` is a plain ReLU.  Empty: no layer is clipped.
    input_shift, input_scale : (inputs,) or a number; the network sees (x - shift)/scale.
    output_shift, output_scale : (outputs,) or a number; the user sees shift + scale * output.

    Raises
    ------
    InputError
        Shapes that do not fit, values that are not finite, a clip level or a scale not positive.

    Examples
    --------
    >>> absolute = ReluNetwork(([[1.0], [-1.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    >>> absolute([-3.0]), absolute.sizes
    (array([3.]), (1, 2, 1))
    >>> absolute([[-3.0], [0.5]])
    array([[3. ], [0.5]])
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    _: KW_ONLY
    clip: tuple[Array | None, ...] = ()
    input_shift: Array = 0.0  # type: ignore[assignment]
    input_scale: Array = 1.0  # type: ignore[assignment]
    output_shift: Array = 0.0  # type: ignore[assignment]
    output_scale: Array = 1.0  # type: ignore[assignment]

    def __post_init__(self) -> None:
        weights = tuple(finite_array(W, f"W{i}", 2) for i, W in enumerate(self.weights, 1))
        biases = tuple(finite_array(b, f"b{i}", 1) for i, b in enumerate(self.biases, 1))
        if not weights or len(weights) != len(biases):
            raise InputError(
                f"a network needs a bias vector for each weight matrix, but there are "
                f"{counted(len(weights), 'matrix', 'matrices')} and {counted(len(biases), 'vector')}."
            )
        for i, (W, b) in enumerate(zip(weights, biases, strict=True), 1):
            if W.shape[0] != len(b):
                raise InputError(
                    f"W{i} has {counted(W.shape[0], 'row')}, but b{i} has {counted(len(b), 'entry', 'entries')}."
                )
            if i > 1 and W.shape[1] != len(biases[i - 2]):
                raise InputError(
                    f"W{i} has {counted(W.shape[1], 'column')}, but layer {i - 1} has {counted(len(biases[i - 2]), 'unit')}."
                )
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "biases", biases)
        object.__setattr__(self, "clip", self._levels())
        for name, size in (("input", self.inputs), ("output", self.outputs)):
            for part in ("shift", "scale"):
                value = broadcast_vector(getattr(self, f"{name}_{part}"), f"{name}_{part}", size)
                object.__setattr__(self, f"{name}_{part}", value)
            if (getattr(self, f"{name}_scale") <= 0.0).any():
                raise InputError(f"{name}_scale must be positive in every entry.")

    def _levels(self) -> tuple[Array | None, ...]:
        hidden = self.sizes[1:-1]
        given = tuple(self.clip) or (None,) * len(hidden)
        if len(given) != len(hidden):
            raise InputError(
                f"clip has {counted(len(given), 'entry', 'entries')}, but the network has {counted(len(hidden), 'hidden layer')}."
            )
        levels: list[Array | None] = []
        for i, (level, width) in enumerate(zip(given, hidden, strict=True), 1):
            if level is None:
                levels.append(None)
                continue
            values = broadcast_vector(level, f"the clip of layer {i}", width, finite=False)
            if not (values > 0.0).all():  # catches NaN too
                raise InputError(
                    f"the clip levels of layer {i} must be positive (inf for a plain ReLU)."
                )
            levels.append(values if np.isfinite(values).any() else None)
        return tuple(levels)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths from input to output."""
        return (self.weights[0].shape[1], *(len(b) for b in self.biases))

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return int(self.weights[0].shape[1])

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return len(self.biases[-1])

    @property
    def units(self) -> int:
        """Number of hidden units."""
        return sum(self.sizes[1:-1])

    @property
    def clipped(self) -> bool:
        """Whether any unit has a finite upper level."""
        return any(level is not None for level in self.clip)

    def __repr__(self) -> str:
        """Show the widths."""
        return f"ReluNetwork{self.sizes}" + (" with clipped units" if self.clipped else "")

    def __call__(self, x: ArrayLike) -> Array:
        """Evaluate at x, (inputs,) or (samples, inputs); returns (outputs,) or (samples, outputs)."""
        return self.output_shift + self.output_scale * self.pre_activations(x)[-1]

    def pre_activations(self, x: ArrayLike) -> list[Array]:
        """Return a_1, ..., a_L at x, each (units,) or (samples, units); a_L is before the scaling.

        Raises
        ------
        InputError
            Another shape.
        """
        v = np.asarray(x, dtype=float)
        if v.ndim not in (1, 2) or v.shape[-1] != self.inputs:
            raise InputError(
                f"x has shape {v.shape}, but the network has {counted(self.inputs, 'input')}: give "
                f"({self.inputs},) or (samples, {self.inputs})."
            )
        v = (v - self.input_shift) / self.input_scale
        found = []
        for layer, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            found.append(v @ W.T + b)
            if layer < len(self.clip):
                v = self.activated(found[-1], layer)
        return found

    def activated(self, a: Array, layer: int) -> Array:
        """Apply the units of hidden layer ``layer`` (from 0) to pre-activations (..., units)."""
        level = self.clip[layer]
        v = np.maximum(a, 0.0)
        return v if level is None else np.minimum(v, level)

    def level(self, layer: int) -> Array:
        """Return the clip levels of hidden layer ``layer`` (from 0), inf where there is none."""
        level = self.clip[layer]
        return np.full(len(self.biases[layer]), np.inf) if level is None else level

    def core(self) -> ReluNetwork:
        """Return the network between its affine maps: scales one, shifts zero."""
        return ReluNetwork(self.weights, self.biases, clip=self.clip)

    def chain(self) -> DenseChain:
        """Return the network as the chain of dense layers that `write_onnx` writes."""
        levels, hidden = (*self.clip, None), len(self.clip)
        return DenseChain(
            layers=tuple(
                DenseLayer(W, b, "relu" if k < hidden else "linear", level)
                for k, (W, b, level) in enumerate(
                    zip(self.weights, self.biases, levels, strict=True)
                )
            ),
            shift=self.input_shift,
            scale=self.input_scale,
            output_shift=self.output_shift,
            output_scale=self.output_scale,
        )

    def with_clip(self, level: float | Sequence[ArrayLike | None] | None) -> ReluNetwork:
        """Return the same weights with other clip levels: one number for all, or one per layer."""
        alike = level is None or isinstance(level, int | float)
        levels: Any = (level,) * len(self.clip) if alike else tuple(level)  # type: ignore[arg-type]
        return replace(self, clip=levels)

    @classmethod
    def from_mlp(cls, network: MLP, theta: ArrayLike) -> ReluNetwork:
        """Read an `MLP` with activation ``relu`` and its weights; others raise an `InputError`."""
        return cls(**readers.mlp_arrays(network, theta))

    def to_mlp(self) -> tuple[MLP, Array]:
        """Return an equal `MLP` and its weight vector (the output shift goes into the last bias).

        Raises
        ------
        InputError
            Clipped units, which an `MLP` does not have.
        """
        if self.clipped:
            raise InputError("an MLP has no clipped units; keep this network as a ReluNetwork.")
        mlp = MLP(self.sizes, "relu").normalised(
            self.input_shift, self.input_scale, self.output_scale
        )
        last = self.biases[-1] + self.output_shift / self.output_scale
        return mlp, mlp.vector(list(zip(self.weights, (*self.biases[:-1], last), strict=True)))

    @classmethod
    def from_onnx(cls, path: str | Path) -> ReluNetwork:
        """Read an ONNX file of a fully connected ReLU network, clipped or not.

        Raises
        ------
        FileError
            Missing, corrupt, of another structure; another activation than ReLU, named.
        """
        return read_network(path, lambda chain: cls(**readers.chain_arrays(chain)))

    @classmethod
    def from_torch_state(cls, state: Mapping[str, Any], **settings: Any) -> ReluNetwork:
        """Read the ``state_dict()`` of a PyTorch ``Sequential`` of ``Linear`` and ``ReLU``.

        The keys ``*.weight`` and ``*.bias`` are taken in their order; tensors or arrays will do.
        A state does not tell the activation: that it is ReLU is the caller's word.

        Parameters
        ----------
        settings : ``clip``, ``input_shift``, ... as of `ReluNetwork`.

        Raises
        ------
        InputError
            A key that belongs to no linear layer, named; shapes that do not fit.
        """
        return cls(**readers.torch_arrays(state), **settings)

    @classmethod
    def from_sklearn(cls, model: Any) -> ReluNetwork:
        """Read a fitted ``MLPRegressor``, alone or behind scalers.

        ``Pipeline`` of ``StandardScaler`` or ``MinMaxScaler`` and the regressor, and
        ``TransformedTargetRegressor`` with such a scaler, become the affine maps outside.

        Raises
        ------
        InputError
            Not fitted, another activation, another kind of step, named.
        """
        return cls(**readers.sklearn_arrays(model))

    def save(self, path: str | Path) -> None:
        """Write the arrays as ``.npz``; `load` reads them back.

        Raises
        ------
        FileError
            The folder cannot be written.
        """
        RELU_NETWORK.write(path, {entry.name: getattr(self, entry.name) for entry in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> ReluNetwork:
        """Read a file that `save` wrote; nothing in it is executed.

        Raises
        ------
        FileError
            Missing, corrupt or foreign file.
        """
        return RELU_NETWORK.read(path, lambda tree: cls(**tree))
