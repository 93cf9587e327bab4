"""Fronts of chains with a narrow border: inertia and solutions against dense ones, whole solves against MUMPS."""

import importlib
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import collocode as cc
from collocode import kernels
from collocode.solvers.chains import hook
from collocode.solvers.chains.fronts import Fronts
from collocode.solvers.chains.places import Order, Unsuited
from collocode.solvers.chains.session import ByMumps, Count, Narrow
from tests.solvers.test_chains import augmented, dense, negative, without_kernels
from tests.transcription.random_problems import cases

pytestmark = [
    pytest.mark.skipif(not hook.available(), reason="this Ipopt takes no linear solver"),
    pytest.mark.skipif(kernels.library() is None, reason="no kernels are compiled"),
]
KINDS = ("constant", "linear", "stages")


def driven(kind="constant", *, free=True, path=True, last=True, quadratic=True, states=2):
    """A controlled chain of integrators with what a border and an element may have."""
    names = tuple(f"x{k}" for k in range(states))
    window = cc.Window(
        end=2.0,
        end_bounds=(0.5, 4.0) if free else None,
        controls={"u": cc.Control(-2.0, 2.0, kind=kind)},
        initial=dict.fromkeys(names, 0.0),
        final={names[0]: 1.0} if last else {},
    )
    costs = [cc.Mayer(lambda t, x, u, p, nn: t)]
    if quadratic:
        costs.append(cc.Lagrange(lambda t, x, u, p, nn: 0.1 * u.u**2))

    def rates(t, x, u, p, nn):
        chain = [getattr(x, name) for name in names[1:]]
        return [*chain, u.u - 0.3 * getattr(x, names[0]) ** 3]

    constraint = cc.PathConstraint(
        "limit", lambda t, x, u, p, nn: x.x0 + 0.1 * u.u, lower=-1.5, upper=3.0
    )
    return cc.Problem(
        cc.Dynamics(rates), window, states=names, costs=costs,
        constraints=[constraint] if path else (),
    )  # fmt: skip


def check(program, seed, curvature, relaxed=0.0):
    """Inertia and a refined solution against dense ones, in the scales that Ipopt sees."""
    program, rng = program.scaled(), np.random.default_rng(seed)
    matrix, values = augmented(program, rng, curvature, relaxed)
    order, K = Order.of(program), dense(matrix, values)
    fronts = Fronts(kernels.library(), program, order, matrix)
    count = Count()
    solver = Narrow(fronts, ByMumps(matrix, count), order.negative, count)
    found, singular = solver.factor(values)
    scale = 1.0 / np.sqrt(np.abs(K).max(axis=1))
    least = np.abs(np.linalg.eigvalsh(K * scale[:, None] * scale)).min()
    if least < 1e-11:  # its inertia is a matter of rounding
        return
    assert (found, singular) == (negative(K), False)
    exact = rng.standard_normal(len(K))
    x = solver.solve(K @ exact)
    assert np.abs(x - exact).max() <= 1e-14 / least + 1e-8
    assert (count.mumps, count.faults) == (0, [])


@given(cases(), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1.0]), st.booleans())
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_inertia_and_solutions_are_those_of_dense_ones(case, seed, curvature, relaxed):
    """Fits of all kinds, several experiments, elements whose number of equations differs."""
    check(case.nlp(), seed, curvature, float(relaxed))


@given(
    st.sampled_from(KINDS), st.booleans(), st.booleans(), st.booleans(), st.booleans(),
    st.integers(1, 3), st.integers(1, 6), st.sampled_from([("radau", 3), ("gauss", 2)]),
    st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1.0]), st.booleans(),
)  # fmt: skip
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_control_programs_have_the_inertia_of_dense_ones(
    kind, free, path, last, quadratic, states, mesh, scheme, seed, curvature, relaxed
):
    problem = driven(kind, free=free, path=path, last=last, quadratic=quadratic, states=states)
    check(cc.discretize(problem, *scheme, mesh=mesh), seed, curvature, float(relaxed))


def test_many_rows_wait_and_none_is_lost():
    """Controls without curvature of their own find no pivot before the end of the chain."""
    problem = driven(free=False, path=False, last=False, quadratic=False)
    check(cc.discretize(problem, mesh=40), 0, 1.0)
    check(cc.discretize(problem, mesh=40), 1, 1e-9)


def matrix_of(program):
    program = program.scaled()
    matrix, values = augmented(program, np.random.default_rng(0))
    order = Order.of(program)
    return Fronts(kernels.library(), program, order, matrix), values, order


def test_what_cannot_be_factorised_is_told():
    fronts, values, order = matrix_of(cc.discretize(driven(), mesh=4))
    assert fronts.factor(np.zeros_like(values))[1]
    with pytest.raises(Unsuited, match="not finite"):
        fronts.factor(np.where(np.arange(len(values)) == 3, np.nan, values))
    negative, singular = fronts.factor(values)  # and is forgotten
    assert (negative >= order.negative, singular) == (True, False)
    assert fronts.solve(np.full(order.size, np.nan), 1e-10, 10) == np.inf


def test_chains_that_touch_each_other_are_refused():
    program = cc.discretize(driven(), mesh=4).scaled()
    matrix, _ = augmented(program, np.random.default_rng(0))
    of_columns, of_rows, is_last = program.structure.groups(program.columns, program.rows)
    assert np.array_equal(np.unique(of_columns), np.arange(5))  # four elements and the border
    groups = of_columns, of_rows, np.ones_like(is_last)
    apart = mock.Mock(columns=program.columns, rows=program.rows)
    apart.structure.groups.return_value = groups
    with pytest.raises(Unsuited, match="touch each other"):
        Fronts(kernels.library(), apart, Order.of(program), matrix)


# ---- whole solves --------------------------------------------------------------------------------

MODELS = (
    "batch_reactor",
    "bryson_denham",
    "catalyst_mixing",
    "double_integrator",
    "dido",
    pytest.param("brachistochrone", marks=pytest.mark.slow),
    pytest.param("cart_pole", marks=pytest.mark.slow),
    pytest.param("channel_flow", marks=pytest.mark.slow),
    pytest.param("cstr_setpoint", marks=pytest.mark.slow),
    pytest.param("cstr_tracking", marks=pytest.mark.slow),
    pytest.param("delta_iii", marks=pytest.mark.slow),
    pytest.param("hang_glider", marks=pytest.mark.slow),
    pytest.param("lifeguard", marks=pytest.mark.slow),
    pytest.param("penicillin", marks=pytest.mark.slow),
    pytest.param("robot_arm", marks=pytest.mark.slow),
    pytest.param("rocket", marks=pytest.mark.slow),
    pytest.param("shuttle", marks=pytest.mark.slow),
    pytest.param("steering", marks=pytest.mark.slow),
)


@pytest.mark.parametrize("name", MODELS)
def test_models_have_the_solution_that_mumps_finds(name):
    program = cc.discretize(importlib.import_module(f"models.control.{name}").problem(), mesh=20)
    reference = cc.solve(program, options={"linear_solver": "mumps", "max_iter": 1000}).result
    found = cc.solve(program, options={"max_iter": 1000}).result
    assert found.linear_solver == "chains"
    assert found.success == reference.success
    assert found.objective == pytest.approx(reference.objective, rel=1e-6, abs=1e-8)
    assert program.kkt_residual(found.x, found.lam_g, found.lam_x) <= max(
        1e-6, 10.0 * program.kkt_residual(reference.x, reference.lam_g, reference.lam_x)
    )


def test_iterates_are_those_of_mumps():
    program = cc.discretize(driven(), mesh=10)
    reference, found = (
        cc.solve(program, options=options).result
        for options in ({"linear_solver": "mumps"}, {"linear_solver": "chains"})
    )
    assert (reference.linear_solver, found.linear_solver) == ("mumps", "chains")
    assert found.iterations == reference.iterations
    size = np.abs(reference.lam_g).max()
    assert np.abs(found.x - reference.x).max() <= 1e-6
    assert np.abs(found.lam_g - reference.lam_g).max() <= 1e-6 * size


def test_restoration_goes_by_fronts_too():
    program = cc.discretize(driven(), mesh=6)
    found = cc.solve(program, options={"start_with_resto": "yes"}).result
    assert (found.success, found.linear_solver) == (True, "chains")


def test_mumps_stays_where_it_is_asked_for():
    program = cc.discretize(driven(), mesh=4)
    for how in (
        {"deterministic": True},
        {"options": {"mumps_pivot_order": 4}},
        {"options": {"hessian_approximation": "limited-memory"}},
    ):
        how = {**how, "options": {"max_iter": 2, **how.get("options", {})}}
        assert cc.solve(program, **how).result.linear_solver == "mumps"
    with without_kernels():
        assert cc.solve(program, options={"max_iter": 2}).result.linear_solver == "mumps"


def solver_is_warned(monkeypatch, method, wrong, what):
    right, calls = getattr(Fronts, method), []

    def broken(self, *given):
        calls.append(1)
        return right(self, *given) if len(calls) <= 2 else wrong(right, self, *given)

    monkeypatch.setattr(Fronts, method, broken)
    program = cc.discretize(driven(), mesh=10)
    reference = cc.solve(program, options={"linear_solver": "mumps"}).result
    with pytest.warns(RuntimeWarning, match=what):
        found = cc.solve(program).result
    assert found.success
    assert "mumps" in found.linear_solver
    assert found.objective == pytest.approx(reference.objective, rel=1e-6)
    assert program.kkt_residual(found.x, found.lam_g, found.lam_x) <= 1e-6


def no_numbers(right, self, rhs, *given):
    rhs[:] = np.nan
    return np.inf


def not_finite(right, self, values):
    raise Unsuited("a factor is not finite")


@pytest.mark.parametrize(
    ("method", "wrong", "what"),
    [
        ("solve", no_numbers, "went wrong 3 times .*residual of inf.*MUMPS took over"),
        ("factor", not_finite, "went wrong 3 times .*not finite.*MUMPS took over"),
    ],
)
def test_faults_end_in_mumps_with_a_warning(monkeypatch, method, wrong, what):
    solver_is_warned(monkeypatch, method, wrong, what)


def test_an_inertia_that_is_wrong_never_becomes_an_optimum(monkeypatch):
    """Right inertia is told of every matrix: steps may go wrong, what ends is a point that Ipopt's own test accepts."""
    right = Fronts.factor

    def flattering(self, values):
        right(self, values)
        return self.order.negative, False

    monkeypatch.setattr(Fronts, "factor", flattering)
    program = cc.discretize(driven(), mesh=10)
    found = cc.solve(program).result
    if found.success:
        assert program.kkt_residual(found.x, found.lam_g, found.lam_x) <= 1e-6
