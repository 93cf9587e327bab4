r"""Least squares by trust-region steps, with few residuals or few unknowns.

A step is :math:`-(J^TJ+D^2+\alpha I)^{-1}(J^Tr+D\varrho)` with the penalty's D and α by the trust region's
radius (Moré, LNM 630, 1978), by Cholesky's factorisation, for a tenth of what SciPy's singular value
decompositions cost.  With fewer residuals than unknowns it is, with :math:`E=D^2+\alpha I`,

.. math:: q-E^{-1}J^T(I+JE^{-1}J^T)^{-1}(r+Jq),\qquad q=-E^{-1}D\varrho,

a matrix of the size of the residuals, whose :math:`JE^{-1}J^T` is summed over equal entries of D.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from ..numerics import Array, Mask

_STILL = 1e-8  # gradient, and share of the cost that a step gains
_TRIALS, _CLOSE = 10, 0.01  # of the trust region's α
_FLAT = 1e-16  # of the trace, an α that is as good as none
_LEAST = 1e-12  # of the trace, in a matrix of the residuals
_MOST_STRENGTHS = 32


@dataclass(frozen=True, eq=False)
class Penalty:
    """The penalty's ``matrix`` D, and what is made of it once for all steps."""

    matrix: sparse.csr_array

    @cached_property
    def transposed(self) -> sparse.csc_array:
        """Dᵀ."""
        return self.matrix.T

    @cached_property
    def square(self) -> Array:
        """DᵀD."""
        return np.asarray((self.transposed @ self.matrix).toarray())

    @cached_property
    def diagonal(self) -> Array | None:
        """Of a diagonal D that has few different entries."""
        entries = self.matrix.tocoo()
        diagonal = np.asarray(self.matrix.diagonal())
        few = len(np.unique(diagonal)) <= _MOST_STRENGTHS
        return diagonal if few and (entries.row == entries.col).all() else None


class Model(ABC):
    """Half the square of J s + r and D s + ϱ as a function of the step s.

    Attributes
    ----------
    gradient : at s = 0.
    trace : of JᵀJ + D².
    """

    gradient: Array
    trace: float

    @staticmethod
    def of(J: Array, r: Array, D: Penalty, rest: Array) -> Model:
        """Whichever is less work; a wide one needs a diagonal D of few different entries."""
        if len(J) < J.shape[1] and D.diagonal is not None:
            return _Wide(J, r, D.diagonal, rest)
        return _Tall(J, r, D, rest)

    @abstractmethod
    def curvature(self, step: Array) -> float:
        """The square of J s and D s."""

    @abstractmethod
    def damped(self, alpha: float) -> tuple[Array, float]:
        """The step for an α and the derivative of its length; infinite where there is none."""


class _Tall(Model):
    def __init__(self, J: Array, r: Array, D: Penalty, rest: Array) -> None:
        self._A, self.gradient = J.T @ J + D.square, J.T @ r + D.transposed @ rest
        self.trace = float(np.trace(self._A))

    def curvature(self, step: Array) -> float:
        return float(step @ self._A @ step)

    def damped(self, alpha: float) -> tuple[Array, float]:
        matrix = self._A.T.copy(order="K")  # symmetric, and as LAPACK has it
        np.einsum("ii->i", matrix)[:] += alpha
        factor, info = lapack.dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
        if info:
            return np.full(len(matrix), np.inf), np.nan
        step, _ = lapack.dpotrs(factor, -self.gradient, lower=1)
        bent, _ = lapack.dtrtrs(factor, step, lower=1)
        return step, -float(bent @ bent) / max(float(np.linalg.norm(step)), 1e-300)


class _Wide(Model):
    def __init__(self, J: Array, r: Array, D: Array, rest: Array) -> None:
        self._J, self._r, self._D, self._rest = J, r, D, rest
        self.gradient = J.T @ r + D * rest
        self._strengths = np.unique(D)
        groups = [J[:, strength == D] for strength in self._strengths]
        self._squares = [part @ part.T for part in groups]
        self.trace = float(sum(np.trace(part) for part in self._squares) + D @ D)

    def curvature(self, step: Array) -> float:
        moved, held = self._J @ step, self._D * step
        return float(moved @ moved + held @ held)

    def damped(self, alpha: float) -> tuple[Array, float]:
        # without a penalty, E has to be large enough for its inverse to leave digits
        least = alpha if self._strengths[0] else max(alpha, _LEAST * self.trace)
        E = self._D**2 + least
        matrix = np.eye(len(self._J))
        for square, strength in zip(self._squares, self._strengths, strict=True):
            matrix += square / (strength**2 + least)
        factor, info = lapack.dpotrf(matrix, lower=1, clean=0)
        if info:
            return np.full(len(E), np.inf), np.nan
        q = -self._D * self._rest / E
        w, _ = lapack.dpotrs(factor, self._r + self._J @ q, lower=1)
        step = q - (w @ self._J) / E
        bent, _ = lapack.dtrtrs(factor, self._J @ (step / E), lower=1)
        bend = max(float(step @ (step / E) - bent @ bent), 1e-300)
        return step, -bend / max(float(np.linalg.norm(step)), 1e-300)


def least_squares(
    residual: Callable[[Array], Array],
    model: Callable[[Array, Array], Model],
    z: Array,
    varies: Mask,
    steps: int,
) -> Array:
    """The unknowns after so many trials of trust-region steps from ``z``, as SciPy chooses them.

    Parameters
    ----------
    residual : of the unknowns.
    model : (unknowns, residual there) -> of steps of those that vary.

    Raises
    ------
    ValueError
        Residuals or derivatives at ``z`` that are not finite.
    numpy.linalg.LinAlgError
        A matrix that no α makes definite.
    """
    z, r = z.copy(), residual(z)
    about = model(z, r)
    if not np.isfinite(r).all() or not np.isfinite(about.trace):
        raise ValueError("the slopes are not finite")
    cost, radius, alpha = 0.5 * float(r @ r), float(np.linalg.norm(z[varies])) or 1.0, 0.0
    for _ in range(steps):
        if np.abs(about.gradient).max(initial=0.0) < _STILL:
            break
        step, alpha = _within(about, radius, alpha)
        size = float(np.linalg.norm(step))
        foreseen = -float(about.gradient @ step) - 0.5 * about.curvature(step)
        trial = z.copy()
        trial[varies] += step
        r = residual(trial)
        gain = cost - 0.5 * float(r @ r)
        gain = gain if np.isfinite(gain) else -np.inf
        before = radius
        if not gain >= 0.25 * foreseen:
            radius = 0.25 * size
        elif gain > 0.75 * foreseen and size > 0.95 * radius:
            radius *= 2.0
        alpha *= before / radius
        if gain > 0.0:
            z, cost = trial, cost - gain
            if gain < _STILL * cost:
                break
            about = model(z, r)
    return z


def _within(model: Model, radius: float, alpha: float) -> tuple[Array, float]:
    """The step of a length, or the shorter one for α = 0, and α.

    The inverse of the length is nearly linear in α: Newton's method on that, kept between bounds.
    """
    step, slope = model.damped(0.0)
    size = float(np.linalg.norm(step))
    if size <= radius:
        return step, 0.0
    lower, upper = 0.0, float(np.linalg.norm(model.gradient)) / radius
    if np.isfinite(size):
        lower = (radius - size) / slope
    for _ in range(_TRIALS):
        if not lower <= alpha <= upper or not alpha:
            alpha = max(1e-3 * upper, float(np.sqrt(lower * upper)))
        step, slope = model.damped(alpha)
        size = float(np.linalg.norm(step))
        if not np.isfinite(size):  # flat to working precision
            lower = max(alpha, _FLAT * model.trace)
            alpha, upper = 10.0 * lower, max(upper, 100.0 * lower)
            continue
        missed = size - radius
        upper = upper if missed >= 0.0 else alpha
        lower = max(lower, alpha - missed / slope)
        alpha -= size * missed / (slope * radius)
        if abs(missed) < _CLOSE * radius:
            break
    step, _ = model.damped(alpha)
    size = float(np.linalg.norm(step))
    if not np.isfinite(size):
        raise np.linalg.LinAlgError("no damping makes the slopes' matrix definite")
    return step * (radius / size), alpha
