"""Fed-batch fermentation: how is sugar fed to get most penicillin?

    X' = h1 X - u X/(500 V),   P' = h2 X - 0.01 P - u P/(500 V),
    S' = -h1 X/0.47 - h2 X/1.2 - 0.029 S X/(0.0001 + S) + u (1 - S/500)/V,   V' = u/500
    h1 = 0.11 S/(0.006 X + S),   h2 = 0.0055 S/(0.0001 + S (1 + 10 S))

with biomass X, penicillin P and substrate S (g/l), volume V (l) and the feed 0 ≤ u ≤ 50 g/h, in a time
that is free; X ≤ 40, S ≤ 25 g/l, V ≤ 10 l.  From X = 1.5, P = S = 0, V = 7 the penicillin P V is
maximised.  Three phases, whose ends are free: the biomass grows on a feed that keeps S small, the tank is
filled with full feed, and, once the sugar is used up, S is held where h2 is largest.

Source: J. E. Cuthrell, L. T. Biegler, Comput. Chem. Eng. 13 (1989) 49, case III; J. R. Banga,
E. Balsa-Canto, C. G. Moles, A. A. Alonso, J. Biotechnol. 117 (2005) 407, case study I, the same equations and
bounds, found 87.99 g after 132 h by piecewise constant feeds.  A feed on finer elements makes more, 88.11 g,
here and in the simulation; the formulations do not differ, the space of feeds does.
"""

from itertools import pairwise

import numpy as np

import collocode as cc

FEED = 500.0  # g/l
PHASES = {"growth": (0.0, 28.0), "filling": (28.0, 35.0), "production": (35.0, 132.0)}
KNOTS = [0.0, 28.0, 35.0, 40.0, 132.0]
GUESS = {
    "X": [1.5, 12.0, 25.0, 28.0, 28.0],
    "P": [0.0, 0.0, 1.0, 1.0, 8.8],
    "S": [0.05, 0.1, 10.0, 0.002, 0.002],
    "V": [7.0, 7.4, 8.1, 8.1, 10.0],
}
DEFAULTS = {
    "mesh": {
        "growth": cc.Mesh.uniform(0.0, 28.0, 24),
        "filling": cc.Mesh.uniform(28.0, 35.0, 8),
        # the sugar is used up soon after its beginning, and within minutes
        "production": cc.Mesh(35.0 + 97.0 * np.linspace(0.0, 1.0, 51) ** 2),
    }
}


def problem() -> cc.Problem:
    """The feed over time."""

    def balances(t, x, u, p, nn):
        growth = 0.11 * x.S / (0.006 * x.X + x.S)
        production = 0.0055 * x.S / (0.0001 + x.S * (1.0 + 10.0 * x.S))
        upkeep = 0.029 * x.S / (0.0001 + x.S)
        dilution = u.feed / (FEED * x.V)
        return {
            "X": (growth - dilution) * x.X,
            "P": production * x.X - (0.01 + dilution) * x.P,
            "S": -(growth / 0.47 + production / 1.2 + upkeep) * x.X
            + u.feed * (1.0 - x.S / FEED) / x.V,
            "V": u.feed / FEED,
        }

    def phase(name, **more):
        start, end = PHASES[name]
        return cc.Window(
            name=name,
            start=start,
            end=end,
            end_bounds=(0.5 * end, 1.5 * end),
            duration_bounds=(1.0, 200.0),
            guess={state: cc.Signal(KNOTS, values) for state, values in GUESS.items()},
            **more,
        )

    feed = cc.Control(0.0, 50.0, kind="constant", start=8.0, unit="g/h")
    return cc.Problem(
        cc.Dynamics(balances),
        [
            phase(
                "growth",
                controls={"feed": feed},
                initial={"X": 1.5, "P": 0.0, "S": 0.0, "V": 7.0},
            ),
            phase("filling", start_bounds=(14.0, 42.0), inputs={"feed": cc.Signal([0.0], [50.0])}),
            phase("production", start_bounds=(17.5, 52.5), controls={"feed": feed}),
        ],
        states=("X", "P", "S", "V"),
        bounds={"X": (0.0, 40.0), "P": (0.0, 50.0), "S": (0.0, 25.0), "V": (0.0, 10.0)},
        scaling={"X": 30.0, "P": 8.0, "S": 5.0, "V": 8.0},
        links=[cc.Link(before, after) for before, after in pairwise(PHASES)],
        costs=-cc.Mayer(lambda t, x, u, p, nn: x.P * x.V, windows="production", name="penicillin"),
        name="Fed-batch penicillin",
        source="Cuthrell and Biegler (1989), case III",
    )
