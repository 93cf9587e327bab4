"""A distillation column of 32 trays: how volatile is the light component, and where do its purities go?

    M_i x_i' = L_i (x_{i-1} - x_i) - V (y_i - y_{i+1}) [+ F (x_F - x_i) on the feed tray]
    0 = y_i (1 + (α - 1) x_i) - α x_i,   i = 1 … 32

Cyclohexane and n-heptane in a column with a total condenser (tray 1), 30 trays fed in their middle
(tray 17) and a reboiler (tray 32), of constant molar overflow and constant relative volatility α.
Mole fractions x of the liquid are states, y of the vapour algebraic variables.  Holdups M are 0.5 mol in
the condenser, 0.25 on a tray, 0.1 in the reboiler; the feed F is 0.4 mol/min with x_F = 0.5, the
distillate 0.2 mol/min, and the reflux the distillate times the reflux ratio R(t).  Time in min.

The data are made here: from the steady state at R = 3, R steps to 3.6 and back to 2.6, and the purities of
distillate and bottoms are measured 61 times (noise 0.002).  α = 1.6 is estimated from them, and the
liquid that the trays started with is fitted too.

Source: J. Hahn, T. F. Edgar, *An improved method for nonlinear model reduction using balancing of
empirical gramians*, Computers and Chemical Engineering 26 (2002) 1379; its steady state at R = 3 has
x_1 = 0.935.
"""

import itertools

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import root

import collocode as cc

TRAYS, FEED_TRAY, VOLATILITY = 32, 16, 1.6  # counted from 0
FEED, FEED_X, DISTILLATE = 0.4, 0.5, 0.2
HOLDUP = np.array([0.5, *[0.25] * 30, 0.1])
REFLUX = cc.Signal([0.0, 5.0, 45.0], [3.0, 3.6, 2.6], "zoh")
END = 90.0
DEFAULTS = {"mesh": 20}
LIQUID = tuple(f"x{i + 1}" for i in range(TRAYS))
VAPOUR = tuple(f"y{i + 1}" for i in range(TRAYS))


def balances(x, y, reflux_ratio):
    """Derivatives of the liquid's mole fractions, of numbers or symbols."""
    reflux = reflux_ratio * DISTILLATE
    vapour, below = reflux + DISTILLATE, reflux + FEED
    found = [vapour * (y[1] - x[0])]
    for i in range(1, TRAYS - 1):
        down = reflux * x[i - 1] if i <= FEED_TRAY else below * x[i - 1]
        out = reflux * x[i] if i < FEED_TRAY else below * x[i]
        fed = FEED * FEED_X if i == FEED_TRAY else 0.0
        found.append(down - out + fed - vapour * (y[i] - y[i + 1]))
    bottoms = FEED - DISTILLATE
    found.append(below * x[-2] - bottoms * x[-1] - vapour * y[-1])
    return [rate / mass for rate, mass in zip(found, HOLDUP, strict=True)]


def equilibrium(x, volatility=VOLATILITY):
    """Mole fractions of the vapour over a liquid."""
    return volatility * x / (1.0 + (volatility - 1.0) * x)


def steady_state(reflux_ratio: float = 3.0):
    """Mole fractions of the liquid at rest."""
    line = np.linspace(0.93, 0.07, TRAYS)
    return root(lambda x: np.array(balances(x, equilibrium(x), reflux_ratio)), line).x


def measured(noise: float, seed: int) -> cc.Experiment:
    """The run, by an integrator of the equations without algebraic variables."""
    t, edges, x, rows = np.linspace(0.0, END, 61), (0.0, 5.0, 45.0, END), steady_state(), []
    for left, right in itertools.pairwise(edges):
        at = t[(t >= left) & (t < right)]
        ratio = float(REFLUX(left)[0])
        run = solve_ivp(
            lambda s, x, ratio=ratio: np.array(balances(x, equilibrium(x), ratio)),
            (left, right),
            x,
            method="LSODA",
            t_eval=np.append(at, right),
            rtol=1e-9,
            atol=1e-11,
        )
        rows.append(run.y.T[: len(at)])
        x = run.y[:, -1]
    table = np.vstack([*rows, x])[:, [0, TRAYS - 1]]
    scatter = noise * np.random.default_rng(seed).standard_normal(table.shape)
    return cc.Experiment(
        t,
        table + scatter,
        (LIQUID[0], LIQUID[-1]),
        inputs={"reflux_ratio": REFLUX},
        initial=dict(zip(LIQUID, steady_state().tolist(), strict=True)),
        name="steps of the reflux",
    )


def problem(noise: float = 0.002, seed: int = 0) -> cc.Problem:
    """Estimate the relative volatility.

    noise: standard deviation of the measured mole fractions
    seed: of the noise
    """

    def column(t, x, u, p, nn):
        y = [x[name] for name in VAPOUR]
        return balances([x[name] for name in LIQUID], y, u.reflux_ratio)

    def vapour(t, x, u, p, nn):
        pairs = zip(LIQUID, VAPOUR, strict=True)
        return {
            f"equilibrium {i}": x[b] * (1.0 + (p.alpha - 1.0) * x[a]) - p.alpha * x[a]
            for i, (a, b) in enumerate(pairs, start=1)
        }

    return cc.Problem(
        cc.Dynamics(
            column,
            parameters=[cc.Parameter("alpha", 1.4, 1.1, 3.0)],
            algebraics=dict.fromkeys(VAPOUR, 0.5),
            residuals=vapour,
        ),
        measured(noise, seed),
        states=LIQUID,
        loss=cc.LeastSquares(max(noise, 1e-4)),
        name="Distillation column",
        source="Hahn and Edgar, 2002; simulated data",
    )
