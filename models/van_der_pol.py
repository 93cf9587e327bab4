"""Van der Pol oscillator as a neural ODE: what do 200 noisy samples tell of the vector field?

    y1' = y2,   y2' = mu (1 - y1^2) y2 - y1,   mu = 1,   y(0) = (0, 1)

The right-hand side is taken as unknown and learnt by a network with 32 hidden units from 200
samples of both states on t = 0 ... 15 (noise sigma = 0.1).  The window t = 15 ... 30 is predicted,
from its true initial state.  All quantities are dimensionless.

Source: B. van der Pol, *On relaxation-oscillations*, Phil. Mag. 2 (1926) 978; the data are made by
``models/data/make_van_der_pol.py``.
"""

from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"


def problem(
    data: str = str(DATA / "van_der_pol.csv"),
    test: str = str(DATA / "van_der_pol_test.csv"),
    hidden: int = 32,
    layers: int = 1,
    activation: str = "tanh",
    regularisation: float = 3e-5,
) -> cc.Problem:
    """Learn the whole right-hand side.

    data: CSV with columns t, y1, y2
    test: CSV of the window to be predicted; empty for none
    hidden: units in a hidden layer
    layers: hidden layers
    activation: tanh, sigmoid, softplus, swish, gelu or elu
    regularisation: strength of the L2 penalty on the weights
    """
    network = cc.MLP((2, *[hidden] * layers, 2), activation)
    return cc.Problem(
        cc.NeuralODE(network),
        cc.read_csv(data, time="t", outputs=["y1", "y2"]),
        regularisation=cc.L2(regularisation),
        test=cc.read_csv(test, time="t", outputs=["y1", "y2"]) if test else (),
        truth=cc.Truth(lambda t, y, u: [y[1], (1.0 - y[0] ** 2) * y[1] - y[0]], (0.0, 1.0)),
        name="Van der Pol",
        source="van der Pol, Phil. Mag. 2 (1926) 978; simulated data",
    )
