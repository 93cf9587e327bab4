"""Heat inversion: how deep a network tells the conductivity of a plate from nine temperatures?

    -div(exp(u) grad T) = 10 on the unit square, T = 0 on the left side, no flux through the others

The inverse of `heat_conduction`: nine temperatures with noise (standardised) are mapped to the eight
cosine coefficients of the log-conductivity u (dimensionless).  Up to 1500 samples train, 400 choose the
depth, 400 test.

Source: our own finite-volume script, ``models/data/make_heat_conduction.py``, in the manner of the
inversions of arXiv 2502.06885 with 1000 and 1500 samples.
"""

from pathlib import Path

import numpy as np

import collocode as cc
from collocode import layered

DATA = Path(__file__).parent / "data"
FEATURES = 8
DEFAULTS = {"iterations": 60}


def problem(
    samples: int = 1000,
    noise: float = 0.005,
    width: int = 10,
    layers: int = 1,
    activation: str = "silu_tanh",
    penalty: float = 1e-5,
    seed: int = 0,
) -> layered.LayeredProblem:
    """Grow from few layers.

    samples: rows to train with, of 1500.
    noise: of the temperatures, as a share of their spread.
    width: features behind the opening layer.
    layers: of the first network.
    activation: silu_tanh (second order), tanh, swish or gelu (first order).
    penalty: of the weights' squares.
    seed: of the rows to train with and of the noise.
    """
    rng = np.random.default_rng(seed)
    train, validation, test = (
        np.loadtxt(DATA / f"heat_conduction{part}.csv", delimiter=",", skiprows=1)
        for part in ("_more", "", "_test")
    )
    train = train[rng.permutation(len(train))[:samples]]
    mean, spread = train[:, FEATURES:].mean(axis=0), train[:, FEATURES:].std(axis=0)
    sigma = noise * train[:, FEATURES:].std()
    parts = []
    for table in (train, validation, test):
        seen = table[:, FEATURES:] + sigma * rng.standard_normal(table[:, FEATURES:].shape)
        parts.append(layered.Samples((seen - mean) / spread, table[:, :FEATURES]))
    network = layered.LayeredNetwork(
        len(mean),
        FEATURES,
        width,
        cc.Mesh.uniform(0, layers, layers),
        block=layered.ResidualBlock(activation),
        lift="opening",
    )
    return layered.LayeredProblem(
        network,
        parts[0],
        layered.SquaredLoss(),
        layered.Regularisation(penalty, penalty, penalty),
        validation=parts[1],
        test=parts[2],
        name="Heat inversion",
        source="models/data/make_heat_conduction.py",
    )
