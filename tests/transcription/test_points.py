"""A term evaluated by vector operations gives what the map gives, digit for digit."""

import casadi as ca
import numpy as np
import pytest

from collocode.transcription import points
from collocode.transcription.term import MappedTerm, data_function

COLUMNS = 40


def term(count: int) -> MappedTerm:
    """Two values with an entry that is constant, one that depends on shared unknowns only, and a zero."""
    rng = np.random.default_rng(count)
    own, shared, data = ca.SX.sym("v", 3), ca.SX.sym("s", 2), ca.SX.sym("d", 2)
    value = ca.vertcat(
        ca.sin(own[0] * shared[0]) ** 2 / (1 + own[1] ** 2) + 3 * own[2] * shared[1],
        ca.if_else(own[1] > data[0], own[0] * data[1], shared[0] ** 2) + ca.tanh(own[2] - data[0]),
    )
    columns = rng.permutation(COLUMNS - 2)[: 3 * (COLUMNS // 3 - 1)]
    places = np.resize(columns, (count, 3))
    constants = [rng.normal(size=(count, 2))]
    return MappedTerm.build(
        "t",
        value,
        (own, places),
        (shared, np.array([COLUMNS - 2, COLUMNS - 1])),
        (data, data_function({}, constants, ())),
    )


def results(term: MappedTerm, kind: type, multiplier: str) -> list[np.ndarray]:
    x, p, lam = ca.MX.sym("x", COLUMNS), ca.MX.sym("p", 0), ca.MX.sym("lam", 2 * term.points)
    evaluated = kind(term, x, p)
    scale = lam[0] if multiplier == "one" else lam
    outputs = []
    for function, more in (
        (term.function, None),
        (term.first_derivatives[0], None),
        (term.second_derivatives[0], scale),
    ):
        for values in evaluated.values(function, more):
            outputs += [ca.vertcat(*values.by_entry()), values.by_point(), values.summed()]
    point = np.random.default_rng(1).normal(size=COLUMNS)
    weights = np.random.default_rng(2).normal(size=2 * term.points)
    return [np.asarray(v) for v in ca.Function("all", [x, p, lam], outputs)(point, [], weights)]


@pytest.mark.parametrize("multiplier", ["one", "each"])
@pytest.mark.parametrize("count", [1, 8, 23])
def test_vector_operations_give_what_the_map_gives(count, multiplier):
    t = term(count)
    vectors, mapped = (results(t, k, multiplier) for k in (points._Vectors, points._Mapped))
    for a, b in zip(vectors, mapped, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)
        assert a.shape == b.shape


def test_common_operations_are_done_once():
    """Values, first and second derivatives share sin, tanh and their arguments."""
    x, p = ca.MX.sym("x", COLUMNS), ca.MX.sym("p", 0)
    t = term(12)
    evaluated = points.points_of(t, x, p)
    outputs = [v.summed() for v in evaluated.values(t.function)]
    before = len(evaluated.known)
    outputs += [v.summed() for v in evaluated.values(t.first_derivatives[0])]
    outputs += [v.summed() for v in evaluated.values(t.second_derivatives[0], ca.MX(1))]
    whole = ca.Function("all", [x, p], outputs)
    sines = sum(whole.instruction_id(k) == ca.OP_SIN for k in range(whole.n_instructions()))
    assert before > 0
    assert sines == 1


def test_few_points_and_long_functions_are_mapped():
    x, p = ca.MX.sym("x", COLUMNS), ca.MX.sym("p", 0)
    assert isinstance(points.points_of(term(3), x, p), points._Mapped)
    assert isinstance(points.points_of(term(9), x, p), points._Vectors)


@pytest.mark.parametrize("columns", [[4], [1, 3, 5], [2, 3, 4], [5, 3, 1], [7, 7, 7], [0, 1, 5]])
def test_gathered_entries(columns):
    x = ca.MX.sym("x", 8)
    found = ca.Function("g", [x], [points.gathered(x, np.array(columns))])(np.arange(8.0))
    np.testing.assert_array_equal(np.asarray(found).ravel(), columns)
    assert found.shape == (len(columns), 1)
