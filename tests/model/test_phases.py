"""Dynamics by phase, and constrained integrals: what they add to a problem, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from models.control import dido, lifeguard


def test_a_problem_made_from_another_has_its_integrals_once():
    once = dido.problem()
    again = replace(once, name="again")
    assert again.states == ("y", "fence")
    assert again.experiments[0].initial.keys() == {"y", "fence"}
    without = replace(once, constraints=())
    assert without.states == ("y",)
    assert without.experiments[0].initial.keys() == {"y"}


def test_an_integral_is_bounded_in_the_windows_it_names():
    """The same plan twice; only the second has a budget of effort, an inequality that is active."""

    def window(name):
        return cc.Window(name=name, end=1.0, controls={"u": cc.Control()}, initial={"x": 1.0})

    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": x.x + u.u}),
        [window("free"), window("bound")],
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: x.x**2 + u.u**2),
        constraints=[
            cc.IntegralConstraint(
                "effort", lambda t, x, u, p, nn: u.u**2, upper=0.5, windows="bound"
            )
        ],
    )
    found = cc.fit(problem, mesh=8)
    spent = [found.states([1.0], n)[0, 1] for n in range(2)]
    assert spent[0] > 0.6
    assert spent[1] == pytest.approx(0.5, abs=1e-6)
    times = np.linspace(0.0, 1.0, 2001)
    effort = np.trapezoid(found.control("u", times, "bound") ** 2, times)
    assert effort == pytest.approx(0.5, abs=1e-4)


def test_a_phase_has_only_its_own_dynamics():
    """The other one is not finite in this window, and does not matter; nor do states it leaves out."""
    windows = [cc.Window(name=n, start=s, end=s + 1.0) for n, s in (("decay", 0.0), ("rest", 1.0))]
    windows[0] = replace(windows[0], initial={"x": -1.0, "y": 2.0})
    problem = cc.Problem(
        cc.Phases(
            {
                "decay": cc.Dynamics(lambda t, x, u, p, nn: {"x": -x.x, "y": -x.y}),
                "rest": cc.Dynamics(lambda t, x, u, p, nn: {"y": np.log(x.y + 3.0 - t)}),
            }
        ),
        windows,
        states=("x", "y"),
        links=cc.Link("decay", "rest"),
    )
    found = cc.fit(problem, mesh=4)
    assert found.success
    assert found.states([1.0])[0, 0] == pytest.approx(-np.exp(-1.0), abs=1e-5)
    assert found.states([2.0], "rest")[0, 0] == pytest.approx(-np.exp(-1.0), abs=1e-5)
    assert found.gap("rest") < 1e-5
    assert found.control("phase", [1.5], "rest").tolist() == [1.0]


decay = cc.Dynamics(lambda t, x, u, p, nn: [-x.x])
WRONG = {
    "phases that are none": (lambda: cc.Phases(decay), "Phases takes dynamics by the names"),
    "a window without phase": (
        lambda: replace(lifeguard.problem(), dynamics=cc.Phases({"sand": decay})),
        "window 'water' has no phase; there are dynamics for: sand.",
    ),
    "one name for two parameters": (
        lambda: cc.Phases(
            {
                name: cc.Dynamics(decay.function, parameters=[cc.Parameter("k", start)])
                for name, start in (("a", 1.0), ("b", 2.0))
            }
        ),
        "two phases have different parameters called 'k'; rename one",
    ),
    "the derivative of no state": (
        lambda: cc.discretize(
            cc.Problem(
                cc.Phases({"window": cc.Dynamics(lambda t, x, u, p, nn: {"z": 1.0})}),
                cc.Window(end=1.0),
                states=("x",),
            )
        ),
        "a phase returned the derivative of 'z', which is no state; states: x.",
    ),
    "an integral without bounds": (
        lambda: cc.IntegralConstraint("budget", lambda t, x, u, p, nn: u.u),
        "integral constraint 'budget' has no bounds; give lower= or upper=.",
    ),
    "an integral with crossed bounds": (
        lambda: cc.IntegralConstraint("budget", lambda t, x, u, p, nn: u.u, 2.0, 1.0),
        "the bounds of integral constraint 'budget' cross",
    ),
    "an integral of a number": (
        lambda: cc.IntegralConstraint("budget", 1.0, upper=1.0),
        "function of IntegralConstraint must be",
    ),
    "an integral called like a state": (
        lambda: replace(
            dido.problem(),
            constraints=[cc.IntegralConstraint("y", lambda t, x, u, p, nn: x.y, upper=1.0)],
        ),
        "integral constraint 'y' becomes a state of its name, but there is one; rename it.",
    ),
    "an integral of an unknown window": (
        lambda: replace(
            dido.problem(),
            constraints=[
                cc.IntegralConstraint(
                    "l", lambda t, x, u, p, nn: x.y, upper=1.0, windows=("shore",)
                )
            ],
        ),
        "constraint 'l' names 'shore', which is no window; there are: window.",
    ),
    "a constraint that is a function": (
        lambda: replace(dido.problem(), constraints=[lambda t, x, u, p, nn: x.y]),
        "Problem\\(constraints=...\\) takes",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_one_sentence_for(what):
    call, sentence = WRONG[what]
    with pytest.raises(cc.InputError, match=sentence) as error:
        call()
    assert "\n" not in str(error.value)
