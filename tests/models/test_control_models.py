"""Models that decide: closed forms and published optima, and simulations under the controls found."""

from dataclasses import replace
from importlib import import_module

import casadi as ca
import numpy as np
import pytest
from scipy.integrate import solve_bvp
from scipy.optimize import brentq, minimize_scalar

import collocode as cc

# model: published or exact optimum, relative tolerance, largest gap of the simulation
OPTIMA = {
    "bryson_denham": (4.0, 1e-7, 1e-5),
    "double_integrator": (2.0, 1e-6, 1e-5),
    "brachistochrone": (np.sqrt(np.pi / 9.81), 1e-7, 1e-5),
    "catalyst_mixing": (-4.80556e-2, 1e-4, 1e-4),
    "rocket": (-1.01283, 1e-4, 1e-5),
    "steering": (0.554577, 1e-4, 1e-4),
    "robot_arm": (9.14138, 1e-4, 1e-3),
    "hang_glider": (-1247.99, 1e-4, 3e-2),
    "batch_reactor": (-0.610775, 1e-4, 1e-2),
    "dido": (-0.19938507545, 1e-7, 1e-5),
    "lifeguard": (20.763062091, 1e-7, 1e-6),
    "cart_pole": (58.80767, 1e-5, 1e-3),
    "shuttle": (-34.1412, 1e-5, 1e-2),
    "delta_iii": (-7529.712, 1e-5, 1e-4),
}
COARSER = {"shuttle": {"mesh": 50}, "delta_iii": {"mesh": 8}}  # than what the models draw


def solved(name, **changes):
    module = import_module(f"models.control.{name}")
    return cc.fit(module.problem(), **{**getattr(module, "DEFAULTS", {}), **changes})


@pytest.mark.parametrize("name", OPTIMA)
def test_the_optimum_and_its_simulation(name):
    value, tolerance, gap = OPTIMA[name]
    found = solved(name, **COARSER.get(name, {}))
    assert found.success
    assert found.result.objective == pytest.approx(value, rel=tolerance)
    assert sum(found.costs.values()) == pytest.approx(found.result.objective, abs=1e-9)
    assert found.gap() < gap
    module = import_module(f"models.control.{name}")
    assert "Source:" in module.__doc__


@pytest.mark.parametrize(
    ("name", "energy"), [("double_integrator", -1.0), ("brachistochrone", -1.0), ("steering", -1.0)]
)
def test_the_hamiltonian_of_least_time_is_minus_one(name, energy):
    """∂J/∂t_f = 1 = −H; for the double integrator up to the element before the switch."""
    hamiltonian = cc.costates(solved(name))[0].hamiltonian
    np.testing.assert_allclose(hamiltonian, energy, atol=5e-3)


def test_the_bead_follows_the_cycloid():
    found = solved("brachistochrone")
    end = found.trajectories[0].mesh.end
    t = np.linspace(0.0, end, 21)
    angle = np.pi * t / end  # the wheel turns evenly
    cycloid = np.column_stack([angle - np.sin(angle), 1.0 - np.cos(angle)]) / np.pi
    np.testing.assert_allclose(found.states(t)[:, :2], cycloid, atol=1e-6)


def test_the_fence_is_an_arc_of_a_circle():
    half = brentq(lambda a: np.sin(a) / a - 1.0 / 1.2, 0.1, 3.0)
    radius = 1.2 / (2.0 * half)
    area = radius**2 * (half - np.sin(half) * np.cos(half))
    found = solved("dido", mesh=20)
    assert -found.result.objective == pytest.approx(area, rel=1e-6)
    assert found.states([1.0])[0, 1] == pytest.approx(1.2)  # the fence, as a state
    t = np.linspace(0.0, 1.0, 11)
    height = np.sqrt(radius**2 - (t - 0.5) ** 2) - radius * np.cos(half)
    np.testing.assert_allclose(found.states(t)[:, 0], height, atol=1e-5)


def test_the_lifeguard_follows_snell():
    found = solved("lifeguard", mesh=4)
    sand, water = (found.control("angle", [part.mesh.end], n)[0] for n, part in
                   enumerate(found.trajectories))  # fmt: skip
    assert np.cos(sand) / 7.0 == pytest.approx(np.cos(water) / 1.5, abs=1e-6)
    exact = minimize_scalar(lambda x: np.hypot(x, 20.0) / 7.0 + np.hypot(50.0 - x, 20.0) / 1.5)
    assert found.costs["time"] == pytest.approx(exact.fun, rel=1e-8)


def test_the_published_grids_of_the_trapezoidal_rule():
    """The same scheme on the same grid as COPS has the same error."""
    for name, intervals in (("steering", 200), ("robot_arm", 200), ("hang_glider", 100)):
        found = solved(name, scheme="trapezoid", mesh=intervals)
        value = 1255.05 if name == "hang_glider" else OPTIMA[name][0]
        assert found.success
        assert abs(found.result.objective) == pytest.approx(value, rel=1e-5), name


def test_channel_flow_against_a_boundary_value_solver():
    found = solved("channel_flow")
    t = np.linspace(0.0, 1.0, 11)
    exact = solve_bvp(
        lambda t, y: np.array([y[1], y[2], y[3], 10.0 * (y[1] * y[2] - y[0] * y[3])]),
        lambda a, b: np.array([a[0], a[1], b[0] - 1.0, b[1]]),
        np.linspace(0.0, 1.0, 101),
        np.vstack([np.linspace(0.0, 1.0, 101)] * 2 + [np.zeros(101)] * 2),
        tol=1e-10,
    )
    assert found.success
    np.testing.assert_allclose(found.states(t), exact.sol(t).T, atol=1e-6)


@pytest.mark.filterwarnings("ignore:\\s*casadi. a numpy function")
def test_the_pole_swings_up_as_pontryagin_says():
    """States and costates solve the boundary-value problem, whose force is that of the optimum."""
    from models.control import cart_pole as model

    found = solved("cart_pole", mesh=60)
    x, z, u = ca.SX.sym("x", 4), ca.SX.sym("z", 4), ca.SX.sym("u")
    f = ca.vertcat(x[2], x[3], *model.accelerations(x[1], x[3], u))
    hamiltonian = u**2 + ca.dot(z, f)
    force = ca.simplify(-0.5 * ca.gradient(ca.dot(z, f), u))  # where H is least
    known = [ca.substitute(v, u, force) for v in (f, -ca.gradient(hamiltonian, x), force**2)]
    rates = ca.Function("rates", [ca.vertcat(x, z, ca.SX.sym("J"))], [ca.vertcat(*known)])
    adjoint, t = cc.costates(found)[0], np.linspace(0.0, 2.0, 41)
    guess = [np.interp(t, adjoint.times, column) for column in adjoint.values.T]
    exact = solve_bvp(
        lambda t, y: np.asarray(rates.map(y.shape[1])(y)),
        lambda a, b: np.concatenate([a[:4], b[:4] - [1.0, np.pi, 0.0, 0.0], a[8:]]),
        t,
        np.vstack([found.states(t).T, guess, 30.0 * t]),
        tol=1e-6,
    )
    assert exact.success
    assert exact.y[-1, -1] == pytest.approx(OPTIMA["cart_pole"][0], rel=1e-6)
    np.testing.assert_allclose(found.states(t), exact.sol(t)[:4].T, atol=2e-3)


@pytest.mark.slow
def test_more_penicillin_than_was_published_and_the_simulation_has_it():
    found = solved("penicillin")
    assert found.success
    state = found.trajectories[0].states[0]
    for part in found.trajectories:
        state = cc.simulate(found.model, state, part.times, part.experiment.inputs).states[-1]
    assert state[3] <= 10.0 + 1e-6
    made = state[1] * state[3]
    assert 87.99 < made < 88.2
    assert -found.result.objective == pytest.approx(made, rel=5e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("secreted_protein", 32.686, 32.70), ("induced_protein", 6.151, 6.153)],
)
def test_fed_batches_on_singular_arcs_make_what_was_published(name, least, most):
    """By the feeds found, simulated: no less than the best ones published, and no more than a little."""
    found = solved(name)
    assert found.success
    names, ends = list(found.nlp.problem.states), found.trajectories[0].mesh.points[[0, -1]]
    reached = found.simulate(0, times=ends).states[-1]
    made = reached[names.index("P")] * reached[names.index("V")]
    assert least < made < most
    assert -found.objective == pytest.approx(made, rel=1e-4)


def test_what_was_learnt_plans_for_the_true_tank():
    from models.control import cstr_setpoint as model

    planned = cc.fit(model.problem(), **model.DEFAULTS)
    true = cc.fit(model.problem(learnt=False), **model.DEFAULTS)
    assert planned.success
    assert planned.result.objective == pytest.approx(true.result.objective, rel=0.03)
    part = planned.trajectories[0]
    run = cc.simulate(true.model, part.states[0], part.times, part.experiment.inputs)
    np.testing.assert_allclose(run.states[:, 0], part.states[:, 0], atol=0.01)
    np.testing.assert_allclose(run.states[:, 1], part.states[:, 1], atol=1.0)
    assert part.states[:, 1].max() <= 352.0 + 1e-4


def test_a_trained_network_refuses_another_number_of_symbols():
    network = cc.TrainedNetwork(cc.MLP((2, 1)), np.zeros(3))
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [network(x.x)]), cc.Window(end=1.0), states=("x",)
    )
    with pytest.raises(cc.InputError, match="has 2 inputs, but was called with 1"):
        cc.discretize(problem)


def test_a_mesh_that_is_too_coarse_is_told_by_the_simulation():
    with pytest.warns(cc.CollocodeWarning, match="simulated under the controls found, window"):
        coarse = solved("hang_glider", mesh=8)
    (finding,) = [f for f in cc.findings(coarse) if f.code == "window-gap"]
    assert "mesh=" in finding.remedy


def test_a_given_input_that_jumps_inside_an_element_is_told():
    """The cost is 0.67; no simulation looks at it."""
    window = cc.Window(
        end=1.0, initial={"x": 0.0}, inputs={"r": cc.Signal([0.0, 0.33], [0.0, 1.0], "zoh")}
    )
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": -x.x}),
        window,
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.r, name="r"),
    )
    equal = cc.Mesh.uniform(0.0, 1.0, 7)
    with pytest.warns(
        cc.CollocodeWarning, match="'r' of 'window' jumps inside an element at t = 0.33"
    ):
        off = cc.fit(problem, mesh=equal)
    assert abs(off.costs["r"] - 0.67) > 1e-3
    assert [f.code for f in cc.findings(off)] == ["jump-inside"]
    for mesh in (7, equal.with_points(window.jumps)):
        found = cc.fit(problem, mesh=mesh)
        assert found.costs["r"] == pytest.approx(0.67, abs=1e-12)
        assert not cc.findings(found)


@pytest.mark.parametrize(
    ("length", "force", "guess"), [(1e-9, 1.0, 1e-4), (1.0, 1e12, 1e-6), (1e-6, 1e6, 1e-6)]
)
def test_a_least_time_is_found_in_any_units(length, force, guess):
    """A least time of 2 sqrt(length / force), in units in which it is a few millionths."""
    window = cc.Window(
        end=guess,
        end_bounds=(guess / 100.0, guess * 100.0),
        controls={"a": cc.Control(-force, force)},
        initial={"x": 0.0, "v": 0.0},
        final={"x": length, "v": 0.0},
    )
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": x.v, "v": u.a}),
        window,
        states=("x", "v"),
        costs=cc.Mayer(lambda t, x, u, p, nn: t, name="time"),
    )
    found = cc.fit(problem, mesh=20)
    assert found.success
    assert found.costs["time"] == pytest.approx(2.0 * np.sqrt(length / force), rel=1e-6)
    assert not cc.findings(found)


def test_a_cost_that_is_lost_in_the_tolerances_is_told():
    problem = import_module("models.control.double_integrator").problem()
    with pytest.warns(cc.CollocodeWarning, match="tolerances of the solver are worth"):
        found = cc.fit(problem, mesh=20, options={"tol": 1e-3})
    assert found.costs["time"] != pytest.approx(2.0, rel=1e-4)
    (finding,) = [f for f in cc.findings(found) if f.code == "loose-cost"]
    assert "tol" in finding.remedy
    calm = solved("double_integrator")
    assert calm.result.objective == pytest.approx(2.0, rel=1e-6)
    assert not cc.findings(calm)


@pytest.mark.parametrize("bound", [1e-10, 1e10])
def test_a_bound_that_would_be_lost_in_the_tolerances_is_kept(bound):
    """The square of a push is bounded, by one of 1e-5: the way is a quarter of that."""
    window = cc.Window(
        end=1.0,
        controls={"a": cc.Control()},
        initial={"x": 0.0, "v": 0.0},
        final={"v": 0.0},
    )
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": x.v, "v": u.a}),
        window,
        states=("x", "v"),
        constraints=cc.PathConstraint("push", lambda t, x, u, p, nn: u.a**2, upper=bound),
        costs=-cc.Mayer(lambda t, x, u, p, nn: x.x, name="way"),
    )
    found = cc.fit(problem, mesh=10)
    assert found.success
    assert -found.costs["way"] == pytest.approx(np.sqrt(bound) / 4.0, rel=1e-6)
    assert not cc.findings(found)


def test_a_control_that_rings_is_noted():
    problem = import_module("models.control.rocket").problem()
    window = problem.experiments[0]
    free = {"thrust": replace(window.controls["thrust"], kind="stages")}
    ringing = cc.fit(replace(problem, experiments=replace(window, controls=free)), mesh=30)
    (finding,) = [f for f in cc.findings(ringing) if f.code == "control-rings"]
    assert "thrust rings" in finding.text
    assert "kind='constant'" in finding.remedy
    for calm in (solved("rocket", mesh=30), solved("steering", mesh=10), solved("robot_arm")):
        assert "control-rings" not in [f.code for f in cc.findings(calm)]


def test_a_control_beyond_its_bounds_between_the_stages_is_noted():
    """A switch inside an element, and no ringing."""
    beyond = solved("double_integrator", mesh=11)
    assert [f.code for f in cc.findings(beyond) if f.code.startswith("control-")] == [
        "control-overshoots"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("batch_reactor", -0.610775),
        ("cart_pole", 58.8077),
        ("delta_iii", -7529.71),
        ("penicillin", -88.11),
        ("rocket", -1.01283),
        ("shuttle", -34.1412),
    ],
)
def test_the_mesh_is_found_from_scratch(name, expected):
    """Nothing is given but the problem."""
    found = cc.fit(import_module(f"models.control.{name}").problem())
    assert found.success
    assert found.meshing.termination is cc.Termination.CONVERGED
    assert found.result.objective == pytest.approx(expected, rel=2e-4)


def test_a_relu_network_inside_control_has_the_optimum_of_the_mixed_integer_program():
    pyo = pytest.importorskip("pyomo.environ")
    pytest.importorskip("highspy")
    from models.control.relu_valve import VALVE

    steps, h = 8, 0.25
    exact = pyo.ConcreteModel()
    exact.u = pyo.Var(range(steps), bounds=(0, 1))
    exact.x = pyo.Var(range(steps + 1), bounds=(0, 2))
    inflow = [cc.relu.embed(exact, VALVE, [exact.u[k]]).outputs[0] for k in range(steps)]
    exact.ends = pyo.Constraint([0, steps], rule=lambda m, k: m.x[k] == (1.0 if k else 0.0))
    exact.euler = pyo.Constraint(
        range(steps), rule=lambda m, k: m.x[k + 1] == m.x[k] + h * (inflow[k] - 0.5 * m.x[k])
    )
    exact.cost = pyo.Objective(expr=h * sum(exact.u[k] for k in range(steps)))
    pyo.SolverFactory("highs").solve(exact)
    found = solved("relu_valve")
    assert found.success
    assert found.result.objective == pytest.approx(pyo.value(exact.cost), rel=1e-3)
