import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collocode import InputError, Mesh

points = st.lists(
    st.floats(-1e3, 1e3).map(lambda v: round(v, 3)), min_size=2, max_size=12, unique=True
).map(sorted)


@given(points, st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_locate_is_the_inverse_of_placing(nodes, shares):
    mesh = Mesh(nodes)
    times = mesh.start + np.array(shares) * (mesh.end - mesh.start)
    times = np.clip(times, mesh.start, mesh.end)
    element, local = mesh.locate(times)
    assert ((element >= 0) & (element < mesh.elements)).all()
    assert ((local >= 0.0) & (local <= 1.0)).all()
    again = mesh.points[element] + local * mesh.steps[element]
    np.testing.assert_allclose(again, times, atol=1e-12 * max(1.0, np.abs(mesh.points).max()))


@given(points)
def test_an_inner_point_belongs_to_the_element_that_ends_there(nodes):
    mesh = Mesh(nodes)
    element, local = mesh.locate(mesh.points)
    np.testing.assert_array_equal(element, np.maximum(np.arange(-1, mesh.elements), 0))
    np.testing.assert_array_equal(local, [0.0] + [1.0] * mesh.elements)


@given(points, st.data())
def test_bisection_halves_the_marked_elements_only(nodes, data):
    mesh = Mesh(nodes)
    marked = data.draw(st.sets(st.integers(0, mesh.elements - 1)))
    fine = mesh.bisect(marked)
    assert fine.elements == mesh.elements + len(marked)
    assert set(mesh.points) <= set(fine.points)
    for e in range(mesh.elements):
        inside = (fine.points > mesh.points[e]) & (fine.points < mesh.points[e + 1])
        assert inside.sum() == (e in marked)
    np.testing.assert_array_equal(mesh.points, sorted(nodes))  # the coarse one is untouched


@given(points, st.data())
def test_division_cuts_every_element_into_equal_pieces(nodes, data):
    mesh = Mesh(nodes)
    pieces = data.draw(st.lists(st.integers(1, 5), min_size=mesh.elements, max_size=mesh.elements))
    fine = mesh.divide(pieces)
    assert fine.elements == sum(pieces)
    steps = np.split(fine.steps, np.cumsum(pieces)[:-1])
    for whole, parts in zip(mesh.steps, steps, strict=True):
        np.testing.assert_allclose(parts, whole / len(parts), atol=1e-12 * np.abs(nodes).max())
    assert set(mesh.points) <= set(fine.points)


@given(points, st.data())
def test_merging_takes_back_a_bisection_and_nothing_else(nodes, data):
    mesh = Mesh(nodes)
    marked = sorted(data.draw(st.sets(st.integers(0, mesh.elements - 1))))
    fine = mesh.bisect(marked)
    first_halves = [e + k for k, e in enumerate(marked)]
    np.testing.assert_array_equal(fine.merge(first_halves).points, mesh.points)
    np.testing.assert_array_equal(mesh.merge([]).points, mesh.points)


TIMES = st.lists(st.floats(0.0, 100.0), min_size=2, max_size=60, unique=True).map(sorted)


@given(TIMES, st.integers(1, 40))
def test_a_mesh_through_samples_follows_them_and_cuts_the_gaps(times, elements):
    mesh = Mesh.through(times, elements, 0.0, 100.0)
    assert (mesh.start, mesh.end) == (0.0, 100.0)
    assert mesh.steps.max() <= 1.5 * 100.0 / elements * (1.0 + 1e-9)
    assert mesh.elements <= 2 * elements
    # between neighbouring ends there are no more samples than the quantiles leave there
    inside = np.histogram(times, mesh.points)[0]
    assert inside.max() <= np.ceil((len(times) + 1) / min(elements, len(times) + 1)) + 1


def test_equal_samples_give_equal_elements():
    t = np.linspace(0.0, 15.0, 200)
    mesh = Mesh.through(t, 66, 0.0, 15.0)
    assert mesh.elements == 66
    assert np.isin(mesh.points, t).all()


@given(points, st.lists(st.floats(-1.2e3, 1.2e3), max_size=6))
def test_with_points_adds_what_lies_inside_and_nothing_twice(nodes, extra):
    mesh = Mesh(nodes)
    fine = mesh.with_points(extra)
    assert (fine.start, fine.end) == (mesh.start, mesh.end)
    assert set(mesh.points) <= set(fine.points)
    slack = 1e-9 * (mesh.end - mesh.start)
    for t in extra:
        if mesh.start < t < mesh.end:
            assert np.abs(fine.points - t).min() <= slack
    assert fine.with_points(extra).elements == fine.elements


def test_uniform_meshes():
    mesh = Mesh.uniform(-1.0, 3.0, 8)
    np.testing.assert_allclose(mesh.steps, 0.5)
    assert len(mesh) == mesh.elements == 8
    assert repr(mesh) == "Mesh([-1, 3], elements=8)"


def test_a_mesh_is_frozen():
    given_points = np.array([0.0, 1.0])
    mesh = Mesh(given_points)
    given_points[0] = 7.0
    assert mesh.start == 0.0
    with pytest.raises(ValueError, match="read-only"):
        mesh.points[0] = 1.0


def test_times_may_miss_the_ends_by_rounding_only():
    mesh = Mesh.uniform(0.0, 1.0, 3)
    element, local = mesh.locate([-1e-12, 1.0 + 1e-12])
    np.testing.assert_array_equal(element, [0, 2])
    np.testing.assert_array_equal(local, [0.0, 1.0])
    for bad in (-1e-6, 1.0 + 1e-6, np.nan, np.inf):
        with pytest.raises(InputError, match="outside the mesh"):
            mesh.locate([0.5, bad])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mesh([0.0]), "at least two points, but 1 came"),
        (lambda: Mesh([0.0, np.nan, 1.0]), "mesh point 1 is nan"),
        (lambda: Mesh([0.0, np.inf]), "mesh point 1 is inf"),
        (lambda: Mesh([0.0, 2.0, 1.0]), "points 1 and 2 do not increase"),
        (lambda: Mesh([0.0, 1.0, 1.0]), "drop duplicates"),
        (lambda: Mesh.uniform(0.0, 1.0, 0), "positive integer, not 0"),
        (lambda: Mesh.uniform(0.0, 1.0, 2.5), "positive integer, not 2.5"),
        (lambda: Mesh.uniform(0.0, 1.0, True), "positive integer, not True"),
        (lambda: Mesh.uniform(0.0, 1.0, np.inf), "positive integer, not inf"),
        (lambda: Mesh.uniform(0.0, 1.0, "many"), "positive integer, not 'many'"),
        (lambda: Mesh.uniform(1.0, 1.0, 2), "start < end"),
        (lambda: Mesh.uniform(0.0, 1.0, 2).bisect([2]), "must lie in 0 ... 1"),
        (lambda: Mesh.uniform(0.0, 1.0, 2).bisect([-1]), "must lie in 0 ... 1"),
        (lambda: Mesh.uniform(0.0, 1.0, 3).merge([2]), "must lie in 0 ... 1"),
        (lambda: Mesh.uniform(0.0, 1.0, 2).divide([1]), "2 elements are divided"),
        (lambda: Mesh.uniform(0.0, 1.0, 2).divide([1, 0]), "positive whole numbers"),
        (lambda: Mesh.uniform(0.0, 1.0, 2).divide([1, 1.5]), "positive whole numbers"),
    ],
)
def test_bad_meshes_are_refused_by_name(make, message):
    with pytest.raises(InputError, match=message):
        make()
