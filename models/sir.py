"""An epidemic by its weekly cases: how fast does it spread, and how many cases are seen?

    S' = -beta S I / N,   I' = beta S I / N - gamma I,   C' = beta S I / N

A town of 10 000 reports new cases week by week; of each infection only a share is seen.  Cases are counts, so
their law is Poisson's: small ones are as good as their size, and no noise level has to be told.  The
counts are simulated with beta = 1.8 and gamma = 1 a week from 5 ill, a share of 0.3 seen; gamma is known from the
clinic.  What is measured is the increase of C within the week before, of a state that is set to zero every week.

Source: M. Keeling and P. Rohani, *Modeling Infectious Diseases in Humans and Animals*, 2008, ch. 2; simulated.
"""

import numpy as np
import scipy

import collocode as cc

TOWN, BETA, GAMMA, ILL, SEEN = 10_000.0, 1.8, 1.0, 5.0, 0.3


def expected(
    weeks: np.ndarray, beta: float = BETA, seen: float = SEEN, ill: float = ILL
) -> np.ndarray:
    """Integrate by SciPy; return the cases that are seen in the weeks that end then."""

    def spread(t: float, x: np.ndarray) -> list[float]:
        rate = beta * x[0] * x[1] / TOWN
        return [-rate, rate - GAMMA * x[1], rate]

    run = scipy.integrate.solve_ivp(
        spread, (0.0, weeks[-1]), [TOWN - ill, ill, 0.0], t_eval=weeks, rtol=1e-10, atol=1e-8
    )
    return seen * np.diff(run.y[2], prepend=0.0)


def problem(weeks: int = 20, seed: int = 0) -> cc.Problem:
    """Estimate how fast the epidemic spreads, the share that is seen and how many were ill at first.

    weeks: how long cases were reported
    seed: of the counts
    """
    t = np.arange(1.0, weeks + 1.0)
    cases = np.random.default_rng(seed).poisson(expected(t)).astype(float)
    epidemic = cc.Dynamics(
        lambda t, x, u, p, nn: {
            "S": -p.beta * x.S * x.I / TOWN,
            "I": p.beta * x.S * x.I / TOWN - GAMMA * x.I,
            "C": p.beta * x.S * x.I / TOWN,
        },
        parameters=[cc.Parameter("beta", 1.3, 0.1, 10.0, unit="1/week", scale="log")],
    )
    town = cc.Experiment(
        t,
        cases,
        ("cases",),
        name="town",
        start=0.0,
        initial={"S": lambda p: TOWN - p.ill, "I": "ill", "C": 0.0},
        events=[cc.Reset(week, {"C": 0.0}) for week in t[:-1].tolist()],
    )
    return cc.Problem(
        epidemic,
        town,
        states=("S", "I", "C"),
        parameters=[
            cc.Parameter("ill", 20.0, 0.1, 1000.0, scale="log"),
            cc.Parameter("seen", 0.5, 0.01, 1.0, scale="logit"),
        ],
        observe=lambda x, u, p: [p.seen * x.C],
        loss=cc.Poisson(),
        scaling={"S": TOWN, "I": 1000.0, "C": 1000.0},
        name="SIR",
        source="Keeling and Rohani, 2008; simulated",
    )
