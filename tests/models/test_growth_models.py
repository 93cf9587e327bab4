"""Models of growing networks: they train, and what they promise in their questions holds."""

import numpy as np
import pytest

from collocode.layered.growth.grow import grow
from models import diabetes, digits, heat_conduction


@pytest.mark.parametrize("module", [heat_conduction, diabetes, digits], ids=lambda m: m.__name__)
def test_parts_and_docstring(module):
    made = module.problem()
    assert set(made.parts) == {"training", "validation", "test"}
    assert "Source:" in module.__doc__
    assert "dimensionless" in module.__doc__
    assert module.__doc__.splitlines()[0].endswith("?")
    assert made.network.layers == 1


def test_seeds_split_differently_and_settings_arrive():
    first, second = (heat_conduction.problem(seed=s) for s in (0, 1))
    assert not np.array_equal(first.samples.X, second.samples.X)
    np.testing.assert_array_equal(first.test.X, second.test.X)
    made = heat_conduction.problem(samples=50, width=8, layers=2, activation="tanh", penalty=0.1)
    assert len(made.samples) == 50
    assert made.network.lift == "none"
    assert made.network.block.activation == "tanh"
    assert made.regularisation.weights == 0.1


def test_a_deeper_network_is_a_better_surrogate_and_beats_affine_least_squares():
    made = heat_conduction.problem()
    growth = grow(made, max_layers=4, iterations=60)
    first, best = (
        made.with_network(t.network).objective.score(t.best, made.test)
        for t in (growth.cycles[0].training, growth.best)
    )
    one = np.ones((len(made.samples), 1))
    affine = np.linalg.lstsq(np.hstack([made.samples.X, one]), made.samples.Y, rcond=None)[0]
    guess = np.hstack([made.test.X, np.ones((len(made.test), 1))]) @ affine
    error = np.linalg.norm(guess - made.test.Y, axis=1) / np.linalg.norm(made.test.Y, axis=1)
    assert best < 0.8 * first
    assert best < 0.3 * error.mean()
