r"""Training of (clipped) ReLU networks with the measures that make them cheap to optimize over.

.. math:: \min_{W, b}\ \mathrm{mean}\,|N(x_i) - y_i|^2 + \text{regularisers}

Inputs are mapped to [-1, 1] by the box and outputs to mean 0, deviation 1, outside the network.  Adam
with a cosine schedule (optax), gradients by JAX, all steps between two checks in one compiled loop.
It computes in float32, JAX's own default, whose noise is far below any surrogate's error; the trained
weights are those numbers as float64.  Kingma & Ba, Adam, ICLR 2015; Loshchilov & Hutter, SGDR, ICLR
2017; Srivastava et al., Dropout, JMLR 15 (2014).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import check_fields
from ..errors import InputError, MissingDependency
from ..numerics import Array
from ..numerics.random import generator
from ..solvers.interrupt import Interrupt, aside, interrupted
from . import regularisers
from .network import ReluNetwork
from .readers import checked_range, checked_samples, checked_widths

CHECKS = 40  # times that the validation error is looked at


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a network is trained; strengths are of regularisers on the scaled squared error.

    Attributes
    ----------
    epochs : passes through the data, at most.
    batch : samples per step; None takes all.
    rate : first learning rate; it falls to a hundredth along a half cosine.
    l1, l2 : strength of the sum of absolute or squared weights.
    dropout : share of hidden units left out of a step, in [0, 1).
    big_m, unstable : strength of the mean big-M and of the mean instability, see
        `collocode.relu.regularisers`.
    clip : upper level of all hidden units, None for plain ReLU.
    validation : share of the samples that choose among the iterates.
    patience : share of the epochs without a better iterate after which training stops.
    prune : with ``l1``, weights below this share of their layer's largest become zero at the end.
    seed : of first weights, validation set, batches and dropout.

    Raises
    ------
    InputError
        A number out of its range, named.
    """

    epochs: int = 400
    batch: int | None = 100
    rate: float = 5e-3
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    big_m: float = 0.0
    unstable: float = 0.0
    clip: float | None = None
    validation: float = 0.1
    patience: float = 0.5
    prune: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("epochs", "batch"):
            value = getattr(self, name)
            if not (name == "batch" and value is None) and (int(value) != value or value < 1):
                raise InputError(f"{name} must be a positive integer, not {value}.")
        for name in (*regularisers.TERMS, "prune"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise InputError(f"{name} must be zero or positive, not {getattr(self, name)}.")
        for name in ("dropout", "validation"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(f"{name} is a share in [0, 1), not {getattr(self, name)}.")
        for name in ("rate", "patience", "clip"):
            value = getattr(self, name)
            if not (name == "clip" and value is None) and not 0.0 < value < np.inf:
                raise InputError(f"{name} must be positive, not {value}.")


@dataclass(frozen=True, eq=False)
class TrainingHistory:
    """The course of a training, one entry per check; errors are mean squares in scaled units.

    Attributes
    ----------
    epoch, train, validation, penalty : (checks,).  Without a validation set ``validation`` is that
        of the training set.
    best : index of the check whose iterate was kept.
    """

    epoch: Array
    train: Array
    validation: Array
    penalty: Array
    best: int


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A trained network, how it came about, and the seconds it took (compilation included).

    ``interrupted`` says that Ctrl-C ended the training; the network is the best one until then.
    """

    network: ReluNetwork
    history: TrainingHistory
    settings: TrainingSettings
    seconds: float
    interrupted: bool = False

    def __repr__(self) -> str:
        h = self.history
        return (
            f"TrainingResult({self.network!r}, {int(h.epoch[-1])} epochs, validation error "
            f"{h.validation[h.best]:.3g} of the variance, {self.seconds:.2g} s)"
        )


def train(
    x: ArrayLike,
    y: ArrayLike,
    hidden: Sequence[int] = (16, 16),
    settings: TrainingSettings | None = None,
    box: ArrayLike | None = None,
    on_check: Callable[[int, float], Any] | None = None,
) -> TrainingResult:
    """Train a network on samples.

    Parameters
    ----------
    x, y : (samples, inputs) and (samples, outputs) or (samples,).
    hidden : widths of the hidden layers.
    settings : of Adam, and strengths of the regularisers.
    box : (inputs, 2) range that is mapped to [-1, 1] and over which the regularisers bound the units;
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
    how = settings or TrainingSettings()
    x, y = checked_samples(x, y)
    widths = checked_widths(hidden)
    box = checked_range(x, box)
    shift, scale = box.mean(axis=1), (box[:, 1] - box[:, 0]) / 2.0
    level, deviation = y.mean(axis=0), y.std(axis=0)
    deviation = np.where(deviation > 0.0, deviation, 1.0)
    inner = ((x - shift) / scale).astype(np.float32), ((y - level) / deviation).astype(np.float32)
    sizes, cancelled = (x.shape[1], *widths, y.shape[1]), threading.Event()
    with Interrupt() as interrupt:  # and JAX aside: not every place in it survives an exception
        layers, history = aside(
            lambda: descend(*inner, sizes, how, on_check, cancelled.is_set), cancelled.set
        )
    if how.l1 > 0.0:
        layers = [(np.where(abs(W) < how.prune * abs(W).max(), 0.0, W), b) for W, b in layers]
    network = ReluNetwork(
        tuple(W for W, _ in layers),
        tuple(b for _, b in layers),
        clip=() if how.clip is None else (np.asarray(how.clip),) * len(widths),
        input_shift=shift,
        input_scale=scale,
        output_shift=level,
        output_scale=deviation,
    )
    seconds = time.perf_counter() - began
    return TrainingResult(network, history, how, seconds, interrupt.requested)


def descend(
    x: Any,
    y: Any,
    sizes: tuple[int, ...],
    how: TrainingSettings,
    on_check: Any,
    stop: Callable[[], bool],
) -> tuple[list[tuple[Array, Array]], TrainingHistory]:
    """Run Adam until ``stop()`` or Ctrl-C; return the best iterate by validation error plus regularisers."""
    jax, jnp, _ = learning_packages()
    rng = generator(how.seed)
    order = rng.permutation(len(x))
    held = min(round(how.validation * len(x)), len(x) - 1)
    train_set, test_set = order[held:], order[:held] if held else order
    batch = min(how.batch or len(train_set), len(train_set))
    steps = len(train_set) // batch  # an incomplete last batch waits for the next shuffle
    epochs = max(1, how.epochs // CHECKS)
    active = tuple(name for name in regularisers.TERMS if getattr(how, name) > 0.0)
    run, judge, start = _compiled(how.clip, how.dropout, how.rate, how.epochs * steps)
    strengths = {name: np.float32(getattr(how, name)) for name in active}
    layers = _first(rng, sizes)
    state, best, kept, rows = start(layers), np.inf, layers, []
    seen = (jnp.asarray(x[train_set]), jnp.asarray(y[train_set]))
    unseen = (jnp.asarray(x[test_set]), jnp.asarray(y[test_set]))
    key, chosen, last = jax.random.PRNGKey(how.seed), 0, 0
    for epoch in range(epochs, how.epochs + 1, epochs):
        shuffled = np.stack([rng.permutation(len(train_set)) for _ in range(epochs)])
        batches = shuffled[:, : steps * batch].reshape(epochs * steps, batch)
        key, now = jax.random.split(key)
        layers, state = run(layers, state, *seen, batches.astype(np.int32), now, strengths)
        found = [float(v) for v in judge(layers, *seen, strengths)]
        error = float(judge(layers, *unseen, strengths)[0])
        rows.append((epoch, found[0], error, found[1]))
        if not np.isfinite(found).all():
            raise InputError(
                f"training diverged in epoch {epoch}; take a lower rate than {how.rate:g} or "
                "weaker regularisers."
            )
        if error + found[1] < best:
            best, kept, chosen, last = error + found[1], layers, len(rows) - 1, epoch
        if on_check is not None:
            on_check(epoch, error)
        if epoch - last > how.patience * how.epochs or interrupted() or stop():
            break
    epochs_, errors, held_errors, added = np.array(rows, dtype=float).T
    history = TrainingHistory(epochs_, errors, held_errors, added, chosen)
    return [(np.asarray(W, float), np.asarray(b, float)) for W, b in kept], history


def _first(rng: np.random.Generator, sizes: tuple[int, ...]) -> list[tuple[Any, Any]]:
    """Return He's first weights, and biases that spread the kinks over the box."""
    layers: list[tuple[Any, Any]] = []
    for n, m in pairwise(sizes):
        W = rng.standard_normal((m, n)) * np.sqrt(2.0 / n)
        hidden = len(layers) < len(sizes) - 2
        b = rng.uniform(-0.5, 0.5, m) if hidden else np.zeros(m)
        layers.append((W.astype(np.float32), b.astype(np.float32)))
    return layers


def learning_packages() -> tuple[Any, Any, Any]:
    """Return ``jax``, ``jax.numpy`` and ``optax``.

    Raises
    ------
    MissingDependency
        One is not installed.
    """
    try:
        import jax
        import jax.numpy as jnp
        import optax
    except ImportError as error:
        raise MissingDependency(
            f"training needs {error.name or 'JAX and optax'}; run: pip install 'collocode[learn]'."
        ) from error
    return jax, jnp, optax


@lru_cache(maxsize=64)
def _compiled(
    clip: float | None, dropout: float, rate: float, steps: int
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """Return (run, judge, start); JAX compiles them once for every set of shapes."""
    jax, jnp, optax = learning_packages()
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, max(1, steps), 0.01))

    def forward(layers: Any, v: Any, key: Any) -> Any:
        for W, b in layers[:-1]:
            v = regularisers.activated(jnp, v @ W.T + b, clip)
            if key is not None:  # inverted dropout: the mean is kept, so evaluation needs no factor
                key, now = jax.random.split(key)
                v = v * jax.random.bernoulli(now, 1.0 - dropout, v.shape) / (1.0 - dropout)
        W, b = layers[-1]
        return v @ W.T + b

    def regulariser(layers: Any, strengths: Any) -> Any:
        return regularisers.total(jnp, layers, strengths, clip)

    def loss(layers: Any, x: Any, y: Any, key: Any, strengths: Any) -> Any:
        return jnp.mean((forward(layers, x, key) - y) ** 2) + regulariser(layers, strengths)

    def run(layers: Any, state: Any, x: Any, y: Any, batches: Any, key: Any, strengths: Any) -> Any:
        def step(carry: Any, given: Any) -> Any:
            layers, state = carry
            rows, now = given
            gradient = jax.grad(loss)(
                layers, x[rows], y[rows], now if dropout > 0.0 else None, strengths
            )
            updates, state = optimiser.update(gradient, state)
            return (optax.apply_updates(layers, updates), state), None

        keys = jax.random.split(key, len(batches))
        return jax.lax.scan(step, (layers, state), (batches, keys))[0]

    def judge(layers: Any, x: Any, y: Any, strengths: Any) -> Any:
        return jnp.mean((forward(layers, x, None) - y) ** 2), regulariser(layers, strengths)

    return jax.jit(run), jax.jit(judge), optimiser.init
