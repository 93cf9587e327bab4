"""Multistart: seeds, the summary, and the best of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import collocode as cc
from collocode.identify.multistart import _row as row_of
from tests.problems import decay, van_der_pol_neural
from tests.waiting import press_ctrl_c


@pytest.fixture(scope="module")
def runs():
    problem = replace(van_der_pol_neural(sizes=(2, 4, 2)), regularisation=cc.L2(1e-4))
    return problem, cc.multistart(problem, 4)


def test_the_table_has_a_row_a_seed(runs):
    _, found = runs
    assert found.seeds == (0, 1, 2, 3)
    assert list(found.table.index) == [0, 1, 2, 3]
    for seed, solution in zip(found.seeds, found.solutions, strict=True):
        row = found.table.loc[seed]
        assert row["objective"] == solution.result.objective
        assert row["status"] == solution.status
        assert row["simulated"] >= 0.0
        assert row["seconds"] > 0.0


def test_the_best_is_the_converged_one_of_lowest_objective(runs):
    _, found = runs
    least = min(s.result.objective for s in found.solutions if s.success)
    assert found.best.success
    assert found.best.result.objective == pytest.approx(least, rel=1e-5)
    assert found.solutions[found.seeds.index(found.best_seed)] is found.best


def test_a_seed_gives_what_fit_gives_with_it(runs):
    problem, found = runs
    alone = cc.fit(problem, seed=2)
    assert alone.result.objective == pytest.approx(found.solutions[2].result.objective, rel=1e-5)


def test_chosen_seeds_and_a_look_at_every_run():
    seen = []
    found = cc.multistart(decay(), [7, 3], on_run=lambda seed, s: seen.append((seed, s.success)))
    assert found.seeds == (7, 3)
    assert seen == [(7, True), (3, True)]
    assert found.best_seed == 7  # of equal optima the first


def test_without_any_converged_run_the_least_violated_is_best():
    found = cc.multistart(van_der_pol_neural(), 2, options={"max_iter": 2})
    assert not found.best.success
    assert found.best.result.violation == min(s.result.violation for s in found.solutions)
    assert np.isfinite(found.best.result.x).all()


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ({"seeds": 0}, "at least one seed"),
        ({"seeds": []}, "at least one seed"),
        ({"start": "gradient_match"}, "did you mean 'gradient_matching'"),
    ],
)
def test_bad_input(options, phrase):
    with pytest.raises(cc.InputError, match=phrase):
        cc.multistart(decay(), **options)


def test_ctrl_c_keeps_the_runs_so_far(monkeypatch):
    press_ctrl_c(monkeypatch, 2, solve=2)
    found = cc.multistart(van_der_pol_neural(sizes=(2, 3, 2)), 4)
    assert found.termination is cc.Termination.INTERRUPTED
    assert found.seeds == (0, 1)
    assert found.best_seed == 0
    assert found.best.success


def test_ctrl_c_in_a_start_is_one_in_its_run(monkeypatch):
    press_ctrl_c(monkeypatch, 1)
    found = cc.multistart(van_der_pol_neural(sizes=(2, 3, 2)), 4, start="horizon")
    assert found.termination is cc.Termination.INTERRUPTED
    assert found.seeds == (0,)


def test_of_several_optima_the_lowest_is_the_best_and_errors_are_means_over_experiments():
    problem = decay()
    twice = [replace(problem.experiments[0], name=name) for name in ("one", "two")]
    off = replace(twice[1], values=twice[1].values + 0.3)
    solution = cc.fit(replace(problem, experiments=[twice[0], off]))
    scores = [score.simulated for score in solution.score()]
    assert row_of(solution, 1.0)["simulated"] == pytest.approx(sum(scores) / 2)
    assert min(scores) >= 0.0

    def worth(objective, **how):
        return replace(solution, result=replace(solution.result, objective=objective, **how))

    failed = worth(0.5, termination=cc.Termination.ERROR)
    runs = worth(3.0), failed, worth(1.0 + 1e-9), worth(1.0)
    found = cc.Multistart(solutions=runs, seeds=(7, 8, 9, 10), table=pd.DataFrame())
    assert (found.best_seed, found.best) == (9, runs[2])  # of equal ones the first
