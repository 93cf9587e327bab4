"""Losses with a sharp kink: Laplace, and Huber's with a small δ; against linear programs."""

import casadi as ca
import numpy as np
import pytest
from scipy import stats
from scipy.optimize import linprog

import collocode as cc
from collocode.solvers.kinks import roundings

T = np.linspace(0.0, 1.0, 41)


def runs(seed=3, count=4):
    """Lines of one slope, each with a start of its own, under heavy-tailed noise."""
    rng = np.random.default_rng(seed)
    return [
        cc.Experiment(T, k + 2.0 * T + 0.1 * rng.laplace(size=len(T)), ("x",), name=f"run{k}")
        for k in range(count)
    ]


def problem(loss, **more):
    slope = cc.Dynamics(lambda t, x, u, p, nn: [p.a], parameters=[cc.Parameter("a", 0.0)])
    return cc.Problem(slope, runs(), loss=loss, **more)


def least_absolute():
    """Least Σ|r| over starts and slope, by HiGHS: |r| = p + n of r = p - n."""
    data, n = runs(), len(T)
    columns = 1 + len(data) + 2 * n * len(data)
    A, y = np.zeros((n * len(data), columns)), np.concatenate([e.values[:, 0] for e in data])
    A[:, 0] = np.tile(T, len(data))
    for k in range(len(data)):
        A[k * n : (k + 1) * n, 1 + k] = 1.0
    rows = np.arange(len(y))
    A[rows, 1 + len(data) + rows], A[rows, 1 + len(data) + len(y) + rows] = 1.0, -1.0
    cost = np.append(np.zeros(1 + len(data)), np.ones(2 * len(y)))
    free = [(None, None)] * (1 + len(data)) + [(0.0, None)] * (2 * len(y))
    found = linprog(cost, A_eq=A, b_eq=y, bounds=free, method="highs")
    assert found.status == 0
    return found.fun, found.x[0]


def absolute(solution):
    return sum(
        float(np.abs(p.experiment.values[:, 0] - solution.states(T, p.experiment.name)[:, 0]).sum())
        for p in solution.trajectories
    )


@pytest.mark.parametrize(
    "loss",
    [cc.Laplace(0.1), cc.Huber(0.01, 0.1), cc.PseudoHuber(0.01, 0.1)],
    ids=["Laplace", "Huber", "PseudoHuber"],
)
def test_a_fit_and_batches_reach_the_least_sum_of_moduli(loss):
    least, slope = least_absolute()
    whole = problem(loss)
    found = cc.solve(cc.start_from(cc.discretize(whole, mesh=4)))
    batches = cc.admm(whole, 2, rules=cc.NewtonRules(), settings=cc.FitSettings(mesh=4))
    assert batches.termination.value == "converged"
    for solution in (found, batches.solution, cc.fit(whole)):
        assert solution.success
        assert least - 1e-9 <= absolute(solution) <= least * (1.0 + 1e-3)
        assert solution.parameters["a"] == pytest.approx(slope, abs=5e-3)  # standard error 0.03
    assert batches.solution.objective == pytest.approx(found.objective, abs=1e-7)


@pytest.mark.parametrize("sigma", [None, 0.05])
def test_a_network_under_laplace_noise_is_fitted_in_few_iterations(sigma):
    """Straight at the last width the kinks keep Newton steps leaping to and fro, past 500 iterations."""
    rng, t = np.random.default_rng(0), np.linspace(0.0, 8.0, 80)
    y = np.column_stack([np.cos(t), -np.sin(t)]) + 0.05 * rng.laplace(size=(80, 2))
    run = cc.Experiment(t, y, ("x", "v"))
    field = cc.NeuralODE(cc.MLP((2, 6, 2)))
    found = cc.fit(
        cc.Problem(field, run, loss=cc.Laplace(sigma), regularisation=cc.L2(1e-4)), mesh=20
    )
    assert found.success
    assert found.result.iterations < 250
    nlp = found.nlp
    assert nlp.parameters["rounding"] == 1.0
    assert found.objective == nlp.objective(found.result.x)


def test_an_iteration_limit_is_told_and_the_objective_is_that_of_the_last_width():
    nlp = cc.start_from(cc.discretize(problem(cc.Laplace(0.1)), mesh=4))
    with pytest.warns(cc.CollocodeWarning, match="iteration limit"):
        found = cc.solve(nlp, options={"max_iter": 2})
    assert found.result.termination.value == "iteration limit"
    assert found.objective == nlp.objective(found.result.x)


def test_what_is_blunt_anyway_is_solved_once():
    assert "rounding" not in cc.discretize(problem(cc.Huber(1.345, 0.1)), mesh=4).parameters
    assert "rounding" not in cc.discretize(problem(cc.LeastSquares(0.1)), mesh=4).parameters
    assert np.allclose(list(roundings(0.01)), [100.0, 10.0**1.5, 10.0, 10.0**0.5, 1.0])
    assert np.allclose(list(roundings(0.2)), [5.0, 5.0 / 10.0**0.5, 1.0])
    assert np.allclose(list(roundings(0.01, 10.0)), [10.0, 10.0**0.5, 1.0])


def test_a_wider_kink_keeps_the_slopes_far_from_it():
    h = ca.SX.sym("h")
    for loss in (cc.Laplace(1.0), cc.Huber(0.1, 1.0), cc.PseudoHuber(0.1, 1.0)):
        slope = ca.Function("s", [h], [ca.gradient(loss.rounded(h, 0.0, 1.0, 3.0), h)])
        unchanged = ca.Function("v", [h], [loss.rounded(h, 0.0, 1.0, 1.0)])
        for r in (50.0, -80.0):
            told = loss.slope(np.array([r]), np.zeros(1), np.ones(1))
            assert float(slope(r)) == pytest.approx(float(told[0]), rel=1e-4)
            assert float(unchanged(r)) == pytest.approx(float(loss.cost(r, 0.0, 1.0)), rel=1e-6)


def variance_of_a_median(count):
    """Of odd many data of Laplace's law of scale one, by its density, which order statistics give."""
    m = count // 2
    known, x = stats.laplace, np.linspace(0.0, 30.0, 30_001)
    log = m * (known.logcdf(x) + known.logsf(x)) + known.logpdf(x)
    return np.trapezoid(x**2 * np.exp(log), x) / np.trapezoid(np.exp(log), x)


@pytest.mark.parametrize(("count", "near"), [(9, 0.05), (21, 0.02), (101, 0.01)])
def test_the_standard_error_of_a_median_is_that_of_its_own_law(count, near):
    """Fisher's information alone says 1/n, which is 58, 37 and 16 % too little."""
    t = np.linspace(0.0, 1.0, count)
    y = np.random.default_rng(0).laplace(0.0, 0.3, count)
    level = cc.Dynamics(lambda t, x, u, p, nn: [0.0 * x.x])
    solution = cc.fit(cc.Problem(level, cc.Experiment(t, y, ("x",)), loss=cc.Laplace(0.3)), mesh=1)
    trust = cc.uncertainty(solution)
    variance = (trust.std()[trust.names.index("x[experiment;0.0]")] / 0.3) ** 2
    assert variance == pytest.approx(variance_of_a_median(count), rel=near)
