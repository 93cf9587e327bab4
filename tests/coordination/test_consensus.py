"""The arithmetic of consensus ADMM: iterations by hand, and quadratics with closed solutions.

The hand-computed case has two batches and one entry: f_1 = (v − 1)²/2, f_2 = (v − 3)²/2, so a batch's
solve is v_b = (a_b + ρ (z − w_b)) / (1 + ρ), and the consensus without a regulariser is 2.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

import collocode as cc
from collocode.coordination.consensus import Consensus, Residuals
from collocode.coordination.state import simulated
from collocode.coordination.subproblem import BatchResult


def plain(v, step):
    """No regulariser."""
    return v


def two_batches(rho=1.0, z=0.0):
    return Consensus.start(np.array([z]), [[0], [0]], rho)


def solved(c):
    return [(a + c.rho * c.target(b)) / (1.0 + c.rho) for b, a in enumerate((1.0, 3.0))]


# ---- by hand ------------------------------------------------------------------------------------


def test_two_iterations_by_hand():
    # z = 0, w = 0: v = (1/2, 3/2), z⁺ = 1, w⁺ = (−1/2, 1/2)
    first = two_batches()
    values = solved(first)
    np.testing.assert_allclose(np.ravel(values), [0.5, 1.5])
    second = first.updated(values, plain)
    np.testing.assert_allclose(second.z, [1.0])
    np.testing.assert_allclose(np.ravel(second.duals), [-0.5, 0.5])
    # targets 1.5 and 0.5: v = (1.25, 1.75), z⁺ = 1.5, w⁺ = w + v − z = (−0.75, 0.75)
    values = solved(second)
    np.testing.assert_allclose(np.ravel(values), [1.25, 1.75])
    third = second.updated(values, plain)
    np.testing.assert_allclose(third.z, [1.5])
    np.testing.assert_allclose(np.ravel(third.duals), [-0.75, 0.75])


def test_over_relaxation_by_hand():
    # alpha = 1.6 at z = 1, w = (−1/2, 1/2), v = (1.25, 1.75):
    # v̂ = 1.6 v − 0.6 z = (1.4, 2.2), z⁺ = mean(v̂ + w) = 1.8, w⁺ = w + v̂ − z⁺ = (−0.9, 0.9)
    state = replace(two_batches(z=1.0), duals=(np.array([-0.5]), np.array([0.5])))
    new = state.updated([np.array([1.25]), np.array([1.75])], plain, 1.6)
    np.testing.assert_allclose(new.z, [1.8])
    np.testing.assert_allclose(np.ravel(new.duals), [-0.9, 0.9])


def test_residuals_and_limits_by_hand():
    # v = (1.25, 1.75) against z⁺ = 1.5: primal √(2/16); z moved by 1/2 at ρ = 2: dual 2 √(2/4)
    before = two_batches(rho=2.0, z=1.0)
    after = replace(before, z=np.array([1.5]), duals=(np.array([-0.75]), np.array([0.75])))
    rules = cc.ADMMRules(absolute=0.01, relative=0.1)
    found = after.residuals([np.array([1.25]), np.array([1.75])], before, rules)
    assert found.primal == pytest.approx(np.sqrt(2.0) / 4.0)
    assert found.dual == pytest.approx(np.sqrt(2.0))
    # Boyd: √2 ε_abs + ε_rel max(‖v‖, ‖z‖ stacked), √2 ε_abs + ε_rel ‖ρ w‖
    assert found.primal_limit == pytest.approx(
        0.01 * np.sqrt(2.0) + 0.1 * np.hypot(1.25, 1.75), rel=1e-12
    )
    assert found.dual_limit == pytest.approx(
        0.01 * np.sqrt(2.0) + 0.1 * 2.0 * np.hypot(0.75, 0.75), rel=1e-12
    )
    assert found.scaled == pytest.approx(np.sqrt(2.0) / 4.0 / 1.5)  # √1 max(1, ‖z‖)
    assert not found.small


def test_entries_that_only_some_batches_have():
    # entry 0 is common, entry 1 belongs to batches 0 and 1, entry 2 to batch 2 alone
    c = Consensus.start(np.zeros(3), [[0, 1], [0, 1], [2, 0]], 1.0)
    np.testing.assert_array_equal(c.multiplicity, [3, 2, 1])
    new = c.updated([np.array([1.0, 4.0]), np.array([2.0, 6.0]), np.array([9.0, 6.0])], plain)
    np.testing.assert_allclose(new.z, [3.0, 5.0, 9.0])
    np.testing.assert_allclose(new.duals[2], [0.0, 3.0])
    np.testing.assert_allclose(new.target(2), [9.0, 0.0])
    dual = new.residuals([np.zeros(2)] * 3, c, cc.ADMMRules()).dual
    assert dual == pytest.approx(np.sqrt(3 * 9.0 + 2 * 25.0 + 81.0))


def test_the_step_of_the_prox_counts_copies():
    steps = []

    def prox(v, step):
        steps.append(step)
        return v

    Consensus.start(np.zeros(2), [[0, 1], [0]], 0.5).updated([np.zeros(2), np.zeros(1)], prox)
    np.testing.assert_allclose(steps[0], [1.0 / (0.5 * 2), 1.0 / 0.5])


def test_the_unscaled_dual_survives_a_change_of_rho():
    state = replace(two_batches(rho=0.5), duals=(np.array([-3.0]), np.array([1.0])), seen=(1.0,))
    other = state.with_rho(2.0)
    np.testing.assert_allclose(np.ravel(other.duals), [-0.75, 0.25])
    assert (other.rho, other.seen) == (2.0, ())
    for b in (0, 1):
        np.testing.assert_allclose(other.rho * other.duals[b], state.rho * state.duals[b])


def at(primal, dual):
    """Residuals in multiples of their limits."""
    return Residuals(primal, dual, 1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("primal", "dual", "iteration", "factor"),
    [
        (9.0, 2.0, 1, 2.0),  # primal more than 3 times as far
        (2.0, 9.0, 1, 0.5),
        (5.0, 2.0, 1, 1.0),  # within the balance
        (9.0, 2.0, 31, 1.0),  # after rules.adapt iterations
    ],
)
def test_rho_is_balanced(primal, dual, iteration, factor):
    found = two_batches().steered(at(primal, dual), cc.ADMMRules(), iteration)
    assert found.rho == factor


def test_rho_rises_where_the_primal_residual_grows_and_does_not_fall_below_that():
    rules = cc.ADMMRules(growth=1.5)
    state = two_batches().steered(at(4.0, 4.0), rules, 40)
    assert (state.rho, state.seen) == (1.0, (4.0,))
    state = state.steered(at(5.9, 5.9), rules, 41)  # 1.475 times: not yet
    assert state.rho == 1.0
    state = state.steered(at(6.1, 6.1), rules, 42)
    assert (state.rho, state.floor, state.seen) == (2.0, 2.0, ())
    assert state.steered(at(1.0, 90.0), rules, 2).rho == 2.0
    calm = two_batches().steered(at(0.1, 0.1), rules, 40).steered(at(0.9, 0.9), rules, 41)
    assert calm.rho == 1.0  # growth within the limit is no growth


def test_augmented_lagrangian_by_hand():
    # f = (1, 2), r = 0.5, v − z + w = (0.25, 0.75), w = (0.5, 0.5) at ρ = 2:
    # 3.5 + (1/16 + 9/16) − (1/4 + 1/4)
    c = replace(two_batches(rho=2.0, z=1.0), duals=(np.array([0.5]), np.array([0.5])))
    values = [np.array([0.75]), np.array([1.25])]
    assert c.lagrangian([1.0, 2.0], values, 0.5) == pytest.approx(3.5 + 10 / 16 - 0.5)


@pytest.mark.parametrize(
    ("rules", "phrase"),
    [
        ({"relaxation": 2.0}, "between 0 and 2, not at 2.0"),
        ({"absolute": -1.0}, "absolute tolerance must not be negative"),
        ({"absolute": 0.0, "relative": 0.0}, "must be positive"),
        ({"factor": 1.0}, "factor above 1"),
        ({"growth": 1.0}, "growth must be above 1"),
    ],
)
def test_bad_rules(rules, phrase):
    with pytest.raises(cc.InputError, match=phrase):
        cc.ADMMRules(**rules)


@pytest.mark.parametrize("rho", [0.0, -1.0, np.inf, np.nan])
def test_bad_penalty(rho):
    with pytest.raises(cc.InputError, match="rho must be positive and finite"):
        two_batches(rho=rho)


# ---- the proximal operators ---------------------------------------------------------------------


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=6),
    st.floats(0.0, 3.0),
    st.floats(0.05, 3.0),
    st.sampled_from([cc.L1, cc.L2]),
)
def test_prox_minimises_what_it_says(v, strength, step, kind):
    v, penalty = np.array(v), kind(strength)

    def cost(z):
        return penalty.value(z) + np.sum((z - v) ** 2) / (2.0 * step)

    z = penalty.prox(v, step)
    best = cost(z)
    for delta in (1e-3, -1e-3, 0.1, -0.1):
        for i in range(len(v)):
            aside = z.copy()
            aside[i] += delta
            assert cost(aside) >= best - 1e-12
    assert best <= cost(np.zeros_like(v)) + 1e-12


def test_prox_by_hand():
    v = np.array([2.0, -0.3, 0.5])
    np.testing.assert_allclose(cc.L1(0.5).prox(v, 1.0), [1.5, 0.0, 0.0])
    np.testing.assert_allclose(cc.L2(0.5).prox(v, 1.0), v / 2.0)
    np.testing.assert_allclose(cc.L2(0.5).prox(v, np.array([1.0, 2.0, 3.0])), v / [2, 3, 4])


# ---- quadratics ---------------------------------------------------------------------------------


def quadratics(seed, batches=3, n=4):
    """Least-squares batches ½‖A_b x − y_b‖²."""
    rng = np.random.default_rng(seed)
    A = [rng.standard_normal((6, n)) for _ in range(batches)]
    x = rng.standard_normal(n) * (rng.random(n) > 0.4)
    return A, [a @ x + 0.1 * rng.standard_normal(6) for a in A]


def iterate(A, y, prox, rho=3.0, rules=None, most=3000):
    n, rules = A[0].shape[1], rules or cc.ADMMRules(absolute=1e-11, relative=0.0)
    c = Consensus.start(np.zeros(n), [np.arange(n)] * len(A), rho)
    for k in range(1, most + 1):
        values = [
            np.linalg.solve(a.T @ a + c.rho * np.eye(n), a.T @ b + c.rho * c.target(i))
            for i, (a, b) in enumerate(zip(A, y, strict=True))
        ]
        new = c.updated(values, prox, rules.relaxation)
        residuals = new.residuals(values, c, rules)
        c = new.steered(residuals, rules, k)
        if residuals.small:
            return new, k
    raise AssertionError(f"not converged: {residuals}")


@given(st.integers(0, 10_000), st.floats(0.0, 2.0), st.sampled_from([1.0, 1.6]), st.floats(0.1, 50))
def test_ridge_regression_in_batches(seed, strength, relaxation, rho):
    A, y = quadratics(seed)
    rules = cc.ADMMRules(relaxation=relaxation, absolute=1e-10, relative=0.0, growth=np.inf)
    found, _ = iterate(A, y, cc.L2(strength).prox, rho, rules)
    gram = sum(a.T @ a for a in A) + 2.0 * strength * np.eye(4)
    exact = np.linalg.solve(gram, sum(a.T @ b for a, b in zip(A, y, strict=True)))
    np.testing.assert_allclose(found.z, exact, atol=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_lasso_in_batches(seed):
    A, y = quadratics(seed, batches=4, n=6)
    strength = 2.0
    found, _ = iterate(A, y, cc.L1(strength).prox)
    rows, data = np.vstack(A), np.concatenate(y)
    lasso = Lasso(alpha=strength / len(data), fit_intercept=False, tol=1e-13, max_iter=10**6)
    exact = lasso.fit(rows, data).coef_
    np.testing.assert_allclose(found.z, exact, atol=1e-7)
    np.testing.assert_array_equal(found.z == 0.0, exact == 0.0)  # zeros are exact zeros
    assert (exact == 0.0).any()


def test_optimum_in_the_duals():
    """At the optimum ρ w_b = −∇f_b, and without a regulariser they sum to nothing."""
    A, y = quadratics(5)
    found, _ = iterate(A, y, plain)
    for a, b, w in zip(A, y, found.duals, strict=True):
        np.testing.assert_allclose(found.rho * w, -a.T @ (a @ found.z - b), atol=1e-7)
    np.testing.assert_allclose(sum(found.duals), 0.0, atol=1e-7)


def test_adaptation_and_relaxation_save_iterations():
    A, y = quadratics(7)
    slow = cc.ADMMRules(relaxation=1.0, absolute=1e-9, relative=0.0, balance=1e9, growth=np.inf)
    relaxed, adapted = replace(slow, relaxation=1.6), replace(slow, relaxation=1.6, balance=3.0)
    counts = [iterate(A, y, plain, 100.0, rules)[1] for rules in (slow, relaxed, adapted)]
    assert counts[0] > 1.3 * counts[1]
    assert counts[1] > 2 * counts[2]


def test_the_scaled_residual_is_per_variable_and_relative_to_large_consensus():
    # four variables, one copy each off by 1: primal 2; per variable 1, over ‖z‖ = 6
    c = Consensus.start(np.full(4, 3.0), [[0, 1, 2, 3]], 1.0)
    found = c.residuals([np.full(4, 4.0)], c, cc.ADMMRules())
    assert (found.primal, found.scaled) == pytest.approx((2.0, 1.0 / 6.0))


def test_what_batches_simulate_is_summed_and_averaged_over_their_measurements():
    parts = [
        BatchResult(
            batch=k, iteration=1, values=np.zeros(1), loss=0.0, simulated_loss=loss, squares=squares
        )
        for k, (loss, squares) in enumerate([(0.5, (3.0, 4)), (0.25, (2.0, 6))])
    ]
    assert simulated(parts, penalty=0.125) == pytest.approx((0.875, 0.5))
    assert np.isnan(simulated(parts[:0])[1])
