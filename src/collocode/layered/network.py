r"""Residual networks as discretized control problems in depth.

.. math:: x_0 = \ell(y),\qquad x_{n+1} = \Phi(x_n; K(t_n), b(t_n), h_n),\qquad u = W x_N + \mu

The layers are the elements of a mesh on [0, T], the weights :math:`(K,b)(t)=\sum_j c_j\varphi_j(t)`
a function of time in some basis: one per layer (the ordinary ResNet), Legendre polynomials, splines.
The lift ℓ is the identity, zeros appended, or a trained opening tanh(K₀ y + b₀).

A network is a frozen description; its weights are one vector beside it,

    theta = [opening: K₀, b₀ | coefficients c_0, c_1, ...: K, b each | read-out: W, μ]

in which every matrix stands column by column, as in `collocode.MLP`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ..checks import check_choice, check_has, check_whole, counted
from ..errors import InputError
from ..forms import Form
from ..numerics import Array, Mask
from ..numerics.bases import BASIS, Basis, PiecewiseConstant, basis_from_dict, basis_to_dict
from ..numerics.mesh import Mesh
from ..numerics.random import generator
from .blocks import Block, ResidualBlock
from .stable_blocks import BLOCKS, block

LIFTS = ("none", "pad", "opening")
PARTS = ("opening", "coefficients", "readout")


@dataclass(frozen=True, eq=False)
class LayeredNetwork:
    r"""A residual network of layers in time; see the module for the formula.

    Parameters
    ----------
    inputs, outputs : features of a sample and results of the read-out.
    width : d, the size of K.
    mesh : layers as elements of [0, T]; unit steps make the ordinary ResNet.
    basis : functions of time that the weights are made of; None is one weight per layer.
    block : `ResidualBlock`, `RungeKuttaBlock`, `HamiltonianBlock`, `AntisymmetricBlock` or `LeapfrogBlock`.
    lift : ``none`` (inputs = width), ``pad`` (zeros appended) or ``opening`` (trained, tanh).

    Raises
    ------
    InputError
        Sizes that are no positive integers or do not fit the lift, a basis on another interval or
        with more functions than the layers can tell apart.

    Examples
    --------
    >>> network = LayeredNetwork(inputs=2, outputs=1, width=3, mesh=Mesh.uniform(0, 4, 4), lift="pad")
    >>> network
    LayeredNetwork(2 -> 3 -> 1, 4 layers, ResidualBlock(tanh), PiecewiseConstant, 52 weights)
    >>> theta = network.initial(seed=0)
    >>> [K.shape for K in network.layer_weights(theta)]
    [(4, 3, 3), (4, 3)]
    """

    inputs: int
    outputs: int
    width: int
    mesh: Mesh
    basis: Basis | None = None
    block: Block = ResidualBlock()
    lift: str = "none"

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "width"):
            object.__setattr__(self, name, check_whole(name, getattr(self, name)))
        check_choice("lift", self.lift, LIFTS)
        if self.lift == "none" and self.inputs != self.width:
            raise InputError(
                f"without a lift the width must be the number of inputs ({self.inputs}), not "
                f"{self.width}; take lift='pad' or lift='opening'."
            )
        if self.lift == "pad" and self.inputs > self.width:
            raise InputError(
                f"{counted(self.inputs, 'input')} cannot be padded to width {self.width}; widen the network."
            )
        if self.basis is None:
            object.__setattr__(self, "basis", PiecewiseConstant(self.mesh))  # type: ignore[arg-type]
        self._check_basis()

    def _check_basis(self) -> None:
        basis, mesh = self.time_basis, self.mesh
        gap = np.abs(np.subtract(basis.interval, (mesh.start, mesh.end))).max()
        if gap > 1e-9 * (mesh.end - mesh.start):
            raise InputError(
                f"{basis!r} lives on {list(basis.interval)}, but the layers on "
                f"[{mesh.start:g}, {mesh.end:g}]; give both the same interval."
            )
        distinct = mesh.elements * len(set(self.block.stages) - {1.0}) + (1.0 in self.block.stages)
        if basis.size > distinct:
            raise InputError(
                f"{basis!r} has {counted(basis.size, 'function')}, more than the {counted(mesh.elements, 'layer')} can "
                "tell apart; lower its order or take more layers."
            )

    def __repr__(self) -> str:
        return (
            f"LayeredNetwork({self.inputs} -> {self.width} -> {self.outputs}, {counted(self.layers, 'layer')}, "
            f"{type(self.block).__name__}({self.block.activation}), "
            f"{type(self.basis).__name__}, {counted(self.n_weights, 'weight')})"
        )

    # ---- sizes -----------------------------------------------------------------------------------

    @property
    def time_basis(self) -> Basis:
        """The basis of the weights."""
        assert self.basis is not None
        return self.basis

    @property
    def layers(self) -> int:
        """Number N of layers."""
        return self.mesh.elements

    @property
    def state_size(self) -> int:
        """Length of a state: the width, twice of it for Hamiltonian and leapfrog blocks."""
        return self.block.state_size(self.width)

    @property
    def row(self) -> int:
        """Length d(d+1) of one coefficient: K column by column, then b."""
        return self.width * (self.width + 1)

    @cached_property
    def slices(self) -> Mapping[str, slice]:
        """Where ``opening``, ``coefficients`` and ``readout`` are in the weight vector."""
        lengths = (
            self.width * (self.inputs + 1) if self.lift == "opening" else 0,
            self.time_basis.size * self.row,
            self.outputs * (self.width + 1),
        )
        ends = np.cumsum(lengths).tolist()
        return {
            name: slice(end - length, end)
            for name, end, length in zip(PARTS, ends, lengths, strict=True)
        }

    @property
    def n_weights(self) -> int:
        """Length of the weight vector."""
        return self.slices["readout"].stop

    def mask(self, *parts: str) -> Mask:
        """(n_weights,) true on the named parts; serves to freeze them in an `Objective`."""
        chosen = np.zeros(self.n_weights, dtype=bool)
        for part in parts:
            check_has("a network", "part", part, PARTS)
            chosen[self.slices[part]] = True
        return chosen

    # ---- weights ---------------------------------------------------------------------------------

    def checked(self, theta: ArrayLike) -> Array:
        """Return the weight vector as an array of the right length.

        Raises
        ------
        InputError
            Another shape, or entries that are not finite.
        """
        vector = np.asarray(theta, dtype=float)
        if vector.shape != (self.n_weights,):
            raise InputError(
                f"the weight vector has shape {vector.shape}, but {self} needs ({self.n_weights},)."
            )
        if not np.isfinite(vector).all():
            bad = int(np.flatnonzero(~np.isfinite(vector))[0])
            raise InputError(f"weight {bad} is {vector[bad]}; give finite weights.")
        return vector

    def split(self, theta: Array) -> tuple[Array, Array, Array]:
        """Return views on opening, (K, d(d+1)) coefficients and read-out."""
        opening, coefficients, readout = (theta[self.slices[name]] for name in PARTS)
        return opening, coefficients.reshape(self.time_basis.size, self.row), readout

    def opening(self, theta: Array) -> tuple[Array, Array]:
        """(d, inputs) K₀ and (d,) b₀."""
        return _matrix(self.split(theta)[0], self.width, self.inputs)

    def readout(self, theta: Array) -> tuple[Array, Array]:
        """(outputs, d) W and (outputs,) μ."""
        return _matrix(self.split(theta)[2], self.outputs, self.width)

    @cached_property
    def time_values(self) -> sparse.csr_matrix:
        """(N · stages, K) values of the basis at every layer's stages, layer by layer."""
        stages = np.array(self.block.stages)
        starts, steps = self.mesh.points[:-1], self.mesh.steps
        times = (starts[:, None] + stages * steps[:, None]).ravel()
        at_end = np.tile(stages == 1.0, self.layers)
        indices, values = self.time_basis.active(times, left=at_end)
        pointers = np.arange(len(times) + 1) * indices.shape[1]
        return sparse.csr_matrix(
            (values.ravel(), indices.ravel(), pointers), shape=(len(times), self.time_basis.size)
        )

    def stage_weights(self, theta: Array) -> tuple[Array, Array]:
        """(N, stages, d, d) matrices K and (N, stages, d) biases b, as the block wants them."""
        d, stages = self.width, len(self.block.stages)
        flat = (self.time_values @ self.split(theta)[1]).reshape(self.layers, stages, self.row)
        K = flat[..., : d * d].reshape(self.layers, stages, d, d).swapaxes(-1, -2)
        return K, flat[..., d * d :]

    def layer_weights(self, theta: Array) -> tuple[Array, Array]:
        """(N, d, d) matrices K_n and (N, d) biases b_n at the left ends of the layers."""
        K, b = self.stage_weights(theta)
        return K[:, 0], b[:, 0]

    def weights_at(self, theta: Array, t: ArrayLike) -> tuple[Array, Array]:
        """(n, d, d) matrices K(t) and (n, d) biases b(t) at any times, for an ODE integrator."""
        d = self.width
        flat = self.time_basis.values(t) @ self.split(theta)[1]
        return flat[:, : d * d].reshape(-1, d, d).swapaxes(-1, -2), flat[:, d * d :]

    def initial(self, seed: int | np.random.Generator = 0, scale: float = 1.0) -> Array:
        """Return random weights whose K and b are constant in time.

        Glorot-uniform matrices (AISTATS 2010), zero biases; so all bases and meshes start from the
        same function of time.

        Parameters
        ----------
        seed : of the random numbers.
        scale : factor of K.
        """
        rng = generator(seed)
        d, theta = self.width, np.zeros(self.n_weights)
        if self.lift == "opening":
            part = theta[self.slices["opening"]]
            part[: d * self.inputs] = _glorot(rng, d, self.inputs)
        row = np.concatenate([scale * _glorot(rng, d, d), np.zeros(d)])
        theta[self.slices["coefficients"]] = np.outer(self.time_basis.constant(), row).ravel()
        part = theta[self.slices["readout"]]
        part[: self.outputs * d] = _glorot(rng, self.outputs, d)
        return theta

    # ---- files -----------------------------------------------------------------------------------

    def description(self) -> dict[str, Any]:
        """Return the network as plain data; `network_of` reads it."""
        names = {kind: name for name, kind in BLOCKS.items()}
        return {
            "inputs": int(self.inputs),
            "outputs": int(self.outputs),
            "width": int(self.width),
            "mesh": self.mesh.points.tolist(),
            "basis": basis_to_dict(self.time_basis),
            "block": names.get(type(self.block), type(self.block).__name__),
            "activation": self.block.activation,
            "lift": self.lift,
        }


LAYERED: Form = {
    "inputs": int,
    "outputs": int,
    "width": int,
    "mesh": [float],
    "basis": BASIS,
    "block": str,
    "activation": str,
    "lift": str,
}
"""What a file holds of a layered network."""


def network_of(description: Mapping[str, Any]) -> LayeredNetwork:
    """Return the network that `LayeredNetwork.description` wrote down.

    Raises
    ------
    InputError
        A description of something else.
    """
    try:
        return LayeredNetwork(
            description["inputs"],
            description["outputs"],
            description["width"],
            Mesh(description["mesh"]),
            basis_from_dict(description["basis"]),
            block(description["block"], description["activation"]),
            description["lift"],
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"this describes no layered network: {error}.") from error


def _matrix(flat: Array, rows: int, columns: int) -> tuple[Array, Array]:
    return flat[: rows * columns].reshape((rows, columns), order="F"), flat[rows * columns :]


def _glorot(rng: np.random.Generator, rows: int, columns: int) -> Array:
    bound = np.sqrt(6.0 / (rows + columns))
    return rng.uniform(-bound, bound, rows * columns)
