"""Networks by layers against CasADi's derivatives of the whole graph, and against differences."""

import os
import warnings
from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import collocode as cc
from collocode import kernels
from collocode.numerics.bases import BSpline, Legendre
from collocode.transcription import assembly, lift
from collocode.transcription.assembly import assemble
from collocode.transcription.by_layers import ByLayers
from collocode.transcription.layers import Pass
from collocode.transcription.lifted_graph import Call, LiftedFunction, LiftedGraph, State
from tests.transcription.random_problems import ACTIVATIONS, cases

T = np.linspace(0.0, 6.0, 30)
DATA = cc.Experiment(T, np.column_stack([np.cos(T), -np.sin(T)]), ("x", "v"))


@pytest.fixture(autouse=True)
def _any_size(monkeypatch):
    monkeypatch.setattr(assembly, "LEAST_WEIGHTS", 0)


@pytest.fixture(autouse=True)
def _memory_that_holds_anything(monkeypatch):
    """Every nonzero is written, whatever stood there."""
    for name in ("put_first", "put_second"):
        put = getattr(ByLayers, name)

        def filled(self, arguments, own, border, factors=None, put=put):
            own[:] = border[:] = np.nan
            put(self, arguments, own, border, factors)

        monkeypatch.setattr(ByLayers, name, filled)


def lifted(nlp):
    return [part for part in nlp.functions.expressions.layers if part is not None]


def as_graph(nlp):
    """The same functions by CasADi's derivatives of the networks' scalars."""
    terms = [replace(term, lifted=None) for term in nlp.terms]
    return assemble(terms, nlp.linear, len(nlp.p))


def by_numpy(nlp):
    """The same functions without compiled kernels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, kernels.SWITCH, "0")
        made = assemble(nlp.terms, nlp.linear, len(nlp.p))
    assert not any(part.functions.kernels for part in made.expressions.layers if part is not None)
    return made


def assert_equal_functions(nlp, seed=0):
    """Values agree to 1e-10 of the largest, and every nonzero is in its place."""
    assert_equal(nlp, nlp.functions, as_graph(nlp), seed)
    if kernels.library() is not None:
        assert_equal(nlp, by_numpy(nlp), nlp.functions, seed)


def assert_equal(nlp, functions, others, seed):
    rng = np.random.default_rng(seed)
    for _ in range(2):  # the second point must not be given what was kept of the first
        x, lam = nlp.start + 0.3 * rng.normal(size=nlp.columns), rng.normal(size=nlp.rows)
        for name, more in (
            ("objective", ()),
            ("constraints", ()),
            ("gradient", ()),
            ("jacobian", ()),
            ("hessian", (0.7, lam)),
        ):
            ours = getattr(functions, name).call([x, nlp.p, *more])
            theirs = getattr(others, name).call([x, nlp.p, *more])
            for a, b in zip(ours, theirs, strict=True):
                assert a.sparsity() == b.sparsity(), name
                a, b = (np.array(v.nonzeros()) for v in (a, b))
                np.testing.assert_allclose(a, b, rtol=0.0, atol=1e-10 * abs(b).max(initial=1e-300))


@settings(max_examples=6)
@given(cases())
def test_random_problems_have_the_same_functions_either_way(case):
    nlp = case.nlp()
    assert lifted(nlp)
    assert_equal_functions(nlp)


@settings(max_examples=6)
@given(
    hidden=st.lists(st.integers(1, 3), max_size=3),
    activation=st.sampled_from((*ACTIVATIONS, "silu_tanh", "linear")),
    shifted=st.booleans(),
    varies=st.booleans(),
    seed=st.integers(0, 99),
)
def test_networks_within_networks_and_several_calls(hidden, activation, shifted, varies, seed):
    first = cc.MLP((2, *hidden, 2), activation)
    if shifted:
        first = first.normalised([0.1, -0.2], [2.0, 0.5], [1.5, 0.7])
    if varies:
        first = cc.TimeVarying(first, Legendre(2, (0.0, 6.0)))

    def rhs(t, x, u, p, nn):
        a = nn.first(x.x * x.v, p.k * x.v)
        b = nn.second(a[0] * x.x, ca.sin(t), a[1])
        c = nn.first(b, a[1] ** 2)
        return [x.v * b + c[0] * c[1], a[0] * p.k * ca.cos(x.v) - x.x]

    networks = {"first": first, "second": cc.MLP((3, 2, 1), "gelu")}
    dynamics = cc.Dynamics(rhs, networks, [cc.Parameter("k", 0.5)])
    nlp = cc.discretize(cc.Problem(dynamics, DATA), mesh=4)
    assert lifted(nlp)
    assert_equal_functions(nlp, seed)


@pytest.mark.skipif(kernels.library() is None, reason="no kernels are compiled")
@pytest.mark.parametrize("weights", [1.0, 2.0])
@pytest.mark.parametrize("hidden", [(3,), (3, 2)])
def test_kernels_write_scaled_matrices_in_place(hidden, weights):
    """The network times a state, so that φ is curved; more points than are taken at once."""

    def rhs(t, x, u, p, nn):
        return [x.v, nn.n(x.x, x.v)[0] * x.v + x.x**2]

    network = cc.MLP((2, *hidden, 1)).normalised([0.1, -0.2], [2.0, 0.5], [1.5])
    dynamics = cc.Dynamics(rhs, {"n": network})
    nlp = cc.discretize(cc.Problem(dynamics, DATA, regularisation=cc.L2(0.1)), mesh=30)
    s, r = (2.0 ** np.random.default_rng(0).integers(-2, 3, k) for k in (nlp.columns, nlp.rows))
    s[nlp.layout.weights] = weights
    scaled, graph = nlp.functions.scaled(s, r), as_graph(nlp).scaled(s, r)
    written = scaled.expressions.jacobian_in_place, scaled.expressions.hessian_in_place
    assert all((function is None) == (weights != 1.0) for function in written)
    assert_equal(nlp, scaled, graph, 0)


def test_outputs_and_weights_that_nothing_depends_on_have_no_columns():
    def rhs(t, x, u, p, nn):
        return [x.v, nn.used(x.x, x.v)[1] - x.x]

    networks = {"idle": cc.MLP((2, 3, 1)), "used": cc.MLP((2, 3, 2))}
    nlp = cc.discretize(cc.Problem(cc.Dynamics(rhs, networks), DATA), mesh=5)
    assert lifted(nlp)
    assert_equal_functions(nlp)


@pytest.mark.parametrize(
    "rhs",
    [
        lambda t, x, u, p, nn: ca.vertcat(
            x.v, ca.gradient(nn(x.x, x.v), ca.vertcat(x.x, x.v))[0] - x.x
        ),
        lambda t, x, u, p, nn: [x.v, nn.derivative(x.x, x.v)[0, 1] * nn(x.x, x.v)],
        lambda t, x, u, p, nn: [x.v, nn(x.x, x.v) * len(ca.symvar(nn(x.x, x.v)))],
    ],
)
def test_what_differentiates_networks_or_looks_into_them_is_left_to_casadi(rhs):
    problem = cc.Problem(cc.Dynamics(rhs, {"n": cc.MLP((2, 3, 1))}), DATA)
    nlp = cc.discretize(problem, mesh=5)
    assert not lifted(nlp)
    _assert_differences(nlp, nlp.start)


@pytest.mark.parametrize(
    "network",
    [
        cc.MLP((2, 3, 2), "relu"),
        cc.TimeVarying(cc.MLP((2, 3, 2)), BSpline((0.0, 2.0, 4.0, 6.0), 1)),
    ],
)
def test_kinks_and_piecewise_weights_are_left_to_casadi(network):
    assert not lifted(cc.discretize(cc.Problem(cc.NeuralODE(network), DATA), mesh=5))


def test_few_weights_are_left_to_casadi(monkeypatch):
    monkeypatch.setattr(assembly, "LEAST_WEIGHTS", 1000)
    problem = cc.Problem(cc.NeuralODE(cc.MLP((2, 32, 2))), DATA)
    assert not lifted(cc.discretize(problem, mesh=5))


def test_derivatives_are_differences_of_the_values():
    problem = cc.Problem(cc.NeuralODE(cc.MLP((2, 4, 3, 2), "swish")), DATA)
    nlp = cc.discretize(problem, mesh=4)
    assert lifted(nlp)
    _assert_differences(nlp, nlp.start)


def _assert_differences(nlp, x):
    """J and the Hessian of the Lagrangian along random directions, by central differences."""
    rng, p, functions = np.random.default_rng(3), nlp.p, nlp.functions
    x = x + 0.1 * rng.normal(size=nlp.columns)
    lam, step = rng.normal(size=nlp.rows), 1e-5

    def slope(z):
        jacobian = functions.jacobian(z, p)[1].sparse()
        return nlp.gradient(z) + jacobian.T @ lam

    upper = functions.hessian(x, p, 1.0, lam).sparse().toarray()
    hessian = upper + np.triu(upper, 1).T
    jacobian = functions.jacobian(x, p)[1].sparse()
    for _ in range(3):
        d = rng.normal(size=nlp.columns)
        for derivative, function in (
            (jacobian, nlp.constraints),
            (hessian, slope),
        ):
            moved = (function(x + step * d) - function(x - step * d)) / (2.0 * step)
            np.testing.assert_allclose(derivative @ d, moved, atol=1e-7 * abs(moved).max())


@pytest.mark.parametrize("curved", [False, True])
def test_slopes_that_are_kept_follow_what_they_depend_on(curved):
    """∂φ/∂N is d, or 2dN, and so is evaluated anew for other data, or at every point."""
    y, d, out = (ca.SX.sym(name) for name in ("y", "d", "out"))
    mlp = cc.MLP((1, 2, 1))
    call = Call(mlp, y, out, 0, None)
    graph = LiftedGraph(
        LiftedFunction(d * (out**2 if curved else out), (call,), np.arange(7), 7), y, d, 3
    )
    rng = np.random.default_rng(0)
    for data in (np.ones((3, 1)), 2.0 * np.ones((3, 1))):
        for _ in range(2):
            at, theta = rng.normal(size=(3, 1)), rng.normal(size=7)
            run = Pass.of(mlp, graph.call(0, at, data, []), theta)
            np.testing.assert_array_equal(run.inputs[0][:, :1], at)
            found = graph.first(State(at, data, [run], [None], [theta]))
            expected = 2.0 * data * run.value if curved else data
            np.testing.assert_allclose(found[:, 0], np.hstack([0.0 * at, expected]))


def test_a_fit_ends_where_that_of_the_graph_does():
    problem = cc.Problem(cc.NeuralODE(cc.MLP((2, 4, 2))), DATA, regularisation=cc.L2(1e-3))
    nlp = cc.start_from(cc.discretize(problem, mesh=8), "gradient_matching")
    assert lifted(nlp)
    graph = replace(nlp, functions=as_graph(nlp))
    ours, theirs = (cc.make_solver(n).solve(n) for n in (nlp, graph))
    assert ours.iterations == theirs.iterations
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-6)
    np.testing.assert_allclose(ours.lam_g, theirs.lam_g, atol=1e-6)


def test_functions_outlive_the_program_that_they_were_built_for():
    nlp = cc.discretize(cc.Problem(cc.NeuralODE(cc.MLP((2, 4, 2))), DATA), mesh=5)
    x, p = nlp.start, nlp.p
    functions, value = nlp.scaled().functions, nlp.constraints(nlp.start)
    s, r = nlp.column_scale, nlp.row_scale
    del nlp
    again = np.asarray(functions.constraints(x / s, p)).ravel() / r
    np.testing.assert_allclose(again, value)


def test_gauss_newton_leaves_out_what_the_network_adds_to_the_curvature():
    nlp = cc.discretize(cc.Problem(cc.NeuralODE(cc.MLP((2, 4, 2))), DATA), mesh=4)
    rng = np.random.default_rng(0)
    x, lam = nlp.start + 0.1 * rng.normal(size=nlp.columns), rng.normal(size=nlp.rows)
    without = nlp.gauss_newton().functions
    assert not without.exact
    assert nlp.functions.exact
    # the network enters the rows linearly, so that nothing of them is left
    ours = without.hessian(x, nlp.p, 1.0, lam)
    theirs = nlp.functions.hessian(x, nlp.p, 1.0, np.zeros(nlp.rows))
    np.testing.assert_allclose(ours.full(), theirs.full(), atol=1e-14)
    for name in ("jacobian", "gradient"):
        a, b = (getattr(f, name)(x, nlp.p)[1] for f in (without, nlp.functions))
        np.testing.assert_array_equal(a.full(), b.full())


def test_gauss_newton_keeps_the_curvature_of_what_is_made_of_networks():
    def rhs(t, x, u, p, nn):
        return [x.v, ca.exp(nn(x.x, x.v)) - x.x]

    problem = cc.Problem(cc.Dynamics(rhs, {"n": cc.MLP((2, 3, 1))}), DATA)
    nlp = cc.discretize(problem, mesh=4)
    x, p, rng = nlp.start, nlp.p, np.random.default_rng(1)
    x, lam = x + 0.1 * rng.normal(size=nlp.columns), rng.normal(size=nlp.rows)
    zero = np.zeros(nlp.rows)
    without = nlp.gauss_newton().functions
    upper = without.hessian(x, p, 0.0, lam).full() - without.hessian(x, p, 0.0, zero).full()
    # of a row -h exp(N), N linear about x, the second derivative is JJᵀ / (-h exp(N))
    term = next(term for term in nlp.terms if term.name == "collocation")
    jacobian = nlp.functions.jacobian(x, p)[1].full() - nlp.linear.toarray()
    h = nlp.layout.experiments[0].mesh.steps[0]
    values = (nlp.constraints(x) - nlp.linear @ x)[term.scatter.indices].reshape(-1, 2)
    rows = term.scatter.indices.reshape(-1, 2)
    expected = np.zeros_like(upper)
    for row, (columns, value) in zip(
        rows[:, 1], zip(term.own_columns, values[:, 1], strict=True), strict=True
    ):
        state = x[columns[0]]
        grown = value - h * state  # -h exp(N); the value is -h exp(N) + h x
        slope = jacobian[row].copy()
        slope[columns[0]] -= h
        expected += lam[row] * np.outer(slope, slope) / grown
    np.testing.assert_allclose(upper, np.triu(expected), atol=1e-12 * abs(expected).max())


def test_a_fit_by_gauss_newton_comes_near_the_same_optimum_and_says_so():
    problem = cc.Problem(cc.NeuralODE(cc.MLP((2, 4, 2))), DATA, regularisation=cc.L2(1e-4))
    nlp = cc.start_from(cc.discretize(problem, mesh=8), "gradient_matching")
    exact = cc.make_solver(nlp).solve(nlp)
    options = {"hessian_approximation": "gauss-newton", "tol": 3e-5}
    found = cc.make_solver(nlp, options=options).solve(nlp)
    assert found.success
    assert found.iterations > exact.iterations  # it converges linearly
    assert found.options["hessian_approximation"] == "gauss-newton"
    assert "hessian_approximation" not in exact.options
    assert found.objective == pytest.approx(exact.objective, rel=1e-3)


def test_gauss_newton_needs_a_network():
    decay = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, -p.k * x.x], parameters=[cc.Parameter("k", 1.0)]
    )
    nlp = cc.discretize(cc.Problem(decay, DATA), mesh=5)
    with pytest.raises(cc.InputError, match="has no network whose second derivatives"):
        cc.make_solver(nlp, options={"hessian_approximation": "gauss-newton"})


@pytest.mark.parametrize("interface", ["casadi", "cyipopt"])
def test_more_weights_than_fit_are_taken_without_their_curvature(monkeypatch, interface):
    if interface == "cyipopt":
        pytest.importorskip("cyipopt")
    monkeypatch.setattr(lift, "MOST_EXACT", 10)
    problem = cc.Problem(cc.NeuralODE(cc.MLP((2, 4, 2))), DATA, regularisation=cc.L2(1e-3))
    nlp = cc.discretize(problem, mesh=5)
    assert not nlp.functions.exact
    assert nlp.gauss_newton() is nlp
    result = cc.make_solver(nlp, interface, options={"max_iter": 2}).solve(nlp)
    assert result.options["hessian_approximation"] == "gauss-newton"
    assert result.linear_solver == "mumps"
    options = {"max_iter": 2, "hessian_approximation": "limited-memory"}
    result = cc.make_solver(nlp, interface, options=options).solve(nlp)
    assert result.options["hessian_approximation"] == "limited-memory"


def test_networks_in_path_constraints_and_algebraic_equations():
    def rhs(t, x, u, p, nn):
        return [x.v, x.z - x.x]

    dynamics = cc.Dynamics(
        rhs,
        {"n": cc.MLP((2, 3, 1))},
        algebraics={"z": 0.5},
        residuals=lambda t, x, u, p, nn: [x.z + 0.1 * x.z**3 - nn.n(x.x, x.v)],
    )
    least = cc.PathConstraint("least", lambda t, x, u, p, nn: nn.n(x.v, x.z) ** 2, upper=5.0)
    nlp = cc.discretize(cc.Problem(dynamics, DATA, constraints=[least]), mesh=4)
    assert len(lifted(nlp)) == 2
    assert_equal_functions(nlp)


def test_a_graph_that_takes_long_is_told_before_it_is_built(monkeypatch):
    """What layers cannot do is built as a graph; how long that takes is said where it is long."""
    t = np.linspace(0.0, 1.0, 5)
    data = cc.Experiment(t, np.cos(t), ("x",))
    pieces = cc.TimeVarying(cc.MLP((1, 3, 1)), cc.PiecewiseConstant([0.0, 0.5, 1.0]))
    problem = cc.Problem(cc.NeuralODE(pieces), data, regularisation=cc.L2(1e-4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cc.discretize(problem, mesh=2)
    monkeypatch.setattr(lift, "_LONG", 0.0)
    with pytest.warns(
        cc.CollocodeWarning, match=r"the graph of 10 weights takes about 0 s to build"
    ):
        cc.discretize(problem, mesh=2)
