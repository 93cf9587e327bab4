"""Harmonic oscillator as a neural ODE: how little data does a small network need?

    x' = v,   v' = -x,   x(0) = 1, v(0) = 0

The right-hand side is taken as unknown and learnt by a network with 8 hidden units from 40 samples
of both states on t = 0 ... 10 (noise sigma = 0.05).  The window t = 10 ... 20 is predicted, from
its true initial state.  All quantities are dimensionless; time is in radians of the oscillation.

Source: a textbook case with the closed solution x = cos t, v = -sin t; the data are made by
``models/data/make_harmonic_oscillator.py``.
"""

from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"


def problem(
    data: str = str(DATA / "harmonic_oscillator.csv"),
    test: str = str(DATA / "harmonic_oscillator_test.csv"),
    hidden: int = 8,
    regularisation: float = 3e-4,
) -> cc.Problem:
    """Learn the whole right-hand side.

    data: CSV with columns t, x, v
    test: CSV of the window to be predicted; empty for none
    hidden: units in the hidden layer
    regularisation: strength of the L2 penalty on the weights
    """
    return cc.Problem(
        cc.NeuralODE(cc.MLP((2, hidden, 2))),
        cc.read_csv(data, time="t", outputs=["x", "v"]),
        regularisation=cc.L2(regularisation),
        test=cc.read_csv(test, time="t", outputs=["x", "v"]) if test else (),
        truth=cc.Truth(lambda t, y, u: [y[1], -y[0]], (1.0, 0.0)),
        name="Harmonic oscillator",
        source="x = cos t, v = -sin t; simulated data",
    )
