"""The loop: meshes grow where it pays, warm starts are warm, and it says honestly how it ended."""

from __future__ import annotations

import numpy as np
import pytest

import collocode as cc
from collocode.adapt.prolong import prolong
from collocode.solvers.solve import make_solver
from tests.adapt.test_estimate import RELAXED, oscillator
from tests.methods import FEW
from tests.problems import decay, van_der_pol_data, van_der_pol_grey, van_der_pol_neural


def test_relaxation_oscillation_takes_half_the_elements():
    found = cc.refine(oscillator(*RELAXED), 1e-4, "parameter:mu", mesh=60, compare=True)
    assert found.success
    assert found.uniform is not None
    assert found.uniform.success
    assert found.cycles[-1].elements <= found.uniform.cycles[-1].elements / 2
    assert abs(found.estimate.error) <= 1e-4
    assert abs(found.solution.parameters["mu"] - found.uniform.estimate.corrected) < 3e-4
    late = found.table().iloc[3:-1]
    assert (abs(late["estimate"] - late["error"]) < 0.5 * late["magnitude"]).all()
    sizes = found.uniform.table()["elements"].to_numpy()
    assert (sizes[1:] == 2 * sizes[:-1]).all()


def test_elements_gather_where_the_solution_is_fast():
    found = cc.refine(oscillator(*RELAXED), 1e-4, "state:y1@20", mesh=60)
    points = found.estimate.meshes[0]
    steps, middle = np.diff(points), 0.5 * (points[1:] + points[:-1])
    speed = np.abs(found.solution.states(middle)[:, 1])
    assert np.median(steps[speed > 2.0]) < 0.6 * np.median(steps[speed < 0.5])


@pytest.mark.parametrize(("name", "degree"), [m for m in FEW if m[0] != "chebyshev"])
def test_every_local_scheme_refines(name, degree):
    problem, euler = van_der_pol_grey(van_der_pol_data(sigma=0.05)), degree == 1
    tol = 2e-2 if euler else 1e-5
    how = {"scheme": name, "degree": degree, "mesh": 100 if euler else 12}
    found = cc.refine(problem, tol, "parameter:mu", **how)
    assert found.success
    exact = cc.fit(problem, "radau", 5, 40).parameters["mu"]
    assert abs(found.solution.parameters["mu"] - exact) < 3.0 * tol


@pytest.mark.parametrize(
    "problem",
    [
        van_der_pol_grey(van_der_pol_data(sigma=0.05)),
        van_der_pol_neural(),
        decay(bounds={"c": (0.3, 2.0)}),
    ],
    ids=["parameter", "network", "active bounds"],
)
@pytest.mark.parametrize("name", ["radau", "gauss", "hermite_simpson"])
def test_a_prolonged_solution_is_nearly_one(problem, name):
    """IPOPT takes a few steps from there, and many from the usual start."""
    coarse = cc.fit(problem, name, mesh=40)
    assert coarse.success
    mesh = coarse.trajectories[0].mesh.bisect(range(0, 40, 3))
    nlp, warm = prolong(coarse, cc.discretize(problem, name, mesh=mesh))
    result = make_solver(nlp).solve(nlp, warm)
    cold = cc.fit(problem, name, mesh=mesh).result
    assert result.success
    assert result.iterations <= max(6, cold.iterations // 2)
    assert result.objective == pytest.approx(cold.objective, rel=1e-2)
    gradient = np.asarray(nlp.functions.gradient(nlp.start, nlp.p)[1]).ravel()
    jacobian = nlp.functions.jacobian(nlp.start, nlp.p)[1].sparse()
    free = nlp.lower < nlp.upper
    near = np.abs(gradient + jacobian.T @ warm.lam_g + warm.lam_x)[free].max()
    assert near < 0.2 * np.abs(gradient[free]).max()


def test_several_experiments_have_meshes_of_their_own():
    t = np.linspace(0.0, 2.0, 21)
    runs = [
        cc.Experiment(t, np.exp(-0.7 * t) + 0.01 * np.cos(9.0 * t), outputs=("c",), name="plain"),
        cc.Experiment(
            t, np.exp(-0.7 * t), outputs=("c",), name="fast", weights=np.full((21, 1), 1e-6)
        ),
    ]
    problem = cc.Problem(decay().dynamics, runs)
    found = cc.refine(problem, 1e-5, "parameter:k", scheme="trapezoid", mesh=4)
    assert found.success
    plain, fast = (len(points) for points in found.estimate.meshes)
    assert plain > 2 * fast


def test_a_known_reference_gives_effectivities():
    problem = van_der_pol_grey(van_der_pol_data())  # noise-free: mu is 1
    found = cc.refine(problem, 1e-7, "parameter:mu", mesh=10, reference=1.0)
    assert found.table()["effectivity"].iloc[-1] == pytest.approx(1.0, abs=0.1)
    assert found.table()["error"].iloc[-1] == pytest.approx(1.0 - found.solution.parameters["mu"])


def test_the_simulated_misfit_is_measured_by_simulation():
    found = cc.refine(van_der_pol_grey(van_der_pol_data(sigma=0.05)), 1e-6, "simulated", mesh=12)
    assert found.success
    assert found.table()["effectivity"].iloc[:-1].between(0.2, 5.0).mean() > 0.5
    assert found.cycles[0].reference is not None


# ---- how it ends --------------------------------------------------------------------------------


def test_a_budget_that_is_too_small():
    found = cc.refine(oscillator(*RELAXED), 1e-9, mesh=60, max_elements=80)
    assert found.termination is cc.Termination.SIZE_LIMIT
    assert not found.success
    assert found.cycles[-1].elements == 80
    assert "budget" in repr(found)


def test_a_limit_of_cycles():
    found = cc.refine(oscillator(*RELAXED), 1e-9, mesh=60, max_cycles=2)
    assert found.termination is cc.Termination.ITERATION_LIMIT
    assert len(found.cycles) == 2


def test_rounding_ends_in_stagnation():
    t = np.linspace(0.0, 1.0, 11)
    data = cc.Experiment(t, np.exp(-t) + 0.1 * np.cos(20.0 * t), outputs=("c",))
    problem = cc.Problem(decay().dynamics, data)
    found = cc.refine(problem, 1e-30, degree=5, mesh=4, max_elements=500)
    assert found.termination is cc.Termination.STALLED
    assert found.estimate.magnitude < 1e-12


def test_a_solver_that_does_not_converge_is_not_hidden():
    found = cc.refine(van_der_pol_neural(), 1e-3, mesh=10, options={"max_iter": 1}, max_cycles=3)
    assert found.termination is cc.Termination.ERROR
    assert not found.table()["solved"].any()
    assert not found.estimate.stationary


def test_a_parameter_at_its_bound_on_a_coarse_mesh_is_refined_all_over():
    """There the estimate is zero, which is no reason to stop."""
    bounded = cc.Dynamics(decay().dynamics.function, parameters=[cc.Parameter("k", 0.4, 0.0, 0.5)])
    problem = cc.Problem(bounded, decay().experiments[0])
    found = cc.refine(problem, 1e-6, "parameter:k", degree=2, mesh=4, max_elements=20)
    assert found.termination is cc.Termination.SIZE_LIMIT
    assert [cycle.elements for cycle in found.cycles] == [4, 8, 16, 20]


def test_on_cycle_sees_every_cycle():
    seen = []
    found = cc.refine(decay(), 1e-9, degree=2, mesh=2, on_cycle=seen.append)
    assert tuple(seen) == found.cycles


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tol": 0.0}, "tolerance must be positive"),
        ({"goal": "state:c@7"}, "outside the horizon"),
        ({"rule": "dorfer"}, "did you mean 'dorfler'"),
        ({"theta": 2.0}, "theta"),
        ({"max_elements": 3}, "more than the budget of 3"),
        ({"max_cycles": 0}, "number of cycles must be positive"),
    ],
)
def test_bad_requests(arguments, message):
    with pytest.raises(cc.InputError, match=message):
        cc.refine(decay(), **{"mesh": 10, **arguments})
