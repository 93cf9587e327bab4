"""Bases in time against NumPy's polynomials, SciPy's splines and quadrature."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.interpolate import BSpline as Spline

import collocode as cc
from collocode.numerics.bases import basis_from_dict, basis_to_dict

INTERVAL = (2.0, 7.0)
KNOTS = (2.0, 3.0, 3.5, 6.0, 7.0)
BASES = [
    cc.Constant(INTERVAL),
    cc.Monomial(3, INTERVAL),
    cc.Monomial(4, INTERVAL, unit=True),
    cc.Legendre(5, INTERVAL),
    cc.Chebyshev(4, INTERVAL),
    cc.Fourier(2, INTERVAL),
    cc.PiecewiseConstant(KNOTS),
    cc.BSpline(KNOTS, 1),
    cc.BSpline(KNOTS, 3),
]
every_basis = pytest.mark.parametrize("basis", BASES, ids=repr)
times = st.floats(*INTERVAL)


# ---- values ----------------------------------------------------------------------------------


def test_polynomials_are_numpys():
    t = np.linspace(*INTERVAL, 23)
    for kind, theirs in (
        (cc.Legendre, np.polynomial.Legendre),
        (cc.Chebyshev, np.polynomial.Chebyshev),
    ):
        for j in range(6):
            expected = theirs.basis(j, domain=INTERVAL)(t)
            np.testing.assert_allclose(kind(5, INTERVAL).values(t)[:, j], expected, atol=1e-13)
    for unit, variable in ((False, t - 2.0), (True, (t - 2.0) / 5.0)):
        values = cc.Monomial(4, INTERVAL, unit).values(t)
        np.testing.assert_allclose(values, variable[:, None] ** np.arange(5), rtol=1e-13)


def test_splines_are_scipys():
    for degree in (1, 2, 3):
        basis = cc.BSpline(KNOTS, degree)
        ends = [KNOTS[0]] * degree, [KNOTS[-1]] * degree
        knots = np.array([*ends[0], *KNOTS, *ends[1]])
        t = np.linspace(2.0, 6.999, 57)
        for j in range(basis.size):
            element = Spline.basis_element(knots[j : j + degree + 2], extrapolate=False)
            np.testing.assert_allclose(basis.values(t)[:, j], np.nan_to_num(element(t)), atol=1e-13)


def test_fourier_by_hand():
    values = cc.Fourier(1, (0.0, 4.0)).values([0.0, 1.0, 2.0])
    np.testing.assert_allclose(values, [[1, 1, 0], [1, 0, 1], [1, -1, 0]], atol=1e-15)


def test_a_jump_belongs_to_the_piece_that_begins_there_unless_the_left_one_is_asked_for():
    basis = cc.PiecewiseConstant((0.0, 1.0, 3.0))
    np.testing.assert_array_equal(basis.active([0.0, 1.0, 3.0])[0].ravel(), [0, 1, 1])
    np.testing.assert_array_equal(basis.active([0.0, 1.0, 3.0], left=True)[0].ravel(), [0, 0, 1])
    rounded = [1.0 - 1e-15, 1.0 + 1e-15]  # where a collocation node may come to lie
    np.testing.assert_array_equal(basis.active(rounded)[0].ravel(), [1, 1])
    np.testing.assert_array_equal(basis.active(rounded, np.array([True, False]))[0].ravel(), [0, 1])


@every_basis
def test_active_functions_are_all_there_is(basis):
    t = np.linspace(*INTERVAL, 41)
    indices, values = basis.active(t)
    assert indices.shape == values.shape == (41, basis.support)
    table = basis.values(t)
    np.testing.assert_array_equal(np.take_along_axis(table, indices, axis=1), values)
    assert (np.count_nonzero(table, axis=1) <= basis.support).all()


@every_basis
@given(t=times)
def test_constant_is_the_function_one(basis, t):
    assert basis.values([t])[0] @ basis.constant() == pytest.approx(1.0, abs=1e-13)


@every_basis
def test_nodes_determine_the_coefficients(basis):
    nodes = basis.nodes()
    assert len(nodes) == basis.size
    assert np.linalg.matrix_rank(basis.values(nodes)) == basis.size


@every_basis
@given(data=st.data())
def test_a_function_within_bounds_at_the_probes_hardly_leaves_them(basis, data):
    c = np.array(data.draw(st.lists(st.floats(-1, 1), min_size=basis.size, max_size=basis.size)))
    probes = basis.probes()
    assert probes[0] == INTERVAL[0]
    assert probes[-1] == INTERVAL[1]
    assert len(probes) <= 4 * basis.size + len(KNOTS)
    largest = np.abs(basis.values(np.linspace(*INTERVAL, 400)) @ c).max()
    # a trigonometric polynomial of degree 2 exceeds its largest value at probes no more than h apart
    # by no more than 1 / cos(2 π h) = 1.152, h = sin(π / 38) of the interval (Ehlich and Zeller, 1964)
    assert largest <= 1.16 * np.abs(basis.values(probes) @ c).max() + 1e-9


@every_basis
def test_gram_matrix_is_the_integral_of_products(basis):
    breaks = np.array([*basis.interval, *basis.breaks])
    gram = np.zeros((basis.size, basis.size))
    for a, b in zip(np.sort(breaks), np.sort(breaks)[1:], strict=False):
        inside = np.nextafter(b, a)  # a jump at the end belongs to the next piece
        for i in range(basis.size):
            for j in range(i + 1):
                gram[i, j] += quad(
                    lambda t, i=i, j=j, e=inside: np.prod(basis.values([min(t, e)])[0][[i, j]]),
                    a,
                    b,
                )[0]
    gram = gram + np.tril(gram, -1).T
    np.testing.assert_allclose(basis.gram(), gram, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(basis.mean_square(), basis.gram() / 5.0)
    assert basis.constant() @ basis.mean_square() @ basis.constant() == pytest.approx(1.0)


def test_what_conditioning_tells_the_polynomials_apart():
    order, interval = 6, (0.0, 10.0)
    condition = {
        name: np.linalg.cond(cc.basis(name, order, interval).gram())
        for name in ("legendre", "chebyshev", "monomial-unit", "monomial")
    }
    assert condition["legendre"] == pytest.approx(2 * order + 1)
    assert condition["chebyshev"] < 1e3 < 1e8 < condition["monomial-unit"] < condition["monomial"]


# ---- prolongation ----------------------------------------------------------------------------

CONTAINED = [
    (cc.Monomial(3, INTERVAL), cc.Legendre(3, INTERVAL)),
    (cc.Legendre(3, INTERVAL), cc.Monomial(3, INTERVAL)),
    (cc.Monomial(2, INTERVAL), cc.Monomial(3, INTERVAL, unit=True)),
    (cc.Legendre(2, INTERVAL), cc.Chebyshev(6, INTERVAL)),
    (cc.Legendre(3, INTERVAL), cc.BSpline(KNOTS, 3)),
    (cc.BSpline(KNOTS, 2), cc.BSpline(cc.Mesh(KNOTS).bisect([0, 2]), 2)),
    (cc.BSpline((2.0, 7.0), 3), cc.Legendre(3, INTERVAL)),
    (cc.PiecewiseConstant(KNOTS), cc.PiecewiseConstant(cc.Mesh(KNOTS).bisect(range(4)))),
    (cc.Fourier(1, INTERVAL), cc.Fourier(3, INTERVAL)),
    *((cc.Constant(INTERVAL), basis) for basis in BASES),
    *((basis, basis) for basis in BASES),
]


@pytest.mark.parametrize(("coarse", "fine"), CONTAINED, ids=repr)
@given(data=st.data(), t=times)
def test_prolongation_gives_the_same_function(coarse, fine, data, t):
    c = np.array(data.draw(st.lists(st.floats(-1, 1), min_size=coarse.size, max_size=coarse.size)))
    same = coarse.prolong(fine) @ c
    value = coarse.values([t])[0] @ c
    assert fine.values([t])[0] @ same == pytest.approx(value, abs=1e-9 * 5.0**3)


@given(order=st.integers(0, 8), c=st.lists(st.floats(-1, 1), min_size=9, max_size=9), t=times)
def test_legendre_and_monomials_of_one_order_are_one_space(order, c, t):
    legendre, monomial = cc.Legendre(order, INTERVAL), cc.Monomial(order, INTERVAL)
    given_ = np.array(c[: order + 1])
    there = legendre.prolong(monomial) @ given_
    back = monomial.prolong(legendre) @ there
    assert monomial.values([t])[0] @ there == pytest.approx(
        legendre.values([t])[0] @ given_, abs=1e-8
    )
    np.testing.assert_allclose(back, given_, atol=1e-8)


REFUSED = [
    (cc.Legendre(3, INTERVAL), cc.Legendre(2, INTERVAL), "P3"),
    (cc.Legendre(1, INTERVAL), cc.PiecewiseConstant(KNOTS), "P1"),
    (cc.PiecewiseConstant(KNOTS), cc.Legendre(9, INTERVAL), "L0"),
    (cc.PiecewiseConstant(KNOTS), cc.PiecewiseConstant((2.0, 3.1, 7.0)), "L0"),
    (cc.BSpline(KNOTS, 3), cc.BSpline((2.0, 3.0, 7.0), 3), "B1"),
    (cc.Fourier(2, INTERVAL), cc.Fourier(1, INTERVAL), "cos2"),
    (cc.Fourier(1, INTERVAL), cc.Legendre(12, INTERVAL), "cos1"),
    (cc.Legendre(1, INTERVAL), cc.Legendre(2, (0.0, 7.0)), "intervals differ"),
]


@pytest.mark.parametrize(("basis", "other", "culprit"), REFUSED, ids=repr)
def test_what_is_not_contained_is_refused_and_both_are_named(basis, other, culprit):
    with pytest.raises(cc.InputError, match=culprit) as caught:
        basis.prolong(other)
    assert repr(basis) in str(caught.value)
    assert repr(other) in str(caught.value)


# ---- as values -------------------------------------------------------------------------------


@every_basis
def test_bases_are_values(basis):
    again = basis_from_dict(json.loads(json.dumps(basis_to_dict(basis))))
    assert again == basis == pickle.loads(pickle.dumps(basis))
    assert hash(again) == hash(basis)
    assert len(set(basis.names())) == basis.size
    assert sum(other == basis for other in BASES) == 1


def test_every_name_makes_a_basis():
    for name in cc.basis_names():
        assert isinstance(cc.basis(name, order=2, interval=(0.0, 3.0)), cc.Basis)
    assert cc.basis("Monomial_Unit", 2) == cc.Monomial(2, unit=True)
    assert cc.basis("layers", points=[0.0, 1.0, 4.0]) == cc.PiecewiseConstant((0.0, 1.0, 4.0))
    assert cc.basis("bspline", order=2, interval=(0.0, 1.0), pieces=3).size == 5


BAD = [
    (
        lambda: cc.Legendre(-1, INTERVAL),
        "order of Legendre must be an integer of at least 0, not -1",
    ),
    (lambda: cc.Chebyshev(1.5), "order of Chebyshev"),
    (lambda: cc.Monomial(True), "order of Monomial"),
    (lambda: cc.Fourier(-2), "harmonics"),
    (lambda: cc.Legendre(2, (1.0, 1.0)), "start < end"),
    (lambda: cc.Legendre(2, (0.0, np.inf)), "finite"),
    (lambda: cc.Legendre(2, 5.0), "two numbers"),
    (lambda: cc.BSpline((0.0, 1.0), 0), "use PiecewiseConstant"),
    (lambda: cc.BSpline((0.0, 2.0, 1.0)), "BSpline: mesh points 1 and 2 do not increase"),
    (lambda: cc.PiecewiseConstant((0.0,)), "at least two points"),
    (lambda: cc.basis("legendr"), "did you mean 'legendre'"),
    (lambda: cc.basis("legendre", order=-3), "at least 0"),
    (lambda: cc.basis("layers", pieces=0), "positive integer"),
    (lambda: basis_from_dict({"kind": "os.system"}), "there is no basis"),
    (lambda: basis_from_dict({"kind": "Legendre", "degree": 2}), "there is no basis"),
    (lambda: cc.Legendre(2, INTERVAL).values([7.1]), "time 7.1 lies outside the interval"),
    (lambda: cc.PiecewiseConstant(KNOTS).values([np.nan]), "time nan lies outside"),
]


@pytest.mark.parametrize(("act", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_named(act, message):
    with pytest.raises(cc.InputError, match=message):
        act()


def test_rounding_beyond_the_interval_is_forgiven():
    for basis in BASES:
        np.testing.assert_allclose(basis.values([7.0 + 1e-12]), basis.values([7.0]), atol=1e-9)
