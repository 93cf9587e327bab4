"""Ackley's function in four dimensions: where is a surrogate of it smallest?

    f = 20 + e - 20 exp(-0.2 sqrt(mean x_i^2)) - exp(mean cos(2 pi x_i))

on [-5, 5]^4: a funnel with a dimple around every integer point.  Its smallest value is 0 at the
origin; a small network learns the funnel and sees the dimples as noise.

Source: D. H. Ackley, *A Connectionist Machine for Genetic Hillclimbing*, Kluwer 1987.
"""

import numpy as np

from collocode import relu


def ackley(x):
    """Values at (samples, inputs) points."""
    funnel = -20.0 * np.exp(-0.2 * np.sqrt(np.mean(x**2, axis=1)))
    return 20.0 + np.e + funnel - np.exp(np.mean(np.cos(2 * np.pi * x), axis=1))


def surrogate(
    hidden: int = 12,
    layers: int = 2,
    samples: int = 4000,
) -> relu.Surrogate:
    """Minimise a surrogate of Ackley's function.

    hidden: units in every hidden layer
    layers: hidden layers
    samples: points of the function to train on
    """
    return relu.Surrogate(
        [(-5.0, 5.0)] * 4,
        ackley,
        hidden=(hidden,) * layers,
        samples=samples,
        inputs=("x1", "x2", "x3", "x4"),
        outputs=("f",),
        sense="minimize",
        name="Ackley, four inputs",
        source="Ackley, A Connectionist Machine for Genetic Hillclimbing, 1987",
    )
