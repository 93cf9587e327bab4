"""Drifting oscillator: how does the damping of an oscillator change while its damper wears out?

    x' = v,   v' = -k x - c(t) v,   k = 4 s^-2,   true c(t) = 0.05 + 0.5 exp(-t/10) s^-1

The stiffness k and the damping c(t) are unknown; c is a Legendre series over the 30 s of the record
and must not be negative.  Three runs of 10 s, one after the other, with 80 samples of x (m) and
v (m/s) each (noise 0.02), share it.  Three runs of the same time with other pushes, which no fit
sees, are predicted from their true initial states.

Source: a textbook case; the data are made by ``models/data/make_drifting_oscillator.py``.
"""

from pathlib import Path

import numpy as np

import collocode as cc

DATA = Path(__file__).parent / "data"
END = 30.0
INITIAL = {
    "first": (2.0, 0.0),
    "second": (0.5, 3.0),
    "third": (-1.5, 1.0),
    "early": (1.0, 2.0),
    "middle": (-1.0, -2.0),
    "late": (1.0, -1.5),
}


def damping(t):
    """Return the true c(t)."""
    return 0.05 + 0.5 * np.exp(-t / 10.0)


def problem(
    data: str = str(DATA / "drifting_oscillator.csv"),
    test: str = str(DATA / "drifting_oscillator_test.csv"),
    basis: str = "legendre",
    order: int = 3,
    pieces: int = 6,
) -> cc.Problem:
    """Recover the drifting damping.

    data: CSV with columns run, t, x, v
    test: CSV of the runs to be predicted; empty for none
    basis: constant, monomial, monomial-unit, legendre, chebyshev, fourier, bspline or layers
    order: degree of the polynomials or splines, or number of harmonics
    pieces: of a bspline or layers
    """
    columns = {"time": "t", "outputs": ["x", "v"], "experiment": "run"}
    functions = cc.basis(basis, order, (0.0, END), pieces)
    return cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: {"x": x.v, "v": -p.k * x.x - p.c * x.v},
            parameters=[
                cc.Parameter("k", 3.0, lower=0.0, unit="s^-2"),
                cc.Parameter("c", 0.3, lower=0.0, unit="s^-1", basis=functions),
            ],
        ),
        cc.read_csv(data, **columns),
        test=cc.read_csv(test, **columns) if test else (),
        truth=cc.Truth(lambda t, y, u: [y[1], -4.0 * y[0] - damping(t) * y[1]], INITIAL),
        name="Drifting oscillator",
        source="linear spring and a damper that wears out; simulated data",
    )
