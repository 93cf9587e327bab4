"""``.nl`` files on the command line: ours, and the AMPL convention; ``collocode export``."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli import ampl
from collocode.cli.main import app
from collocode.export.nl_read import read_nl
from collocode.export.sol import read_sol
from collocode.solvers.nl_solve import sol_of, solve_nl, write_solution

pytest.importorskip("pyomo.environ")
MODEL = '''"""Decay."""
import numpy as np
import collocode as cc
def problem(noise: float = 0.0, neural: bool = False):
    t = np.linspace(0.0, 2.0, 9)
    data = cc.Experiment(t, np.exp(-0.7 * t), outputs=("c",))
    if neural:
        return cc.Problem(cc.NeuralODE(cc.MLP((1, 2, 1))), data)
    k = cc.Parameter("k", 1.0, 0.0, 10.0)
    return cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[k]), data)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "decay.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(w) for w in words])


def test_export_says_which_penalty_it_wrote(folder):
    """λ of `Evidence` is a first guess until a fit has chosen it."""
    for words, told in (
        ((), "from the data's noise; --solve finds"),
        (("--solve",), "by evidence"),
    ):
        answer = run("export", "decay.py", "--set", "neural=true", "--to", "n.nl", *words)
        assert answer.exit_code == 0, answer.output
        assert answer.stdout.startswith("λ ")
        assert told in answer.stdout
    assert "λ" not in run("export", "decay.py", "--to", "m.nl").stdout


def test_export_and_solve_a_file(folder):
    assert run("export", "decay.py", "--to", "m.nl").exit_code == 0
    assert sorted(p.name for p in folder.glob("m.*")) == ["m.col", "m.nl", "m.row"]
    answer = run("solve", "m.nl", "max_iter=50", "--option", "tol=1e-10")
    assert answer.exit_code == 0, answer.output
    assert "converged" in answer.output
    model = read_nl("m.nl")
    sol = read_sol("m.sol", model.columns, model.rows)
    assert (sol.code, len(sol.dual)) == (0, model.rows)
    k = model.column_names.index("k")
    reference = cc.fit(_problem(folder), mesh=None)
    assert sol.x[k] == pytest.approx(reference.parameters["k"], abs=1e-6)


def _problem(folder):
    names = {}
    exec((folder / "decay.py").read_text(), names)
    return names["problem"]()


def test_the_ampl_convention(folder, monkeypatch, capsys):
    run("export", "decay.py", "--to", "m.nl")
    for words in (["m", "-AMPL"], ["m.nl", "-AMPL", "tol=1e-9"], ["m"]):
        (folder / "m.sol").unlink(missing_ok=True)
        monkeypatch.setattr(sys, "argv", ["collocode_ipopt", *words])
        with pytest.raises(SystemExit) as exit_:
            ampl.main()
        assert exit_.value.code == 0
        assert read_sol("m.sol").code == 0
    assert run("solve", "m", "-AMPL").exit_code == 0
    monkeypatch.setenv("collocode_ipopt_options", "max_iter=0")
    monkeypatch.setattr(sys, "argv", ["collocode_ipopt", "m", "-AMPL"])
    with pytest.raises(SystemExit) as exit_:
        ampl.main()
    assert exit_.value.code == 0  # AMPL reads the rest in the file
    assert read_sol("m.sol").code == 400
    assert run("solve", "m.nl", "max_iter=0").exit_code == 1
    monkeypatch.setattr(sys, "argv", ["collocode_ipopt", "-x"])
    with pytest.raises(SystemExit) as exit_:
        ampl.main()
    assert exit_.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_pyomo_runs_it_as_an_ampl_solver(folder):
    import pyomo.environ as pyo

    wrapper = folder / "collocode_ipopt"
    wrapper.write_text(f"#!{sys.executable}\nfrom collocode.cli.ampl import main\nmain()\n")
    wrapper.chmod(0o755)
    nlp = cc.discretize(_problem(folder))
    export = cc.to_pyomo(nlp)
    pyo.SolverFactory(f"asl:{wrapper}").solve(export.model, options={"tol": 1e-10})
    assert nlp.kkt_residual(*cc.load_from_pyomo(nlp, export)) < 1e-7


@pytest.mark.parametrize("ending", [".gms", ".bar", ".casadi", ".c", ".mo"])
def test_every_format_is_written(folder, ending):
    answer = run("export", "decay.py", "--to", f"m{ending}")
    assert answer.exit_code == 0, answer.output
    assert (folder / f"m{ending}").stat().st_size > 100
    left = {p.name for p in folder.iterdir()} - {"decay.py", "__pycache__"}
    assert left == {f"m{ending}"}


def test_networks_and_fits(folder):
    answer = run("export", "decay.py", "--set", "neural=true", "--to", "n.npz")
    assert answer.exit_code in (0, 1), answer.output
    assert (folder / "n.npz").exists()
    cc.fit(_problem(folder), mesh=None).save("fit.npz")
    for name in ("rhs.c", "rhs.casadi", "rhs.mo"):
        assert run("export", "fit.npz", "--to", name).exit_code == 0
    answer = run("export", "fit.npz", "--to", "x.nl")
    assert answer.exit_code == 2
    assert "--solve" in answer.output


def test_refusals(folder):
    for words, message in (
        (("export", "decay.py", "--to", "m.xyz"), "no known format"),
        (("export", "decay.py", "--set", "neural=true", "--to", "m.lp"), "cannot write .lp"),
        (("export", "decay.py", "--to", "m.onnx"), "no networks"),
        (("export", "decay.py"), "give a file"),
        (("solve", "none.nl"), "no file"),
        (("solve", "decay.py", "tol=1"), "unexpected"),
    ):
        answer = run(*words)
        assert answer.exit_code == 2
        assert message in answer.output
    assert {p.name for p in folder.iterdir()} <= {"decay.py", "__pycache__"}


def test_maximisation_and_statuses(tmp_path):
    """max -(x - 1)^2 + y, x + y <= 2, y <= 1.2: x = 0.8, row 0.4, bound 0.6."""
    text = (
        "g3 1 1 0\n 2 1 1 0 0\n 0 1 0 0 0 0\n 0 0\n 0 2 0\n 0 0 0 1\n 0 0 0 0 0\n 2 2\n 0 0\n"
        " 0 0 0 0 0\nC0\nn0\nO0 1\no16\no5\no0\nv0\nn-1\nn2\nx1\n0 0.3\nr\n1 2\nb\n3\n1 1.2\n"
        "k1\n1\nJ0 2\n0 1\n1 1\nG0 2\n0 0\n1 1\n"
    )
    path = tmp_path / "m.nl"
    path.write_text(text)
    model = read_nl(path)
    assert model.maximise
    assert model.start.tolist() == [0.3, 0.0]
    result = solve_nl(model, {"tol": 1e-10})
    assert result.x == pytest.approx([0.8, 1.2], abs=1e-6)
    assert result.objective == pytest.approx(1.16, abs=1e-6)
    sol = sol_of(model, result)  # changes of the maximum by the right-hand sides
    assert sol.dual == pytest.approx([0.4], abs=1e-6)
    assert sol.suffixes["ipopt_zU_out"][1] == pytest.approx(0.6, abs=1e-6)
    write_solution(model, result)
    assert read_sol(tmp_path / "m.sol", 2, 1).x == pytest.approx([0.8, 1.2], abs=1e-6)


def test_user_scaling_and_warm_start(folder):
    from collocode.export.nl import write_nl

    nlp = cc.discretize(_problem(folder))
    solution = cc.solve(nlp)
    file = write_nl(nlp, "m.nl", solution, scaling=True)
    options = {"nlp_scaling_method": "user-scaling", "warm_start_init_point": "yes"}
    answer = solve_nl(file.path, options)
    assert answer.success
    assert answer.iterations <= 3
    np.testing.assert_allclose(answer.x, solution.result.x[file.columns], atol=1e-6)


def test_importing_the_command_needs_nothing_more():
    program = "import json, sys, collocode.cli.main; print(json.dumps(sorted(sys.modules)))"
    run_ = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert not {"pyomo", "onnx", "jax"} & set(json.loads(run_.stdout))
