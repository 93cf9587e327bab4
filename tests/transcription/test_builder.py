"""`ProgramBuilder`: terms mapped over index sets are the sums and rows that one would write by hand."""

import math

import casadi as ca
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import collocode as cc


def derivatives(program, x, sigma=0.7):
    """f, ∇f, g, J and the full Hessian of σf + λᵀg as dense arrays."""
    lam = np.linspace(-1.0, 1.0, program.rows)
    f = program.functions
    upper = np.array(ca.DM(f.hessian(x, program.p, sigma, lam)))
    return (
        program.objective(x),
        program.gradient(x),
        program.constraints(x),
        np.array(ca.DM(f.jacobian(x, program.p)[1])),
        upper + np.triu(upper, 1).T,
    )


def by_hand(f, g, x, sigma=0.7):
    """The same of two CasADi expressions in the symbols x."""
    at = ca.MX.sym("x", len(x))
    lam = np.linspace(-1.0, 1.0, g(at).numel())
    both = ca.Function("all", [at], [
        f(at), ca.gradient(f(at), at), g(at), ca.jacobian(g(at), at),
        ca.hessian(sigma * f(at) + ca.dot(ca.DM(lam), g(at)), at)[0],
    ])  # fmt: skip
    found = [np.array(ca.DM(v)) for v in both(x)]
    return float(found[0].item()), found[1].ravel(), found[2].ravel(), found[3], found[4]


def agree(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(2, 6), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1,
                                max_size=8),
    st.integers(0, 2**31),
)  # fmt: skip
def test_any_index_sets_give_the_sums_and_rows_by_hand(n, pairs, seed):
    """Repeated points, and points at which both arguments are one variable, included."""
    rng = np.random.default_rng(seed)
    i, j = (np.array([p[s] % n for p in pairs]) for s in (0, 1))
    d = rng.standard_normal(len(pairs))
    builder = cc.ProgramBuilder()
    x, y = builder.variable("x", n), builder.variable("y")
    builder.minimize(lambda a, b, c, k: k * a**2 * ca.sin(b) * c, x[i], x[j], y, d)
    builder.constraint("rows", lambda a, b, c: a * b**2 + c * a, x[i], x[j], x[0], upper=1.0)
    sums = builder.constraint("sums", rows=2, equals=0.0)
    sums.add(lambda a, b, k: a * b * k, x[i], y, d, at=np.arange(len(pairs)) % 2)
    program = builder.build()

    def f(v):
        return sum(d[k] * v[i[k]] ** 2 * ca.sin(v[j[k]]) * v[n] for k in range(len(pairs)))

    def g(v):
        rows = [v[a] * v[b] ** 2 + v[0] * v[a] for a, b in zip(i.tolist(), j.tolist(), strict=True)]
        two = [0.0, 0.0]
        for k in range(len(pairs)):
            two[k % 2] += v[int(i[k])] * v[n] * d[k]
        return ca.vertcat(*rows, *two)

    at = rng.standard_normal(n + 1)
    agree(derivatives(program, at), by_hand(f, g, at))


def test_matrices_vectors_and_whole_arrays_are_arguments():
    W0, points = np.arange(6.0).reshape(2, 3), np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    builder = cc.ProgramBuilder()
    W, b = builder.variable("W", (2, 3)), builder.variable("b", 2)
    builder.constraint("layer", lambda w, c, z: w @ z + c, W.all, b.all, points, equals=0.0)
    program = builder.build()
    at = np.concatenate([W0.ravel(), [10.0, 20.0]])
    np.testing.assert_allclose(program.constraints(at), (points @ W0.T + [10.0, 20.0]).ravel())
    assert program.row_names == ["layer[0,0]", "layer[0,1]", "layer[1,0]", "layer[1,1]"]
    assert program.column_names[4] == "W[1,1]"
    assert program.column_names[-1] == "b[1]"


def test_parameters_are_changed_without_building_anew():
    builder = cc.ProgramBuilder()
    x, target = builder.variable("x", 3), builder.parameter("target", [1.0, 2.0, 3.0])
    weight = builder.parameter("weight", 1.0)
    builder.minimize(lambda a, t, w: w * (a - t) ** 2, x, target, weight)
    program = builder.build()
    solver = cc.make_solver(program)
    np.testing.assert_allclose(cc.solve_with(solver, program)["x"], [1.0, 2.0, 3.0])
    other = program.with_parameters(target=[0.0, -1.0, 5.0], weight=2.0)
    assert other.functions is program.functions
    np.testing.assert_allclose(cc.solve_with(solver, other)["x"], [0.0, -1.0, 5.0], atol=1e-8)
    with pytest.raises(cc.InputError, match="no parameter block 'goal'; there are: target, weight"):
        program.with_parameters(goal=1.0)


def rosenbrock():
    builder = cc.ProgramBuilder("rosenbrock")
    x = builder.variable("x", 4, start=-1.0, lower=-2.0)
    k = np.arange(3)
    builder.minimize(lambda a, b: (1 - a) ** 2 + 100 * (b - a**2) ** 2, x[k], x[k + 1])
    disk = builder.constraint("disk", rows=1, upper=2.0)
    disk.add(lambda a: a**2, x, at=0)
    return builder.build()


@pytest.mark.parametrize("interface", ["casadi", "cyipopt", "pyomo"])
def test_the_optimum_is_scipys_through_every_interface(interface):
    if interface != "casadi":
        pytest.importorskip("cyipopt" if interface == "cyipopt" else "pyomo_pounce")
    program = rosenbrock()
    found = cc.solve(program, interface)
    expected = minimize(
        program.objective, np.full(4, -1.0), jac=program.gradient, method="SLSQP",
        constraints=[{"type": "ineq", "fun": lambda v: 2.0 - v @ v}], bounds=[(-2.0, None)] * 4,
        options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    assert found.success
    np.testing.assert_allclose(found["x"], expected.x, atol=1e-5)
    assert found.objective == pytest.approx(expected.fun, rel=1e-6)
    assert program.kkt_residual(found.result.x, found.result.lam_g, found.result.lam_x) < 1e-5
    assert found.dual("disk").shape == (1,)
    assert found.dual("disk")[0] > 0.0  # active from above, in the sign of L = f + λᵀg


def test_terms_over_nothing_are_nothing():
    builder = cc.ProgramBuilder()
    x = builder.variable("x", 3, start=2.0)
    nothing = np.arange(0)
    builder.constraint("none", lambda a: a, x[nothing], equals=5.0)
    builder.minimize(lambda a: a**2, x).minimize(lambda a, d: d * a, x[nothing], np.zeros(0))
    found = cc.solve(builder.build())
    assert found.success
    np.testing.assert_allclose(found["x"], 0.0, atol=1e-8)
    assert found.dual("none").shape == (0,)


def test_a_maximum_is_reported_as_one():
    builder = cc.ProgramBuilder()
    x = builder.variable("x", lower=0.0, upper=3.0, start=1.0)
    builder.maximize(lambda a: 4.0 - (a - 2.0) ** 2, x)
    found = cc.solve(builder.build())
    assert found.objective == pytest.approx(4.0)
    assert float(found["x"]) == pytest.approx(2.0)
    assert "f=4" in repr(found)


def test_every_export_of_a_built_program(tmp_path):
    pytest.importorskip("pyomo")
    program, found = rosenbrock(), cc.solve(rosenbrock())
    cc.write_nl(program, tmp_path / "model.nl")
    again = cc.solve_nl(tmp_path / "model.nl")
    assert again.objective == pytest.approx(found.objective, rel=1e-8)
    assert cc.read_nl(tmp_path / "model.nl").column_names == program.column_names
    model = cc.to_pyomo(program).model
    assert [model.x[k].lb for k in range(4)] == [-2.0] * 4
    functions = cc.nlp_functions(program)
    assert float(functions["nlp"](found.result.x, [])[0]) == pytest.approx(found.objective)
    read = cc.read_nl(tmp_path / "model.nl")
    cc.write_nl(read, tmp_path / "again.nl")  # what was read is a Program too
    assert cc.solve_nl(tmp_path / "again.nl").objective == pytest.approx(found.objective, rel=1e-8)


def test_scales_do_not_show():
    builder = cc.ProgramBuilder()
    x = builder.variable("x", 2, start=[2e3, 1.0], scale=[1024.0, 1.0])
    builder.minimize(lambda a, b: (a / 1e3 - 1) ** 2 + (b * a / 1e3 - 2) ** 2, x[0], x[1])
    builder.constraint("product", lambda a, b: a * b, x[0], x[1], upper=1500.0, scale=2.0**-10)
    found = cc.solve(builder.build())
    assert found.success
    np.testing.assert_allclose(found["x"][0] * found["x"][1], 1500.0, rtol=1e-6)


def test_a_stopped_solve_is_diagnosed_by_block_and_place():
    builder = cc.ProgramBuilder()
    x = builder.variable("x", 3)
    builder.constraint("meets", lambda a, b: a - b, x, np.array([1.0, 0.0, 5.0]), equals=0.0)
    found = cc.diagnose(cc.solve(builder.build(), options={"max_iter": 0}))
    assert found.violated["equation"].tolist() == ["meets", "meets"]
    assert found.violated["place"].tolist() == ["2", "0"]
    assert found.violated["residual"].tolist() == [5.0, 1.0]
    assert "max_iter" in found.remedy


BAD = {
    "taken": (lambda b: [b.variable("x"), b.variable("x")], "the name 'x' is taken"),
    "crossed": (lambda b: [b.variable("x", 2, lower=[0, 3], upper=1), b.build()],
                r"bounds of x\[1\] cross: 3 > 1"),
    "index": (lambda b: b.variable("x", 3)[7], r"variable 'x' has shape \(3,\)"),
    "lengths": (lambda b: b.minimize(lambda a, c: a * c, b.variable("x", 3), np.ones(4)),
                "argument 1 has 3, argument 2 has 4"),
    "function": (lambda b: b.minimize(lambda a: a.nonsense(), b.variable("x")),
                 "fails with its 1 argument "),
    "math": (lambda b: [b.minimize(lambda a: math.sin(a), b.variable("x")), b.build()],
             "call casadi's or NumPy's functions in it, not math's"),
    "no bounds": (lambda b: b.constraint("c", lambda a: a, b.variable("x")),
                  "'c' has no bounds; give equals="),
    "lower above upper": (lambda b: b.constraint("c", lambda a: a, b.variable("x"), lower=2, upper=1),
                          "'c' has lower > upper at position 0"),
    "both senses": (lambda b: b.minimize(lambda a: a, b.variable("x")).maximize(lambda: 1.0),
                    "to minimize and to maximize"),
    "equal and bounded": (lambda b: b.constraint("c", lambda a: a, b.variable("x"), equals=1, upper=2),
                          "'c' has equals= and bounds as well"),
    "equal to too many": (lambda b: b.constraint("c", lambda a: a, b.variable("x", 2), equals=[1, 2, 3]),
                          "equals of 'c' must be numbers of shape"),
    "two values in a row": (lambda b: b.constraint("c", rows=1, equals=0.0).add(
        lambda a: a, b.variable("x", (3, 2)), at=0), "returns 2 values at a point"),
    "a product with all": (lambda b: b.minimize(lambda v, c: c * v, b.variable("x", 3).all, np.ones(3)),
                           "has 3 points, one per number of its data, and 3 values at each"),
    "no variables": (lambda b: b.build(), "has no variables"),
    "nan": (lambda b: b.variable("x", 2, start=[0.0, np.nan]), "start of 'x' has NaN at position 1"),
    "at": (lambda b: b.constraint("c", rows=2, equals=0.0).add(lambda a: a, b.variable("x"), at=2),
           "at= of constraint 'c' must be positions from 0 to 1"),
    "at length": (lambda b: b.constraint("c", rows=2, equals=0.0).add(
        lambda a: a, b.variable("x", 3), at=[0, 1]), "has 2 entries for 3 points"),
    "expression": (lambda b: b.minimize(b.variable("x", 3)[0] ** 2), "no expressions here"),
    "expression of numpy": (lambda b: b.minimize(2.0 * b.variable("x", 3)), "no expressions here"),
    "no function": (lambda b: b.minimize(b.variable("x", 3)), "needs a function and then its arg"),
    "neither": (lambda b: b.constraint("c", equals=0.0), "needs either a function or rows="),
    "shape": (lambda b: b.variable("x", 2.5), "has no shape"),
    "text": (lambda b: b.variable("x", 2, start="far"), "start of 'x' must be numbers"),
    "empty name": (lambda b: b.variable(""), "a name must be a word"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_named(case):
    act, message = BAD[case]
    with pytest.raises(cc.InputError, match=message):
        act(cc.ProgramBuilder())


def test_a_whole_variable_is_fixed():
    builder = cc.ProgramBuilder("plane")
    x, y = builder.variable("x", 2), builder.variable("y", start=1.0)
    x.fix([3.0, -1.0])
    builder.minimize(lambda v, y: (v[0] + v[1] - y) ** 2, x.all, y)
    found = cc.solve(builder.build())
    assert found["x"].tolist() == [3.0, -1.0]
    assert found["y"] == pytest.approx(2.0)


def test_unknown_blocks_of_a_solution_are_named():
    found = cc.solve(rosenbrock())
    with pytest.raises(cc.InputError, match="no block of variables 'y'; there are: x"):
        found["y"]
    with pytest.raises(cc.InputError, match="no block of constraints 'x'; there are: disk"):
        found.dual("x")
    assert found.to_frame()["variable"].tolist() == ["x[0]", "x[1]", "x[2]", "x[3]"]
    assert list(found.values()) == ["x"]
    assert found.bound_dual("x").shape == (4,)


def test_the_kkt_residual_by_hand():
    """min x² over x in [0, 1] and x + y >= 1 at (0.5, 2): each of its four parts in turn."""
    builder = cc.ProgramBuilder("square")
    x, y = builder.variable("x", lower=0.0, upper=1.0, start=0.5), builder.variable("y", start=2.0)
    builder.minimize(lambda x: x**2, x)
    builder.constraint("sum", lambda x, y: x + y, x, y, lower=1.0)
    program = builder.build()

    def residual(point, lam_g, lam_x):
        return program.kkt_residual(point, [lam_g], lam_x)

    assert residual([0.5, 2.0], 0.0, [0.0, 0.0]) == pytest.approx(1.0)  # 2 x, not stationary
    assert residual([0.5, 2.0], 0.0, [-1.0, 0.0]) == pytest.approx(0.5)  # 0.5 off the bound at 0
    assert residual([0.5, 2.0], -1.0, [0.0, 1.0]) == pytest.approx(1e30)  # y has no bound
    assert residual([0.0, 0.25], 0.0, [0.0, 0.0]) == pytest.approx(0.75)  # x + y is below 1
    assert residual([0.0, 1.75], -0.5, [0.5, 0.0]) == pytest.approx(
        0.5
    )  # multiplier of y left over
    assert residual([0.0, 3.0], 0.0, [0.0, 0.0]) == pytest.approx(0.0)
