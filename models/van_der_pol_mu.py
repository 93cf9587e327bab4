"""Van der Pol oscillator, grey-box: what is mu, if the equation is known?

    y1' = y2,   y2' = mu (1 - y1^2) y2 - y1,   y(0) = (0, 1)

The same 200 noisy samples as in ``models/van_der_pol.py`` (t = 0 ... 15, noise sigma = 0.1), but
the physics is known and only the parameter mu (true value 1) and the initial state are estimated.
The window t = 15 ... 30 is predicted, from its true initial state.  All quantities are
dimensionless.

Source: B. van der Pol, *On relaxation-oscillations*, Phil. Mag. 2 (1926) 978; the data are made by
``models/data/make_van_der_pol.py``.
"""

from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"


def problem(
    data: str = str(DATA / "van_der_pol.csv"),
    test: str = str(DATA / "van_der_pol_test.csv"),
    start: float = 3.0,
    lower: float = 0.0,
    upper: float = 10.0,
) -> cc.Problem:
    """Estimate mu.

    data: CSV with columns t, y1, y2
    test: CSV of the window to be predicted; empty for none
    start: first guess of mu
    lower: lower bound of mu
    upper: upper bound of mu
    """
    return cc.Problem(
        cc.Dynamics(
            lambda t, y, u, p, nn: [y.y2, p.mu * (1.0 - y.y1**2) * y.y2 - y.y1],
            parameters=[cc.Parameter("mu", start, lower, upper)],
        ),
        cc.read_csv(data, time="t", outputs=["y1", "y2"]),
        test=cc.read_csv(test, time="t", outputs=["y1", "y2"]) if test else (),
        truth=cc.Truth(lambda t, y, u: [y[1], (1.0 - y[0] ** 2) * y[1] - y[0]], (0.0, 1.0)),
        name="Van der Pol, grey-box",
        source="van der Pol, Phil. Mag. 2 (1926) 978; simulated data",
    )
