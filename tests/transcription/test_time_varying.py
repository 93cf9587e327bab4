"""The NLP of weights and parameters that vary in time: derivatives, structure, special cases."""

import casadi as ca
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.sparse.linalg import splu

import collocode as cc
from collocode.numerics.bases import Basis

END = 4.0
INTERVAL = (0.0, END)
KNOTS = (0.0, 1.0, 2.5, 4.0)
BASES = [
    cc.Constant(INTERVAL),
    cc.Monomial(2, INTERVAL),
    cc.Monomial(2, INTERVAL, unit=True),
    cc.Legendre(2, INTERVAL),
    cc.Chebyshev(2, INTERVAL),
    cc.Fourier(1, INTERVAL),
    cc.PiecewiseConstant(KNOTS),
    cc.BSpline(KNOTS, 1),
    cc.BSpline(KNOTS, 2),
]
every_basis = pytest.mark.parametrize("basis", BASES, ids=repr)


def problem(basis: Basis | None, **options) -> cc.Problem:
    """Two states, a network, a damping and a stiffness; every kind of term is there."""
    rng = np.random.default_rng(0)
    t = np.linspace(0.0, END, 13)
    values = np.column_stack([np.cos(2 * t), -2 * np.sin(2 * t)]) + 0.1 * rng.normal(size=(13, 2))
    mlp = cc.MLP((2, 2, 1))
    experiments = [
        cc.Experiment(t, values, ("x", "v"), initial={"x": 1.0, "v": 0.0}, name="one"),
        cc.Experiment(t[3:], values[3:], ("x", "v"), initial={"x": 0.1, "v": -1.8}, name="two"),
    ]
    given = {
        "observe": lambda x, u, p: [x.x, p.c * x.v],
        "states": ("x", "v"),
        "regularisation": cc.L2(1e-2),
        "constraints": [cc.PathConstraint("cap", lambda t, x, u, p, nn: p.c + nn(x), upper=9.0)],
    }
    return cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: [x.v, -p.k * x.x - p.c * x.v + nn(x) * ca.cos(t)],
            networks={"nn": mlp if basis is None else cc.TimeVarying(mlp, basis)},
            parameters=[
                cc.Parameter("c", 0.3, lower=-1.0, upper=5.0, basis=basis),
                cc.Parameter("k", 3.0, per_experiment=True, basis=basis),
            ],
        ),
        experiments,
        **{**given, **options},
    )


def reduced(nlp: cc.NLP):
    """F(c) = f at the states that the collocation rows determine, and its gradient by the adjoint."""
    dependent = np.concatenate([e.states[1:].ravel() for e in nlp.layout.experiments])
    rows = np.concatenate([e.rows.ravel() for e in nlp.layout.experiments])
    first = np.concatenate([e.states[0] for e in nlp.layout.experiments])
    free = np.setdiff1d(np.arange(nlp.columns), np.append(dependent, first))

    def solve(c):
        x = nlp.start.copy()
        x[first], x[free] = nlp.lower[first], c
        for _ in range(30):
            g, J = nlp.functions.jacobian(x, nlp.p)
            step = splu(J.sparse().tocsr()[rows].tocsc()[:, dependent]).solve(
                np.asarray(g).ravel()[rows]
            )
            x[dependent] -= step
            if np.abs(step).max() < 1e-12:
                return x
        raise AssertionError("Newton did not converge")

    def gradient(c):
        x = solve(c)
        J = nlp.functions.jacobian(x, nlp.p)[1].sparse().tocsr()[rows].tocsc()
        df = np.asarray(nlp.functions.gradient(x, nlp.p)[1]).ravel()
        adjoint = splu(J[:, dependent].T.tocsc()).solve(-df[dependent])
        return df[free] + J[:, free].T @ adjoint

    return free, lambda c: nlp.objective(solve(c)), gradient


@every_basis
def test_reduced_gradient_is_that_of_finite_differences(basis):
    nlp = cc.discretize(problem(basis), mesh=4)
    free, value, gradient = reduced(nlp)
    rng = np.random.default_rng(1)
    c = nlp.start[free] + 0.05 * rng.normal(size=len(free))
    found = gradient(c)
    h = 1e-5
    for direction in [*np.eye(len(free))[::5], rng.normal(size=len(free))]:
        slope = (value(c + h * direction) - value(c - h * direction)) / (2 * h)
        assert found @ direction == pytest.approx(slope, rel=2e-6, abs=2e-8)


@every_basis
def test_derivatives_are_casadis_own(basis):
    nlp = cc.discretize(problem(basis), mesh=3)
    rng = np.random.default_rng(2)
    x, lam = nlp.start + 0.1 * rng.normal(size=nlp.columns), rng.normal(size=nlp.rows)
    z = ca.SX.sym("z", nlp.columns)
    f, g = (F.expand()(z, nlp.p) for F in (nlp.functions.objective, nlp.functions.constraints))
    hessian = ca.triu(ca.hessian(0.7 * f + ca.dot(ca.DM(lam), g), z)[0])
    expected = ca.Function("theirs", [z], [ca.gradient(f, z), ca.jacobian(g, z), hessian])(x)
    ours = (
        nlp.functions.gradient(x, nlp.p)[1],
        nlp.functions.jacobian(x, nlp.p)[1],
        nlp.functions.hessian(x, nlp.p, 0.7, lam),
    )
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-9, atol=1e-10)


def test_a_constant_basis_changes_nothing():
    plain, constant = (
        cc.discretize(problem(basis), mesh=5) for basis in (None, cc.Constant(INTERVAL))
    )
    rng = np.random.default_rng(3)
    x, lam = plain.start + 0.1 * rng.normal(size=plain.columns), rng.normal(size=plain.rows)
    np.testing.assert_array_equal(plain.start, constant.start)
    np.testing.assert_array_equal(plain.lower, constant.lower)
    assert plain.objective(x) == constant.objective(x)
    for name, arguments in (
        ("gradient", ()),
        ("jacobian", ()),
        ("hessian", (1.0, lam)),
    ):
        a, b = (getattr(n.functions, name)(x, n.p, *arguments) for n in (plain, constant))
        a, b = (v[1] if isinstance(v, tuple) else v for v in (a, b))
        assert a.sparsity() == b.sparsity()
        np.testing.assert_array_equal(a.nonzeros(), b.nonzeros())
    assert constant.column_names[-1] == "nn.b2[0].one"


def test_weights_of_a_piece_touch_the_rows_of_that_piece_only():
    nlp = cc.discretize(problem(cc.PiecewiseConstant(KNOTS)), mesh=4)
    J = nlp.functions.jacobian(nlp.start, nlp.p)[1].sparse().toarray()
    names = nlp.layout.weight_names
    for e in nlp.layout.experiments:
        assert set(KNOTS[1:-1]) <= set(np.round(e.mesh.points, 12))  # jumps are mesh points
        piece = np.searchsorted(KNOTS, 0.5 * (e.mesh.points[:-1] + e.mesh.points[1:])) - 1
        for j in range(3):
            columns = [
                nlp.layout.weights[i] for i, name in enumerate(names) if name.endswith(f".L{j}")
            ]
            touched = np.abs(J[e.rows][..., columns]).max(axis=(1, 2, 3)) > 0.0
            np.testing.assert_array_equal(touched, piece == j)


def test_splines_of_a_window_see_only_what_is_alive_there():
    nlp = cc.discretize(problem(cc.BSpline(KNOTS, 1)), mesh=4)
    J = nlp.functions.jacobian(nlp.start, nlp.p)[1].sparse().toarray()
    last = [
        c for c, n in zip(nlp.layout.weights, nlp.layout.weight_names, strict=True) if ".B3" in n
    ]
    one = nlp.layout.experiments[0]
    early = one.mesh.points[1:] <= 2.5
    assert not J[one.rows[early]][..., last].any()
    assert J[one.rows[~early]][..., last].any()


@every_basis
def test_predictions_see_parameters_at_the_time_of_the_sample(basis):
    nlp = cc.discretize(problem(basis), mesh=4)
    rng = np.random.default_rng(4)
    x = nlp.start + 0.1 * rng.normal(size=nlp.columns)
    values, J = nlp.predictions(x)
    t = nlp.problem.experiments[0].times
    c = basis.values(t) @ x[nlp.layout.shared]
    part = nlp.layout.experiments[0]
    element, tau = part.mesh.locate(t)
    nodes = x[part.states][part.element_nodes()[element]]
    states = np.einsum("ij,ijk->ik", nlp.scheme.interpolation(tau), nodes)
    np.testing.assert_allclose(values[:13], np.column_stack([states[:, 0], c * states[:, 1]]))
    direction, h = rng.normal(size=nlp.columns), 1e-6
    slope = (nlp.predictions(x + h * direction)[0] - nlp.predictions(x - h * direction)[0]) / (
        2 * h
    )
    np.testing.assert_allclose((J @ direction).reshape(slope.shape), slope, atol=1e-6)


@every_basis
def test_bounds_hold_for_the_value_of_a_parameter(basis):
    nlp = cc.discretize(problem(basis), mesh=4)
    columns, names = nlp.layout.shared, nlp.row_names
    rows = [i for i, name in enumerate(names) if name.startswith("point.c.bounds")]
    if basis.bounded_by_coefficients:
        assert not rows
        assert (nlp.lower[columns] == -1.0).all()
        assert (nlp.upper[columns] == 5.0).all()
        return
    assert np.isinf(nlp.lower[columns]).all()
    assert (nlp.row_lower[rows] == -1.0).all()
    assert (nlp.row_upper[rows] == 5.0).all()
    x = nlp.start + 0.1
    np.testing.assert_allclose(nlp.constraints(x)[rows], basis.values(basis.probes()) @ x[columns])


def test_bounds_of_an_experiments_own_parameter_hold_at_its_nodes():
    k = cc.Parameter("k", 3.0, 0.5, 9.0, per_experiment=True, basis=cc.Legendre(1, INTERVAL))
    plain = problem(None)
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [x.v, -p.k * x.x], parameters=[k])
    nlp = cc.discretize(cc.Problem(dynamics, plain.experiments, states=("x", "v")), mesh=4)
    for e in nlp.layout.experiments:
        x = nlp.start + np.arange(nlp.columns)
        values = k.basis.values(e.times) @ x[e.parameters]
        np.testing.assert_allclose(nlp.constraints(x)[e.path_rows[0]], values)
        assert (nlp.row_lower[e.path_rows] == 0.5).all()


@pytest.mark.parametrize(
    "basis", [cc.Fourier(1, (0.0, 20.0)), cc.BSpline((0, 5, 10, 20), 3)], ids=repr
)
def test_bounded_rows_do_not_drive_a_parameter_away(basis):
    """The loss is bounded, log c is not: with a row at every node IPOPT's barrier would win."""
    t = np.linspace(0.0, 20.0, 161)
    noise = 0.02 * np.random.default_rng(0).standard_normal((161, 2))

    def truth(t, y):
        return [y[1], -4.0 * y[0] - (0.1 + 0.6 * (t / 20.0) ** 2) * y[1]]

    y = solve_ivp(truth, (0.0, 20.0), [2.0, 0.0], t_eval=t, rtol=1e-9, atol=1e-9).y.T + noise
    c = cc.Parameter("c", 0.3, lower=0.0, basis=basis)
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [x.v, -4.0 * x.x - p.c * x.v], parameters=[c])
    solution = cc.fit(cc.Problem(dynamics, cc.Experiment(t, y, ("x", "v"))))
    assert solution.success
    assert solution.result.objective < 2e-3
    assert solution.parameter("c", t).min() > -1e-2


@every_basis
def test_solvers_see_coefficients_of_one_size(basis):
    scale = cc.discretize(problem(basis), mesh=4).column_scale
    nlp = cc.discretize(problem(basis), mesh=4)
    largest = np.abs(basis.values(basis.probes())).max(axis=0)
    moves = scale[nlp.layout.weights].reshape(basis.size, -1) * largest[:, None]
    assert (moves <= 2**0.5 + 1e-12).all()
    assert (moves >= 2**-0.5 - 1e-12).all()


def test_point_constraints_ask_for_times():
    rising = cc.PointConstraint(
        "rising", lambda z, p, nn: nn.derivative(z[0], z[1])[0] + p.c, np.eye(2), lower=0.0
    )
    with pytest.raises(cc.InputError, match="'rising' needs times="):
        cc.discretize(problem(cc.Legendre(1, INTERVAL), constraints=[rising]))
    timed = cc.PointConstraint(
        "rising", rising.function, rising.points, lower=0.0, times=(0.0, 1.0, 4.0)
    )
    assert len(cc.discretize(problem(None, constraints=[timed])).layout.point_rows["rising"]) == 2
    basis = cc.Legendre(1, INTERVAL)
    nlp = cc.discretize(problem(basis, constraints=[timed]))
    rows = nlp.layout.point_rows["rising"]
    assert len(rows) == 6  # points x times
    x = nlp.start + 0.3 * np.random.default_rng(5).normal(size=nlp.columns)
    network = nlp.problem.dynamics.networks["nn"]
    for row, (z, t) in zip(rows, [(z, t) for z in np.eye(2) for t in timed.times], strict=True):
        theta = network.at(t, x[nlp.layout.weights])
        h = np.array([1e-6, 0.0])
        slope = (network.mlp(z + h, theta) - network.mlp(z - h, theta)) / 2e-6
        c = basis.values(t)[0] @ x[nlp.layout.shared]
        assert nlp.constraints(x)[row] == pytest.approx(float(slope[0]) + c, abs=1e-7)


def test_a_jump_of_a_parameter_is_met_from_both_sides():
    """x' = -c(t) x with c = 1, then 3: exact data, so c comes out to the scheme's accuracy."""
    t = np.linspace(0.0, 2.0, 21)
    y = np.exp(-np.where(t <= 1.0, t, 1.0 + 3.0 * (t - 1.0)))
    c = cc.Parameter("c", 2.0, basis=cc.PiecewiseConstant((0.0, 1.0, 2.0)))
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.c * x.y], parameters=[c])
    for scheme in ("radau", "gauss", "lobatto"):
        found = cc.fit(cc.Problem(decay, cc.Experiment(t, y, ("y",))), scheme=scheme, mesh=15)
        assert found.parameters == pytest.approx({"c.L0": 1.0, "c.L1": 3.0}, rel=1e-4)
        np.testing.assert_allclose(
            found.parameter("c", [0.5, 1.0, 2.0]), [1.0, 3.0, 3.0], rtol=1e-4
        )
        assert found.gap() < 1e-4
