import numpy as np
import pytest
from numpy.polynomial import Polynomial

from collocode import InputError, Scheme, scheme, scheme_names
from tests.methods import FEW, GLOBAL, LOCAL

R3, R5, R6, R15 = np.sqrt([3.0, 5.0, 6.0, 15.0])
# Hairer & Wanner, Solving ODEs II, tables IV.5.1 to IV.5.13
BUTCHER = {
    ("implicit_euler", 1): ([[1.0]], [1.0], [1.0]),
    ("explicit_euler", 1): ([[0.0]], [1.0], [0.0]),
    ("radau", 1): ([[1.0]], [1.0], [1.0]),
    ("radau", 2): ([[5 / 12, -1 / 12], [3 / 4, 1 / 4]], [3 / 4, 1 / 4], [1 / 3, 1.0]),
    ("radau", 3): (
        [
            [(88 - 7 * R6) / 360, (296 - 169 * R6) / 1800, (-2 + 3 * R6) / 225],
            [(296 + 169 * R6) / 1800, (88 + 7 * R6) / 360, (-2 - 3 * R6) / 225],
            [(16 - R6) / 36, (16 + R6) / 36, 1 / 9],
        ],
        [(16 - R6) / 36, (16 + R6) / 36, 1 / 9],
        [(4 - R6) / 10, (4 + R6) / 10, 1.0],
    ),
    ("gauss", 1): ([[0.5]], [1.0], [0.5]),
    ("gauss", 2): (
        [[1 / 4, 1 / 4 - R3 / 6], [1 / 4 + R3 / 6, 1 / 4]],
        [1 / 2, 1 / 2],
        [1 / 2 - R3 / 6, 1 / 2 + R3 / 6],
    ),
    ("gauss", 3): (
        [
            [5 / 36, 2 / 9 - R15 / 15, 5 / 36 - R15 / 30],
            [5 / 36 + R15 / 24, 2 / 9, 5 / 36 - R15 / 24],
            [5 / 36 + R15 / 30, 2 / 9 + R15 / 15, 5 / 36],
        ],
        [5 / 18, 4 / 9, 5 / 18],
        [1 / 2 - R15 / 10, 1 / 2, 1 / 2 + R15 / 10],
    ),
    ("lobatto_iiic", 2): ([[1 / 2, -1 / 2], [1 / 2, 1 / 2]], [1 / 2, 1 / 2], [0.0, 1.0]),
    ("lobatto_iiic", 3): (
        [[1 / 6, -1 / 3, 1 / 6], [1 / 6, 5 / 12, -1 / 12], [1 / 6, 2 / 3, 1 / 6]],
        [1 / 6, 2 / 3, 1 / 6],
        [0.0, 0.5, 1.0],
    ),
    ("lobatto_iiic", 4): (
        [
            [1 / 12, -R5 / 12, R5 / 12, -1 / 12],
            [1 / 12, 1 / 4, (10 - 7 * R5) / 60, R5 / 60],
            [1 / 12, (10 + 7 * R5) / 60, 1 / 4, -R5 / 60],
            [1 / 12, 5 / 12, 5 / 12, 1 / 12],
        ],
        [1 / 12, 5 / 12, 5 / 12, 1 / 12],
        [0.0, 1 / 2 - R5 / 10, 1 / 2 + R5 / 10, 1.0],
    ),
    ("trapezoid", 2): ([[0, 0], [1 / 2, 1 / 2]], [1 / 2, 1 / 2], [0.0, 1.0]),
    ("hermite_simpson", 3): (
        [[0, 0, 0], [5 / 24, 1 / 3, -1 / 24], [1 / 6, 2 / 3, 1 / 6]],
        [1 / 6, 2 / 3, 1 / 6],
        [0.0, 0.5, 1.0],
    ),
}


@pytest.mark.parametrize("key", BUTCHER, ids=lambda key: f"{key[0]}-{key[1]}")
def test_butcher_tables_are_the_textbooks(key):
    for ours, theirs in zip(scheme(*key).butcher, BUTCHER[key], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-14)


@pytest.mark.parametrize("method", LOCAL, ids=str)
def test_derived_orders_are_the_theorems(method):
    found = scheme(method.name, method.degree)
    assert found.order == method.order
    if method.name != "explicit_euler":  # its one stage is the mesh point itself
        assert found.stage_order == method.stage_order
    assert found.dense_order == method.dense


@pytest.mark.parametrize("method", LOCAL, ids=str)
def test_rows_hold_exactly_for_polynomials_up_to_the_stage_order(method):
    chosen = scheme(method.name, method.degree)
    for k in range(method.stage_order + 1):
        power = Polynomial([0.0] * k + [1.0])
        row = chosen.D @ power(chosen.nodes) - chosen.B @ power.deriv()(chosen.nodes)
        assert np.abs(row).max() < 1e-11, k
    beyond = Polynomial([0.0] * (method.stage_order + 1) + [1.0])
    row = chosen.D @ beyond(chosen.nodes) - chosen.B @ beyond.deriv()(chosen.nodes)
    assert np.abs(row).max() > 1e-6  # and for no more, or the theory of the table is wrong


@pytest.mark.parametrize("method", LOCAL, ids=str)
def test_quadrature_is_exact_to_the_order_and_no_further(method):
    chosen = scheme(method.name, method.degree)
    moments = [chosen.weights @ chosen.nodes**k for k in range(method.order + 1)]
    exact = 1.0 / np.arange(1.0, method.order + 2.0)
    np.testing.assert_allclose(moments[:-1], exact[:-1], atol=1e-13)
    assert abs(moments[-1] - exact[-1]) > 1e-13
    assert chosen.weights.min() >= 0.0


@pytest.mark.parametrize("method", LOCAL, ids=str)
def test_interpolation_reproduces_polynomials_and_hits_the_nodes(method):
    chosen = scheme(method.name, method.degree)
    tau = np.linspace(0.0, 1.0, 23)
    matrix = chosen.interpolation(tau)
    for k in range(len(chosen.dense)):
        np.testing.assert_allclose(matrix @ chosen.nodes**k, tau**k, atol=1e-10)
    rows = chosen.interpolation(chosen.nodes[[0, *chosen.dense, -1]])
    values = np.arange(len(chosen.nodes), dtype=float)
    np.testing.assert_array_equal(rows @ values, values[[0, *chosen.dense, -1]])


@pytest.mark.parametrize("method", LOCAL, ids=str)
def test_linear_stability_is_the_familys(method):
    a, b, _ = scheme(method.name, method.degree).butcher

    def growth(z):
        return 1.0 + z * b @ np.linalg.solve(np.eye(len(b)) - z * a, np.ones(len(b)))

    on_axis = np.array([abs(growth(1j * y)) for y in np.logspace(-2, 3, 40)])
    if method.name == "explicit_euler":
        assert on_axis.min() > 1.0
    elif method.name in ("radau", "implicit_euler", "lobatto_iiic"):
        assert on_axis.max() <= 1.0 + 1e-12  # A-stable
        assert abs(growth(-1e9)) < 1e-6  # and L-stable
    else:
        np.testing.assert_allclose(on_axis, 1.0, atol=1e-9)  # symmetric: neither damps nor grows
        assert abs(growth(-10.0)) < 1.0
    z = -0.1
    defect = abs(growth(z) - np.exp(z))
    assert defect < max(2.0 * abs(z) ** (method.order + 1), 1e-15)


@pytest.mark.parametrize("name", GLOBAL)
@pytest.mark.parametrize("degree", [2, 3, 20, 60, 200])
def test_global_grids_are_exact_on_polynomials_of_their_degree(name, degree):
    chosen = scheme(name, degree)
    tau = np.linspace(0.0, 1.0, 301)
    for k in (0, 1, degree // 2, degree):
        power = np.polynomial.Chebyshev.basis(k, domain=[0.0, 1.0])
        row = chosen.D @ power(chosen.nodes) - chosen.B @ power.deriv()(chosen.nodes)
        assert np.abs(row).max() <= 1e-13 * degree**4
        assert np.abs(chosen.interpolation(tau) @ power(chosen.nodes) - power(tau)).max() < 1e-10
    moments = chosen.weights @ np.cos(3.0 * chosen.nodes)
    if degree >= 20:
        assert moments == pytest.approx(np.sin(3.0) / 3.0, abs=1e-12)


def test_classics_are_members_of_their_families():
    for classic, member in (
        (("implicit_euler",), ("radau", 1)),
        (("trapezoid",), ("lobatto", 2)),
        (("hermite_simpson",), ("lobatto", 3)),
        (("legendre_radau", 5), ("radau", 5)),
        (("legendre_gauss", 5), ("gauss", 5)),
    ):
        one, other = scheme(*classic), scheme(*member)
        np.testing.assert_array_equal(one.D, other.D)
        np.testing.assert_array_equal(one.B, other.B)


def test_names_are_forgiving_and_defaults_are_stated():
    assert scheme("Hermite-Simpson").name == "hermite_simpson"
    assert scheme().name == "radau"
    assert scheme().degree == 3
    assert {name for name, _ in FEW} <= set(scheme_names())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("radua", 3), "unknown scheme 'radua'; did you mean 'radau'"),
        (("zzz", 3), "choose from radau, gauss"),
        (("radau", 0), "scheme 'radau' has no degree 0; choose 1 to 9"),
        (("radau", 10), "choose 1 to 9"),
        (("radau", 2.5), "has no degree 2.5"),
        (("radau", True), "has no degree True"),
        (("radau", "three"), "has no degree three"),
        (("radau", np.nan), "has no degree nan"),
        (("trapezoid", 3), "choose 2"),
        (("chebyshev", 401), "choose 2 to 400"),
    ],
)
def test_unknown_names_and_degrees_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        scheme(*arguments)


ONE = np.array([[-1.0, 1.0]]), np.array([[1.0, 0.0]])


def own(nodes, D, B, dense=(0, 1)):
    return Scheme(name="mine", degree=1, nodes=np.array(nodes), D=D, B=B, dense=dense)


@pytest.mark.parametrize(
    ("nodes", "d", "b", "message"),
    [
        ([0.0, 0.9], *ONE, "start at 0 and end at 1"),
        ([0.0], *ONE, "start at 0 and end at 1"),
        ([0.0, 0.5, 0.5, 1.0], np.zeros((3, 4)), np.zeros((3, 4)), "increase strictly"),
        ([0.0, 0.0, 0.0, 1.0], np.zeros((3, 4)), np.zeros((3, 4)), "the second may be 0 too"),
        ([0.0, 0.0, 1.0], np.zeros((2, 3)), np.zeros((2, 3)), "dense names two nodes at 0"),
        ([0.0, 1.0], np.array([[-1.0, 1.0, 0.0]]), ONE[1], "D has shape"),
        ([0.0, 1.0], ONE[0], np.zeros((2, 2)), "B has shape"),
        ([0.0, 1.0], np.array([[-1.0, 1.1]]), ONE[1], "rows of D must sum to zero"),
        ([0.0, 1.0], ONE[0], np.array([[0.5, 0.4]]), "row sums of B"),
    ],
)
def test_a_scheme_checks_itself(nodes, d, b, message):
    with pytest.raises(InputError, match=message):
        own(nodes, d, b)


@pytest.mark.parametrize("dense", [(), (0, 2), (-1, 0)])
def test_the_interpolant_uses_nodes_that_exist(dense):
    with pytest.raises(InputError, match="dense must name nodes 0 to 1"):
        own([0.0, 1.0], *ONE, dense=dense)


def test_a_scheme_of_ones_own_gets_its_order_derived():
    # the midpoint rule as two rows: X1 = X0 + h/2 f(X1), X2 = X0 + h f(X1)
    D = np.array([[-2.0, 2.0, 0.0], [-1.0, 0.0, 1.0]])
    B = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    mine = own([0.0, 0.5, 1.0], D, B)
    assert (mine.order, mine.stage_order) == (2, 1)
    np.testing.assert_allclose(mine.butcher[0], [[0.5]])
