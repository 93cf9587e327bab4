"""A leak in a tank: when did it open, and how much does it let through?

    A h' = q - (c + l u.leak) sqrt(h)

A tank of cross-section A = 1 m2 is fed by q = 0.3 m3/h and drains through a valve.  At an unknown time a leak
opens beside it; only the level was logged, ten times an hour.  The time of the leak is a parameter: the phases
before and after it meet where it says, and it comes with an interval like any other.  The level is simulated
by an independent integrator with c = 0.2, l = 0.1, a leak after 3.7 h and noise of 10 mm.

Source: R. Isermann, *Fault-Diagnosis Systems*, 2006, ch. 4, detection of faults by parameter estimation;
simulated.
"""

import numpy as np
import scipy

import collocode as cc

FEED, VALVE, LEAK, OPENED, FULL = 0.3, 0.2, 0.1, 3.7, 1.0


def level(times: np.ndarray) -> np.ndarray:
    """Integrate by SciPy up to the leak, and then from it on."""

    def drain(outlet: float, start: float, end: float, h: float) -> scipy.integrate.OdeSolution:
        return scipy.integrate.solve_ivp(
            lambda t, h: FEED - outlet * np.sqrt(h),
            (start, end),
            [h],
            rtol=1e-10,
            atol=1e-12,
            dense_output=True,
        ).sol

    before = drain(VALVE, 0.0, OPENED, FULL)
    after = drain(VALVE + LEAK, OPENED, max(times[-1], OPENED + 1.0), before(OPENED)[0])
    return np.array([(before if t < OPENED else after)(t)[0] for t in times])


def problem(noise: float = 0.01, hours: float = 8.0, seed: int = 1) -> cc.Problem:
    """Estimate valve, leak and the time at which it opened.

    noise: standard deviation of the level, m
    hours: how long the level was logged
    seed: of the noise
    """
    t = np.arange(0.0, hours + 0.05, 0.1)
    h = level(t) + noise * np.random.default_rng(seed).standard_normal(len(t))
    tank = cc.Dynamics(
        lambda t, x, u, p, nn: {"h": FEED - (p.c + p.l * u.leak) * x.h**0.5},
        parameters=[
            cc.Parameter("c", 0.3, 0.01, 2.0),
            cc.Parameter("l", 0.05, 0.0, 2.0),
            cc.Parameter("T", 0.5 * hours, 0.1 * hours, 0.9 * hours, unit="h"),
        ],
    )
    run = cc.Experiment(t, h, ("h",), name="log", events=[cc.Switch("T", "leak")])
    return cc.Problem(
        tank,
        run,
        bounds={"h": (1e-3, 10.0)},
        loss=cc.LeastSquares(),
        name="leak",
        source="simulated",
    )
