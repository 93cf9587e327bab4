"""IPOPT through CasADi: optimality, honest statuses, best iterates, refusals.

The other interfaces have their own file; what is said here of results holds for each of them.
"""

import contextlib
import os
import signal
import sys
from dataclasses import replace

import casadi as ca
import numpy as np
import pytest

import collocode as cc
from collocode import SolutionStatus, Termination
from collocode.solvers.chains import hook
from collocode.solvers.options import DEFAULTS, merge
from collocode.solvers.protocol import WarmStart
from tests.methods import FEW
from tests.problems import (
    decay,
    driven,
    van_der_pol_data,
    van_der_pol_grey,
    van_der_pol_neural,
)


def started(problem, **options):
    return cc.start_from(cc.discretize(problem, **options))


@pytest.fixture(scope="module")
def neural_nlp():
    return started(van_der_pol_neural(), mesh=20)


@pytest.fixture(scope="module")
def neural(neural_nlp):
    return cc.solve(neural_nlp, options={"max_iter": 200})


# ---- solutions --------------------------------------------------------------------------------


def tight(problem, *arguments, **options):
    nlp = started(problem, **options)
    return nlp, cc.solve(nlp, *arguments, options={"tol": 1e-9})


@pytest.mark.parametrize(("name", "degree"), FEW)
def test_solutions_satisfy_the_kkt_conditions(name, degree):
    nlp, solution = tight(
        van_der_pol_grey(van_der_pol_data(sigma=0.05)),
        scheme=name,
        degree=degree,
        mesh=None if name != "chebyshev" else 4,
    )
    result = solution.result
    assert solution.success
    assert nlp.kkt_residual(result.x, result.lam_g, result.lam_x) < 1e-6
    assert result.status is SolutionStatus.OPTIMAL
    assert result.violation < 1e-6
    assert result.objective == nlp.objective(result.x)


def test_kkt_holds_with_bounds_path_constraints_and_a_network():
    problem = van_der_pol_neural(
        bounds={"y1": (-1.2, 1.2)},
        constraints=[cc.PathConstraint("disc", lambda t, x, u, p, nn: x.y2, -2.0, 2.0)],
    )
    nlp, solution = tight(problem, mesh=20)
    result = solution.result
    assert solution.success
    assert nlp.kkt_residual(result.x, result.lam_g, result.lam_x) < 1e-6
    states = solution.trajectories[0].states
    assert np.abs(states[:, 0]).max() <= 1.2 + 1e-7
    at_upper, at_lower = nlp.upper - result.x < 1e-7, result.x - nlp.lower < 1e-7
    assert at_upper.any()
    assert at_lower.any()
    assert result.lam_x[at_upper].max() > 1e-6  # the sign rule: positive at an active upper bound
    assert result.lam_x[at_lower].min() < -1e-6


def test_the_sign_of_row_multipliers_is_casadis():
    """At an optimum dJ/d(row bound) = −λ for L = f + λᵀ g."""
    nlp = started(decay(k=0.7), mesh=3)
    nlp = replace(nlp, lower=nlp.lower.copy(), upper=nlp.upper.copy())
    k = nlp.layout.shared
    nlp.lower[k] = nlp.upper[k] = 0.5  # wrong on purpose, so that multipliers are not zero
    base = cc.solve(nlp, options={"tol": 1e-10}).result
    row, h = 4, 1e-4

    def value(shift):
        low, high = nlp.row_lower.copy(), nlp.row_upper.copy()
        low[row] = high[row] = shift
        moved = replace(nlp, row_lower=low, row_upper=high)
        return cc.solve(moved, options={"tol": 1e-10}).result.objective

    slope = (value(h) - value(-h)) / (2.0 * h)
    assert slope == pytest.approx(-base.lam_g[row], rel=1e-4)
    assert abs(base.lam_g[row]) > 1e-6


def test_scaling_does_not_show_in_the_result():
    problem = van_der_pol_grey(replace(van_der_pol_data(sigma=0.05), name="big"))
    nlp = started(problem, mesh=20)
    assert (nlp.column_scale != 1.0).any()
    plain = replace(
        nlp,
        column_scale=np.ones(nlp.columns),
        row_scale=np.ones(nlp.rows),
    )
    one, other = (cc.solve(n, options={"tol": 1e-10}).result for n in (nlp, plain))
    np.testing.assert_allclose(one.x, other.x, atol=1e-7)
    np.testing.assert_allclose(one.lam_g, other.lam_g, atol=1e-7)
    assert one.objective == pytest.approx(other.objective, rel=1e-9)


def test_iterations_stay_where_they_are(neural):
    """Bands about today's counts: a regression from 30 to 300 must not pass unseen."""
    assert neural.success
    assert neural.result.iterations <= 60
    grey = cc.fit(van_der_pol_grey(van_der_pol_data(sigma=0.05)), mesh=None)
    assert 3 <= grey.result.iterations <= 20
    assert 2 <= cc.fit(decay(), mesh=None).result.iterations <= 12
    assert 2 <= cc.fit(driven(), mesh=None).result.iterations <= 12


def test_the_history_and_the_timings_are_told(neural):
    history = neural.result.history
    length = neural.result.iterations + 1
    for key in ("objective", "primal", "dual", "mu"):
        assert len(history[key]) == length
    assert history["primal"][-1] < 1e-6
    timings = neural.result.timings
    assert timings["build"] > 0.0
    assert 0.0 < timings["derivatives"] < timings["solve"]
    assert neural.result.linear_solver == "mumps"
    assert neural.result.solver.startswith("IPOPT")
    assert neural.result.interface == "casadi"


def test_a_warm_start_needs_a_few_iterations(neural_nlp, neural):
    again = cc.solve(neural_nlp, warm=neural)
    assert again.success
    assert again.result.iterations <= 3
    # multipliers of the wrong sign or scale would show at once, as dual infeasibility
    assert again.result.history["dual"][0] < 1e-5
    np.testing.assert_allclose(again.result.x, neural.result.x, atol=1e-5)


def test_the_barrier_of_a_fit_begins_near_its_noise(neural_nlp, neural):
    def first(nlp, options=None, warm=None):
        how = {"max_iter": 1, **(options or {})}
        return cc.solve(nlp, options=how, warm=warm).result.history["mu"][0]

    assert first(neural_nlp) == 1e-3
    assert first(neural_nlp, {"mu_init": 0.01}) == 0.01
    assert first(neural_nlp, warm=neural) == WarmStart.mu
    decided = cc.Dynamics(lambda t, x, u, p, nn: [u.u - x.x])
    window = cc.Window(end=1.0, controls={"u": cc.Control(-1.0, 1.0)}, initial={"x": 1.0})
    cost = cc.Lagrange(lambda t, x, u, p, nn: x.x**2)
    plan = cc.Problem(decided, window, states=("x",), costs=[cost])
    assert first(cc.discretize(plan, mesh=3)) == 0.1


def test_bounds_that_hold_do_not_drive_a_good_start_away():
    """With IPOPT's own first barrier the objective rises to 16 times what it is in the end."""
    free = van_der_pol_neural()
    values = free.experiments[0].values
    bounds = {
        name: (0.95 * y.min(), 0.95 * y.max())
        for name, y in zip(free.states, values.T, strict=True)
    }
    result = cc.solve(started(replace(free, bounds=bounds), mesh=20)).result
    assert result.success
    assert result.history["objective"].max() < 10.0 * result.objective


def test_a_solver_serves_many_starts_data_and_bounds():
    nlp = started(decay(k=0.7), mesh=5)
    solver = cc.make_solver(nlp)
    for k in (0.5, 1.0, 2.0):
        t = np.linspace(0.0, 2.0, 21)
        data = nlp.with_parameters(measurements=np.exp(-k * t)[:, None])
        assert cc.solve_with(solver, data).parameters["k"] == pytest.approx(k, abs=1e-3)
    capped = replace(
        nlp,
        upper=np.minimum(
            nlp.upper, np.where(np.arange(nlp.columns) == nlp.layout.shared, 0.6, np.inf)
        ),
    )
    assert cc.solve_with(solver, capped).parameters["k"] == pytest.approx(0.6, abs=1e-6)


def test_deterministic_gives_the_same_iterates_twice(neural_nlp):
    histories = [
        cc.solve(neural_nlp, options={"max_iter": 15}, deterministic=True).result for _ in range(2)
    ]
    np.testing.assert_array_equal(histories[0].x, histories[1].x)
    for key, values in histories[0].history.items():
        np.testing.assert_array_equal(values, histories[1].history[key])


# ---- early ends -------------------------------------------------------------------------------


def test_the_iteration_limit_returns_the_best_iterate(neural_nlp):
    solution = cc.solve(neural_nlp, options={"max_iter": 4})
    result = solution.result
    assert not solution.success
    assert result.termination is Termination.ITERATION_LIMIT
    assert "iteration limit" in solution.status
    assert result.iterations == 4
    assert np.isfinite(result.x).all()
    assert result.violation <= neural_nlp.violation(neural_nlp.start).max()
    assert result.message == "Maximum_Iterations_Exceeded"


def test_no_iteration_at_all_returns_the_start(neural_nlp):
    solution = cc.solve(neural_nlp, options={"max_iter": 0})
    assert solution.result.termination is Termination.ITERATION_LIMIT
    np.testing.assert_allclose(solution.result.x, neural_nlp.start, atol=1e-2)


def test_a_time_limit_is_named():
    nlp = cc.discretize(van_der_pol_neural(), mesh=300)
    result = cc.solve(nlp, options={"max_wall_time": 1e-3}).result
    assert result.termination is Termination.TIME_LIMIT
    assert np.isfinite(result.x).all()


def test_the_best_iterate_is_the_best_that_was_shown(neural_nlp):
    seen = []
    solution = cc.solve(neural_nlp, options={"max_iter": 12}, on_iteration=seen.append)
    assert [p.iteration for p in seen] == list(range(13))
    feasible = [p.objective for p in seen if p.primal <= 1e-6]
    if solution.result.status is SolutionStatus.FEASIBLE:
        assert solution.result.objective <= min(feasible) + 1e-9
    else:
        assert solution.result.violation <= 4.0 * min(p.primal for p in seen) + 1e-9


@pytest.mark.parametrize("cap", [-1.0, -5.0])
def test_contradicting_constraints_end_in_an_honest_status(cap):
    impossible = cc.PathConstraint("negative", lambda t, x, u, p, nn: x.c**2, upper=cap)
    solution = cc.fit(decay(constraints=[impossible]), options={"max_iter": 200}, mesh=None)
    assert not solution.success
    assert solution.result.status is SolutionStatus.INFEASIBLE
    assert solution.result.termination in (
        Termination.INFEASIBLE,
        Termination.STALLED,
        Termination.ITERATION_LIMIT,
    )
    assert solution.result.violation >= 0.9 * -cap
    assert np.isfinite(solution.result.x).all()
    solution.states([0.0, 1.0])  # nothing is lost: the point can be looked at


def test_ctrl_c_returns_the_best_iterate(neural_nlp):
    previous = signal.getsignal(signal.SIGINT)

    def interrupt(progress):
        if progress.iteration == 3:
            signal.raise_signal(signal.SIGINT)

    solution = cc.solve(neural_nlp, on_iteration=interrupt)
    assert solution.result.termination is Termination.INTERRUPTED
    assert not solution.success
    assert solution.result.iterations <= 5
    assert np.isfinite(solution.result.x).all()
    assert solution.result.status in (SolutionStatus.FEASIBLE, SolutionStatus.INFEASIBLE)
    assert signal.getsignal(signal.SIGINT) is previous  # Python's own handler is back


def test_a_second_ctrl_c_means_it(neural_nlp):
    def insist(progress):
        if progress.iteration == 2:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        cc.solve(neural_nlp, on_iteration=insist)


def test_an_error_in_the_callers_function_comes_through(neural_nlp):
    def fail(progress):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        cc.solve(neural_nlp, on_iteration=fail)
    assert cc.solve(neural_nlp, options={"max_iter": 1}).result.iterations == 1  # and it goes on


def test_a_right_hand_side_that_cannot_be_evaluated_says_so():
    t = np.linspace(0.0, 1.0, 11)
    data = cc.Experiment(t, np.ones(11), ("c",))
    broken = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k * ca.log(x.c - 10.0)], parameters=[cc.Parameter("k", 1.0)]
    )
    with quiet_casadi():
        solution = cc.fit(cc.Problem(broken, data), start="interpolate", mesh=None)
    assert not solution.success
    assert solution.result.termination is Termination.EVALUATION_ERROR
    assert "could not be evaluated" in solution.status
    assert solution.result.status is SolutionStatus.NONE
    assert np.isfinite(solution.result.x).all()


@contextlib.contextmanager
def quiet_casadi():
    """CasADi's C++ warns on the real standard error, past Python's."""
    with open(os.devnull, "w") as nothing:
        kept = os.dup(2)
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def test_nan_in_a_row_is_a_violation_and_never_a_feasible_point():
    t = np.linspace(0.0, 1.0, 11)
    data = cc.Experiment(t, np.ones(11), ("c",))
    broken = cc.Dynamics(lambda t, x, u, p, nn: [ca.sqrt(x.c - 10.0)])
    nlp = cc.discretize(cc.Problem(broken, data))
    assert np.isnan(nlp.largest_violation(nlp.start))
    lam = np.zeros(nlp.rows), np.zeros(nlp.columns)
    assert np.isnan(nlp.kkt_residual(nlp.start, *lam))


# ---- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tool": 1e-8}, "IPOPT has no option 'tool'; did you mean 'tol'"),
        ({"max_itr": 3}, "did you mean 'max_iter'"),
        ({"ipopt.max_itr": 3}, "did you mean 'max_iter'"),
        ({"ipopt": {"zzzz": 3}}, "no option 'zzzz'; see the options page"),
        ({"tol": -1.0}, "IPOPT refuses tol = -1"),
        ({"tol": "small"}, "IPOPT refuses tol = 'small'"),
        ({"max_iter": 2.5}, "IPOPT refuses max_iter = 2.5"),
        ({"mu_strategy": "fast"}, "IPOPT refuses mu_strategy = 'fast'"),
        ({"linear_solver": "ma99"}, "refuses linear_solver = 'ma99'"),
    ],
)
def test_bad_options_are_refused_by_name(options, message):
    nlp = cc.discretize(decay(), mesh=2)
    with pytest.raises(cc.InputError, match=message) as caught:
        cc.solve(nlp, options=options)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="the wheels of other systems differ")
def test_the_wheel_takes_a_linear_solver_of_ours():
    assert hook.available()


def test_a_linear_solver_whose_library_is_absent_is_named():
    nlp = cc.discretize(decay(), mesh=2)
    with pytest.raises(cc.MissingDependency, match=r"linear solver 'ma27' needs .* or use 'mumps'"):
        cc.solve(nlp, options={"linear_solver": "ma27"})


def test_options_have_three_spellings_and_defaults():
    assert merge(None) == DEFAULTS
    for given in ({"tol": 1e-5}, {"ipopt.tol": 1e-5}, {"ipopt": {"tol": 1e-5}}):
        assert merge(given)["tol"] == 1e-5
    result = cc.fit(decay(), options={"max_iter": 50}, mesh=None).result
    assert result.options["max_iter"] == 50
    assert result.options["tol"] == 1e-8


def test_unknown_interfaces_are_refused():
    nlp = cc.discretize(decay(), mesh=2)
    with pytest.raises(cc.InputError, match="unknown interface 'casadii'; did you mean 'casadi'"):
        cc.solve(nlp, "casadii")
    with pytest.raises(cc.InputError, match="choose from casadi, cyipopt, pyomo"):
        cc.solve(nlp, "xyz")


@pytest.mark.parametrize(
    ("interface", "package", "remedy"),
    [("cyipopt", "cyipopt", "cyipopt"), ("pyomo", "pyomo", "pip install 'collocode\\[pyomo\\]'")],
)
def test_interfaces_that_are_not_installed_say_how_to_get_them(
    monkeypatch, interface, package, remedy
):
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # what Python finds when there is no such thing
    nlp = cc.discretize(decay(), mesh=2)
    with pytest.raises(cc.MissingDependency, match=remedy) as caught:
        cc.solve(nlp, interface)
    assert "not installed" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_relu_is_refused_with_a_reason():
    problem = van_der_pol_neural()
    kinked = replace(problem, dynamics=cc.NeuralODE(cc.MLP((2, 4, 2), "relu")))
    nlp = cc.discretize(kinked, mesh=4)
    with pytest.raises(
        cc.InputError, match=r"network 'nn' uses relu, whose kinks .* choose one of"
    ):
        cc.solve(nlp)
    linear = replace(problem, dynamics=cc.NeuralODE(cc.MLP((2, 2), "relu")))
    cc.make_solver(cc.discretize(linear, mesh=4))  # without a hidden layer there is no kink


@pytest.mark.skipif(sys.platform != "linux", reason="the names in the library are others there")
def test_the_ipopt_of_the_wheel_takes_our_linear_solver():
    assert hook.available()
