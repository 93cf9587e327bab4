import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial import Chebyshev, Polynomial
from scipy.interpolate import BarycentricInterpolator

from collocode.numerics.scheme import (
    barycentric_weights,
    differentiation_matrix,
    integration_matrix,
    lagrange_matrix,
)


def chebyshev_nodes(degree):
    return 0.5 * (1.0 - np.cos(np.pi * np.arange(degree + 1) / degree))


@given(st.integers(1, 12), st.integers(0, 10_000))
def test_polynomials_are_reproduced_differentiated_and_integrated(degree, seed):
    rng = np.random.default_rng(seed)
    nodes = np.sort(rng.uniform(size=degree + 1)) + 0.3 * np.arange(degree + 1)
    nodes = (nodes - nodes[0]) / (nodes[-1] - nodes[0])
    polynomial = Polynomial(rng.normal(size=degree + 1))
    points = rng.uniform(size=7)
    # the conditioning of the points (Lebesgue's constant) is the only loss allowed
    matrix = lagrange_matrix(nodes, points)
    size = 1e-13 * np.abs(matrix).sum(axis=1).max() * np.abs(polynomial.coef).sum()
    assert np.abs(matrix @ polynomial(nodes) - polynomial(points)).max() <= 10 * size
    slopes = differentiation_matrix(nodes)
    error = np.abs(slopes @ polynomial(nodes) - polynomial.deriv()(nodes)).max()
    assert error <= 1e-13 * np.abs(slopes).sum(axis=1).max() * np.abs(polynomial.coef).sum()
    areas = integration_matrix(nodes, points) @ polynomial(nodes)
    assert np.abs(areas - polynomial.integ()(points)).max() <= 100 * size


def test_weights_match_their_definition_and_scipy():
    nodes = np.array([0.0, 0.2, 0.7, 1.0])
    by_hand = np.array([1.0 / np.prod(x - np.delete(nodes, j)) for j, x in enumerate(nodes)])
    np.testing.assert_allclose(barycentric_weights(nodes), by_hand / np.abs(by_hand).max())
    values, points = np.cos(3.0 * nodes), np.linspace(0.0, 1.0, 11)
    np.testing.assert_allclose(
        lagrange_matrix(nodes, points) @ values, BarycentricInterpolator(nodes, values)(points)
    )


def test_a_point_on_a_node_takes_the_nodes_value_exactly():
    nodes = chebyshev_nodes(20)
    np.testing.assert_array_equal(lagrange_matrix(nodes, nodes), np.eye(21))


@pytest.mark.parametrize("degree", [50, 200, 400])
def test_full_accuracy_at_degrees_in_the_hundreds(degree):
    nodes = chebyshev_nodes(degree)
    points = np.linspace(0.0, 1.0, 777)

    def function(t):
        return np.sin(20.0 * t) * np.exp(t)

    def slope(t):
        return (20.0 * np.cos(20.0 * t) + np.sin(20.0 * t)) * np.exp(t)

    assert np.abs(lagrange_matrix(nodes, points) @ function(nodes) - function(points)).max() < 1e-12
    error = np.abs(differentiation_matrix(nodes) @ function(nodes) - slope(nodes)).max()
    assert error < 1e-15 * degree**3  # rounding in differentiation grows as the square at best
    exact = Chebyshev.basis(degree, domain=[0.0, 1.0])  # oscillates as fast as the grid resolves
    assert np.abs(lagrange_matrix(nodes, points) @ exact(nodes) - exact(points)).max() < 1e-10
