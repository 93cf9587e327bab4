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
    """Return a new array of numbers; what a masked array masks becomes NaN.

    Raises
    ------
    InputError
        They are none, or dates, spans of time or complex numbers: NumPy would make ticks of
        whatever length of the former, and drop a part of the latter.

    Examples
    --------
    >>> numbers(np.ma.masked_equal([1.0, -999.0], -999.0), "the level")
    array([ 1., nan])
    """
    try:
        table = np.ma.asanyarray(values) if np.ma.isMaskedArray(values) else np.asarray(values)
        own = getattr(values, "dtype", table.dtype)  # pandas has dates of its own
        kind = table.dtype.kind if table.dtype.kind in "mMc" else str(getattr(own, "kind", ""))
        if values is None:
            raise TypeError("None")
        if kind in ("m", "M"):
            raise TypeError("dates" if kind == "M" else "spans of time")
        if kind == "c":
            raise TypeError("they are complex")
        if isinstance(table, np.ma.MaskedArray):
            return np.array(np.ma.filled(table.astype(float), np.nan))
        return np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        timed = any(word in str(error) for word in ("dates", "time", "Time"))
        remedy = f"; {_OF_DATES}" if timed else ""
        raise InputError(f"{what} cannot be read as numbers ({error}){remedy}.") from error


_OF_DATES = "write numbers, such as hours since the first: (t - t.min()) / pandas.Timedelta('1h')"
