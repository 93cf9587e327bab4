"""`admm` from end to end on small problems: what it returns, how it ends, what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode.results.status import Termination
from tests.coordination.problems import admm, offsets, pushed, waves
from tests.problems import van_der_pol_data, van_der_pol_neural

QUICK = {"mesh": 40, "iterations": 25}


@pytest.fixture(scope="module")
def problem():
    data = van_der_pol_data(n=180, end=28.0, sigma=0.05, name="run")  # two periods a window
    return van_der_pol_neural(data, sizes=(2, 6, 2), regularisation=cc.L2(1e-4))


@pytest.fixture(scope="module")
def found(problem):
    seen = {"rows": [], "answers": [], "last": []}
    result = admm(
        problem,
        2,
        mesh=40,
        on_iteration=seen["rows"].append,
        on_batch=seen["answers"].append,
        on_finish=seen["last"].append,
    )
    return result, seen


def test_a_consensus_network_fits_as_well_as_one_trained_on_all_data(found, problem):
    result, _ = found
    single = cc.fit(problem, mesh=40)
    assert result.success, result
    assert result.termination is Termination.CONVERGED
    (ours,), (theirs,) = result.solution.score(), single.score()
    assert ours.simulated <= 1.3 * theirs.simulated
    assert result.solution.result.objective <= 1.1 * single.result.objective


def test_what_it_returns(found, problem):
    result, seen = found
    h = result.history
    assert list(h.index) == list(range(1, len(h) + 1))
    assert len(seen["rows"]) == len(h)
    assert len(seen["answers"]) == 2 * len(h)
    assert [a.batch for a in seen["answers"][:2]] == [0, 1]
    assert seen["last"]
    last = h.iloc[-1]
    assert last["primal"] <= last["primal_limit"]
    assert last["dual"] <= last["dual_limit"]
    assert np.isfinite(h["batch_mse"]).any()
    assert np.isfinite(last["batch_mse"])  # the last consensus is measured too
    assert (h[["seconds", "batch_seconds", "build_seconds"]] >= 0.0).all(axis=None)
    assert h["build_seconds"].iloc[0] > 5.0 * h["build_seconds"].iloc[-1]  # built once
    weights = [v for k, v in result.consensus.items() if k.startswith("nn.")]
    np.testing.assert_allclose(result.solution.model.theta, weights)
    assert set(result.consensus) >= {"y1[run;1]", "y2[run;1]", "nn.W1[0,0]"}
    assert result.batches == ("run, window 1", "run, window 2")
    assert (result.executor, result.workers) == ("in-process", 1)
    assert result.message == "the batches agree"
    assert result.warnings == ()
    assert not result.kept_best
    assert "converged after" in repr(result)
    assert "batches=2" in repr(result)
    assert result.solution.result.timings["total"] == result.seconds


def test_the_error_is_that_of_what_is_returned(found, problem):
    """The history's errors are of windows that start where each batch's own network starts."""
    result, _ = found
    data, model = problem.experiments[0], result.solution
    run = model.simulate(0, times=data.times)
    assert result.mse == pytest.approx(np.mean((run.states - data.values) ** 2), rel=1e-9)
    several = admm(offsets(), 3, mesh=6, iterations=2).mse
    scores = admm(offsets(), 3, mesh=6, iterations=2).solution.score()
    assert several == pytest.approx(np.mean([s.simulated for s in scores]))  # of equal length


def test_objectives_meet(found):
    """At result the batches' own loss, the Lagrangian and the simulation say the same."""
    last = found[0].history.iloc[-1]
    assert last["lagrangian"] == pytest.approx(last["objective"], rel=0.05)
    assert last["simulated_objective"] == pytest.approx(last["objective"], rel=0.2)


def test_the_residuals_fall_as_they_did(found):
    """A band around the iteration's course: a regression shows here before it shows in a result."""
    h = found[0].history
    assert 10 <= len(h) <= 50
    assert h["primal"].iloc[-1] < 0.2 * h["primal"].iloc[:2].max()
    assert (h["steps"].iloc[3:] <= 30).all()  # warm-started solves


def test_the_same_seed_gives_the_same_iterates(problem):
    runs = [admm(problem, 2, mesh=40, iterations=3, seed=s) for s in (4, 4, 5)]
    same = ["primal", "dual", "rho", "objective", "simulated_objective", "steps"]
    for name in same:
        np.testing.assert_array_equal(runs[0].history[name], runs[1].history[name])
    assert runs[0].consensus == runs[1].consensus
    assert runs[0].consensus != runs[2].consensus


def test_processes_give_the_same_iterates(problem):
    here = admm(problem, 2, mesh=40, iterations=2)
    there = admm(problem, 2, mesh=40, iterations=2, executor=cc.ProcessPool(2))
    assert (there.executor, there.workers) == ("process pool", 2)
    for name in ("primal", "dual", "rho", "objective", "simulated_objective"):
        np.testing.assert_allclose(here.history[name], there.history[name], rtol=1e-9)


def test_points_that_stay_with_the_workers_give_the_same_iterates(problem):
    here = admm(problem, 2, mesh=40, iterations=4)
    there = admm(problem, 2, mesh=40, iterations=4, executor=cc.InProcess(points="workers"))
    np.testing.assert_array_equal(here.history["primal"], there.history["primal"])


def test_lasso_leaves_fewer_weights(problem):
    dense = admm(problem, 2, **QUICK)
    sparse = admm(problem, 2, **QUICK, regularisation=cc.L1(2e-3))
    assert (sparse.solution.model.theta == 0.0).sum() >= 4
    assert (dense.solution.model.theta == 0.0).sum() == 0
    assert sparse.solution.score()[0].gap < 0.1


def test_an_iteration_limit_is_no_success(problem):
    result = admm(problem, 3, mesh=40, iterations=2)
    assert result.termination is Termination.ITERATION_LIMIT
    assert not result.success
    assert result.solution.success  # the states fit the consensus nevertheless
    assert len(result.history) == 2


def test_a_time_limit_ends_it(problem):
    result = admm(problem, 2, mesh=40, time_limit=1e-3)
    assert result.termination is Termination.TIME_LIMIT
    assert len(result.history) == 1


def test_without_convergence_the_best_simulated_consensus_is_kept(problem):
    """A penalty that is far too small lets the iterates run away from a good consensus."""
    rules = cc.ADMMRules(adapt=0, growth=np.inf)
    result = admm(problem, 4, mesh=40, iterations=8, rho=1e-4, rules=rules)
    simulated = result.history["simulated_objective"]
    assert result.termination is Termination.ITERATION_LIMIT
    assert result.kept_best == (simulated.idxmin() < len(simulated))
    if not result.kept_best:
        pytest.fail("this run is meant to get worse")


def test_a_run_goes_on_from_its_checkpoint(problem, tmp_path):
    file = tmp_path / "run.npz"
    whole = admm(problem, 2, mesh=40, iterations=6)
    admm(problem, 2, mesh=40, iterations=3, checkpoint=file)
    rest = admm(problem, 2, mesh=40, iterations=6, checkpoint=cc.Checkpoint(file, resume=True))
    np.testing.assert_allclose(rest.history["primal"], whole.history["primal"], rtol=1e-12)
    assert rest.consensus == whole.consensus


def test_inputs_in_windows(tmp_path):
    result = admm(pushed(), 3, mesh=9, iterations=40, simulate=True)
    single = cc.fit(pushed(), mesh=9)
    assert result.solution.parameters["a"] == pytest.approx(single.parameters["a"], rel=0.02)
    assert np.isfinite(result.history["batch_mse"]).all()


def test_time_dependent_networks_in_windows():
    """Windows keep the clock where the model asks what time it is."""
    t = np.linspace(0.0, 6.0, 61)
    data = cc.Experiment(t, np.sin(t) + 0.5, ("x",), name="run")
    timed = cc.Problem(cc.NeuralODE(cc.MLP((2, 5, 1)), time=True), data, regularisation=cc.L2(1e-5))
    result = admm(timed, 2, mesh=12, iterations=30)
    assert result.solution.score()[0].simulated < 1e-3


def test_experiments_as_batches():
    result = admm(offsets(), 3, mesh=6, rules=cc.ADMMRules(absolute=1e-7, relative=1e-5))
    assert result.success
    assert sorted(result.batches) == ["run 1", "run 2", "run 3"]
    assert list(result.consensus) == ["k"]


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        ({"iterations": 0}, "at least 1"),
        ({"time_limit": -1.0}, "time limit must not be negative, not -1.0"),
        ({"rho": -1.0}, "rho must be positive and finite, not -1.0"),
        ({"batches": 99}, "too few for 99 windows"),
        ({"start": "guess"}, "unknown start strategy 'guess'"),
        ({"scheme": "radua"}, "did you mean 'radau'"),
        ({"interface": "nobody"}, "unknown interface 'nobody'"),
        ({"options": {"maxiter": 3}}, "no option 'maxiter'; did you mean 'max_iter'"),
    ],
)
def test_bad_arguments(arguments, phrase):
    with pytest.raises(cc.InputError, match=phrase):
        admm(waves(), **{"mesh": 12, "iterations": 1, **arguments})


@pytest.mark.parametrize(
    ("make", "phrase"),
    [
        (lambda: cc.ProcessPool(0), "workers must be at least 1, not 0"),
        (lambda: cc.DaskCluster(workers=0), "workers must be at least 1, not 0"),
        (lambda: cc.DaskCluster("nowhere"), "address such as tcp://host:8786, not 'nowhere'"),
        (lambda: cc.InProcess(solvers=0), "solvers must be at least 1, not 0"),
        (lambda: cc.InProcess(points="moon"), "coordinator or the workers, not with 'moon'"),
    ],
)
def test_bad_executors(make, phrase):
    with pytest.raises(cc.InputError, match=phrase):
        make()


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    file = tmp_path / "run.npz"
    admm(waves(), 2, mesh=12, iterations=1, checkpoint=file)
    with pytest.raises(cc.FileError, match="was made with other"):
        admm(waves(), 3, mesh=12, iterations=2, checkpoint=cc.Checkpoint(file, resume=True))
    other = replace(waves(), regularisation=cc.L2(0.5))
    with pytest.raises(cc.FileError, match="regularisation"):
        admm(other, 2, mesh=12, iterations=2, checkpoint=cc.Checkpoint(file, resume=True))


def test_parameters_of_a_consensus_have_the_intervals_of_a_fit():
    """That they were held while the states were fitted is no bound of the problem."""
    ours = cc.uncertainty(admm(pushed(), 2, mesh=12).solution).intervals()
    theirs = cc.uncertainty(cc.fit(pushed(), mesh=12)).intervals()
    np.testing.assert_allclose(ours["std"], theirs["std"], rtol=0.02)
    assert (ours["note"] == "").all()


def test_the_error_of_the_result_is_the_mean_over_all_measurements():
    runs = []
    for n, size in ((9, 1.0), (41, 2.0)):
        t = np.linspace(0.0, 2.0, n)
        noise = 0.1 * size * np.random.default_rng(n).standard_normal(n)
        runs.append(cc.Experiment(t, size * np.exp(-t) + noise, ("c",), name=f"{n}"))
    model = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 0.8)])
    found = cc.admm(cc.Problem(model, runs), 2, rules=cc.ADMMRules(iterations=1))
    r = cc.residuals(found.solution)["residual"]
    assert len(r) == 50
    assert found.mse == pytest.approx(np.mean(r**2), rel=1e-6)
