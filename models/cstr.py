"""Exothermic stirred tank: how does the reaction rate depend on concentration and temperature?

    c' = (c_f - c) q/V - r(c, T),   T' = (T_f - T) q/V + h r(c, T) + a (T_c - T)

The balances are known, with q/V = 1 /min, feed c_f = 1 mol/l at T_f = 350 K, heat of reaction
h = 150 K l/mol and cooling a = 10 /min by a coolant whose temperature T_c(t) (K) is stepped.  The
rate r (mol/l/min) is a network of c (mol/l) and T (K); the true one is k0 exp(-E/(R T)) c with
k0 = 7.2e10 /min, E/R = 8750 K.  Two runs of 20 min share it, T every 0.1 min (noise 0.3 K), c every
0.5 min (noise 0.01 mol/l) and during 7 min of one run not at all.  A third run is predicted.  Along
the runs the rate is found within 2 % of its rms value.

Source: D. E. Seborg, T. F. Edgar, D. A. Mellichamp, *Process Dynamics and Control*, milder; the data are made by ``models/data/make_cstr.py``.
"""

from pathlib import Path

import numpy as np

import collocode as cc

DATA = Path(__file__).parent / "data"
DEFAULTS = {"mesh": 100}  # the jacket acts within 0.1 min; its jumps become mesh points
FEED_C, FEED_T, HEAT, COOLING = 1.0, 350.0, 150.0, 10.0
INITIAL = {"up": (0.9, 330.0), "down": (0.3, 365.0), "unseen": (0.6, 340.0)}


def true_rate(c, T):
    """The rate that made the data, mol/l/min."""
    return 7.2e10 * np.exp(-8750.0 / T) * c


def problem(
    data: str = str(DATA / "cstr.csv"),
    test: str = str(DATA / "cstr_test.csv"),
    hidden: int = 6,
    regularisation: float = 1e-2,
) -> cc.Problem:
    """Learn the reaction rate.

    data: CSV with columns run, t (min), Tc (K), c (mol/l; empty where not measured), T (K)
    test: CSV of the runs to be predicted; empty for none
    hidden: units in the hidden layer
    regularisation: strength of the L2 penalty on the weights
    """

    def balances(t, x, u, p, nn):
        r = nn.rate(x.c, x.T)
        return {
            "c": FEED_C - x.c - r,
            "T": FEED_T - x.T + HEAT * r + COOLING * (u.Tc - x.T),
        }

    columns = {"time": "t", "outputs": ["c", "T"], "experiment": "run", "inputs": {"Tc": "zoh"}}
    return cc.Problem(
        cc.Dynamics(
            balances,
            # c lies in 0.3 ... 0.9 mol/l, T in 329 ... 365 K, the rate in 0 ... 1 mol/l/min
            networks={"rate": cc.MLP((2, hidden, 1)).normalised([0.6, 347.0], [0.3, 18.0], [1.0])},
        ),
        cc.read_csv(data, **columns),
        loss=cc.LeastSquares({"c": 0.01, "T": 0.3}),
        regularisation=cc.L2(regularisation),
        test=cc.read_csv(test, **columns) if test else (),
        truth=cc.Truth(
            lambda t, y, u: [
                FEED_C - y[0] - true_rate(*y),
                FEED_T - y[1] + HEAT * true_rate(*y) + COOLING * (u[0] - y[1]),
            ],
            INITIAL,
        ),
        name="Stirred tank",
        source="Seborg, Edgar and Mellichamp, milder; simulated data",
    )
