"""The catalogue of schemes: how each classic is built from nodes, `D` and `B`.

========================  ==========  ===========  ================================
name                      degree s    nodal order  also known as
========================  ==========  ===========  ================================
``radau``                 1 ... 9     2s - 1       Radau IIA, stiffly accurate
``gauss``                 1 ... 9     2s           Gauss-Legendre, symmetric
``lobatto``               2 ... 9     2s - 2       Lobatto IIIA, symmetric
``lobatto_iiic``          2 ... 9     2s - 2       Lobatto IIIC, stiffly accurate, DG(s-1)
``trapezoid``             2           2            Lobatto IIIA, s = 2
``hermite_simpson``       3           4            Lobatto IIIA, s = 3
``explicit_euler``        1           1            DG(0), one ResNet layer
``implicit_euler``        1           1            Radau IIA, s = 1
``chebyshev``             2 ... 400   global       Chebyshev-Gauss-Lobatto grid
``legendre_radau``        1 ... 400   global       Legendre-Gauss-Radau grid (flipped)
``legendre_gauss``        1 ... 400   global       Legendre-Gauss grid
========================  ==========  ===========  ================================

The global grids are meant for one element (or a few) of high degree; they converge with the
degree, spectrally where the solution is smooth, at the price of dense rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import scipy

from ..checks import check_choice
from ..errors import InputError
from .scheme import Array, Scheme, differentiation_matrix, integration_matrix, lagrange_matrix


def _made(name: str, degree: int, nodes: Array, D: Array, B: Array, dense: Iterable[int]) -> Scheme:
    return Scheme(name=name, degree=degree, nodes=nodes, D=D, B=B, dense=tuple(dense))


def _collocation(name: str, stages: Array) -> Scheme:
    """Collocate at ``stages`` in (0, 1]; add the end of the element when it is not among them."""
    s = len(stages)
    interpolated = np.concatenate([[0.0], stages])
    derivative = differentiation_matrix(interpolated)[1:]
    pick = np.hstack([np.zeros((s, 1)), np.eye(s)])
    if stages[-1] == 1.0:
        return _made(name, s, interpolated, derivative, pick, range(s + 1))
    nodes = np.concatenate([interpolated, [1.0]])
    extrapolation = np.append(-lagrange_matrix(interpolated, 1.0)[0], 1.0)
    D = np.vstack([np.hstack([derivative, np.zeros((s, 1))]), extrapolation])
    B = np.vstack([np.hstack([pick, np.zeros((s, 1))]), np.zeros(s + 2)])
    return _made(name, s, nodes, D, B, range(s + 1))


def _radau(name: str, s: int) -> Scheme:
    inner = scipy.special.roots_jacobi(s - 1, 1.0, 0.0)[0] if s > 1 else np.empty(0)
    return _collocation(name, np.append(0.5 * (inner + 1.0), 1.0))


def _gauss(name: str, s: int) -> Scheme:
    return _collocation(name, 0.5 * (scipy.special.roots_legendre(s)[0] + 1.0))


def _lobatto_nodes(s: int) -> Array:
    inner = scipy.special.roots_jacobi(s - 2, 1.0, 1.0)[0] if s > 2 else np.empty(0)
    return np.concatenate([[0.0], 0.5 * (inner + 1.0), [1.0]])


def _lobatto_iiic(name: str, s: int) -> Scheme:
    """Butcher's inverse matrix is that of differentiation, with 1/b_1 for the jump at the start."""
    stages = _lobatto_nodes(s)
    inverse = differentiation_matrix(stages)
    jump = s * (s - 1.0)  # 1/b_1
    inverse[0, 0] += jump
    D = np.hstack([np.zeros((s, 1)), inverse])
    D[0, 0] = -jump
    B = np.hstack([np.zeros((s, 1)), np.eye(s)])
    return _made(name, s, np.append(0.0, stages), D, B, (0, *range(2, s + 1)))


def _lobatto(name: str, s: int) -> Scheme:
    nodes = _lobatto_nodes(s)
    A = integration_matrix(nodes, nodes[1:])
    inverse = np.linalg.inv(A[:, 1:])
    D = np.hstack([-inverse.sum(axis=1, keepdims=True), inverse])
    B = np.hstack([inverse @ A[:, :1], np.eye(s - 1)])
    return _made(name, s, nodes, D, B, range(s))


def _chebyshev(name: str, s: int) -> Scheme:
    nodes = 0.5 * (1.0 - np.cos(np.pi * np.arange(s + 1) / s))
    nodes[-1] = 1.0
    return _collocation(name, nodes[1:])


def _explicit_euler(name: str, s: int) -> Scheme:
    D, B = np.array([[-1.0, 1.0]]), np.array([[1.0, 0.0]])
    return _made(name, s, np.array([0.0, 1.0]), D, B, (0, 1))


_CATALOGUE: dict[str, tuple[Callable[[str, int], Scheme], range, int]] = {
    "radau": (_radau, range(1, 10), 3),
    "gauss": (_gauss, range(1, 10), 3),
    "lobatto": (_lobatto, range(2, 10), 3),
    "lobatto_iiic": (_lobatto_iiic, range(2, 10), 3),
    "trapezoid": (_lobatto, range(2, 3), 2),
    "hermite_simpson": (_lobatto, range(3, 4), 3),
    "explicit_euler": (_explicit_euler, range(1, 2), 1),
    "implicit_euler": (_radau, range(1, 2), 1),
    "chebyshev": (_chebyshev, range(2, 401), 60),
    "legendre_radau": (_radau, range(1, 401), 60),
    "legendre_gauss": (_gauss, range(1, 401), 60),
}
GLOBAL_SCHEMES = frozenset({"chebyshev", "legendre_radau", "legendre_gauss"})


def scheme_names() -> tuple[str, ...]:
    """Names that `scheme` knows.

    Examples
    --------
    >>> scheme_names()[:3]
    ('radau', 'gauss', 'lobatto')
    """
    return tuple(_CATALOGUE)


@lru_cache(maxsize=64, typed=True)  # else True would find what 1 has left
def scheme(name: str = "radau", degree: int | None = None, residual: float = 0.0) -> Scheme:
    """Return the scheme called ``name`` with ``degree`` stages.

    Parameters
    ----------
    name : one of `scheme_names`; hyphens count as underscores.
    degree : number of stages s; None takes the scheme's usual one (Radau: 3).
    residual : weight of the dynamics' integrated residual in the objective, see `Scheme`.

    Raises
    ------
    InputError
        Unknown name (the nearest known one is suggested) or degree out of range; a residual that the
        scheme does not have.

    Examples
    --------
    >>> scheme("radau", 3).order, scheme("gauss", 2).order, scheme("trapezoid").order
    (5, 4, 2)
    """
    key = str(name).lower().replace("-", "_")
    check_choice("scheme", key, _CATALOGUE)
    build, allowed, usual = _CATALOGUE[key]
    degree = usual if degree is None else degree
    if isinstance(degree, bool) or degree not in allowed:
        span = f"{allowed[0]}" if len(allowed) == 1 else f"{allowed[0]} to {allowed[-1]}"
        raise InputError(f"scheme {key!r} has no degree {degree}; choose {span}.")
    return replace(build(key, int(degree)), residual=residual)
