"""One batch as an NLP: light beside others of its structure, and honest about its retries."""

from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode.coordination.subproblem import Subproblem, from_zero, structure
from collocode.results.status import SolverResult, Termination
from collocode.solvers.solve import make_solver

from .faulty import Case, oscillators


def windows(number=4, dynamics=None):
    """Windows of one run without inputs, sampled evenly and with equal elements."""
    t = np.linspace(0.0, 8.0, 8 * number + 1)[1:]
    x = np.column_stack([np.sin(t), np.cos(t)])
    run = cc.Experiment(t, x, ("x", "v"), start=0.0, name="long run")
    dynamics = dynamics or cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, -p.k * x.x], parameters=[cc.Parameter("k", 0.8)]
    )
    problem = cc.Problem(dynamics, run)
    meshes = [cc.Mesh.uniform(0.0, 8.0, 4 * number)]
    return cc.Partition(number).cut(problem, meshes)


def test_windows_of_equal_length_have_one_structure(case):
    batches = windows()
    assert len({structure(b, case.settings) for b in batches}) == 1
    first = Subproblem(batches[0], case.settings)
    second = Subproblem(batches[2], case.settings, like=first.nlp)
    assert second.nlp.functions is first.nlp.functions
    alone = Subproblem(batches[2], case.settings).nlp
    x = np.random.default_rng(0).standard_normal(alone.columns)
    assert second.nlp.objective(x) == alone.objective(x)
    np.testing.assert_array_equal(second.nlp.constraints(x), alone.constraints(x))


def test_windows_of_a_model_that_asks_for_the_time_differ(case):
    forced = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, -p.k * x.x + 0.1 * np.cos(t)],
        parameters=[cc.Parameter("k", 0.8)],
    )
    batches = windows(dynamics=forced)
    assert from_zero(batches[1])[1] == batches[1].meshes
    assert len({structure(b, case.settings) for b in batches}) == len(batches)


class Scripted:
    """A solver that fails as often as it is told to."""

    def __init__(self, solver, failures):
        self.solver, self.failures, self.starts = solver, failures, []

    def solve(self, nlp, warm=None, on_iteration=None):
        self.starts.append((nlp.start, warm))
        result = self.solver.solve(nlp, warm)
        if self.failures:
            self.failures -= 1
            return replace(result, x=result.x + np.nan, termination=Termination.ERROR)
        assert isinstance(result, SolverResult)
        return result


@pytest.mark.parametrize(
    ("failures", "rescue"), [(0, ""), (1, "consensus"), (2, "start"), (3, "kept")]
)
def test_a_failed_solve_is_retried_from_elsewhere(case, failures, rescue):
    sub = Subproblem(case.batches[0], case.settings)
    solver = make_solver(sub.nlp, "casadi", case.settings.options)
    (task,) = case.tasks(0)
    point = sub.solve(solver, task, None).point
    flaky = Scripted(solver, failures)
    answer = sub.solve(flaky, replace(task, iteration=1), point)
    assert answer.rescue == rescue
    assert len(flaky.starts) == min(failures + 1, 3)
    np.testing.assert_array_equal(flaky.starts[0][0], point.x)
    assert [warm is not None for _, warm in flaky.starts] == [True, False, False][: failures + 1]
    if rescue == "kept":
        np.testing.assert_array_equal(answer.point.x, point.x)
    np.testing.assert_array_equal(
        answer.values,
        answer.point.x[sub.columns] / (sub.nlp.column_scale[sub.columns] * _firm(sub)),
    )


def _firm(sub):
    firm = np.full(len(sub.columns), 0.1)
    firm[len(firm) - len(sub.nlp.layout.weights) :] = 1.0
    return firm


def test_the_proximal_term_draws_to_the_target(case):
    """With an overwhelming penalty the copies are the target; the reported loss is without it."""
    sub = Subproblem(case.batches[1], case.settings)
    solver = make_solver(sub.nlp, "casadi", case.settings.options)
    (task,) = case.tasks(1)
    target = task.target + 0.01
    answer = sub.solve(solver, replace(task, target=target, rho=1e6), None)
    np.testing.assert_allclose(answer.values, target, atol=1e-6)
    assert answer.loss < 1.0
    free = sub.solve(solver, replace(task, rho=1e-9), None)
    assert free.loss <= answer.loss


def test_an_unsolved_point_says_what_its_result_said():
    case = Case.of(oscillators())
    sub = Subproblem(case.batches[0], case.settings)
    solver = make_solver(sub.nlp, "casadi", case.settings.options)
    (task,) = case.tasks(0)
    answer = sub.solve(solver, task, None)
    unsolved = sub.unsolved(replace(task, iteration=1, point=answer.point))
    np.testing.assert_array_equal(unsolved.values, answer.values)
    assert unsolved.loss == pytest.approx(answer.loss, rel=1e-9)
