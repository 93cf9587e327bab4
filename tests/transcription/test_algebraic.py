"""Differential-algebraic equations: what must hold of them whatever the model."""

from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc
from collocode.errors import InputError
from collocode.results.integrate import integrate

FEED = cc.Signal([0.0, 1.3, 2.6], [0.2, 0.6, 0.1], "zoh")
K = cc.Parameter("k", 1.0)


def as_dae(t, x, u, p, nn):
    return {"h": u.feed - x.q}


def valve(t, x, u, p, nn):
    return {"valve": x.q - p.k * ca.sqrt(x.h)}


DAE = cc.Dynamics(as_dae, parameters=[K], algebraics={"q": 0.5}, residuals=valve)
ODE = cc.Dynamics(lambda t, x, u, p, nn: [u.feed - p.k * ca.sqrt(x.h)], parameters=[K])


def run(outputs=("h",), noise=0.01):
    t = np.linspace(0.0, 4.0, 41)
    found = integrate(
        lambda s, h: FEED(s) - 0.7 * np.sqrt(h), [1.0], t, jumps=FEED.jumps, rtol=1e-10, atol=1e-12
    )
    table = {"h": found.states[:, 0], "q": 0.7 * np.sqrt(found.states[:, 0])}
    values = np.column_stack([table[name] for name in outputs])
    values = values + noise * np.random.default_rng(0).standard_normal(values.shape)
    return cc.Experiment(t, values, outputs, inputs={"feed": FEED})


@pytest.fixture(scope="module")
def both():
    fits = [cc.fit(cc.Problem(d, run(), states=("h",)), mesh=8) for d in (DAE, ODE)]
    assert all(fit.success for fit in fits)
    return fits


def test_a_dae_is_fitted_like_the_ode_it_stands_for(both):
    dae, ode = both
    assert dae.parameters["k"] == pytest.approx(ode.parameters["k"], rel=1e-7)
    assert dae.trajectories[0].states == pytest.approx(ode.trajectories[0].states, rel=1e-7)
    t = np.linspace(0.0, 4.0, 50)
    flow = dae.parameters["k"] * np.sqrt(dae.states(t)[:, 0])
    assert dae.algebraics(t)[:, 0] == pytest.approx(flow, rel=1e-3)
    assert dae.gap() == pytest.approx(ode.gap(), rel=0.1)


def test_its_uncertainty_and_costates_are_those_of_the_ode(both):
    dae, ode = (cc.uncertainty(fit) for fit in both)
    assert dae.covariance == pytest.approx(ode.covariance, rel=1e-5, abs=1e-12)
    dae, ode = (cc.costates(fit)[0] for fit in both)
    assert dae.values == pytest.approx(ode.values, rel=1e-5, abs=1e-8)
    assert dae.hamiltonian == pytest.approx(ode.hamiltonian, rel=1e-5, abs=1e-8)


def test_its_error_estimates_are_those_of_the_ode(both):
    dae, ode = (cc.estimate_error(fit, cc.ParameterValue("k")) for fit in both)
    assert dae.error == pytest.approx(ode.error, rel=1e-4)


@pytest.mark.parametrize("outputs", [("h", "q"), ("q",)])
def test_algebraic_variables_are_measured(outputs):
    fit = cc.fit(cc.Problem(DAE, run(outputs, noise=0.0), states=("h",)), mesh=20)
    assert fit.parameters["k"] == pytest.approx(0.7, rel=1e-5)
    assert fit.states([0.0])[0, 0] == pytest.approx(1.0, rel=1e-4)
    assert fit.gap() < 1e-6


def test_it_is_saved_and_loaded(both, tmp_path):
    dae = both[0]
    dae.save(tmp_path / "fit.npz")
    loaded = cc.load(tmp_path / "fit.npz")
    assert loaded.to_frame().equals(dae.to_frame())
    assert loaded.gap() == dae.gap()
    assert list(dae.to_frame()) == ["time", "h", "h_simulated", "q", "q_simulated"]


def test_mesh_auto_and_refine_take_it():
    problem = cc.Problem(DAE, run(), states=("h",))
    auto = cc.fit(problem, mesh="auto")
    assert auto.meshing.success
    refined = cc.refine(problem, mesh=4, goal=cc.ParameterValue("k"), tol=1e-4)
    assert refined.solution.parameters["k"] == pytest.approx(auto.parameters["k"], abs=1e-3)


def test_programs_go_to_other_solvers_and_files(both, tmp_path):
    dae = both[0]
    nlp = dae.nlp
    assert not nlp.structure.exceptions(nlp.functions)
    cc.write_nl(nlp, tmp_path / "tank.nl")
    again = cc.read_nl(tmp_path / "tank.nl")
    assert (again.columns, again.rows) == (nlp.columns, nlp.rows)
    text = cc.modelica_text(dae)
    assert "Real q(start = " in text
    assert text.count("  0 = ") == 1
    rhs = dae.model.trained_function()
    k = dae.parameters["k"]
    dx, g = rhs(0.0, 0.25, 0.3, 0.5 * k)
    assert (float(dx), float(g)) == pytest.approx((0.3 - 0.5 * k, 0.0))
    cc.write_c({"rhs": rhs}, tmp_path / "tank.c")
    assert "rhs" in (tmp_path / "tank.c").read_text()
    with pytest.raises(InputError, match="algebraic variables"):
        cc.jax_rhs(dae)


def test_admm_takes_the_same_steps_as_with_the_ode():
    rules = cc.ADMMRules(iterations=4)
    found = [cc.admm(cc.Problem(d, run(), states=("h",)), 2, rules=rules) for d in (DAE, ODE)]
    a, b = (result.history["primal"] for result in found)
    assert np.asarray(a) == pytest.approx(np.asarray(b), rel=0.03)  # their starts differ


def test_a_root_that_newton_loses_is_said():
    """q² = h has no root where h is negative: the simulation ends, and says where."""
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-1.0 - 0.0 * x.q],
        algebraics={"q": 1.0},
        residuals=lambda t, x, u, p, nn: [x.q**2 - x.h],
    )
    window = cc.Window(end=0.5, initial={"h": 1.0})
    model = cc.fit(cc.Problem(dynamics, window, states=("h",)), mesh=4).model
    done = cc.simulate(model, [1.0], np.linspace(0.0, 2.0, 21))
    assert not done.complete
    assert "broke down after t = " in done.message
    fine = done.times < 0.85
    assert done.algebraics[fine, 0] == pytest.approx(np.sqrt(1.0 - done.times[fine]), rel=1e-5)
    done = cc.simulate(model, [-1.0], [0.0, 1.0])
    assert "no consistent algebraic variables" in done.message


@pytest.mark.parametrize("where", ["g", "f"])
def test_a_network_is_learnt_in_either_equation(where):
    """The valve's law 0.7 √h, where q is nothing else, or where q is known beside it."""
    net = cc.MLP((1, 4, 1)).normalised([0.5], [0.5], [0.7])
    if where == "g":
        dynamics = cc.Dynamics(
            as_dae,
            networks={"law": net},
            algebraics={"q": 0.5},
            residuals=lambda t, x, u, p, nn: [x.q - nn.law(x.h)],
        )
    else:
        dynamics = cc.Dynamics(
            lambda t, x, u, p, nn: [u.feed - nn.law(x.h)],
            networks={"law": net},
            algebraics={"q": 0.5},
            residuals=lambda t, x, u, p, nn: [x.q - 0.7 * ca.sqrt(x.h)],
        )
    outputs = ("h",) if where == "g" else ("h", "q")
    fit = cc.fit(cc.Problem(dynamics, run(outputs, noise=0.002), states=("h",)), mesh=12)
    assert fit.success
    h = fit.states(np.linspace(0.0, 4.0, 50))
    law = 0.7 * np.sqrt(h[:, 0])
    missed = fit.network("law")(h)[:, 0] - law
    assert np.sqrt(np.mean(missed**2) / np.mean(law**2)) < 0.01


# ---- orders ----------------------------------------------------------------------------------


def exact_problem():
    """x = exp(sin t), z = x cos t = x': 0 = z³ + z − (its value) is solved for z."""

    def rhs(t, x, u, p, nn):
        return [x.z]

    def residuals(t, x, u, p, nn):
        return {"g": x.z + x.z**3 / 10 - x.x * ca.cos(t) - (x.x * ca.cos(t)) ** 3 / 10}

    dynamics = cc.Dynamics(rhs, algebraics={"z": 1.0}, residuals=residuals)
    return cc.Problem(dynamics, cc.Window(end=2.0, initial={"x": 1.0}), states=("x",))


@pytest.mark.parametrize(
    ("scheme", "degree", "meshes"),
    [
        ("radau", 2, (8, 16)),
        ("radau", 3, (4, 8)),
        ("gauss", 2, (8, 16)),
        ("gauss", 3, (3, 6)),
        ("lobatto", 3, (8, 16)),
        ("lobatto_iiic", 3, (8, 16)),
        ("trapezoid", None, (16, 32)),
        ("explicit_euler", None, (64, 128)),
        ("implicit_euler", None, (64, 128)),
    ],
)
def test_states_have_the_order_of_the_scheme_and_algebraic_variables_that_of_their_polynomial(
    scheme, degree, meshes
):
    errors = []
    for elements in meshes:
        nlp = cc.discretize(exact_problem(), scheme, degree, elements)
        solution = cc.solve(cc.start_from(nlp, "simulate"), options={"tol": 1e-13})
        end = abs(float(solution.states([2.0])[0, 0]) - np.exp(np.sin(2.0)))
        t = np.linspace(0.0, 2.0, 201)[1:-1]
        z = np.abs(solution.algebraics(t)[:, 0] - np.exp(np.sin(t)) * np.cos(t)).max()
        errors.append((end, z))
    slopes = np.log2(np.array(errors[0]) / np.array(errors[1]))
    chosen = nlp.scheme
    assert slopes[0] == pytest.approx(chosen.order, abs=0.35)
    assert slopes[1] > min(len(chosen.stages), chosen.order) - 0.35


# ---- wrong inputs ----------------------------------------------------------------------------


def dynamics(residuals, algebraics=("q",), rhs=lambda t, x, u, p, nn: [-x[0]], **options):
    return cc.Dynamics(rhs, algebraics=algebraics, residuals=residuals, **options)


def discretized(given, scheme="radau", states=("h",), **options):
    window = cc.Window(end=1.0, initial=dict.fromkeys(states, 1.0))
    return cc.discretize(cc.Problem(given, window, states=states, **options), scheme, mesh=2)


WRONG = {
    "2 algebraic equations for 1 algebraic variables": lambda: discretized(
        dynamics(lambda t, x, u, p, nn: [x.q - 1, x.q - x.h])
    ),
    "1 algebraic equations for 2 algebraic variables": lambda: discretized(
        dynamics(lambda t, x, u, p, nn: [x.q - x.r], ("q", "r"))
    ),
    "structurally singular: 'a', 'b' determine only 'q', and nothing determines 'r'": (
        lambda: discretized(
            dynamics(lambda t, x, u, p, nn: {"a": x.q - 1 + 0 * t, "b": x.q + t}, ("q", "r"))
        )
    ),
    "index above 1: 'level' determines none of the variables, and nothing determines 'q'": (
        lambda: discretized(
            dynamics(lambda t, x, u, p, nn: {"level": x.h - 1}, rhs=lambda t, x, u, p, nn: [x.q])
        )
    ),
    "a combination of 'a', 'b' contains no algebraic variable": lambda: discretized(
        dynamics(
            lambda t, x, u, p, nn: {"a": x.q + x.r - 1, "b": 2 * x.q + 2 * x.r - x.h}, ("q", "r")
        )
    ),
    "has no steady state here": lambda: cc.fit(
        cc.Problem(
            dynamics(lambda t, x, u, p, nn: [x.q - x.h]),
            cc.Experiment([0.0, 1.0], [1.0, 0.5], ("h",), steady=cc.Steady()),
        ),
        mesh=2,
    ),
    "index 2 need a stiffly accurate scheme": lambda: discretized(
        dynamics(lambda t, x, u, p, nn: [x.h - 1], rhs=lambda t, x, u, p, nn: [x.q], index=2),
        "gauss",
    ),
    "have no equations": lambda: cc.Dynamics(lambda t, x, u, p, nn: [x.q], algebraics=("q",)),
    "of which there are none": lambda: dynamics(lambda t, x, u, p, nn: [x[0]], ()),
    "two algebraic variables have one name": lambda: dynamics(lambda *_: [0], ("q", "q")),
    "nan for a guess": lambda: dynamics(lambda *_: [0], {"q": float("nan")}),
    "name of a parameter and of an algebraic variable": lambda: dynamics(
        lambda *_: [0], ("k",), parameters=[K]
    ),
    "name of a state and of an algebraic variable": lambda: discretized(
        dynamics(lambda t, x, u, p, nn: [x.h], ("h",))
    ),
    "index=4": lambda: dynamics(lambda t, x, u, p, nn: [x.q], index=4),
    "bounds= names 'r'": lambda: discretized(
        dynamics(lambda t, x, u, p, nn: [x.q - 1]), bounds={"r": (0.0, 1.0)}
    ),
    "initial= of experiment 'window' names 'q'": lambda: cc.Problem(
        dynamics(lambda t, x, u, p, nn: [x.q - 1]),
        cc.Window(end=1.0, initial={"h": 1.0, "q": 1.0}),
        states=("h",),
    ),
    "integrates no algebraic variables": lambda: cc.fit(
        cc.Problem(
            dynamics(lambda t, x, u, p, nn: [x.q - x.h]),
            cc.Window(end=1.0, initial={"h": 1.0}),
            states=("h",),
        ),
        mesh=2,
    ).simulate(method="RK45"),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_equations_are_refused_in_a_sentence(sentence):
    with pytest.raises(InputError) as raised:
        WRONG[sentence]()
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


# ---- decided beside algebraic variables ---------------------------------------------------------


def drained(dynamics, cost):
    """Which feed keeps a tank's outflow at 0.4 with little effort, in a free time?"""
    return cc.Problem(
        dynamics,
        cc.Window(
            end=2.0,
            end_bounds=(1.0, 4.0),
            controls={"feed": cc.Control(0.0, 1.0)},
            initial={"h": 1.0},
            guess={"h": 0.8},
        ),
        states=("h",),
        bounds={"h": (0.1, 2.0)},
        costs=[cc.Lagrange(cost, name="outflow"), 0.1 * cc.Mayer(lambda t, x, u, p, nn: -t)],
        constraints=[cc.PathConstraint("least", lambda t, x, u, p, nn: x.h, 0.25, at="end")],
    )


def test_a_control_a_cost_and_a_free_time_with_algebraic_variables_as_with_the_ode():
    fixed = [cc.Parameter("k", 0.7, 0.7, 0.7)]
    dae = cc.Dynamics(as_dae, parameters=fixed, algebraics={"q": 0.5}, residuals=valve)
    ode = cc.Dynamics(lambda t, x, u, p, nn: [u.feed - p.k * ca.sqrt(x.h)], parameters=fixed)
    found = [
        cc.fit(drained(dae, lambda t, x, u, p, nn: (x.q - 0.4) ** 2 + 0.1 * u.feed**2), mesh=10),
        cc.fit(
            drained(ode, lambda t, x, u, p, nn: (0.7 * ca.sqrt(x.h) - 0.4) ** 2 + 0.1 * u.feed**2),
            mesh=10,
        ),
    ]
    assert all(solution.success for solution in found)
    a, b = found
    assert a.result.objective == pytest.approx(b.result.objective, rel=1e-6)
    assert a.trajectories[0].mesh.end == pytest.approx(b.trajectories[0].mesh.end, rel=1e-5)
    errors = [cc.estimate_error(solution).error for solution in found]
    assert errors[0] == pytest.approx(errors[1], rel=1e-3)
    hamiltonians = [cc.costates(solution)[0].hamiltonian for solution in found]
    assert hamiltonians[0] == pytest.approx(hamiltonians[1], abs=1e-6)
    assert a.gap() < 1e-4


def test_bounds_on_algebraic_variables_hold():
    dynamics = cc.Dynamics(
        as_dae,
        parameters=[cc.Parameter("k", 0.7, 0.7, 0.7)],
        algebraics={"q": 0.5},
        residuals=valve,
    )
    window = cc.Window(end=2.0, controls={"feed": cc.Control(0.0, 1.0)}, initial={"h": 1.0})
    effort = cc.Lagrange(lambda t, x, u, p, nn: u.feed**2)
    problem = cc.Problem(
        dynamics, window, states=("h",), costs=effort, bounds={"h": (0.1, 2.0), "q": (0.5, 1.0)}
    )
    solution = cc.fit(problem, mesh=10)
    held = solution.nlp.layout.experiments[0].decided["q"].columns
    assert solution.result.x[held].min() == pytest.approx(0.5, abs=1e-6)


# ---- implicit equations, and a higher index -----------------------------------------------------


def test_implicit_equations_are_those_solved_for_the_derivatives():
    """(1 + x²) v' = -x, x' = v."""
    implicit = cc.implicit(
        lambda t, x, dx, u, p, nn: {"speed": dx.x - x.v, "force": (1 + x.x**2) * dx.v + x.x},
        states=("x", "v"),
    )
    explicit = cc.Dynamics(lambda t, x, u, p, nn: [x.v, -x.x / (1 + x.x**2)])
    window = cc.Window(end=3.0, initial={"x": 1.0, "v": 0.0})
    ends = [
        cc.fit(cc.Problem(d, window, states=("x", "v")), mesh=10).states([3.0])
        for d in (implicit, explicit)
    ]
    assert ends[0] == pytest.approx(ends[1], abs=1e-10)
    with pytest.raises(InputError, match="derivative of a state"):
        cc.implicit(lambda *_: [], states=("x",), algebraics=("x_dot",))
    singular = cc.implicit(lambda t, x, dx, u, p, nn: [dx.x - x.v, x.x - x.v], states=("x", "v"))
    with pytest.raises(InputError, match="nothing determines 'v_dot'"):
        cc.discretize(cc.Problem(singular, window, states=("x", "v")), mesh=2)


def test_a_pendulum_of_index_three_falls_as_the_closed_form_says():
    from models.dae import pendulum

    problem = pendulum.problem()
    errors = []
    for elements in (10, 20):
        nlp = cc.discretize(problem, "radau", 3, elements)
        solution = cc.solve(cc.start_from(nlp, "simulate"), options={"tol": 1e-12})
        x, _, v, w = solution.states([pendulum.QUARTER])[0]
        tension = solution.algebraics([pendulum.QUARTER])[0, 0]
        exact = np.sqrt(2.0 * pendulum.GRAVITY)
        errors.append([abs(x), abs(v + exact), abs(w), abs(tension - 3.0 * pendulum.GRAVITY)])
    slopes = np.log2(np.array(errors[0]) / np.array(errors[1]))
    # Hairer, Lubich, Roche: at least 2s - 2 for positions, s for velocities, s - 1 for tensions
    assert (slopes > np.array([4.0, 3.0, 3.0, 2.0]) - 0.2).all()
    assert solution.gap() < 1e-3
    assert "solved as it stands" in str(cc.report(solution))
    with pytest.raises(InputError, match="index 1"):
        cc.costates(solution)


def test_index_two_has_the_orders_of_the_theory():
    """a = sin t drives b' = -a z by z = cos t - b: orders 2s - 1 and s (Hairer, Lubich, Roche)."""
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: {"a": x.z + x.b, "b": -x.a * x.z},
        algebraics={"z": 1.0},
        residuals=lambda t, x, u, p, nn: {"path": x.a - ca.sin(t)},
        index=2,
    )
    window = cc.Window(end=2.0, initial={"a": 0.0, "b": 0.0})
    problem = cc.Problem(dynamics, window, states=("a", "b"))
    exact = integrate(
        lambda t, b: -np.sin(t) * (np.cos(t) - b), [0.0], [0.0, 2.0], rtol=1e-12, atol=1e-14
    ).states[-1, 0]
    errors = []
    for elements in (8, 16):
        nlp = cc.discretize(problem, "radau", 3, elements)
        solution = cc.solve(cc.start_from(nlp, "simulate"), options={"tol": 1e-13})
        b, z = solution.states([2.0])[0, 1], solution.algebraics([2.0])[0, 0]
        errors.append([abs(b - exact), abs(z - np.cos(2.0) + exact)])
    slopes = np.log2(np.array(errors[0]) / np.array(errors[1]))
    assert slopes == pytest.approx([5.0, 3.0], abs=0.25)
    assert solution.gap() < 1e-5
    assert cc.fit(problem).gap() < 1e-5  # mesh="auto" keeps the mesh it begins with


def test_a_free_start_lies_where_equations_of_index_two_have_it():
    """x = sin t drives y by z = x'; the optimum of a free start of x is that of y' = cos t - y + u."""
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: {"x": x.z, "y": x.z - x.y + u.u},
        algebraics={"z": 1.0},
        residuals=lambda t, x, u, p, nn: {"path": x.x - ca.sin(t)},
        index=2,
    )
    window = cc.Window(end=2.0, controls={"u": cc.Control()}, initial={"y": 1.0})
    cost = cc.Lagrange(lambda t, x, u, p, nn: x.y**2 + u.u**2)
    found = cc.fit(cc.Problem(dynamics, window, states=("x", "y"), costs=cost), mesh=10)

    def riccati(t, v):  # V = P y² + 2 s y + c
        P, s, _ = v
        return [2 * P + P * P - 1, s + P * s - P * np.cos(t), s * s - 2 * s * np.cos(t)]

    P, s, c = solve_ivp(riccati, (2.0, 0.0), [0.0] * 3, rtol=1e-10, atol=1e-12).y[:, -1]
    assert found.result.objective == pytest.approx(P + 2 * s + c, abs=1e-6)
    assert found.gap() < 1e-4


def test_a_singular_matrix_of_derivatives_leaves_one_state_less_to_begin_with():
    """x' + y' = -x, 0 = x - y: both are exp(-t/2), whoever is given at the start."""
    both = cc.Dynamics(
        lambda t, x, u, p, nn: {"x": x.dx, "y": x.dy},
        algebraics=("dx", "dy"),
        residuals=lambda t, x, u, p, nn: {"sum": x.dx + x.dy + x.x, "equal": x.x - x.y},
        index=2,
    )

    def problem(**initial):
        return cc.Problem(both, cc.Window(end=1.0, initial=initial), states=("x", "y"))

    for known in ({"x": 1.0}, {"y": 1.0}, {"x": 1.0, "y": 1.0}):
        found = cc.fit(problem(**known), mesh=5)
        assert found.states([0.0, 1.0]) == pytest.approx(
            np.exp([[0.0, 0.0], [-0.5, -0.5]]), abs=1e-8
        )
    with pytest.raises(
        InputError, match="does not satisfy the algebraic equation 'equal', which is 1"
    ):
        cc.discretize(problem(x=1.0, y=0.0))


def test_a_pendulum_begins_on_its_circle_and_along_it():
    """Of index 3 position and velocity across the rod are known once the angle and its rate are."""
    from models.dae import pendulum

    swing = pendulum.problem()
    window = replace(swing.experiments[0], initial={"y": -0.6, "v": 1.6}, guess={"x": 0.5})
    found = cc.fit(replace(swing, experiments=window), mesh=20)
    assert found.states([0.0])[0] == pytest.approx([0.8, -0.6, 1.6, 1.6 * 0.8 / 0.6], abs=1e-8)
    fast = replace(window, initial={"x": 1.0, "y": 0.0, "v": 1.0, "w": 0.0})
    with pytest.raises(InputError, match="equation 'rod, derivative 1', which is 2 there"):
        cc.discretize(replace(swing, experiments=fast))


def test_algebraic_variables_are_right_on_a_mesh_over_decades_of_time():
    """x' = -x, z = x², where the first element is 1e-13 of the last."""
    mesh = cc.Mesh(np.append(0.0, np.geomspace(1e-8, 1e5, 40)))
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-x.x],
        algebraics={"z": 1.0},
        residuals=lambda t, x, u, p, nn: [x.z - x.x**2],
    )
    problem = cc.Problem(dynamics, cc.Window(end=1e5, initial={"x": 1.0}), states=("x",))
    solution = cc.fit(problem, mesh=mesh, degree=4, start="simulate")
    t = np.append(0.0, np.geomspace(1e-9, 1e4, 60))
    assert solution.algebraics(t)[:, 0] == pytest.approx(np.exp(-2.0 * t), abs=2e-3)
