"""The surrogate of convection, diffusion and reaction: its data, and that it beats what is simple."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_bvp

from collocode.layered import train
from collocode.layered.losses import affine_errors
from models import convection_diffusion_reaction as model

SCRIPT = Path(__file__).parents[2] / "models" / "data" / "make_convection_diffusion_reaction.py"


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_simulation_solves_the_boundary_value_problem(make):
    log_D, v, k, s, x0, c_in = np.log(0.1), 5.0, 10.0, 12.0, 0.4, 0.8

    def rhs(x, y):
        source = s * np.exp(-(((x - x0) / 0.1) ** 2))
        return [y[1], (v * y[1] + k * y[0] / (1.0 + y[0]) - source) / np.exp(log_D)]

    x = np.linspace(0.0, 1.0, 101)
    ends = lambda a, b: np.array([a[0] - c_in, b[1]])  # noqa: E731
    exact = solve_bvp(rhs, ends, x, np.ones((2, 101)), tol=1e-9)
    found = make.steady(log_D, v, k, s, x0, c_in)
    grid = np.linspace(0.0, 1.0, len(found))
    np.testing.assert_allclose(found, exact.sol(grid)[0], atol=2e-4)


def test_a_few_weights_in_time_beat_affine_least_squares():
    problem = model.problem()
    done = train(
        problem.objective,
        "gauss-newton",
        validation=problem.validation,
        iterations=25,
        tolerance=0.0,
    )
    _, affine = affine_errors(problem.samples, problem.test)
    assert problem.network.n_weights < 700
    assert problem.objective.score(done.best, problem.test) < 0.25 * affine
