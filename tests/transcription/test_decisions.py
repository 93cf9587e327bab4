"""Decided inputs and times on the mesh: structure, kinds, orders, multipliers, and what is saved."""

from dataclasses import replace

import numpy as np
import pytest
import scipy
from scipy.integrate import solve_ivp

import collocode as cc
from models.control import bryson_denham, double_integrator

KINDS = ("stages", "constant", "linear")


def with_kind(problem, kind, **more):
    window = problem.experiments[0]
    controls = {n: replace(c, kind=kind, **more) for n, c in window.controls.items()}
    return replace(problem, experiments=replace(window, controls=controls))


def everything(kind="stages", free=True, data=True):
    """Two windows of different kinds, one of them free; data beside; all sorts of constraints."""
    t = np.linspace(0.0, 2.0, 15)
    rhs = lambda t, x, u, p, nn: {"x": x.v, "v": -p.k * x.x + u.a + 0.1 * t}  # noqa: E731
    rate = (-9.0, 9.0) if kind == "linear" else (-np.inf, np.inf)
    first = cc.Window(
        end=1.0,
        end_bounds=(0.5, 2.0) if free else None,
        controls={"a": cc.Control(-5.0, 5.0, kind=kind, rate=rate)},
        initial={"x": 0.0},
        final={"x": 1.0, "v": cc.weighted(0.0, 0.1)},
        name="first",
    )
    second = cc.Window(
        end=1.5, controls={"a": cc.Control(-3.0, 3.0, kind="constant")}, initial={"v": 0.0}, name="second"
    )  # fmt: skip
    measured = cc.Experiment(
        t,
        np.column_stack([np.cos(t), -np.sin(t)]),
        ("x", "v"),
        inputs={"a": cc.Signal([0.0, 2.0], [0.0, -0.2])},
    )
    return cc.Problem(
        cc.Dynamics(rhs, parameters=[cc.Parameter("k", 0.7)]),
        [*([measured] if data else []), first, second],
        states=("x", "v"),
        bounds={"x": (-2.0, 2.0)},
        costs=[
            0.1 * cc.Lagrange(lambda t, x, u, p, nn: u.a**2 + t, name="effort"),
            cc.Mayer(lambda t, x, u, p, nn: (x.x - 0.5) ** 2 + t, windows="first"),
            cc.Mayer(lambda t, x, u, p, nn: x.v**2, name="start", at="start"),
        ],
        constraints=[
            cc.PathConstraint("speed", lambda t, x, u, p, nn: x.v, upper=3.0),
            cc.PathConstraint("power", lambda t, x, u, p, nn: u.a * x.v, upper=4.0),
            cc.PathConstraint("level", lambda t, x, u, p, nn: x.x * u.a, upper=9.0, at="end"),
        ],
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", cc.scheme_names())
def test_the_structure_holds_and_covers_everything(scheme, kind):
    grid = {"chebyshev", "legendre_radau", "legendre_gauss"}
    degree = 59 if scheme == "chebyshev" else None  # of an even one the last stage has no weight
    nlp = cc.discretize(everything(kind), scheme, degree, mesh=1 if scheme in grid else 3)
    structure = nlp.structure
    assert structure.exceptions(nlp.functions) == []
    covered = [c for chain in structure.chains for c in (*chain.links.flat, *chain.inner.flat)]
    assert sorted([*covered, *structure.border]) == list(range(nlp.columns))
    rows = [r for chain in structure.chains for r in chain.rows.flat if r >= 0]
    assert sorted([*rows, *structure.border_rows]) == list(range(nlp.rows))
    assert "" not in (*nlp.column_names, *nlp.row_names)
    assert len(set(nlp.column_names)) == nlp.columns


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["radau", "gauss", "hermite_simpson", "lobatto_iiic"])
def test_first_and_second_derivatives_are_those_of_the_functions(scheme, kind):
    nlp = cc.discretize(everything(kind), scheme, 2 if scheme == "radau" else None, mesh=2)
    rng = np.random.default_rng(0)
    x, d = nlp.start + 0.1 * rng.standard_normal(nlp.columns), rng.standard_normal(nlp.columns)
    lam, h = rng.standard_normal(nlp.rows), 1e-5
    jacobian = nlp.functions.jacobian(x, nlp.p)[1].sparse()
    upper = nlp.functions.hessian(x, nlp.p, 1.0, lam).sparse()
    hessian = upper + scipy.sparse.triu(upper, 1).T

    def slope(at):
        return nlp.gradient(at) + nlp.functions.jacobian(at, nlp.p)[1].sparse().T @ lam

    central = (nlp.objective(x + h * d) - nlp.objective(x - h * d)) / (2 * h)
    assert nlp.gradient(x) @ d == pytest.approx(central, rel=1e-6, abs=1e-7)
    central = (nlp.constraints(x + h * d) - nlp.constraints(x - h * d)) / (2 * h)
    np.testing.assert_allclose(jacobian @ d, central, atol=1e-6)
    central = (slope(x + h * d) - slope(x - h * d)) / (2 * h)
    np.testing.assert_allclose(hessian @ d, central, atol=1e-5)


def test_data_and_windows_in_one_problem():
    """k is learnt from one experiment while a window is decided with it; the fit is that of the data."""
    problem = everything(free=False)
    quiet = replace(problem, costs=[replace(problem.costs[0], weight=1e-9)], constraints=())
    window = replace(quiet.experiments[1], final={"x": 1.0})
    quiet = replace(quiet, experiments=(quiet.experiments[0], window))
    together = cc.fit(quiet, mesh=8)
    alone = cc.fit(replace(quiet, experiments=quiet.experiments[:1], costs=()), mesh=8)
    assert together.success
    assert together.parameters["k"] == pytest.approx(alone.parameters["k"], rel=1e-5)
    assert [score.role for score in together.score()] == ["train", "window"]
    assert together.gap("first") < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_controls_are_of_their_kind(kind):
    found = cc.fit(with_kind(bryson_denham.problem(), kind), mesh=12)
    points = found.trajectories[0].mesh.points
    signal = found.trajectories[0].experiment.inputs["a"]
    inside = points[:-1, None] + np.diff(points)[:, None] * np.array([0.1, 0.5, 0.9])
    values = signal(inside.ravel()).reshape(inside.shape)
    jumps = np.abs(signal(points[1:-1]) - signal(points[1:-1], left=True))
    if kind == "constant":
        np.testing.assert_array_equal(np.ptp(values, axis=1), 0.0)
        assert jumps.max() > 1e-2
    elif kind == "linear":
        np.testing.assert_allclose(values[:, 1], values[:, [0, 2]].mean(axis=1), atol=1e-12)
        assert jumps.max() == 0.0
    assert found.result.objective == pytest.approx(4.0, rel=2e-2 if kind == "constant" else 1e-4)


def test_a_scheme_with_stages_at_both_ends_has_continuous_controls():
    found = cc.fit(bryson_denham.problem(), "hermite_simpson", mesh=12)
    points = found.trajectories[0].mesh.points[1:-1]
    signal = found.trajectories[0].experiment.inputs["a"]
    np.testing.assert_allclose(signal(points), signal(points, left=True), rtol=1e-9, atol=1e-9)


def test_bounds_of_the_slope_are_held_in_the_windows_own_time():
    """Least time with |a'| ≤ r: three ramps of r, −r, r; x = 2 r (T/4)³, so T = 4 (1/(2 r))^(1/3)."""
    rate = 4.0
    problem = with_kind(double_integrator.problem(limit=100.0), "linear", rate=(-rate, rate))
    window = problem.experiments[0]
    ends = [
        cc.PathConstraint(f"rest {at}", lambda t, x, u, p, nn: u.a, 0.0, 0.0, at=at)
        for at in ("start", "end")
    ]
    found = cc.fit(replace(problem, experiments=window, constraints=ends), mesh=32)
    assert found.success
    assert found.result.objective == pytest.approx(4.0 * (1.0 / (2.0 * rate)) ** (1 / 3), rel=1e-6)
    slope = np.diff(found.control("a", found.trajectories[0].mesh.points))
    assert np.abs(slope / found.trajectories[0].mesh.steps).max() <= rate * (1.0 + 1e-6)


def test_a_constraint_on_state_and_control_is_held_at_the_stages():
    """Power u v ≤ 1/2 from rest: v grows like √t once it binds; held wherever the control is free."""
    limit = 0.5
    problem = replace(
        double_integrator.problem(),
        constraints=[cc.PathConstraint("power", lambda t, x, u, p, nn: u.a * x.v, upper=limit)],
    )
    for scheme in ("radau", "gauss", "explicit_euler", "lobatto_iiic"):
        nlp = cc.discretize(problem, scheme, mesh=20)
        found = cc.solve(nlp)
        part = nlp.layout.experiments[0]
        held = part.path_rows[0][np.isfinite(nlp.row_upper[part.path_rows[0]])]
        assert len(held) == 20 * len(nlp.scheme.stages)
        assert found.success
        power = nlp.constraints(found.result.x)[held]
        assert limit - 1e-3 < power.max() <= limit + 1e-7


def test_times_decided_at_both_ends():
    """x' = t from x = 0 to 1 while t1 − t0 is least: as late as allowed, t1 = 3, t0 = √7."""
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [t]),
        cc.Window(
            start=1.0, start_bounds=(0.0, 2.9), end=2.95, end_bounds=(2.92, 3.0),
            initial={"x": 0.0}, final={"x": 1.0},
        ),
        states=("x",),
        costs=[
            cc.Mayer(lambda t, x, u, p, nn: t, name="last"),
            -cc.Mayer(lambda t, x, u, p, nn: t, at="start", name="first"),
        ],
    )  # fmt: skip
    found = cc.fit(problem, mesh=4)
    mesh = found.trajectories[0].mesh
    assert (mesh.start, mesh.end) == pytest.approx((np.sqrt(7.0), 3.0), rel=1e-6)
    assert found.costs == pytest.approx({"last": 3.0, "first": -np.sqrt(7.0)}, rel=1e-6)
    assert found.gap() < 1e-6


# ---- linear-quadratic problems against Riccati's equation ---------------------------------------

A, B = np.array([[0.0, 1.0], [-2.0, 0.3]]), np.array([0.0, 1.0])
Q, R, S = np.diag([1.0, 0.5]), 0.4, np.diag([2.0, 1.0])
X0, END = np.array([1.0, -0.5]), 2.0


def quadratic():
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [x.b, -2.0 * x.a + 0.3 * x.b + u.u]),
        cc.Window(end=END, controls={"u": cc.Control()}, initial={"a": X0[0], "b": X0[1]}),
        states=("a", "b"),
        costs=[
            cc.Lagrange(lambda t, x, u, p, nn: x.a**2 + 0.5 * x.b**2 + R * u.u**2),
            cc.Mayer(lambda t, x, u, p, nn: 2.0 * x.a**2 + x.b**2),
        ],
    )


@pytest.fixture(scope="module")
def riccati():
    """Optimum, and x(t), z(t) = 2 P x, u(t) = −B'P x / R by integrating P backwards and x forwards."""

    def backwards(t, p):
        P = p.reshape(2, 2)
        return -(A.T @ P + P @ A - np.outer(P @ B, B @ P) / R + Q).ravel()

    precise = {"rtol": 1e-12, "atol": 1e-13, "dense_output": True}
    P = solve_ivp(backwards, (END, 0.0), S.ravel(), **precise).sol
    gain = lambda t: B @ P(t).reshape(2, 2) / R  # noqa: E731
    x = solve_ivp(lambda t, x: A @ x - B * (gain(t) @ x), (0.0, END), X0, **precise).sol
    return X0 @ P(0.0).reshape(2, 2) @ X0, x, lambda t: 2.0 * P(t).reshape(2, 2) @ x(t), gain


@pytest.mark.parametrize(
    ("scheme", "cost", "control"),
    [("radau", 1e-6, 2e-4), ("gauss", 1e-8, 2e-4), ("lobatto", 1e-5, 1e-2)],
)
def test_states_controls_costates_and_cost_are_riccatis(riccati, scheme, cost, control):
    optimum, x, z, gain = riccati
    found = cc.fit(quadratic(), scheme, mesh=16)
    assert found.result.objective == pytest.approx(optimum, rel=cost)
    assert found.costs["Mayer"] + found.costs["Lagrange"] == pytest.approx(optimum, rel=cost)
    part, costate = found.trajectories[0], cc.costates(found)[0]
    np.testing.assert_allclose(part.states, x(part.times).T, atol=2e-5)
    exact = np.array([z(t) for t in costate.times])
    np.testing.assert_allclose(costate.values, exact, atol=1e-4)
    signal = part.experiment.inputs["u"]
    inner = costate.stage_times.ravel()
    exact = np.array([-gain(t) @ x(t) for t in inner])
    np.testing.assert_allclose(signal(inner, left=True), exact, atol=control)
    energy = costate.hamiltonian
    np.testing.assert_allclose(energy, energy.mean(), atol=2e-2)


@pytest.mark.parametrize(
    ("scheme", "degree", "order"),
    [
        ("explicit_euler", None, 1),
        ("trapezoid", None, 2),
        ("radau", 2, 3),
        ("hermite_simpson", None, 4),
    ],
)
def test_orders_of_cost_and_costate(riccati, scheme, degree, order):
    optimum, _, z, _ = riccati
    errors = []
    for elements in (8, 16, 32):
        found = cc.fit(quadratic(), scheme, degree, mesh=elements)
        initial = cc.costates(found)[0].values[0]
        cost = abs(found.result.objective - optimum)
        errors.append([cost, np.abs(initial - z(0.0)).max()])
    slopes = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))[-1]
    assert (slopes > order - 0.4).all(), (slopes, errors)


# ---- starts, files ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_solution_is_saved_loaded_and_started_from(kind, tmp_path):
    problem = with_kind(double_integrator.problem(), kind)
    found = cc.fit(problem, mesh=10)
    found.save(tmp_path / "solution.npz")
    loaded = cc.load(tmp_path / "solution.npz")
    times = np.linspace(0.0, found.trajectories[0].mesh.end, 33)
    np.testing.assert_array_equal(loaded.control("a", times), found.control("a", times))
    assert loaded.costs == found.costs
    assert loaded.gap() == found.gap()
    assert loaded.trajectories[0].controls["a"].upper == 1.0
    assert isinstance(loaded.trajectories[0].experiment, cc.Window)
    assert "time" in str(cc.report(loaded))
    again = cc.fit(problem, mesh=20, start=loaded)
    assert again.result.iterations < 25
    assert again.result.objective <= found.result.objective * (1.0 + 1e-6)


def test_guesses_are_the_start():
    window = cc.Window(
        end=2.0,
        controls={"a": cc.Control(-1.0, 1.0, start=cc.Signal([0.0, 2.0], [-1.0, 1.0]))},
        initial={"x": 1.0},
        final={"x": 3.0},
        guess={"v": 0.5},
    )
    nlp = cc.discretize(replace(double_integrator.problem(), experiments=window), mesh=4)
    part = nlp.layout.experiments[0]
    np.testing.assert_allclose(nlp.start[part.states[:, 0]], 1.0 + part.times)
    np.testing.assert_allclose(nlp.start[part.states[:, 1]], 0.5)
    times = part.decided["a"].times(part.mesh)
    np.testing.assert_allclose(nlp.start[part.decided["a"].columns], times - 1.0)
    begun = cc.start_from(nlp)
    assert begun.start_record.name == "guess"
    np.testing.assert_array_equal(begun.start, nlp.start)


def test_other_interfaces_and_readers_reach_the_same_optimum(tmp_path):
    pytest.importorskip("pyomo")
    nlp = cc.discretize(everything(), mesh=3)
    found = cc.solve(nlp)
    assert found.success
    cc.write_nl(nlp, tmp_path / "decisions.nl")
    read = cc.read_nl(tmp_path / "decisions.nl")
    assert cc.solve_nl(read, {}).objective == pytest.approx(found.result.objective, rel=1e-7)
    pytest.importorskip("cyipopt")
    other = cc.solve(nlp, "cyipopt")
    assert other.result.objective == pytest.approx(found.result.objective, rel=1e-9)


def test_the_diagnosis_names_windows_boundaries_and_slopes():
    nlp = cc.discretize(everything("linear"), mesh=2)
    start = nlp.start + np.random.default_rng(0).uniform(-5.0, 5.0, nlp.columns)
    start[nlp.layout.experiments[1].decided["a"].columns] = [-5.0, 5.0]
    away = nlp.with_start(start)
    stopped = cc.diagnose(cc.solve(away, options={"max_iter": 0}), most=500)
    assert {"collocation", "speed", "power", "a"} <= set(stopped.violated["equation"])
    assert set(stopped.violated["experiment"]) <= {"experiment", "first", "second"}
