r"""Regularisers of a training that make optimizing over the network cheaper.

.. math:: \lambda_1 \sum |W|,\quad \lambda_2 \sum W^2,\quad
          \mu\, \mathrm{mean}([-L]_+ + [U]_+),\quad \rho\, \mathrm{mean}(1 - \tanh(1 + L U))

L and U are the ranges that interval arithmetic gives over the box of inner inputs, [-1, 1]; they are
piecewise differentiable in the weights, so gradients flow through them.  The third term is the sum of
the two big-M coefficients a unit needs, the fourth is near zero where a unit is stable (L U > 0).

Everything is written over an array namespace ``xp``, `numpy` or `jax.numpy`.

Xiao, Tjeng, Shafiullah & Madry, Training for faster adversarial robustness verification via inducing
ReLU stability, ICLR 2019 (arXiv 1809.03008), section 3: the term in tanh, L1 for sparse weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

Layers = Sequence[tuple[Any, Any]]


def ranges(xp: ModuleType, layers: Layers, clip: float | None = None) -> list[tuple[Any, Any]]:
    """Return (L, U) of the hidden layers' pre-activations over inner inputs in [-1, 1].

    Parameters
    ----------
    layers : (W, b) of every layer, the read-out last.
    clip : upper level of all units, None for plain ReLU.

    Examples
    --------
    >>> import numpy as np
    >>> ((low, up),) = ranges(np, [(np.array([[2.0, -1.0]]), np.array([0.5])), (np.eye(1), 0.0)])
    >>> float(low[0]), float(up[0])
    (-2.5, 3.5)
    """
    W, _ = layers[0]
    centre, radius = xp.zeros(W.shape[1]), xp.ones(W.shape[1])
    found = []
    for W, b in layers[:-1]:
        middle, reach = W @ centre + b, xp.abs(W) @ radius
        low, up = middle - reach, middle + reach
        found.append((low, up))
        v_low, v_up = activated(xp, low, clip), activated(xp, up, clip)
        centre, radius = (v_up + v_low) / 2.0, (v_up - v_low) / 2.0
    return found


def activated(xp: ModuleType, a: Any, clip: float | None) -> Any:
    """Return min(max(a, 0), clip)."""
    v = xp.maximum(a, 0.0)
    return v if clip is None else xp.minimum(v, clip)


def big_m(xp: ModuleType, layers: Layers, clip: float | None = None) -> Any:
    """Return the mean over hidden units of [-L]_+ + [U]_+, the big-M coefficients of a unit.

    A clipped unit has those of its upper kink too, [c - L]_+ and [U - c]_+: their mean is taken.
    """
    terms = []
    for low, up in ranges(xp, layers, clip):
        terms.append(xp.maximum(-low, 0.0) + xp.maximum(up, 0.0))
        if clip is not None:
            terms.append(xp.maximum(clip - low, 0.0) + xp.maximum(up - clip, 0.0))
    return xp.mean(xp.concatenate(terms))


def instability(xp: ModuleType, layers: Layers, clip: float | None = None) -> Any:
    """Return the mean over hidden units' kinks of 1 - tanh(1 + L U), L and U from the kink."""
    terms = []
    for low, up in ranges(xp, layers, clip):
        terms.append(1.0 - xp.tanh(1.0 + low * up))
        if clip is not None:
            terms.append(1.0 - xp.tanh(1.0 + (low - clip) * (up - clip)))
    return xp.mean(xp.concatenate(terms))


def l1(xp: ModuleType, layers: Layers) -> Any:
    """Return the sum of the weights' absolute values; biases are free."""
    return sum(xp.sum(xp.abs(W)) for W, _ in layers)


def l2(xp: ModuleType, layers: Layers) -> Any:
    """Return the sum of the weights' squares; biases are free."""
    return sum(xp.sum(W * W) for W, _ in layers)


TERMS: dict[str, Callable[[ModuleType, Layers, float | None], Any]] = {
    "l1": lambda xp, layers, clip: l1(xp, layers),
    "l2": lambda xp, layers, clip: l2(xp, layers),
    "big_m": big_m,
    "unstable": instability,
}


def total(xp: ModuleType, layers: Layers, strengths: Mapping[str, Any], clip: float | None) -> Any:
    """Return the sum of the terms named by ``strengths``, each times its strength."""
    parts = [strength * TERMS[name](xp, layers, clip) for name, strength in strengths.items()]
    return sum(parts, xp.float32(0.0))
