"""Orders of convergence, measured on exact solutions through the NLP's own rows.

Initial states are fixed and nothing is unknown, so the rows determine the states; Newton's method
on g and J solves them to rounding.  (IPOPT gives the same point: the last test but one.)
"""

import itertools
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import collocode as cc
from tests.methods import GLOBAL, LOCAL
from tests.problems import FORCED, HOPF, LOGISTIC, square_solution

LADDER = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024)
ROUNDING = 2e-13  # a hundred times the rounding of these solutions
LONG = replace(HOPF, end=10.0)  # twice around the limit cycle and a half


problem_of = cache(lambda known: known.problem())


def errors(known, name, degree, elements):
    """Error at the last mesh point, largest at all nodes, and largest between them."""
    nlp = cc.discretize(problem_of(known), name, degree, elements)
    part = nlp.layout.experiments[0]
    states = square_solution(nlp)[part.states]
    at_nodes = np.abs(states - known.exact(part.times)).max(axis=1)
    between = np.linspace(0.0, known.end, 16 * elements + 1)
    element, tau = part.mesh.locate(between)
    weights = nlp.scheme.interpolation(tau)
    dense = np.einsum("ij,ijk->ik", weights, states[part.element_nodes()[element]])
    final = np.linalg.norm(states[-1] - known.exact(part.times[-1:])[0])
    return final, at_nodes.max(), np.abs(dense - known.exact(between)).max()


@cache
def ladder(known, name, degree):
    found = {}
    for elements in LADDER:
        if degree == 1 and elements < 512:
            continue  # the Euler methods need small steps
        if degree > 1 and elements > 128:
            break  # by then the others are in their asymptotic regime
        found[elements] = errors(known, name, degree, elements)
        if max(found[elements]) < ROUNDING:
            break
    return found


def last_slope(known, method, kind):
    """Observed order on the finest pair of meshes whose errors stay above rounding."""
    found = ladder(known, method.name, method.degree)
    good = [e for e in found if found[e][kind] > ROUNDING]
    coarse, fine = good[-2:]
    return np.log(found[coarse][kind] / found[fine][kind]) / np.log(fine / coarse)


@pytest.mark.parametrize("method", LOCAL, ids=str)
def test_stages_and_interpolant_converge_at_their_order(method):
    assert last_slope(LONG, method, kind=1) == pytest.approx(method.stage, abs=0.2)
    assert last_slope(LONG, method, kind=2) == pytest.approx(method.dense, abs=0.2)


@pytest.mark.parametrize("method", [m for m in LOCAL if m.order <= 10], ids=str)
def test_mesh_points_converge_at_the_nodal_order(method):
    room = 0.2 if method.order < 10 else 0.3  # their errors meet rounding before the last tenth
    assert last_slope(LONG, method, kind=0) == pytest.approx(method.order, abs=room)


@pytest.mark.parametrize("method", [m for m in LOCAL if m.order > 10], ids=str)
def test_orders_above_ten_are_approached_before_rounding_hides_them(method):
    """Double precision ends before their asymptotic regime begins; the derived order is exact."""
    found = ladder(LONG, method.name, method.degree)
    good = [e for e in found if found[e][0] > ROUNDING / 20.0]
    slopes = [
        np.log(found[a][0] / found[b][0]) / np.log(b / a) for a, b in itertools.pairwise(good[1:])
    ]
    assert max(slopes) > method.stage + 1.0  # superconvergence: faster than stages are
    assert slopes[-1] > method.order - 2.0
    assert cc.scheme(method.name, method.degree).order == method.order


@pytest.mark.parametrize("known", [LOGISTIC, FORCED], ids=str)
@pytest.mark.parametrize("method", [m for m in LOCAL if m.order <= 5], ids=str)
def test_a_transient_and_a_forced_system_say_the_same(known, method):
    for kind, order in ((0, method.order), (1, method.stage), (2, method.dense)):
        assert last_slope(known, method, kind) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("name", GLOBAL)
@pytest.mark.parametrize("known", [HOPF, LOGISTIC], ids=str)
def test_global_grids_converge_exponentially_in_the_degree(known, name):
    degrees = (6, 10, 14, 18)
    dense = np.array([errors(known, name, d, 1)[2] for d in degrees])
    rates = (dense[:-1] / dense[1:]) ** 0.25  # gain of one more degree
    # geometric convergence: each degree gains a factor that does not fade, unlike that of any
    # fixed order p, which tends to one as (1 + 1/d)^p does
    assert rates.min() > 1.7
    assert rates[-1] > 0.5 * rates[0]
    assert errors(known, name, 60, 1)[2] < 1e-11


def test_ipopt_finds_the_same_point_as_newton():
    nlp = cc.discretize(HOPF.problem(), "radau", 3, 8)
    solution = cc.solve(nlp, options={"tol": 1e-12})
    assert solution.success
    np.testing.assert_allclose(solution.result.x, square_solution(nlp), atol=1e-11)


def test_uneven_meshes_lose_nothing():
    rng = np.random.default_rng(4)
    sizes = []
    for elements in (16, 32):
        steps = rng.uniform(1.0, 2.0, elements)
        mesh = cc.Mesh(HOPF.end * np.append(0.0, np.cumsum(steps)) / steps.sum())
        nlp = cc.discretize(HOPF.problem(), "radau", 2, cc.Mesh(mesh.points))
        part = nlp.layout.experiments[0]
        states = square_solution(nlp)[part.states]
        sizes.append(np.abs(states[-1] - HOPF.exact(part.times[-1:])[0]).max())
    assert np.log2(sizes[0] / sizes[1]) == pytest.approx(3.0, abs=0.6)
