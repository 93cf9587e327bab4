"""Influenza in a boarding school, January 1978: how contagious was it, and how long were boys in bed?

    S' = -beta S I / N,   I' = beta S I / N - gamma I,   R' = gamma I

763 boys, one of them ill at the beginning; each evening those in bed were counted over a fortnight.  The
counts are negative binomial: Poisson ones whose scatter is more than that of chance.  Known estimates:
beta 1.7 a day, gamma 0.5 a day, so that each case infects beta/gamma = 3.5 others at first.  With
``law=poisson`` the counts are taken for pure chance: the rates hardly move and their intervals are
half as wide, too narrow, as the residuals say.

Source: Anonymous, *Influenza in a boarding school*, British Medical Journal 1 (1978) 587; estimates from
L. Grinsztajn, E. Semenova, C. Margossian and J. Riou, *Bayesian workflow for disease transmission modeling
in Stan*, Statistics in Medicine 40 (2021).
"""

import numpy as np

import collocode as cc

IN_BED = (3, 8, 28, 75, 221, 291, 255, 235, 190, 125, 70, 28, 12, 5)
BOYS = 763.0


def problem(law: str = "negative_binomial") -> cc.Problem:
    """Estimate how fast influenza spreads and is overcome.

    law: of the counts, negative_binomial or poisson
    """
    laws = {"negative_binomial": cc.NegativeBinomial(), "poisson": cc.Poisson()}
    epidemic = cc.Dynamics(
        lambda t, x, u, p, nn: {
            "S": -p.beta * x.S * x.I / BOYS,
            "I": p.beta * x.S * x.I / BOYS - p.gamma * x.I,
        },
        parameters=[
            cc.Parameter("beta", 1.0, 0.01, 20.0, unit="1/day", scale="log"),
            cc.Parameter("gamma", 0.3, 0.01, 20.0, unit="1/day", scale="log"),
        ],
    )
    days = np.arange(1.0, 1.0 + len(IN_BED))
    school = cc.Experiment(
        days,
        np.array(IN_BED, dtype=float),
        ("I",),
        name="school",
        start=0.0,
        initial={"S": BOYS - 1.0, "I": 1.0},
    )
    return cc.Problem(
        epidemic,
        school,
        states=("S", "I"),
        loss=laws[law],
        scaling={"S": BOYS, "I": 300.0},
        bounds={"I": (1e-3, BOYS), "S": (0.0, BOYS)},
        name="influenza",
        source="British Medical Journal 1 (1978) 587",
    )
