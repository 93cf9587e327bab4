"""Networks and parameters that vary in time, as descriptions and as expressions."""

import itertools

import casadi as ca
import numpy as np
import pytest

import collocode as cc
from collocode.model.varying import Block, basis_symbols, penalty_matrix, penalty_root, prolongation
from tests.numerics.test_bases import BASES, INTERVAL, KNOTS, every_basis

MLP = cc.MLP((2, 3, 1))


@every_basis
def test_expressions_of_a_basis_are_its_values(basis):
    t = np.sort(np.append(np.linspace(*INTERVAL, 40), KNOTS))
    symbol = ca.SX.sym("t")
    column = basis_symbols(basis, symbol)
    found = ca.Function("phi", [symbol], [ca.densify(column)])(t[None, :])
    np.testing.assert_allclose(np.asarray(found).T, basis.values(t), atol=1e-12)


@every_basis
def test_initial_weights_are_the_networks_own_at_every_time(basis):
    network = cc.TimeVarying(MLP, basis)
    coefficients = network.initial_weights(seed=4)
    assert len(coefficients) == network.n_weights == MLP.n_weights * basis.size
    for t in np.linspace(*INTERVAL, 7):
        np.testing.assert_allclose(network.at(t, coefficients), MLP.initial_weights(4), atol=1e-13)


def test_names_say_weight_and_function():
    names = cc.TimeVarying(MLP, cc.Legendre(2, INTERVAL)).weight_names()
    assert names[:2] == ["W1[0,0].P0", "W1[1,0].P0"]
    assert names[-1] == "b2[0].P2"
    assert len(set(names)) == len(names)
    assert cc.Parameter("c", 1.0, basis=cc.PiecewiseConstant(KNOTS)).names[-1] == "c.L3"
    assert cc.Parameter("c", 1.0).names == ("c",)


@every_basis
def test_penalty_is_the_mean_square_over_time(basis):
    rng = np.random.default_rng(0)
    blocks = [Block(3, basis), Block(2, None)]
    c, plain = rng.normal(size=(basis.size, 3)), rng.normal(size=2)
    theta = np.append(c.ravel(), plain)
    edges = np.unique([*INTERVAL, *basis.breaks])
    nodes, weights = np.polynomial.legendre.leggauss(30)
    integral = 0.0
    for a, b in itertools.pairwise(edges):
        values = basis.values(a + 0.5 * (b - a) * (nodes + 1.0)) @ c
        integral += 0.5 * (b - a) * weights @ (values**2).sum(axis=1)
    expected = integral / 5.0 + plain @ plain
    M, root = penalty_matrix(blocks), penalty_root(blocks)
    assert theta @ M @ theta == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose((root @ root).toarray(), M.toarray(), atol=1e-9 * abs(M).max())


def test_constant_basis_and_plain_weights_have_one_penalty():
    M = penalty_matrix([Block(4, cc.Constant(INTERVAL))])
    np.testing.assert_array_equal(M.toarray(), np.eye(4))


def test_prolongation_knows_what_does_not_vary():
    legendre = cc.Legendre(2, INTERVAL)
    np.testing.assert_array_equal(prolongation(None, None, "it"), [[1.0]])
    np.testing.assert_array_equal(prolongation(None, legendre, "it"), [[1.0], [0.0], [0.0]])
    with pytest.raises(cc.InputError, match="network 'nn' varies in time"):
        prolongation(legendre, None, "network 'nn'")
    with pytest.raises(cc.InputError, match=r"parameter .c.: .*P2 is not among them"):
        prolongation(legendre, cc.Legendre(1, INTERVAL), "parameter 'c'")


def test_bad_descriptions_are_refused():
    with pytest.raises(cc.InputError, match="TimeVarying needs a basis, such as"):
        cc.TimeVarying(MLP, 3)
    with pytest.raises(cc.InputError, match="TimeVarying needs an MLP, not TimeVarying"):
        cc.TimeVarying(cc.TimeVarying(MLP, BASES[0]), BASES[0])
    with pytest.raises(cc.InputError, match="parameter 'c' needs a basis"):
        cc.Parameter("c", 1.0, basis="legendre")


def test_an_interval_has_to_cover_every_experiment():
    t = np.linspace(0.0, 4.0, 9)
    data = cc.Experiment(t, np.exp(-t), ("y",), name="run")
    later = cc.Experiment(t + 2.0, np.exp(-t), ("y",), name="later")

    def problem(end, **options):
        c = cc.Parameter("c", 1.0, basis=cc.Legendre(1, (0.0, end)))
        return cc.Problem(
            cc.Dynamics(lambda t, x, u, p, nn: [-p.c * x.y], parameters=[c]), data, **options
        )

    assert problem(4.0).varies_in_time
    with pytest.raises(cc.InputError, match=r"covers \[0, 3\], but experiment 'run' runs over"):
        problem(3.0)
    with pytest.raises(cc.InputError, match="experiment 'later' runs over"):
        problem(4.0, test=later)
