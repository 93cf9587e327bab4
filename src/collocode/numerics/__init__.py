"""Schemes, meshes, bases in time, signals; and what arrays are called in signatures, here and above."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]


def numbers(values: Any, what: str) -> Array:
    """Return a new array of numbers.

    Raises
    ------
    InputError
        They are none.
    """
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} cannot be read as numbers ({error}).") from error
