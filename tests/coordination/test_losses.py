"""Whatever the loss: the optimum over batches, by Newton's rules, is that of one fit."""

from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode.coordination.newton import Newton

T = np.linspace(0.0, 4.0, 21)
EXACT = {"tol": 1e-11, "acceptable_tol": 1e-11}


def runs(outliers=False, floor=-np.inf, missing=0.0, **given):
    """A to B to nothing, three times."""
    rng, found = np.random.default_rng(0), []
    for k, size in enumerate((1.0, 2.0, 1.5)):
        a = size * np.exp(-0.7 * T)
        b = size * 0.7 / 0.4 * (np.exp(-0.3 * T) - np.exp(-0.7 * T))
        y = np.column_stack([a, b]) + 0.02 * rng.standard_normal((21, 2))
        if outliers:
            y[5 + k, 0] += 0.6
            y[12, 1] -= 0.5
        below = y <= floor
        y = np.where(below, floor, y)
        if missing:
            y[rng.random(y.shape) < missing] = np.nan
        censored = {"censored": np.where(below, -1.0, 0.0)} if below.any() else {}
        found.append(cc.Experiment(T, y, ("a", "b"), name=f"run {k}", **censored, **given))
    return found


def chain(data, k=(0.01, 5.0), **options):
    own = options.pop("own", False)
    parameters = [
        cc.Parameter("k", 0.5, *k, prior=options.pop("prior", None), per_experiment=own),
        cc.Parameter("m", 0.2, 0.01, 5.0),
    ]
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: {"a": -p.k * x.a, "b": p.k * x.a - p.m * x.b}, parameters=parameters
    )
    return cc.Problem(dynamics, data, states=("a", "b"), **options)


def one_without_b():
    data = runs()
    data[1] = data[1].select(["a"])
    return data


# problem, and within how many iterations it is solved in one batch a run
CASES = {
    "Huber, whose curvature may be nothing for a whole batch": (
        lambda: chain(runs(outliers=True), loss=cc.Huber(1.345, 0.02)),
        30,
    ),
    "noise of every run's own": (lambda: chain(runs(), loss=cc.Normal(per_experiment=True)), 25),
    "an output that a batch has not, with a sigma": (
        lambda: chain(one_without_b(), loss=cc.LeastSquares({"a": 0.02, "b": 0.05})),
        25,
    ),
    "censored on other sides in other batches": (
        lambda: chain(runs(floor=0.1), loss=cc.Normal(0.02)),
        15,
    ),
    "missing in some batches": (lambda: chain(runs(missing=0.02), loss=cc.Normal()), 40),
    "a prior": (
        lambda: chain(runs(), prior=cc.Prior("normal", 0.6, 0.01), loss=cc.Normal(0.02)),
        15,
    ),
    "values of every run's own, at a bound": (
        lambda: chain(runs(), own=True, k=(0.01, 0.69)),
        20,
    ),
    "sigma by run": (lambda: chain(runs(sigma={"a": 0.02})), 15),
}


@pytest.mark.parametrize("what", CASES)
def test_batches_have_the_optimum_of_one_fit(what):
    make, most = CASES[what]
    problem = make()
    found = cc.admm(
        problem, 3, rules=cc.NewtonRules(tolerance=1e-10), settings=cc.FitSettings(mesh=12)
    )
    whole = cc.fit(problem, mesh=12, options=EXACT)
    assert found.success
    assert len(found.history) <= most
    assert found.solution.objective == pytest.approx(whole.objective, abs=1e-8)
    np.testing.assert_allclose(
        list(found.solution.parameters.values()), list(whole.parameters.values()), rtol=1e-5
    )


def test_steps_below_rounding_end_a_run_with_a_word(monkeypatch):
    """Where a loss bends too sharply the region shrinks, in the end to nothing."""
    start = Newton.start
    monkeypatch.setattr(Newton, "start", lambda *given: replace(start(*given), radius=1e-310))
    found = cc.admm(chain(runs()), 3, settings=cc.FitSettings(mesh=4))
    assert not found.success
    assert found.message == "no step is taken, however short"
