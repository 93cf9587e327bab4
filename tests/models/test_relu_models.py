"""The surrogates' model files: their functions are what they say."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from collocode.relu import Surrogate

FOLDER = Path(__file__).parents[2] / "models" / "relu"


def loaded(name):
    return runpy.run_path(str(FOLDER / f"{name}.py"))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_every_file_makes_a_surrogate(path):
    asked = loaded(path.stem)["surrogate"](hidden=5, layers=3, samples=40)
    assert isinstance(asked, Surrogate)
    assert asked.hidden == (5, 5, 5)
    drawn = asked.draw()
    assert drawn.x.shape == (40, len(asked.inputs))
    assert drawn.y.shape == (40, len(asked.outputs))
    assert asked.source


def test_peaks_has_the_stated_maximum():
    peaks = loaded("peaks")["peaks"]
    found = minimize(lambda x: -peaks(x[None])[0], [0.0, 1.5], tol=1e-10)
    assert -found.fun == pytest.approx(8.1062, abs=1e-4)
    np.testing.assert_allclose(found.x, [-0.0093, 1.5814], atol=1e-3)


def test_ackley_is_zero_at_the_origin_and_positive_elsewhere():
    ackley = loaded("ackley")["ackley"]
    assert ackley(np.zeros((1, 4)))[0] == pytest.approx(0.0, abs=1e-12)
    assert ackley(np.random.default_rng(0).uniform(-5.0, 5.0, (2000, 4))).min() > 0.5


def test_the_reactor_against_an_adaptive_integrator():
    model = loaded("reactor")
    programmes = np.array([[330.0, 349.0, 340.0], [345.0, 325.0, 350.0]])
    for programme, outcome in zip(programmes, model["outcomes"](programmes), strict=True):
        state, total, hottest = [*model["START"], 0.0], 0.0, 0.0
        for coolant in programme:

            def rates(t, y, coolant=coolant):
                return [*model["slope"](y[0], y[1], coolant), y[0]]

            path = solve_ivp(rates, (0.0, 2.0), state, rtol=1e-10, atol=1e-10, max_step=0.01)
            state, hottest = path.y[:, -1], max(hottest, path.y[1].max())
        total = state[2]
        assert outcome[0] == pytest.approx(100.0 * (1.0 - total / 6.0), abs=2e-3)
        assert outcome[1] == pytest.approx(hottest, abs=5e-2)  # looked at every 0.02 min
