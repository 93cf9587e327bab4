"""Gradients, adjoints, linearisations and Gauss-Newton matrices against finite differences."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

from collocode import InputError, Mesh
from collocode.layered import (
    LayeredNetwork,
    LogisticLoss,
    Objective,
    Regularisation,
    Samples,
    SoftmaxLoss,
    forward,
)
from collocode.layered.forward import push, state_rows
from collocode.layered.trainers.gauss_newton import (
    Curvature,
    ProjectedCurvature,
    best_readout,
    features,
    penalty_matrix,
)
from tests.layered.cases import BASES, BLOCKS, LIFTS, LOSSES, difference, small


@pytest.mark.parametrize("kind", BLOCKS)
def test_gradient(kind: str) -> None:
    for basis, loss, lift in itertools.product(BASES, LOSSES, LIFTS):
        objective, theta = small(kind, basis, loss, lift)
        v = np.random.default_rng(2).standard_normal(len(theta))
        value, gradient = objective.value_and_gradient(theta)
        assert value == objective.value(theta)
        numeric = difference(objective.value, theta, v, 2e-4)
        expected = pytest.approx(numeric, rel=1e-6, abs=1e-8)
        assert gradient @ v == expected, (basis, loss, lift)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", BLOCKS)
def test_every_entry_of_the_gradient(kind: str, loss: str) -> None:
    objective, theta = small(kind, "bspline", loss, "opening", "swish")
    unit = np.eye(len(theta))
    numeric = [difference(objective.value, theta, e, 1e-3) for e in unit]
    np.testing.assert_allclose(objective.gradient(theta), numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", BLOCKS)
def test_adjoint_is_the_derivative_by_the_states(kind: str) -> None:
    """Perturb one sample's state at layer n and propagate from there."""
    objective, theta = small(kind, "legendre", "softmax")
    network = objective.network
    P = objective.adjoint(theta)
    states = forward(network, theta, objective.samples.X)
    K, b = network.stage_weights(theta)
    W, mu = network.readout(theta)
    v = np.random.default_rng(0).standard_normal(states[0].shape)
    assert P.shape == states.shape
    for n in range(network.layers + 1):

        def loss_from(s: float, n: int = n) -> float:
            x = states[n] + s * v
            for m in range(n, network.layers):
                x = network.block.step(x, K[m], b[m], network.mesh.steps[m])
            return objective.loss.value(x[:, : network.width] @ W.T + mu, objective.targets)

        numeric = difference(loss_from, np.float64(0.0), np.float64(1.0), 1e-3)
        assert np.sum(P[n] * v) == pytest.approx(float(numeric), rel=1e-7)


def test_adjoint_of_euler_by_its_recurrence() -> None:
    """P_n = P_{n+1} + h f_xᵀ P_{n+1}."""
    objective, theta = small()
    network, P = objective.network, objective.adjoint(theta)
    states = forward(network, theta, objective.samples.X)
    K, b = network.layer_weights(theta)
    for n, h in enumerate(network.mesh.steps):
        slope = 1.0 - np.tanh(states[n] @ K[n].T + b[n]) ** 2
        np.testing.assert_allclose(P[n], P[n + 1] + h * (slope * P[n + 1]) @ K[n], atol=1e-15)


def test_frozen_weights_have_no_gradient() -> None:
    objective, theta = small(lift="opening")
    network = objective.network
    frozen = network.mask("opening", "readout")
    part = Objective(network, objective.samples, objective.loss, objective.regularisation, frozen)
    expected = np.where(frozen, 0.0, objective.gradient(theta))
    np.testing.assert_array_equal(part.gradient(theta), expected)
    with pytest.raises(InputError, match="frozen must be a mask"):
        Objective(network, objective.samples, frozen=np.zeros(3, dtype=bool))


def test_regularisation_is_the_integral() -> None:
    objective, theta = small(basis="legendre", lift="opening")
    network = objective.network
    t, w = np.polynomial.legendre.leggauss(8)
    K, b = network.weights_at(theta, 1.5 * (t + 1.0))
    integral = 1.5 * np.sum(w * (np.sum(K**2, axis=(1, 2)) + np.sum(b**2, axis=1)))
    opening, _, readout = network.split(theta)
    expected = 0.1 * integral + 0.2 * readout @ readout + 0.3 * opening @ opening
    assert theta @ objective.regularisation.times(network, theta) == pytest.approx(expected)
    np.testing.assert_allclose(
        penalty_matrix(objective) @ theta, objective.regularisation.times(network, theta)
    )
    with pytest.raises(InputError, match="must be 0 or more"):
        Regularisation(weights=-1.0)


# ---- linearisations ------------------------------------------------------------------------------


@pytest.mark.parametrize(("lift", "basis"), list(itertools.product(LIFTS, BASES)))
def test_push_and_rows(lift: str, basis: str) -> None:
    for kind in BLOCKS:
        push_and_rows(kind, basis, lift)


def push_and_rows(kind: str, basis: str, lift: str) -> None:
    objective, theta = small(kind, basis, lift=lift)
    network, X = objective.network, objective.samples.X
    rng = np.random.default_rng(3)
    v = rng.standard_normal(len(theta))
    done = objective.evaluate(theta)
    numeric = difference(lambda x: objective.evaluate(x).outputs, theta, v, 2e-4)
    np.testing.assert_allclose(push(network, done, X, v), numeric, rtol=1e-5, atol=1e-7)
    seeds = rng.standard_normal((2, len(X), network.width))
    rows = state_rows(network, theta, done.states, X, seeds)
    inner = v.copy()
    inner[network.slices["readout"]] = 0.0
    final = difference(lambda x: forward(network, x, X)[-1], theta, inner, 2e-4)
    expected = np.einsum("qsd,sd->qs", seeds, final[:, : network.width])
    np.testing.assert_allclose(rows @ v[: rows.shape[2]], expected, rtol=1e-5, atol=1e-7)


def outputs_jacobian(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """(S, outputs, n_weights) by finite differences."""
    columns = [
        difference(lambda x: objective.evaluate(x).outputs, theta, e, 1e-3)
        for e in np.eye(len(theta))
    ]
    return np.stack(columns, axis=2)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["residual", "hamiltonian"])
def test_generalized_gauss_newton_matrix(kind: str, loss: str) -> None:
    objective, theta = small(kind, "layers", loss, "opening")
    J = outputs_jacobian(objective, theta)
    u = objective.evaluate(theta).outputs
    columns = [
        difference(
            lambda v: objective.loss.slope(v, objective.targets), u, np.ones_like(u) * e, 1e-3
        )
        for e in np.eye(u.shape[1])
    ]
    hessian = np.stack(columns, axis=2)  # of every sample's loss, (S, o, o)
    expected = np.einsum("soi,sop,spj->ij", J, hessian, J) / len(J)
    expected += penalty_matrix(objective).toarray()
    curvature = Curvature(objective, objective.evaluate(theta))
    np.testing.assert_allclose(curvature.matrix(), expected, atol=1e-7)
    v = np.random.default_rng(0).standard_normal(len(theta))
    np.testing.assert_allclose(curvature.times(v), curvature.matrix() @ v, atol=1e-12)


@pytest.mark.parametrize("outputs", [2, 3, 5])
@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_projected_matrix_is_kaufmans(outputs: int, penalty: float) -> None:
    """(P⊥ dA Wᵀ)ᵀ (P⊥ dA Wᵀ) with A and its ridge rows written out."""
    objective, theta = small("residual", "coarse", outputs=outputs, penalty=penalty, samples=20)
    network, X = objective.network, objective.samples.X
    theta = best_readout(objective, theta, forward(network, theta, X))
    done = objective.evaluate(theta)
    W, _ = network.readout(theta)
    A = features(network.width, done.states)
    ridge = np.sqrt(len(A) * objective.regularisation.readout)
    stacked = np.vstack([A, ridge * np.eye(A.shape[1])])
    off = np.eye(len(stacked)) - stacked @ np.linalg.pinv(stacked)
    columns = []
    count = network.slices["readout"].start
    for e in np.eye(len(theta))[:count]:
        dA = difference(lambda x: forward(network, x, X)[-1], theta, e, 1e-3)
        columns.append((off @ np.vstack([dA @ W.T, np.zeros((A.shape[1], outputs))])).ravel())
    Z = np.stack(columns, axis=1)
    expected = Z.T @ Z / len(A) + penalty_matrix(objective).toarray()[:count, :count]
    curvature = ProjectedCurvature(objective, done)
    matrix = curvature.matrix()
    np.testing.assert_allclose(matrix[:count, :count], expected, atol=1e-8)
    assert not matrix[count:].any()
    v = np.zeros(len(theta))
    v[:count] = np.random.default_rng(0).standard_normal(count)
    np.testing.assert_allclose(curvature.times(v)[:count], matrix[:count] @ v, atol=1e-12)


def test_best_readout_has_no_gradient() -> None:
    objective, theta = small(lift="opening")
    network = objective.network
    states = forward(network, theta, objective.samples.X)
    best = best_readout(objective, theta, states)
    assert np.abs(objective.gradient(best)[network.slices["readout"]]).max() < 1e-14
    assert objective.value(best) < objective.value(theta)


# ---- losses and cost -----------------------------------------------------------------------------


def test_extreme_outputs() -> None:
    """Losses neither overflow nor lose their slope where probabilities are 0 or 1."""
    u = np.array([[800.0], [-800.0]])
    loss, y = LogisticLoss(), np.array([[0.0], [0.0]])
    np.testing.assert_allclose(loss.each(u, y), [800.0, 0.0])
    np.testing.assert_allclose(loss.slope(u, y), [[1.0], [0.0]])
    u = np.array([[800.0, 0.0, -800.0]])
    y = np.array([[0.0, 0.0, 1.0]])
    np.testing.assert_allclose(SoftmaxLoss().each(u, y), [1600.0])
    assert np.isfinite(SoftmaxLoss().root(u, y)).all()


def test_overflow_is_infinite_not_an_error() -> None:
    objective, theta = small(activation="swish")
    assert objective.value(1e150 * theta) == np.inf


def test_samples_must_fit() -> None:
    network = small()[0].network
    X = np.ones((4, 3))
    with pytest.raises(InputError, match="features, but the network 3 inputs"):
        Objective(network, Samples(np.ones((4, 2)), np.ones((4, 3))))
    with pytest.raises(InputError, match="3 outputs, but the samples 2 targets"):
        Objective(network, Samples(X, np.ones((4, 2))))
    with pytest.raises(InputError, match="5 classes, but the network has 3 outputs"):
        Objective(network, Samples(X, np.array([0, 1, 2, 4])), SoftmaxLoss())
    with pytest.raises(InputError, match="two classes need one output, not 3"):
        Objective(network, Samples(X, np.array([0, 1, 1, 0])), LogisticLoss())
    with pytest.raises(InputError, match="classes must be integers"):
        Objective(network, Samples(X, np.ones((4, 3))), SoftmaxLoss())


def large(samples: int) -> tuple[Objective, np.ndarray]:
    rng = np.random.default_rng(0)
    network = LayeredNetwork(15, 1, 15, Mesh.uniform(0, 12, 12))
    data = Samples(rng.standard_normal((samples, 15)), np.arange(samples) % 2)
    return Objective(network, data, LogisticLoss()), network.initial()


def test_memory_is_linear_in_the_samples() -> None:
    peaks = []
    for samples in (1000, 4000):
        objective, theta = large(samples)
        assert objective.targets is not None
        tracemalloc.start()
        objective.gradient(theta)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 4.5 * peaks[0]
    assert peaks[1] < 3 * 13 * 4000 * 15 * 8  # three times the states
