r"""Losses on the read-out :math:`u_s\in\mathbb R^o` of the samples, as means over them.

================  =========================================  =======================================
`SquaredLoss`     ½ ‖u − y‖²                                 regression, or classes as unit vectors
`RegressionLoss`  ½ Σ ρ(u − y)                               with outliers: ρ of `Huber`, `PseudoHuber`
`LogisticLoss`    log(1 + eᵘ) − y u                          two classes, one output
`SoftmaxLoss`     log Σ e^{u_k} − u_y                        several classes, an output each
================  =========================================  =======================================

Targets are put into one (S, outputs) table by `targets`, so that every loss is a function of two
tables; `root` is a square root of the Hessian by u, the weight of Gauss-Newton's method.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
from scipy.special import expit, logsumexp, softmax

from ..checks import check_choice, counted
from ..errors import InputError
from ..model.activations import CASADI, activation
from ..model.losses import LeastSquares, ResidualLoss
from ..numerics import Array, Index, numbers
from .samples import Samples


@dataclass(frozen=True)
class SampleLoss(ABC):
    """A convex function of outputs and targets; see the module for the kinds."""

    @property
    def quadratic(self) -> bool:
        """Whether the loss is quadratic in the outputs."""
        return False

    @abstractmethod
    def targets(self, samples: Samples, outputs: int) -> Array:
        """(S, outputs) table of targets.

        Raises
        ------
        InputError
            Targets that this loss, or this number of outputs, cannot have.
        """

    @abstractmethod
    def each(self, u: Array, targets: Array) -> Array:
        """(S,) losses."""

    @abstractmethod
    def slope(self, u: Array, targets: Array) -> Array:
        """(S, outputs) derivatives of every sample's loss by its outputs."""

    @abstractmethod
    def root(self, u: Array, targets: Array) -> Array:
        """(S, outputs, q) matrices V with V Vᵀ the Hessian of every sample's loss."""

    @abstractmethod
    def symbolic(self, u: ca.SX, target: ca.SX) -> ca.SX:
        """One sample's loss in CasADi."""

    @abstractmethod
    def decide(self, u: Array) -> Index:
        """(S,) classes that the outputs stand for."""

    def value(self, u: Array, targets: Array) -> float:
        """Mean loss."""
        return float(np.mean(self.each(u, targets)))

    def gradient(self, u: Array, targets: Array) -> Array:
        """(S, outputs) derivatives of the mean loss."""
        return self.slope(u, targets) / len(u)


@dataclass(frozen=True)
class RegressionLoss(SampleLoss):
    """½ Σ ρ(u − y) over the outputs; classes are unit vectors, or 0 and 1 where there is one output.

    Parameters
    ----------
    loss : gives ρ, `collocode.Huber` for instance; its σ is not used.
    """

    loss: ResidualLoss

    @property
    def quadratic(self) -> bool:
        """Whether ρ is."""
        return self.loss.quadratic

    def targets(self, samples: Samples, outputs: int) -> Array:
        """Return the numbers as they are, classes as unit vectors."""
        if samples.classes:
            if outputs == 1:
                return _binary(samples, outputs)
            return _unit_vectors(samples, outputs)
        if samples.Y.shape[1] != outputs:
            raise InputError(
                f"the network has {counted(outputs, 'output')}, but the samples {counted(samples.Y.shape[1], 'target')}."
            )
        return np.asarray(samples.Y, dtype=float)

    def each(self, u: Array, targets: Array) -> Array:
        """½ Σ ρ(u − y)."""
        return 0.5 * np.asarray(self.loss.rho(u - targets).sum(axis=1))

    def slope(self, u: Array, targets: Array) -> Array:
        """½ ρ'(u − y)."""
        return 0.5 * self.loss.psi(u - targets)

    def root(self, u: Array, targets: Array) -> Array:
        """Diagonal matrices of √(½ ρ'')."""
        diagonal = np.sqrt(0.5 * self.loss.psi_slope(u - targets))
        return np.asarray(diagonal[:, :, None] * np.eye(u.shape[1]))

    def symbolic(self, u: ca.SX, target: ca.SX) -> ca.SX:
        """½ Σ ρ(u − y)."""
        return 0.5 * ca.sum1(self.loss.rho(u - target, CASADI))

    def decide(self, u: Array) -> Index:
        """Return the nearest unit vector, or which side of ½."""
        return (u[:, 0] > 0.5).astype(np.intp) if u.shape[1] == 1 else u.argmax(axis=1)


@dataclass(frozen=True)
class SquaredLoss(RegressionLoss):
    """½ ‖u − y‖²."""

    loss: ResidualLoss = LeastSquares()


@dataclass(frozen=True)
class LogisticLoss(SampleLoss):
    """log(1 + eᵘ) − y u for classes y = 0 and 1: the negative log-likelihood of logistic regression."""

    def targets(self, samples: Samples, outputs: int) -> Array:
        """(S, 1) zeros and ones."""
        return _binary(samples, outputs)

    def each(self, u: Array, targets: Array) -> Array:
        """Return log(1 + eᵘ) − y u without overflow."""
        return np.asarray((np.logaddexp(0.0, u) - targets * u)[:, 0])

    def slope(self, u: Array, targets: Array) -> Array:
        """Probability less target."""
        return np.asarray(expit(u) - targets)

    def root(self, u: Array, targets: Array) -> Array:
        """√(p (1 − p)) = 1 / (2 cosh(u/2))."""
        p = expit(u)
        return np.asarray(np.sqrt(p * (1.0 - p))[:, :, None])

    def symbolic(self, u: ca.SX, target: ca.SX) -> ca.SX:
        """Softplus of u, less y u."""
        return activation("softplus")(u, CASADI) - target * u

    def decide(self, u: Array) -> Index:
        """Return 1 where u > 0."""
        return np.asarray((u[:, 0] > 0.0).astype(np.intp))


@dataclass(frozen=True)
class SoftmaxLoss(SampleLoss):
    """log Σ e^{u_k} − u_y: cross-entropy of the softmax."""

    def targets(self, samples: Samples, outputs: int) -> Array:
        """(S, outputs) unit vectors."""
        return _unit_vectors(samples, outputs)

    def each(self, u: Array, targets: Array) -> Array:
        """Return log Σ e^{u_k} − u_y without overflow."""
        return np.asarray(logsumexp(u, axis=1) - np.einsum("so,so->s", u, targets))

    def slope(self, u: Array, targets: Array) -> Array:
        """Probabilities less targets."""
        return np.asarray(softmax(u, axis=1) - targets)

    def root(self, u: Array, targets: Array) -> Array:
        """V = diag(√p) − p √pᵀ, for which V Vᵀ = diag(p) − p pᵀ."""
        p = softmax(u, axis=1)
        r = np.sqrt(p)
        return np.asarray(r[:, :, None] * np.eye(u.shape[1]) - p[:, :, None] * r[:, None, :])

    def symbolic(self, u: ca.SX, target: ca.SX) -> ca.SX:
        """Return log Σ e^{u_k} − u_y."""
        return ca.logsumexp(u) - ca.dot(u, target)

    def decide(self, u: Array) -> Index:
        """Return the largest output."""
        return u.argmax(axis=1)


LOSSES: dict[str, type[SampleLoss]] = {
    "squared": SquaredLoss,
    "logistic": LogisticLoss,
    "softmax": SoftmaxLoss,
}


def accuracy(decided: Index, classes: Index) -> float:
    """Share of samples whose class is right.

    Examples
    --------
    >>> accuracy(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]))
    0.75
    """
    ours, truth = _alike("accuracy", decided, classes, 1)
    return float(np.mean(ours == truth))


def relative_error(u: Array, targets: Array) -> float:
    """Mean over samples of ‖u − y‖ / ‖y‖; samples whose target is zero count ‖u‖.

    Examples
    --------
    >>> relative_error(np.array([[3.0, 3.0], [0.0, 1.0]]), np.array([[3.0, 4.0], [0.0, 1.0]]))
    0.1
    """
    u, targets = _alike("relative_error", u, targets, 2)
    size = np.linalg.norm(targets, axis=1)
    error = np.linalg.norm(u - targets, axis=1)
    return float(np.mean(error / np.where(size > 0.0, size, 1.0)))


def _alike(function: str, ours: Any, theirs: Any, axes: int) -> tuple[Array, Array]:
    """Return two arrays of numbers of one shape, or refuse what is none."""
    one, other = (
        numbers(ours, f"what {function} judges"),
        numbers(theirs, f"the truth for {function}"),
    )
    if one.shape != other.shape or one.ndim != axes or not one.size:
        wanted = "(samples,)" if axes == 1 else "(samples, outputs)"
        raise InputError(
            f"{function} takes two arrays of one shape {wanted}, not of {one.shape} and {other.shape}."
        )
    return one, other


def affine_errors(train: Samples, *others: Samples) -> list[float]:
    """Fit targets ≈ A x + b to the training part; return the relative errors on it and on the others.

    Raises
    ------
    InputError
        Targets that are classes.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> [round(error, 12) for error in affine_errors(Samples(X, 1.0 + 2.0 * X))]
    [0.0]
    """
    if train.classes:
        raise InputError("affine least squares is for numbers, but these targets are classes.")

    def columns(samples: Samples) -> np.ndarray:
        return np.column_stack([samples.X, np.ones(len(samples))])

    W = np.linalg.lstsq(columns(train), train.Y.astype(float), rcond=None)[0]
    parts = (train, *others)
    return [relative_error(columns(part) @ W, part.Y.astype(float)) for part in parts]


def metric(loss: SampleLoss, u: Array, samples: Samples) -> float:
    """Return `accuracy` where the targets are classes, else `relative_error`."""
    if samples.classes:
        return accuracy(loss.decide(u), samples.Y)  # type: ignore[arg-type]
    return relative_error(u, loss.targets(samples, u.shape[1]))


def metric_name(samples: Samples) -> str:
    """``accuracy`` or ``relative error``."""
    return "accuracy" if samples.classes else "relative error"


def _binary(samples: Samples, outputs: int) -> Array:
    if outputs != 1:
        raise InputError(f"two classes need one output, not {outputs}; or take SoftmaxLoss.")
    y = np.asarray(samples.Y)
    if y.ndim == 2 and y.shape[1] == 1 and np.isin(y, (0.0, 1.0)).all():
        return np.asarray(y, dtype=float)
    if not samples.classes or samples.classes > 2:
        found = f"{counted(samples.classes, 'class', 'classes')}" if samples.classes else "numbers"
        raise InputError(f"one output tells classes 0 and 1 apart, not {found}; take SoftmaxLoss.")
    return y.astype(float)[:, None]


def _unit_vectors(samples: Samples, outputs: int) -> Array:
    if not samples.classes:
        raise InputError("classes must be integers 0, 1, ... in one column; these targets are not.")
    if samples.classes > outputs:
        raise InputError(
            f"there are {counted(samples.classes, 'class', 'classes')}, but the network has {counted(outputs, 'output')}; "
            "give it one for each class."
        )
    return np.asarray(np.eye(outputs)[samples.Y])


def loss_named(name: str) -> Any:
    """Return the loss called ``squared``, ``logistic`` or ``softmax``."""
    check_choice("loss", name, LOSSES)
    return LOSSES[name]()
