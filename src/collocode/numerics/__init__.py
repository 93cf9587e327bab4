"""Schemes, meshes, bases in time, signals; and what arrays are called in signatures, here and above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
