r"""Residual blocks on tokens in Equinox: fully connected, attention and convolution.

A stream is the state :math:`x\in\mathbb R^{T\times d}` of T tokens (patches of an image, pixels) with d
channels.  Every block is :math:`x\mapsto x+\varphi(f(x)W^T+b)`, one linear map behind features f:

=================  ==============================================================================
`TokenBlock`       f = norm(x): every token by itself, the MLP of a transformer with one layer
`AttentionBlock`   f = softmax(n Q Kᵀ nᵀ/√d) n, n = norm(x): W is the joint value and output map
`ConvolutionBlock`  f = the 3 × 3 (or 1 × 1) patches of x on its grid: W is the kernel
=================  ==============================================================================

A `StreamNetwork` is an embedding, blocks and a read-out of the mean token: a small vision transformer
or a small residual convolution network.  Import needs ``collocode[learn]``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks import check_choice, installed
from ..errors import InputError
from ..model.activations import activation as known_activation
from ..model.activations import jax_operations
from ..numerics.random import generator
from .continuous_jax import float64

with installed("Equinox, which convolution and attention blocks are written in,", "learn"):
    import equinox as eqx
    import jax
    import jax.numpy as jnp


class Block(eqx.Module):
    """x + φ(f(x) Wᵀ + b) on (samples, tokens, channels)."""

    W: jax.Array
    b: jax.Array
    activation: str = eqx.field(static=True)
    name = "block"

    @abstractmethod
    def features(self, x: jax.Array) -> jax.Array:
        """(S, T, F) what the linear map is applied to."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the stream behind the block."""
        a = self.features(x) @ self.W.T + self.b
        return x + known_activation(self.activation)(a, jax_operations())


class TokenBlock(Block):
    """Every token by itself."""

    name = "token"

    def features(self, x: jax.Array) -> jax.Array:
        """Return norm(x)."""
        return norm(x)


class AttentionBlock(Block):
    """Tokens look at each other; one head.

    A new one has Q = K = 1: tokens attend to those that resemble them.
    """

    Q: jax.Array
    K: jax.Array
    name = "attention"

    def features(self, x: jax.Array) -> jax.Array:
        """Return what the tokens attend to."""
        n = norm(x)
        weights = (n @ self.Q.T) @ (n @ self.K.T).swapaxes(1, 2) / np.sqrt(x.shape[2])
        return jax.nn.softmax(weights, axis=-1) @ n


class ConvolutionBlock(Block):
    """A kernel on the grid of tokens, zeros around it."""

    grid: tuple[int, int] = eqx.field(static=True)
    reach: int = eqx.field(static=True)
    name = "convolution"

    def features(self, x: jax.Array) -> jax.Array:
        """Return the patches around every token, 9 channels' worth for a reach of 1."""
        (rows, columns), r = self.grid, self.reach
        image = x.reshape(len(x), rows, columns, -1)
        padded = jnp.pad(image, ((0, 0), (r, r), (r, r), (0, 0)))
        shifts = [(i, j) for i in range(2 * r + 1) for j in range(2 * r + 1)]
        parts = [padded[:, i : i + rows, j : j + columns] for i, j in shifts]
        return jnp.concatenate(parts, axis=-1).reshape(len(x), rows * columns, -1)


KINDS = ("token", "attention", "convolution", "convolution1")


class StreamNetwork(eqx.Module):
    """Embedding of patches, residual blocks, read-out of the normed mean token.

    Attributes
    ----------
    E, place : (d, p²) embedding of a patch, and (T, d) embedding of its place.
    blocks : of any kinds.
    R, r : (outputs, d) and (outputs,) read-out.
    grid, patch : tokens along both sides, pixels along a side of a patch.
    activation : of new blocks.
    """

    E: jax.Array
    place: jax.Array
    blocks: tuple[Block, ...]
    R: jax.Array
    r: jax.Array
    grid: tuple[int, int] = eqx.field(static=True)
    patch: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def embed(self, X: jax.Array) -> jax.Array:
        """(S, T, d) stream of (S, pixels) images, row by row."""
        (rows, columns), p = self.grid, self.patch
        image = X.reshape(len(X), rows, p, columns, p).swapaxes(2, 3)
        return image.reshape(len(X), rows * columns, p * p) @ self.E.T + self.place

    def read(self, x: jax.Array) -> jax.Array:
        """(S, outputs) read-outs of the last stream."""
        return norm(x.mean(axis=1)) @ self.R.T + self.r

    def __call__(self, X: jax.Array) -> jax.Array:
        """(S, outputs) read-outs of images."""
        x = self.embed(X)
        for block in self.blocks:
            x = block(x)
        return self.read(x)


def norm(x: jax.Array) -> jax.Array:
    """Return every token less its mean, by its deviation."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)


def new_block(network: StreamNetwork, kind: str, weights: Any = None) -> Block:
    """Return a block for a network, of zeros or of (d, F+1) weights [W, b].

    Parameters
    ----------
    kind : ``token``, ``attention``, ``convolution`` (3 × 3) or ``convolution1`` (1 × 1).

    Raises
    ------
    InputError
        Unknown kind.
    """
    check_choice("block", kind, KINDS)
    d = network.E.shape[0]
    count = 9 * d if kind == "convolution" else d
    table = np.zeros((d, count + 1)) if weights is None else np.asarray(weights)
    W, b = jnp.asarray(table[:, :-1]), jnp.asarray(table[:, -1])
    if kind == "token":
        return TokenBlock(W, b, network.activation)
    if kind == "attention":
        return AttentionBlock(W, b, network.activation, jnp.eye(d), jnp.eye(d))
    return ConvolutionBlock(W, b, network.activation, network.grid, int(kind == "convolution"))


def stream_network(
    side: int,
    outputs: int,
    width: int,
    blocks: Sequence[str] = (),
    *,
    patch: int = 1,
    activation: str = "silu_tanh",
    seed: int = 0,
) -> StreamNetwork:
    """Return a network on square images with random weights.

    Parameters
    ----------
    side : pixels along a side.
    outputs, width : classes, and channels d of a token.
    blocks : kinds of its first blocks; see `new_block`.
    patch : pixels along a side of a token; 1 makes every pixel one.

    Raises
    ------
    InputError
        A patch that does not divide the side, an unknown kind or activation.
    """
    if patch < 1 or side % patch:
        raise InputError(f"patches of {patch} do not tile a side of {side} pixels.")
    known_activation(activation)
    rng, grid = generator(seed), (side // patch, side // patch)

    def draw(rows: int, columns: int) -> jax.Array:
        return jnp.asarray(rng.standard_normal((rows, columns)) / np.sqrt(columns))

    with float64():
        network = StreamNetwork(
            draw(width, patch**2),
            0.1 * draw(grid[0] * grid[1], width),
            (),
            draw(outputs, width),
            jnp.zeros(outputs),
            grid,
            patch,
            activation,
        )
        made = []
        for kind in blocks:
            zero = new_block(network, kind)
            made.append(eqx.tree_at(lambda block: block.W, zero, draw(*zero.W.shape)))
        return eqx.tree_at(lambda n: n.blocks, network, tuple(made))
