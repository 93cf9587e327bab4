"""Regularisers of the consensus step, in the units of its entries."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

import collocode as cc
from collocode.coordination.variables import ConsensusVariables, consensus_regulariser
from collocode.model.varying import Block, penalty_matrix

PLAIN = penalty_matrix([Block(4, None)])
VARYING = penalty_matrix([Block(2, cc.Monomial(1, (0.0, 3.0)))])
UNITS = np.array([1.0, 1.0, 0.25, 0.5])


def test_plain_weights_keep_their_regulariser():
    for given in (cc.L1(0.1), cc.L2(0.1)):
        assert consensus_regulariser(given, PLAIN) is given
        assert consensus_regulariser(given, sparse.csr_matrix((0, 0))) is given


def test_the_integral_by_hand():
    # θ(t) = c₀ + c₁ t on [0, 3]: its mean square is c₀² + 3 c₀ c₁ + 3 c₁²
    regulariser = consensus_regulariser(cc.L2(0.5), VARYING)
    c = np.array([1.0, 0.0, 2.0, 0.0])
    assert regulariser.value(c) == pytest.approx(0.5 * (1.0 + 6.0 + 12.0))
    assert regulariser.strength == 0.5


def variables(scale):
    """Weights alone, in units, within bounds that none of them reaches."""
    n = len(scale)
    return ConsensusVariables(
        names=tuple(f"w{k}" for k in range(n)),
        columns=np.arange(n),
        scale=scale,
        lower=np.full(n, -9.0),
        upper=np.full(n, 9.0),
        states=0,
        shared=0,
        weights=n,
    )


@pytest.mark.parametrize("given", [cc.L1(0.3), cc.L2(0.3)], ids=str)
@pytest.mark.parametrize("matrix", [PLAIN, VARYING], ids=["plain", "varying"])
def test_value_and_prox_are_those_of_the_weights_in_their_own_units(given, matrix):
    regulariser, units = consensus_regulariser(given, matrix), variables(UNITS)
    v, step = np.array([1.0, -0.02, 0.6, 2.0]), np.array([0.7, 0.7, 0.4, 0.4])
    if isinstance(given, cc.L1):
        own = lambda z: given.value(UNITS * z)  # noqa: E731
    else:
        own = lambda z: 0.3 * (UNITS * z) @ (matrix @ (UNITS * z))  # noqa: E731
    assert units.penalty(regulariser, v) == pytest.approx(own(v))
    z = units.prox(regulariser)(v, step)

    def cost(z):
        return own(z) + np.sum((z - v) ** 2 / (2.0 * step))

    best = minimize(cost, z, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    assert cost(z) <= best.fun + 1e-12
    assert cost(z) < cost(v)
