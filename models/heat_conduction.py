"""Heat conduction: how deep a network tells nine temperatures of a plate from its conductivity?

    -div(exp(u) grad T) = 10 on the unit square, T = 0 on the left side, no flux through the others

The log-conductivity u is a sum of eight cosines with standard normal coefficients z; the network maps
z (dimensionless) to T at nine points (dimensionless, divided by their spread).  200 samples train,
200 choose the depth, 400 test.

Source: our own finite-volume script, ``models/data/make_heat_conduction.py``; plates with random
conductivity are a usual test of surrogates, but geometry, field and points are our own choice.
"""

from pathlib import Path

import numpy as np

import collocode as cc
from collocode import layered

DATA = Path(__file__).parent / "data"
FEATURES = 8
DEFAULTS = {"iterations": 60}


def problem(
    samples: int = 200,
    width: int = 10,
    layers: int = 1,
    activation: str = "silu_tanh",
    penalty: float = 1e-5,
    seed: int = 0,
) -> layered.LayeredProblem:
    """Grow from few layers.

    samples: rows to train with, of 400; the rest validates.
    width: of the layers; the eight coefficients are padded with zeros.
    layers: of the first network.
    activation: silu_tanh (second order), tanh, swish or gelu (first order).
    penalty: of the weights' squares.
    seed: of the split.
    """
    rows, tests = (
        np.loadtxt(DATA / name, delimiter=",", skiprows=1)
        for name in ("heat_conduction.csv", "heat_conduction_test.csv")
    )
    scale = rows[:, FEATURES:].std()
    every, test = (
        layered.Samples(table[:, :FEATURES], table[:, FEATURES:] / scale) for table in (rows, tests)
    )
    train, validation = every.split(samples, seed=seed)
    network = layered.LayeredNetwork(
        FEATURES,
        every.Y.shape[1],
        width,
        cc.Mesh.uniform(0, layers, layers),
        block=layered.ResidualBlock(activation),
        lift="none" if width == FEATURES else "pad",
    )
    return layered.LayeredProblem(
        network,
        train,
        layered.SquaredLoss(),
        layered.Regularisation(penalty, penalty, penalty),
        validation=validation,
        test=test,
        name="Heat conduction",
        source="models/data/make_heat_conduction.py",
    )
