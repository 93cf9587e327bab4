"""Random numbers that a seed decides, on every platform."""

from __future__ import annotations

import numpy as np

from ..checks import shown
from ..errors import InputError


def generator(seed: int | np.random.Generator, *more: int) -> np.random.Generator:
    """Return the generator of a seed, and of numbers that tell one use of it from another.

    Parameters
    ----------
    seed : a whole number, 0 or larger; a generator stays what it is.

    Raises
    ------
    InputError
        Another number, or something else.

    Examples
    --------
    >>> generator(3).integers(1000) == generator(3).integers(1000)
    np.True_
    >>> generator(-1)
    Traceback (most recent call last):
    collocode.errors.InputError: a seed is a whole number, 0 or larger, not -1.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"a seed is a whole number, 0 or larger, not {shown(seed)}.")
    return np.random.default_rng([int(seed), *more] if more else int(seed))
