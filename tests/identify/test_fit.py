"""`fit` against known answers; `split` by time and by experiment."""

import signal
from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
import collocode.identify.fit as fit_module
from collocode.adapt import automesh
from collocode.errors import quietly
from collocode.identify import evidence, multistart
from tests.problems import decay, driven, van_der_pol_data, van_der_pol_grey, van_der_pol_neural


def test_mu_of_van_der_pol_within_two_percent():
    for seed in range(3):
        data = van_der_pol_data(n=200, end=15.0, sigma=0.1, seed=seed)
        solution = cc.fit(van_der_pol_grey(data), mesh=None)
        assert solution.success
        assert solution.parameters["mu"] == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize(("scheme", "degree"), [("radau", 5), ("gauss", 4), ("lobatto", 6)])
def test_exact_data_give_exact_parameters(scheme, degree):
    assert cc.fit(decay(), scheme, degree, mesh=None).parameters["k"] == pytest.approx(
        0.7, abs=1e-6
    )
    found = cc.fit(driven(), scheme, degree, mesh=None).parameters
    assert found["a"] == pytest.approx(1.3, abs=1e-6)
    assert found["b"] == pytest.approx(0.8, abs=1e-6)
    mu = cc.fit(van_der_pol_grey(van_der_pol_data()), scheme, degree, mesh=40).parameters["mu"]
    assert mu == pytest.approx(1.0, abs=1e-6)


def test_global_grids_identify_too():
    for name in ("chebyshev", "legendre_radau", "legendre_gauss"):
        assert cc.fit(decay(), name, 14, mesh=None).parameters["k"] == pytest.approx(0.7, abs=1e-6)


def test_several_experiments_share_some_parameters_and_own_others():
    """ċ = −k c + g, g an experiment's own; lengths and grids differ."""
    t1, t2 = np.linspace(0.0, 2.0, 21), np.sort(np.random.default_rng(0).uniform(0.0, 3.0, 30))

    def exact(t, g, c0, k=0.7):
        return g / k + (c0 - g / k) * np.exp(-k * (t - t[0]))

    runs = [
        cc.Experiment(t1, exact(t1, 0.3, 1.0), ("c",), name="one"),
        cc.Experiment(t2, exact(t2, -0.2, 2.0), ("c",), name="two"),
    ]
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c + p.g],
        parameters=[cc.Parameter("g", 0.0, per_experiment=True), cc.Parameter("k", 1.0)],
    )
    solution = cc.fit(cc.Problem(dynamics, runs), "radau", 4, mesh=None)
    found = solution.parameters
    assert found["k"] == pytest.approx(0.7, abs=1e-5)
    assert found["g[one]"] == pytest.approx(0.3, abs=1e-5)
    assert found["g[two]"] == pytest.approx(-0.2, abs=1e-5)
    assert solution.gap("one") < 1e-5
    assert solution.gap("two") < 1e-5


def constant(initial, n=11):
    """ẋ = 0: the only unknown is the initial state, and the fit has a closed form."""
    t = np.linspace(0.0, 1.0, n)
    y = 2.0 + 0.1 * np.random.default_rng(0).normal(size=n)
    data = cc.Experiment(t, y, ("x",), initial={"x": initial} if initial else {})
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [0.0 * x.x]), data, loss=cc.LeastSquares(0.5)
    )


def test_initial_states_free_weighted_and_fixed():
    y = constant(None).experiments[0].values[:, 0]

    def first(initial):
        return cc.fit(constant(initial), mesh=3).trajectories[0].states[0, 0]

    assert first(cc.free()) == pytest.approx(y.mean(), abs=1e-6)
    assert first(cc.fixed(1.0)) == 1.0
    # minimise Σ (x − y_i)²/σ² + (x − v)²/s²
    sigma, std, value = 0.5, 0.1, 1.0
    expected = (y.sum() / sigma**2 + value / std**2) / (len(y) / sigma**2 + 1.0 / std**2)
    assert first(cc.weighted(value, std)) == pytest.approx(expected, abs=1e-6)
    assert value < expected < y.mean()
    assert first(cc.weighted(value, 1e-4)) == pytest.approx(value, abs=1e-4)
    assert first(cc.weighted(value, 1e4)) == pytest.approx(y.mean(), abs=1e-4)


def test_weights_and_sigmas_weigh():
    t = np.linspace(0.0, 1.0, 4)
    y = np.array([1.0, 2.0, 3.0, 4.0])
    w = np.array([1.0, 0.0, 2.0, 1.0])
    still = cc.Dynamics(lambda t, x, u, p, nn: [0.0 * x.x])
    data = cc.Experiment(t, y, ("x",), weights=w[:, None])
    solution = cc.fit(cc.Problem(still, data), mesh=3)
    assert solution.trajectories[0].states[0, 0] == pytest.approx(
        np.average(y, weights=w), abs=1e-6
    )
    two = cc.Experiment(t, np.column_stack([y, y + 1.0]), ("a", "b"))
    joined = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [0.0 * x.x]),
        two,
        states=("x",),
        observe=lambda x, u, p: [x.x, x.x],
        loss=cc.LeastSquares({"a": 1.0, "b": 2.0}),
    )
    expected = (y.mean() / 1.0 + (y + 1.0).mean() / 4.0) / (1.0 + 0.25)
    assert cc.fit(joined, mesh=3).trajectories[0].states[0, 0] == pytest.approx(expected, abs=1e-6)


def test_an_active_bound_on_a_parameter_holds():
    problem = decay(k=0.7)
    capped = replace(
        problem,
        dynamics=cc.Dynamics(
            problem.dynamics.function, parameters=[cc.Parameter("k", 0.3, 0.0, 0.5)]
        ),
    )
    assert cc.fit(capped, mesh=None).parameters["k"] == pytest.approx(0.5, abs=1e-6)


def test_an_unmeasured_state_is_found_through_the_physics():
    data = van_der_pol_data(n=100, end=10.0)
    problem = van_der_pol_grey(data.select(["y1"]), states=("y1", "y2"))
    solution = cc.fit(problem, "radau", 4, mesh=50)
    assert solution.parameters["mu"] == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(solution.states(data.times)[:, 1], data.values[:, 1], atol=1e-3)


def test_missing_values_leave_the_answer():
    data = van_der_pol_data(n=100)
    holes = np.random.default_rng(1).uniform(size=data.values.shape) < 0.4
    patchy = replace(data, values=np.where(holes, np.nan, data.values))
    assert cc.fit(van_der_pol_grey(patchy), "radau", 4, mesh=None).parameters[
        "mu"
    ] == pytest.approx(1.0, abs=1e-5)


def test_measurements_may_start_after_the_window_does():
    t = np.linspace(0.5, 2.0, 16)
    data = cc.Experiment(t, np.exp(-0.7 * t), ("c",), start=0.0, initial={"c": 1.0})
    solution = cc.fit(replace(decay(), experiments=data), mesh=None)
    assert solution.parameters["k"] == pytest.approx(0.7, abs=1e-5)
    assert solution.states([0.0])[0, 0] == 1.0


def test_an_energy_invariant_improves_a_network():
    """A path constraint with equal bounds is an invariant of the collocated states."""
    t = np.linspace(0.0, 6.0, 40)
    noise = 0.05 * np.random.default_rng(0).normal(size=(40, 2))
    data = cc.Experiment(t, np.column_stack([np.cos(t), -np.sin(t)]) + noise, ("q", "v"))
    energy = cc.PathConstraint("energy", lambda t, x, u, p, nn: x.q**2 + x.v**2, 1.0, 1.0)
    problem = cc.Problem(
        cc.NeuralODE(cc.MLP((2, 4, 2))),
        data,
        constraints=[replace(energy, lower=0.99, upper=1.01)],
        regularisation=cc.L2(),
    )
    solution = cc.fit(problem, mesh=12)
    assert solution.success
    sizes = (solution.trajectories[0].states ** 2).sum(axis=1)
    assert np.abs(sizes - 1.0).max() < 0.011


def test_a_network_learns_van_der_pol():
    data = van_der_pol_data(n=150, end=10.0, sigma=0.05)
    solution = cc.fit(van_der_pol_neural(data, sizes=(2, 16, 2)), mesh=None)
    assert solution.success
    truth = van_der_pol_data(n=150, end=10.0).values
    assert np.mean((solution.predict(data.times) - truth) ** 2) < 5e-3
    assert solution.gap() < 0.1


def test_inputs_and_time_feed_a_network():
    t = np.linspace(0.0, 6.0, 80)
    u = cc.Signal(t, np.sin(2.0 * t), "spline")
    # ẋ = −x + u has the solution below
    x = (np.sin(2 * t) - 2 * np.cos(2 * t)) / 5 + 0.9 * np.exp(-t)
    data = cc.Experiment(t, x, ("x",), inputs={"u": u})
    network = cc.NeuralODE(cc.MLP((3, 6, 1)), time=True, inputs=("u",))
    solution = cc.fit(cc.Problem(network, data, regularisation=cc.L2()), mesh=None)
    assert solution.success
    assert np.sqrt(np.mean((solution.predict(t)[:, 0] - x) ** 2)) < 0.02


@pytest.mark.slow
def test_many_seeds_of_the_main_problem():
    data = van_der_pol_data(n=200, end=15.0, sigma=0.1)
    clean = van_der_pol_data(n=200, end=15.0).values
    problem = van_der_pol_neural(data, sizes=(2, 32, 2))
    good = 0
    for seed in range(10):
        run = cc.fit(problem, seed=seed, mesh=None)
        good += run.success and np.mean((run.predict(data.times) - clean) ** 2) <= 2e-3
    assert good >= 9


def test_the_timings_of_all_stages_are_told():
    timings = cc.fit(decay(), mesh=None).result.timings
    assert {"build", "start", "solve", "derivatives"} <= set(timings)


# ---- split ----------------------------------------------------------------------------------------

T = np.linspace(0.0, 5.0, 51)


def decays(*names):
    runs = [
        cc.Experiment(T, (k + 1.0) * np.exp(-0.5 * T), outputs=("c",), name=name)
        for k, name in enumerate(names)
    ]
    rhs = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0, 0.0, 5.0)]
    )
    return cc.Problem(rhs, runs)


def test_a_split_by_time_keeps_every_sample_once():
    parts = cc.split(decays("A", "B"), 0.3)
    for kept, held in zip(parts.experiments, parts.test, strict=True):
        np.testing.assert_array_equal(np.concatenate([kept.times, held.times]), T)
        assert held.start == kept.end


def test_the_held_out_end_is_predicted_from_the_last_fitted_state():
    solution = cc.fit(cc.split(decays("A"), 0.3), mesh=None)
    train, test = solution.score()
    assert (train.role, test.role) == ("train", "test")
    assert test.simulated < 1e-10


def test_a_split_by_experiment():
    parts = cc.split(decays("A", "B", "C"), ["B"])
    assert [e.name for e in parts.experiments] == ["A", "C"]
    assert [e.name for e in parts.test] == ["B"]


@pytest.mark.parametrize(
    ("holdout", "phrase"),
    [
        (0.0, "between 0 and 1"),
        (1.0, "between 0 and 1"),
        (["Z"], "no experiment 'Z'"),
        (["A", "B"], "keep at least one"),
        ([], "hold out at least one"),
    ],
)
def test_bad_splits(holdout, phrase):
    with pytest.raises(cc.InputError, match=phrase):
        cc.split(decays("A", "B"), holdout)


def test_every_held_out_end_goes_on_from_its_own_experiment():
    """Both parts end at the same time; states and parameters of their own must not be mixed up."""
    runs = [
        cc.Experiment(T, c0 * np.exp(-k * T), outputs=("c",), name=name)
        for name, k, c0 in (("A", 0.2, 1.0), ("AB", 0.9, 5.0))
    ]
    rhs = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c],
        parameters=[cc.Parameter("k", 0.5, 0.0, 5.0, per_experiment=True)],
    )
    scores = cc.fit(cc.split(cc.Problem(rhs, runs), 0.3), mesh=None).score()
    assert [score.experiment for score in scores] == ["A", "AB", "A, held out", "AB, held out"]
    assert all(score.simulated < 1e-8 for score in scores)


# ---- what a fit decides by itself ----------------------------------------------------------------


def test_mesh_and_strength_are_chosen_unless_they_are_given():
    problem = van_der_pol_neural(regularisation=cc.Evidence())
    assert cc.Problem(problem.dynamics, problem.experiments).regularisation == cc.Evidence()
    chosen = cc.fit(problem)
    assert chosen.meshing.success
    assert chosen.penalty.chosen
    given = cc.fit(van_der_pol_neural(regularisation=cc.L2(2e-3)), mesh=11)
    assert given.meshing is None
    assert [part.mesh.elements for part in given.trajectories] == [11]
    assert (given.penalty.strength, given.penalty.solves) == (2e-3, 1)


def test_a_first_mesh_that_is_not_solved_is_halved(monkeypatch):
    tried, whole = [], fit_module.solve_with_fallbacks

    def failing(solver, nlp, *rest):
        solution = whole(solver, nlp, *rest)
        tried.append(nlp.elements)
        if len(tried) > 1:
            return solution
        failed = replace(solution.result, termination=cc.Termination.INFEASIBLE)
        return replace(solution, result=failed)

    monkeypatch.setattr(fit_module, "solve_with_fallbacks", failing)
    solution = cc.fit(decay())
    assert solution.success
    assert solution.meshing.success
    assert tried == [10, 20]
    assert solution.meshing.elements[0] == 20


def test_a_fit_that_no_mesh_helps_is_that_of_the_first_one():
    both = [
        cc.PathConstraint("floor", lambda t, x, u, p, nn: x.c, lower=2.0),
        cc.PathConstraint("ceiling", lambda t, x, u, p, nn: x.c, upper=1.0),
    ]
    impossible = cc.fit(decay(constraints=both))
    assert impossible.result.termination is cc.Termination.INFEASIBLE
    assert impossible.nlp.elements == 10
    assert not impossible.meshing.success


# ---- Ctrl-C where no solver runs -------------------------------------------------------------------


def pressing(monkeypatch, module, name, call=1):
    """Press Ctrl-C in one of the calls of a function."""
    whole, calls = getattr(module, name), []

    def pressed(*given, **named):
        calls.append(name)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return whole(*given, **named)

    monkeypatch.setattr(module, name, pressed)


def test_ctrl_c_between_two_meshes_keeps_the_solution(monkeypatch):
    plain = cc.fit(decay(), mesh=2, deterministic=True)
    pressing(monkeypatch, automesh, "judge")
    found = cc.fit(decay(), mesh=cc.AutoMesh(share=1e-9, gap=1e-9), deterministic=True)
    assert found.result.termination is cc.Termination.INTERRUPTED
    assert found.meshing.termination is cc.Termination.INTERRUPTED
    assert found.meshing.meshes == 1
    assert found.parameters["k"] == pytest.approx(plain.parameters["k"], abs=1e-2)


def test_ctrl_c_while_the_strength_is_chosen_keeps_the_solution(monkeypatch):
    problem = van_der_pol_neural(sizes=(2, 4, 2), regularisation=cc.Evidence())
    pressing(monkeypatch, evidence, "evidence_of")
    found = cc.fit(problem, mesh=20)
    assert found.result.termination is cc.Termination.INTERRUPTED
    assert found.result.violation < 1e-6


def test_ctrl_c_while_it_starts_gives_the_best_start(monkeypatch):
    pressing(monkeypatch, fit_module, "solve_with_fallbacks")
    found = cc.fit(decay())
    assert found.result.termination is cc.Termination.INTERRUPTED
    assert found.result.iterations == 0
    assert found.start_record.merits


def test_ctrl_c_between_two_seeds_keeps_the_first(monkeypatch):
    pressing(monkeypatch, multistart, "_row")
    found = cc.multistart(van_der_pol_neural(sizes=(2, 4, 2)), 3, mesh=20)
    assert found.termination is cc.Termination.INTERRUPTED
    assert found.seeds == (0,)
    assert found.best.success


# ---- a limit of time for all of it ---------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """An iteration takes a second, and nothing else takes any."""
    import collocode.solvers.interrupt as interrupts

    now = [0.0]
    monkeypatch.setattr(interrupts.time, "perf_counter", lambda: now[0])
    return now


def _second(clock):
    def pass_by(progress):
        clock[0] += 1.0

    return pass_by


def test_a_time_limit_ends_the_first_solve_at_its_best_iterate(clock):
    problem = van_der_pol_neural(van_der_pol_data(n=60, sigma=0.1))
    solution = cc.fit(problem, time_limit=3.0, on_iteration=_second(clock))
    assert solution.result.termination is cc.Termination.TIME_LIMIT
    assert not solution.success
    assert np.isfinite(solution.result.x).all()
    assert any("time_limit" in str(finding) for finding in cc.findings(solution))


def test_a_time_limit_ends_the_search_for_mesh_and_strength_at_the_last_optimum(clock):
    data = van_der_pol_data(n=60, sigma=0.1)
    problem = van_der_pol_neural(data, regularisation=cc.Evidence())
    whole = cc.fit(problem, on_iteration=_second(clock))
    spent = clock[0]
    clock[0] = 0.0
    solution = cc.fit(problem, time_limit=spent - 2.0, on_iteration=_second(clock))
    assert whole.success
    assert solution.result.termination is cc.Termination.TIME_LIMIT
    assert solution.result.status is cc.SolutionStatus.OPTIMAL
    clock[0] = 0.0
    again = cc.fit(problem, time_limit=spent + 1.0, on_iteration=_second(clock))
    assert again.success
    assert again.result.objective == whole.result.objective


def test_a_time_limit_of_a_multistart_and_of_a_sweep(clock):
    problem = van_der_pol_neural(van_der_pol_data(n=40, sigma=0.1))
    how = {"mesh": 20, "on_iteration": _second(clock), "time_limit": 60.0}
    found = cc.multistart(problem, 1000, **how)
    assert found.termination is cc.Termination.TIME_LIMIT
    assert 0 < len(found.solutions) < 1000
    clock[0] = 0.0
    swept = cc.sweep(problem, values=np.logspace(-1, -7, 200), **how)
    assert swept.termination is cc.Termination.TIME_LIMIT
    assert not swept.refitted
    assert len(swept.table) < 200


def test_a_bound_that_keeps_a_fit_from_the_data_ends_the_search_for_other_starts(monkeypatch):
    import collocode.identify.fallbacks as fallbacks

    begun, plain = [], fallbacks.start_from

    def noted(nlp, strategy="auto", seed=0):
        begun.append(strategy)
        return plain(nlp, strategy, seed)

    monkeypatch.setattr(fallbacks, "start_from", noted)
    t = np.linspace(0.0, 5.0, 26)
    y = np.exp(-0.7 * t) + 0.01 * np.random.default_rng(0).standard_normal(26)
    run = cc.Experiment(t, y, ("c",), initial={"c": 1.0})

    def decay(lower, rate):
        k = cc.Parameter("k", 3.0, lower, 10.0)
        return cc.Problem(cc.Dynamics(rate, parameters=[k]), run)

    held = cc.fit(decay(2.0, lambda t, x, u, p, nn: [-p.k * x.c]))
    assert held.parameters["k"] == pytest.approx(2.0, abs=1e-4)
    assert begun == ["auto"]
    begun.clear()  # a wrong model, which no wider bound helps, is tried from all starts
    cc.fit(decay(2.0, lambda t, x, u, p, nn: [p.k + 0.0 * x.c]))
    assert begun == ["auto", "shooting", "horizon", "smoothing"]  # about which points are scattered


def test_what_ends_nowhere_from_a_line_is_decided_from_a_simulation():
    """Least time to rest of x'' + x = u, |u| at most 1, from (5, 0): arcs about (±1, 0), β + 2π + α.

    Backwards, the last arc and two half circles lead to (5 - cos β, -sin β), which is as far from (-1, 0) as (5, 0).
    """
    oscillator = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": x.v, "v": u.force - x.x}),
        cc.Window(
            end=8.0,
            end_bounds=(1.0, 30.0),
            controls={"force": cc.Control(-1.0, 1.0)},
            initial={"x": 5.0, "v": 0.0},
            final={"x": 0.0, "v": 0.0},
        ),
        states=("x", "v"),
        costs=cc.Mayer(lambda t, x, u, p, nn: t, name="time"),
    )
    with quietly():
        alone = cc.fit(oscillator, mesh=30, start="interpolate")
    assert alone.result.termination is cc.Termination.INFEASIBLE
    solution = cc.fit(oscillator, mesh=30)
    least = np.arccos(1.0 / 12.0) + 2.0 * np.pi + np.arcsin(np.sqrt(143.0) / 72.0)
    assert solution.costs["time"] == pytest.approx(least, rel=3e-4)
    assert solution.start_record.name == "simulate"
    assert list(solution.start_record.passed) == ["guess"]


def test_the_advice_where_inputs_are_decided():
    far = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.speed]),
        cc.Window(
            end=1.0,
            controls={"speed": cc.Control(-1.0, 1.0)},
            initial={"x": 0.0},
            final={"x": 5.0},
        ),
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.speed**2),
    )
    with quietly():
        solution = cc.fit(far, mesh=4)
    assert solution.result.termination is cc.Termination.INFEASIBLE
    assert "what is fixed at both ends" in str(cc.diagnose(solution))
    assert any("a guess= in the model" in str(finding) for finding in cc.findings(solution))
