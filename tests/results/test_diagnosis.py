"""Diagnosis: the right equation at the right place, the point where NaN arose, one remedy."""

from dataclasses import replace

import casadi as ca
import numpy as np
import pytest

import collocode as cc
from tests.problems import decay, van_der_pol_data, van_der_pol_grey, van_der_pol_neural


def stopped(nlp, x, **changes):
    """A solution whose point is x, as if the solver had stopped there."""
    solution = cc.solve(nlp, options={"max_iter": 0})
    result = replace(solution.result, x=x, lam_x=np.zeros_like(x), **changes)
    return replace(solution, result=result)


def two_runs():
    data = [
        replace(van_der_pol_data(n=30, end=6.0), name="first"),
        replace(van_der_pol_data(n=30, end=6.0, begin=(1.0, 0.0)), name="second"),
    ]
    return van_der_pol_grey(data)


def test_a_broken_state_is_found_by_experiment_element_stage_state_and_time():
    nlp = cc.discretize(two_runs(), mesh=10)
    x = cc.solve(nlp).result.x.copy()
    part = nlp.layout.experiments[1]
    node = 4 * 3 + 2  # second stage of the fifth element
    x[part.states[node, 1]] += 0.5
    table = cc.diagnose(stopped(nlp, x)).violated
    assert set(table["experiment"]) == {"second"}
    assert set(table["element"]) == {4}
    assert set(table["equation"]) == {"collocation"}
    assert (table["residual"].diff().dropna() <= 0.0).all()
    worst = table.iloc[0]
    assert worst["state"] == "y2"
    assert worst["stage"] in (1, 2, 3)
    assert worst["time"] == pytest.approx(part.times[4 * 3 + worst["stage"]])
    shown = str(cc.diagnose(stopped(nlp, x)))
    assert "second" in shown
    assert "y2" in shown


def test_the_table_is_as_long_and_as_fine_as_asked_for():
    nlp = cc.discretize(two_runs(), mesh=10)
    rough = stopped(nlp, nlp.start)
    assert len(cc.diagnose(rough, most=3).violated) == 3
    assert len(cc.diagnose(rough, threshold=1e9).violated) == 0
    worst = cc.diagnose(rough, most=1).violated["residual"].iloc[0]
    assert worst == pytest.approx((nlp.violation(nlp.start) * nlp.row_scale).max())


def test_a_converged_solve_has_nothing_to_repair():
    found = cc.diagnose(cc.fit(decay()))
    assert len(found.violated) == 0
    assert len(found.not_finite) == 0
    assert "nothing to repair" in found.remedy


def square_root():
    """√x is not defined where the data cross zero, at t = 1."""
    t = np.linspace(0.0, 2.0, 21)
    data = cc.Experiment(t, 1.0 - t, ("x",))
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * ca.sqrt(x.x)], parameters=[cc.Parameter("k", 1.0)]
    )
    return cc.Problem(dynamics, data)


def test_where_nan_arose():
    nlp = cc.discretize(square_root(), mesh=20)
    found = cc.diagnose(stopped(nlp, nlp.start))
    assert len(found.not_finite) > 0
    first = found.not_finite.iloc[0]
    assert first["term"] == "collocation"
    assert first["experiment"] == "experiment"
    assert 1.0 <= found.not_finite["time"].min() <= 1.11  # the first nodes behind the zero
    assert "bounds" in found.remedy
    assert "not finite" in str(found)


def test_a_solve_that_meets_nan_says_so():
    solution = cc.fit(square_root(), mesh=20, start="interpolate")
    assert not solution.success
    assert "bounds" in cc.diagnose(solution).remedy


def test_a_constraint_that_the_data_contradict_is_named():
    problem = replace(
        decay(),
        constraints=(
            cc.PathConstraint("growing", lambda t, x, u, p, nn: x.c, 2.0, 3.0),
            cc.PathConstraint("falling", lambda t, x, u, p, nn: x.c, 0.0, 1.5),
        ),
    )
    solution = cc.fit(problem)
    assert not solution.success
    found = cc.diagnose(solution)
    assert found.violated["equation"].isin(["growing", "falling", "collocation"]).all()
    assert found.violated["equation"].isin(["growing", "falling"]).any()
    assert "constraint" in found.remedy or "start" in found.remedy


@pytest.mark.parametrize(
    ("termination", "phrase"),
    [
        (cc.Termination.ITERATION_LIMIT, "max_iter"),
        (cc.Termination.TIME_LIMIT, "time"),
        (cc.Termination.INTERRUPTED, "as the start"),
        (cc.Termination.INFEASIBLE, "horizon"),
    ],
)
def test_one_remedy_for_every_way_to_stop(termination, phrase):
    nlp = cc.discretize(van_der_pol_neural(sizes=(2, 3, 2)))
    changes = {"termination": termination, "status": cc.SolutionStatus.INFEASIBLE}
    remedy = cc.diagnose(stopped(nlp, nlp.start, **changes)).remedy
    assert phrase in remedy
    assert remedy.endswith(".")
    assert "\n" not in remedy


def test_variables_at_bounds_are_named():
    problem = decay()
    dynamics = replace(problem.dynamics, parameters=[cc.Parameter("k", 0.4, 0.0, 0.5)])
    found = cc.diagnose(cc.fit(replace(problem, dynamics=dynamics)))
    assert "k" in found.at_bounds


def test_a_loaded_solution_cannot_be_diagnosed(tmp_path):
    cc.fit(decay()).save(tmp_path / "fit.npz")
    with pytest.raises(cc.InputError, match="no NLP"):
        cc.diagnose(cc.load(tmp_path / "fit.npz"))
