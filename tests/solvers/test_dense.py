"""Few rows as one dense matrix, by a kernel: what NumPy's own way and LAPACK make of it."""

import numpy as np
import pytest

from collocode import kernels
from collocode.solvers.chains.arrow import Arrow
from collocode.solvers.chains.dense import Dense

pytestmark = pytest.mark.skipif(kernels.library() is None, reason="no kernels are compiled")
N = 23  # of the border


def arrow(chains: int, states: int, lowest: float) -> Arrow:
    rng = np.random.default_rng(chains)
    D, W = rng.normal(size=(chains, states, states)), rng.normal(size=(chains, states, N))
    S = rng.normal(size=(N, N))
    made = Arrow(D @ D.swapaxes(1, 2), W, S + S.T)
    least = np.linalg.eigvalsh(made.dense())[0]
    raised = Arrow(
        made.D + (lowest - least) * np.eye(states), W, made.S + (lowest - least) * np.eye(N)
    )
    raised.S[np.tril_indices(N, -1)] = np.nan  # does not count
    return raised


@pytest.mark.parametrize(("chains", "states"), [(0, 2), (1, 2), (4, 3)])
def test_factor_and_solution_are_those_of_the_blocks(chains, states):
    A = arrow(chains, states, -0.5)
    dense, rng = Dense(kernels.library(), A.size), np.random.default_rng(0)
    units, b = rng.normal(size=(5, N)), rng.normal(size=A.size)
    assert dense.cholesky(A) is None
    assert dense.cholesky(A, 0.5 * (1.0 - 1e-9)) is None
    for shift, rows in ((0.6, None), (0.6, units)):
        ours, blocks = dense.cholesky(A, shift, rows), A.cholesky(shift, rows)
        np.testing.assert_allclose(ours.solve(b), blocks.solve(b), rtol=1e-9)
        matrix = A.dense() + shift * np.eye(A.size)
        matrix[-N:, -N:] += 0.0 if rows is None else shift * rows.T @ rows
        np.testing.assert_allclose(matrix @ ours.solve(b), b, atol=1e-10)


def test_a_number_that_is_none_is_no_pivot():
    A = arrow(2, 2, 1.0)
    dense = Dense(kernels.library(), A.size)
    assert A.finite
    assert dense.cholesky(A) is not None
    A.W[1, 0, 3] = np.nan
    assert not A.finite
    assert dense.cholesky(A) is None


@pytest.mark.parametrize("lowest", [-0.3, -1e-5])
def test_the_lowest_eigenvalue_of_minus_the_inverse_is_lapacks(lowest):
    A = arrow(2, 2, lowest)
    values, vectors = np.linalg.eigh(A.dense())
    dense = Dense(kernels.library(), A.size).cholesky(A, -2.0 * lowest)
    begin = np.full(A.size, A.size**-0.5)
    found, error, vector = dense.lowest_of_inverse(begin, 1e-3)
    exact = -1.0 / (values[0] - 2.0 * lowest)
    assert exact * (1.0 + 1e-8) <= found <= (1.0 - 1e-3) * exact
    assert found - error <= exact * (1.0 - 1e-8)
    assert abs(vector @ vectors[:, 0]) > 0.99
