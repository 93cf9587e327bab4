"""Failed fits: each is warned of, and who follows the remedy of its first finding comes nearer the truth."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import curve_fit

import collocode as cc
from collocode.reports.parts import Lever

ARGUMENT = re.compile(r"\b(\w+)=(cc\.\w+\([^)]*\)|'\w+'|\{[^}]*\}|[\d.e+-]*\d)")


@dataclass(frozen=True)
class Case:
    """A problem and settings with which its fit fails.

    Attributes
    ----------
    problem, how : of the fit.
    error : distance of a solution from the truth.
    code, lever : of the first finding.
    follow : a change of the problem where the remedy is none of `fit`'s arguments.
    """

    problem: cc.Problem
    error: Callable[[cc.Solution], float]
    code: str
    lever: Lever
    how: dict[str, Any]
    follow: Callable[[cc.Problem], cc.Problem] | None = None


def said(remedy: str) -> dict[str, Any]:
    """The arguments that a remedy in the words of Python names."""
    return {name: eval(value, {"cc": cc}) for name, value in ARGUMENT.findall(remedy)}


def followed(case: Case, found: cc.Finding) -> cc.Solution:
    """Do what the finding says, its first alternative where it names several."""
    problem, arguments = case.problem, said(found.remedy)
    if "regularisation" in arguments:
        problem = replace(problem, regularisation=arguments.pop("regularisation"))
    if case.follow is not None:
        problem = case.follow(problem)
    return cc.fit(problem, **{"mesh": None, **case.how, **arguments})


def oscillator(mu: float, n: int, end: float, sigma: float, seed: int = 0) -> tuple[Any, cc.Truth]:
    """Noisy data of Van der Pol's oscillator, and the truth."""
    truth = cc.Truth(lambda t, y, u: [y[1], mu * (1.0 - y[0] ** 2) * y[1] - y[0]], (0.5, 0.0))
    t = np.linspace(0.0, end, n)
    y = solve_ivp(
        lambda t, y: truth.rhs(t, y, []), (0.0, end), [0.5, 0.0], "LSODA", t, rtol=1e-9, atol=1e-11
    )
    noise = sigma * np.random.default_rng(seed).standard_normal((n, 2))
    return cc.Experiment(t, y.y.T + noise, outputs=("y1", "y2")), truth


def learnt(data: Any, truth: cc.Truth, hidden: int = 8, **how: Any) -> cc.Problem:
    how = {"regularisation": cc.L2(), **how}
    return cc.Problem(cc.NeuralODE(cc.MLP((2, hidden, 2))), data, truth=truth, **how)


def from_truth(solution: cc.Solution) -> float:
    """Root mean square distance of the simulated model from the true trajectories."""
    return float(np.sqrt(np.mean([s.truth for s in solution.score() if s.role == "train"])))


def of(name: str, true: float) -> Callable[[cc.Solution], float]:
    return lambda solution: abs(solution.parameters[name] - true)


def decay(
    n: int = 41,
    end: float = 4.0,
    sigma: float = 0.02,
    upper: float = 10.0,
    **how: Any,
) -> cc.Problem:
    t = np.linspace(0.0, end, n)
    y = np.exp(-0.7 * t) + sigma * np.random.default_rng(1).standard_normal(n)
    k = cc.Parameter("k", 0.3, 0.0, upper)
    model = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[k])
    return cc.Problem(model, cc.Experiment(t, y, outputs=("c",)), **how)


def fitted_rate(problem: cc.Problem) -> float:
    """k of a decay by SciPy from the closed form."""
    data = problem.experiments[0]
    found, _ = curve_fit(
        lambda t, c, k: c * np.exp(-k * t), data.times, data.values[:, 0], (1.0, 0.5)
    )
    return float(found[1])


def wave(start: float, n: int = 120, end: float = 20.0) -> cc.Problem:
    """A frequency of 2; from elsewhere the fit ends in another optimum."""
    t = np.linspace(0.0, end, n)
    y = np.column_stack([np.cos(2.0 * t)]) + 0.05 * np.random.default_rng(2).standard_normal((n, 1))
    w = cc.Parameter("w", start, 0.1, 20.0)
    model = cc.Dynamics(lambda t, x, u, p, nn: [x.v, -(p.w**2) * x.x], parameters=[w])
    return cc.Problem(
        model, cc.Experiment(t, y, outputs=("x",)), states=("x", "v"), scaling={"v": 1.0}
    )


def cases() -> dict[str, Case]:
    fast, fast_truth = oscillator(4.0, 120, 12.0, 0.05)
    slow, slow_truth = oscillator(1.0, 100, 10.0, 0.05)
    few, few_truth = oscillator(1.0, 24, 8.0, 0.1)
    mu = cc.Dynamics(
        lambda t, x, u, p, nn: [x.y2, p.mu * (1.0 - x.y1**2) * x.y2 - x.y1],
        parameters=[cc.Parameter("mu", 1.0, 0.0, 10.0)],
    )
    return {
        "network on a coarse mesh": Case(
            learnt(fast, fast_truth, regularisation=cc.L2(1e-6)),
            from_truth,
            "large-gap",
            Lever.MESH,
            {"mesh": 25},
        ),
        "parameter on a coarse mesh": Case(
            cc.Problem(mu, fast), of("mu", 4.0), "large-gap", Lever.MESH, {"mesh": 15}
        ),
        "parameter that the mesh moves": Case(
            decay(sigma=0.01),
            of("k", fitted_rate(decay(sigma=0.01))),
            "mesh-share",
            Lever.MESH,
            {"scheme": "trapezoid", "mesh": 8},
        ),
        "one element of low degree": Case(
            cc.Problem(mu, slow),
            of("mu", 1.0),
            "large-gap",
            Lever.MESH,
            {"scheme": "legendre_radau", "degree": 8},
        ),
        "strong penalty": Case(
            learnt(slow, slow_truth, regularisation=cc.L2(1e-1)),
            from_truth,
            "above-noise",
            Lever.REGULARISATION,
            {},
        ),
        "weak penalty": Case(
            learnt(few, few_truth, 32, regularisation=cc.L2(1e-9)),
            from_truth,
            "large-gap",
            Lever.REGULARISATION,
            {"mesh": 60},
        ),
        "wrong optimum": Case(
            wave(8.0), of("w", 2.0), "above-noise", Lever.START, {"start": "simulate"}
        ),
        "bound of a parameter": Case(
            decay(upper=0.4), of("k", 0.7), "above-noise", Lever.BOUNDS, {}, lambda p: decay()
        ),
        "bound of a state": Case(
            decay(bounds={"c": (0.2, 2.0)}),
            of("k", 0.7),
            "above-noise",
            Lever.BOUNDS,
            {},
            lambda p: decay(),
        ),
        "constraint": Case(
            decay(constraints=[cc.PathConstraint("fast", lambda t, x, u, p, nn: p.k, 1.0, 2.0)]),
            of("k", 0.7),
            "above-noise",
            Lever.BOUNDS,
            {},
            lambda p: decay(),
        ),
        "few iterations": Case(
            learnt(slow, slow_truth),
            from_truth,
            "not-solved",
            Lever.SOLVER,
            {"options": {"max_iter": 5}},
        ),
    }


CASES = cases()


@pytest.mark.parametrize("name", CASES)
def test_following_the_first_finding_helps(name):
    case = CASES[name]
    with nullcontext() if case.code == "mesh-share" else pytest.warns(cc.CollocodeWarning):
        solution = cc.fit(case.problem, **{"mesh": None, **case.how})
    found = cc.findings(solution)
    better = followed(case, found[0])
    assert (found[0].code, found[0].lever) == (case.code, case.lever)
    assert case.error(better) < 0.85 * case.error(solution)
