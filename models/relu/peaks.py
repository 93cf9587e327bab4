"""Peaks function: where is a surrogate of it largest?

    f = 3 (1 - x)^2 exp(-x^2 - (y + 1)^2) - 10 (x/5 - x^3 - y^5) exp(-x^2 - y^2) - exp(-(x + 1)^2 - y^2)/3

on [-3, 3]^2: three peaks and three pits of different heights.  Its largest value is 8.1062 at
(-0.0093, 1.5814).

Source: the test function ``peaks`` of MATLAB.
"""

import numpy as np

from collocode import relu


def peaks(x):
    """Values at (samples, 2) points."""
    a, b = x.T
    return (
        3 * (1 - a) ** 2 * np.exp(-(a**2) - (b + 1) ** 2)
        - 10 * (a / 5 - a**3 - b**5) * np.exp(-(a**2) - b**2)
        - np.exp(-((a + 1) ** 2) - b**2) / 3
    )


def surrogate(
    hidden: int = 16,
    layers: int = 2,
    samples: int = 2000,
) -> relu.Surrogate:
    """Maximise a surrogate of the peaks function.

    hidden: units in every hidden layer
    layers: hidden layers
    samples: points of the function to train on
    """
    return relu.Surrogate(
        [(-3.0, 3.0), (-3.0, 3.0)],
        peaks,
        hidden=(hidden,) * layers,
        samples=samples,
        inputs=("x", "y"),
        outputs=("f",),
        name="Peaks",
        source="test function of MATLAB",
    )
