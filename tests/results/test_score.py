"""Scores and the gap, against closed forms: two states of very different size, a clock that is not at zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode.adapt.fineness import simulated_gap
from collocode.plots.curves import curves_of

START, SEEN, LATER = 1.0, 1.5, 3.0
TIMES, AHEAD = np.linspace(SEEN, LATER, 16), np.linspace(LATER, 4.0, 6)


# ---- the gap -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(1.0, 1e3), (1e3, 1.0)])
@pytest.mark.parametrize("rates", [(-1.0, 0.5), (0.5, -1.0)])
def test_the_gap_is_that_of_implicit_euler_over_each_states_own_largest_value(sizes, rates):
    """x_n = x_0 (1 - h r)^-n where the model's own trajectory is x_0 exp(r n h)."""
    t, n = np.linspace(0.0, 2.0, 11), np.arange(9)
    data = cc.Experiment(
        t,
        np.exp(np.outer(t, rates)) * sizes,
        ("a", "b"),
        initial=dict(zip("ab", sizes, strict=True)),
    )
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [p.r * x.a, p.s * x.b],
        parameters=[cc.Parameter(k, r, r, r) for k, r in zip("rs", rates, strict=True)],
    )
    solution = cc.fit(cc.Problem(model, data), "implicit_euler", mesh=8)
    expected = []
    for rate in rates:
        collocated = (1.0 - 0.25 * rate) ** -n.astype(float)
        expected.append(np.abs(np.exp(0.25 * rate * n) - collocated).max() / collocated.max())
    assert abs(expected[0] - expected[1]) > 0.02
    assert solution.gap() == pytest.approx(max(expected), rel=1e-5)
    assert solution.score()[0].gap == solution.gap()


# ---- the truth's clock ---------------------------------------------------------------------------


def damped(times, start, value, k=1.0):
    """Solution of ẋ = -k t x."""
    return value * np.exp(-0.5 * k * (times**2 - start**2))


def scored(truth, *experiments, k=0.9):
    """Scores of a model with a wrong k, which is given and not fitted."""
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * t * x.x], parameters=[cc.Parameter("k", k, k, k)]
    )
    test = cc.Experiment(AHEAD, damped(AHEAD, START, 2.0) + 0.1, ("x",), name="ahead")
    problem = cc.Problem(model, experiments, test=[test], truth=truth)
    return cc.fit(problem, "radau", 5, 20).score()


def run(name, value):
    """Measured from 1.5 on, a constant beside a window that starts at 1, from a known state."""
    y = damped(TIMES, START, value) + 0.2
    return cc.Experiment(TIMES, y, ("x",), name=name, start=START, initial={"x": value})


def error(a, b):
    return pytest.approx(np.mean((a - b) ** 2), rel=1e-5)


def test_one_truth_starts_with_the_first_window_and_goes_on_through_the_others():
    truth = cc.Truth(lambda t, x, u: [-t * x[0]], [2.0])
    train, test = scored(truth, run("run", 2.2))
    true, model = damped(TIMES, START, 2.0), damped(TIMES, START, 2.2, 0.9)
    assert train.truth == error(model, true)
    assert train.simulated == error(model, damped(TIMES, START, 2.2) + 0.2)
    assert train.collocated == error(model, damped(TIMES, START, 2.2) + 0.2)
    assert train.truth_from_true_initial == error(damped(TIMES, START, 2.0, 0.9), true)
    true = damped(AHEAD, START, 2.0)
    model = damped(AHEAD, LATER, true[0], 0.9)
    assert test.truth == error(model, true)
    assert test.truth_from_true_initial == test.truth
    assert test.simulated == error(model, true + 0.1)


def test_a_truth_by_name_starts_with_each_window():
    truth = cc.Truth(lambda t, x, u: [-t * x[0]], {"one": [2.0], "two": [3.0]})
    two = replace(run("two", 3.1), times=TIMES + 0.5, start=START + 0.5, end=LATER + 0.5)
    first, second, test = scored(truth, run("one", 2.2), two)
    for score, begin, given, known in ((first, 1.0, 2.2, 2.0), (second, 1.5, 3.1, 3.0)):
        times = TIMES + begin - START
        true = damped(times, begin, known)
        assert score.truth == error(damped(times, begin, given, 0.9), true)
        assert score.truth_from_true_initial == error(damped(times, begin, known, 0.9), true)
    # of a window that the truth does not know the start is the fit's own end there
    assert np.isnan(test.truth)
    model = damped(AHEAD, LATER, damped(LATER, START, 2.2, 0.9), 0.9)
    assert test.simulated == error(model, damped(AHEAD, START, 2.0) + 0.1)


def test_the_gap_in_units_of_the_noise_is_the_largest_of_all_outputs_and_experiments():
    t, n, rates = np.linspace(0.0, 2.0, 9), np.arange(9.0), np.array([-1.0, 0.5])
    runs = [
        cc.Experiment(
            t,
            np.exp(np.outer(t, rates)) * size,
            ("a", "b"),
            name=f"run {size:g}",
            initial={"a": size, "b": size},
        )
        for size in (3.0, 1.0)
    ]
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [p.r * x.a, p.s * x.b],
        parameters=[cc.Parameter(k, r, r, r) for k, r in zip("rs", rates, strict=True)],
    )
    solution = cc.fit(cc.Problem(model, runs), "implicit_euler", mesh=8)
    apart = np.exp(np.outer(t, rates)) - (1.0 - 0.25 * rates) ** -n[:, None]
    rms = np.sqrt(np.mean(apart**2, axis=0))
    noise = np.full((18, 2), 0.1)
    assert simulated_gap(solution, noise) == pytest.approx(30.0 * rms.max(), rel=1e-5)
    noise[:, np.argmax(rms)] *= 100.0
    assert simulated_gap(solution, noise) == pytest.approx(30.0 * rms.min(), rel=1e-5)


def decayed(rate, name, initial=1.0, **given):
    """A run of c' = -k c, exact."""
    given = {"initial": {"c": initial}, **given}
    start = initial if isinstance(initial, float) else 2.0
    return cc.Experiment(DECAY, start * np.exp(-rate * DECAY), ("c",), name=name, **given)


DECAY = np.linspace(0.0, 2.0, 11)
OWN = cc.Parameter("k", 1.0, per_experiment=True)


def decays(runs, *parameters, **given):
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=parameters or [OWN])
    return cc.Problem(dynamics, runs, **given)


def held_out_error(solution):
    return [s.simulated for s in solution.score() if s.role == "test"]


def test_a_held_out_run_is_simulated_with_the_own_value_that_it_is_given(tmp_path):
    runs = [decayed(3.0, "fast"), decayed(0.7, "slow")]
    held = decayed(0.4, "held", parameters={"k": 0.4})
    solution = cc.fit(decays(runs, test=held), mesh=8)
    assert held_out_error(solution)[0] < 1e-14  # exp(-0.4 t) at k = 0.4
    solution.save(tmp_path / "fit.npz")
    assert held_out_error(cc.load(tmp_path / "fit.npz"))[0] < 1e-14
    curves = next(c for c in curves_of(solution) if c.role == "test")
    exact = np.exp(-0.4 * curves.times)
    np.testing.assert_allclose(curves.simulated[:, 0], exact, atol=1e-7)


def test_a_held_out_run_may_take_what_is_shared_for_its_own():
    shared = cc.Parameter("usual", 0.4, 0.4, 0.4)
    held = decayed(0.4, "held", parameters={"k": "usual"})
    problem = decays([decayed(3.0, "fast")], OWN, shared, test=held)
    assert held_out_error(cc.fit(problem, mesh=8))[0] < 1e-14


@pytest.mark.parametrize("bound", [False, True])
def test_a_held_out_run_without_a_value_of_its_own_is_refused(bound):
    """Also where every fitted run says in parameters= what it is."""
    given = {"parameters": {"k": 0.7}} if bound else {}
    parameter = cc.Parameter("k", 1.0, per_experiment=not bound)
    runs = [decayed(0.7, "one", **given), decayed(0.7, "two", **given)]
    with pytest.raises(cc.InputError, match="experiment 'held' has no value of parameter 'k'"):
        decays(runs, parameter, test=decayed(0.4, "held"))


def test_whole_runs_with_values_of_their_own_cannot_be_held_out_without_them():
    runs = [decayed(0.7, "one"), decayed(0.7, "two")]
    with pytest.raises(cc.InputError, match="held-out experiment 'two' has no value"):
        cc.split(decays(runs), ["two"])


def test_noise_of_its_own_need_not_be_told_of_a_held_out_run():
    noisy = [
        replace(decayed(0.7, n), values=np.exp(-0.7 * DECAY) + 0.01 * np.sin(40 * DECAY))
        for n in "ab"
    ]
    parameter = cc.Parameter("k", 1.0)
    problem = decays(
        noisy, parameter, loss=cc.Normal(per_experiment=True), test=decayed(0.7, "held")
    )
    assert len(problem.all_parameters) == 2


def test_the_end_of_a_run_goes_on_with_the_runs_own_value():
    runs = [decayed(3.0, "fast"), decayed(0.7, "slow")]
    errors = held_out_error(cc.fit(cc.split(decays(runs), 0.3), mesh=8))
    assert max(errors) < 1e-12


def test_a_value_that_another_run_was_given_does_not_hold_for_a_held_out_one():
    """Closed forms: the first run was given k = 3, the second tells k = 0.7, as the held-out one has it."""
    first = decayed(3.0, "first", parameters={"k": 3.0})
    problem = decays(
        [first, decayed(0.7, "second")], cc.Parameter("k", 1.0), test=decayed(0.7, "held")
    )
    solution = cc.fit(problem, mesh=8)
    assert held_out_error(solution)[0] < 1e-12
    run = cc.simulate(solution, [1.0], [0.0, 1.0])
    assert run.states[-1, 0] == pytest.approx(np.exp(-0.7), abs=1e-6)


def test_an_initial_state_of_its_own_is_the_held_out_runs():
    begun = cc.Parameter("c0", 1.0, per_experiment=True)
    runs = [decayed(0.7, "one", "c0"), decayed(0.7, "two", "c0")]
    held = decayed(0.7, "held", "c0", parameters={"c0": 2.0})
    problem = decays(runs, cc.Parameter("k", 1.0), parameters=[begun], test=held)
    assert held_out_error(cc.fit(problem, mesh=8))[0] < 1e-12


def test_a_simulation_that_cannot_tell_whose_value_to_take_says_so():
    solution = cc.fit(decays([decayed(3.0, "fast"), decayed(0.7, "slow")]), mesh=8)
    for call in (lambda: cc.simulate(solution, [1.0], [0.0, 1.0]), lambda: cc.jax_rhs(solution)):
        with pytest.raises(cc.InputError, match="cannot tell whose 'k' to take"):
            call()
    run = cc.simulate(solution.model.with_values({"k": 0.4}), [1.0], [0.0, 1.0])
    assert run.states[-1, 0] == pytest.approx(np.exp(-0.4), abs=1e-8)


def runs_of_a_decay(gain=1.0):
    """c' = -0.6 c from 1, 2, 0.5; y = gain c."""
    t = np.linspace(0.0, 5.0, 20)
    rng = np.random.default_rng(1)
    return [
        cc.Experiment(
            t, gain * a * np.exp(-0.6 * t) + 0.01 * rng.standard_normal(20), ("c",), name=n
        )
        for n, a in (("one", 1.0), ("two", 2.0), ("three", 0.5))
    ]


def a_decay(experiments, gain=1.0, **more):
    decay = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0, 0.0, 10.0)]
    )
    observe = None if gain == 1.0 else lambda x, u, p: [gain * x.c]
    return cc.Problem(decay, experiments, states=("c",), observe=observe, **more)


def test_a_test_run_begins_where_its_own_data_do():
    """As in cross-validation over runs: nothing else tells where the run begins that is left out."""
    runs = runs_of_a_decay()
    solution = cc.fit(a_decay(runs[:2], test=runs[2:]))
    score = solution.score()[-1]
    assert (score.experiment, score.role) == ("three", "test")
    assert score.simulated == pytest.approx(0.01**2, rel=1.0)
    assert not cc.findings(solution)


def test_data_of_an_output_that_is_no_state_do_not_tell_where_a_run_begins():
    runs = runs_of_a_decay(gain=3.0)
    solution = cc.fit(a_decay(runs[:2], gain=3.0, test=runs[2:]))
    assert np.isnan(solution.score()[-1].simulated)
    (finding,) = cc.findings(solution)
    assert finding.code == "test-untold"
    assert "'three'" in finding.text
    assert "initial=" in finding.remedy
    with pytest.raises(cc.InputError, match=r"'three' does not tell c\(0\)"):
        cc.sweep(a_decay(runs, gain=3.0), values=[1e-3], holdout=["three"])
