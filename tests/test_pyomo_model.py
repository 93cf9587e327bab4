"""The Pyomo model says what the NLP says, and brings its multipliers back."""

import casadi as ca
import numpy as np
import pytest

from collocode.errors import InputError
from collocode.export.pyomo_model import load_from_pyomo, to_pyomo
from collocode.model.dynamics import NeuralODE
from collocode.model.network import MLP
from collocode.model.problem import PathConstraint, Problem
from collocode.solvers import nl_file
from collocode.solvers.solve import solve
from collocode.transcription.discretize import discretize
from tests.interface_problems import PROBLEMS, TIGHT, Solved, available, van_der_pol

pyo = pytest.importorskip("pyomo.environ")


@pytest.fixture(scope="module")
def solved():
    return Solved()


@pytest.mark.parametrize("name", PROBLEMS)
def test_pyomo_model_has_the_values_of_the_nlp(name):
    nlp = discretize(PROBLEMS[name]())
    export = to_pyomo(nlp)
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = nlp.start + 0.5 * rng.standard_normal(nlp.columns)
        for variable, value in zip(export.variables, x.tolist(), strict=True):
            variable.set_value(value, skip_validation=True)
        g = np.array([pyo.value(c.body) for c in export.constraints])
        shift = np.array([pyo.value(c.upper) for c in export.constraints])
        np.testing.assert_allclose(g - shift, nlp.constraints(x) - nlp.row_upper, atol=1e-9)
        assert pyo.value(export.model.objective) == pytest.approx(nlp.objective(x), rel=1e-9)


def test_pyomo_names_and_bounds(solved):
    nlp, answer = solved("capped")
    model = to_pyomo(nlp).model
    assert model.mu.value == 0.5
    assert model.k["run 1"].value == 2.0
    assert model.y2["run-2", 0, 0].bounds == (-3.0, 3.0)
    assert model.cap_on_y1["run 1", 2, 1].upper() == 1.2
    assert model.collocation["run 1", 0, 1, "y1"].equality
    nlp, answer = solved("fixed_start")
    model = to_pyomo(nlp, solve(nlp, warm=None)).model
    assert model.y1["experiment", 0, 0].fixed
    matrix, _ = nlp.problem.dynamics.network.matrices(answer.x[nlp.layout.weights])[0]
    assert model.nn_W1[5, 1].value == pytest.approx(matrix[5, 1])
    assert model.nn_b2[1].value == pytest.approx(answer.x[-1])


@pytest.mark.parametrize("name", ["grey_box", "fixed_start", "capped"])
def test_pyomo_model_solved_by_the_user(solved, name):
    """Pyomo's own way to a solver, `.nl` with names, and back to the NLP's sign."""
    available("pyomo")
    nlp, reference = solved(name)
    export = to_pyomo(nlp)
    with pytest.raises(InputError, match="no dual values"):
        load_from_pyomo(nlp, export)
    solver = pyo.SolverFactory("asl:" + nl_file.find_solver("pounce"))
    solver.solve(export.model, symbolic_solver_labels=True, options=TIGHT)
    x, lam_g, lam_x = load_from_pyomo(nlp, export)
    states = nlp.layout.columns - len(nlp.layout.weights)  # hidden units may come out permuted
    np.testing.assert_allclose(x[:states], reference.x[:states], atol=1e-5)
    assert nlp.objective(x) == pytest.approx(reference.objective, rel=1e-6)
    assert nlp.kkt_residual(x, lam_g, lam_x) < 1e-6
    for side in "LU":
        export.model.component(f"ipopt_z{side}_out").clear()
    *_, guessed = load_from_pyomo(nlp, export)  # from stationarity
    np.testing.assert_allclose(guessed, lam_x, atol=1e-6)


def test_shared_results_of_deep_networks_get_names():
    experiment = van_der_pol(11)
    nlp = discretize(Problem(NeuralODE(MLP((2, 6, 6, 6, 2), "swish")), experiment))
    export = to_pyomo(nlp)
    assert len(export.model.collocation_parts) > 0
    g = [pyo.value(c.body) for c in export.constraints]
    np.testing.assert_allclose(g, nlp.constraints(nlp.start), atol=1e-9)
    answer = solve(nlp, available("pyomo"), {"max_iter": 3}).result
    assert answer.iterations == 3


def test_what_pyomo_cannot_express_is_named():
    def problem(function):
        constraint = PathConstraint("odd", function, upper=1.0)
        network = NeuralODE(MLP((2, 2, 2)))
        return discretize(Problem(network, van_der_pol(11), constraints=[constraint]))

    with pytest.raises(InputError, match=r"'path.odd' uses fmin"):
        to_pyomo(problem(lambda t, x, u, p, nn: ca.fmin(x.y1, x.y2)))
    with pytest.raises(InputError, match="whatever the unknowns are"):
        to_pyomo(problem(lambda t, x, u, p, nn: 2.0 + t))
    export = to_pyomo(problem(lambda t, x, u, p, nn: -t))  # holds, says nothing
    assert sum(c is None for c in export.constraints) > 0
