"""``SolverFactory("collocode_ipopt")``: any continuous Pyomo model, by pip alone."""

import io
import subprocess
import sys
import tempfile

import numpy as np
import pytest

import collocode as cc
from collocode.errors import InputError
from tests.interface_problems import PROBLEMS

pyo = pytest.importorskip("pyomo.environ")
from collocode.pyomo_plugin import NAME  # noqa: E402


def old():
    return pyo.SolverFactory(NAME)


def new():
    from pyomo.contrib.solver.common.factory import SolverFactory

    return SolverFactory(NAME)


def hs71():
    """Hock & Schittkowski 71: f = 17.0140173, active bound x1 = 1."""
    model = pyo.ConcreteModel("hs71")
    model.x = pyo.Var([1, 2, 3, 4], bounds=(1, 5), initialize={1: 1, 2: 5, 3: 5, 4: 1})
    x = model.x
    model.cost = pyo.Objective(expr=x[1] * x[4] * (x[1] + x[2] + x[3]) + x[3])
    model.product = pyo.Constraint(expr=x[1] * x[2] * x[3] * x[4] >= 25)
    model.squares = pyo.Constraint(expr=sum(x[i] ** 2 for i in (1, 2, 3, 4)) == 40)
    for name in ("dual", "rc", "ipopt_zL_out"):
        model.add_component(name, pyo.Suffix(direction=pyo.Suffix.IMPORT))
    return model


def test_it_is_not_there_before_it_is_asked_for():
    program = "import sys, collocode; assert not [m for m in sys.modules if m.startswith('pyomo')]"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("factory", [old, new])
def test_a_textbook_problem(factory, capsys):
    solver, model = factory(), hs71()
    assert solver.available()
    assert solver.version() >= (3, 14)
    solver.solve(model, symbolic_solver_labels=True)
    assert pyo.value(model.cost) == pytest.approx(17.0140173, abs=1e-6)
    assert [model.x[i].value for i in (1, 2, 3, 4)] == pytest.approx(
        [1.0, 4.7429994, 3.8211503, 1.3794082], abs=1e-6
    )
    assert model.ipopt_zL_out[model.x[1]] == pytest.approx(1.0878712, abs=1e-5)
    assert model.rc[model.x[1]] == pytest.approx(1.0878712, abs=1e-5)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("sense", [pyo.minimize, pyo.maximize])
def test_duals_are_the_change_of_the_objective(sense):
    """Pyomo's sign, by perturbing the right-hand side."""

    def solved(b, low):
        model = pyo.ConcreteModel()
        model.x = pyo.Var([1, 2], initialize=1.0, bounds=(low, None))
        sign = 1 if sense == pyo.minimize else -1
        model.f = pyo.Objective(
            expr=sign * ((model.x[1] - 3) ** 2 + pyo.exp(model.x[2])), sense=sense
        )
        model.c = pyo.Constraint(expr=model.x[1] + 0.1 * model.x[2] <= b)
        model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
        model.rc = pyo.Suffix(direction=pyo.Suffix.IMPORT)
        old().solve(model, options={"tol": 1e-11})
        return model, pyo.value(model.f)

    model, _ = solved(2.0, 0.0)
    step = 1e-4
    slope = (solved(2.0 + step, 0.0)[1] - solved(2.0 - step, 0.0)[1]) / (2 * step)
    assert model.dual[model.c] == pytest.approx(slope, rel=1e-5)
    slope = (solved(2.0, step)[1] - solved(2.0, -step)[1]) / (2 * step)
    assert model.rc[model.x[2]] == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize("name", PROBLEMS)
def test_our_own_models(name):
    nlp = cc.discretize(PROBLEMS[name]())
    export = cc.to_pyomo(nlp)
    old().solve(export.model, options={"tol": 1e-10})
    x, lam_g, lam_x = cc.load_from_pyomo(nlp, export)
    assert nlp.kkt_residual(x, lam_g, lam_x) < 1e-6
    if not len(nlp.layout.weights):
        reference = cc.solve(nlp, options={"tol": 1e-10}).result
        np.testing.assert_allclose(x, reference.x, atol=1e-6)
        np.testing.assert_allclose(lam_g, reference.lam_g, atol=1e-6)


def test_pyomos_option_names():
    from pyomo.contrib.solver.common.util import NoOptimalSolutionError

    model, stream = hs71(), io.StringIO()
    with pytest.raises((NoOptimalSolutionError, RuntimeError)):
        new().solve(model, solver_options={"max_iter": 2}, tee=stream)
    assert "iter    objective" in stream.getvalue()
    assert model.x[2].value == 5  # nothing was loaded
    results = new().solve(
        model,
        solver_options={"max_iter": 2},
        load_solutions=False,
        raise_exception_on_nonoptimal_result=False,
    )
    assert results.termination_condition.name == "iterationLimit"
    assert results.extra_info.iteration_count == 2
    assert model.x[2].value == 5
    results.solution_loader.load_vars([model.x[2]])
    assert model.x[2].value != 5
    results = new().solve(
        hs71(), time_limit=1e-9, load_solutions=False, raise_exception_on_nonoptimal_result=False
    )
    assert results.termination_condition.name == "maxTimeLimit"
    results = old().solve(hs71(), timelimit=60, tee=False, load_solutions=True)
    assert str(results.solver.termination_condition) == "optimal"
    for options in ({"tole": 1e-6}, {"tol": "small"}):
        with pytest.raises(InputError, match="IPOPT"):
            old().solve(hs71(), options=options)
    with pytest.raises(InputError, match="threads=4"):
        new().solve(hs71(), threads=4)


def test_models_it_cannot_take():
    model = hs71()
    model.n = pyo.Var(domain=pyo.Integers, initialize=1)
    model.more = pyo.Constraint(expr=model.n >= 1)
    with pytest.raises(InputError, match="'hs71' has discrete variables"):
        old().solve(model)
    empty = pyo.ConcreteModel()
    empty.f = pyo.Objective(expr=1.0)
    results = new().solve(empty, load_solutions=False, raise_exception_on_nonoptimal_result=False)
    assert results.termination_condition.name == "convergenceCriteriaSatisfied"
    assert results.incumbent_objective == 1.0
    assert old().solve(empty).solver.termination_condition == "optimal"
    infeasible = hs71()
    infeasible.x.fix(1.0)
    results = new().solve(
        infeasible, load_solutions=False, raise_exception_on_nonoptimal_result=False
    )
    assert results.termination_condition.name in ("provenInfeasible", "emptyModel")


def test_no_files_are_left(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    old().solve(hs71(), symbolic_solver_labels=True)
    assert list(tmp_path.iterdir()) == []
