"""Training and growing stream networks: convolutions, attention and tokens, by Adam on minibatches.

`grow_stream` is `collocode.grow` for them: train, score places *and kinds* of blocks, insert, train
on.  Import needs ``collocode[learn]``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...errors import InputError
from ...numerics.random import generator
from ..continuous_jax import float64
from ..equinox_blocks import StreamNetwork
from ..losses import accuracy
from ..samples import Samples
from .topological_blocks import arrays_of, block_scores, insert_block, stream_loss

Array = NDArray[np.float64]


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
            f"the network has {len(network.blocks)} blocks already, more than max_blocks = {max_blocks}."
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
        network, decrease = done.network, done.before - done.after
        inserted = f"{done.kind} at {done.position}"
    return network, pd.concat(tables, ignore_index=True)


def train_stream(
    network: StreamNetwork,
    samples: Samples,
    validation: Samples | None = None,
    *,
    epochs: int = 20,
    rate: float = 3e-3,
    batch: int = 128,
    seed: int = 0,
) -> tuple[StreamNetwork, pd.DataFrame]:
    """Train a stream network by Adam on minibatches.

    Returns
    -------
    The network of the last epoch, and one row per epoch: loss, accuracies, seconds.
    """
    import optax

    if epochs < 1 or batch < 1 or not rate > 0.0:
        raise InputError("epochs, batch and rate must be positive.")
    adam = optax.adam(rate)

    @eqx.filter_jit
    def step(net: StreamNetwork, state: object, X: jax.Array, y: jax.Array) -> tuple:
        gradient = eqx.filter_grad(stream_loss)(net, X, y)
        change, state = adam.update(gradient, state)
        return eqx.apply_updates(net, change), state

    began, rows = time.perf_counter(), []
    with float64():
        X, y = arrays_of(samples)
        state = adam.init(eqx.filter(network, eqx.is_array))
        rng = generator(seed)
        count = max(1, len(samples) // batch)
        for epoch in range(1, epochs + 1):
            order = rng.permutation(len(samples))[: count * batch]  # one shape: compiled once
            for part in np.array_split(order, count):
                network, state = step(network, state, X[part], y[part])
            row = {"epoch": epoch, "loss": float(stream_loss(network, X, y))}
            row["training"] = stream_accuracy(network, samples)
            if validation is not None:
                row["validation"] = stream_accuracy(network, validation)
            rows.append({**row, "seconds": time.perf_counter() - began})
    return network, pd.DataFrame(rows)


def stream_accuracy(network: StreamNetwork, samples: Samples) -> float:
    """Share of images whose class is right."""
    with float64():
        outputs = np.asarray(eqx.filter_jit(network)(jnp.asarray(samples.X)))
    return accuracy(outputs.argmax(axis=1), np.asarray(samples.Y, dtype=np.intp))
