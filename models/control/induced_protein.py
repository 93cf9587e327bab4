"""Induced protein: when do bacteria get glucose, and when the inducer that makes them produce?

    V' = g + i,   X' = mu X - (g + i) X/V,   N' = (100 g - (g + i) N)/V - mu X/0.51
    P' = r X - (g + i) P/V,   I' = (4 i - (g + i) I)/V,   F' = -k F,   R' = k (1 - R)
    mu = N/(14.35 + N + N²/111.5) (F + 0.22 R/(0.22 + I)),   k = 0.09 I/(0.034 + I)
    r = 0.233 N/(14.35 + N + N²/111.5) (0.0005 + I)/(0.022 + I)

with volume V, cells X, nutrient N, foreign protein P, inducer I and its shock F and recovery R; feeds of
nutrient and inducer 0 ≤ g, i ≤ 1 l/h.  From V = 1, X = 0.1, N = 40, F = 1 the protein P V is maximised
after 10 h.

Source: J. Lee, W. F. Ramirez, AIChE J. 40 (1994) 899; A. Tholudur, W. F. Ramirez, J. Process Control 7
(1997) 219; largest product 6.1516.
"""

import collocode as cc

DEFAULTS = {"mesh": 30}


def problem() -> cc.Problem:
    """Both feeds over time."""

    def balances(t, x, u, p, nn):
        fed = u.glucose + u.inducer
        uptake = x.N / (14.35 + x.N + x.N**2 / 111.5)
        growth = uptake * (x.F + 0.22 * x.R / (0.22 + x.I))
        made = 0.233 * uptake * (0.0005 + x.I) / (0.022 + x.I)
        shock = 0.09 * x.I / (0.034 + x.I)
        return {
            "V": fed,
            "X": growth * x.X - fed * x.X / x.V,
            "N": (100.0 * u.glucose - fed * x.N) / x.V - growth * x.X / 0.51,
            "P": made * x.X - fed * x.P / x.V,
            "I": (4.0 * u.inducer - fed * x.I) / x.V,
            "F": -shock * x.F,
            "R": shock * (1.0 - x.R),
        }

    feeds = {name: cc.Control(0.0, 1.0, kind="constant") for name in ("glucose", "inducer")}
    first = {"V": 1.0, "X": 0.1, "N": 40.0, "P": 0.0, "I": 0.0, "F": 1.0, "R": 0.0}
    return cc.Problem(
        cc.Dynamics(balances),
        cc.Window(end=10.0, controls=feeds, initial=first),
        states=tuple(first),
        scaling={"V": 2.0, "X": 5.0, "N": 30.0, "P": 2.0, "I": 1.0, "F": 1.0, "R": 1.0},
        costs=-cc.Mayer(lambda t, x, u, p, nn: x.P * x.V, name="protein"),
        name="Induced protein",
        source="Lee and Ramirez (1994)",
    )
