"""Effectivity: the estimate over the true error, against closed forms and fine meshes."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import casadi as ca
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import collocode as cc
from collocode.adapt.costates import costates
from collocode.adapt.goals import goal_of
from collocode.adapt.refine import simulated_misfit
from tests.problems import LOGISTIC, decay, van_der_pol

TIGHT = {"tol": 1e-11}


def solve(problem, name, degree, mesh, start="gradient_matching") -> cc.Solution:
    nlp = cc.start_from(cc.discretize(problem, name, degree, mesh), start)
    solution = cc.solve(nlp, options=TIGHT)
    assert solution.success
    return solution


# ---- problems ---------------------------------------------------------------------------------

ROTATION = np.array([[-0.3, 1.5], [-1.5, -0.3]])


def tracking() -> cc.Problem:
    """Linear-quadratic: ẋ = A x + (c, d sin t), free initial state, c and d; noisy targets."""
    t = np.linspace(0.0, 2.0, 11)
    noise = 0.2 * np.random.default_rng(1).standard_normal((11, 2))
    y = np.column_stack([np.cos(2.0 * t), np.sin(2.0 * t)]) + noise
    rhs = lambda t, x, u, p, nn: [  # noqa: E731
        -0.3 * x.a + 1.5 * x.b + p.c,
        -1.5 * x.a - 0.3 * x.b + p.d * ca.sin(t),
    ]
    parameters = [cc.Parameter("c", 0.0), cc.Parameter("d", 0.0)]
    data = cc.Experiment(t, y, outputs=("a", "b"))
    return cc.Problem(cc.Dynamics(rhs, parameters=parameters), data)


def tracking_optimum() -> tuple[float, np.ndarray]:
    """Objective and (a(0), b(0), c, d): the outputs are linear in them, by a matrix exponential."""
    problem = tracking()
    data = problem.experiments[0]
    big = np.zeros((5, 5))  # a, b, 1, sin t, cos t
    big[:2, :2] = ROTATION
    big[3, 4], big[4, 3] = 1.0, -1.0
    sigma = np.array([problem.spread[n] for n in ("a", "b")])
    rows = []
    for unit in np.eye(4):
        system = big.copy()
        system[0, 2], system[1, 3] = unit[2], unit[3]
        first = np.array([unit[0], unit[1], 1.0, 0.0, 1.0])
        rows.append([(expm(system * s) @ first)[:2] / sigma for s in data.times])
    matrix = np.array(rows).reshape(4, -1).T
    target = (data.values / sigma).ravel()
    q, *_ = np.linalg.lstsq(matrix, target, rcond=None)
    return float(np.mean((matrix @ q - target) ** 2)), q


@lru_cache
def oscillator(mu: float, samples: int, end: float, begin: tuple[float, float], sigma: float):
    t = np.linspace(0.0, end, samples)
    run = solve_ivp(van_der_pol(mu), (0.0, end), begin, "LSODA", t, rtol=1e-11, atol=1e-12)
    y = run.y.T + sigma * np.random.default_rng(0).standard_normal((samples, 2))
    rhs = lambda t, x, u, p, nn: [x.y2, p.mu * (1.0 - x.y1**2) * x.y2 - x.y1]  # noqa: E731
    dynamics = cc.Dynamics(rhs, parameters=[cc.Parameter("mu", 0.8 * mu, 0.0, 20.0)])
    return cc.Problem(dynamics, cc.Experiment(t, y, outputs=("y1", "y2")))


MILD = (1.0, 40, 7.0, (0.0, 1.0), 0.1)
RELAXED = (8.0, 201, 25.0, (2.0, 0.0), 0.1)


def stiff() -> cc.Problem:
    """A slow state driven by a fast one, with rates 1 and 500; the fast start is known."""
    t = np.linspace(0.0, 3.0, 31)
    noise = 0.05 * np.random.default_rng(1).standard_normal(31)
    rhs = lambda t, x, u, p, nn: [-p.k * x.a + x.b, -500.0 * (x.b - ca.cos(t))]  # noqa: E731
    data = cc.Experiment(
        t, 0.5 * np.sin(2.0 * t) + noise, outputs=("a",), initial={"b": cc.fixed(1.0)}
    )
    return cc.Problem(
        cc.Dynamics(rhs, parameters=[cc.Parameter("k", 0.5)]),
        data,
        states=("a", "b"),
        scaling={"b": 1.0},
    )


@lru_cache
def reference(kind: str) -> cc.Solution:
    problem, elements = {
        "mild": (oscillator(*MILD), 120),
        "relaxed": (oscillator(*RELAXED), 600),
        "stiff": (stiff(), 200),
    }[kind]
    return solve(problem, "radau", 7 if kind == "mild" else 5, elements)


# ---- effectivity ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "degree", "elements"),
    [
        ("radau", 1, 160),
        ("radau", 2, 10),
        ("radau", 3, 5),
        ("gauss", 1, 8),
        ("gauss", 2, 5),
        ("gauss", 3, 4),
        ("lobatto", 3, 5),
        ("lobatto", 4, 4),
        ("lobatto_iiic", 2, 16),
        ("lobatto_iiic", 3, 6),
        ("trapezoid", 2, 10),
        ("hermite_simpson", 3, 5),
        ("explicit_euler", 1, 40),
        ("implicit_euler", 1, 160),
        ("chebyshev", 6, 1),
        ("legendre_radau", 5, 1),
        ("legendre_gauss", 5, 1),
    ],
)
def test_tracking_against_its_closed_form(name, degree, elements):
    """Objective, parameter and initial state, for every kind of scheme, samples inside elements."""
    optimum, q = tracking_optimum()
    solution = solve(tracking(), name, degree, elements)
    for goal, exact in (("objective", optimum), ("parameter:c", q[2]), ("state:a@0", q[0])):
        estimate = cc.estimate_error(solution, goal)
        assert abs(exact - estimate.value) > 1e-8
        assert estimate.effectivity(exact) == pytest.approx(1.0, abs=0.12), goal
        assert estimate.stationary
        assert estimate.unconverged == 0


@pytest.mark.parametrize(
    ("name", "degree"), [("radau", 2), ("gauss", 2), ("lobatto", 3), ("lobatto_iiic", 3)]
)
def test_effectivity_tends_to_one(name, degree):
    optimum, _ = tracking_optimum()
    gaps = []
    for elements in (4, 8, 16):
        estimate = cc.estimate_error(solve(tracking(), name, degree, elements))
        gaps.append(abs(estimate.effectivity(optimum) - 1.0))
    assert gaps[2] < gaps[0]
    assert gaps[2] < 5e-3


def test_an_estimate_of_implicit_euler_is_off_by_the_order_of_the_step():
    """Closed form: samples at the nodes are met by (exp(0.7 h) - 1)/h; the estimate is 1 + 0.7 h times the error."""
    for elements in (8, 16, 32, 64):
        t, h = np.linspace(0.0, 4.0, elements + 1), 4.0 / elements
        decay = cc.Dynamics(
            lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)]
        )
        data = cc.Experiment(t, np.exp(-0.7 * t), ("c",))
        problem = cc.Problem(decay, data, loss=cc.LeastSquares(1.0))
        solution = cc.fit(problem, "implicit_euler", mesh=elements, options={"tol": 1e-12})
        estimate = cc.estimate_error(solution, "parameter:k")
        assert estimate.value == pytest.approx((np.exp(0.7 * h) - 1.0) / h, abs=1e-9)
        assert estimate.effectivity(0.7) == pytest.approx(1.0 + 0.7 * h, abs=0.35 * h)


@pytest.mark.parametrize(
    ("name", "degree", "elements"),
    [("radau", 3, 32), ("gauss", 2, 32), ("lobatto", 4, 32), ("lobatto_iiic", 3, 64)],
)
@pytest.mark.parametrize("goal", ["objective", "parameter:mu", "state:y1@3.3", "integral:y1"])
def test_van_der_pol(name, degree, elements, goal):
    fine = reference("mild")
    exact = cc.estimate_error(fine, goal).value
    estimate = cc.estimate_error(solve(oscillator(*MILD), name, degree, elements, fine), goal)
    assert 0.9 < estimate.effectivity(exact) < 1.1


@pytest.mark.parametrize("goal", ["objective", "parameter:mu", "state:y1@25", "integral:y1"])
def test_relaxation_oscillation(goal):
    """mu = 8: jumps of width 1/mu on elements of a fifteenth of a unit."""
    fine = reference("relaxed")
    exact = cc.estimate_error(fine, goal).value
    estimate = cc.estimate_error(solve(oscillator(*RELAXED), "radau", 3, 400, fine), goal)
    assert abs(exact - estimate.value) > 1e-8
    assert 0.8 < estimate.effectivity(exact) < 1.25


@pytest.mark.parametrize(
    ("name", "degree", "elements"), [("radau", 2, 16), ("radau", 3, 6), ("lobatto_iiic", 3, 8)]
)
@pytest.mark.parametrize("goal", ["objective", "parameter:k"])
def test_stiff_linear_system(name, degree, elements, goal):
    """Elements a hundred times longer than the fast time constant."""
    exact = cc.estimate_error(reference("stiff"), goal).value
    estimate = cc.estimate_error(solve(stiff(), name, degree, elements), goal)
    assert 0.5 < estimate.effectivity(exact) < 2.0


def test_an_initial_value_problem_against_its_exact_solution():
    solution = solve(LOGISTIC.problem(), "radau", 2, 6)
    exact = LOGISTIC.exact(np.array([1.7]))[0, 0]
    assert cc.estimate_error(solution, "state:x@1.7").effectivity(exact) == pytest.approx(
        1, abs=0.1
    )
    # ∫ x (1 − x) dt = ∫ ẋ dt
    goal = cc.Integral(lambda t, x, u, p: x.x * (1.0 - x.x))
    change = np.diff(LOGISTIC.exact(np.array([0.0, 3.0]))[:, 0])[0]
    assert cc.estimate_error(solution, goal).effectivity(change) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "degree", "elements"),
    [
        ("radau", 3, 32),
        ("lobatto_iiic", 3, 64),
        ("trapezoid", 2, 64),
        ("explicit_euler", 1, 1024),
    ],
)
def test_simulated_misfit_against_the_integrator(name, degree, elements):
    """The first order alone would be far off: the fit is close and its misfit flat."""
    solution = solve(oscillator(*MILD), name, degree, elements, reference("mild"))
    estimate = cc.estimate_error(solution, "simulated")
    assert 0.9 < estimate.effectivity(simulated_misfit(solution)) < 1.1


@pytest.mark.parametrize("loss", [cc.Huber(1.5, 0.05), cc.PseudoHuber(1.5, 0.05)])
@pytest.mark.parametrize("goal", ["objective", "simulated"])
def test_robust_losses_are_what_the_estimate_is_of(loss, goal):
    problem = replace(oscillator(*MILD), loss=loss)
    fine = solve(problem, "radau", 3, 256)
    exact = cc.estimate_error(fine, goal).value
    solution = solve(problem, "radau", 3, 32, fine)
    if goal == "simulated":
        exact = simulated_misfit(solution)
    assert 0.9 < cc.estimate_error(solution, goal).effectivity(exact) < 1.1


@pytest.mark.parametrize(
    ("name", "degree"), [("radau", 3), ("gauss", 1), ("lobatto", 3), ("lobatto_iiic", 3)]
)
def test_second_order_finds_the_error_of_a_perfect_fit(name, degree):
    """Without noise the exact objective is zero, and so is its slope."""
    problem = oscillator(1.0, 40, 7.0, (0.0, 1.0), 0.0)
    solution = solve(problem, name, degree, 32)
    first = cc.estimate_error(solution)
    second = cc.estimate_error(solution, second_order=True)
    assert first.effectivity(0.0) > 1.4
    assert second.effectivity(0.0) == pytest.approx(1.0, abs=0.03)
    assert np.abs(second.parts["curvature"]).sum() > 0.0


def test_discontinuous_galerkin_of_degree_zero():
    """Explicit Euler through ẋ = tanh(K x + b), as in a residual network: 1.09, 1.05, 1.02, 1.01."""
    k, b = np.array([[0.6, -1.7], [1.4, 0.3]]), np.array([0.3, -0.2])
    starts = np.random.default_rng(3).uniform(-1.0, 1.0, (20, 2))
    target = np.array([1.0, 0.5])
    runs = [
        cc.Experiment(
            [0.0, 2.0],
            [x, target],
            outputs=("a", "b"),
            initial={"a": x[0], "b": x[1]},
            name=str(n),
        )
        for n, x in enumerate(starts)
    ]
    exact = 0.0
    for x in starts:
        end = solve_ivp(lambda t, x: np.tanh(k @ x + b), (0, 2), x, rtol=1e-11, atol=1e-12).y[:, -1]
        exact += ((end - target) ** 2).sum() / 80.0
    found = []
    for layers in (8, 16, 32, 64):
        solution = _layers(runs, k, b, layers)
        found.append(cc.estimate_error(solution).effectivity(exact))
        classic = 0.0  # ½ h (P_{n-1} − P_n)·f
        for part, z in zip(solution.trajectories, costates(solution), strict=True):
            f = np.tanh(part.states[:-1] @ k.T + b)
            classic += 0.5 * (2.0 / layers) * np.sum((z.values[:-1] - z.values[1:]) * f)
        assert classic / cc.estimate_error(solution).error == pytest.approx(1.0, abs=2.0 / layers)
    gaps = np.abs(np.array(found) - 1.0)
    assert (gaps < [0.2, 0.1, 0.05, 0.03]).all()
    np.testing.assert_allclose(gaps[:-1] / gaps[1:], 2.0, atol=0.5)


def _layers(runs, k, b, layers) -> cc.Solution:
    def rhs(t, x, u, p, nn):
        z = k @ np.array([x.a, x.b]) + b
        return [ca.tanh(z[0]), ca.tanh(z[1])]

    return solve(
        cc.Problem(cc.Dynamics(rhs), runs, loss=cc.LeastSquares(1.0)),
        "explicit_euler",
        1,
        layers,
        "interpolate",
    )


# ---- shape, cost and honesty ------------------------------------------------------------------


def test_indicators_sum_to_the_estimate_and_know_their_element():
    runs = [
        replace(decay().experiments[0], name=name, values=values)
        for name, values in (
            ("one", np.exp(-0.7 * np.linspace(0, 2, 21))[:, None]),
            ("two", np.ones((21, 1))),
        )
    ]
    problem = cc.Problem(decay().dynamics, runs)
    solution = solve(problem, "radau", 2, {"one": 3, "two": 4})
    estimate = cc.estimate_error(solution)
    table = estimate.to_frame()
    assert list(table["experiment"]) == ["one"] * 3 + ["two"] * 4
    parts = table[["state", "adjoint", "control", "curvature"]].sum(axis=1)
    np.testing.assert_allclose(parts, table["indicator"])
    assert table["indicator"].sum() == pytest.approx(estimate.error)
    assert {name: len(v) for name, v in estimate.by_experiment().items()} == {"one": 3, "two": 4}
    assert estimate.corrected == pytest.approx(estimate.value + estimate.error)
    assert "objective" in repr(estimate)


def test_active_bounds_and_path_constraints_are_taken_out():
    """k is held at its bound: the estimate is that of the problem in which it is fixed there."""
    bounded = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 0.5, 0.0, 0.6)]
    )
    fixed = cc.Dynamics(lambda t, x, u, p, nn: [-0.6 * x.c])
    data = decay().experiments[0]
    found, expected = (
        cc.estimate_error(solve(cc.Problem(d, data), "trapezoid", 2, 4), "state:c@1.3").error
        for d in (bounded, fixed)
    )
    assert found == pytest.approx(expected, rel=1e-4)
    floor = cc.PathConstraint("floor", lambda t, x, u, p, nn: x.c, lower=0.3)
    held = solve(cc.Problem(decay().dynamics, data, constraints=[floor]), "radau", 2, 8)
    fine = solve(cc.Problem(decay().dynamics, data, constraints=[floor]), "radau", 5, 16)
    estimate = cc.estimate_error(held, "parameter:k")
    assert abs(fine.parameters["k"] - held.parameters["k"] - estimate.error) < 1e-5


def test_inputs_with_jumps():
    from tests.problems import driven

    fine = cc.estimate_error(solve(driven(), "radau", 6, 24), "parameter:a").value
    estimate = cc.estimate_error(solve(driven(), "radau", 1, 48), "parameter:a")
    assert 0.8 < estimate.effectivity(fine) < 1.2


@pytest.mark.parametrize(("name", "degree", "elements"), [("radau", 1, 40), ("radau", 2, 2)])
def test_a_parameter_that_jumps_in_time(name, degree, elements):
    """A piecewise constant rate: an element that ends at the jump sees the rate before it."""
    t = np.linspace(0.0, 4.0, 41)
    x = np.where(t < 2.0, np.exp(-t), np.exp(-2.0 - 0.3 * (t - 2.0)))
    noisy = x + 0.01 * np.random.default_rng(0).standard_normal(41)
    rate = cc.Parameter("k", 1.0, basis=cc.PiecewiseConstant([0.0, 2.0, 4.0]))
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[rate])
    problem = cc.Problem(dynamics, cc.Experiment(t, noisy, outputs=("c",)))
    goal = f"parameter:{problem.coefficient_names[1]}"
    exact = cc.estimate_error(solve(problem, "radau", 5, 20), goal).value
    estimate = cc.estimate_error(solve(problem, name, degree, elements), goal)
    assert estimate.effectivity(exact) == pytest.approx(1.0, abs=0.15)


def test_a_solution_that_is_none_is_reported():
    nlp = cc.start_from(cc.discretize(oscillator(*MILD), "radau", 3, 16))
    estimate = cc.estimate_error(cc.solve(nlp, options={"max_iter": 2}))
    assert not estimate.stationary
    assert estimate.stationarity > 1e-6
    assert "NOT STATIONARY" in repr(estimate)


def test_elements_too_long_for_their_dynamics_are_counted():
    """ẋ = x² through a pole: from the left end of the element there is no solution."""
    data = cc.Experiment([0.0, 2.0], [1.0, 1.5], outputs=("x",), initial={"x": 1.0})
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [x.x**2])
    nlp = cc.discretize(cc.Problem(dynamics, data), "explicit_euler", 1, 1)
    estimate = cc.estimate_error(cc.solve(nlp))
    assert estimate.unconverged == 1
    assert np.isfinite(estimate.error)


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ("state:y1@9", "outside the horizon"),
        ("state:y9@1", "the states are: y1, y2"),
        ("state:y1@1,run 7", "names experiment 'run 7'"),
        (cc.StateAt("y1", 1.0, 3), "names experiment 3; there are 1"),
        ("parameter:nu", "there are: mu"),
        ("state:y1@soon", "unknown goal"),
        ("misfit", "choose objective, simulated"),
        ("integral:z", "there is no state 'z'"),
        (cc.Integral(lambda t, x, u, p: [x.y1, x.y2]), "returned 2 values"),
    ],
)
def test_goals_that_make_no_sense(goal, message):
    with pytest.raises(cc.InputError, match=message):
        cc.estimate_error(reference("mild"), goal)


def test_what_cannot_be_estimated(tmp_path):
    solution = solve(decay(), "radau", 2, 4)
    with pytest.raises(cc.InputError, match="second order is there for"):
        cc.estimate_error(solution, "parameter:k", second_order=True)
    solution.save(tmp_path / "fit.npz")
    with pytest.raises(cc.InputError, match="solve the problem again"):
        cc.estimate_error(cc.load(tmp_path / "fit.npz"))
    broken = replace(
        solution, result=replace(solution.result, lam_g=solution.result.lam_g * np.nan)
    )
    with pytest.raises(cc.InputError, match="not finite"):
        cc.estimate_error(broken)
    twins = cc.Dynamics(
        lambda t, x, u, p, nn: [-(p.k + p.m) * x.c],
        parameters=[cc.Parameter("k", 0.5), cc.Parameter("m", 0.1)],
    )
    blurred = solve(cc.Problem(twins, decay().experiments[0]), "radau", 2, 4)
    with pytest.raises(cc.InputError, match="singular"):
        cc.estimate_error(blurred, "parameter:k")
    pinned = cc.Dynamics(decay().dynamics.function, parameters=[cc.Parameter("k", 0.5, 0.5, 0.5)])
    with pytest.raises(cc.InputError, match="is fixed"):
        cc.estimate_error(
            solve(cc.Problem(pinned, decay().experiments[0]), "radau", 2, 4), "parameter:k"
        )


def test_texts_of_goals():
    assert goal_of("simulated") == cc.SimulatedMisfit()
    assert goal_of(" parameter:k".strip()) == cc.ParameterValue("k")
    assert [str(goal_of(text)) for text in ("objective", "state:a@2,run", "integral:a")] == [
        "objective",
        "a at 2",
        "integral of a",
    ]
