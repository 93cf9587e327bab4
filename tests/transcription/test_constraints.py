"""Constraints beside the data: invariants, steady states, monotonicity."""

import numpy as np
import pytest

import collocode as cc

GRID = np.linspace(0.0, 1.2, 13)


def decay(*constraints, regularisation=1e-4):
    t = np.linspace(0.0, 2.0, 40)
    noisy = np.exp(-t) + 0.05 * np.random.default_rng(0).normal(size=40)
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [nn(x.c)], networks={"rate": cc.MLP((1, 6, 1))}),
        cc.Experiment(t, noisy, outputs=("c",)),
        regularisation=cc.L2(regularisation),
        constraints=constraints,
    )


def test_a_steady_state_is_one():
    steady = cc.PointConstraint(
        "steady", lambda z, p, nn: nn(z[0]), [0.0, 1.5], lower=0.0, upper=0.0
    )
    solution = cc.fit(decay(steady), mesh=None)
    assert solution.success
    np.testing.assert_allclose(solution.network()([[0.0], [1.5]]), 0.0, atol=1e-7)
    assert (
        np.abs(cc.fit(decay(), mesh=None).network()([[0.0], [1.5]])).max() > 1e-2
    )  # the data alone differ


def test_a_monotone_network_falls_at_every_point_of_the_grid():
    falling = cc.PointConstraint(
        "falling", lambda z, p, nn: nn.derivative(z[0])[0], GRID, upper=-1.0
    )
    solution = cc.fit(decay(falling), mesh=None)
    assert solution.success
    network, h = solution.network(), 1e-6
    slopes = (network(GRID[:, None] + h) - network(GRID[:, None] - h)).ravel() / (2.0 * h)
    assert slopes.max() < -1.0 + 1e-6
    assert slopes.max() > -1.0 - 1e-4  # active somewhere, or the test shows nothing


def test_an_invariant_holds_along_the_trajectory():
    t = np.linspace(0.0, 3.0, 31)
    values = np.column_stack([np.exp(-t), 1.0 - np.exp(-t)])
    values += 0.02 * np.random.default_rng(1).normal(size=values.shape)
    mass = cc.PathConstraint("mass", lambda t, x, u, p, nn: x.a + x.b, 1.0, 1.0)
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [-nn(x.a), nn(x.a)], networks={"r": cc.MLP((1, 4, 1))}),
        cc.Experiment(t, values, outputs=("a", "b")),
        constraints=[mass],
        regularisation=cc.L2(),
    )
    solution = cc.fit(problem, mesh=None)
    assert solution.result.violation < 1e-7
    np.testing.assert_allclose(solution.states(np.linspace(0, 3, 50)).sum(axis=1), 1.0, atol=1e-6)


def test_several_values_a_point_and_names():
    pair = cc.PointConstraint("pair", lambda z, p, nn: [nn(z[0]), z[1] * nn(z[0])], [[0.0, 2.0]])
    nlp = cc.discretize(decay(pair), mesh=5)
    assert nlp.row_names[-2:] == ["point.pair[0]", "point.pair[1]"]
    assert len(nlp.row_names) == nlp.rows


def test_pyomo_carries_point_constraints():
    pytest.importorskip("pyomo")
    falling = cc.PointConstraint(
        "falling", lambda z, p, nn: nn.derivative(z[0])[0], GRID, upper=-1.0
    )
    nlp = cc.discretize(decay(falling), mesh=6)
    assert len(cc.to_pyomo(nlp).model.falling) == len(GRID)


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        ({"points": [np.nan]}, "finite points"),
        ({"points": []}, "finite points"),
        ({"points": [0.0], "lower": 1.0, "upper": -1.0}, "cross"),
    ],
)
def test_bad_point_constraints(arguments, phrase):
    with pytest.raises(cc.InputError, match=phrase):
        cc.PointConstraint("bad", lambda z, p, nn: z[0], **arguments)


def test_a_point_constraint_that_fails_is_named():
    broken = cc.PointConstraint("broken", lambda z, p, nn: p.nowhere, [0.0])
    with pytest.raises(cc.InputError, match="no parameter 'nowhere'"):
        cc.discretize(decay(broken))
