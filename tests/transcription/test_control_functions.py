"""Controls that are functions of a basis: held over several elements, splines, moves, shared by windows."""

from dataclasses import replace

import numpy as np
import pytest

import collocode as cc

PIECES = cc.PiecewiseConstant((0.0, 0.25, 0.5, 0.75, 1.0))
TEN = cc.PiecewiseConstant(tuple(np.linspace(0.0, 1.0, 11)))
RICCATI = 1.689498391594375  # optimum over all controls


def quadratic(control, rate=1.0, name="window"):
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": u.rate * x.x + u.u}),
        cc.Window(
            name=name,
            end=1.0,
            controls={"u": control},
            inputs={"rate": cc.Signal([0.0], [rate])},
            initial={"x": 1.0},
        ),
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: x.x**2 + u.u**2, name="effort"),
    )


def test_values_held_over_elements_are_those_of_one_element_each():
    held = cc.fit(quadratic(cc.Control(kind=PIECES)), mesh=8)
    constant = cc.fit(quadratic(cc.Control(kind="constant")), mesh=4)
    assert held.result.objective == pytest.approx(constant.result.objective, abs=1e-6)
    assert len(np.unique(held.control("u", np.linspace(0.01, 0.24, 9)))) == 1
    assert held.nlp.columns == 8 * 3 + 1 + 4
    assert held.nlp.make_structure().exceptions(held.nlp.functions) == []


@pytest.mark.parametrize(
    "basis",
    [
        cc.BSpline((0.0, 0.5, 1.0), 3),
        cc.BSpline(tuple(np.linspace(0.0, 1.0, 9)), 1),
        cc.Legendre(4, (0.0, 1.0)),
    ],
    ids=repr,
)
def test_a_smooth_basis_comes_close_to_all_controls_from_above(basis):
    found = cc.fit(quadratic(cc.Control(kind=basis)), mesh=10)
    assert 0.0 < found.result.objective - RICCATI < 1e-3
    assert found.gap() < 1e-5
    t = np.linspace(0.0, 1.0, 41)
    values = basis.values(t) @ found.result.x[found.nlp.layout.experiments[0].spanned["u"].columns]
    np.testing.assert_allclose(found.control("u", t), values, atol=1e-12)


def test_bounds_rates_and_moves_are_those_of_the_values():
    free = cc.fit(quadratic(cc.Control(kind=TEN)), mesh=10)
    bounded = cc.fit(quadratic(cc.Control(-1.0, 0.0, kind=TEN)), mesh=10)
    slow = cc.fit(quadratic(cc.Control(kind=TEN, rate=(-1.0, 1.0))), mesh=10)
    charged = cc.fit(quadratic(cc.Control(kind=TEN, moves=0.1)), mesh=10)
    middle = np.linspace(0.05, 0.95, 10)
    assert bounded.control("u", middle).min() == pytest.approx(-1.0, abs=1e-6)
    assert np.diff(slow.control("u", middle)).max() == pytest.approx(0.1, abs=1e-6)
    steps = np.diff(charged.control("u", middle))
    assert charged.costs["moves of u"] == pytest.approx(0.1 * (steps**2).sum(), rel=1e-6)
    assert sum(charged.costs.values()) == pytest.approx(charged.result.objective)
    assert (steps**2).sum() < (np.diff(free.control("u", middle)) ** 2).sum()
    names = " ".join(slow.nlp.row_names)
    assert "rate.u[window;3]" in names


def test_the_function_stretches_with_a_free_window():
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": x.v, "v": u.a}),
        cc.Window(
            end=1.0,
            end_bounds=(0.1, 10.0),
            controls={"a": cc.Control(-1.0, 1.0, kind=cc.PiecewiseConstant((0.0, 0.5, 1.0)))},
            initial={"x": 0.0, "v": 0.0},
            final={"x": 1.0, "v": 0.0},
        ),
        states=("x", "v"),
        costs=cc.Mayer(lambda t, x, u, p, nn: t, name="time"),
    )
    found = cc.fit(problem, mesh=4)
    assert found.costs["time"] == pytest.approx(2.0, abs=1e-6)
    np.testing.assert_allclose(found.control("a", [0.9, 1.1]), [1.0, -1.0], atol=1e-6)
    assert found.gap() < 1e-6


def scenarios(shared=True):
    control = cc.Control(kind=TEN, shared=shared)
    windows = [quadratic(control, rate, f"rate {rate}").experiments[0] for rate in (0.5, 1.0, 1.5)]
    return replace(quadratic(control), experiments=windows)


def test_windows_share_a_control():
    found, alone = cc.fit(scenarios(), mesh=10), cc.fit(scenarios(shared=False), mesh=10)
    t = np.linspace(0.05, 0.95, 10)
    values = [found.control("u", t, number) for number in range(3)]
    assert np.ptp(values, axis=0).max() == 0.0
    assert np.ptp([alone.control("u", t, n) for n in range(3)], axis=0).max() > 0.1
    assert found.result.objective > alone.result.objective
    assert found.nlp.columns == alone.nlp.columns - 2 * TEN.size
    assert found.nlp.make_structure().exceptions(found.nlp.functions) == []


def test_the_estimate_holds_the_basis_fast():
    """The exact problem has the same control: nothing is gained by freeing it."""
    problem = quadratic(cc.Control(kind=PIECES))
    exact = cc.fit(problem, degree=5, mesh=8, options={"tol": 1e-11}).result.objective
    estimate = cc.estimate_error(cc.fit(problem, degree=2, mesh=4, options={"tol": 1e-11}))
    assert not estimate.parts["control"].any()
    assert 0.9 < estimate.effectivity(exact) < 1.1


def test_a_horizon_that_recedes_moves_the_held_values_along():
    problem = quadratic(cc.Control(-2.0, 2.0, kind=TEN), rate=-1.0)
    horizon = cc.RecedingHorizon(problem, sample=0.1)
    first = horizon.plan([1.0])
    second = horizon.plan(first.states([0.1])[0], 0.1, first)
    assert second.result.iterations < first.result.iterations
    assert second.control("u", [0.05])[0] == pytest.approx(first.control("u", [0.15])[0], abs=0.02)


def test_other_tools_get_the_coefficients(tmp_path):
    """An .nl file, without the initial state that is fixed, read back has the same optimum."""
    found = cc.fit(quadratic(cc.Control(-3.0, 3.0, kind=PIECES, moves=0.1)), mesh=4)
    cc.write_nl(found, tmp_path / "held.nl")
    read = cc.read_nl(tmp_path / "held.nl")
    assert read.columns == found.nlp.columns - 1
    again = cc.solve_nl(read, {})
    assert again.objective == pytest.approx(found.result.objective, rel=1e-7)
    assert "u = profile(time, u_points, u_powers);" in cc.modelica_text(found)


def test_a_solution_is_saved_loaded_and_started_from(tmp_path):
    problem = quadratic(cc.Control(-3.0, 3.0, kind=TEN))
    found = cc.fit(problem, mesh=10)
    found.save(tmp_path / "held.npz")
    loaded = cc.load(tmp_path / "held.npz")
    assert loaded.trajectories[0].controls["u"].basis == TEN
    np.testing.assert_array_equal(loaded.control("u", [0.3, 0.9]), found.control("u", [0.3, 0.9]))
    again = cc.start_from(cc.discretize(problem, mesh=10), loaded)
    np.testing.assert_allclose(again.start, found.result.x, atol=1e-9)
    refined = cc.refine(problem, 1e-9, degree=2, mesh=10)
    assert refined.success


# ---- beside data -------------------------------------------------------------------------------


def unmeasured(**control):
    """x' = u, of which x is measured and u is not: least squares and a price on u."""
    t = np.linspace(0.0, 1.0, 11)
    y = np.sin(3.0 * t) + 0.05 * np.cos(40.0 * t)
    run = cc.Experiment(t, y, ("x",), controls={"u": cc.Control(**control)})
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.u]),
        run,
        loss=cc.LeastSquares(sigma=1.0),
        costs=0.01 * cc.Lagrange(lambda t, x, u, p, nn: u.u**2, name="effort"),
    )
    return problem, t, y


def test_an_input_that_nobody_measured_is_that_of_the_smoothing_spline(tmp_path):
    """Between two samples u is constant: a linear system in the values of x there tells them."""
    problem, t, y = unmeasured(kind="constant")
    steps, n = np.diff(t), len(t)
    slope = np.diff(np.eye(n), axis=0) / steps[:, None]
    matrix = np.eye(n) / n + 0.01 * slope.T @ (steps[:, None] * slope)
    exact = np.linalg.solve(matrix, y / n)
    for start in ("auto", "interpolate"):
        found = cc.fit(problem, mesh=10, start=start)
        np.testing.assert_allclose(found.states(t)[:, 0], exact, atol=1e-7)
        np.testing.assert_allclose(found.control("u", t[:-1] + 0.05), slope @ exact, atol=1e-6)
    value = ((exact - y) ** 2).mean() + 0.01 * (steps * (slope @ exact) ** 2).sum()
    assert found.result.objective == pytest.approx(value, rel=1e-7)
    assert found.gap() < 1e-6
    found.save(tmp_path / "run.npz")
    loaded = cc.load(tmp_path / "run.npz")
    np.testing.assert_array_equal(loaded.control("u", [0.33]), found.control("u", [0.33]))
    again = cc.start_from(found.nlp, loaded)
    np.testing.assert_allclose(again.start, found.result.x, atol=1e-9)
    assert found.costs["effort"] < found.result.objective
    with pytest.raises(cc.InputError, match="integrates under inputs that are given"):
        cc.start_from(found.nlp, "gradient_matching")


def test_its_mesh_has_the_samples_and_its_cost_an_estimate():
    """The costate jumps at every sample, and the control with it; a mesh given point by point may not."""
    problem, t, _ = unmeasured()
    exact = cc.fit(problem, mesh=40, options={"tol": 1e-11}).result.objective
    settled = cc.fit(problem, mesh=7)
    assert np.isin(t.round(9), settled.trajectories[0].mesh.points.round(9)).all()
    assert settled.result.objective == pytest.approx(exact, rel=1e-6)
    coarse = cc.fit(problem, mesh=cc.Mesh.uniform(0.0, 1.0, 7), options={"tol": 1e-11})
    assert 0.8 < cc.estimate_error(coarse).effectivity(exact) < 1.25
