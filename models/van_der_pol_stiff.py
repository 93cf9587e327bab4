"""Relaxation oscillation: what is mu = 8, and where does its estimate need a fine mesh?

    y1' = y2,   y2' = mu (1 - y1^2) y2 - y1,   y(0) = (2, 0)

201 noisy samples of both states on t = 0 ... 25 (noise sigma = 0.1).  The solution creeps along
y1 = 1 ... 2 for six units of time and jumps within a tenth of one; a uniform mesh that follows the
jumps wastes nine of ten elements on the creeping.  ``collocode refine`` puts them into the jumps:

    collocode refine models/van_der_pol_stiff.py --goal parameter:mu --compare

The physics is known and mu is estimated; or, with ``--set hidden=12``, the damping is unknown: a
network of y1 in place of mu (1 - y1^2).  The window t = 25 ... 50 is predicted.  All quantities are
dimensionless.

Source: B. van der Pol, *On relaxation-oscillations*, Phil. Mag. 2 (1926) 978; the data are made by
``models/data/make_van_der_pol_stiff.py``.
"""

from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"
DEFAULTS = {"mesh": 60}


def problem(
    data: str = str(DATA / "van_der_pol_stiff.csv"),
    test: str = str(DATA / "van_der_pol_stiff_test.csv"),
    start: float = 6.0,
    hidden: int = 0,
    regularisation: float = 1e-5,
) -> cc.Problem:
    """Estimate mu, or learn the damping.

    data: CSV with columns t, y1, y2
    test: CSV of the window to be predicted; empty for none
    start: first guess of mu
    hidden: units of a network for the damping; 0 for the known physics
    regularisation: strength of the L2 penalty on the network's weights
    """
    if hidden:
        dynamics = cc.Dynamics(
            lambda t, y, u, p, nn: [y.y2, 8.0 * nn.damping(y.y1 / 2.0) * y.y2 - y.y1],
            networks={"damping": cc.MLP((1, hidden, 1))},
        )
    else:
        dynamics = cc.Dynamics(
            lambda t, y, u, p, nn: [y.y2, p.mu * (1.0 - y.y1**2) * y.y2 - y.y1],
            parameters=[cc.Parameter("mu", start, 0.0, 20.0)],
        )
    return cc.Problem(
        dynamics,
        cc.read_csv(data, time="t", outputs=["y1", "y2"]),
        regularisation=cc.L2(regularisation),
        test=cc.read_csv(test, time="t", outputs=["y1", "y2"]) if test else (),
        truth=cc.Truth(lambda t, y, u: [y[1], 8.0 * (1.0 - y[0] ** 2) * y[1] - y[0]], (2.0, 0.0)),
        name="Van der Pol, relaxation oscillation",
        source="van der Pol, Phil. Mag. 2 (1926) 978; simulated data",
    )
