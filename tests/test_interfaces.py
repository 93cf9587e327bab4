"""Three ways to IPOPT-like solvers, one answer."""

import signal
import sys
import tempfile

import casadi as ca
import numpy as np
import pytest

from collocode.errors import FileError, InputError, MissingDependency
from collocode.export.sol import read_sol
from collocode.results.status import SolutionStatus, Termination
from collocode.solvers.solve import make_solver, solve
from collocode.transcription.discretize import discretize
from tests.interface_problems import PROBLEMS, TIGHT, Solved, available, black_box, grey_box

INTERFACES = ("casadi", "cyipopt", "pyomo")


@pytest.fixture(scope="module")
def solved():
    return Solved()


# ---- the same answer, whatever the interface --------------------------------------------------


@pytest.mark.parametrize("interface", ["cyipopt", "pyomo"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_same_optimum_and_multipliers(solved, name, interface):
    nlp, reference = solved(name)
    answer = solve(nlp, available(interface), TIGHT).result
    assert reference.success
    assert answer.success
    assert answer.objective == pytest.approx(reference.objective, rel=1e-6)
    for key in ("x", "lam_g", "lam_x"):
        ours, theirs = getattr(answer, key), getattr(reference, key)
        np.testing.assert_allclose(ours, theirs, atol=1e-6 * max(1.0, np.abs(theirs).max()))
    for result in (reference, answer):
        assert nlp.kkt_residual(result.x, result.lam_g, result.lam_x) < 1e-6


def test_the_problems_have_active_bounds(solved):
    nlp, answer = solved("grey_box")
    mu = nlp.layout.shared[0]
    assert answer.x[mu] == pytest.approx(0.8, abs=1e-6)
    assert answer.lam_x[mu] > 1e-4  # positive at an upper bound
    nlp, answer = solved("fixed_start")
    column = nlp.layout.experiments[0].states[0, 1]
    assert answer.x[column] == 1.0
    assert abs(answer.lam_x[column]) > 1e-6
    nlp, answer = solved("capped")
    rows = np.concatenate([e.path_rows[0] for e in nlp.layout.experiments])
    assert answer.lam_g[rows].max() > 1e-4


@pytest.mark.parametrize("name", PROBLEMS)
def test_cyipopt_takes_the_same_iterates(solved, name):
    nlp, reference = solved(name)
    answer = solve(nlp, available("cyipopt"), TIGHT).result
    assert answer.iterations == reference.iterations
    for key in ("objective", "primal", "dual", "mu", "step", "regularisation"):
        np.testing.assert_allclose(
            answer.history[key], reference.history[key], rtol=1e-6, atol=1e-9, err_msg=key
        )
    assert answer.linear_solver == reference.linear_solver == "mumps"
    assert {"solve", "derivatives", "linear solver"} <= set(answer.timings)


def test_pounce_needs_as_many_iterations(solved):
    nlp, reference = solved("black_box")
    answer = solve(nlp, available("pyomo"), TIGHT).result
    assert abs(answer.iterations - reference.iterations) <= 5
    assert len(answer.history["mu"]) == answer.iterations + 1
    assert (answer.solver, answer.linear_solver) == ("pounce", "feral")


@pytest.mark.parametrize("interface", INTERFACES)
def test_warm_start_is_at_the_solution(interface):
    nlp = discretize(grey_box())
    first = solve(nlp, available(interface))
    again = solve(nlp, interface, warm=first)
    assert again.success
    assert again.result.iterations <= 3
    np.testing.assert_allclose(again.result.x, first.result.x, atol=1e-6)


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_solver_takes_new_data(interface):
    nlp = discretize(black_box())
    solver = make_solver(nlp, available(interface))
    changed = nlp.with_parameters(regularisation=1e-2)
    first, second = solver.solve(nlp), solver.solve(changed)
    assert second.objective > first.objective
    assert second.objective == pytest.approx(solve(changed).result.objective, rel=1e-6)


# ---- solves that stop early -------------------------------------------------------------------


@pytest.mark.parametrize("interface", INTERFACES)
def test_iteration_limit_returns_the_best_iterate(solved, interface):
    nlp, _ = solved("black_box")
    seen = []
    answer = solve(nlp, available(interface), {"max_iter": 4}, on_iteration=seen.append).result
    assert answer.termination is Termination.ITERATION_LIMIT
    assert answer.status is SolutionStatus.INFEASIBLE
    assert answer.iterations == 4
    assert [p.iteration for p in seen] == [0, 1, 2, 3, 4]
    assert answer.violation <= nlp.violation(nlp.start).max()
    assert answer.objective == nlp.objective(answer.x)


@pytest.mark.parametrize("interface", INTERFACES)
def test_ctrl_c_returns_the_best_iterate(interface):
    nlp = discretize(black_box())
    handler = signal.getsignal(signal.SIGINT)

    def press(progress):
        if progress.iteration == 5:
            signal.raise_signal(signal.SIGINT)

    result = solve(nlp, available(interface), on_iteration=press).result
    if interface == "pyomo" and result.success:  # a process of its own may be done by then
        return
    assert result.termination is Termination.INTERRUPTED
    assert result.status is not SolutionStatus.OPTIMAL
    assert result.violation < nlp.violation(nlp.start).max()
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("interface", INTERFACES)
def test_an_error_of_the_callers_is_raised(solved, interface):
    def fail(progress):
        raise ZeroDivisionError("the caller's own")

    with pytest.raises(ZeroDivisionError, match="the caller's own"):
        solve(solved("black_box")[0], available(interface), on_iteration=fail)


# ---- options ----------------------------------------------------------------------------------

REFUSED = [
    ({"tolerance": 1e-6}, InputError, "no option 'tolerance'"),
    ({"tole": 1e-6}, InputError, "did you mean 'tol'"),
    ({"tol": "small"}, InputError, "refuses tol = 'small'"),
    ({"tol": -1.0}, InputError, "refuses tol = -1"),
    ({"max_iter": 2.5}, InputError, "refuses max_iter = 2.5"),
    ({"linear_solver": "lapack"}, InputError, "refuses linear_solver = 'lapack'"),
]
UNAVAILABLE = [
    ({"linear_solver": "ma57"}, "'ma57' needs libhsl.so.*'mumps'"),
    ({"linear_solver": "pardiso"}, "'pardiso' needs libpardiso.so.*'pardisolib'"),
]


@pytest.mark.parametrize(("options", "error", "message"), REFUSED)
@pytest.mark.parametrize("interface", INTERFACES)
def test_options_are_refused_by_name(solved, capfd, interface, options, error, message):
    with pytest.raises(error, match=message):
        solve(solved("grey_box")[0], available(interface), options)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("options", "message"), UNAVAILABLE)
@pytest.mark.parametrize("interface", ["casadi", "cyipopt"])
def test_missing_linear_solvers_are_named(solved, interface, options, message):
    with pytest.raises(MissingDependency, match=message):
        solve(solved("grey_box")[0], available(interface), options)


@pytest.mark.parametrize("interface", ["casadi", "cyipopt"])
def test_pardiso_is_missed_after_chains_that_come_in_its_place(solved, interface):
    """The structured solver is called as Pardiso is, in its own solves alone."""
    nlp, options = solved("grey_box")[0], {"linear_solver": "pardiso"}
    assert solve(nlp, "casadi", {"linear_solver": "chains"}).result.linear_solver == "chains"
    with pytest.raises(MissingDependency, match=r"'pardiso' needs libpardiso.so"):
        solve(nlp, available(interface), options)
    x = ca.MX.sym("x")
    quiet = {"print_time": False, "error_on_fail": False}
    own = {**quiet, "ipopt": {"print_level": 0, **options}}
    solver = ca.nlpsol("theirs", "ipopt", {"x": x, "f": (x - 1.0) ** 2}, own)
    solver(x0=0.0)
    assert solver.stats()["return_status"] == "Invalid_Option"


def test_option_types_are_forgiven(solved):
    nlp, _ = solved("grey_box")
    for interface in ("casadi", available("cyipopt")):
        options = {"tol": 1, "max_iter": 3.0, "ipopt.mu_strategy": "adaptive"}
        assert solve(nlp, interface, options).result.iterations <= 3


def test_a_missing_nl_solver_is_named(solved):
    available("pyomo")
    with pytest.raises(MissingDependency, match="'no-such-solver' is not installed"):
        solve(solved("grey_box")[0], "pyomo", {"pyomo.solver": "no-such-solver"})
    with pytest.raises(InputError, match="gave no solution"):
        solve(solved("grey_box")[0], "pyomo", {"pyomo.solver": "true"})


def test_no_files_are_left_behind(solved, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for interface in INTERFACES:
        solve(solved("grey_box")[0], available(interface), {"max_iter": 3})
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named(solved, monkeypatch):
    nlp, _ = solved("grey_box")
    monkeypatch.setitem(sys.modules, "cyipopt", None)
    monkeypatch.setitem(sys.modules, "pyomo.environ", None)
    with pytest.raises(MissingDependency, match="make cyipopt"):
        solve(nlp, "cyipopt")
    with pytest.raises(MissingDependency, match="pip install"):
        solve(nlp, "pyomo")


def test_sol_files_with_and_without_suffixes(tmp_path):
    path = tmp_path / "model.sol"
    ends = "objno 0 400\nsuffix 0 1 4 0 0\nrank\n1 2\n"
    path.write_text(
        "Solver 1: Maximum CPU time exceeded\n\nOptions\n3\n1\n1\n0\n1\n1\n2\n2\n0.5\n1\n2\n" + ends
    )
    sol = read_sol(path)
    assert (sol.code, sol.dual.tolist(), sol.x.tolist()) == (400, [0.5], [1.0, 2.0])
    assert sol.suffixes == {"rank": {1: 2.0}}
    path.write_text("Solver\n\nOptions\n5\n1\n3\n0\n1\n1\n2\n2\n1e-9\n0.5\n1\n2\nobjno 0 0\n")
    assert read_sol(path).x.tolist() == [1.0, 2.0]
    path.write_text("Solver\n\nOptions\n3\n1\n")
    with pytest.raises(FileError, match=r"no \.sol file"):
        read_sol(path)
