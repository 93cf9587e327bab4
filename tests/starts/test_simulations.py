"""Simulations inside a search: one integrator for all of them, against SciPy, and none of them in another's way."""

import itertools

import cloudpickle
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc
from collocode.results.model import TrainedModel
from collocode.results.simulate import Repeated
from collocode.starts.search import Search

TIMES = {"dosed": np.linspace(0.25, 4.0, 16), "plain": np.sort(np.r_[0.1, 0.1, 0.9, 2.3, 3.7])}
GIVEN, TAKEN = 1.0, 2.5  # when the first experiment is given a dose of v, and y set back


def nlp_of(kind: str) -> cc.NLP:
    """Two records, each with an input of its own."""
    rng, experiments = np.random.default_rng(3), []
    for name, t in TIMES.items():
        places = np.sort(rng.uniform(0.0, 4.0, 12))
        w = cc.Signal(places, rng.standard_normal(12), kind)
        events = [cc.Dose(GIVEN, 2.0, to="v"), cc.Reset(TAKEN, {"y": 0.3})]
        experiments.append(
            cc.Experiment(
                t,
                rng.standard_normal(len(t)),
                ("y",),
                name=name,
                start=0.0,
                inputs={"w": w},
                initial={"y": cc.fixed(1.0), "v": cc.fixed(0.5)},
                replicates=name == "plain",
                events=events if name == "dosed" else (),
            )
        )
    model = cc.Dynamics(
        lambda t, x, u, p, nn: {"y": -p.k * x.y + x.v + u.w, "v": -p.c * x.v + p.g * x.y**2},
        parameters=[cc.Parameter("k", 1.0), cc.Parameter("c", 0.5), cc.Parameter("g", 0.0)],
    )
    problem = cc.Problem(model, experiments, states=("y", "v"), observe=lambda x, u, p: [x.y])
    return cc.discretize(problem, mesh=10)


def by_scipy(nlp: cc.NLP, k: float, c: float, g: float) -> np.ndarray:
    """The same from sample to sample of the inputs and from event to event."""
    found = []
    for e in nlp.problem.experiments:
        w, t, x, at = e.inputs["w"], TIMES[e.name], np.array([1.0, 0.5]), []
        for left, right in itertools.pairwise(np.unique([0.0, *w.times, GIVEN, TAKEN, *t])):

            def rhs(s, x, w=w, end=right):
                u = w(s, s >= end)[0]
                return [-k * x[0] + x[1] + u, -c * x[1] + g * x[0] ** 2]

            x = solve_ivp(rhs, (left, right), x, method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
            at += [x[0]] * int(np.sum(t == right))
            if e.name == "dosed":
                x = x + np.array([0.0, 2.0]) * (right == GIVEN)
                x[0] = 0.3 if right == TAKEN else x[0]
        found += at
    return np.array(found)


@pytest.mark.parametrize("kind", ["zoh", "linear", "spline"])
def test_simulations_of_one_search_are_scipys_whatever_was_simulated_before(kind):
    nlp = nlp_of(kind)
    search = Search.of(nlp)
    first, second = (nlp.start.copy() for _ in range(2))
    values = {"k": 2.0, "c": 0.1, "g": -0.2}
    for name, value in values.items():
        second[nlp.layout.columns_of(name)] = value
    runaway = second.copy()
    runaway[nlp.layout.columns_of("g")] = 2.0
    begun = search.outputs(first)
    kept = begun.copy()
    moved, half = search.outputs(second), search.outputs(second, 0.5)
    broken = np.isnan(search.outputs(runaway))[:16, 0]
    assert 0 < broken.sum() < 16
    np.testing.assert_array_equal(search.outputs(first), kept)
    np.testing.assert_array_equal(begun, kept)
    away = np.concatenate([~np.isin(t, [GIVEN, TAKEN]) for t in TIMES.values()])
    np.testing.assert_allclose(kept[away, 0], by_scipy(nlp, 1.0, 0.5, 0.0)[away], atol=2e-6)
    np.testing.assert_allclose(moved[away, 0], by_scipy(nlp, *values.values())[away], atol=2e-6)
    early = search.within(0.5)
    np.testing.assert_allclose(half[early], moved[early], atol=1e-6)
    assert np.isnan(half[~early]).all()


def test_what_has_simulated_is_sent_to_other_processes():
    nlp, t = nlp_of("linear"), np.linspace(0.0, 4.0, 5)
    model = TrainedModel.of(nlp, nlp.start, 1)
    run = Repeated(model, nlp.problem.experiments[1].inputs)
    here = run(model.parameters, [1.0, 0.5], t).states
    there = cloudpickle.loads(cloudpickle.dumps(run))(model.parameters, [1.0, 0.5], t).states
    np.testing.assert_array_equal(there, here)
