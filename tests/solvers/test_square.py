"""Programs without an objective, with too many equations, or with bounds that cross."""

import re
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app
from tests.interface_problems import available

INTERFACES = ("casadi", "cyipopt", "pyomo")


def roots(objective=None, rows=True):
    """x² = (2, 3) from (1, 1), with an objective that says nothing."""
    b = cc.ProgramBuilder("roots")
    x = b.variable("x", 2, start=1.0)
    if rows:
        b.constraint("square", lambda x: x**2, x[:], equals=[2.0, 3.0])
    if objective == "parameter":
        b.minimize(lambda x, w: w * x, x[:], b.parameter("weight", 0.0))
    elif objective is not None:
        b.minimize(lambda x: objective + 0.0 * x, x[:])
    return b.build()


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("objective", [None, 0.0, 1.0, "parameter"])
def test_square_systems_are_solved(objective, interface):
    solution = cc.solve(roots(objective), available(interface))
    assert solution.success
    np.testing.assert_allclose(solution["x"], np.sqrt([2.0, 3.0]), rtol=1e-7)


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("objective", [None, 1.0])
def test_nothing_to_decide_returns_the_start(objective, interface):
    solution = cc.solve(roots(objective, rows=False), available(interface))
    assert solution.success
    np.testing.assert_allclose(solution["x"], 1.0)


# ---- more equations than variables --------------------------------------------------------------


def overdetermined(fixed=False):
    b = cc.ProgramBuilder("three")
    limits = {"lower": 1.0, "upper": 1.0} if fixed else {}
    x, y = b.variable("x", start=1.0, **limits), b.variable("y", start=1.0)
    b.constraint("sum", lambda x, y: x + y, x, y, equals=2.0)
    b.constraint("product", lambda x, y: x * y, x, y, equals=1.0)
    if not fixed:
        b.constraint("difference", lambda x, y: x - y, x, y, equals=0.0)
    return b.build()


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("fixed", [True, False])
def test_more_equations_than_free_variables_are_refused_by_name(fixed, interface):
    counts = "2 for 1" if fixed else "3 for 2"
    with pytest.raises(cc.InputError, match=rf"'three' has more equations .* {counts}") as caught:
        cc.solve(overdetermined(fixed), available(interface))
    named = str(caught.value).partition("satisfy: ")[2].removesuffix("[0]).")
    assert named in ("sum", "product", "difference")


def test_rows_of_fixed_variables_and_inequalities_do_not_count():
    b = cc.ProgramBuilder("fixed")
    x, y = b.variable("x", start=1.0, lower=1.0, upper=1.0), b.variable("y", start=0.5)
    b.constraint("of fixed ones", lambda x: x**2, x, equals=1.0)
    b.constraint("of both", lambda x, y: x + y, x, y, equals=3.0)
    b.constraint("side", lambda y: y, y, upper=4.0)
    solution = cc.solve(b.build())
    assert solution.success
    assert solution["y"] == pytest.approx(2.0)


def test_crossed_bounds_are_refused_by_name():
    program = roots()
    crossed = replace(program, lower=np.array([0.0, 3.0]), upper=np.array([1.0, 2.0]))
    with pytest.raises(cc.InputError, match=r"the bounds of x\[1\] cross, \[3, 2\]"):
        cc.solve(crossed)
    crossed = replace(program, row_lower=np.array([9.0, 3.0]))
    with pytest.raises(cc.InputError, match=r"the bounds of square\[0\] cross, \[9, 2\]"):
        cc.solve(crossed)


# ---- Pyomo's models and files -------------------------------------------------------------------


def circle(kind):
    """x² + y = 3, x = y, and what the kind adds."""
    pyo = pytest.importorskip("pyomo.environ")
    m = pyo.ConcreteModel("circle")
    m.x, m.y = pyo.Var(initialize=1.0, bounds=(0.0, 4.0)), pyo.Var(initialize=1.0)
    m.curve = pyo.Constraint(expr=m.x**2 + m.y == 3.0)
    m.line = pyo.Constraint(expr=m.x == m.y)
    if kind == "maximised constant":
        m.f = pyo.Objective(expr=0.0, sense=pyo.maximize)
    if kind == "inactive objective":
        m.f, m.g = pyo.Objective(expr=m.x), pyo.Objective(expr=m.y)
        m.f.deactivate()
    if kind == "two objectives":
        m.f, m.g = pyo.Objective(expr=m.x), pyo.Objective(expr=m.y)
    if kind == "third equation":
        m.third = pyo.Constraint(expr=m.x + 2.0 * m.y == 1.0)
    if kind == "fixed":
        m.x.fix(1.0)
    if kind == "fixed outside":
        m.x.fix(5.0, skip_validation=True)
        m.line.deactivate()
    if kind == "all fixed":
        m.x.fix(1.0), m.y.fix(2.0), m.line.deactivate()
    if kind == "all fixed, wrong":
        m.x.fix(1.0), m.y.fix(1.0)
    return m


def plugin():
    pyo = pytest.importorskip("pyomo.environ")
    import collocode.pyomo_plugin  # noqa: F401

    return pyo.SolverFactory("collocode_ipopt")


@pytest.mark.parametrize("kind", ["none", "maximised constant", "inactive objective"])
def test_square_models_of_pyomo_and_their_files(kind, tmp_path):
    model, root = circle(kind), (13.0**0.5 - 1.0) / 2.0
    path = tmp_path / "circle.nl"
    model.write(str(path))
    assert plugin().solve(model).solver.termination_condition == "optimal"
    assert model.x.value == pytest.approx(root)
    result = cc.solve_nl(path)
    assert result.success
    np.testing.assert_allclose(result.x, root)
    done = CliRunner().invoke(app, ["solve", str(path)])
    assert done.exit_code == 0, done.output
    assert path.with_suffix(".sol").is_file()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("two objectives", r"2 active objectives \(f, g\); deactivate all but one"),
        ("third equation", r"'circle' has more equations .* 3 for 2; .*: (third|curve|line)\)"),
        ("fixed", r"more equations than free variables, 2 for 1"),
        ("fixed outside", r"'x' \(fixed value 5.0 outside bounds \[0.0, 4.0\]\); correct"),
    ],
)
def test_models_that_cannot_be_solved_are_refused_by_name(kind, message):
    with pytest.raises(cc.InputError, match=message):
        plugin().solve(circle(kind))


def test_models_without_anything_free():
    assert plugin().solve(circle("all fixed")).solver.termination_condition == "optimal"
    ended = plugin().solve(circle("all fixed, wrong"), load_solutions=False)
    assert ended.solver.termination_condition == "infeasible"


def test_files_of_two_objectives_are_refused(tmp_path):
    circle("two objectives").write(str(tmp_path / "m.nl"))
    with pytest.raises(cc.FileError, match="has 2 objectives, which are not supported"):
        cc.read_nl(tmp_path / "m.nl")


# ---- rows that no free variable can change, and objectives without a bound ----------------------


def held(limit, of_variable=True):
    """min (y - 1)² with a fixed x = 1 whose square, or the number 1, has to be ``limit``, and y = 0.5."""
    b = cc.ProgramBuilder("held")
    x, y = b.variable("x", 2, start=1.0, lower=1.0, upper=1.0), b.variable("y")
    b.minimize(lambda y: (y - 1.0) ** 2, y)
    for name in ("square", "cube"):  # more equations than free variables, but for those on x
        b.constraint(name, lambda x: x**2, x[:] if of_variable else 1.0, equals=limit)
    b.constraint("half", lambda y: y, y, equals=0.5)
    return b.build()


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("of_variable", [True, False])
def test_rows_of_fixed_variables_that_hold_are_passed_over(interface, of_variable, capfd):
    solution = cc.solve(held(1.0, of_variable), available(interface))
    assert solution.success
    assert solution["y"] == pytest.approx(0.5)
    assert "overconstrained" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize(
    ("of_variable", "why"),
    [
        (True, r"square\[0\] is 1 .* within \[4, 4\].* fixed: x\[0\]; free one of them"),
        (False, r"square\[0\] is 1 .* within \[4, 4\].* no variables; leave it out"),
    ],
)
def test_rows_of_fixed_variables_that_are_violated_are_named(interface, of_variable, why, capfd):
    result = cc.solve(held(4.0, of_variable), available(interface)).result
    assert (result.termination.name, result.status.name) == ("INFEASIBLE", "INFEASIBLE")
    assert re.search(why, result.message)
    assert result.violation == 3.0
    assert "overconstrained" not in "".join(capfd.readouterr())


def test_rows_without_any_variable_are_solved_beside():
    b = cc.ProgramBuilder("constant")
    x = b.variable("x", start=1.0)
    b.minimize(lambda x: (x - 3.0) ** 2, x)
    b.constraint("number", lambda q: q, b.parameter("q", 2.0), upper=4.0)
    assert cc.solve(b.build(), available("cyipopt"))["x"] == pytest.approx(3.0)


def falling(sense="minimize", cost=lambda x, y: -x - y):
    b = cc.ProgramBuilder("falling")
    x, y = b.variable("x", start=1.0), b.variable("y", start=1.0)
    getattr(b, sense)(cost, x, y)
    b.constraint("apart", lambda x, y: x - y, x, y, equals=1.0)
    return b.build()


@pytest.mark.parametrize("interface", ["casadi", "cyipopt"])
@pytest.mark.parametrize(
    ("sense", "cost", "why"),
    [
        ("minimize", lambda x, y: -x - y, "no lower bound: it is -.* along x, y,"),
        ("maximize", lambda x, y: x + y, "no upper bound: it is [0-9].* along x, y,"),
        ("minimize", lambda x, y: -x * y, "no lower bound"),
    ],
)
def test_objectives_without_a_bound_are_said_to_have_none(interface, sense, cost, why):
    result = cc.solve(falling(sense, cost), available(interface)).result
    assert result.termination is cc.Termination.UNBOUNDED
    assert re.search(why, result.message)
    assert "bound these variables" in result.message


def test_pounce_tells_at_least_that_bounds_may_be_missing():
    result = cc.solve(falling(), available("pyomo")).result
    assert result.termination in (cc.Termination.DIVERGING, cc.Termination.UNBOUNDED)
    assert "bound" in result.message


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"start": [np.inf, 1.0]}, "the start of x is inf; give a finite number"),
        ({"lower": [np.inf, 0.0], "upper": [np.inf, 1.0]}, "no number is within the bounds of x"),
    ],
)
def test_infinite_starts_and_bounds_are_refused(change, why):
    program = replace(falling(), **{k: np.array(v) for k, v in change.items()})
    with pytest.raises(cc.InputError, match=why):
        cc.solve(program)
