"""Direct-current resistivity: its solver against a closed form, and a surrogate that beats affine least squares."""

from dataclasses import replace

import numpy as np
import pytest

from collocode.layered import block, train
from collocode.layered.losses import affine_errors
from models import dc_resistivity as model


def test_the_solver_is_of_second_order() -> None:
    """-u'' = cos(πx), u'(0) = u'(1) = 0 has the solution cos(πx)/π²."""
    errors = []
    for n in (8, 16, 32):
        x = (np.arange(n) + 0.5) / n
        wave = np.broadcast_to(np.cos(np.pi * x)[:, None, None], (n, 2, 3))
        found = model.poisson(np.ones(wave.shape), wave.reshape(-1, 1), 1.0 / n)
        errors.append(np.abs(found[:, 0] - wave.ravel() / np.pi**2).max())
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.05)


def test_currents_are_conserved_across_a_jump() -> None:
    """In a rod of two materials the same current flows through both: drops are as the resistances."""
    m = np.ones((10, 1, 1))
    m[5:] = 4.0
    q = np.zeros((10, 1))
    q[0], q[-1] = 1.0, -1.0
    drops = -np.diff(model.poisson(m, q, 1.0)[:, 0])
    np.testing.assert_allclose(drops, [1.0] * 4 + [0.625] + [0.25] * 4)


def test_three_inputs_and_882_outputs() -> None:
    problem = model.problem(samples=3)
    assert problem.samples.X.shape == (3, 3)
    assert problem.samples.Y.shape == (3, 882)
    assert np.abs(problem.samples.X).max() <= 1.0
    assert 0.1 < np.linalg.norm(problem.samples.Y, axis=1).mean() < 10.0


@pytest.mark.slow
def test_small_networks_beat_affine_least_squares() -> None:
    problem = model.problem(samples=90)
    _, affine = affine_errors(problem.samples, problem.test)
    for kind in ("residual", "antisymmetric", "leapfrog"):
        here = problem.with_network(replace(problem.network, block=block(kind)))
        done = train(here.objective, "gauss-newton", iterations=10, validation=problem.validation)
        assert here.objective.score(done.best, problem.test) < affine
