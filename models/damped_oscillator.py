"""Damped oscillator, grey-box: which force law do two releases of a mass reveal?

    x' = v,   v' = a(x, v),   true law a = -(k x + c v)/m,  k/m = 4 s^-2,  c/m = 0.5 s^-1

That the velocity is the position's derivative is known; the acceleration a(x, v) is learnt by a
network with 8 hidden units.  Two experiments share it: a mass pulled aside by 1 m and let go, and
one pushed with 2 m/s, 60 samples of x (m) and v (m/s) each on t = 0 ... 6 s (noise 0.02).  A third
release, which no fit sees, is predicted from its true initial state.

Source: a textbook case; the data are made by ``models/data/make_damped_oscillator.py``.
"""

from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"
INITIAL = {"pulled": (1.0, 0.0), "pushed": (-0.5, 2.0), "unseen": (0.8, -1.0)}


def problem(
    data: str = str(DATA / "damped_oscillator.csv"),
    test: str = str(DATA / "damped_oscillator_test.csv"),
    hidden: int = 8,
    regularisation: float = 3e-5,
) -> cc.Problem:
    """Learn the acceleration as a function of position and velocity.

    data: CSV with columns release, t, x, v
    test: CSV of the releases to be predicted; empty for none
    hidden: units in the hidden layer
    regularisation: strength of the L2 penalty on the weights
    """
    columns = {"time": "t", "outputs": ["x", "v"], "experiment": "release"}
    return cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: {"x": x.v, "v": nn.acceleration(x.x, x.v)},
            networks={"acceleration": cc.MLP((2, hidden, 1))},
        ),
        cc.read_csv(data, **columns),
        regularisation=cc.L2(regularisation),
        test=cc.read_csv(test, **columns) if test else (),
        truth=cc.Truth(lambda t, y, u: [y[1], -4.0 * y[0] - 0.5 * y[1]], INITIAL),
        name="Damped oscillator",
        source="linear spring and damper; simulated data",
    )
