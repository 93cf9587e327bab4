"""Affine least squares: what every surrogate has to beat."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from .losses import relative_error
from .samples import Samples


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
