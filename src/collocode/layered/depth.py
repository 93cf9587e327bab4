"""Depth as time: bisected layers keep the weights' functions of it, inserted ones bring their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..kinds import kinds_checked
from ..numerics import Array
from ..numerics.bases import Basis, PiecewiseConstant, basis
from ..numerics.mesh import Mesh
from .network import LayeredNetwork


@kinds_checked
def bisect(
    network: LayeredNetwork, theta: ArrayLike, layers: Iterable[int]
) -> tuple[LayeredNetwork, Array]:
    """Halve some layers.

    Either half keeps (K_n, b_n) at half the step, so K(t) and b(t) stay the same functions of time
    and the network changes by its discretization error only.

    Parameters
    ----------
    layers : numbers of the layers, from 0.

    Returns
    -------
    The finer network and its weight vector.

    Examples
    --------
    >>> network = LayeredNetwork(inputs=2, outputs=1, width=2, mesh=Mesh.uniform(0, 2, 2))
    >>> finer, theta = bisect(network, network.initial(), [1])
    >>> finer.mesh.steps
    array([1. , 0.5, 0.5])
    """
    weights = network.checked(theta)
    mesh = network.mesh.bisect(layers)
    old = network.time_basis
    new = PiecewiseConstant(mesh) if one_each(network) else old  # type: ignore[arg-type]
    opening, coefficients, readout = network.split(weights)
    finer = coefficients if new is old else old.prolong(new) @ coefficients
    return (
        replace(network, mesh=mesh, basis=new),
        np.concatenate([opening, finer.ravel(), readout]),
    )


@kinds_checked
def insert(
    network: LayeredNetwork,
    theta: ArrayLike,
    position: int,
    weights: tuple[ArrayLike, ArrayLike] | None = None,
    step: float = 1.0,
) -> tuple[LayeredNetwork, Array]:
    """Insert one layer, which makes [0, T] longer.

    Parameters
    ----------
    position : number that the new layer gets, 0 ... N; it acts on the state x_position.
    weights : (d, d) K and (d,) b of the new layer; zeros if left out, which change nothing where
        φ(0) = 0.
    step : its length h.

    Returns
    -------
    The deeper network and its weight vector.

    Raises
    ------
    InputError
        No such position, wrong shapes, or weights that are not one per layer.
    """
    old, d = network.checked(theta), network.width
    if isinstance(position, bool) or not 0 <= position <= network.layers:
        raise InputError(f"a layer can be inserted at 0 ... {network.layers}, not at {position}.")
    if not (np.isfinite(step) and step > 0.0):
        raise InputError(f"the step of a layer must be positive, not {step}.")
    check_one_each(network)
    K, b = (np.zeros((d, d)), np.zeros(d)) if weights is None else weights
    K, b = np.asarray(K, dtype=float), np.asarray(b, dtype=float)
    if K.shape != (d, d) or b.shape != (d,):
        raise InputError(f"a layer of width {d} needs K ({d}, {d}) and b ({d},).")
    opening, coefficients, readout = network.split(old)
    row = np.concatenate([K.ravel(order="F"), b])
    coefficients = np.insert(coefficients, position, row, axis=0)
    steps = np.insert(network.mesh.steps, position, step)
    mesh = Mesh(network.mesh.start + np.concatenate([[0.0], np.cumsum(steps)]))
    deeper = replace(network, mesh=mesh, basis=PiecewiseConstant(mesh))  # type: ignore[arg-type]
    return deeper, np.concatenate([opening, coefficients.ravel(), readout])


def one_each(network: LayeredNetwork) -> bool:
    """Whether every layer has weights of its own."""
    basis, points = network.time_basis, network.mesh.points
    return (
        isinstance(basis, PiecewiseConstant)
        and basis.size == network.layers
        and bool(np.allclose(basis.points, points, rtol=0.0, atol=1e-9 * (points[-1] - points[0])))
    )


def check_one_each(network: LayeredNetwork) -> None:
    """Refuse a network whose layers share weights, where one is to be inserted or halved."""
    if not one_each(network):
        raise InputError(
            f"a layer can be inserted where every layer has weights of its own, not with "
            f"{network.basis!r}; prolong the weights to PiecewiseConstant first."
        )


@kinds_checked
def weight_basis(name: str, order: int, mesh: Mesh) -> Basis:
    """Return a basis of functions on the interval of the layers.

    Parameters
    ----------
    name : one of `collocode.basis_names`; ``layers`` is one weight per layer; the knots of ``bspline`` are
        equally spaced, half as many pieces as there are layers, or fewer where the degree is high.
    order : degree, or number of harmonics.
    mesh : the layers.

    Raises
    ------
    InputError
        Unknown name, an order that no basis has.

    Examples
    --------
    >>> weight_basis("bspline", 3, Mesh.uniform(0.0, 2.0, 12)).size
    9
    """
    pieces = max(1, min(mesh.elements // 2, mesh.elements - int(order)))
    points = mesh if str(name).lower() == "layers" else None
    return basis(name, order, (mesh.start, mesh.end), pieces, points)
