"""Driven van der Pol oscillator, grey-box: what damping law do three forced runs reveal?

    y1' = y2,   y2' = d(y1) y2 - y1 + u(t),   true damping d(y1) = 1 - y1^2

Inertia, spring and the way the force enters are known; the damping is a network of the position.
Three runs share it, with forces u of different amplitude and frequency, of different length (8, 12,
16) and sampling (0.1, 0.15, 0.2); both states are measured (noise sigma = 0.05).  A fourth run under
another force is predicted.  All quantities are dimensionless.  For abs(y1) < 2.3 the rms error of
the damping is below 0.06.

With ``hybrid=false`` nothing is taken as known: a network of (y1, y2, u) is the right-hand side.  It
fits the three runs as well, but three forces do not tell it what the fourth does: its prediction
fails, which is what the physics is worth here.

Source: B. van der Pol, *Forced oscillations in a circuit with non-linear resistance*, Phil. Mag. 3
(1927) 65; the data are made by ``models/data/make_van_der_pol_forced.py``.
"""

from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"
DEFAULTS = {"mesh": 60}
INITIAL = {"weak": (0.0, 1.0), "medium": (2.0, 0.0), "strong": (-1.0, -1.0), "unseen": (1.0, 0.5)}


def problem(
    data: str = str(DATA / "van_der_pol_forced.csv"),
    test: str = str(DATA / "van_der_pol_forced_test.csv"),
    hybrid: bool = True,
    hidden: int = 8,
    regularisation: float = 1e-5,
) -> cc.Problem:
    """Learn the damping law, or the whole right-hand side.

    data: CSV with columns run, t, u, y1, y2
    test: CSV of the runs to be predicted; empty for none
    hybrid: learn the damping only; otherwise the whole right-hand side
    hidden: units in the hidden layer (twice as many for the whole right-hand side)
    regularisation: strength of the L2 penalty on the weights
    """
    columns = {
        "time": "t",
        "outputs": ["y1", "y2"],
        "inputs": {"u": "spline"},
        "experiment": "run",
    }
    if hybrid:
        dynamics = cc.Dynamics(
            lambda t, x, u, p, nn: {"y1": x.y2, "y2": nn.damping(x.y1) * x.y2 - x.y1 + u.u},
            networks={"damping": cc.MLP((1, hidden, 1)).normalised([0.0], [2.0], [3.0])},
        )
    else:
        dynamics = cc.NeuralODE(cc.MLP((3, 2 * hidden, 2)), inputs=("u",))
    return cc.Problem(
        dynamics,
        cc.read_csv(data, **columns),
        regularisation=cc.L2(regularisation),
        test=cc.read_csv(test, **columns) if test else (),
        truth=cc.Truth(
            lambda t, y, u: [y[1], (1.0 - y[0] ** 2) * y[1] - y[0] + u[0]],
            INITIAL,
        ),
        name="Driven van der Pol" + (", grey-box" if hybrid else ""),
        source="van der Pol, Phil. Mag. 3 (1927) 65; simulated data",
    )
