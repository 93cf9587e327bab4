"""What a solution gives: states, outputs, networks, parameters, scores."""

from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode.results.score import mse
from tests.problems import decay, driven, van_der_pol, van_der_pol_data, van_der_pol_neural


@pytest.fixture(scope="module")
def neural():
    return cc.fit(van_der_pol_neural(), options={"max_iter": 100}, mesh=None)


@pytest.mark.parametrize(
    ("name", "degree"), [("radau", 3), ("gauss", 2), ("lobatto", 4), ("lobatto_iiic", 4)]
)
def test_states_are_the_nodes_at_the_nodes(name, degree):
    solution = cc.fit(decay(), name, degree, mesh=4)
    part = solution.trajectories[0]
    ends = part.times[:: solution.scheme.intervals]
    np.testing.assert_array_equal(solution.states(ends), part.states[:: solution.scheme.intervals])
    found, expected = solution.states(part.times), part.states.copy()
    if name == "lobatto_iiic":  # stages at the start of their element, beside the mesh point
        expected[1::degree] = expected[:-1:degree]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    with pytest.raises(cc.InputError, match=r"time 2.5 lies outside the mesh"):
        solution.states([2.5])


def test_a_stage_at_the_elements_start_is_a_node_of_its_own(tmp_path):
    """Lobatto IIIC: two nodes at a mesh point, a stage error apart; simulation, tables, files cope."""
    solution = cc.fit(decay(), "lobatto_iiic", 3, mesh=8)
    part = solution.trajectories[0]
    again = np.flatnonzero(np.diff(part.times) == 0.0)
    np.testing.assert_array_equal(again, 3 * np.arange(8))
    jump = np.abs(part.states[again + 1] - part.states[again]).max()
    assert 1e-8 < jump < 1e-3
    assert solution.gap() < 1e-3
    assert solution.gap() > 0.5 * jump  # the stages count too
    frame = solution.to_frame()
    assert len(frame) == len(part.times)
    assert np.isfinite(frame.to_numpy()).all()
    simulated = frame["c_simulated"].to_numpy()
    np.testing.assert_array_equal(simulated[again], simulated[again + 1])
    solution.save(tmp_path / "fit.npz")
    loaded = cc.load(tmp_path / "fit.npz")
    np.testing.assert_array_equal(loaded.scheme.nodes, [0.0, 0.0, 0.5, 1.0])
    assert loaded.gap() == solution.gap()


def test_states_between_nodes_are_the_interpolant():
    solution = cc.fit(decay(), "radau", 4, mesh=4)
    t = np.linspace(0.0, 2.0, 77)
    np.testing.assert_allclose(solution.states(t)[:, 0], np.exp(-0.7 * t), atol=1e-6)


def test_the_network_is_a_plain_callable(neural):
    x = np.array([[0.5, -0.3], [1.0, 1.0]])
    np.testing.assert_allclose(neural.network()(x), neural.model.rhs(0.0, x), rtol=1e-12)
    np.testing.assert_allclose(neural.network("nn")(x[0]), neural.model.rhs(0.0, x[0]), rtol=1e-12)
    with pytest.raises(cc.InputError, match="no network 'g'; there are: nn"):
        neural.network("g")
    with pytest.raises(cc.InputError, match="the network has 2 inputs"):
        neural.network()([1.0, 2.0, 3.0])
    with pytest.raises(cc.InputError, match="has no networks"):
        cc.fit(decay(), mesh=None).network()


def test_the_trained_function_needs_no_parameters():
    solution = cc.fit(driven(), mesh=None)
    function = solution.model.trained_function()
    a, b = solution.parameters["a"], solution.parameters["b"]
    assert float(function(0.0, 2.0, 3.0)) == pytest.approx(-a * 2.0 + b * 3.0, rel=1e-12)


def test_experiments_by_number_and_name():
    runs = [replace(decay().experiments[0], name=n) for n in ("one", "two")]
    solution = cc.fit(replace(decay(), experiments=runs), mesh=None)
    assert [solution.index(k) for k in (0, 1, -1, "two")] == [0, 1, 1, 1]
    with pytest.raises(cc.InputError, match="no experiment 'three'; there are: one, two"):
        solution.states([0.0], "three")
    with pytest.raises(cc.InputError, match="no experiment 2; there are 2"):
        solution.states([0.0], 2)


def test_simulation_reports_where_it_is_asked():
    solution = cc.fit(decay(), mesh=None)
    times = np.array([0.5, 1.5])
    run = solution.simulate(times=times)
    np.testing.assert_array_equal(run.times, times)
    np.testing.assert_allclose(run.states[:, 0], np.exp(-0.7 * times), rtol=1e-6)
    np.testing.assert_allclose(solution.predict(times), run.states)
    np.testing.assert_allclose(solution.fitted(times), run.states, atol=1e-6)
    other = solution.simulate(initial=[3.0], times=times)
    np.testing.assert_allclose(other.states, 3.0 * run.states, rtol=1e-6)


def test_a_frame_has_the_nodes():
    frame = cc.fit(decay(), mesh=4).to_frame()
    assert list(frame.columns) == ["time", "c", "c_simulated"]
    assert len(frame) == 13
    assert np.abs(frame.c - frame.c_simulated).max() < 1e-4


def test_mean_squared_errors_by_hand():
    nan = np.nan
    assert mse(np.array([[1.0, 2.0]]), np.array([[0.0, nan]])) == 1.0
    assert mse(np.array([[1.0], [4.0]]), np.array([[0.0], [1.0]])) == 5.0
    assert mse(np.array([[nan], [4.0]]), np.array([[0.0], [1.0]])) == np.inf  # it broke down
    assert np.isnan(mse(np.array([[1.0]]), np.array([[nan]])))


def test_scores_are_what_their_names_say():
    truth = cc.Truth(lambda t, x, u: [-0.7 * x[0]], [1.0])
    t = np.linspace(0.0, 2.0, 21)
    noise = 0.05 * np.random.default_rng(0).normal(size=21)
    data = cc.Experiment(t, np.exp(-0.7 * t) + noise, ("c",))
    later = np.linspace(2.0, 4.0, 11)
    test = cc.Experiment(later, np.exp(-0.7 * later), ("c",), name="later")
    solution = cc.fit(replace(decay(), experiments=data, test=test, truth=truth), mesh=None)
    train, ahead = solution.score()
    k, c0 = solution.parameters["k"], solution.trajectories[0].states[0, 0]
    model = c0 * np.exp(-k * t)
    assert train.role == "train"
    assert train.collocated == pytest.approx(np.mean((model - data.values[:, 0]) ** 2), rel=1e-4)
    assert train.simulated == pytest.approx(train.collocated, rel=1e-4)
    assert train.truth == pytest.approx(np.mean((model - np.exp(-0.7 * t)) ** 2), rel=1e-3)
    pure = np.mean((np.exp(-k * t) - np.exp(-0.7 * t)) ** 2)
    assert train.truth_from_true_initial == pytest.approx(pure, rel=1e-3)
    assert train.gap < 1e-5
    assert ahead.role == "test"
    predicted = np.exp(-1.4) * np.exp(-k * (later - 2.0))  # from the true state at t = 2
    expected = np.mean((predicted - np.exp(-0.7 * later)) ** 2)
    assert ahead.truth_from_true_initial == pytest.approx(expected, rel=1e-3)
    assert ahead.simulated == pytest.approx(expected, rel=1e-3)
    assert np.isnan(ahead.collocated)
    assert ahead.as_dict()["collocated"] is None


def test_a_test_without_truth_starts_from_what_is_known():
    t = np.linspace(2.0, 3.0, 6)
    given = cc.Experiment(t, np.exp(-0.7 * t), ("c",), name="given", initial={"c": np.exp(-1.4)})
    follows = replace(given, name="follows", initial={})
    elsewhere = cc.Experiment(t + 9.0, t, ("c",), name="elsewhere")
    solution = cc.fit(replace(decay(), test=[given, follows, elsewhere]), mesh=None)
    _, first, second, third = solution.score()
    assert first.simulated < 1e-12
    assert second.simulated < 1e-12  # from the fit's own last state
    predicted = 2.0 * np.exp(-solution.parameters["k"] * (t - 2.0))  # from its own first datum
    assert third.simulated == pytest.approx(np.mean((predicted - t) ** 2), rel=1e-4)


def test_a_trajectory_that_breaks_down_scores_infinity():
    # a fit can interpolate data that its own model cannot reproduce: make one by hand
    solution = cc.fit(decay(), mesh=None)
    runaway = replace(solution, model=cc.fit(blow_up(), mesh=None).model)
    assert runaway.gap() == np.inf
    assert runaway.score()[0].simulated == np.inf


def blow_up():
    t = np.linspace(0.0, 0.5, 11)
    data = cc.Experiment(t, 1.0 / (1.0 - t), ("c",))
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k * x.c**2], parameters=[cc.Parameter("k", 0.9)]
    )
    return cc.Problem(dynamics, data)


def test_observed_outputs_are_not_states():
    t = np.linspace(0.0, 4.0, 41)
    data = cc.Experiment(t, np.cos(t) ** 2, ("energy",), initial={"q": 1.0, "v": 0.0})
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, -p.k * x.q], parameters=[cc.Parameter("k", 0.8, 0.1, 5.0)]
    )
    problem = cc.Problem(dynamics, data, states=("q", "v"), observe=lambda x, u, p: [x.q**2])
    solution = cc.fit(problem, mesh=None)
    assert solution.parameters["k"] == pytest.approx(1.0, abs=1e-4)
    assert solution.model.outputs == ("energy",)
    np.testing.assert_allclose(solution.predict(t)[:, 0], np.cos(t) ** 2, atol=1e-3)
    assert solution.score()[0].simulated < 1e-7


def test_truth_from_the_true_state_is_the_models_own_error(neural):
    truth = cc.Truth(lambda t, x, u: van_der_pol()(t, x), (0.0, 1.0))
    known = replace(neural, truth=truth)
    score = known.score()[0]
    data = van_der_pol_data(n=60)
    run = cc.simulate(neural.model, [0.0, 1.0], data.times)
    expected = np.mean((run.states - data.values) ** 2)
    assert score.truth_from_true_initial == pytest.approx(expected, rel=1e-4)


def test_times_of_predictions(neural):
    assert neural.predict([]).shape == (0, 2)
    assert neural.predict(1.0).shape == (1, 2)
    with pytest.raises(cc.InputError, match="time -1 lies before the start of experiment"):
        neural.predict([-1.0, 1.0])
    with pytest.raises(cc.InputError, match="times of a simulation cannot be read as numbers"):
        neural.predict(["noon"])


def test_times_are_told_to_the_second_wherever_they_are_counted_from():
    t = 1.7e9 + np.array([0.0, 10.0, 20.0])
    run = cc.Experiment(t, [1.0, 0.5, 0.3], ("c",))
    assert repr(run).endswith("[1700000000, 1700000020])")
    with pytest.raises(cc.InputError, match="time 1700000030 lies outside the mesh"):
        cc.Mesh.uniform(t[0], t[-1], 4).locate(np.array([t[-1] + 10.0]))
