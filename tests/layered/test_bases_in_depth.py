"""What a change of basis, block or trainer does and does not change in a network."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collocode import Chebyshev, Legendre, Mesh, Monomial
from collocode.errors import InputError
from collocode.layered import LayeredNetwork, Objective, forward, layered_program, predict, train
from collocode.numerics.bases import BSpline, Constant, Fourier, PiecewiseConstant
from tests.layered.cases import BASES, BLOCKS, SPAN, difference, small


def converted(
    network: LayeredNetwork, theta: np.ndarray, basis
) -> tuple[LayeredNetwork, np.ndarray]:
    """The network with its coefficients prolonged to another basis."""
    other = replace(network, basis=basis)
    opening, coefficients, readout = network.split(theta)
    moved = network.time_basis.prolong(basis) @ coefficients
    return other, np.concatenate([opening, moved.ravel(), readout])


@settings(deadline=None, max_examples=25)
@given(
    order=st.integers(0, 5),
    depth=st.floats(0.2, 20.0),
    kind=st.sampled_from(BLOCKS),
    seed=st.integers(0, 999),
    pair=st.permutations([Legendre, Monomial, Chebyshev]),
)
def test_polynomials_of_equal_degree_are_the_same_networks(order, depth, kind, seed, pair):
    from collocode.layered import block

    rng = np.random.default_rng(seed)
    mesh, span = Mesh.uniform(0.0, depth, 6), (0.0, depth)
    network = LayeredNetwork(2, 2, 3, mesh, pair[0](order, span), block(kind), lift="opening")
    size = network.time_basis.size
    scale = 1.0 / (1.0 + depth) ** np.arange(size) if pair[0] is Monomial else np.ones(size)
    theta = 0.3 * rng.standard_normal(network.n_weights)
    coefficients = theta[network.slices["coefficients"]].reshape(size, -1)
    coefficients *= scale[:, None]
    X = rng.standard_normal((4, 2))
    other, moved = converted(network, theta, pair[1](order, span))
    np.testing.assert_allclose(
        predict(other, moved, X), predict(network, theta, X), rtol=1e-7, atol=1e-8
    )


@pytest.mark.parametrize("kind", BLOCKS)
def test_the_objective_does_not_see_the_basis_either(kind):
    """Value and penalty are those of the function; gradients are related by the conversion."""
    objective, theta = small(kind, "legendre", lift="opening")
    network, where = objective.network, objective.network.slices["coefficients"]
    for basis in (Monomial(2, SPAN), Monomial(2, SPAN, unit=True), Chebyshev(2, SPAN)):
        other, moved = converted(network, theta, basis)
        twin = replace(objective, network=other)
        assert twin.value(moved) == pytest.approx(objective.value(theta), rel=1e-12)
        P = network.time_basis.prolong(basis)
        ours = objective.gradient(theta)[where].reshape(3, -1)
        theirs = twin.gradient(moved)[where].reshape(3, -1)
        np.testing.assert_allclose(P.T @ theirs, ours, atol=1e-11)


def test_a_richer_basis_starts_where_the_poorer_ended():
    objective, _ = small("residual", "constant", lift="opening", samples=20, penalty=1e-3)
    done = train(objective, "lbfgs", iterations=40)
    for basis in (
        Legendre(2, SPAN),
        BSpline((0.0, 1.5, 3.0), 2),
        PiecewiseConstant((0.0, 1.0, 3.0)),
    ):
        network, theta = converted(objective.network, done.theta, basis)
        richer = replace(objective, network=network)
        assert richer.value(theta) == pytest.approx(objective.value(done.theta), rel=1e-12)
        assert train(richer, "lbfgs", theta, iterations=40).objective < done.objective


def test_what_cannot_be_prolonged_is_refused():
    network = small("residual", "legendre")[0].network
    theta = network.initial()
    for basis in (Legendre(1, SPAN), Fourier(1, SPAN), Constant(SPAN), Legendre(2, (0.0, 2.0))):
        with pytest.raises(InputError, match="cannot be prolonged"):
            network.time_basis.prolong(basis)
    other, moved = converted(network, theta, Legendre(3, SPAN))
    assert predict(other, moved, np.ones((1, 3))) == pytest.approx(
        predict(network, theta, np.ones((1, 3)))
    )


@pytest.mark.parametrize("kind", BLOCKS)
def test_an_order_above_the_layers_is_refused(kind):
    network = small(kind, "legendre")[0].network
    most = network.layers if kind != "rk4" else 2 * network.layers + 1
    assert replace(network, basis=Legendre(most - 1, SPAN)).time_basis.size == most
    with pytest.raises(InputError, match="more than the 4 layers can tell apart; lower its order"):
        replace(network, basis=Legendre(most, SPAN))


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_basis_starts_from_the_same_network(kind):
    outputs = []
    for basis in BASES:
        network = small(kind, basis, lift="opening")[0].network
        X = np.random.default_rng(0).standard_normal((3, 4))
        outputs.append(predict(network, network.initial(7), X))
    np.testing.assert_allclose(outputs, [outputs[0]] * len(outputs), atol=1e-13)


@pytest.mark.parametrize("kind", BLOCKS[1:])
def test_simultaneous_and_reduced_gradients_in_every_basis(kind):
    """∇_θ f + J_θᵀ λ for λ = −P; the residual block is in `test_nlp`."""
    for basis in BASES:
        objective, theta = small(kind, basis, "squared", "opening", samples=3)
        nlp = layered_program(objective, theta)
        lam = nlp.multipliers(objective.adjoint(theta))
        gradient = np.asarray(nlp.functions.gradient(nlp.start, nlp.p)[1].full()).ravel()
        jacobian = np.asarray(nlp.functions.jacobian(nlp.start, nlp.p)[1].full())
        lagrangian = gradient + jacobian.T @ lam
        assert np.abs(lagrangian[nlp.layout.states]).max() < 1e-13, basis
        np.testing.assert_allclose(
            lagrangian[nlp.layout.weights], objective.gradient(theta), atol=1e-13, err_msg=basis
        )


@pytest.mark.parametrize("trainer", ["armijo", "barzilai-borwein", "lbfgs", "adam", "gauss-newton"])
def test_every_trainer_descends_in_every_basis_and_block(trainer):
    """What a trainer reports is the objective, and its gradient norm that of finite differences."""
    if trainer == "adam":
        pytest.importorskip("optax")
    # optax compiles anew for every number of weights
    bases = ("layers", "legendre", "monomial") if trainer == "adam" else BASES
    for kind, basis in itertools.product(BLOCKS, bases):
        objective, theta = small(kind, basis, samples=10, penalty=1e-2)
        done = train(objective, trainer, theta, iterations=4)
        assert done.objective == pytest.approx(objective.value(done.theta), rel=1e-12)
        assert done.objective < objective.value(theta), (kind, basis)
        norm = done.history["gradient_norm"].iloc[-1]
        gradient = objective.gradient(done.theta)
        assert norm == pytest.approx(np.linalg.norm(gradient), rel=1e-9)
        numeric = difference(objective.value, done.theta, gradient / norm, 1e-4)
        assert float(numeric) == pytest.approx(norm, rel=1e-5, abs=1e-8), (kind, basis)


def test_time_and_evaluations_are_counted_alike():
    objective, theta = small("residual", "legendre", samples=10)
    done = train(objective, "armijo", theta, iterations=5)
    assert done.evaluations >= 6
    assert done.gradients == 6
    assert len(forward(objective.network, theta, objective.samples.X)) == 5
    assert isinstance(objective, Objective)
