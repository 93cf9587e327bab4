"""The layers' error estimate: effectivity, multipliers, every block, and what bisection adds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

import collocode as cc
from collocode.layered import (
    LayeredNetwork,
    LogisticLoss,
    Objective,
    Regularisation,
    ResidualBlock,
    Samples,
    SoftmaxLoss,
    SquaredLoss,
    bisect,
    block,
    donut2d,
    forward,
    train,
)
from collocode.layered.losses import SampleLoss
from collocode.layered.refinement.estimate import Halves, estimate_layers, flow_value
from collocode.numerics import Array
from tests.layered.cases import BLOCKS, difference, small

DEPTHS = (8, 16, 32, 64)


def smooth(
    layers: int, loss: SampleLoss, depth: float, size: float, kind: str = "residual"
) -> tuple[Objective, Array]:
    """A network whose layers sample one smooth K(t), b(t), and its weights."""
    network = LayeredNetwork(2, 1, 2, cc.Mesh.uniform(0.0, depth, layers), block=block(kind))
    t = network.mesh.points[:-1]
    columns = [np.sin(t), -1.0 - 0.5 * t, 1.0 + 0.0 * t, np.cos(2.0 * t), 0.3 * np.cos(t), 0.2 * t]
    theta = network.initial(0)
    theta[network.slices["coefficients"]] = size * np.stack(columns, axis=1).ravel()
    theta[network.slices["readout"]] = [1.5, -1.0, 0.2]
    return Objective(network, donut2d(200)[0], loss, Regularisation(0.0, 0.0, 0.0)), theta


@pytest.mark.parametrize(
    ("loss", "depth", "size"), [(SquaredLoss(), 2.0, 1.8), (LogisticLoss(), 3.0, 1.47)]
)
def test_effectivity_of_explicit_euler(loss: SampleLoss, depth: float, size: float) -> None:
    """1.09, 1.05, 1.02, 1.01 for N = 8 ... 64: one plus something that halves."""
    found = []
    for layers in DEPTHS:
        objective, theta = smooth(layers, loss, depth, size)
        estimate = estimate_layers(objective, theta, freedom=False)
        found.append(estimate.effectivity(flow_value(objective, theta)))
    np.testing.assert_allclose(found, [1.09, 1.05, 1.02, 1.01], atol=0.02)


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("basis", ["layers", "legendre"])
def test_effectivity_tends_to_one_for_every_block_and_basis(kind: str, basis: str) -> None:
    found = []
    for layers in (10, 40):
        objective, theta = smooth(layers, LogisticLoss(), 2.0, 1.0, kind)
        if basis == "legendre":
            network = replace(objective.network, basis=cc.Legendre(2, (0.0, 2.0)))
            objective = replace(objective, network=network)
            theta = network.initial(3) + 0.3 * np.random.default_rng(1).standard_normal(
                network.n_weights
            )
        estimate = estimate_layers(objective, theta)
        found.append(estimate.effectivity(flow_value(objective, theta)))
        assert (basis == "layers") == bool(estimate.freedom.all())
    assert abs(found[1] - 1.0) < 0.15
    assert abs(found[1] - 1.0) < 0.5 * abs(found[0] - 1.0)


def test_estimate_is_half_step_times_change_of_adjoint_along_the_rate() -> None:
    """η_n = ½ h² Σ_s P_{n+1}ᵀ f_x f, with f_x by finite differences of the rate."""
    objective, theta = small("residual", "layers", "logistic", outputs=1)
    network = objective.network
    x, P = forward(network, theta, objective.samples.X), objective.adjoint(theta)
    K, b = network.layer_weights(theta)
    expected = []
    for n, h in enumerate(network.mesh.steps):
        rate = np.tanh(x[n] @ K[n].T + b[n])
        along = difference(lambda y, n=n: np.tanh(y @ K[n].T + b[n]), x[n], rate)
        expected.append(0.5 * h**2 * (P[n + 1] * along).sum())
    np.testing.assert_allclose(estimate_layers(objective, theta).indicators, expected, rtol=1e-8)


def test_multipliers_of_the_nlp_give_the_same_indicators() -> None:
    objective, _ = small("residual", "layers", "softmax", "pad", samples=12, penalty=0.5)
    done = train(objective, "ipopt", tolerance=1e-9, seed=1)
    assert done.adjoint is not None
    ours = estimate_layers(objective, done.theta)
    theirs = estimate_layers(objective, done.theta, done.adjoint)
    assert ours.stationary
    assert ours.indicators.any()
    np.testing.assert_allclose(theirs.indicators, ours.indicators, atol=1e-9)
    np.testing.assert_allclose(theirs.freedom, ours.freedom, rtol=1e-3, atol=1e-12)


def test_estimate_of_optimal_weights_foretells_the_optimum_of_fine_layers() -> None:
    """The control part is zero at stationarity: η then estimate min J of the flow, less min J_h."""
    objective, _ = small("residual", "layers", "logistic", "pad", samples=40, penalty=0.05)
    values, estimates = [], []
    network = replace(objective.network, mesh=cc.Mesh.uniform(0.0, 3.0, 4), basis=None)
    theta = network.initial(0)
    for _ in range(5):
        current = replace(objective, network=network)
        theta = train(current, "lbfgs", theta, iterations=400, tolerance=1e-8).theta
        estimate = estimate_layers(current, theta, tolerance=1e-6)
        assert estimate.stationary, estimate
        values.append(estimate.value)
        estimates.append(estimate.error)
        network, theta = bisect(network, theta, range(network.layers))
    exact = 2.0 * values[-1] - values[-2]
    indices = np.array(estimates[:-1]) / (exact - np.array(values[:-1]))
    np.testing.assert_allclose(indices, 1.0, atol=0.1)
    assert abs(indices[-1] - 1.0) < 0.3 * abs(indices[0] - 1.0)


@pytest.mark.parametrize("kind", BLOCKS)
def test_split_gradient_against_finite_differences(kind: str) -> None:
    """Weights added to one half of a layer and taken from the other, downstream frozen."""
    objective, theta = small(kind, "layers", "squared")
    network, done = objective.network, objective.evaluate(theta)
    halves, P = Halves(network, done), objective.adjoint(theta)
    d, n = network.width, 1
    rng = np.random.default_rng(0)
    dK, db = rng.standard_normal((d, d)), rng.standard_normal(d)
    finer, fine = bisect(network, theta, range(network.layers))
    K, b = finer.stage_weights(fine)

    def value(size: Array) -> Array:
        x = done.states[n]
        for half, sign in ((2 * n, 1.0), (2 * n + 1, -1.0)):
            change = sign * size[0]
            x = network.block.step(
                x, K[half] + change * dK, b[half] + change * db, finer.mesh.steps[half]
            )
        return np.asarray((P[n + 1] * x).sum())

    matrix, bias = halves.split_gradient(n, done.states[n], P[n + 1])
    expected = difference(value, np.zeros(1), np.ones(1), 1e-3)
    assert (matrix * dK).sum() + (bias * db).sum() == pytest.approx(float(expected), rel=1e-7)


def test_freedom_is_the_gradient_in_the_directions_that_bisection_adds() -> None:
    """On fine layers, against the reduced gradient of the network with one layer bisected."""
    objective, theta = smooth(60, LogisticLoss(), 2.0, 1.0)
    network, n = objective.network, 20
    finer, fine = bisect(network, theta, [n])
    gradient = replace(objective, network=finer).gradient(fine)
    rows = gradient[finer.slices["coefficients"]].reshape(-1, finer.row)
    expected = ((rows[n] - rows[n + 1]) ** 2).sum() / network.mesh.steps[n]
    assert estimate_layers(objective, theta).freedom[n] == pytest.approx(expected, rel=0.01)


def test_half_of_an_indicator_is_the_change_by_bisecting_that_layer() -> None:
    objective, theta = smooth(40, LogisticLoss(), 2.0, 1.0)
    estimate = estimate_layers(objective, theta)
    n = int(np.abs(estimate.indicators).argmax())
    network, fine = bisect(objective.network, theta, [n])
    change = replace(objective, network=network).value(fine) - estimate.value
    assert change == pytest.approx(0.5 * estimate.indicators[n], rel=0.1)


def test_stationarity_is_told() -> None:
    objective, theta = small("residual", "layers", "logistic", outputs=1)
    estimate = estimate_layers(objective, theta)
    assert not estimate.stationary
    assert estimate.stationarity == pytest.approx(np.linalg.norm(objective.gradient(theta)))
    assert "NOT STATIONARY" in repr(estimate)
    frame = estimate.to_frame()
    assert frame["error"].sum() == pytest.approx(estimate.error)
    assert estimate.corrected == estimate.value + estimate.error


@dataclass(frozen=True)
class Doubling(ResidualBlock.__mro__[1]):  # type: ignore[name-defined, misc]
    """A block that nobody knows the order of."""

    def step(self, x, K, b, h, arithmetic=None):  # type: ignore[no-untyped-def]
        return 2.0 * x

    def tangent(self, x, K, b, h, dx, dK, db):  # type: ignore[no-untyped-def]
        return 2.0 * dx

    def pullback(self, x, K, b, h, p):  # type: ignore[no-untyped-def]
        return 2.0 * p, []


def test_bad_requests() -> None:
    objective, theta = small("residual", "layers", "softmax")
    with pytest.raises(cc.InputError, match=r"no error estimator for the block Doubling"):
        estimate_layers(
            replace(objective, network=replace(objective.network, block=Doubling())), theta
        )
    with pytest.raises(cc.InputError, match="another network or other samples"):
        estimate_layers(objective, theta, np.zeros((2, 2, 2)))
    with pytest.raises(cc.InputError, match="unknown indicator 'curvature'; choose from error"):
        estimate_layers(objective, theta).of("curvature")
    linear = replace(
        objective, network=replace(objective.network, block=block("residual", "linear"))
    )
    with pytest.raises(cc.InputError, match="not finite at these weights"):
        estimate_layers(linear, np.full_like(theta, 1e150))


def test_softmax_and_an_opening_are_estimated() -> None:
    rng = np.random.default_rng(0)
    network = LayeredNetwork(4, 3, 3, cc.Mesh.uniform(0.0, 1.0, 30), lift="opening")
    samples = Samples(rng.standard_normal((50, 4)), np.arange(50) % 3)
    objective = Objective(network, samples, SoftmaxLoss())
    theta = network.initial(0)
    estimate = estimate_layers(objective, theta)
    assert estimate.effectivity(flow_value(objective, theta)) == pytest.approx(1.0, abs=0.05)
