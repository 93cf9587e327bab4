"""What an import loads: only what it needs."""

import subprocess
import sys

import pytest

HEAVY = [
    "casadi",
    "pandas",
    "matplotlib",
    "distributed",
    "pyomo",
    "jax",
    "onnx",
    "scipy.stats",
    "scipy.optimize",
]


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("import collocode; collocode.__version__", set()),
        ("import collocode.cli.main", set()),
        ("from collocode import fit, Problem, MLP, NeuralODE, read_csv", {"casadi"}),
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_used(line, allowed):
    report = f"import sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {line}; {report}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(run.stdout.split()) == allowed
