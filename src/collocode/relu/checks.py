"""Arrays that callers give, checked and made read-only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[np.float64]


def finite_array(values: Any, name: str, dimensions: int) -> Array:
    """Return a read-only array of finite numbers.

    Raises
    ------
    InputError
        Another number of axes, an empty one, a value that is not finite, named by its place.
    """
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is no array of numbers: {error}.") from error
    if array.ndim != dimensions or 0 in array.shape:
        raise InputError(
            f"{name} has shape {array.shape}; it must have {dimensions} axes, none empty."
        )
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{name}{list(where)} is {array[where]}; every weight must be finite.")
    array.flags.writeable = False
    return array


def spread(values: Any, name: str, size: int, finite: bool = True) -> Array:
    """Return a number or (size,) values as a read-only (size,) array.

    Raises
    ------
    InputError
        Another shape, or a value that is not finite.
    """
    array = np.array(values, dtype=float)
    if array.shape not in ((), (size,)):
        raise InputError(f"{name} has shape {array.shape}; it must be a number or ({size},).")
    if finite and not np.isfinite(array).all():
        raise InputError(f"{name} must be finite.")
    array = np.broadcast_to(array, (size,)).copy()
    array.flags.writeable = False
    return array
