"""Van der Pol oscillator in batches: does a network trained on two windows apart learn one field?

    y1' = y2,   y2' = mu (1 - y1^2) y2 - y1,   mu = 1,   y(0) = (0, 1)

The right-hand side is taken as unknown and learnt by a network with 32 hidden units from 300
samples of both states on t = 0 ... 30 (noise sigma = 0.1).  ``collocode admm`` cuts them into two
windows, [0, 15] and [15, 30], that see 150 samples each; ``collocode solve`` fits all of them at
once.  The window t = 30 ... 45 is predicted, from its true initial state.  All quantities are
dimensionless.

Source: B. van der Pol, *On relaxation-oscillations*, Phil. Mag. 2 (1926) 978; the set-up of two
batches is that of the ADMM experiment in Mariia Shapovalova and Calvin Tsay, *Training neural ODEs
using fully discretized simultaneous optimization*, arXiv 2502.15642 (2025); the data are made by
``models/data/make_van_der_pol_batches.py``.
"""

from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"


def problem(
    data: str = str(DATA / "van_der_pol_batches.csv"),
    test: str = str(DATA / "van_der_pol_batches_test.csv"),
    hidden: int = 32,
    regularisation: float = 1e-4,
) -> cc.Problem:
    """Learn the whole right-hand side.

    data: CSV with columns t, y1, y2
    test: CSV of the window to be predicted; empty for none
    hidden: units in the hidden layer
    regularisation: strength of the L2 penalty on the weights
    """
    columns = {"time": "t", "outputs": ["y1", "y2"]}
    return cc.Problem(
        cc.NeuralODE(cc.MLP((2, hidden, 2))),
        cc.read_csv(data, **columns),
        regularisation=cc.L2(regularisation),
        test=cc.read_csv(test, **columns) if test else (),
        truth=cc.Truth(lambda t, y, u: [y[1], (1.0 - y[0] ** 2) * y[1] - y[0]], (0.0, 1.0)),
        name="Van der Pol in batches",
        source="van der Pol, Phil. Mag. 2 (1926) 978; simulated data",
    )
