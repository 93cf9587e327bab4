r"""Multilayer perceptrons as frozen descriptions; the weights are a vector beside them.

.. math:: a_0 = (z - m)/s,\quad a_l = \varphi(W_l a_{l-1} + b_l),\quad
          N(z) = r\,(W_L a_{L-1} + b_L)

with fixed shift `m`, scale `s` and output scale `r` (all ones and zeros unless given).
The vector ``theta`` holds, layer by layer, :math:`W_l` column by column and then :math:`b_l`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import check_choice, counted
from ..errors import InputError
from ..numerics import Array
from ..numerics.random import generator
from .activations import ACTIVATIONS, NUMPY, Operations


@dataclass(frozen=True)
class MLP:
    r"""A fully connected network with one activation and a linear read-out.

    .. math:: a_0 = (z - m)/s,\quad a_l = \varphi(W_l a_{l-1} + b_l),\quad
              N(z) = r\,(W_L a_{L-1} + b_L)

    Parameters
    ----------
    sizes : widths from input to output, at least two, e.g. ``(2, 32, 2)``.
    activation : one of `activation_names`.
    shift, scale : (inputs,) fixed normalisation of the input; empty means none.
    output_scale : (outputs,) fixed factors of the output; empty means none.

    Raises
    ------
    InputError
        Widths that are not positive integers, an unknown activation, wrong lengths.

    Examples
    --------
    >>> network = MLP((2, 32, 2))
    >>> network.n_weights
    162
    >>> network(np.zeros(2), network.initial_weights(seed=0))
    array([0., 0.])
    """

    sizes: tuple[int, ...]
    activation: str = "tanh"
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    output_scale: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        sizes = tuple(self.sizes)
        if len(sizes) < 2 or not all(map(_is_width, sizes)):
            raise InputError(
                f"an MLP needs at least two positive integer widths, such as (2, 32, 2), not {self.sizes!r}."
            )
        object.__setattr__(self, "sizes", tuple(int(n) for n in sizes))
        check_choice("activation", self.activation, ACTIVATIONS)
        first, last = self.sizes[0], self.sizes[-1]
        for name, length in (("shift", first), ("scale", first), ("output_scale", last)):
            given = tuple(float(v) for v in getattr(self, name))
            object.__setattr__(self, name, given)
            if given and len(given) != length:
                raise InputError(
                    f"{name} has {counted(len(given), 'entry', 'entries')}, but the network has {length}."
                )
            if not np.isfinite(given).all() or (name == "scale" and 0.0 in given):
                raise InputError(f"{name} must be finite (and scale not zero), not {given}.")

    @property
    def mlp(self) -> MLP:
        """The network itself; that of a `TimeVarying` one is its network at a time."""
        return self

    @property
    def basis(self) -> None:
        """None: the weights do not vary in time."""
        return None

    @property
    def smoothness(self) -> float:
        """Number of continuous derivatives by inputs and weights: its hidden layers' activation's."""
        return ACTIVATIONS[self.activation].smoothness if len(self.sizes) > 2 else np.inf

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.sizes[0]

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.sizes[-1]

    @property
    def n_weights(self) -> int:
        """Length of the weight vector, biases included."""
        return sum((a + 1) * b for a, b in zip(self.sizes, self.sizes[1:], strict=False))

    def layers(self) -> Iterator[tuple[slice, slice, int, int]]:
        """Yield (slice of W, slice of b, rows, columns) for every layer."""
        start = 0
        for columns, rows in zip(self.sizes, self.sizes[1:], strict=False):
            middle, end = start + rows * columns, start + rows * (columns + 1)
            yield slice(start, middle), slice(middle, end), rows, columns
            start = end

    def __call__(self, z: Any, theta: Any, ops: Operations = NUMPY) -> Any:
        """Evaluate the network.

        Parameters
        ----------
        z : (inputs,) or, one sample a column, (inputs, samples).
        theta : (n_weights,) weights.
        ops : the arithmetic; NumPy by default.

        Returns
        -------
        (outputs,) or (outputs, samples), of the namespace's kind.
        """

        def column(values: Any) -> Any:
            array = np.asarray(values, dtype=float)
            return array[:, None] if getattr(z, "ndim", 1) == 2 else array

        a = z
        if self.shift:
            a = a - column(self.shift)
        if self.scale:
            a = a * column(1.0 / np.asarray(self.scale))
        last, phi = len(self.sizes) - 2, ACTIVATIONS[self.activation]
        for number, (where_w, where_b, rows, columns) in enumerate(self.layers()):
            bias = theta[where_b]
            if getattr(z, "ndim", 1) == 2 and ops.name != "casadi":
                bias = bias[:, None]
            a = ops.matrix(theta[where_w], rows, columns) @ a + bias
            if number < last:
                a = phi(a, ops)
        return a * column(self.output_scale) if self.output_scale else a

    def initial_weights(self, seed: int | np.random.Generator = 0) -> Array:
        """Glorot-uniform weights and zero biases (Glorot & Bengio, AISTATS 2010)."""
        rng = generator(seed)
        theta = np.zeros(self.n_weights)
        for where_w, _, rows, columns in self.layers():
            bound = np.sqrt(6.0 / (rows + columns))
            theta[where_w] = rng.uniform(-bound, bound, rows * columns)
        return theta

    def matrices(self, theta: ArrayLike) -> list[tuple[Array, Array]]:
        """Return the layers of a weight vector as [(W, b), ...], W of shape (rows, columns).

        Raises
        ------
        InputError
            Not `n_weights` numbers.
        """
        vector = np.asarray(theta, dtype=float)
        if vector.shape != (self.n_weights,):
            raise InputError(
                f"the weight vector has shape {vector.shape}, but {self.sizes} needs ({self.n_weights},)."
            )
        return [
            (vector[w].reshape((rows, columns), order="F"), vector[b])
            for w, b, rows, columns in self.layers()
        ]

    def vector(self, matrices: list[tuple[ArrayLike, ArrayLike]]) -> Array:
        """Return the weight vector of [(W, b), ...]; the inverse of `matrices`."""
        flat = (
            np.asarray(part, dtype=float).ravel(order="F") for pair in matrices for part in pair
        )
        vector = np.concatenate(list(flat))
        self.matrices(vector)  # checks the length
        return vector

    def weight_names(self) -> list[str]:
        """Names such as ``W1[0,1]`` and ``b2[0]``, in the order of the weight vector."""
        names: list[str] = []
        for number, (_, _, rows, columns) in enumerate(self.layers(), start=1):
            names += [f"W{number}[{i},{j}]" for j in range(columns) for i in range(rows)]
            names += [f"b{number}[{i}]" for i in range(rows)]
        return names

    def normalised(self, shift: ArrayLike, scale: ArrayLike, output_scale: ArrayLike) -> MLP:
        """Return the same network with fixed input shift and scale and output scale."""
        return replace(
            self,
            shift=tuple(np.asarray(shift, dtype=float)),
            scale=tuple(np.asarray(scale, dtype=float)),
            output_scale=tuple(np.asarray(output_scale, dtype=float)),
        )


def _is_width(value: Any) -> bool:
    whole = isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer()
    return whole and value >= 1
