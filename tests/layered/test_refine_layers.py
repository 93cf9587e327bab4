"""Refinement of layers: statuses, marking, budget, choice by validation, one optimum, resuming."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import collocode as cc
from collocode.layered import (
    LayeredNetwork,
    LayeredProblem,
    LogisticLoss,
    Regularisation,
    Samples,
    SquaredLoss,
    donut2d,
    load_training,
    predict,
    prolong,
    squares2d,
    train,
)
from collocode.layered.refinement.method import _warm
from collocode.layered.refinement.refine_layers import refine_layers
from tests.layered.cases import small


def squares(layers: int = 1, penalty: float = 1e-3, **more: Any) -> LayeredProblem:
    samples, validation = squares2d(n=150)
    network = LayeredNetwork(2, 1, 2, cc.Mesh.uniform(0.0, 5.0, layers), **more)
    penalties = Regularisation(penalty, penalty, penalty)
    return LayeredProblem(network, samples, LogisticLoss(), penalties, validation, name="Squares")


def convex() -> LayeredProblem:
    """So strongly regularised that there is one optimum."""
    objective, _ = small("residual", "layers", "logistic", "pad", samples=40)
    network = replace(objective.network, mesh=cc.Mesh.uniform(0.0, 3.0, 2), basis=None)
    penalties = Regularisation(0.05, 0.1, 0.1)
    return LayeredProblem(network, objective.samples, LogisticLoss(), penalties)


@pytest.fixture(scope="module")
def found() -> Any:
    how: Any = {"prolongation": "copy", "accept": "all"}
    return refine_layers(squares(), max_layers=6, iterations=50, stall=None, compare=True, **how)


def test_layers_grow_within_the_budget(found: Any) -> None:
    assert found.termination is cc.Termination.SIZE_LIMIT
    assert found.success
    depths = [cycle.layers for cycle in found.cycles]
    assert depths[0] == 1
    assert depths[-1] == 6
    for before, after in zip(found.cycles, found.cycles[1:], strict=False):
        assert after.layers == before.layers + len(before.marked)
        kept = np.isin(np.round(before.estimate.mesh, 9), np.round(after.estimate.mesh, 9))
        assert kept.all()
    assert found.cycles[-1].marked == ()


def test_training_goes_on_from_copied_weights(found: Any) -> None:
    """The first objective of a cycle is that of the bisected network, not of new weights."""
    for before, after in zip(found.cycles, found.cycles[1:], strict=False):
        begun = after.training.history["objective"].iloc[0]
        again = cc.layered.bisect(before.network, before.training.theta, before.marked)
        problem = found.problem.with_network(again[0])
        assert begun == pytest.approx(problem.objective.value(again[1]), rel=1e-12)


def test_uniform_doubling_beside_it(found: Any) -> None:
    assert [cycle.layers for cycle in found.uniform.cycles] == [1, 2, 4]
    assert found.uniform.rule == "uniform"
    assert found.uniform.cycles[0].training is found.cycles[0].training


def test_the_chosen_network_is_the_best_on_validation(found: Any) -> None:
    scores = [cycle.scores["validation"] for cycle in found.cycles]
    assert found.best.scores["validation"] == max(scores)
    assert found.chosen == scores.index(max(scores))
    validation = found.problem.validation
    decided = LogisticLoss().decide(found.predict(validation.X))
    assert np.mean(decided == validation.Y) == pytest.approx(max(scores))
    np.testing.assert_array_equal(
        found.predict(validation.X), predict(found.network, found.theta, validation.X)
    )


def test_table(found: Any) -> None:
    table = found.table()
    assert list(table["layers"]) == [cycle.layers for cycle in found.cycles]
    assert table["seconds"].sum() == pytest.approx(found.seconds)
    assert np.isfinite(table["flow"]).all()
    assert found.table(flow=False)["flow"].isna().all()
    assert found.most_accurate is None  # 50 iterations leave no weights optimal
    assert table["effectivity"].isna().all()
    assert table["work"].sum() == found.work
    assert "layer budget used up; layers 1 2" in repr(found)


@pytest.mark.parametrize("trainer", ["armijo", "barzilai-borwein", "lbfgs", "ipopt"])
def test_trainers_agree_on_the_optimum(trainer: str) -> None:
    how: Any = {"rule": "uniform", "max_layers": 8, "iterations": 3000, "tolerance": 1e-7}
    reference = refine_layers(convex(), "gauss-newton", **how)
    ours = refine_layers(convex(), trainer, **how, seed=2)
    assert [c.layers for c in ours.cycles] == [2, 4, 8]
    for one, other in zip(ours.cycles, reference.cycles, strict=True):
        assert one.estimate.stationarity <= 2e-7
        assert one.estimate.value == pytest.approx(other.estimate.value, abs=1e-10)
        assert one.estimate.error == pytest.approx(other.estimate.error, abs=1e-8)
        np.testing.assert_allclose(one.training.theta, other.training.theta, atol=1e-5)


def test_tolerance_is_reached_and_true() -> None:
    done = refine_layers(convex(), tol=1e-5, max_layers=400, iterations=300, tolerance=1e-6)
    assert done.termination is cc.Termination.CONVERGED
    assert done.success
    assert done.indicator == "error"
    assert abs(done.estimate.error) <= 1e-5 < abs(done.cycles[0].estimate.error)
    index = done.table()["effectivity"]
    assert np.isnan(index.iloc[-1])  # the reference itself
    assert index.iloc[:-1].between(0.5, 2.0).all()
    assert index.iloc[-2] == pytest.approx(1.0, abs=0.1)
    assert done.table()["flow"].iloc[-1] == pytest.approx(done.estimate.corrected, abs=1e-7)


def test_a_small_estimate_alone_is_not_believed() -> None:
    """One network, or weights that are not optimal: the tolerance does not count as reached."""
    one = refine_layers(convex(), tol=1.0, max_cycles=1, iterations=300)
    assert one.termination is cc.Termination.ITERATION_LIMIT
    rough = refine_layers(convex(), tol=1.0, max_cycles=3, iterations=2)
    assert not rough.estimate.stationary
    assert rough.termination is cc.Termination.ITERATION_LIMIT
    two = refine_layers(convex(), tol=1.0, max_cycles=3, iterations=300)
    assert two.termination is cc.Termination.CONVERGED
    assert len(two.cycles) == 2


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"tol": 1e-9, "max_layers": 4}, cc.Termination.SIZE_LIMIT),
        ({"tol": 1e-9, "max_cycles": 2}, cc.Termination.ITERATION_LIMIT),
        ({"max_cycles": 1}, cc.Termination.ITERATION_LIMIT),
        ({"gain": 0.9, "stall": 1}, cc.Termination.EARLY_STOPPED),
        ({"seconds": 1e-6}, cc.Termination.TIME_LIMIT),
    ],
)
def test_statuses(how: dict[str, Any], status: cc.Termination) -> None:
    done = refine_layers(squares(), iterations=10, **how)
    assert done.termination is status
    assert done.success == ("tol" not in how and status is not cc.Termination.TIME_LIMIT)


def test_interruption_keeps_what_there_is() -> None:
    def interrupt(step: Any) -> None:
        if step.iteration == 3:
            os.kill(os.getpid(), signal.SIGINT)

    done = refine_layers(squares(), iterations=50, callback=interrupt)
    assert done.termination is cc.Termination.INTERRUPTED
    assert not done.success
    assert len(done.cycles) == 1
    assert done.uniform is None


def test_a_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "last.npz"
    how: Any = {"iterations": 20, "stall": None, "max_layers": 3}
    done = refine_layers(squares(), checkpoint=file, **how)
    assert load_training(file).network.layers == 3
    further = refine_layers(squares(), start=file, **{**how, "max_layers": 4})
    assert [c.layers for c in further.cycles] == [3, 4]
    assert further.cycles[0].estimate.value <= done.cycles[-1].estimate.value + 1e-12


@pytest.mark.parametrize("trainer", ["armijo", "barzilai-borwein", "lbfgs", "ipopt"])
def test_no_network_is_worse_than_its_parent(trainer: str) -> None:
    iterations = 12 if trainer == "ipopt" else 40
    done = refine_layers(
        squares(2, 1e-4), trainer, max_layers=4, iterations=iterations, stall=None, seed=1
    )
    own = [cycle for cycle in done.cycles if not cycle.stuck]
    assert len(own) > 1
    for before, after in pairwise(own):
        assert after.layers > before.layers
        assert after.estimate.value <= before.estimate.value
        assert after.training.least_loss <= before.training.least_loss
    assert all(t.network.layers > 2 for cycle in done.cycles for t in cycle.rejected)
    assert done.table(flow=False)["rejected"].sum() == sum(len(c.rejected) for c in done.cycles)


def test_it_ends_where_no_refinement_is_better() -> None:
    """Copied halves of long layers are worse than their parent, and no iteration repairs them."""
    problem = squares(2, 1e-4)
    trained = train(problem.objective, iterations=150)
    how: Any = {"prolongation": "copy", "iterations": 0, "stall": None}
    done = refine_layers(problem, start=trained.theta, **how)
    assert done.status == "no refinement improves the network"
    assert done.success
    before, last = done.cycles
    assert last.stuck
    assert last.network is before.network
    assert len(last.rejected) >= 2
    assert all(t.objective > before.training.objective for t in last.rejected)
    passes = sum((t.evaluations + t.gradients) * t.network.layers for t in last.rejected)
    assert last.work == passes + last.passes
    taken = refine_layers(problem, start=trained.theta, accept="all", max_layers=3, **how)
    assert taken.cycles[1].estimate.value > taken.cycles[0].estimate.value


def test_steepest_descent_goes_on_with_its_step() -> None:
    """The first step of a child is what the next one of its parent would have been."""
    objective = squares(2).objective
    parent = train(objective, "armijo", iterations=15)
    warm = _warm("armijo", parent)
    child = train(objective, warm, parent.theta, iterations=1)
    further = train(objective, "armijo", iterations=16, resume=parent)
    np.testing.assert_allclose(child.theta, further.theta, rtol=1e-12)
    assert np.abs(train(objective, "armijo", parent.theta, iterations=1).theta - child.theta).max()
    assert _warm("lbfgs", parent) == "lbfgs"
    assert _warm("armijo", None) == "armijo"


def test_effectivity_against_a_fine_network() -> None:
    how: Any = {"rule": "uniform", "accept": "all", "iterations": 100, "tolerance": 1e-7}
    done = refine_layers(convex(), "gauss-newton", max_layers=8, reference=32, **how)
    index = done.table(flow=False)["effectivity"]
    assert index.between(0.8, 1.4).all()
    truth = refine_layers(convex(), "gauss-newton", max_layers=32, **how)
    assert done.reference == pytest.approx(truth.cycles[-1].estimate.corrected, abs=1e-6)
    assert truth.reference is None
    assert truth.against_fine(32, tolerance=1e-7).reference == pytest.approx(
        done.reference, abs=1e-7
    )


@pytest.mark.parametrize("kind", ["residual", "hamiltonian", "rk4"])
def test_fitted_halves_do_what_the_layer_did(kind: str) -> None:
    """A layer that is made of two half-steps with other weights is found again; copies are not."""
    problem = squares(1, block=cc.layered.block(kind))
    fine = problem.with_network(replace(problem.network, mesh=cc.Mesh.uniform(0, 5, 4), basis=None))
    theta = train(fine.objective, iterations=15).theta
    here = fine.objective
    for layer in range(4):
        copied, fitted = (prolong(here, theta, [layer], n) for n in (0, 60))
        assert not copied.fitted
        assert copied.value == pytest.approx(
            fine.with_network(copied.network).objective.value(copied.theta)
        )
        before = here.value(theta)
        assert abs(fitted.value - before) <= 0.5 * abs(copied.value - before) + 1e-4
        assert fitted.passes > copied.passes


def test_tied_weights_are_copied() -> None:
    problem = squares(4, basis=cc.Legendre(2, (0.0, 5.0)))
    theta = problem.network.initial(1)
    start = prolong(problem.objective, theta, [0, 1])
    assert not start.fitted
    np.testing.assert_array_equal(start.theta, theta)


def test_one_layer_a_cycle_and_all_above_a_share() -> None:
    one = refine_layers(squares(), rule="fixed", iterations=10, max_layers=4, stall=None)
    assert [c.layers for c in one.cycles] == [1, 2, 3, 4]
    most = refine_layers(
        squares(2), rule="maximum", theta=1.0, iterations=10, max_cycles=2, stall=None
    )
    size = np.abs(most.cycles[0].estimate.of(most.indicator))
    assert most.cycles[0].marked == (int(size.argmax()),)


def test_weights_in_a_basis_are_refined_by_their_error_only() -> None:
    problem = squares(4, basis=cc.Legendre(2, (0.0, 5.0)))
    done = refine_layers(problem, iterations=10, max_cycles=2)
    assert done.indicator == "error"
    assert done.cycles[1].network.n_weights == done.cycles[0].network.n_weights
    with pytest.raises(cc.InputError, match="take indicator='error'"):
        refine_layers(problem, indicator="freedom")


def test_regression_and_no_validation() -> None:
    X = np.linspace(-1.0, 1.0, 30)[:, None]
    network = LayeredNetwork(1, 1, 2, cc.Mesh.uniform(0.0, 2.0, 1), lift="pad")
    problem = LayeredProblem(network, Samples(X, np.sin(3.0 * X) + 2.0), SquaredLoss())
    done = refine_layers(problem, max_layers=3, iterations=20)
    assert done.metric == "relative error"
    assert done.chosen == len(done.cycles) - 1
    assert "with training relative error" in repr(done)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"tol": 0.0}, "tolerance must be positive"),
        ({"rule": "dorfel"}, "did you mean 'dorfler'"),
        ({"theta": 0.0}, r"theta must lie in \(0, 1\]"),
        ({"indicator": "errors"}, "unknown indicator 'errors'"),
        ({"max_layers": 0}, "1 layer, more than the budget of 0"),
        ({"max_cycles": 0}, "cycles must be positive"),
        ({"stall": 0}, "stall must be a positive integer"),
        ({"gain": 1.0}, r"gain must lie in \[0, 1\)"),
        ({"seconds": 0.0}, "time limit must be positive"),
        ({"accept": "best"}, "unknown accept 'best'"),
        ({"prolongation": "fitted"}, "did you mean 'fit'"),
        ({"trainer": "sgd"}, "unknown trainer 'sgd'"),
        ({"iterations": -1}, "iterations must be an integer of at least 0"),
        ({"start": np.zeros(3)}, "weight vector has shape"),
    ],
)
def test_bad_requests(how: dict[str, Any], message: str) -> None:
    with pytest.raises(cc.InputError, match=message):
        refine_layers(squares(), **how)


def test_each_verb_refuses_the_problem_of_the_other() -> None:
    with pytest.raises(
        cc.InputError, match=r"not a LayeredProblem; .*refine_layers\(problem\) refines it"
    ):
        cc.refine(squares())  # type: ignore[arg-type]
    with pytest.raises(cc.InputError, match="takes a LayeredProblem, not an Objective"):
        refine_layers(small()[0])  # type: ignore[arg-type]
    assert cc.refine_layers is refine_layers


def test_effectivity_of_a_trained_classifier() -> None:
    """Against the optimum of finer networks that were trained again, from a coarse one on."""
    samples, validation = donut2d(n=150)
    network = LayeredNetwork(2, 1, 3, cc.Mesh.uniform(0.0, 2.0, 8), lift="pad")
    penalties = Regularisation(0.02, 0.02)
    problem = LayeredProblem(network, samples, LogisticLoss(), penalties, validation)
    done = refine_layers(problem, max_layers=40, iterations=2000, stall=None, rule="uniform")
    table = done.table()
    assert all(cycle.estimate.stationary for cycle in done.cycles)
    assert table["effectivity"].iloc[:-1].between(0.5, 2.0).all(), table["effectivity"]
    assert table["validation"].iloc[-1] > 0.85
