"""The simultaneous problem: derivatives, multipliers as adjoint, agreement with the reduced one."""

from __future__ import annotations

import numpy as np
import pytest

from collocode import InputError
from collocode.layered import Objective, Simultaneous, layered_program, train
from tests.layered.cases import BASES, BLOCKS, LIFTS, LOSSES, difference, small


def dense(matrix: object) -> np.ndarray:
    return np.asarray(matrix.full())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "basis"),
    [*(("residual", basis) for basis in BASES), *((kind, "bspline") for kind in BLOCKS[1:])],
)
def test_the_start_is_feasible_and_its_multipliers_give_the_reduced_gradient(
    kind: str, basis: str
) -> None:
    """∇_x f + J_xᵀ λ = 0 for λ = −P, and then ∇_θ f + J_θᵀ λ is the reduced gradient."""
    for lift, loss in zip([*LIFTS, "none"], LOSSES, strict=True):
        objective, theta = small(kind, basis, loss, lift)
        nlp = layered_program(objective, theta)
        x = nlp.start
        assert nlp.violation(x).max() < 1e-14
        assert nlp.objective(x) == pytest.approx(objective.value(theta), rel=1e-13)
        np.testing.assert_array_equal(nlp.theta(x), theta)
        lam = nlp.multipliers(objective.adjoint(theta))
        np.testing.assert_array_equal(nlp.adjoint(lam), objective.adjoint(theta))
        gradient = dense(nlp.functions.gradient(x, nlp.p)[1]).ravel()
        jacobian = dense(nlp.functions.jacobian(x, nlp.p)[1])
        lagrangian = gradient + jacobian.T @ lam
        assert np.abs(lagrangian[nlp.layout.states]).max() < 1e-13
        np.testing.assert_allclose(
            lagrangian[nlp.layout.weights], objective.gradient(theta), atol=1e-13
        )


@pytest.mark.parametrize(
    ("kind", "basis"), [("residual", "layers"), ("rk4", "bspline"), ("hamiltonian", "legendre")]
)
def test_hessian(kind: str, basis: str) -> None:
    objective, theta = small(kind, basis, "softmax", "opening", samples=3)
    nlp = layered_program(objective, theta)
    rng = np.random.default_rng(0)
    lam, v = rng.standard_normal(nlp.rows), rng.standard_normal(nlp.columns)
    upper = dense(nlp.functions.hessian(nlp.start, nlp.p, 2.0, lam))
    full = upper + np.triu(upper, 1).T

    def slope(x: np.ndarray) -> np.ndarray:
        gradient = dense(nlp.functions.gradient(x, nlp.p)[1]).ravel()
        return 2.0 * gradient + dense(nlp.functions.jacobian(x, nlp.p)[1]).T @ lam

    np.testing.assert_allclose(full @ v, difference(slope, nlp.start, v, 1e-4), atol=1e-7)


def test_weights_of_layers_enter_their_own_rows_only() -> None:
    objective, theta = small(basis="layers")
    nlp, network = layered_program(objective, theta), objective.network
    pattern = dense(nlp.functions.jacobian(nlp.start, nlp.p)[1]) != 0.0
    columns = nlp.layout.weights[network.slices["coefficients"]].reshape(network.layers, -1)
    for n in range(network.layers):
        touched = np.flatnonzero(pattern[:, columns[n]].any(axis=1))
        assert set(touched) <= set(nlp.layout.steps[:, n].ravel())


@pytest.mark.parametrize("interface", ["casadi", "cyipopt"])
@pytest.mark.parametrize(
    ("kind", "loss", "lift"),
    [("residual", "logistic", "pad"), ("hamiltonian", "squared", "opening")],
)
def test_multipliers_are_the_discrete_adjoint(
    kind: str, loss: str, lift: str, interface: str
) -> None:
    if interface == "cyipopt":
        pytest.importorskip("cyipopt")
    objective, _ = small(kind, "layers", loss, lift, samples=20, penalty=0.05)
    done = train(objective, Simultaneous(interface=interface), seed=1, tolerance=1e-9)
    assert done.success, str(done)
    P = objective.adjoint(done.theta)
    assert np.abs(P).max() > 1e-3
    np.testing.assert_allclose(done.adjoint, P, atol=1e-8)
    assert np.abs(objective.gradient(done.theta)).max() < 1e-7


def test_frozen_weights_stay() -> None:
    objective, theta = small(lift="opening", samples=20)
    network = objective.network
    frozen = network.mask("opening", "readout")
    part = Objective(network, objective.samples, objective.loss, objective.regularisation, frozen)
    for trainer in ("ipopt", "lbfgs", "gauss-newton"):
        done = train(part, trainer, theta, tolerance=1e-7, iterations=300)
        np.testing.assert_allclose(done.theta[frozen], theta[frozen], atol=1e-12)
        assert np.abs(done.theta - theta).max() > 0.01
        assert done.objective < part.value(theta)


def test_a_warm_start_at_the_solution_is_short() -> None:
    objective, _ = small("residual", "legendre", "logistic", "pad", samples=20)
    first = train(objective, "ipopt", tolerance=1e-9)
    options = {"warm_start_init_point": "yes", "mu_init": 1e-9}
    again = train(objective, Simultaneous(options, warm=True), 1.001 * first.theta, tolerance=1e-8)
    assert again.success
    assert again.iterations <= 4 < first.iterations


def test_kinks_are_refused() -> None:
    objective, theta = small(activation="relu")
    assert layered_program(objective, theta).kinks == ("the block uses relu",)
    with pytest.raises(InputError, match="the block uses relu, whose kinks"):
        train(objective, "ipopt", theta)
    with pytest.raises(InputError, match="unknown interface 'pyomo'"):
        Simultaneous(interface="pyomo")
