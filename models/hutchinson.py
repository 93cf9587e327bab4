"""Hutchinson's delayed logistic growth: how old is the crowding that holds a population back?

    N' = r N (1 - N(t - tau) / K)

What slows growth today is the density of a while ago, by which the adults of today were fed as larvae; from
r tau > pi/2 on the population oscillates.  Counts are simulated by an independent integrator, from a constant
past, with r = 0.3 and K = 100 a day and a delay of 6 days, and scattered by 10 %, log-normally.  Rate,
capacity, delay and scatter are estimated, and the delay comes with its interval.

Source: G. E. Hutchinson, *Circular causal systems in ecology*, Annals of the New York Academy of Sciences 50
(1948).
"""

import numpy as np
import scipy

import collocode as cc

RATE, CAPACITY, DELAY, FIRST = 0.3, 100.0, 6.0, 20.0


def population(times: np.ndarray) -> np.ndarray:
    """Integrate by SciPy from one multiple of the delay to the next, with what was found before."""
    before, size, found = lambda t: [FIRST], FIRST, np.empty(0)
    for left in np.arange(0.0, times[-1] + DELAY, DELAY):

        def growth(t: float, n: np.ndarray, past=before) -> np.ndarray:
            return RATE * n * (1.0 - past(t - DELAY)[0] / CAPACITY)

        piece = scipy.integrate.solve_ivp(
            growth, (left, left + DELAY), [size], rtol=1e-10, atol=1e-8, dense_output=True
        )
        inside = times[(times >= left) & (times < left + DELAY)]
        found = np.append(found, [piece.sol(t)[0] for t in inside])
        before, size = piece.sol, piece.y[0, -1]
    return found


def problem(scatter: float = 0.1, days: float = 80.0, seed: int = 0) -> cc.Problem:
    """Estimate rate, capacity and delay.

    scatter: standard deviation of the counts' logarithm
    days: how long the population was counted, once every two days
    seed: of the scatter
    """
    t = np.arange(0.0, days + 2.0, 2.0)
    counts = population(t) * np.exp(scatter * np.random.default_rng(seed).standard_normal(len(t)))
    growth = cc.Dynamics(
        lambda t, x, u, p, nn: {"N": p.r * x.N * (1.0 - x.late / p.K)},
        parameters=[
            cc.Parameter("r", 0.2, 0.01, 2.0, unit="1/day", scale="log"),
            cc.Parameter("K", 80.0, 1.0, 1e4, scale="log"),
            cc.Parameter("tau", 4.0, 1.0, 12.0, unit="day"),
        ],
    )
    return cc.Problem(
        growth,
        cc.Experiment(t, counts, ("N",), name="population"),
        delays={"late": cc.Delay("tau", of="N")},
        loss=cc.LogNormal(),
        name="hutchinson",
        source="Hutchinson, Ann. N. Y. Acad. Sci. 50, 1948; simulated",
    )
