"""Bases by name, as the command line and saved fits know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal

from ...checks import check_choice
from ...errors import InputError
from ...forms import Form, form_of
from ..mesh import Mesh
from ..scheme import Array
from .base import Basis, Interval, checked_interval
from .global_bases import Chebyshev, Constant, Fourier, Legendre, Monomial
from .piecewise import BSpline, PiecewiseConstant

_GLOBAL: dict[str, Callable[[int, Interval], Basis]] = {
    "constant": lambda order, interval: Constant(interval),
    "monomial": Monomial,
    "monomial-unit": lambda order, interval: Monomial(order, interval, unit=True),
    "legendre": Legendre,
    "chebyshev": Chebyshev,
    "fourier": Fourier,
}
_LOCAL: dict[str, Callable[[int, Mesh], Basis]] = {
    "bspline": lambda order, mesh: BSpline(mesh, order),  # type: ignore[arg-type]
    "layers": lambda order, mesh: PiecewiseConstant(mesh),  # type: ignore[arg-type]
}
_GLOBAL_KINDS = (Constant, Monomial, Legendre, Chebyshev, Fourier)
_KINDS: tuple[type[Any], ...] = (*_GLOBAL_KINDS, BSpline, PiecewiseConstant)
BASIS: Form = tuple({"kind": Literal[kind.__name__], **form_of(kind)} for kind in _KINDS)
"""What a file holds of a basis."""


def basis_names() -> tuple[str, ...]:
    """Names that `basis` knows.

    Examples
    --------
    >>> basis_names()
    ('constant', 'monomial', 'monomial-unit', 'legendre', 'chebyshev', 'fourier', 'bspline', 'layers')
    """
    return (*_GLOBAL, *_LOCAL)


def basis(
    name: str,
    order: int = 3,
    interval: Interval = (0.0, 1.0),
    pieces: int = 10,
    points: Mesh | Sequence[float] | Array | None = None,
) -> Basis:
    """Return the basis called ``name``.

    Parameters
    ----------
    name : one of `basis_names`; underscores count as hyphens.
    order : degree of the polynomials or splines, number of harmonics; others do without.
    interval : where the functions live.
    pieces : into how many equal pieces ``bspline`` and ``layers`` cut the interval.
    points : the ends of these pieces, instead of ``pieces`` and ``interval``.

    Raises
    ------
    InputError
        Unknown name (the nearest known one is suggested), or an order or interval that no basis has.

    Examples
    --------
    >>> basis("legendre", order=2, interval=(0.0, 30.0))
    Legendre(order=2, interval=(0.0, 30.0))
    >>> basis("layers", pieces=4).size
    4
    """
    key = str(name).lower().replace("_", "-")
    if key in _GLOBAL:
        return _GLOBAL[key](order, interval)
    check_choice("basis", key, basis_names())
    if points is None:
        return _LOCAL[key](order, Mesh.uniform(*checked_interval(interval, key), pieces))
    return _LOCAL[key](order, points if isinstance(points, Mesh) else Mesh(points))  # type: ignore[arg-type]


def basis_to_dict(basis: Basis) -> dict[str, Any]:
    """Return a basis as plain data, for a file; `basis_from_dict` reads it.

    Examples
    --------
    >>> basis_to_dict(Fourier(2, (0.0, 4.0)))
    {'kind': 'Fourier', 'harmonics': 2, 'interval': (0.0, 4.0)}
    """
    if type(basis) not in _KINDS:
        raise InputError(f"{basis!r} is of a kind of its own, which no file can hold.")
    return {
        "kind": type(basis).__name__,
        **{f.name: getattr(basis, f.name) for f in fields(basis) if f.init},  # type: ignore[arg-type]
    }


def basis_from_dict(entry: Mapping[str, Any]) -> Basis:
    """Return the basis that `basis_to_dict` wrote down.

    Raises
    ------
    InputError
        An unknown kind, or fields that it has not.
    """
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    kinds = {kind.__name__: kind for kind in _KINDS}
    try:
        found: Basis = kinds[str(given.pop("kind"))](**given)
        return found
    except (KeyError, TypeError) as error:
        raise InputError(f"there is no basis {dict(entry)!r}.") from error
