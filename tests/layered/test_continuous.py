"""Optimize-then-discretize: values, gradients, their gap, and training in continuous depth."""

from __future__ import annotations

import builtins
from dataclasses import replace

import numpy as np
import pytest

from collocode import Mesh
from collocode.errors import InputError, MissingDependency
from collocode.layered import (
    ContinuousObjective,
    LayeredNetwork,
    Samples,
    gradient_gap,
    train,
)
from collocode.layered.continuous import on_fine_layers
from tests.layered.cases import difference, small

pytest.importorskip("diffrax")
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


@pytest.fixture(scope="module")
def residual():
    """Its layers are steps of a method of order four for the same equation."""
    objective, theta = small("rk4", "legendre", lift="opening", penalty=1e-3)
    return ContinuousObjective.of(objective, **TIGHT), objective, theta


def test_a_linear_network_is_the_matrix_exponential():
    """z' = K z + b with constant weights and φ(a) = a."""
    from scipy.linalg import expm

    from collocode.layered import block
    from collocode.numerics.bases import Constant

    rng = np.random.default_rng(0)
    mesh = Mesh.uniform(0.0, 2.0, 4)
    network = LayeredNetwork(3, 2, 3, mesh, Constant((0.0, 2.0)), block("residual", "linear"))
    X, theta = rng.standard_normal((5, 3)), 0.4 * rng.standard_normal(network.n_weights)
    K, b = (w[0] for w in network.layer_weights(theta))
    W, mu = network.readout(theta)
    whole = expm(2.0 * np.block([[K, b[:, None]], [np.zeros((1, 4))]]))
    end = X @ whole[:3, :3].T + whole[:3, 3]
    objective = ContinuousObjective(network, Samples(X, np.zeros((5, 2))), **TIGHT)
    np.testing.assert_allclose(objective.evaluate(theta).outputs, end @ W.T + mu, atol=1e-8)


def test_value_and_gradient_are_the_limit_of_fine_layers(residual):
    continuous, objective, theta = residual
    fine = on_fine_layers(objective, 32)
    assert continuous.value(theta) == pytest.approx(fine.value(theta), rel=1e-8)
    np.testing.assert_allclose(continuous.gradient(theta), fine.gradient(theta), atol=1e-7)
    np.testing.assert_allclose(continuous.adjoint(theta), fine.adjoint(theta)[[0, -1]], atol=1e-8)


def test_gradient_against_finite_differences(residual):
    continuous, _, theta = residual
    v = np.random.default_rng(1).standard_normal(len(theta))
    numeric = pytest.approx(float(difference(continuous.value, theta, v, 2e-4)), rel=1e-6)
    assert continuous.gradient(theta) @ v == numeric
    exact = replace(continuous, adjoint_method="exact")
    assert exact.gradient(theta) @ v == numeric
    frozen = continuous.network.mask("opening", "readout")
    part = replace(continuous, frozen=frozen)
    np.testing.assert_allclose(
        part.gradient(theta), np.where(frozen, 0.0, continuous.gradient(theta)), atol=1e-15
    )


def test_gap_shrinks_with_the_tolerance(residual):
    _, objective, theta = residual
    gap = gradient_gap(objective, theta, (1e-2, 1e-4, 1e-6, 1e-8))
    for column in ("to_exact", "to_fine"):
        assert (gap[column].diff().dropna() < 0.0).all()
        assert gap[column].iloc[0] > 1e-6 > 1e-8 > gap[column].iloc[-1]
    assert (gap[["forward", "backward"]].diff().dropna() >= 0).all().all()


@pytest.mark.slow
def test_it_is_the_adjoint_of_diffrax(residual):
    """`diffrax.BacksolveAdjoint` solves the same augmented equation."""
    import diffrax
    import jax

    from collocode.layered.continuous_jax import float64

    continuous, _, theta = residual
    done = continuous.evaluate(theta)
    coefficients = continuous.network.split(theta)[1]
    p = continuous.adjoint(theta)[1]
    flow = continuous.flow

    def end(c):
        solution = diffrax.diffeqsolve(
            *(diffrax.ODETerm(flow._rate), diffrax.Tsit5(), 0.0, 3.0, None),
            *(done.states[0], c),
            stepsize_controller=diffrax.PIDController(**TIGHT),
            adjoint=diffrax.BacksolveAdjoint(),
        )
        return (solution.ys[0] * p).sum()

    with float64():
        theirs = np.asarray(jax.jit(jax.grad(end))(coefficients))
    _, ours, _ = flow.backward(coefficients, done.states, p, (1e-9, 1e-11))
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "basis"),
    [
        ("hamiltonian", "constant"),
        pytest.param("antisymmetric", "legendre", marks=pytest.mark.slow),
        pytest.param("leapfrog", "legendre", marks=pytest.mark.slow),
        pytest.param("hamiltonian", "layers", marks=pytest.mark.slow),
        pytest.param("residual", "bspline", marks=pytest.mark.slow),
        pytest.param("rk4", "fourier", marks=pytest.mark.slow),
    ],
)
def test_jumps_and_two_fields(kind, basis):
    """Where weights jump the integrator stops and restarts; the layers' own ends are such times."""
    objective, theta = small(kind, basis, lift="none")
    continuous = ContinuousObjective.of(objective, **TIGHT)
    v = np.random.default_rng(1).standard_normal(len(theta))
    numeric = float(difference(continuous.value, theta, v, 1e-3))
    assert continuous.gradient(theta) @ v == pytest.approx(numeric, rel=1e-6)
    # symplectic Euler is of order one, the other of order four
    errors = [
        abs(on_fine_layers(objective, n).value(theta) - continuous.value(theta)) for n in (128, 256)
    ]
    assert errors[1] < 1e-8 or errors[0] / errors[1] == pytest.approx(2.0, rel=0.1)


def test_training_counts_its_work(residual):
    continuous, objective, theta = residual
    pytest.importorskip("optax")
    for trainer in ("lbfgs", "adam"):
        fresh = replace(continuous, work=type(continuous.work)())
        done = train(fresh, trainer, theta, iterations=15, validation=objective.samples)
        assert done.objective < continuous.value(theta)
        assert fresh.work.forward >= 6 * done.evaluations
        assert fresh.work.backward >= 6 * done.gradients
        # small layers, or good ones, are the trained function too
        assert objective.score(done.best) == pytest.approx(fresh.score(done.best), abs=1e-2)
    with pytest.raises(InputError, match="gauss-newton works on layers"):
        train(continuous, "gauss-newton", theta)
    with pytest.raises(InputError, match="ipopt works on layers"):
        train(continuous, "ipopt", theta)


def test_a_solve_that_does_not_end_is_infinite(residual):
    continuous, _, theta = residual
    short = replace(continuous, steps=2, work=type(continuous.work)())
    assert short.value(theta) == np.inf
    assert short.work.failures == 1


def test_bad_settings(residual, monkeypatch):
    _, objective, _ = residual
    with pytest.raises(InputError, match="rtol must be between"):
        ContinuousObjective.of(objective, rtol=0.0)
    with pytest.raises(InputError, match="unknown adjoint 'backwards'"):
        ContinuousObjective.of(objective, adjoint_method="backwards")
    network = replace(objective.network, basis=None)  # not compiled before
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "diffrax":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=r"pip install 'collocode\[learn\]'"):
        ContinuousObjective(network, objective.samples)
