r"""The problem of one neuron: where ∂J/∂x and the features that a new linear map sees are known.

A map :math:`x\mapsto x+h\,\varphi(\varepsilon W\tilde f)` of features :math:`\tilde f=(f(x),1)` has, in
the rows w of W, the first-order form :math:`\varepsilon h\varphi'(0)\langle G,W\rangle` or the
second-order one :math:`\frac{\varepsilon^2h}2\sum_rw_r^T(\varphi''(0)M_r-\alpha I)w_r`; see
`collocode.layered.growth.topological`.  For layers f is the state; for convolutions it is its patches, for
attention what the tokens attend to.  `order_of` tells which form it is, or why there is none.
"""

from __future__ import annotations

import numpy as np

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


def selected(order: int, selection: str, rows: Array, weights: Array) -> tuple[float, Array]:
    """Score of a place, and its direction with the neurons left out that do not serve.

    Parameters
    ----------
    rows, weights : (d,) and (d, F+1), of `slopes` or `curvatures`.

    Returns
    -------
    The decrease of J by ε to the order; where no neuron lowers J, the least increase, negative.
    """
    kept = rows > 0.0 if selection == "rows" else np.arange(len(rows)) == rows.argmax()
    direction = np.where(kept[:, None], weights, 0.0)
    if order == 1:
        norm = float(np.linalg.norm(direction))
        return norm, direction / norm if norm else direction
    best = float(rows.max())
    return (float(rows[kept].sum()) if best > 0.0 else best), direction


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
