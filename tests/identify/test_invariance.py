"""What must not change a fit: the order of experiments, rows without data, the unit of a state."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import collocode as cc

T = np.linspace(0.0, 3.0, 16)
NAMES = ("one", "two", "three")
MESH = 6


def runs(seed):
    rng = np.random.default_rng(seed)
    found = []
    for number, name in enumerate(NAMES):
        a = (1.0 + number) * np.exp(-0.7 * T)
        y = np.column_stack([a, 1.0 - a / (1.0 + number)]) + 0.02 * rng.standard_normal((16, 2))
        y[rng.integers(16, size=3), 1] = np.nan
        found.append(cc.Experiment(T, y, ("a", "b"), name=name))
    return found


def problem(experiments, size=1.0):
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: {"a": -p.k * x.a, "b": p.k * x.a * p.gain / size},
        parameters=[
            cc.Parameter("k", 1.0, 0.0, 5.0),
            cc.Parameter("gain", 0.5 * size, per_experiment=True),
        ],
    )
    return cc.Problem(dynamics, experiments)


def trusted(experiments, size=1.0):
    solution = cc.fit(problem(experiments, size), mesh=MESH, options={"tol": 1e-10})
    assert solution.success
    return solution, cc.uncertainty(solution).intervals()


@settings(max_examples=8)  # two fits an example
@given(seed=st.integers(0, 99), order=st.permutations(range(3)))
def test_the_order_of_experiments(seed, order):
    experiments = runs(seed)
    one, table = trusted(experiments)
    other, again = trusted([experiments[k] for k in order])
    assert other.parameters == pytest.approx(one.parameters, rel=1e-6)
    np.testing.assert_allclose(again["std"].loc[table.index], table["std"], rtol=1e-4)
    assert other.result.objective == pytest.approx(one.result.objective, rel=1e-8)


@settings(max_examples=8)  # two fits an example
@given(
    seed=st.integers(0, 99),
    times=st.lists(st.floats(0.01, 2.99), min_size=1, max_size=4, unique=True),
)
def test_rows_without_any_value(seed, times):
    experiments = runs(seed)
    one, table = trusted(experiments)
    e = experiments[1]
    new = np.setdiff1d(times, e.times)
    grid = np.sort(np.concatenate([e.times, new]))
    values = np.full((len(grid), 2), np.nan)
    values[np.isin(grid, e.times)] = e.values
    experiments[1] = replace(e, times=grid, values=values)
    other, again = trusted(experiments)
    assert other.parameters == pytest.approx(one.parameters, rel=1e-6)
    np.testing.assert_allclose(again["std"], table["std"], rtol=1e-4)
    assert other.nlp.problem.n_measurements == one.nlp.problem.n_measurements


@settings(max_examples=8)  # two fits an example
@given(seed=st.integers(0, 99), power=st.integers(-6, 6))
def test_the_unit_of_a_state(seed, power):
    """Everything in another unit: k stays, the gains (which carry units) follow."""
    size = 10.0**power
    experiments = runs(seed)
    one, table = trusted(experiments)
    scaled = [replace(e, values=e.values * [size, size]) for e in experiments]
    other, again = trusted(scaled, size)
    assert other.parameters["k"] == pytest.approx(one.parameters["k"], rel=1e-5)
    assert again.loc["k", "std"] == pytest.approx(table.loc["k", "std"], rel=1e-3)
    for name in NAMES:
        gain = f"gain[{name}]"
        assert other.parameters[gain] / size == pytest.approx(one.parameters[gain], rel=1e-5)
    assert other.result.objective == pytest.approx(one.result.objective, rel=1e-6)
    np.testing.assert_allclose(
        other.trajectories[0].states / size, one.trajectories[0].states, rtol=1e-5, atol=1e-8
    )


def left_out(pattern, spike, network):
    """(spikes of weight 0, NaN) in the places of a pattern; oscillation by a network, or decay."""
    truth = np.column_stack([np.cos(2.0 * T), -2.0 * np.sin(2.0 * T)])
    noisy = truth + 0.02 * np.random.default_rng(0).standard_normal(truth.shape)
    model = (
        cc.NeuralODE(cc.MLP((2, 3, 2)))
        if network
        else cc.Dynamics(
            lambda t, x, u, p, nn: [x.b, -p.k * x.a], parameters=[cc.Parameter("k", 3.0)]
        )
    )
    for values, weights in (
        (np.where(pattern, spike, noisy), np.where(pattern, 0.0, 1.0)),
        (np.where(pattern, np.nan, noisy), None),
    ):
        data = cc.Experiment(T, values, ("a", "b"), weights=weights)
        yield cc.Problem(model, data, regularisation=cc.L2(1e-4))


@settings(max_examples=10)  # two fits an example
@given(
    places=st.sets(st.integers(0, 31), max_size=20),
    spike=st.sampled_from([0.0, 50.0, -1e6]),
    network=st.booleans(),
)
def test_a_datum_of_weight_zero_is_one_that_is_missing(places, spike, network):
    """Bit by bit, in the fit, its scales and all that judges it."""
    pattern = np.zeros((16, 2), dtype=bool)
    pattern.flat[list(places)] = True
    pattern[[0, 4, 15]] = False  # every output keeps data
    one, other = left_out(pattern, spike, network)
    assert (one.spread, one.ranges, one.sigma) == (other.spread, other.ranges, other.sigma)
    np.testing.assert_array_equal(one.state_scale, other.state_scale)
    fits = [cc.fit(p, mesh=MESH, options={"max_iter": 40}) for p in (one, other)]
    a, b = fits
    np.testing.assert_array_equal(a.nlp.p, b.nlp.p)
    np.testing.assert_array_equal(a.result.x, b.result.x)
    assert a.score() == b.score()
    for judge in (cc.residuals, cc.whiteness):
        assert judge(a).equals(judge(b))
    if a.success and not network:
        c, d = (cc.uncertainty(s) for s in fits)
        np.testing.assert_array_equal(c.covariance, d.covariance)
        assert (c.noise, c.freedom) == (d.noise, d.freedom)
