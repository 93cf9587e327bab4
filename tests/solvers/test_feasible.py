"""A point that violates is never a solution, whatever the scales and the interface.

The programs are infeasible by construction; their violation is known from below in the user's units.
"""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import collocode as cc
from collocode.solvers.outcome import FEASIBLE_TO, violated
from tests.interface_problems import available

INTERFACES = ("casadi", "cyipopt", "pyomo")
SOLVED = (cc.Termination.CONVERGED, cc.Termination.ACCEPTABLE)
powers = st.integers(-9, 9).map(lambda k: 10.0**k)


def pair(first, second, degree=3, start=1e4, factor=1.0, scale=1.0, objective=True):
    """factor (x^d + y^d) equals both numbers times the factor; rows declared of size 1/scale."""
    b = cc.ProgramBuilder("pair")
    x = b.variable("x", 2, start=start)
    for name, value in (("one", first), ("two", second)):
        b.constraint(
            name, lambda x, y: factor * (x**degree + y**degree), x[0], x[1],
            equals=factor * value, scale=scale,
        )  # fmt: skip
    if objective:
        b.minimize(lambda x: x**2, x[:])
    return b.build()


def is_honest(result, least):
    """Nothing is called solved that violates by at least so much."""
    assert result.violation >= 0.99 * least
    assert result.termination not in SOLVED, result
    assert result.status not in (cc.SolutionStatus.OPTIMAL, cc.SolutionStatus.FEASIBLE)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    gap=st.floats(0.1, 10.0),
    degree=st.sampled_from([1, 2, 3]),
    start=st.sampled_from([-1e4, 0.1, 1.0, 1e3, 1e4]),
    factor=st.sampled_from([1e-2, 1.0, 1e3, 1e6]),
    scale=powers,
    objective=st.booleans(),
)
def test_what_contradicts_is_never_converged(gap, degree, start, factor, scale, objective):
    program = pair(1.0, 1.0 + gap, degree, start, factor, scale, objective)
    is_honest(cc.solve(program).result, 0.5 * gap * factor)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    roots=st.tuples(st.floats(0.2, 5.0), st.floats(0.2, 5.0)),
    start=st.sampled_from([0.3, 1.0, 1e3]),
    factor=st.sampled_from([1e-2, 1.0, 1e3]),
    scale=st.integers(-6, 6).map(lambda k: 10.0**k),
)
def test_what_has_a_solution_is_solved_in_any_row_scale(roots, start, factor, scale):
    b = cc.ProgramBuilder("cubes")
    x = b.variable("x", 2, start=start)
    cubes = np.array(roots) ** 3
    b.constraint("cube", lambda x, c: factor * (x**3 - c), x[:], cubes, equals=0.0, scale=scale)
    solution = cc.solve(b.build())
    assert solution.success, solution.result
    np.testing.assert_allclose(solution["x"], roots, rtol=1e-4)
    assert solution.result.violation <= FEASIBLE_TO


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("seed", range(4))
def test_on_every_interface(interface, seed):
    rng = np.random.default_rng(seed)
    scale, start = 10.0 ** rng.integers(-8, 4), 10.0 ** rng.integers(0, 5)
    program = pair(1.0, 2.0, 3, start, scale=scale, objective=bool(seed % 2))
    is_honest(cc.solve(program, available(interface)).result, 0.5)


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_bound_and_a_row_that_exclude_each_other(interface):
    b = cc.ProgramBuilder("bound")
    x = b.variable("x", lower=0.0, upper=1.0, start=0.5)
    b.constraint("large", lambda x: x**2, x, lower=4.0, scale=1e-9)
    b.minimize(lambda x: x**2, x)
    result = cc.solve(b.build(), available(interface)).result
    assert result.termination not in SOLVED
    assert result.violation > 1.0


def test_the_second_attempt_finds_the_root_that_scaling_hid():
    """At x = 1e4 the gradient is 3e8: IPOPT scales the row by 3e-7 and stops 0.03 too early."""
    b = cc.ProgramBuilder("cube")
    x = b.variable("x", start=1e4)
    b.constraint("cube", lambda x: x**3, x, equals=8.0)
    solution = cc.solve(b.build())
    assert solution.success
    assert solution["x"] == pytest.approx(2.0, abs=1e-6)
    history = solution.result.history
    assert len({len(v) for v in history.values()}) == 1


def test_large_numbers_are_judged_by_their_size_but_never_loosely():
    """Pressures of 1e7 Pa that agree to 5e-5 Pa are solved, to 1e-3 Pa they are not."""
    large, small = pair(1e7, 1e7, 1), pair(1.0, 1.0, 1)
    assert violated(large, np.array([5e6, 5e6 + 5e-5]), {}) is None
    assert violated(large, np.array([5e6, 5e6 + 1e-3]), {})[1] == pytest.approx(1e-3, rel=1e-3)
    name, size = violated(small, np.array([0.5, 0.5 + 5e-5]), {})
    assert name in ("one[0]", "two[0]")
    assert size == pytest.approx(5e-5)


def test_large_states_are_solved_to_that():
    """Row scales of 1e-7 let IPOPT stop at 0.1 in the user's units; the answer is better."""
    b = cc.ProgramBuilder("pressures")
    x = b.variable("x", 2, start=[1e7, 3e7], scale=1e7)
    b.constraint("product", lambda x, y: x * y / 1e7, x[0], x[1], equals=2e7, scale=1e-7)
    b.constraint("difference", lambda x, y: y - x, x[0], x[1], equals=1e7, scale=1e-7)
    solution = cc.solve(b.build(), options={"tol": 1e-6})
    assert solution.success, solution.result
    np.testing.assert_allclose(solution["x"], [1e7, 2e7], rtol=1e-9)


def test_bounds_are_judged_by_their_size():
    b = cc.ProgramBuilder("bounds")
    b.variable("x", 2, lower=[1e8, -1e30], upper=[2e8, 1.0], start=[1e8, 0.0])
    program = b.build()
    assert violated(program, np.array([1e8 - 1.0, 1.0]), {}) is None
    assert violated(program, np.array([1e8 - 1e3, 1.0]), {})[1] == pytest.approx(1e3)
    assert violated(program, np.array([1e8, 1.1]), {})[1] == pytest.approx(0.1)
    assert math.isnan(violated(program, np.array([1e8, np.nan]), {})[1])


def test_the_callers_tolerance_counts():
    program, point = pair(1.0, 1.0, 1), np.array([0.5, 0.5 + 5e-6])
    assert violated(program, point, {}) is not None
    assert violated(program, point, {"tol": 1e-5}) is None
    assert violated(program, point, {"constr_viol_tol": 1e-5}) is None
    assert violated(program, np.array([0.5, 0.5 + 1e-7]), {"constr_viol_tol": 1e-8}) is not None
    assert violated(program, np.array([0.5, 0.6]), {"tol": 1.0}) is not None  # 1e-4 at most


# ---- Pyomo, files, AMPL's driver ----------------------------------------------------------------

CONTRADICTIONS = {
    "cubes": (lambda x, y: x**3 + y**3, 1.0, 2.0, 1e4),
    "squares": (lambda x, y: x**2 + y**2, -1.0, 1.0, 1e3),
    "sums": (lambda x, y: 1e3 * (x + y), 0.0, 1e3, 1.0),
}


def contradiction(name, objective):
    pyo = pytest.importorskip("pyomo.environ")
    body, first, second, start = CONTRADICTIONS[name]
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(initialize=start), pyo.Var(initialize=start)
    m.one = pyo.Constraint(expr=body(m.x, m.y) == first)
    m.two = pyo.Constraint(expr=body(m.x, m.y) == second)
    if objective:
        m.f = pyo.Objective(expr=m.x**2 + m.y**2)
    return m


@pytest.mark.parametrize("objective", [True, False])
@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_pyomo_files_and_ampls_driver_say_the_same(name, objective, tmp_path):
    pyo = pytest.importorskip("pyomo.environ")
    import collocode.pyomo_plugin  # noqa: F401

    model = contradiction(name, objective)
    solver = pyo.SolverFactory("collocode_ipopt")
    ended = solver.solve(model, load_solutions=False).solver.termination_condition
    assert ended != pyo.TerminationCondition.optimal
    path = tmp_path / "m.nl"
    model.write(str(path))
    is_honest(cc.solve_nl(path), 0.4)
    done = subprocess.run(
        [sys.executable, "-c", "from collocode.cli.ampl import main; main()", str(path), "-AMPL"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "converged" not in done.stdout
    code = int(path.with_suffix(".sol").read_text().partition("objno 0 ")[2].split()[0])
    assert code >= 200  # AMPL: below, it is solved or perhaps solved


def test_user_scaling_hides_nothing(tmp_path):
    pyo = pytest.importorskip("pyomo.environ")
    import collocode.pyomo_plugin  # noqa: F401

    model = contradiction("cubes", True)
    model.scaling_factor = pyo.Suffix(direction=pyo.Suffix.EXPORT)
    model.scaling_factor[model.one] = model.scaling_factor[model.two] = 1e-9
    solver = pyo.SolverFactory("collocode_ipopt")
    ended = solver.solve(model, load_solutions=False).solver.termination_condition
    assert ended != pyo.TerminationCondition.optimal
