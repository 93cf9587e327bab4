"""Secreted protein: how is glucose fed to yeast that grows on much of it and makes protein on little?

    P' = phi (T - P) - q P/V,   T' = f X - q T/V,   X' = (mu - q/V) X
    S' = -7.3 mu X + q (20 - S)/V,   V' = q
    mu = 21.87 S/((S + 0.4)(S + 62.5)),   f = S exp(-5 S)/(0.1 + S),   phi = 4.75 mu/(0.12 + mu)

with secreted and total protein P and T, cells X and glucose S (g/l), volume V (l) and the feed
0 ≤ q ≤ 2 l/h of 20 g/l.  From P = T = 0, X = 1, S = 5, V = 1 the secreted protein P V is maximised after
15 h.  The feed keeps S high while cells grow, waits until it is used up, and follows a second singular
arc on which protein is made.  The optimum is flat and beside others: without the guess, which says when the
glucose is used up, a fit may end in one that makes 32.3.

Source: S. Park, W. F. Ramirez, AIChE J. 34 (1988) 1550; the best feeds published since make 32.47 to 32.69.
"""

import numpy as np

import collocode as cc

KNOTS = [0.0, 5.0, 7.5, 10.0, 12.5, 15.0]
GUESS = {
    "P": [0.0, 0.0, 0.0, 0.0, 1.1, 2.6],
    "T": [0.0, 0.0, 0.0, 0.0, 1.5, 2.8],
    "X": [1.0, 1.7, 1.9, 2.3, 2.6, 2.6],
    "S": [5.0, 5.0, 5.0, 2.2, 0.1, 0.3],
    "V": [1.0, 2.7, 5.1, 8.6, 10.2, 12.7],
}
DEFAULTS = {"mesh": 120}


def problem() -> cc.Problem:
    """The feed over time."""

    def balances(t, x, u, p, nn):
        growth = 21.87 * x.S / ((x.S + 0.4) * (x.S + 62.5))
        made = x.S * np.exp(-5.0 * x.S) / (0.1 + x.S)
        secreted = 4.75 * growth / (0.12 + growth)
        dilution = u.feed / x.V
        return {
            "P": secreted * (x.T - x.P) - dilution * x.P,
            "T": made * x.X - dilution * x.T,
            "X": (growth - dilution) * x.X,
            "S": -7.3 * growth * x.X + dilution * (20.0 - x.S),
            "V": u.feed,
        }

    return cc.Problem(
        cc.Dynamics(balances),
        cc.Window(
            end=15.0,
            controls={"feed": cc.Control(0.0, 2.0, kind="constant", unit="l/h")},
            initial={"P": 0.0, "T": 0.0, "X": 1.0, "S": 5.0, "V": 1.0},
            guess={state: cc.Signal(KNOTS, values) for state, values in GUESS.items()},
        ),
        states=("P", "T", "X", "S", "V"),
        bounds={state: (0.0, np.inf) for state in ("P", "T", "X", "S")},
        scaling={"P": 2.0, "T": 2.0, "X": 3.0, "S": 1.0, "V": 5.0},
        costs=-cc.Mayer(lambda t, x, u, p, nn: x.P * x.V, name="protein"),
        name="Secreted protein",
        source="Park and Ramirez (1988)",
    )
