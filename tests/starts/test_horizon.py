"""Horizon growing: windows, what is carried over, and where it saves a fit."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc
from collocode.starts import horizon
from tests.problems import decay, driven, van_der_pol_data, van_der_pol_neural


def lotka_volterra(parameters=(0.3, 0.005, 0.4, 0.005)):
    """Hare and lynx over eight cycles, exact data; only the hare is counted."""

    def truth(t, y):
        return [y[0] * (0.55 - 0.028 * y[1]), y[1] * (0.024 * y[0] - 0.80)]

    t = np.linspace(0.0, 60.0, 181)
    y = solve_ivp(truth, (0.0, 60.0), (30.0, 4.0), "DOP853", t, rtol=1e-10).y.T
    data = cc.Experiment(t, y, ("hare", "lynx"))
    names = ("alpha", "beta", "gamma", "delta")
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [
            x.hare * (p.alpha - p.beta * x.lynx),
            x.lynx * (p.delta * x.hare - p.gamma),
        ],
        parameters=[
            cc.Parameter(name, start, 0.0, 5.0)
            for name, start in zip(names, parameters, strict=True)
        ],
    )
    return cc.Problem(dynamics, data)


def test_the_windows_grow_and_end_with_the_whole(monkeypatch):
    seen = []
    original = horizon.solve

    def watched(nlp, *rest, **options):
        seen.append([part.mesh.end for part in nlp.layout.experiments])
        return original(nlp, *rest, **options)

    monkeypatch.setattr(horizon, "solve", watched)
    problem = replace(
        decay(),
        experiments=(
            replace(decay().experiments[0], name="short"),
            cc.Experiment(np.linspace(0.0, 8.0, 41), np.exp(-np.linspace(0, 5.6, 41)), ("c",)),
        ),
    )
    cc.start_from(cc.discretize(problem, mesh=20), "horizon")
    assert seen == sorted(seen)
    assert len(seen) == 3
    for ends in seen:  # every experiment by the same share of its own elements
        assert ends[1] == pytest.approx(4.0 * ends[0])
    assert seen[-1] == pytest.approx([1.0, 4.0])


@pytest.mark.parametrize("make", [decay, driven, lotka_volterra])
def test_the_start_is_inside_the_bounds_and_finite(make):
    nlp = cc.start_from(cc.discretize(make()), "horizon")
    assert np.isfinite(nlp.start).all()
    assert (nlp.start >= nlp.lower).all()
    assert (nlp.start <= nlp.upper).all()


def test_exact_data_are_already_fitted_when_the_solver_begins():
    nlp = cc.start_from(cc.discretize(decay(), degree=4), "horizon")
    assert nlp.violation(nlp.start).max() < 1e-5
    assert nlp.start[nlp.layout.shared] == pytest.approx([0.7], abs=1e-4)
    assert cc.solve(nlp).result.iterations <= 6


def test_inputs_go_on_behind_the_window():
    nlp = cc.start_from(cc.discretize(driven(), degree=4), "horizon")
    assert nlp.violation(nlp.start).max() < 1e-4


def test_many_cycles_are_identified():
    solution = cc.fit(lotka_volterra(), mesh=120, start="horizon")
    assert solution.success
    assert list(solution.parameters.values()) == pytest.approx([0.55, 0.028, 0.80, 0.024], rel=1e-3)


def test_a_state_without_data_is_found():
    """Only y1 of the van der Pol oscillator is measured."""
    full = van_der_pol_data(n=80, end=10.0, sigma=0.02)
    data = full.select(("y1",))
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [x.y2, p.mu * (1.0 - x.y1**2) * x.y2 - x.y1],
        parameters=[cc.Parameter("mu", 3.0, 0.0, 10.0)],
    )
    solution = cc.fit(cc.Problem(dynamics, data, states=("y1", "y2")), start="horizon", mesh=None)
    assert solution.success
    assert solution.parameters["mu"] == pytest.approx(1.0, rel=0.03)
    assert np.abs(solution.states(full.times)[:, 1] - full.values[:, 1]).max() < 0.2


def test_networks_start_from_a_good_trajectory():
    problem = van_der_pol_neural()
    nlp = cc.discretize(problem)
    grown = cc.start_from(nlp, "horizon")
    matched = cc.start_from(nlp, "gradient_matching")
    first_half = grown.layout.experiments[0].times <= 3.5
    states = grown.start[grown.layout.experiments[0].states[first_half]]
    data = problem.experiments[0]
    y = np.column_stack(
        [
            np.interp(grown.layout.experiments[0].times[first_half], data.times, c)
            for c in data.values.T
        ]
    )
    assert np.abs(states - y).max() < 0.3
    assert grown.violation(grown.start).max() < matched.violation(matched.start).max()
    assert cc.solve(grown).success


def test_too_few_data_for_a_window_skip_it():
    t = np.array([0.0, 1.8, 1.9, 2.0])
    data = cc.Experiment(t, np.exp(-0.7 * t), ("c",))
    solution = cc.fit(replace(decay(), experiments=(data,)), start="horizon", mesh=None)
    assert solution.parameters["k"] == pytest.approx(0.7, abs=1e-4)


def test_it_is_deterministic_in_the_seed():
    nlp = cc.discretize(van_der_pol_neural(sizes=(2, 3, 2)))
    one, again, other = (cc.start_from(nlp, "horizon", seed).start for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
