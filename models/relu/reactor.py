"""Stirred tank: the coolant's programme with the best conversion below a temperature limit.

The tank of ``models/cstr.py`` starts at c = 0.9 mol/l, T = 330 K.  Its coolant has one temperature,
325 to 350 K, during each of three intervals of 2 min.  A surrogate learns two outcomes of the 6 min:
the mean conversion 1 - c (in %) and the highest temperature of the tank (K); then the conversion is
maximised where the temperature stays below a limit.  The rate is exothermic: a hot start overshoots.

Source: the tank of Seborg, Edgar and Mellichamp, *Process Dynamics and Control*, milder; question ours.
"""

import runpy
from pathlib import Path

import numpy as np

from collocode import relu

TANK = runpy.run_path(str(Path(__file__).parents[1] / "cstr.py"))
RANGE, INTERVAL, STEP = (325.0, 350.0), 2.0, 0.02
START = (0.9, 330.0)


def slope(c, T, coolant):
    """Right-hand side of the balances, as the tank's model has them."""
    r = TANK["true_rate"](c, T)
    heat = TANK["HEAT"] * r + TANK["COOLING"] * (coolant - T)
    return np.array([TANK["FEED_C"] - c - r, TANK["FEED_T"] - T + heat])


def outcomes(coolants):
    """Mean conversion (%) and highest temperature (K) of (samples, 3) coolant programmes.

    Classical Runge-Kutta steps, all samples at once; the mean by the trapezoidal rule.
    """
    steps = round(INTERVAL / STEP)
    state = np.tile(np.array(START)[:, None], (1, len(coolants)))
    total, hottest = state[0] / 2.0, state[1].copy()
    for coolant in coolants.T:
        for _ in range(steps):
            k1 = slope(*state, coolant)
            k2 = slope(*(state + STEP / 2 * k1), coolant)
            k3 = slope(*(state + STEP / 2 * k2), coolant)
            k4 = slope(*(state + STEP * k3), coolant)
            state = state + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            total, hottest = total + state[0], np.maximum(hottest, state[1])
    mean = (total - state[0] / 2.0) / (steps * coolants.shape[1])
    return np.column_stack([100.0 * (1.0 - mean), hottest])


def surrogate(
    hidden: int = 16,
    layers: int = 2,
    limit: float = 362.0,
    samples: int = 2000,
) -> relu.Surrogate:
    """Maximise the conversion below a temperature limit.

    hidden: units in every hidden layer
    layers: hidden layers
    limit: highest temperature allowed, K
    samples: coolant programmes to train on
    """
    return relu.Surrogate(
        [RANGE] * 3,
        outcomes,
        hidden=(hidden,) * layers,
        samples=samples,
        inputs=("Tc1", "Tc2", "Tc3"),
        outputs=("conversion", "T_max"),
        # the last column is that of T_max, the second output
        constraints=([[0.0, 0.0, 0.0, 0.0, 1.0]], -np.inf, limit),
        name="Stirred tank, coolant programme",
        source="the tank of models/cstr.py",
    )
