"""The schemes of the toolkit with what the textbooks say of them.

Orders: Hairer, Norsett & Wanner, *Solving ODEs I*, II.7, and Hairer & Wanner, *Solving ODEs II*,
IV.5 (Gauss 2s, Radau IIA 2s-1, Lobatto IIIA and IIIC 2s-2; stage order s each, IIIC s-1).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """A scheme and its theory.

    Attributes
    ----------
    order : of the error at mesh points.
    stage_order : q of Butcher's C(q).
    stage : order of the error at the nodes inside an element, min(order, q + 1).
    dense : order of the interpolant; its error is O(h^(number of points)) or the nodal one.
    """

    name: str
    degree: int
    order: int
    stage_order: int
    stage: int
    dense: int

    def __str__(self) -> str:
        return f"{self.name}-{self.degree}"


def _radau(name: str, s: int) -> Method:
    return Method(name, s, 2 * s - 1, s, min(2 * s - 1, s + 1), min(2 * s - 1, s + 1))


def _gauss(name: str, s: int) -> Method:
    return Method(name, s, 2 * s, s, min(2 * s, s + 1), min(2 * s, s + 1))


def _lobatto(name: str, s: int) -> Method:
    return Method(name, s, 2 * s - 2, s, min(2 * s - 2, s + 1), min(2 * s - 2, s))


def _lobatto_iiic(s: int) -> Method:
    return Method("lobatto_iiic", s, 2 * s - 2, s - 1, min(2 * s - 2, s), min(2 * s - 2, s))


RADAU = tuple(_radau("radau", s) for s in range(1, 10))
GAUSS = tuple(_gauss("gauss", s) for s in range(1, 10))
LOBATTO = tuple(_lobatto("lobatto", s) for s in range(2, 10))
LOBATTO_IIIC = tuple(_lobatto_iiic(s) for s in range(2, 10))
NAMED = (
    _radau("implicit_euler", 1),
    Method("explicit_euler", 1, 1, 1, 1, 1),
    _lobatto("trapezoid", 2),
    _lobatto("hermite_simpson", 3),
)
LOCAL = RADAU + GAUSS + LOBATTO + LOBATTO_IIIC + NAMED
GLOBAL = ("chebyshev", "legendre_radau", "legendre_gauss")
# one of each kind, for tests that need variety and not every degree
FEW = (
    ("radau", 3),
    ("gauss", 2),
    ("lobatto", 4),
    ("lobatto_iiic", 3),
    ("explicit_euler", 1),
    ("implicit_euler", 1),
    ("hermite_simpson", 3),
    ("chebyshev", 8),
)
