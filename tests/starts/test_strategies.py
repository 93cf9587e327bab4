"""Every strategy gives a start that is finite and inside the bounds; the good ones are good."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

import collocode as cc
from collocode.starts import gradient_matching
from collocode.starts.strategies import STRATEGIES
from tests.problems import decay, driven, van_der_pol_data, van_der_pol_grey, van_der_pol_neural


def partly_measured():
    data = van_der_pol_data(n=40, sigma=0.05)
    return van_der_pol_neural(data.select(["y1"]), states=("y1", "y2"), scaling={"y2": 2.0})


def observed():
    data = van_der_pol_data(n=40)
    only = cc.Experiment(data.times, data.values[:, 0] ** 2, ("square",))
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [x.b, nn.f(x)], networks={"f": cc.MLP((2, 3, 1))})
    return cc.Problem(
        dynamics, only, states=("a", "b"), observe=lambda x, u, p: [x.a**2], regularisation=cc.L2()
    )


PROBLEMS = {
    "decay": decay,
    "driven": driven,
    "neural": van_der_pol_neural,
    "bounded": lambda: van_der_pol_neural(bounds={"y1": (-1.0, 1.0), "y2": (0.0, 2.0)}),
    "partly measured": partly_measured,
    "observed": observed,
    "gaps": lambda: van_der_pol_neural(
        replace(
            (d := van_der_pol_data(n=40)),
            values=np.where(np.random.default_rng(0).uniform(size=(40, 2)) < 0.5, np.nan, d.values),
        )
    ),
    "few points": lambda: van_der_pol_neural(van_der_pol_data(n=3)),
}


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "shooting"])
@pytest.mark.parametrize("kind", PROBLEMS)
def test_every_start_is_finite_and_inside_the_bounds(kind, strategy):
    nlp = cc.discretize(PROBLEMS[kind](), mesh=6)
    for seed in (0, 1):
        begun = cc.start_from(nlp, strategy, seed)
        assert np.isfinite(begun.start).all()
        assert (begun.start >= nlp.lower).all()
        assert (begun.start <= nlp.upper).all()
        assert begun.functions is nlp.functions


def test_seeds_give_different_weights_and_the_same_ones_again():
    nlp = cc.discretize(van_der_pol_neural(), mesh=6)
    one, two, again = (
        cc.start_from(nlp, "smoothing", s).start[nlp.layout.weights] for s in (1, 2, 1)
    )
    assert (one != two).any()
    np.testing.assert_array_equal(one, again)


def test_gradient_matching_recovers_what_is_linear_in_its_parameters():
    t = np.linspace(0.0, 8.0, 200)
    data = cc.Experiment(
        t,
        np.column_stack(
            [np.exp(-0.1 * t) * np.cos(t), -np.exp(-0.1 * t) * (0.1 * np.cos(t) + np.sin(t))]
        ),
        ("q", "v"),
    )
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, -p.k * x.q - p.d * x.v],
        parameters=[cc.Parameter("k", 5.0), cc.Parameter("d", 0.0)],
    )
    nlp = cc.start_from(cc.discretize(cc.Problem(dynamics, data)))
    k, d = nlp.start[nlp.layout.shared]
    assert k == pytest.approx(1.01, abs=0.02)
    assert d == pytest.approx(0.2, abs=0.02)


def test_gradient_matching_handles_parameters_of_each_experiment():
    runs = [replace(decay(k, n=60).experiments[0], name=str(k)) for k in (0.5, 1.5)]
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c * p.s],
        parameters=[cc.Parameter("k", 1.0, per_experiment=True), cc.Parameter("s", 1.0, 1.0, 1.0)],
    )
    nlp = cc.start_from(cc.discretize(cc.Problem(dynamics, runs)))
    found = [nlp.start[part.parameters[0]] for part in nlp.layout.experiments]
    np.testing.assert_allclose(found, [0.5, 1.5], atol=0.05)


def test_gradient_matching_starts_closer_than_random_weights():
    nlp = cc.discretize(van_der_pol_neural(van_der_pol_data(n=60, sigma=0.05)))
    matched, random = (
        np.linalg.norm(nlp.constraints(cc.start_from(nlp, s).start))
        for s in ("gradient_matching", "smoothing")
    )
    assert matched < 0.3 * random


def test_simulation_gives_rows_that_hold():
    nlp = cc.discretize(decay(), mesh=10)
    begun = cc.start_from(nlp, "simulate")
    assert np.abs(nlp.constraints(begun.start)).max() < 1e-4
    assert np.abs(nlp.constraints(nlp.start)).max() > 1e-2


def test_a_solution_starts_another_mesh_and_another_scheme():
    first = cc.fit(van_der_pol_grey(van_der_pol_data(sigma=0.05)), mesh=30)
    for scheme, degree, mesh in (
        ("radau", 3, 40),
        ("gauss", 2, 50),
        ("lobatto", 4, 25),
        ("lobatto_iiic", 3, 40),
    ):
        nlp = cc.discretize(first.nlp.problem, scheme, degree, mesh)
        again = cc.start_from(nlp, first)
        assert again.start[nlp.layout.shared] == first.parameters["mu"]
        part = nlp.layout.experiments[0]
        np.testing.assert_array_equal(again.start[part.states], first.states(part.times))
        assert cc.solve(again).result.iterations <= 10


def test_a_solution_of_another_problem_is_refused():
    solution = cc.fit(decay(), mesh=None)
    nlp = cc.discretize(van_der_pol_neural(), mesh=4)
    with pytest.raises(
        cc.InputError, match="solution has states c and 0 weights, the problem y1, y2"
    ):
        cc.start_from(nlp, solution)


def test_an_array_and_an_unknown_name():
    nlp = cc.discretize(decay(), mesh=4)
    np.testing.assert_array_equal(cc.start_from(nlp, np.ones(nlp.columns)).start, 1.0)
    with pytest.raises(cc.InputError, match="the start has shape"):
        cc.start_from(nlp, np.ones(3))
    with pytest.raises(cc.InputError, match="strategy 'smothing'; did you mean 'smoothing'"):
        cc.start_from(nlp, "smothing")
    with pytest.raises(cc.InputError, match="choose from auto"):
        cc.start_from(nlp, "zzz")


def test_slopes_that_are_not_finite_leave_the_weights_alone():
    t = np.linspace(0.0, 2.0, 21)
    rhs = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * np.log(x.c - 5.0)], parameters=[cc.Parameter("k", 1.0)]
    )
    nlp = cc.discretize(cc.Problem(rhs, cc.Experiment(t, np.exp(-t), ("c",))), mesh=4)
    start = cc.start_from(nlp)
    assert np.isfinite(start.start).all()
    assert start.start[nlp.layout.shared] == 1.0


def test_gradient_matching_takes_the_steps_of_scipy_s_trust_region():
    nlp = cc.discretize(van_der_pol_neural(), mesh=12)
    fit = gradient_matching._SlopeFit(nlp, gradient_matching._points(nlp))
    first = cc.start_from(nlp, "smoothing").start[fit.free]
    found = cc.start_from(nlp, "gradient_matching").start[fit.free]
    jacobian = lambda z: fit.jacobian(z).toarray()  # noqa: E731
    scipy_s = least_squares(fit.residual, first, jacobian, max_nfev=9)
    assert scipy_s.cost < 0.1 * 0.5 * np.sum(fit.residual(first) ** 2)
    assert found == pytest.approx(scipy_s.x, rel=1e-8, abs=1e-8)
