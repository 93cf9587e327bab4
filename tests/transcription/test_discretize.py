"""Layout, meshes, bounds, parameters, scaling, and what must not change the problem."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

import collocode as cc
from tests.problems import decay, driven, van_der_pol_data, van_der_pol_grey, van_der_pol_neural
from tests.transcription.random_problems import cases


@settings(max_examples=30)
@given(cases())
def test_every_column_and_row_has_one_name_and_one_place(case):
    nlp = case.nlp()
    layout = nlp.layout
    for names, length in ((nlp.column_names, nlp.columns), (nlp.row_names, nlp.rows)):
        assert len(names) == len(set(names)) == length
    own = [np.concatenate([e.states.ravel(), e.parameters]) for e in layout.experiments]
    columns = np.concatenate([*own, layout.shared, layout.weights])
    np.testing.assert_array_equal(np.sort(columns), np.arange(nlp.columns))
    rows = [np.concatenate([e.rows.ravel(), e.path_rows.ravel()]) for e in layout.experiments]
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(nlp.rows))
    for part in layout.experiments:
        assert part.times[0] == part.mesh.start
        assert part.times[-1] == part.mesh.end
        assert (np.diff(part.times) > 0.0).all()
        np.testing.assert_array_equal(part.times[:: nlp.scheme.intervals], part.mesh.points)


def test_names_say_what_is_where():
    data = van_der_pol_data(n=8, name="run 3")
    nlp = cc.discretize(
        van_der_pol_neural(data, constraints=[cc.PathConstraint("c", lambda t, x, u, p, nn: x[0])]),
        "radau",
        2,
        mesh=3,
    )
    layout = nlp.layout
    part = layout.experiments[0]
    assert nlp.column_names[part.states[5, 1]] == "y2[run 3;2.1]"
    assert nlp.column_names[layout.weights[0]] == "nn.W1[0,0]"
    assert nlp.column_names[-1] == "nn.b2[1]"
    assert nlp.row_names[part.rows[2, 0, 1]] == "collocation.y2[run 3;2.1]"
    assert nlp.row_names[part.path_rows[0, 4]] == "path.c[run 3;2.0]"


@settings(max_examples=20)
@given(cases())
def test_the_scaled_view_is_the_same_problem_exactly(case):
    nlp = case.nlp()
    view = nlp.scaled()
    s, r = nlp.column_scale, nlp.row_scale
    for scale in (s, r):
        np.testing.assert_array_equal(np.frexp(scale)[0], 0.5)  # powers of two: no rounding
    rng = np.random.default_rng(1)
    x, lam, p = rng.normal(size=nlp.columns), rng.normal(size=nlp.rows), nlp.p
    assert view.objective(x / s) == nlp.objective(x)
    np.testing.assert_array_equal(view.constraints(x / s), r * nlp.constraints(x))
    np.testing.assert_array_equal(view.start * s, nlp.start)
    gradients = (
        np.asarray(n.gradient(z, p)[1]).ravel()
        for n, z in ((view.functions, x / s), (nlp.functions, x))
    )
    ours, original = gradients
    np.testing.assert_array_equal(ours, s * original)
    ours = np.asarray(view.functions.jacobian(x / s, p)[1])
    np.testing.assert_array_equal(
        ours, r[:, None] * np.asarray(nlp.functions.jacobian(x, p)[1]) * s
    )
    ours = np.asarray(view.functions.hessian(x / s, p, 0.7, lam / r))
    original = np.asarray(nlp.functions.hessian(x, p, 0.7, lam))
    np.testing.assert_allclose(ours, s[:, None] * original * s, rtol=1e-12, atol=1e-300)
    free = np.isfinite(nlp.upper)
    np.testing.assert_array_equal((view.upper * s)[free], nlp.upper[free])


def test_the_size_of_everything_is_linear_in_the_number_of_elements():
    def count(elements):
        nlp = cc.discretize(van_der_pol_neural(), "radau", 3, elements)
        functions = nlp.functions
        return np.array(
            [
                nlp.columns - len(nlp.layout.weights),
                nlp.rows,
                functions.jacobian.nnz_out(1),
                functions.hessian.nnz_out(0),
                sum(np.size(term.own_columns) for term in nlp.terms),
            ]
        ), [functions.jacobian.n_nodes(), functions.hessian.n_nodes()]

    (small, small_graph), (middle, _), (large, large_graph) = count(100), count(200), count(400)
    # equal increments a hundred elements: affine, whatever the constant (weights, data) is
    np.testing.assert_array_equal(2 * (middle - small), large - middle)
    # and the graphs of J and H do not grow at all
    assert np.less_equal(large_graph, small_graph).all()


def test_a_large_problem_is_built():
    """In half a second; a flat graph would need an hour."""
    nlp = cc.discretize(van_der_pol_neural(), "radau", 3, 4000)
    assert nlp.columns == 2 * 12_001 + 42


# ---- meshes -----------------------------------------------------------------------------------


def test_the_default_mesh_has_about_one_stage_a_sample_and_points_at_jumps():
    nlp = cc.discretize(van_der_pol_neural(van_der_pol_data(n=61)), "radau", 3)
    assert nlp.layout.experiments[0].mesh.elements == 20
    mesh = cc.discretize(driven(), "radau", 3).layout.experiments[0].mesh
    for jump in (0.7, 1.6, 2.5):
        assert np.abs(mesh.points - jump).min() < 1e-9
    assert cc.discretize(decay(), "chebyshev", 12).layout.experiments[0].mesh.elements == 1


def test_meshes_by_number_value_sequence_and_name():
    one, two = van_der_pol_data(n=9, name="one"), van_der_pol_data(n=9, name="two", end=5.0)
    problem = van_der_pol_grey([one, two])
    a, b = cc.Mesh.uniform(0.0, 7.0, 4), cc.Mesh.uniform(0.0, 5.0, 3)

    def elements(mesh):
        parts = cc.discretize(problem, mesh=mesh).layout.experiments
        return [p.mesh.elements for p in parts]

    assert elements(6) == [6, 6]
    assert elements([a, b]) == elements({"two": b, "one": a}) == [4, 3]
    assert elements([a, 2]) == [4, 2]
    assert elements(a) == [4, 4]  # longer than the second needs: it covers
    with pytest.raises(cc.InputError, match="1 mesh was given for 2 experiments"):
        cc.discretize(problem, mesh=[a])
    for points in ([0.0, 5.0, 7.0], (0, 5, 7), np.array([0.0, 5.0, 7.0])):
        with pytest.raises(cc.InputError, match=r"3 meshes were given .* cc\.Mesh\(\[0"):
            cc.discretize(problem, mesh=points)
    with pytest.raises(cc.InputError, match="no mesh is given for experiment 'two'"):
        cc.discretize(problem, mesh={"one": a})
    with pytest.raises(
        cc.InputError, match=r"mesh \[0, 5\] does not cover .* 'one', \[0, 7\]; extend"
    ):
        cc.discretize(problem, mesh=b)
    with pytest.raises(cc.InputError, match="number of elements must be a positive integer, not 0"):
        cc.discretize(problem, mesh=0)


# ---- parameters, starts, bounds ----------------------------------------------------------------


def test_parameters_are_exchanged_without_rebuilding():
    nlp = cc.discretize(decay(), mesh=4)
    other = nlp.with_parameters(measurements=2.0 * nlp.parameters["measurements"])
    assert other.functions is nlp.functions
    x = nlp.start
    assert other.objective(x) != nlp.objective(x)
    assert nlp.with_parameters(regularisation=0.5).parameters["regularisation"] == [0.5]
    with pytest.raises(cc.InputError, match="no parameter block 'data'; there are: measurements"):
        nlp.with_parameters(data=1.0)
    with pytest.raises(cc.InputError, match=r"'measurements' has shape \(21, 1\), not \(3,\)"):
        nlp.with_parameters(measurements=[1.0, 2.0, 3.0])


def test_a_start_must_fit_and_be_finite():
    nlp = cc.discretize(decay(), mesh=4)
    with pytest.raises(cc.InputError, match=r"shape \(3,\), but the program has 14 columns"):
        nlp.with_start([1.0, 2.0, 3.0])
    bad = nlp.start.copy()
    bad[4] = np.nan
    with pytest.raises(cc.InputError, match=r"start of c\[experiment;1.1\] is not finite"):
        nlp.with_start(bad)


def test_bounds_reach_their_columns_and_a_fixed_state_must_lie_inside():
    problem = decay(bounds={"c": (0.1, 2.0)})
    nlp = cc.discretize(problem, mesh=3)
    states = nlp.layout.experiments[0].states
    np.testing.assert_array_equal(nlp.lower[states], 0.1)
    np.testing.assert_array_equal(nlp.upper[states], 2.0)
    k = nlp.layout.shared
    assert (nlp.lower[k], nlp.upper[k]) == (0.0, 10.0)
    data = replace(problem.experiments[0], initial={"c": cc.fixed(5.0)})
    with pytest.raises(cc.InputError, match=r"fixes c\(0\) = 5, outside its bounds \[0.1, 2\]"):
        cc.discretize(replace(problem, experiments=[data]))
    data = replace(data, initial={"c": cc.fixed(1.0)})
    nlp = cc.discretize(replace(problem, experiments=[data]))
    first = nlp.layout.experiments[0].states[0]
    assert nlp.lower[first] == nlp.upper[first] == 1.0


def test_the_default_start_is_inside_the_bounds():
    nlp = cc.discretize(decay(bounds={"c": (0.5, 0.8)}), mesh=5)
    assert (nlp.start >= nlp.lower).all()
    assert (nlp.start <= nlp.upper).all()


# ---- invariances ------------------------------------------------------------------------------


def three_runs():
    return [
        van_der_pol_data(n=20, end=5.0, sigma=0.05, seed=s, begin=i, name=f"run {s}")
        for s, i in ((1, (0.0, 1.0)), (2, (2.0, 0.0)), (3, (-1.0, 0.5)))
    ]


def test_the_order_of_experiments_does_not_matter():
    runs = three_runs()
    one = cc.fit(van_der_pol_grey(runs), mesh=12)
    other = cc.fit(van_der_pol_grey(runs[::-1]), mesh=12)
    assert one.parameters["mu"] == pytest.approx(other.parameters["mu"], rel=1e-8)
    assert one.result.objective == pytest.approx(other.result.objective, rel=1e-9)
    for name in ("run 1", "run 2", "run 3"):
        np.testing.assert_allclose(
            one.states([1.0, 4.0], name), other.states([1.0, 4.0], name), atol=1e-8
        )


def test_a_row_without_any_value_changes_nothing():
    data = van_der_pol_data(n=30, sigma=0.05)
    times = np.insert(data.times, 12, 0.5 * (data.times[11] + data.times[12]))
    values = np.insert(data.values, 12, np.nan, axis=0)
    more = cc.Experiment(times, values, data.outputs)
    one, other = (cc.discretize(van_der_pol_neural(d), mesh=10) for d in (data, more))
    assert one.problem.dynamics == other.problem.dynamics  # the same normalisation
    np.testing.assert_array_equal(one.start, other.start)
    x = np.random.default_rng(0).normal(size=one.columns)
    assert one.objective(x) == other.objective(x)
    np.testing.assert_array_equal(one.constraints(x), other.constraints(x))


def test_the_unit_of_a_state_does_not_matter():
    """From volt to microvolt: the same iterates, since all scales follow in powers of two."""
    data = van_der_pol_data(n=40, sigma=0.05)
    small = replace(data, values=data.values * np.array([1.0, 2.0**-20]))
    one, other = (
        cc.fit(van_der_pol_neural(d), options={"max_iter": 60}, mesh=None) for d in (data, small)
    )
    assert one.success
    assert other.success
    assert one.result.iterations == other.result.iterations
    np.testing.assert_allclose(one.model.theta, other.model.theta, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        one.trajectories[0].states, other.trajectories[0].states * [1.0, 2.0**20], atol=1e-6
    )


def test_any_factor_gives_the_same_optimum():
    def grey(factor):
        data = van_der_pol_data(n=40, sigma=0.05)
        dynamics = cc.Dynamics(
            lambda t, x, u, p, nn: [
                x.y2 / factor,
                factor * (p.mu * (1.0 - x.y1**2) * (x.y2 / factor) - x.y1),
            ],
            parameters=[cc.Parameter("mu", 0.3, 0.0, 5.0)],
        )
        return cc.fit(
            cc.Problem(dynamics, replace(data, values=data.values * [1.0, factor])), mesh=None
        )

    one, other = grey(1.0), grey(997.0)
    assert one.parameters["mu"] == pytest.approx(other.parameters["mu"], rel=1e-6)
    assert one.result.objective == pytest.approx(other.result.objective, rel=1e-6)


def test_weights_of_zero_and_missing_values_are_the_same():
    data = van_der_pol_data(n=30, sigma=0.05)
    mask = np.random.default_rng(0).uniform(size=data.values.shape) < 0.3
    zero = replace(data, weights=np.where(mask, 0.0, 1.0))
    missing = replace(data, values=np.where(mask, np.nan, data.values))
    loss = cc.LeastSquares(0.1)
    one, other = (cc.discretize(van_der_pol_grey(d, loss=loss), mesh=10) for d in (zero, missing))
    x = np.random.default_rng(1).normal(size=one.columns)
    assert one.objective(x) == pytest.approx(other.objective(x), rel=1e-13)


# ---- users' functions that fail ----------------------------------------------------------------


def discretized(rhs, **options):
    t = np.linspace(0.0, 1.0, 5)
    data = cc.Experiment(t, np.column_stack([t, t]), ("a", "b"))
    return cc.discretize(cc.Problem(cc.Dynamics(rhs), data, **options))


@pytest.mark.parametrize(
    ("rhs", "message"),
    [
        (lambda t, x, u, p, nn: [1 / 0, 0.0], r"right-hand side failed .*ZeroDivisionError"),
        (lambda t, x, u, p, nn: [x.a if x.a > 0 else 0.0, 0.0], "condition on state .a. .*if_else"),
        (lambda t, x, u, p, nn: [x.a(t - 1.0), 0.0], r"a past one is a delayed state .*delays="),
        (lambda t, x, u, p, nn: [x.a], "right-hand side returned 1 value, but 2 are needed"),
        (lambda t, x, u, p, nn: "no", "returned str, not numbers; return a list"),
        (lambda t, x, u, p, nn: None, "returned NoneType"),
        (lambda t, x, u, p, nn: {"a": x.a}, "returned derivatives of a, but the states are a, b"),
        (lambda t, x, u, p, nn: [x.c, 0.0], "no state 'c'; there are: a, b"),
        (lambda t, x, u, p, nn: [u.c, 0.0], "no input 'c'; there are: none"),
        (lambda t, x, u, p, nn: [p.k, 0.0], "no parameter 'k'"),
        (lambda t, x, u, p, nn: [nn.f(x), 0.0], "no network 'f'"),
        (lambda t, x, u, p, nn: nn(x), "exactly one network"),
    ],
)
def test_a_right_hand_side_that_fails_is_named(rhs, message):
    with pytest.raises(cc.InputError, match=message):
        discretized(rhs)


def test_foreign_symbols_are_refused():
    import casadi as ca

    k = ca.SX.sym("k")
    with pytest.raises(cc.InputError, match="symbol of its own, 'k'; make it a Parameter"):
        discretized(lambda t, x, u, p, nn: [k * x.a, 0.0])


def test_mappings_numpy_functions_and_any_order_of_keys_are_welcome():
    by_name = discretized(lambda t, x, u, p, nn: {"b": np.sin(x.a), "a": -x.b})
    by_place = discretized(lambda t, x, u, p, nn: [-x.b, np.sin(x.a)])
    x = np.random.default_rng(0).normal(size=by_name.columns)
    np.testing.assert_array_equal(by_name.constraints(x), by_place.constraints(x))


def test_failing_observers_and_constraints_are_named():
    with pytest.raises(cc.InputError, match="observe returned 1 value, but 2 are needed"):
        discretized(lambda t, x, u, p, nn: [0.0, 0.0], observe=lambda x, u, p: [x.a])
    limit = cc.PathConstraint("cap", lambda t, x, u, p, nn: x.zz, upper=1.0)
    with pytest.raises(cc.InputError, match="no state 'zz'"):
        discretized(lambda t, x, u, p, nn: [0.0, 0.0], constraints=[limit])
    limit = cc.PathConstraint("cap", lambda t, x, u, p, nn: x.a + {}, upper=1.0)
    with pytest.raises(cc.InputError, match="path constraint 'cap' failed"):
        discretized(lambda t, x, u, p, nn: [0.0, 0.0], constraints=[limit])


def test_a_mesh_that_only_a_fit_chooses_is_refused():
    with pytest.raises(
        cc.InputError, match="mesh='auto' is no mesh; only fit, multistart and sweep"
    ):
        cc.discretize(decay(), mesh="auto")
