"""A basis for the weights of given layers, by its name."""

from __future__ import annotations

from ..numerics.bases import Basis, basis
from ..numerics.mesh import Mesh


def weight_basis(name: str, order: int, mesh: Mesh) -> Basis:
    """Return a basis of functions on the interval of the layers.

    Parameters
    ----------
    name : one of `collocode.basis_names`; ``layers`` is one weight a layer; the knots of ``bspline`` are
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
