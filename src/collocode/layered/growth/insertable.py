"""Whether a layer can grow out of nothing in a network, and to which order it lowers the loss."""

from __future__ import annotations

from ...errors import InputError
from ...model.activations import Activation
from ..blocks import HamiltonianBlock
from ..depth import one_each
from ..network import LayeredNetwork


def order_of(network: LayeredNetwork) -> int:
    """Return 1 where φ'(0) ≠ 0, 2 where only φ''(0) ≠ 0.

    Raises
    ------
    InputError
        An activation or a block without such a form, or layers that share weights.
    """
    order = activation_order(network.block.phi)
    if order == 2 and isinstance(network.block, HamiltonianBlock):
        raise InputError(
            f"in a Hamiltonian block K serves two half-steps, so that the second-order form of "
            f"{network.block.activation!r} has no eigenproblem a neuron; take 'tanh' or a "
            "ResidualBlock."
        )
    if not one_each(network):
        raise InputError(
            f"a layer can be inserted where every layer has weights of its own, not with "
            f"{network.basis!r}; prolong the weights to PiecewiseConstant first."
        )
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
