r"""The problem of one neuron: where ∂J/∂x and the features that a new linear map sees are known.

A map :math:`x\mapsto x+h\,\varphi(\varepsilon W\tilde f)` of features :math:`\tilde f=(f(x),1)` has, in
the rows w of W, the first-order form :math:`\varepsilon h\varphi'(0)\langle G,W\rangle` or the
second-order one :math:`\frac{\varepsilon^2h}2\sum_rw_r^T(\varphi''(0)M_r-\alpha I)w_r`; see
`collocode.layered.growth.topological`.  For layers f is the state; for convolutions it is its patches, for
attention what the tokens attend to.  `order_of` tells which form it is, or why there is none.
"""

from __future__ import annotations

import numpy as np

from ...checks import check_choice
from ...errors import InputError
from ...model.activations import Activation
from ...numerics import Array
from ..blocks import ResidualBlock, RungeKuttaBlock
from ..depth import check_one_each
from ..network import LayeredNetwork
from ..stable_blocks import LeapfrogBlock

SELECTIONS = ("rows", "neuron")


def extended(features: Array) -> Array:
    """(n, F+1) features with a column of ones, for the bias."""
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def slopes(features: Array, P: Array) -> tuple[Array, Array]:
    """Norms (d,) of the rows of G = -Pᵀ f̃, and G (d, F+1).

    Parameters
    ----------
    features : (n, F) what the map is applied to: samples, or samples times tokens.
    P : (n, d) ∂J/∂x there.
    """
    G = -(P.T @ extended(features))
    return np.linalg.norm(G, axis=1), G


def curvatures(
    features: Array, P: Array, curvature: float, alpha: float = 0.0
) -> tuple[Array, Array]:
    """Largest eigenvalues (d,) of ½ (φ''(0) M_r - α I), and unit eigenvectors (d, F+1).

    Parameters
    ----------
    features, P : as for `slopes`.
    curvature : φ''(0).
    alpha : of the ridge penalty on the new weights.
    """
    f = extended(features)
    M = np.stack([(f * (-curvature * p)[:, None]).T @ f for p in P.T])
    values, vectors = np.linalg.eigh(M)
    return 0.5 * (values[:, -1] - alpha), signed(vectors[:, :, -1])


def signed(vectors: Array) -> Array:
    """Unit vectors whose largest entry is positive: their sign is free, so this fixes it."""
    largest = np.abs(vectors).argmax(axis=-1)[..., None]
    sign = np.sign(np.take_along_axis(vectors, largest, axis=-1))
    return np.asarray(vectors * np.where(sign == 0.0, 1.0, sign))


def exponent(order: int, selection: str | float) -> float:
    """Return the p of a selection: ``rows`` is 2 (first order) or infinity (second), ``neuron`` is 1.

    Raises
    ------
    InputError
        Another word, or a number below 1.

    Examples
    --------
    >>> exponent(2, "rows"), exponent(1, "rows"), exponent(2, "neuron"), exponent(2, 4)
    (inf, 2.0, 1.0, 4.0)
    """
    if isinstance(selection, str):
        check_choice("selection", selection, SELECTIONS)
        return 1.0 if selection == "neuron" else {1: 2.0, 2: np.inf}[order]
    if not selection >= 1.0:
        raise InputError(
            f"the exponent p of a selection must be 1 or more, not {selection!r}; or take 'rows' or "
            "'neuron'."
        )
    return float(selection)


def selected(
    order: int, selection: str | float, rows: Array, weights: Array
) -> tuple[float, Array]:
    r"""Score of a place and its direction: the largest decrease among :math:`\sum_r\|w_r\|^p\le1`.

    The neurons of a new layer leave zero, and the left-hand side is d times the p-th power of the
    p-Wasserstein distance that they go (a neuron's weights stay with that neuron).  A neuron's best
    direction does not depend on its length :math:`t_r`, so that :math:`\sum_r\mu_rt_r^k` is left to
    maximise, with the neurons' scores μ and the order k: for p > k Hölder's inequality gives
    :math:`t_r\propto\mu_r^{1/(p-k)}` where μ is positive, and for p ≤ k all goes to the best neuron.

    Parameters
    ----------
    rows, weights : (d,) μ and (d, F+1) directions of any length, of `slopes` or `curvatures`.

    Returns
    -------
    The decrease of J by ε to the order; where no neuron lowers J, the least increase, negative.
    """
    p, best = exponent(order, selection), float(rows.max())
    alone = (np.arange(len(rows)) == rows.argmax()).astype(float)
    if best <= 0.0:
        return best, (alone if p <= order else np.zeros(len(rows)))[:, None] * weights
    if p <= order:
        score, lengths = best, alone
    else:
        share = np.maximum(rows, 0.0) / best
        root = 1.0 / (p - order)  # zero for infinity: every neuron that serves, equally
        lengths = np.where(share > 0.0, share**root, 0.0)
        total = 1.0 if np.isinf(p) else np.sum(lengths**p) ** (1.0 / p)
        lengths = lengths / total
        score = float(best * np.sum(share * lengths**order))
    norms = np.linalg.norm(weights, axis=1)
    return score, (lengths / np.where(norms > 0.0, norms, 1.0))[:, None] * weights


def order_of(network: LayeredNetwork) -> int:
    """Return 1 where φ'(0) ≠ 0, 2 where only φ''(0) ≠ 0.

    Raises
    ------
    InputError
        An activation or a block without such a form, or layers that share weights.
    """
    order = activation_order(network.block.phi)
    if isinstance(network.block, LeapfrogBlock):
        raise InputError(
            "a layer of zero weights in a LeapfrogBlock has no first derivative by them; take another block."
        )
    if order == 2 and not isinstance(network.block, ResidualBlock | RungeKuttaBlock):
        raise InputError(
            f"in {type(network.block).__name__} K serves twice, so that the second-order form of "
            f"{network.block.activation!r} has no eigenproblem per neuron; take 'tanh' or a "
            "ResidualBlock."
        )
    check_one_each(network)
    return order


def activation_order(phi: Activation) -> int:
    """Return the order of the first derivative of φ that is not zero at zero.

    Raises
    ------
    InputError
        φ(0) ≠ 0, no derivative at zero, or none that is not zero.

    Examples
    --------
    >>> from collocode.layered import activation
    >>> [activation_order(activation(name)) for name in ("tanh", "swish", "silu_tanh")]
    [1, 1, 2]
    """
    value, slope, curvature = phi.at_zero
    remedy = "take 'silu_tanh' (second order), 'tanh' or 'swish' (first order)."
    if phi.kinks:
        raise InputError(
            f"{phi.name!r} has no derivative at 0, where a new layer begins: J has a kink at ε = 0 "
            f"and no expansion in ε; {remedy}"
        )
    if value != 0.0:
        raise InputError(
            f"{phi.name!r} is {value:.3g} at 0, so that a layer of zero weights already changes the "
            f"network; {remedy}"
        )
    if slope == 0.0 and curvature == 0.0:
        raise InputError(f"{phi.name!r} has neither slope nor curvature at 0; {remedy}")
    if slope == 0.0 and phi.smoothness < 2:
        raise InputError(f"the curvature of {phi.name!r} jumps at 0; {remedy}")
    return 1 if slope != 0.0 else 2
