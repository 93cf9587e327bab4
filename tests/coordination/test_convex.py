"""Where there is one optimum ADMM finds it: linear dynamics against a direct solve."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Lasso

import collocode as cc
from tests.coordination.problems import EXACT, TIGHT, admm, offsets, pushed, waves


def agreed(problem, batches, mesh, **more):
    how = {"rules": TIGHT, "iterations": 200, "rho": 0.05, "simulate": False, "start": "smoothing"}
    found = admm(problem, batches, mesh=mesh, options=EXACT, **{**how, **more})
    assert found.success, found
    return found


def direct(problem, mesh):
    solution = cc.fit(problem, mesh=mesh, options=EXACT, start="smoothing")
    assert solution.success
    return solution


@pytest.mark.parametrize(("batches", "rho"), [(2, 0.05), (4, 0.02)])
def test_windows_with_shared_boundaries(batches, rho):
    problem = waves()
    found, reference = agreed(problem, batches, 12, rho=rho), direct(problem, 12)
    np.testing.assert_allclose(found.solution.model.theta, reference.model.theta, atol=1e-6)
    np.testing.assert_allclose(
        found.solution.trajectories[0].states, reference.trajectories[0].states, atol=1e-6
    )
    assert found.solution.result.objective == pytest.approx(reference.result.objective, abs=1e-9)
    assert found.history["objective"].iloc[-1] == pytest.approx(
        reference.result.objective, abs=1e-7
    )


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_windows_with_free_boundaries(overlap):
    """Free windows are experiments of their own; measurements seen twice count by halves."""
    problem = waves()
    meshes = [cc.Mesh.uniform(0.0, 6.0, 12)]
    parts = cc.Partition(3, overlap, "free").cut(problem, meshes)
    windows = [e for part in parts for e in part.problem.experiments]
    total = sum(e.samples for e in windows)
    scaled = [  # the mean over all measurements, those seen twice included, times total / all
        replace(e, weights=(1.0 if e.weights is None else e.weights) * (total / 41))
        for e in windows
    ]
    whole = replace(problem, experiments=scaled)
    reference = direct(whole, [mesh for part in parts for mesh in part.meshes])
    found = agreed(problem, 3, meshes, boundary="free", overlap=overlap)
    theta = np.array([v for k, v in found.consensus.items() if k.startswith("f.")])
    np.testing.assert_allclose(theta, reference.model.theta, atol=1e-6)
    assert len(found.consensus) == 3  # no states among them


@pytest.mark.parametrize("kind", ["zoh", "linear"])
def test_inputs_and_physical_parameters(kind):
    problem = pushed(kind=kind)
    mesh = cc.discretize(problem, mesh=10).layout.experiments[0].mesh
    found, reference = agreed(problem, 3, [mesh], rho=0.005), direct(problem, [mesh])
    for name, value in reference.parameters.items():
        assert found.solution.parameters[name] == pytest.approx(value, abs=1e-6)
        assert found.consensus[name] == pytest.approx(value, abs=1e-6)


def test_a_bound_that_is_active_holds_in_the_consensus():
    problem = pushed()
    a, b = problem.dynamics.parameters
    bounded = replace(
        problem,
        dynamics=replace(problem.dynamics, parameters=[replace(a, start=0.3, upper=0.4), b]),
    )
    # IPOPT takes bounds with a slack of 1e-8, which is all the agreement that there can be
    rules = replace(TIGHT, absolute=3e-7)
    found, reference = agreed(bounded, 2, 12, rho=0.002, rules=rules), direct(bounded, 12)
    assert reference.parameters["a"] == pytest.approx(0.4, abs=1e-6)
    assert found.consensus["a"] <= 0.4
    assert found.consensus["a"] == pytest.approx(0.4, abs=1e-6)
    assert found.consensus["b"] == pytest.approx(reference.parameters["b"], abs=1e-6)


@pytest.mark.parametrize(
    ("batches", "rho"), [(3, 0.005), (4, 3e-4), ([["run 3"], ["run 1", "run 2"]], 0.005)], ids=str
)
def test_parameters_of_experiments_and_weighted_initial_states(batches, rho):
    """Grouped experiments keep their offsets to themselves; experiments cut in two agree on them."""
    problem = offsets()
    rules = replace(TIGHT, absolute=1e-7 if batches == 4 else 1e-9)
    found, reference = agreed(problem, batches, 6, rho=rho, rules=rules), direct(problem, 6)
    for name, value in reference.parameters.items():
        assert found.solution.parameters[name] == pytest.approx(value, abs=1e-6), name
    for part, other in zip(found.solution.trajectories, reference.trajectories, strict=True):
        np.testing.assert_allclose(part.states, other.states, atol=1e-6)


def test_lasso_weights_are_those_of_scikit_learn():
    problem, strength = waves(n=37), 0.02
    t, x = problem.experiments[0].times, problem.experiments[0].values[:, 0]
    # x(t) = x(0) + w₁ (1 − cos t) + w₂ sin(2t)/2 + b t; the initial state bears no penalty
    features = np.column_stack([1.0 - np.cos(t), 0.5 * np.sin(2.0 * t), t])
    lasso = Lasso(alpha=strength / 2.0, tol=1e-13, max_iter=10**6).fit(features, x)
    found = agreed(problem, 3, 36, regularisation=cc.L1(strength))
    theta = np.array([v for k, v in found.consensus.items() if k.startswith("f.")])
    np.testing.assert_allclose(theta, lasso.coef_, atol=1e-6)
    np.testing.assert_array_equal(theta == 0.0, lasso.coef_ == 0.0)
    assert (theta == 0.0).any()
    assert (theta != 0.0).any()


def test_weights_that_vary_in_time():
    """The ridge is the integral of the squared weights, whose matrix is not diagonal here."""
    varying = cc.TimeVarying(cc.MLP((2, 1)), cc.Monomial(1, (0.0, 6.0)))
    problem = waves()
    problem = replace(problem, dynamics=replace(problem.dynamics, networks={"f": varying}))
    found, reference = agreed(problem, 2, 12, rho=0.005), direct(problem, 12)
    np.testing.assert_allclose(found.solution.model.theta, reference.model.theta, atol=1e-6)


def test_parameters_that_vary_in_time():
    problem = offsets(runs=1)
    k, c = problem.dynamics.parameters
    basis = cc.Legendre(1, (0.0, 2.0))  # its functions on a window are no longer orthogonal
    varying = replace(
        problem.dynamics, parameters=[replace(k, basis=basis), replace(c, per_experiment=False)]
    )
    problem = replace(problem, dynamics=varying)
    found, reference = agreed(problem, 2, 6, rho=2e-4), direct(problem, 6)
    for name, value in reference.parameters.items():
        assert found.solution.parameters[name] == pytest.approx(value, abs=2e-6), name


def test_polishing_a_rough_consensus_gives_the_optimum():
    problem = waves()
    rough = admm(problem, 2, mesh=12, iterations=2, options=EXACT, simulate=False)
    found = admm(problem, 2, mesh=12, iterations=2, polish=True, options=EXACT, simulate=False)
    reference = direct(problem, 12)
    assert rough.solution.result.objective > reference.result.objective + 1e-8
    assert found.solution.result.objective == pytest.approx(reference.result.objective, abs=1e-10)
