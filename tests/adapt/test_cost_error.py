"""The estimated error of a decided cost against closed forms, and meshes that are refined by it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_bvp, solve_ivp

import collocode as cc
from models.control import brachistochrone, bryson_denham, catalyst_mixing, double_integrator

TIGHT = {"tol": 1e-11}


def quadratic(**control):
    """x' = x + u, minimise the integral of x² + u² from x = 1; the optimum is Riccati's P(0)."""
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [x.x + u.u]),
        cc.Window(end=1.0, controls={"u": cc.Control(**control)}, initial={"x": 1.0}),
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: x.x**2 + u.u**2, name="effort"),
    )


def riccati():
    def backwards(t, p):
        return 2.0 * p - p**2 + 1.0

    return solve_ivp(backwards, (0.0, 1.0), [0.0], rtol=1e-12, atol=1e-13).y[0, -1]


def of_kind(problem, kind):
    (window,) = problem.experiments
    controls = {name: replace(c, kind=kind) for name, c in window.controls.items()}
    return replace(problem, experiments=replace(window, controls=controls))


CLOSED = {
    "Riccati": (quadratic, riccati),
    "brachistochrone": (brachistochrone.problem, lambda: np.sqrt(np.pi / 9.81)),
    "Bryson-Denham": (bryson_denham.problem, lambda: 4.0),
    "double integrator": (double_integrator.problem, lambda: 2.0),
}
CASES = [
    *(("Riccati", kind, scheme, 5) for kind in ("stages", "constant", "linear") for scheme in
      (("radau", 3), ("legendre_gauss", 2), ("trapezoid", None))),
    *(("brachistochrone", kind, ("radau", 2), 5) for kind in ("stages", "constant", "linear")),
    *(("Bryson-Denham", kind, ("radau", 3), 11) for kind in ("stages", "constant", "linear")),
    ("Bryson-Denham", "stages", ("legendre_gauss", 2), 10),
    *(("double integrator", kind, ("radau", 3), 5) for kind in ("stages", "constant", "linear")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "scheme", "elements"), CASES)
def test_the_estimate_is_the_error(name, kind, scheme, elements):
    """Smooth controls, a bound on a state between mesh points, a switch inside an element."""
    make, exact = CLOSED[name]
    solution = cc.fit(of_kind(make(), kind), *scheme, mesh=elements, options=TIGHT)
    estimate = cc.estimate_error(solution)
    assert estimate.stationary
    assert 0.85 < estimate.effectivity(exact()) < 1.15


def test_the_estimate_has_its_order():
    """Radau of two stages: third order, of which the estimate takes all but a hundredth away."""
    exact, missed, left = riccati(), [], []
    for elements in (4, 8, 16):
        estimate = cc.estimate_error(
            cc.fit(quadratic(), degree=2, mesh=elements, options=TIGHT), "objective"
        )
        missed.append(abs(exact - estimate.value))
        left.append(abs(exact - estimate.corrected))
    slopes = np.log2(np.array(missed[:-1]) / missed[1:])
    assert slopes == pytest.approx(3.0, abs=0.2)
    assert (np.array(left) < 0.01 * np.array(missed)).all()


def test_one_element_of_high_degree_is_simulated_under_its_controls():
    """Polynomials of degree 40, which powers of time cannot say in double precision."""
    solution = cc.fit(quadratic(), "legendre_radau", 41, mesh=1, options=TIGHT)
    assert solution.result.objective == pytest.approx(riccati(), abs=1e-9)
    assert solution.gap() < 1e-6


def test_a_switch_has_its_element():
    solution = cc.fit(double_integrator.problem(), mesh=5)
    estimate = cc.estimate_error(solution)
    middle = estimate.parts["structure"][2]
    assert middle == pytest.approx(estimate.error, rel=1e-3)
    assert "structure" in estimate.to_frame()


@pytest.mark.parametrize(
    ("problem", "exact", "degree"),
    [
        (bryson_denham.problem, 4.0, 3),
        (catalyst_mixing.problem, -4.80556e-2, 3),
        (lambda: quadratic(kind="linear"), 1.689498391594375, 2),
    ],
)
def test_refinement_ends_at_the_optimum(problem, exact, degree):
    """Meshes are graded at junctions and switches; COPS gives six digits."""
    found = cc.refine(problem(), 1e-5, degree=degree, mesh=11)
    assert found.success
    assert found.solution.result.objective == pytest.approx(exact, abs=2e-5)
    steps = found.solution.trajectories[0].mesh.steps
    assert steps.max() >= 1.9 * steps.min()


def test_a_fit_refines_its_mesh_until_the_cost_is_known():
    loose = cc.fit(quadratic(kind="constant"), mesh=cc.AutoMesh(cost=1e-4))
    meshing = loose.meshing
    assert meshing.success
    assert meshing.meshes > 1
    assert abs(meshing.error) <= 1e-4 * loose.result.objective
    assert riccati() - loose.result.objective == pytest.approx(meshing.error, rel=0.1)
    assert "error of the cost" in str(meshing)


def test_a_mesh_that_is_not_fine_enough_is_a_finding():
    found = cc.fit(quadratic(kind="constant"), mesh=cc.AutoMesh(cost=1e-7, cycles=2))
    (finding,) = cc.findings(found)
    assert finding.code == "mesh-share"
    assert "the cost may still change by" in finding.text


def test_costs_without_decisions_have_errors_of_all_goals():
    """A parameter is learnt with a running cost beside the misfit: all of it is estimated."""
    t = np.linspace(0.0, 2.0, 21)
    data = cc.Experiment(t, np.exp(-0.7 * t), ("x",), initial={"x": 1.0})
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.x], parameters=[cc.Parameter("k", 1.0)]),
        data,
        costs=0.1 * cc.Lagrange(lambda t, x, u, p, nn: x.x**2),
    )
    coarse, fine = cc.fit(problem, degree=1, mesh=8), cc.fit(problem, mesh=60)
    effort = 3.0 * cc.Lagrange(lambda t, x, u, p, nn: p.k * x.x**2, name="effort")
    last = cc.Mayer(lambda t, x, u, p, nn: t * x.x + p.k, name="last")
    times = np.linspace(0.0, 2.0, 4001)
    decayed, k = fine.states(times)[:, 0], fine.parameters["k"]
    for goal, exact in (
        (effort, 3.0 * k * np.trapezoid(decayed**2, times)),
        (last, 2.0 * decayed[-1] + k),
        ("objective", fine.result.objective),
        ("parameter:k", fine.parameters["k"]),
        ("state:x@1", fine.states([1.0])[0, 0]),
    ):
        assert 0.8 < cc.estimate_error(coarse, goal).effectivity(exact) < 1.25, goal


def test_algebraic_variables_are_followed_by_the_estimate_and_by_the_simulation():
    """x' = z with z = x + u; the control jumps at the mesh point, up to which IDAS must not look."""
    problem = cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: {"x": x.z},
            algebraics={"z": 0.0},
            residuals=lambda t, x, u, p, nn: [x.z - x.x - u.u],
        ),
        cc.Window(end=1.0, controls={"u": cc.Control()}, initial={"x": 1.0}),
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: x.x**2 + (x.z - x.x) ** 2),
    )
    found = cc.fit(problem, degree=2, mesh=2)
    assert 0.9 < cc.estimate_error(found).effectivity(riccati()) < 1.1
    assert found.gap() < 0.02


def test_a_delay_has_its_part_in_costates_and_in_the_estimate():
    """x' = -x(t - 1) + u over [0, 2]: both halves side by side are an ordinary boundary-value problem."""

    def pontryagin(s, v):
        x1, x2, z1, z2, _ = v
        return [
            -1 - z1 / 2,
            -x1 - z2 / 2,
            -2 * x1 + z2,
            -2 * x2,
            x1**2 + x2**2 + (z1**2 + z2**2) / 4,
        ]

    def ends(a, b):
        return np.array([a[0] - 1, a[1] - b[0], b[2] - a[3], b[3], a[4]])

    exact = solve_bvp(pontryagin, ends, np.linspace(0, 1, 30), np.zeros((5, 30)), tol=1e-11)
    optimum = exact.y[4, -1]
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [-x.late + u.u]),
        cc.Window(end=2.0, controls={"u": cc.Control()}, initial={"x": 1.0}, history={"x": 1.0}),
        states=("x",),
        delays={"late": cc.Delay(1.0, of="x")},
        costs=cc.Lagrange(lambda t, x, u, p, nn: x.x**2 + u.u**2),
    )
    solution = cc.fit(problem, mesh=4, options=TIGHT)
    error = optimum - solution.result.objective
    assert abs(error) > 1e-6
    assert cc.estimate_error(solution).error == pytest.approx(error, rel=0.1)
    fine = cc.costates(cc.fit(problem, mesh=16, options=TIGHT))[0]
    z = np.concatenate([exact.sol(fine.times[:8])[2], exact.sol(fine.times[8:] - 1.0)[3]])
    assert fine.values[:, 0] == pytest.approx(z, abs=1e-6)


def test_costates_say_nothing_where_a_stage_has_no_weight_or_an_event_acts():
    """The Hamiltonian of what is autonomous but for a dose is constant before it and after it."""
    window = cc.Window(
        end=2.0,
        controls={"u": cc.Control()},
        initial={"x": 0.0},
        events=[cc.Dose(1.0, 0.5, to="x")],
    )
    costs = cc.Lagrange(lambda t, x, u, p, nn: (x.x - 1) ** 2 + u.u**2)
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-x.x + u.u])
    problem = cc.Problem(dynamics, window, states=("x",), costs=costs)
    solution = cc.fit(problem, mesh=20)
    energy = cc.costates(solution)[0].hamiltonian
    assert np.isnan(energy[10]).all()
    assert np.ptp(energy[:10]) + np.ptp(energy[11:]) < 1e-3
    row = cc.report(solution).tables["windows"].rows[0]
    assert -1.0 < row["hamiltonian_least"] < row["hamiltonian_most"] < 1.0
    held = of_kind(quadratic(), "constant")
    assert np.isnan(cc.costates(cc.fit(held, "chebyshev", 4, mesh=3))[0].hamiltonian[:, -1]).all()


@pytest.mark.parametrize("elements", [7, 12])
def test_an_element_beside_a_slope_at_its_bound_is_not_taken_for_a_free_one(elements):
    """∫u² with ∫u = 0.16, |u'| <= 1 and u = 0 at both ends: a trapezoid 0.2 high, 0.024 + 0.016/3."""

    def still(at):
        return cc.PathConstraint(f"still at the {at}", lambda t, x, u, p, nn: u.u, 0.0, 0.0, at=at)

    window = cc.Window(
        end=1.0,
        controls={"u": cc.Control(kind="linear", rate=(-1.0, 1.0))},
        initial={"x": 0.0},
        final={"x": 0.16},
    )
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.u]),
        window,
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.u**2),
        constraints=[still("start"), still("end")],
    )
    solution = cc.fit(problem, mesh=elements, options=TIGHT)
    error = 0.024 + 0.016 / 3.0 - solution.result.objective
    assert error < -1e-5
    assert cc.estimate_error(solution).error == pytest.approx(error, rel=0.25)


def test_without_a_cost_the_mesh_follows_the_simulation():
    """A limit cycle of van der Pol's oscillator, mu = 2, whose period is published: 7.62987447967."""
    guess = {
        "x": cc.Signal([0, 3.5, 7], [2, -2, 2]),
        "v": cc.Signal([0, 1.7, 5.2, 7], [0, -3, 3, 0]),
    }
    orbit = cc.Window(
        name="orbit", end=7.0, end_bounds=(3.0, 12.0), initial={"v": 0.0}, guess=guess
    )
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: {"x": x.v, "v": 2.0 * (1.0 - x.x**2) * x.v - x.x})
    link = cc.Link("orbit", "orbit", time=False)
    found = cc.fit(cc.Problem(dynamics, orbit, states=("x", "v"), links=link))
    assert found.trajectories[0].times[-1] == pytest.approx(7.62987447967, rel=3e-7)
    assert found.meshing.elements[0] < found.meshing.elements[-1]
    assert found.gap() < 1e-4
    assert "of the cost" not in str(found.meshing)
    assert not cc.findings(found)
