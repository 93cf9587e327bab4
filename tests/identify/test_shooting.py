"""Scoring by single shooting: its states, their derivatives, and what it finds."""

import casadi as ca
import numpy as np
import pytest

import collocode as cc
from collocode import Dynamics, Experiment, Parameter, Problem
from collocode.adapt.first_mesh import meshes_at_samples
from collocode.identify import scoring_fit
from collocode.identify.fisher_scoring import FisherScoring
from collocode.identify.scoring_fit import climbed
from collocode.identify.shooting import Shooting, can_be_shot
from collocode.numerics.schemes import scheme
from collocode.transcription.discretize import discretize

TIMES = np.linspace(0.0, 4.0, 9)


def driven(kind="linear", **more):
    """A chain of two states under an input, whose first begins at a function of a parameter."""
    ramp = cc.Signal([0.0, 1.5, 4.0], [0.0, 1.0, 0.2], kind)
    data = np.cos(TIMES) + 2.0
    return Problem(
        Dynamics(
            lambda t, x, u, p, nn: [u.w - p.k * x.a, p.k * x.a - p.m * x.b],
            parameters=[
                Parameter("k", 0.8, 1e-2, 10.0, scale="log10"),
                Parameter("m", 0.5, 1e-2, 10.0, scale="log"),
                Parameter("g", 1.5, 0.1, 5.0),
                Parameter("s", 0.3, 1e-3, 10.0, scale="log10"),
            ],
        ),
        Experiment(
            TIMES,
            data,
            ("y",),
            inputs={"w": ramp},
            initial={"a": lambda p: 2.0 * p.g, "b": 0.5},
            **more,
        ),
        states=("a", "b"),
        observe=lambda x, u, p: [x.b + x.a],
        loss=cc.Normal("s"),
    )


@pytest.mark.parametrize("kind", ["linear", "zoh"])
def test_points_and_slopes_are_those_of_fine_collocation(kind):
    problem = driven(kind)
    shooting = Shooting(problem)
    there = shooting._at(shooting.nlp.start)
    nlp = discretize(problem, scheme("radau"), mesh=meshes_at_samples(problem))
    fine = [part.mesh.divide(np.full(part.mesh.elements, 4)) for part in nlp.layout.experiments]
    collocated = FisherScoring(discretize(problem, scheme("radau"), mesh=fine))
    here = collocated._at(collocated.nlp.start)
    assert there.value == pytest.approx(here.value, rel=1e-6)
    np.testing.assert_allclose(there.slope, here.slope, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(there.root.T @ there.root, here.root.T @ here.root, rtol=2e-3)


def test_rests_are_followed_too():
    rested = driven("zoh", steady=cc.Steady(inputs={"w": 0.7}))
    shooting = Shooting(rested)
    here = shooting._at(shooting.nlp.start)
    first = here.x[shooting.nlp.layout.experiments[0].states[0]]
    np.testing.assert_allclose(first, [0.7 / 0.8, 0.7 / 0.5], rtol=1e-8)
    e = 1e-4
    for k in range(len(shooting.free)):
        step = np.zeros(len(shooting.free))
        step[k] = e
        ends = [shooting._moved(here, sign * step).value for sign in (1.0, -1.0)]
        assert here.slope[k] == pytest.approx((ends[0] - ends[1]) / (2.0 * e), rel=1e-3, abs=2e-3)


def test_the_best_candidate_is_begun_from_with_its_noise_fitted():
    shooting = Shooting(driven())
    candidates = [{"k": 8.0, "m": 8.0}, {"k": 0.8, "m": 0.5}, {"k": 0.02, "m": 5.0}]
    begun = [shooting.started([c]) for c in candidates]
    values = [shooting._at(x).value for x in begun]
    chosen = shooting.started(candidates)
    assert np.array_equal(chosen, begun[int(np.argmin(values))])
    pull = shooting._at(chosen).slope[
        [q.name for q in shooting.nlp.problem.all_parameters].index("s")
    ]
    assert abs(pull) < 1e-2


def test_a_step_bends_by_what_the_second_derivative_of_a_decay_says():
    problem = Problem(
        Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 0.6, 0.0, 5.0)]),
        Experiment(TIMES, np.exp(-0.5 * TIMES), ("c",), initial={"c": 1.0}, sigma=0.1),
        loss=cc.Normal(),
    )
    shooting = Shooting(problem)
    here = shooting._at(shooting.nlp.start)
    J = -TIMES * np.exp(-0.6 * TIMES)
    step, H = np.array([-0.05]), np.sum(J**2) / 0.1**2
    curved = -TIMES * J * step**2
    np.testing.assert_allclose(here.root.T @ here.root, [[H]], rtol=2e-4)
    size = np.array([np.sqrt(H)])
    bend = shooting._acceleration(here, step, np.ones((1, 1)), size)
    np.testing.assert_allclose(bend, -np.sum(J * curved) / np.sum(J**2), rtol=1e-2)
    assert shooting._acceleration(here, 60.0 * step, np.ones((1, 1)), size) is None


def test_delays_and_splines_are_left_to_collocation():
    assert can_be_shot(driven())
    assert not can_be_shot(driven("spline"))


def test_a_start_that_cannot_be_shot_is_climbed_on_meshes_as_it_stands(monkeypatch):
    monkeypatch.setattr(Shooting, "_simulated", lambda self, x, slopes=True: None)
    problem = driven()
    nlp = discretize(problem, scheme("radau"), mesh=meshes_at_samples(problem))
    found = climbed(nlp, [{}], shooting=Shooting(problem))
    assert found is not None
    assert np.isfinite(found[1].value)


@pytest.mark.parametrize("second", [1e-12, 1e12])
def test_the_unit_of_time_does_not_matter(second):
    """CasADi does not integrate over less than 1e-9, which is a thousand picoseconds."""

    def shot(second):
        return Shooting(
            Problem(
                Dynamics(
                    lambda t, x, u, p, nn: [-p.k * x.c],
                    parameters=[Parameter("k", 0.7 / second, 0.1 / second, 5.0 / second)],
                ),
                Experiment(TIMES * second, np.exp(-TIMES), ("c",), initial={"c": 1.0}),
                loss=cc.Normal(0.1),
            )
        )

    for unit in (1.0, second):
        shooting = shot(unit)
        found = shooting._at(shooting.nlp.start).x[shooting.nlp.layout.experiments[0].states[:, 0]]
        np.testing.assert_allclose(found, np.exp(-0.7 * TIMES), rtol=1e-6)


def test_what_no_mesh_follows_stands_as_it_was_shot(monkeypatch):
    """Noise and scales fitted on a mesh that lies about a pulse are not the estimates."""
    monkeypatch.setattr(scoring_fit, "_LARGEST", 0)
    problem = Problem(
        Dynamics(
            lambda t, x, u, p, nn: [40.0 * ca.exp(-((t - 2.03) ** 2) / 5e-4) - p.k * x.c],
            parameters=[Parameter("k", 0.7, 1e-2, 5.0), Parameter("gain", 1.0, 0.1, 10.0)],
        ),
        Experiment(TIMES, np.append(np.ones(5), [2.0, 1.6, 1.2, 1.0]), ("y",), initial={"c": 0.5}),
        states=("c",),
        observe=lambda x, u, p: [p.gain * x.c],
        loss=cc.Normal(0.1),
    )
    nlp = discretize(problem, scheme("radau"), mesh=2)
    shooting = Shooting(problem)
    shot = shooting.run(shooting.started([{}]), 30)
    nlp, found = climbed(nlp, [{}], shooting=Shooting(problem))
    rates = [nlp.layout.columns_of(name)[0] for name in ("k", "gain")]
    mine = [shooting.nlp.layout.columns_of(name)[0] for name in ("k", "gain")]
    np.testing.assert_allclose(found.x[rates], shot.x[mine], rtol=1e-5)
    assert found.value == pytest.approx(shot.value, rel=1e-6)
