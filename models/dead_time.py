"""A heat exchanger by its step response: gain, time constant and dead time.

    tau y' = K u(t - theta) - y

First order plus dead time, the model that controllers are tuned by: the valve is opened at t = 10 and half
closed at t = 80, and the outlet's temperature follows 15 later.  The data are simulated, with K = 2,
tau = 20, theta = 15 and noise of 0.02; the dead time comes with its interval.

Source: D. Seborg, T. Edgar and D. Mellichamp, *Process Dynamics and Control*, 2011, ch. 7.
"""

import numpy as np

import collocode as cc

GAIN, TIME_CONSTANT, DEAD_TIME = 2.0, 20.0, 15.0


def response(t: np.ndarray) -> np.ndarray:
    """Return the answer to both steps in closed form."""
    late = [np.maximum(t - start - DEAD_TIME, 0.0) for start in (10.0, 80.0)]
    first, second = (1.0 - np.exp(-tau / TIME_CONSTANT) for tau in late)
    return np.asarray(GAIN * (first - 0.5 * second))


def problem(noise: float = 0.02, every: float = 2.0, seed: int = 0) -> cc.Problem:
    """Estimate gain, time constant and dead time.

    noise: standard deviation of the measured temperature
    every: time between measurements
    seed: of the noise
    """
    t = np.arange(0.0, 150.0 + every, every)
    y = response(t) + noise * np.random.default_rng(seed).standard_normal(len(t))
    valve = cc.Signal([0.0, 10.0, 80.0], [0.0, 1.0, 0.5], "zoh")
    run = cc.Experiment(t, y, ("y",), name="steps", inputs={"u": valve}, initial={"y": 0.0})
    model = cc.first_order_plus_dead_time(
        cc.Parameter("K", 1.0, scale="log"), cc.Parameter("tau", 10.0, scale="log")
    )
    return cc.Problem(
        model,
        run,
        parameters=[cc.Parameter("theta", 5.0, 0.0, 40.0)],
        delays={"u": "theta"},
        loss=cc.Normal(),
        name="dead time",
    )
