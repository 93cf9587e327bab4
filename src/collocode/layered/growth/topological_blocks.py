r"""Topological derivative of convolution, attention and token blocks, by JAX; training and growing them.

With f̃ the features that a new block's linear map sees, at every sample and token, and P the gradient
of the loss with respect to the stream, the problem of a neuron is that of layers, with sums over samples
*and tokens*: :math:`M_r=-\sum_{s,t}P_{s,t,r}\tilde f_{s,t}\tilde f_{s,t}^T`.  So one scoring compares
places and kinds of blocks.  `grow_stream` is `collocode.grow` for such networks: train by Adam on
minibatches, score places *and kinds* of blocks, insert, train on.  Import needs ``collocode[learn]``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from ...checks import counted
from ...errors import InputError
from ...model.activations import activation
from ...numerics import Array
from ...numerics.random import generator
from ..continuous_jax import float64
from ..equinox_blocks import StreamNetwork, new_block
from ..samples import Samples
from .insertion import Extension, search_size
from .neurons import activation_order, curvatures, exponent, selected, slopes
from .stream_training import arrays_of, cross_entropy, measured_loss, train_stream

_FIRST = 0.05  # ε that the line search begins with


@dataclass(frozen=True, eq=False)
class BlockScores:
    """Scores of places and kinds of new blocks.

    Attributes
    ----------
    order : p of the decrease, score times ε to the p.
    table : position, kind, score; one row per candidate.
    weights : (d, F+1) direction of every row.
    loss : mean loss without a new block.
    seconds : wall time.
    """

    order: int
    table: pd.DataFrame
    weights: tuple[Array, ...]
    loss: float
    seconds: float

    @property
    def best(self) -> int:
        """Row of the largest score."""
        return int(self.table["score"].to_numpy().argmax())

    def predicted(self, epsilon: float, row: int | None = None) -> float:
        """Decrease of the loss that ε promises."""
        which = self.best if row is None else row
        return float(self.table["score"].iloc[which] * epsilon**self.order)


@dataclass(frozen=True, eq=False, kw_only=True)
class BlockInsertion(Extension):
    """A deeper stream network, and what the new block did to the loss."""

    network: StreamNetwork
    kind: str


def block_scores(
    network: StreamNetwork,
    samples: Samples,
    kinds: Sequence[str] = ("token", "attention", "convolution"),
    selection: str | float = "rows",
) -> BlockScores:
    """Score all places and the given kinds of blocks.

    Parameters
    ----------
    network : the stream network.
    samples : images, row by row, and their classes.
    kinds : of blocks; see `collocode.layered.equinox_blocks.new_block`.
    selection : as for `topological_derivative`.

    Raises
    ------
    InputError
        An activation without a derivative at zero, a network without a stream, unknown kinds.
    """
    began = time.perf_counter()
    order = _order(network)
    exponent(order, selection)
    if not kinds:
        raise InputError("give at least one kind of block.")
    phi = activation(network.activation)
    _, slope, curvature = phi.at_zero
    with float64():
        loss, streams, gradients = _stream_gradients(network, *arrays_of(samples))
        rows, weights = [], []
        for position, (x, P) in enumerate(zip(streams, gradients, strict=True)):
            by_channel = np.asarray(P).reshape(-1, P.shape[-1])
            for kind in kinds:
                seen = np.asarray(new_block(network, kind).features(x))
                flat = seen.reshape(-1, seen.shape[-1])
                found = (
                    _scaled(slopes(flat, by_channel), slope)
                    if order == 1
                    else curvatures(flat, by_channel, curvature)
                )
                score, direction = selected(order, selection, *found)
                rows.append({"position": position, "kind": kind, "score": score})
                weights.append(direction)
    seconds = time.perf_counter() - began
    return BlockScores(order, pd.DataFrame(rows), tuple(weights), float(loss), seconds)


def put_block(
    network: StreamNetwork, position: int, kind: str, weights: Array | None = None
) -> StreamNetwork:
    """Return the network with a new block, of zeros or of (d, F+1) weights, at a position."""
    if not 0 <= position <= len(network.blocks):
        raise InputError(
            f"a block can be inserted at 0 ... {len(network.blocks)}, not at {position}."
        )
    with float64():
        block = new_block(network, kind, weights)
    blocks = (*network.blocks[:position], block, *network.blocks[position:])
    changed: StreamNetwork = eqx.tree_at(lambda n: n.blocks, network, blocks)
    return changed


def insert_block(
    network: StreamNetwork, samples: Samples, scores: BlockScores, row: int | None = None
) -> BlockInsertion | None:
    """Insert a scored block with ε by a line search; None where no ε lowers the loss.

    Parameters
    ----------
    samples : for the line search; the scores may be of a part of them.
    scores : of this network.
    row : of the scores; the best one if left out.
    """
    which = scores.best if row is None else row
    position, kind = int(scores.table["position"][which]), str(scores.table["kind"][which])
    direction = scores.weights[which]
    if not direction.any():
        return None

    def value(epsilon: float) -> float:
        with float64():
            changed = put_block(network, position, kind, epsilon * direction)
            return float(measured_loss(changed, *arrays_of(samples)))

    before = value(0.0)
    epsilon, after = search_size(value, before, _FIRST, scores.order == 2)
    if not epsilon:
        return None
    grown = put_block(network, position, kind, epsilon * direction)
    return BlockInsertion(
        network=grown, position=position, kind=kind, epsilon=epsilon, before=before, after=after
    )


@eqx.filter_jit
def _stream_gradients(
    network: StreamNetwork, X: jax.Array, y: jax.Array
) -> tuple[jax.Array, list[jax.Array], list[jax.Array]]:
    """Loss, streams x_0 ... x_N, and ∂J/∂x_n, by perturbations of zero on the stream."""

    def run(shifts: list[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        streams = [network.embed(X) + shifts[0]]
        for block, shift in zip(network.blocks, shifts[1:], strict=True):
            streams.append(block(streams[-1]) + shift)
        return cross_entropy(network.read(streams[-1]), y), streams

    zero = jnp.zeros((len(X), *network.place.shape))
    shifts = [zero] * (len(network.blocks) + 1)
    (loss, streams), gradients = jax.value_and_grad(run, has_aux=True)(shifts)
    return loss, streams, gradients


def _scaled(found: tuple[Array, Array], slope: float) -> tuple[Array, Array]:
    return abs(slope) * found[0], slope * found[1]


def _order(network: StreamNetwork) -> int:
    if not isinstance(network, StreamNetwork):
        raise InputError(
            f"blocks can be inserted into a StreamNetwork, not into {type(network).__name__!r}: only "
            "blocks that add to a stream of one width can begin as nothing."
        )
    return activation_order(activation(network.activation))


def grow_stream(
    network: StreamNetwork,
    samples: Samples,
    validation: Samples | None = None,
    *,
    kinds: Sequence[str] = ("token", "attention", "convolution"),
    max_blocks: int = 4,
    scored: int = 256,
    seed: int = 0,
    **how: Any,
) -> tuple[StreamNetwork, pd.DataFrame]:
    """Train, and insert the block of the largest score until there are ``max_blocks``.

    Parameters
    ----------
    kinds : of blocks that compete.
    scored : samples that the scores are taken on; the line search sees all.
    how : keywords of `train_stream`, for every depth.

    Returns
    -------
    The last network, and the histories of all trainings with the columns ``blocks``, ``inserted`` (kind
    and position of the newest block) and ``decrease`` (what it did to the loss).  Growing ends early
    where no ε lowers the loss.
    """
    if max_blocks < len(network.blocks):
        raise InputError(
            f"the network has {counted(len(network.blocks), 'block')} already, more than max_blocks = {max_blocks}."
        )
    chosen = generator(seed).permutation(len(samples))[:scored]
    tables, inserted, decrease = [], "", 0.0
    while True:
        network, history = train_stream(network, samples, validation, seed=seed, **how)
        new = {"blocks": len(network.blocks), "inserted": inserted, "decrease": decrease}
        tables.append(history.assign(**new))
        if len(network.blocks) >= max_blocks:
            break
        done = insert_block(network, samples, block_scores(network, samples.take(chosen), kinds))
        if done is None:
            break
        network, decrease = done.network, done.decrease
        inserted = f"{done.kind} at {done.position}"
    return network, pd.concat(tables, ignore_index=True)
