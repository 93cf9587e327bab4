"""Random problems: the NLP, the Pyomo model and the re-read .nl file are the same functions."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import collocode as cc
from collocode.export.nl import write_nl
from collocode.export.nl_read import read_nl
from collocode.export.operations import EXP_ONLY
from tests.export.compare import assert_same, close, values
from tests.interface_problems import PROBLEMS
from tests.transcription.random_problems import cases

pyo = pytest.importorskip("pyomo.environ")


def with_random_bounds(nlp, rng):
    """Give every column and every inequality bounds of a random kind around the start."""
    kind = rng.integers(0, 5, nlp.columns)
    fixed = nlp.lower == nlp.upper
    low, high = nlp.start - rng.uniform(0.1, 2.0), nlp.start + rng.uniform(0.1, 2.0)
    lower = np.where((kind == 1) | (kind == 2), low, -np.inf)
    upper = np.where((kind == 1) | (kind == 3), high, np.inf)
    equal = (kind == 4) & (rng.uniform(size=nlp.columns) < 0.3)
    lower, upper = np.where(equal, nlp.start, lower), np.where(equal, nlp.start, upper)
    rows = np.flatnonzero(nlp.row_lower < nlp.row_upper)
    row_lower, row_upper = nlp.row_lower.copy(), nlp.row_upper.copy()
    sort = rng.integers(0, 4, len(rows))
    row_lower[rows] = np.where(sort % 2 == 0, -np.inf, -7.0)
    row_upper[rows] = np.where(sort < 2, np.inf, 7.0)
    return replace(
        nlp,
        lower=np.where(fixed, nlp.lower, lower),
        upper=np.where(fixed, nlp.upper, upper),
        row_lower=row_lower,
        row_upper=row_upper,
    )


def random_point(nlp, rng):
    x = nlp.start + 0.5 * rng.normal(size=nlp.columns)
    return np.where(nlp.lower == nlp.upper, nlp.lower, x), rng.normal(size=nlp.rows)


@settings(max_examples=30)
@given(case=cases(), seed=st.integers(0, 2**32 - 1), rewrite=st.booleans())
def test_nl_file_says_what_the_nlp_says(case, seed, rewrite):
    rng = np.random.default_rng(seed)
    nlp = with_random_bounds(case.nlp(), rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.nl"
        file = write_nl(nlp, path, rewrite=EXP_ONLY if rewrite else ())
        model = read_nl(path)
        assert sorted(p.name for p in Path(folder).iterdir()) == [
            "model.col", "model.nl", "model.row",
        ]  # fmt: skip
    for _ in range(2):
        assert_same(nlp, file, model, *random_point(nlp, rng))
    names = nlp.column_names
    assert model.column_names == [names[j] for j in file.columns]
    names = nlp.row_names
    assert model.row_names == [names[i] for i in file.rows]
    np.testing.assert_array_equal(model.start, nlp.start[file.columns])


@settings(max_examples=10)
@given(case=cases(), seed=st.integers(0, 2**32 - 1))
def test_pyomo_model_has_the_derivatives_of_the_nlp(case, seed):
    """By Pyomo's own differentiation of its expressions."""
    from pyomo.core.expr.calculus.derivatives import Modes, differentiate

    rng = np.random.default_rng(seed)
    nlp = case.nlp()
    export = cc.to_pyomo(nlp, rewrite=EXP_ONLY)  # Pyomo cannot differentiate tanh
    x, lam = random_point(nlp, rng)
    f, grad, g, J, _ = values(nlp, x, lam)
    J = J.toarray()
    plain = cc.to_pyomo(nlp)
    for variable, value in zip(plain.variables, x.tolist(), strict=True):
        variable.set_value(value, skip_validation=True)
    close(pyo.value(plain.model.objective), f, 1e-9)
    for variable, value in zip(export.variables, x.tolist(), strict=True):
        variable.set_value(value, skip_validation=True)
    free = [j for j, v in enumerate(export.variables) if not v.fixed]
    wanted = [export.variables[j] for j in free]

    def gradient(expression):
        return np.array(differentiate(expression, wrt_list=wanted, mode=Modes.reverse_numeric))

    close(pyo.value(export.model.objective), f, 1e-9)
    close(gradient(export.model.objective.expr), grad[free], 1e-9)
    for i, constraint in enumerate(export.constraints):
        if constraint is not None:
            close(pyo.value(constraint.body - constraint.upper), g[i] - nlp.row_upper[i], 1e-9)
            close(gradient(constraint.body), J[i, free], 1e-9)


def test_pyomo_model_has_the_hessian_of_the_nlp():
    from pyomo.core.expr.calculus.derivatives import Modes, differentiate

    t = np.linspace(0.0, 1.0, 4)
    data = cc.Experiment(t, np.column_stack([np.cos(t), np.sin(t)]), outputs=("a", "b"))
    problem = cc.Problem(cc.NeuralODE(cc.MLP((2, 2, 2), "softplus")), data, regularisation=cc.L2())
    nlp = cc.discretize(problem, "radau", 2, 2)
    export = cc.to_pyomo(nlp, rewrite=EXP_ONLY)
    x, lam = random_point(nlp, np.random.default_rng(0))
    for variable, value in zip(export.variables, x.tolist(), strict=True):
        variable.set_value(value, skip_validation=True)
    rows = zip(lam.tolist(), export.constraints, strict=True)
    lagrangian = 0.7 * export.model.objective.expr + sum(v * c.body for v, c in rows)
    wanted = export.variables
    slopes = differentiate(lagrangian, wrt_list=wanted, mode=Modes.reverse_symbolic)
    H = [differentiate(s, wrt_list=wanted, mode=Modes.reverse_numeric) for s in slopes]
    close(np.array(H, dtype=float), values(nlp, x, lam)[4].toarray(), 1e-9)


@pytest.mark.parametrize("name", PROBLEMS)
def test_solved_files_carry_point_multipliers_and_scales(name, tmp_path):
    nlp = cc.discretize(PROBLEMS[name]())
    solution = cc.solve(nlp, options={"tol": 1e-10})
    file = write_nl(nlp, tmp_path / "m", solution, scaling=True)
    model = read_nl(file.path)
    result = solution.result
    np.testing.assert_array_equal(model.start, result.x[file.columns])
    np.testing.assert_array_equal(model.multipliers, result.lam_g[file.rows])
    lam_x = np.zeros(model.columns)
    for label in ("ipopt_zL_in", "ipopt_zU_in"):
        for j, value in model.suffixes.get((label, 0), {}).items():
            lam_x[j] -= value
    np.testing.assert_array_equal(lam_x, result.lam_x[file.columns])
    for kind, ours in ((0, 1.0 / nlp.column_scale[file.columns]), (1, nlp.row_scale[file.rows])):
        stored = model.suffixes.get(("scaling_factor", kind), {})
        np.testing.assert_array_equal([stored.get(j, 1.0) for j in range(len(ours))], ours)
    assert_same(nlp, file, model, result.x, result.lam_g)
    bare = read_nl(write_nl(nlp, tmp_path / "bare").path)
    assert bare.suffixes == {}
    assert bare.multipliers is None


def test_deep_networks_and_defined_variables(tmp_path):
    data = cc.Experiment(np.linspace(0.0, 3.0, 9), np.random.default_rng(0).normal(size=(9, 2)))
    problem = cc.Problem(
        cc.NeuralODE(cc.MLP((2, 4, 4, 4, 2), "swish")), data, regularisation=cc.L2()
    )
    nlp = cc.discretize(problem)
    rng = np.random.default_rng(1)
    for rewrite in ((), ("swish",)):
        file = write_nl(nlp, tmp_path / "m.nl", rewrite=rewrite)
        assert "\nV" in file.path.read_text()
        assert file.path.stat().st_size < 2e6
        assert_same(nlp, file, read_nl(file.path), *random_point(nlp, rng))


def test_a_row_of_fixed_variables_takes_no_suffix_along(tmp_path, caplog):
    """Path constraints at a start that is fixed; Pyomo would warn of a multiplier or a scale without a row."""
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.u - x.x]),
        cc.Window(end=1.0, controls={"u": cc.Control(0.0, 3.0)}, initial={"x": 120.0}),
        states=("x",),
        scaling={"x": 100.0},
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.u**2, name="u"),
        constraints=[cc.PathConstraint("warm", lambda t, x, u, p, nn: x.x, lower=45.0)],
    )
    solution = cc.fit(problem, mesh=4)
    cc.write_nl(solution, tmp_path / "warm.nl", scaling=True)
    again = cc.solve_nl(cc.read_nl(tmp_path / "warm.nl"))
    assert again.objective == pytest.approx(solution.result.objective, rel=1e-6)
    assert not caplog.records


def test_phases_are_written_and_an_unknown_that_is_asked_for_is_refused(tmp_path):
    """x' = u, then x' = 2u - x behind x -> x/2: the least of x₁² + (1 - x₁/2e)²/(2(1 - e⁻²)) over x₁."""
    windows = [
        cc.Window(name="a", end=1.0, controls={"u": cc.Control()}, initial={"x": 0.0}),
        cc.Window(name="b", start=1.0, end=2.0, controls={"u": cc.Control()}, final={"x": 1.0}),
    ]
    problem = cc.Problem(
        cc.Phases(
            {
                "a": cc.Dynamics(lambda t, x, u, p, nn: {"x": u.u}),
                "b": cc.Dynamics(lambda t, x, u, p, nn: {"x": 2.0 * u.u - x.x}),
            }
        ),
        windows,
        states=("x",),
        links=cc.Link("a", "b", jump={"x": lambda t, x, u, p, nn: 0.5 * x.x}),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.u**2, name="effort"),
    )
    write_nl(cc.discretize(problem, mesh=4), tmp_path / "phases.nl")
    reach = 2.0 * (1.0 - np.exp(-2.0))
    exact = 1.0 / (reach + (0.5 / np.e) ** 2)
    found = cc.solve_nl(read_nl(tmp_path / "phases.nl"))
    assert found.objective == pytest.approx(exact, rel=1e-6)
    asks = replace(problem, dynamics=cc.Dynamics(lambda t, x, u, p, nn: [u.u * (x.x == 1.0)]))
    with pytest.raises(cc.InputError, match="whether something unknown equals a number"):
        write_nl(cc.discretize(asks, mesh=4), tmp_path / "asks.nl")
