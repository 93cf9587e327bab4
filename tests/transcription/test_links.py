"""Windows in sequence and periodic ones: closed forms, structure, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode.transcription.decided import groups_of


def given(name, rate, **window):
    return cc.Window(inputs={"a": cc.Signal([0.0], [rate])}, name=name, **window)


def thrust_and_brake(distance=3.0):
    """Double integrator, thrust 1 then −1: both phases take √d."""
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": x.v, "v": u.a}),
        [
            given("go", 1.0, end=1.0, end_bounds=(0.1, 10.0), initial={"x": 0.0, "v": 0.0}),
            given(
                "brake",
                -1.0,
                start=1.0,
                start_bounds=(0.1, 10.0),
                end=2.0,
                end_bounds=(0.2, 30.0),
                duration_bounds=(0.1, 10.0),
                final={"x": distance, "v": 0.0},
            ),
        ],
        states=("x", "v"),
        links=cc.Link("go", "brake"),
        costs=cc.Mayer(lambda t, x, u, p, nn: t, windows="brake", name="time"),
    )


@pytest.mark.parametrize("scheme", ["radau", "gauss", "hermite_simpson", "explicit_euler"])
def test_two_phases_with_free_times(scheme):
    nlp = cc.discretize(thrust_and_brake(), scheme, mesh=5)
    structure = nlp.structure
    assert structure.exceptions(nlp.functions) == []
    rows = [r for chain in structure.chains for r in chain.rows.flat if r >= 0]
    assert sorted([*rows, *structure.border_rows]) == list(range(nlp.rows))
    assert "" not in (*nlp.column_names, *nlp.row_names)
    assert "link.go to brake.v[brake]" in nlp.row_names
    found = cc.solve(nlp)
    assert found.success
    if scheme != "explicit_euler":
        assert found.costs["time"] == pytest.approx(2.0 * np.sqrt(3.0), rel=1e-7)
        meshes = [part.mesh for part in found.trajectories]
        assert meshes[0].end == pytest.approx(np.sqrt(3.0), rel=1e-7)
        assert meshes[1].start == pytest.approx(meshes[0].end, rel=1e-9)
        assert max(found.gap(0), found.gap(1)) < 1e-6


def test_states_jump_at_a_link():
    """x' = x on [0, 1], x → 3 x + t, x' = −2 x on [1, 2]: x(2) = (3 e + 1)/e²."""
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.a * x.x]),
        [
            given("up", 1.0, end=1.0, initial={"x": 1.0}),
            given("down", -2.0, start=1.0, end=2.0),
        ],
        states=("x",),
        links=cc.Link("up", "down", jump={"x": lambda t, x, u, p, nn: 3.0 * x.x + t}),
    )
    found = cc.fit(problem, mesh=8)
    assert found.success
    exact = (3.0 * np.e + 1.0) * np.exp(-2.0)
    assert found.trajectories[1].states[-1, 0] == pytest.approx(exact, rel=1e-6)


def test_a_periodic_orbit():
    """x'' = −2 x − 0.3 x' + cos 2t has the one periodic solution of amplitude 1/√(2² + 0.6²)."""
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [x.v, -2.0 * x.x - 0.3 * x.v + np.cos(2.0 * t)]),
        cc.Window(end=np.pi, name="orbit"),
        states=("x", "v"),
        links=cc.Link("orbit", "orbit", time=False),
    )
    found = cc.fit(problem, mesh=20)
    assert found.success
    t = np.linspace(0.0, np.pi, 2001)
    size = np.abs(found.states(t)[:, 0]).max()
    assert size == pytest.approx(1.0 / np.sqrt(4.0 + 0.36), rel=2e-5)
    np.testing.assert_allclose(*found.trajectories[0].states[[0, -1]], atol=1e-9)


def test_an_integral_constraint_is_a_state():
    """Least ∫a² for a given ∫a: the control is constant, 2² / 3."""
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"budget": u.a}),
        cc.Window(
            end=3.0, controls={"a": cc.Control()}, initial={"budget": 0.0}, final={"budget": 2.0}
        ),
        states=("budget",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.a**2),
    )
    assert cc.fit(problem, mesh=4).result.objective == pytest.approx(4.0 / 3.0, rel=1e-8)


@pytest.mark.parametrize("states", [(), ("x",)])
def test_an_integral_begins_anew_in_the_window_that_follows(states):
    """x' = u from 0 over x(1) = c to 0 with ∫x = 1 before c: 2c² + (6 - 3c)²/3, least 4.8 at c = 1.2."""
    control = {"u": cc.Control()}
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.u]),
        [
            cc.Window(name="up", end=1.0, controls=control, initial={"x": 0.0}),
            cc.Window(name="down", start=1.0, end=2.0, controls=control, final={"x": 0.0}),
        ],
        states=("x",),
        links=cc.Link("up", "down", states=states),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.u**2),
        constraints=[
            cc.IntegralConstraint("area", lambda t, x, u, p, nn: x.x, 1.0, 1.0, windows="up")
        ],
    )
    found = cc.fit(problem, mesh=4)
    assert found.result.objective == pytest.approx(4.8, rel=1e-7)
    assert found.states([1.0], "down")[0] == pytest.approx([1.2, 0.0], abs=1e-7)
    again = cc.fit(replace(problem, constraints=()), mesh=4)  # nothing is left of the integral
    assert again.result.objective == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(cc.InputError, match="names 'area', which is no state; there are: x"):
        replace(problem, links=cc.Link("up", "down", states=("x", "area")))


def test_windows_that_decide_alike_are_one_group():
    problem = thrust_and_brake()
    assert [group.numbers for group in groups_of(problem)] == [(0, 1)]


WRONG = {
    "an unknown window": (
        lambda: linked(cc.Link("go", "stop")),
        "link 'go to stop' names 'stop', which is no window; there are: go, brake.",
    ),
    "an unknown state": (
        lambda: linked(cc.Link("go", "brake", states=("y",), time=False)),
        "link 'go to brake' names 'y', which is no state; there are: x.",
    ),
    "times that do not meet": (
        lambda: linked(cc.Link("go", "brake")),
        "window 'brake' starts at 2, not when 'go' ends, at 1; shift it",
    ),
    "an event that the link would skip": (
        lambda: cc.Problem(
            cc.Dynamics(lambda t, x, u, p, nn: [-x.x]),
            [
                cc.Window(name="go", end=1.0, events=[cc.Dose(1.0, 0.3, to="x")]),
                cc.Window(name="brake", start=1.0, end=2.0),
            ],
            states=("x",),
            links=cc.Link("go", "brake"),
        ),
        "window 'go' ends at 1, before its event at 1 acts; give it to 'brake'",
    ),
    "a window that starts when it ends": (
        lambda: cc.Link("go", "go"),
        "cannot start when it ends; give time=False for a periodic orbit.",
    ),
    "a jump of what does not go over": (
        lambda: cc.Link("a", "b", states=("x",), jump={"m": lambda *a: 0.0}),
        "has a jump of 'm', which is not among its states",
    ),
    "no link": (
        lambda: linked("go to brake"),
        "Problem\\(links=...\\) takes a Link, not a str",
    ),
    "a bounded duration of given times": (
        lambda: cc.Window(end=1.0, duration_bounds=(0.1, 1.0)),
        "need a free time and a positive lower bound",
    ),
}


def linked(link):
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.a]),
        [given("go", 1.0, end=1.0), given("brake", -1.0, start=2.0, end=3.0)],
        states=("x",),
        links=[link],
    )


@pytest.mark.parametrize("what", WRONG)
def test_one_sentence_for(what):
    call, sentence = WRONG[what]
    with pytest.raises(cc.InputError, match=sentence):
        call()
