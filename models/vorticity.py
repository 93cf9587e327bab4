"""Vorticity: how deep a network tells where the eddies of a flow go?

    w_t + u . grad w = 0.1 lap w,  -lap psi = w,  u = (psi_y, -psi_x)  on a periodic square

The amplitudes of ten waves of the first vorticity (standard normal, dimensionless) are mapped to the vorticity
at nine points (dimensionless, divided by its spread) one unit of time later.  1000 samples train, 300
choose the depth, 300 test.

Source: our own spectral solution of the Navier-Stokes equations, ``models/data/make_vorticity.py``.
"""

from pathlib import Path

import numpy as np

import collocode as cc
from collocode import layered

DATA = Path(__file__).parent / "data"
FEATURES = 10
DEFAULTS = {"iterations": 60}


def problem(
    samples: int = 1000,
    width: int = 12,
    layers: int = 1,
    activation: str = "silu_tanh",
    penalty: float = 1e-5,
    seed: int = 0,
) -> layered.LayeredProblem:
    """Grow from few layers.

    samples: rows to train with, of 1300; the rest validates.
    width: features behind the opening layer.
    layers: of the first network.
    activation: silu_tanh (second order), tanh, swish or gelu (first order).
    penalty: of the weights' squares.
    seed: of the split.
    """
    rows, tests = (
        np.loadtxt(DATA / name, delimiter=",", skiprows=1)
        for name in ("vorticity.csv", "vorticity_test.csv")
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
        lift="opening",
    )
    return layered.LayeredProblem(
        network,
        train,
        layered.SquaredLoss(),
        layered.Regularisation(penalty, penalty, penalty),
        validation=validation,
        test=test,
        name="Vorticity",
        source="models/data/make_vorticity.py",
    )
