"""Newton's method over batches: the step, and so the optimum, of the one NLP."""

import multiprocessing
from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
import scipy

import collocode as cc
from collocode.coordination.executors import Lost
from collocode.coordination.newton import Newton
from collocode.coordination.variables import ConsensusVariables, consensus_regulariser
from collocode.coordination.worker import Failure, Missing, Worker
from collocode.model.varying import penalty_matrix
from collocode.results.status import SolutionStatus, Termination

from .problems import EXACT, offsets, pushed, waves

RULES = cc.NewtonRules(tolerance=1e-10)


def newton(problem, batches=2, rules=RULES, **how):
    settings = {name: how.pop(name) for name in ("mesh", "start", "scheme") if name in how}
    return cc.admm(problem, batches, rules=rules, settings=cc.FitSettings(**settings), **how)


def direct(problem, **settings):
    nlp = cc.start_from(cc.discretize(problem, mesh=settings.get("mesh")), "gradient_matching")
    solution = cc.solve(nlp, options=EXACT)
    assert solution.success
    return solution


def pendulums(runs=2, samples=16):
    """A small network between noisy runs of a damped pendulum: not convex."""
    rng, t, data = np.random.default_rng(3), np.linspace(0.0, 3.0, samples), []
    for k in range(runs):
        start = {"x": 1.0 + 0.5 * k, "v": 0.0}
        field = cc.Dynamics(lambda t, x, u, p, nn: [x.v, -ca.sin(x.x) - 0.3 * x.v])
        clean = cc.simulate(_model(field), list(start.values()), t).states
        noisy = clean + 0.02 * rng.standard_normal(clean.shape)
        data.append(cc.Experiment(t, noisy, ("x", "v"), name=f"run {k}"))
    return cc.Problem(cc.NeuralODE(cc.MLP((2, 4, 2))), data, regularisation=cc.L2(1e-4))


def _model(dynamics):
    t = np.linspace(0.0, 1.0, 3)
    made = cc.Experiment(t, np.ones((3, 2)) * t[:, None], ("x", "v"))
    nlp = cc.discretize(cc.Problem(dynamics, made), mesh=2)
    return cc.TrainedModel.of(nlp, nlp.start)


def _bounded():
    problem = pushed()
    a, b = problem.dynamics.parameters
    dynamics = replace(problem.dynamics, parameters=[replace(a, start=0.3, upper=0.4), b])
    return replace(problem, dynamics=dynamics)


def _held():
    """A state that may not go above what the data reach, and a parameter that is fixed."""
    problem = pushed()
    a, b = problem.dynamics.parameters
    dynamics = replace(
        problem.dynamics, parameters=[a, replace(b, lower=0.2, upper=0.2, start=0.2)]
    )
    return replace(problem, dynamics=dynamics, bounds={"x": (-2.0, 0.5)})


def _varying():
    varying = cc.TimeVarying(cc.MLP((2, 1)), cc.Monomial(1, (0.0, 6.0)))
    problem = waves()
    return replace(problem, dynamics=replace(problem.dynamics, networks={"f": varying}))


@pytest.mark.parametrize(
    ("problem", "batches"),
    [
        (waves(), 5),
        (pushed(), 3),
        (_varying(), 3),
        (offsets(), 5),
        (offsets(), [["run 3"], ["run 1", "run 2"]]),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_the_optimum_of_a_convex_problem_is_that_of_one_nlp(problem, batches):
    found, reference = newton(problem, batches, mesh=12), direct(problem, mesh=12)
    assert found.success
    assert found.solution.result.status is SolutionStatus.OPTIMAL
    assert found.solution.result.objective == pytest.approx(reference.result.objective, abs=1e-10)
    np.testing.assert_allclose(found.solution.result.x, reference.result.x, atol=1e-7)
    result, nlp = found.solution.result, found.solution.nlp
    assert nlp.kkt_residual(result.x, result.lam_g, result.lam_x) < 1e-8
    np.testing.assert_allclose(result.lam_g, reference.result.lam_g, atol=1e-6)


@pytest.mark.parametrize("problem", [_bounded(), _held()], ids=["parameter", "state"])
def test_bounds_that_are_active_hold(problem):
    found, reference = newton(problem, 3, mesh=12), direct(problem, mesh=12)
    result = found.solution.result
    assert found.success
    assert np.abs(reference.result.lam_x).max() > 1e-3
    assert result.objective == pytest.approx(reference.result.objective, abs=1e-8)
    np.testing.assert_allclose(result.x, reference.result.x, atol=1e-5)
    assert found.solution.nlp.kkt_residual(result.x, result.lam_g, result.lam_x) < 1e-7


@pytest.mark.parametrize("batches", [1, 6])
def test_an_optimum_of_networks_is_one_of_the_whole_problem(batches):
    problem = pendulums()
    found, reference = newton(problem, batches), direct(problem)
    result = found.solution.result
    assert found.success
    assert found.solution.nlp.kkt_residual(result.x, result.lam_g, result.lam_x) < 1e-8
    assert result.objective == pytest.approx(reference.result.objective, abs=1e-4)
    assert result.objective == pytest.approx(found.history["objective"].iloc[-1], rel=1e-9)
    collocated = [score.collocated for score in found.solution.score()]
    assert found.mse == pytest.approx(np.mean(collocated), rel=0.05)
    assert len(found.history) <= 60


def test_a_step_solves_the_karush_kuhn_tucker_system_of_the_whole_problem():
    problem = pendulums()
    whole = cc.start_from(cc.discretize(problem), "gradient_matching")
    parts = cc.Partition(4).cut(problem, [e.mesh for e in whole.layout.experiments])
    variables = ConsensusVariables.of(whole, parts)
    matrix = penalty_matrix(problem.weight_blocks)
    ridge = variables.ridge(consensus_regulariser(problem.penalty, matrix))
    coordinator, worker = Newton.of(RULES, variables, ridge, parts), Worker(cc.FitSettings())

    def ask(tasks):
        return [worker.run(task, parts[task.batch]) for task in tasks]

    state = coordinator._linearised(coordinator.start(whole, parts), ask)
    system = coordinator._system(state.linear, ridge, ridge @ state.z)
    assert system.factorise()
    system.within(np.inf)
    values, _ = system.solve(system.rhs)
    found = [(p.lam_g, p.lam_x) for p in state.points]
    lam, _ = variables.multipliers(whole, parts, found, state.net)
    x, n = whole.start, whole.columns
    H = whole.functions.hessian(x, whole.p, 1.0, lam).sparse().toarray()
    J = whole.functions.jacobian(x, whole.p)[1].sparse().toarray()
    H = np.triu(H) + np.triu(H, 1).T
    border = np.concatenate([whole.layout.shared, whole.layout.weights])
    H[border, border] += system.shift / whole.column_scale[border] ** 2
    K = np.block([[H, J.T], [J, np.zeros((len(J), len(J)))]])
    rhs = -np.append(whole.gradient(x), whole.constraints(x) - whole.row_lower)
    dx = np.linalg.solve(K, rhs)[:n]
    np.testing.assert_allclose(
        values * variables.scale, dx[variables.columns], rtol=1e-5, atol=1e-7
    )


# ---- executors, checkpoints, limits ----------------------------------------------------------------


SAME = ["primal", "dual", "rho", "objective", "size"]


class Unlucky(cc.InProcess):
    """Loses an answer and a batch's data in the middle of the run."""

    def open(self, batches, settings):
        session = super().open(batches, settings)
        receive, left = session._receive, {9: Lost, 30: Missing, 31: Failure}

        def unlucky(stop):
            task, reply = receive(stop)
            self_count.append(task)
            kind = left.pop(len(self_count), None)
            if kind is None:
                return task, reply
            session._worker._forget(task.batch)
            more = ("ValueError: no",) if kind is Failure else ()
            return task, kind(task.batch, *more)

        self_count = []
        session._receive = unlucky
        return session


def test_nothing_that_is_lost_changes_the_iterates(tmp_path):
    problem, file, rules = pendulums(), tmp_path / "run.npz", replace(RULES, iterations=6)
    undisturbed = newton(problem, 4, rules)
    unlucky = newton(problem, 4, rules, executor=Unlucky())
    newton(problem, 4, replace(rules, iterations=3), checkpoint=file)
    resumed = newton(problem, 4, rules, checkpoint=cc.Checkpoint(file, resume=True))
    for other in (unlucky, resumed):
        assert other.consensus == undisturbed.consensus
        assert other.history[SAME].equals(undisturbed.history[SAME])


@pytest.mark.slow
@pytest.mark.parametrize(
    "where",
    [cc.ProcessPool(2), cc.DaskCluster(workers=2)],
    ids=["pool", "Dask"],
)
def test_iterates_are_the_same_in_processes_of_which_one_is_killed(where):
    if isinstance(where, cc.DaskCluster):
        pytest.importorskip("distributed")
    problem, rules = pendulums(), replace(RULES, iterations=6)

    def kill(row):
        if row.iteration == 2 and isinstance(where, cc.ProcessPool):
            multiprocessing.active_children()[0].kill()

    undisturbed = newton(problem, 4, rules)
    other = newton(problem, 4, rules, executor=where, callbacks=cc.Callbacks(on_iteration=kill))
    assert other.workers == 2
    assert other.consensus == undisturbed.consensus
    assert other.history[SAME].equals(undisturbed.history[SAME])


def test_a_checkpoint_of_the_other_method_is_refused(tmp_path):
    problem, file = waves(), tmp_path / "run.npz"
    newton(problem, 2, replace(RULES, iterations=1), checkpoint=file)
    with pytest.raises(cc.FileError, match=r"was made with other method \(Newton, now ADMM\)"):
        newton(problem, 2, cc.ADMMRules(), checkpoint=cc.Checkpoint(file, resume=True))


def test_limits_return_the_states_fitted_to_the_consensus_so_far():
    problem = pendulums()
    late = newton(problem, 2, replace(RULES, time_limit=0.0))
    assert late.termination is Termination.TIME_LIMIT
    assert len(late.history) == 1
    assert not late.success
    short = newton(problem, 2, replace(RULES, iterations=2))
    assert short.termination is Termination.ITERATION_LIMIT
    assert short.solution.result.violation < 1e-6
    polished = newton(problem, 2, replace(RULES, iterations=2), polish=True)
    assert polished.success


def test_missing_values_are_missing():
    problem = pendulums()
    values = problem.experiments[0].values.copy()
    values[3:6, 0] = np.nan
    holes = replace(problem.experiments[0], values=values)
    found = newton(replace(problem, experiments=[holes, *problem.experiments[1:]]), 4)
    assert found.success
    assert np.isfinite(found.mse)


def test_functions_that_are_not_finite_are_refused_by_the_batchs_name():
    t = np.linspace(0.0, 1.0, 9)
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [ca.log(x.x - 2.0) * p.k], parameters=[cc.Parameter("k", 1.0)]
    )
    problem = cc.Problem(dynamics, cc.Experiment(t, 1.0 + 0.1 * t, ("x",), name="run"))
    with pytest.raises(cc.InputError, match=r"batch 'run, window 1': its equations, .* not finite"):
        newton(problem, 2, start="smoothing", mesh=4)


# ---- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"regularisation": cc.L1(1e-3)}, "L1 has kinks, which NewtonRules cannot take"),
        ({"executor": cc.InProcess(points="workers")}, "keeps the batches' points with the coord"),
    ],
)
def test_what_newton_cannot_do_is_refused(how, message):
    with pytest.raises(cc.InputError, match=message):
        newton(waves(), 2, **how)


def test_constraints_are_refused_by_the_batchs_name():
    held = cc.PathConstraint("held", lambda t, x, u, p, nn: x.x, upper=3.0)
    with pytest.raises(cc.InputError, match=r"batch 'run, window 1': .* beside its collocation"):
        newton(waves(constraints=[held]), 2)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"tolerance": 0.0}, "the tolerance must be positive, not 0"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"time_limit": -1.0}, "the time limit must not be negative"),
    ],
)
def test_rules_are_checked(rules, message):
    with pytest.raises(cc.InputError, match=message):
        cc.NewtonRules(**rules)


def test_numbers_of_a_run_reach_its_batch():
    """c' = -k m c, m a number of every run; SciPy on the closed form gives the same k."""
    t, rng = np.linspace(0.0, 3.0, 9), np.random.default_rng(0)
    doses = (1.0, 2.0, 0.5, 1.5)
    data = [2.0 * np.exp(-0.4 * m * t) + 0.01 * rng.standard_normal(9) for m in doses]
    runs = [
        cc.Experiment(t, y, ("c",), initial={"c": 2.0}, parameters={"m": m}, name=f"m = {m}")
        for m, y in zip(doses, data, strict=True)
    ]
    known = [cc.Parameter("k", 1.0), cc.Parameter("m", 1.0, 1.0, 1.0)]
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * p.m * x.c], parameters=known)
    problem = cc.Problem(decay, runs, loss=cc.LeastSquares(0.01))
    found = cc.admm(problem, 2).solution.parameters["k"]

    def residual(k):
        return np.concatenate(
            [2.0 * np.exp(-k * m * t) - y for m, y in zip(doses, data, strict=True)]
        )

    assert found == pytest.approx(scipy.optimize.least_squares(residual, 1.0).x[0], rel=1e-5)


@pytest.mark.parametrize("own", [False, True], ids=["shared", "own"])
def test_a_prior_counts_once_however_many_batches(own):
    """c' = -k c from c(0) = 2, σ = 0.01; log k is near log 0.5 within 0.02: SciPy weighs the same."""
    t, rng = np.linspace(0.0, 3.0, 9), np.random.default_rng(0)
    data = [2.0 * np.exp(-0.4 * t) + 0.01 * rng.standard_normal(9) for _ in range(3)]
    data[1][4:] = np.nan
    runs = [
        cc.Experiment(t, y, ("c",), initial={"c": 2.0}, name=f"run {n}") for n, y in enumerate(data)
    ]
    prior = cc.Prior("normal", np.log(0.5), 0.02, on="scale")
    k = cc.Parameter("k", 1.0, scale="log", prior=prior, per_experiment=own)
    m = cc.Parameter("m", 1.0, 0.5, 2.0) if own else cc.Parameter("m", 1.0, 1.0, 1.0)
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * p.m * x.c], parameters=[k, m])
    found = cc.admm(cc.Problem(decay, runs, loss=cc.LeastSquares(0.01)), 3).solution.parameters

    def residual(z):
        rates, m = (z[:-1], z[-1]) if own else (np.repeat(z, 3), 1.0)
        pairs = zip(rates, data, strict=True)
        misfit = np.concatenate([2.0 * np.exp(-np.exp(r) * m * t) - y for r, y in pairs]) / 0.01
        away = (z[:-1] if own else z) - np.log(0.5)
        return np.concatenate([misfit[np.isfinite(misfit)], away / 0.02])

    begun = [0.0, 0.0, 0.0, 1.0] if own else [0.0]
    expected = np.exp(scipy.optimize.least_squares(residual, begun, xtol=1e-12).x)
    rates = [value for name, value in found.items() if name.startswith("k")]
    np.testing.assert_allclose(rates, expected[: len(rates)], rtol=1e-5)


def test_batches_with_nothing_in_common_are_refused():
    t = np.linspace(0.0, 3.0, 9)
    runs = [cc.Experiment(t, np.exp(-k * t), ("c",), name=f"k = {k}") for k in (0.4, 0.5)]
    own = cc.Parameter("k", 1.0, per_experiment=True)
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[own])
    with pytest.raises(
        cc.InputError, match="nothing in common that they could agree on; fit every"
    ):
        cc.admm(cc.Problem(decay, runs), 2)
