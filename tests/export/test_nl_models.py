"""Every model file: exported, solved by another program and by our own reader, to one answer."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import collocode as cc
from collocode.export.nl import load_sol, write_nl
from collocode.export.nl_read import read_nl
from collocode.solvers.nl_file import find_solver
from collocode.solvers.nl_solve import solve_nl
from tests.export.compare import assert_same
from tests.waiting import HANGS

pytest.importorskip("pyomo.environ")
pytest.importorskip("pounce")
ROOT = Path(__file__).parents[2]
REFUSED = {"hutchinson", "leak"}  # they look up which element a time is in, which .nl cannot say
MODELS = sorted(  # layered networks are trained on samples; they are no NLP of this kind
    p.stem
    for p in (ROOT / "models").glob("*.py")
    if p.stem not in {"__init__", *REFUSED}
    and "LayeredProblem" not in p.read_text(encoding="utf-8")
)
TIGHT = {"tol": 1e-9}
SEVERAL = {"van_der_pol_stiff"}  # optima: a parameter of a relaxation oscillation, on a coarse mesh
COARSE = 12  # elements: every expression of a model is in the file, whatever the mesh


@pytest.mark.parametrize("name", MODELS)
def test_the_same_optimum_from_two_readers(name, tmp_path):
    module = importlib.import_module(f"models.{name}")
    defaults = {"start": "gradient_matching", **getattr(module, "DEFAULTS", {})}
    options = {**defaults.pop("options", {}), **TIGHT}
    if not isinstance(defaults.get("mesh"), cc.Mesh):
        defaults["mesh"] = COARSE
    reference = cc.fit(module.problem(), options=options, **defaults)
    nlp = reference.nlp
    # networks have many local optima: the readers start in the basin of ours, without multipliers
    values = reference if len(nlp.layout.weights) or name in SEVERAL else "start"
    file = write_nl(nlp, tmp_path / "m.nl", values, multipliers=False)
    assert_same(nlp, file, read_nl(file.path), *_point(nlp), tolerance=1e-9)
    ours = solve_nl(file.path, options)
    assert ours.success
    assert ours.objective == pytest.approx(reference.result.objective, rel=1e-6)
    command = [find_solver("pounce"), str(file.path), "-AMPL", "tol=1e-9", "max_iter=3000"]
    subprocess.run(command, capture_output=True, cwd=tmp_path, timeout=HANGS)
    x, lam_g, lam_x = load_sol(nlp, file)
    assert nlp.objective(x) == pytest.approx(reference.result.objective, rel=1e-6)
    assert nlp.violation(x).max() < 1e-6
    size = max(1.0, np.abs(lam_g).max(), np.abs(lam_x).max())
    assert nlp.kkt_residual(x, lam_g, lam_x) < 1e-5 * size
    if not len(nlp.layout.weights):  # without networks the point is unique
        np.testing.assert_allclose(x, reference.result.x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_look_ups_are_refused_by_name(name, tmp_path):
    module = importlib.import_module(f"models.{name}")
    nlp = cc.discretize(module.problem(), mesh=10)
    with pytest.raises(cc.InputError, match=r"uses .*if_else_zero.*, which a .* cannot express"):
        write_nl(nlp, tmp_path / "m.nl")


def _point(nlp):
    rng = np.random.default_rng(0)
    x = nlp.start * (1.0 + 0.01 * rng.normal(size=nlp.columns))
    return np.clip(x, nlp.lower, nlp.upper), rng.normal(size=nlp.rows)


def test_files_are_the_same_in_every_run(tmp_path):
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import collocode as cc\n"
        "from collocode.export.nl import write_nl\n"
        "from models import van_der_pol\n"
        "nlp = cc.start_from(cc.discretize(van_der_pol.problem(hidden=3)))\n"
        "write_nl(nlp, sys.argv[1], scaling=True)\n"
    )
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        command = [sys.executable, "-c", program, str(folder / "m.nl")]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"})
    for end in ("nl", "row", "col"):
        first, second = ((tmp_path / s / f"m.{end}").read_bytes() for s in ("1", "2"))
        assert first == second
    names = (tmp_path / "1" / "m.col").read_text().splitlines()
    assert "y1[van_der_pol;3.1]" in names
    assert "nn.W1[2,1]" in names
    assert "collocation.y2[van_der_pol;3.2]" in (tmp_path / "1" / "m.row").read_text().splitlines()


def test_numbers_keep_all_their_digits(tmp_path):
    nlp = cc.discretize(importlib.import_module("models.van_der_pol_mu").problem())
    exact = 0.1 + 0.2  # 0.30000000000000004
    nlp = nlp.with_start(np.full(nlp.columns, exact))
    model = read_nl(write_nl(nlp, tmp_path / "m.nl").path)
    assert (model.start == exact).all()


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus", "gelu", "elu"])
def test_scip_reads_the_rewritten_form(activation, tmp_path):
    scip = pytest.importorskip("pyscipopt")
    t = np.linspace(0.0, 1.0, 5)
    data = cc.Experiment(t, np.exp(-t), outputs=("c",), initial={"c": cc.fixed(1.0)})
    problem = cc.Problem(
        cc.NeuralODE(cc.MLP((1, 1, 1), activation)), data, regularisation=cc.L2(1e-2)
    )
    nlp = cc.start_from(cc.discretize(problem, "radau", 2, 2), "gradient_matching")
    file = write_nl(nlp, tmp_path / "m.nl", rewrite=(activation,))
    model = scip.Model()
    model.hideOutput()
    model.readProblem(str(file.path))
    assert model.getNVars() >= len(file.columns)
    names = {v.name: v for v in model.getVars()}
    # SCIP judges the local solution, in its own evaluation of the file
    point = cc.solve(nlp, options={"tol": 1e-10}).result
    candidate = model.createSol()
    for name, column in zip(read_nl(file.path).column_names, file.columns, strict=True):
        assert name in names
        model.setSolVal(candidate, names[name], point.x[column])
    extra = [v for n, v in names.items() if n not in set(nlp.column_names)]
    for variable in extra:  # the objective's stand-in
        model.setSolVal(candidate, variable, point.objective + 1e-9)
    assert model.checkSol(candidate)
    assert model.getSolObjVal(candidate) == pytest.approx(point.objective, rel=1e-6)


def test_scip_rejects_the_plain_form(tmp_path):
    scip = pytest.importorskip("pyscipopt")
    problem = importlib.import_module("models.van_der_pol").problem(hidden=2)
    file = write_nl(cc.discretize(problem), tmp_path / "m.nl")
    model = scip.Model()
    model.hideOutput()
    with pytest.raises(Exception, match=r"SCIP|read"):
        model.readProblem(str(file.path))
