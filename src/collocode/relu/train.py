r"""Training of (clipped) ReLU networks with the measures that make them cheap to optimize over.

.. math:: \min_{W, b}\ \mathrm{mean}\,|N(x_i) - y_i|^2 + \text{penalties}

Inputs are mapped to [-1, 1] by the box and outputs to mean 0, deviation 1, outside the network.  Adam
with a cosine schedule (optax), gradients by JAX, all steps between two checks in one compiled loop.
It computes in float32, JAX's own default, whose noise is far below any surrogate's error; the trained
weights are those numbers as float64.  Kingma & Ba, Adam, ICLR 2015; Loshchilov & Hutter, SGDR, ICLR
2017; Srivastava et al., Dropout, JMLR 15 (2014).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .adam import History, Training, descend
from .network import ReluNetwork

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network, how it came about, and the seconds it took (compilation included)."""

    network: ReluNetwork
    history: History
    training: Training
    seconds: float

    def __repr__(self) -> str:
        h = self.history
        return (
            f"Trained({self.network!r}, {int(h.epoch[-1])} epochs, validation error "
            f"{h.validation[h.best]:.3g} of the variance, {self.seconds:.2g} s)"
        )


def train(
    x: ArrayLike,
    y: ArrayLike,
    hidden: Sequence[int] = (16, 16),
    training: Training | None = None,
    box: ArrayLike | None = None,
    on_check: Callable[[int, float], Any] | None = None,
) -> Trained:
    """Train a network on samples.

    Parameters
    ----------
    x, y : (samples, inputs) and (samples, outputs) or (samples,).
    hidden : widths of the hidden layers.
    training : settings and penalties.
    box : (inputs, 2) range that is mapped to [-1, 1] and over which the penalties bound the units;
        that of the samples if None.
    on_check : called with (epoch, validation error) now and then.

    Raises
    ------
    InputError
        Samples that do not fit together, are not finite, or lie outside the box; a width below 1;
        training that diverged.
    MissingDependency
        JAX or optax is not installed.
    """
    began = time.perf_counter()
    how = training or Training()
    x, y = _samples(x, y)
    widths = _widths(hidden)
    box = _range(x, box)
    shift, scale = box.mean(axis=1), (box[:, 1] - box[:, 0]) / 2.0
    level, deviation = y.mean(axis=0), y.std(axis=0)
    deviation = np.where(deviation > 0.0, deviation, 1.0)
    inner = ((x - shift) / scale).astype(np.float32), ((y - level) / deviation).astype(np.float32)
    layers, history = descend(*inner, (x.shape[1], *widths, y.shape[1]), how, on_check)
    if how.l1 > 0.0:
        layers = [(np.where(abs(W) < how.prune * abs(W).max(), 0.0, W), b) for W, b in layers]
    network = ReluNetwork(
        tuple(W for W, _ in layers),
        tuple(b for _, b in layers),
        () if how.clip is None else (np.asarray(how.clip),) * len(widths),
        shift,
        scale,
        level,
        deviation,
    )
    return Trained(network, history, how, time.perf_counter() - began)


def _samples(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    y = y[:, None] if y.ndim == 1 else y
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 2:
        raise InputError(
            f"x has shape {x.shape} and y {y.shape}; give (samples, inputs) and (samples, outputs) "
            "of at least two samples."
        )
    for name, values in (("x", x), ("y", y)):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            raise InputError(f"{name}[{bad[0][0]}, {bad[0][1]}] is {values[tuple(bad[0])]}.")
    return x, y


def _widths(hidden: Sequence[int]) -> tuple[int, ...]:
    widths = tuple(int(n) for n in hidden)
    if not widths or min(widths) < 1:
        raise InputError(f"hidden must hold at least one positive width, not {list(hidden)}.")
    return widths


def _range(x: Array, box: ArrayLike | None) -> Array:
    if box is None:
        found = np.column_stack([x.min(axis=0), x.max(axis=0)])
    else:
        found = np.asarray(box, dtype=float)
        if found.shape != (x.shape[1], 2) or not np.isfinite(found).all():
            raise InputError(f"the box must be ({x.shape[1]}, 2) finite numbers, one row an input.")
        slack = 1e-9 * (found[:, 1] - found[:, 0])
        outside = ((x < found[:, 0] - slack) | (x > found[:, 1] + slack)).any(axis=0)
        if outside.any():
            raise InputError(f"samples of input {int(np.argmax(outside))} lie outside the box.")
    flat = np.flatnonzero(~(found[:, 1] > found[:, 0]))
    if len(flat):
        raise InputError(f"input {int(flat[0])} has no range to train over; leave it out.")
    return found
