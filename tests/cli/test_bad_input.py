"""Bad input: exit status 2 and one sentence that says what, where and what to do."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from collocode.cli.main import app

VDP = str(Path(__file__).parents[2] / "models" / "van_der_pol.py")


def solve(*arguments):
    return CliRunner().invoke(app, ["solve", *map(str, arguments)], env={"COLUMNS": "120"})


def refused(answer, *phrases):
    assert answer.exit_code == 2, answer.output
    assert answer.stderr.startswith("error: ")
    assert "Traceback" not in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1
    for phrase in phrases:
        assert phrase in answer.stderr


MODEL_FILES = {
    "no problem": (
        "def problm():\n    pass\n",
        ["defines no function problem()", "there is 'problm'"],
    ),
    "problem is no function": ("problem = 3\n", ["defines no function problem()"]),
    "syntax": ("x = 1\ndef problem(:\n    pass\n", ["model.py:2", "syntax error"]),
    "raising": (
        "def helper():\n    return 1 / 0\n\ndef problem():\n    return helper()\n",
        ["model.py:2", "problem() raised ZeroDivisionError", "division by zero"],
    ),
    "raising at once": ("1 / 0\n", ["model.py:1", "the file raised ZeroDivisionError"]),
    "exiting": ("import sys\nsys.exit(0)\n", ["model.py:2", "SystemExit"]),
    "missing import": (
        "import no_such_module\n",
        ["model.py:1", "No module named 'no_such_module'", "install what it needs"],
    ),
    "returning nothing": (
        "def problem():\n    pass\n",
        ["problem() returned nothing", "return cc.Problem"],
    ),
    "returning a number": ("def problem():\n    return 3\n", ["an object of type 'int'"]),
    "an error of ours": (
        "import collocode as cc\n\ndef problem():\n    return cc.MLP((2, 2), 'tanhh')\n",
        ["model.py:4", "tanhh"],
    ),
    "a right-hand side that fails": (
        "import collocode as cc\n\ndef problem():\n"
        "    data = cc.Experiment([0.0, 1.0], [1.0, 2.0], outputs=('a',))\n"
        "    return cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: [x.b]), [data])\n",
        ["no state 'b'"],
    ),
}


@pytest.mark.parametrize("case", MODEL_FILES)
def test_model_files(case, tmp_path):
    text, phrases = MODEL_FILES[case]
    model = tmp_path / "model.py"
    model.write_text(text)
    refused(solve(model), *phrases)


def test_model_paths(tmp_path):
    refused(solve(tmp_path / "nowhere.py"), "there is no model file", "check the path")
    refused(solve(tmp_path), "is a folder")
    (tmp_path / "model.txt").write_text("")
    refused(solve(tmp_path / "model.txt"), "not a Python file (.py)")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'\n")
    refused(solve(tmp_path / "latin.py"), "cannot be read")


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        (["--set", "hiden=3"], ["no setting 'hiden'", "did you mean 'hidden'?", "regularisation"]),
        (["--set", "hidden=many"], ["--set hidden=many", "is not an integer"]),
        (["--set", "hidden"], ["--set takes name=value, not 'hidden'"]),
        (["--set", "=3"], ["--set takes name=value"]),
        (["--set", "data=nowhere.csv"], ["no data file 'nowhere.csv'", "van_der_pol.py:"]),
        (["--set", "activation=relu"], ["uses relu", "choose one of"]),
        (["--set", "regularisation=-1"], ["strength of L2"]),
        (["--option", "tool=1"], ["no option 'tool'", "did you mean 'tol'?"]),
        (["--option", "tol"], ["--option takes name=value"]),
        (["--option", "tol=small"], ["refuses tol = 'small'"]),
        (["--scheme", "radua"], ["unknown scheme 'radua'", "did you mean 'radau'?"]),
        (["--degree", "99"], ["no degree 99"]),
        (["--elements", "0"], ["positive integer, not 0"]),
        (["--start", "guess"], ["unknown start strategy 'guess'", "gradient_matching"]),
        (["--interface", "casady"], ["unknown interface 'casady'", "did you mean 'casadi'?"]),
    ],
)
def test_options(arguments, phrases):
    refused(solve(VDP, *arguments), *phrases)


def test_data_errors_pass_through(tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("t,y1,y2\n0,1,2\n1,oops,3\n2,1,1\n")
    refused(solve(VDP, "--set", f"data={data}"), "line 3, column 'y1'", "'oops' is not a number")


def test_usage_errors():
    answer = solve()
    assert answer.exit_code == 2
    assert "MODEL" in answer.stderr
    assert solve(VDP, "--elements", "x").exit_code == 2
    assert solve(VDP, "--unknown").exit_code == 2


def test_debug_shows_the_traceback():
    answer = solve(VDP, "--set", "hidden=many", "--debug")
    assert answer.exit_code == 1
    assert "is not an integer" in str(answer.exception)
