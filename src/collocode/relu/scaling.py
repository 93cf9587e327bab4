r"""Scaling by positive homogeneity: the same function, other numbers inside.

.. math:: W_l \leftarrow S_l W_l S_{l-1}^{-1},\quad b_l \leftarrow S_l b_l,\quad
          c_l \leftarrow S_l c_l,\qquad S_l = \mathrm{diag}(s_l) > 0

because min(max(s a, 0), s c) = s min(max(a, 0), c) for s > 0.  With s = 1/max(|L|, |U|) every
hidden big-M is at most one.  It is a diagonal change of variables: the LP relaxation's optimum does
not change, only what tolerances, presolve and branching make of it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .bounds import Bounds
from .network import ReluNetwork

Array = NDArray[np.float64]


def factors(network: ReluNetwork, bounds: Bounds, per: str = "neuron") -> list[Array]:
    """Return the s_l of every hidden layer: 1/max(|L|, |U|) by neuron, or of the layer's largest.

    A unit whose range is the single point 0 keeps the factor 1.

    Raises
    ------
    InputError
        Another ``per``; bounds of another shape, or infinite.
    """
    if per not in ("neuron", "layer"):
        raise InputError(f"per must be 'neuron' or 'layer', not {per!r}.")
    bounds.check(network)
    found = []
    for low, up in zip(bounds.lower[:-1], bounds.upper[:-1], strict=True):
        size = np.maximum(np.abs(low), np.abs(up))
        if not np.isfinite(size).all():
            raise InputError("bounds for scaling must be finite; use interval_bounds or lp_bounds.")
        if per == "layer":
            size = np.full_like(size, size.max())
        found.append(1.0 / np.where(size > 0.0, size, 1.0))
    return found


def scaled(network: ReluNetwork, bounds: Bounds, per: str = "neuron") -> ReluNetwork:
    """Return an equal network whose pre-activations are within [-1, 1] where bounds say so.

    Parameters
    ----------
    bounds : proved ranges, as `interval_bounds` or `lp_bounds` return them.
    per : ``neuron`` (one factor each) or ``layer`` (one for all units of a layer).

    Raises
    ------
    InputError
        See `factors`.

    Examples
    --------
    >>> absolute = ReluNetwork(([[4.0], [-4.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    >>> from collocode.relu import interval_bounds
    >>> other = scaled(absolute, interval_bounds(absolute, [(-2.0, 1.0)]))
    >>> other.weights[0].ravel(), other([-2.0]), absolute([-2.0])
    (array([ 0.5, -0.5]), array([8.]), array([8.]))
    """
    s = factors(network, bounds, per)
    before = [np.ones(network.inputs), *s]
    after = [*s, np.ones(network.outputs)]
    layers = range(len(network.weights))
    return replace(
        network,
        weights=tuple(after[k][:, None] * network.weights[k] / before[k] for k in layers),
        biases=tuple(after[k] * network.biases[k] for k in layers),
        clip=tuple(None if level is None else s[k] * level for k, level in enumerate(network.clip)),
    )


def scaled_bounds(network: ReluNetwork, bounds: Bounds, per: str = "neuron") -> Bounds:
    """Return what the bounds of ``network`` become for ``scaled(network, bounds, per)``."""
    s = [*factors(network, bounds, per), np.ones(network.outputs)]
    return replace(
        bounds,
        lower=tuple(f * low for f, low in zip(s, bounds.lower, strict=True)),
        upper=tuple(f * up for f, up in zip(s, bounds.upper, strict=True)),
    )
