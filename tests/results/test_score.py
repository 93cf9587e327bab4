"""Scores and the gap, against closed forms: two states of very different size, a clock that is not at zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode.adapt.fineness import simulated_gap

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
