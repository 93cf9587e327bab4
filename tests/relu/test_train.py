"""Training: what it learns, what the measures do, that a seed decides all."""

import builtins

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collocode.errors import InputError, MissingDependency
from collocode.relu import Surrogate, TrainingSettings, interval_bounds, train
from collocode.relu import regularisers as terms
from tests.relu.nets import random_network

jnp = pytest.importorskip("jax.numpy")
pytest.importorskip("optax")

BOX = [(-2.0, 4.0), (0.0, 1.0)]
QUICK = {"epochs": 40, "rate": 1e-2, "batch": 50}


def bowl(x):
    return np.column_stack([np.abs(x[:, 0] - 1.0) + x[:, 1], 100.0 + 10.0 * x[:, 0]])


@pytest.fixture(scope="module")
def samples():
    x = np.random.default_rng(0).uniform(*np.transpose(BOX), (400, 2))
    return x, bowl(x)


def layers_of(network):
    return list(zip(network.weights, network.biases, strict=True))


def unseen_error(network):
    x = np.random.default_rng(9).uniform(*np.transpose(BOX), (500, 2))
    y = bowl(x)
    return float(np.sqrt(np.mean((network(x) - y) ** 2 / y.var(axis=0))))


def test_it_learns_a_piecewise_linear_function(samples):
    found = train(*samples, (8,), TrainingSettings(**{**QUICK, "epochs": 120}), BOX)
    assert unseen_error(found.network) < 0.05
    history = found.history
    assert history.train[-1] < 0.05 * history.train[0]
    assert history.best == np.argmin(history.validation)
    # the history is about the network that was returned
    y = samples[1]
    x, scaled = samples[0], (found.network(samples[0]) - y) / y.std(axis=0)
    errors = np.mean(scaled**2)
    assert len(x) == 400
    assert history.train[history.best] * 0.8 < errors < history.train[history.best] * 1.25 + 1e-3
    assert "ReluNetwork(2, 8, 2)" in repr(found)


def test_inputs_and_outputs_are_scaled_outside(samples):
    network = train(*samples, (4,), TrainingSettings(**QUICK), BOX).network
    np.testing.assert_allclose(network.input_shift, [1.0, 0.5])
    np.testing.assert_allclose(network.input_scale, [3.0, 0.5])
    np.testing.assert_allclose(network.output_shift, samples[1].mean(axis=0))
    np.testing.assert_allclose(network.output_scale, samples[1].std(axis=0))


def test_a_seed_decides_all(samples):
    one, same, other = (
        train(*samples, (4,), TrainingSettings(**QUICK, dropout=0.1, seed=s), BOX).network
        for s in (1, 1, 2)
    )
    for a, b, c in zip(one.weights, same.weights, other.weights, strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


@given(st.integers(0, 1000), st.sampled_from([None, 0.5]))
def test_regularisers_bound_as_interval_arithmetic_does(seed, clip):
    network = random_network(seed, (2, 5, 4, 1), clip)
    bounds = interval_bounds(network, [(-1.0, 1.0)] * 2)
    for k, (low, up) in enumerate(terms.ranges(np, layers_of(network), clip)):
        np.testing.assert_allclose(low, bounds.lower[k], atol=1e-12)
        np.testing.assert_allclose(up, bounds.upper[k], atol=1e-12)


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("name", ["big_m", "instability"])
def test_gradients_of_regularisers_against_differences(name, clip):
    import jax

    network = random_network(1, (2, 4, 3, 1))
    layers = layers_of(network)
    regulariser = getattr(terms, name)
    with jax.enable_x64(True):
        gradient = jax.grad(lambda W: regulariser(jnp, [(W, layers[0][1]), *layers[1:]], clip))(
            jnp.asarray(layers[0][0])
        )
        gradient = np.asarray(gradient)
    for index in np.ndindex(layers[0][0].shape):
        moved = [layers[0][0].copy() for _ in range(2)]
        moved[0][index] += 1e-6
        moved[1][index] -= 1e-6
        up, down = (float(regulariser(np, [(W, layers[0][1]), *layers[1:]], clip)) for W in moved)
        assert gradient[index] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-7)


def test_instability_counts_undecided_units():
    """Far from zero the mean of 1 - tanh(1 + L U) is twice the share of undecided units."""
    W, b = 10.0 * np.ones((4, 1)), np.array([40.0, -40.0, 0.0, 3.0])
    layers = [(W, b), (np.ones((1, 4)), np.zeros(1))]
    assert terms.instability(np, layers) == pytest.approx(2 * 2 / 4, abs=1e-6)


def stable_and_big_m(network):
    bounds = interval_bounds(network, BOX)
    states = np.concatenate(bounds.stable(network))
    size = np.concatenate(
        [np.maximum(abs(a), abs(b)) for a, b in zip(bounds.lower, bounds.upper, strict=True)][:-1]
    )
    return np.mean(states != 0), size.mean()


def test_the_measures_do_what_they_are_for(samples):
    def trained(**more):
        return train(*samples, (8, 8), TrainingSettings(**QUICK, **more), BOX).network

    plain = trained()
    share, size = stable_and_big_m(plain)
    l1 = trained(l1=3e-3)
    assert sum((W == 0.0).sum() for W in l1.weights) > 20
    assert all((W != 0.0).all() for W in plain.weights)
    l2 = trained(l2=3e-3)
    assert sum((W**2).sum() for W in l2.weights) < 0.7 * sum((W**2).sum() for W in plain.weights)
    assert stable_and_big_m(trained(big_m=3e-2))[1] < 0.7 * size
    assert stable_and_big_m(trained(unstable=0.3))[0] > share + 0.2
    clipped = trained(clip=0.8)
    assert clipped.clipped
    assert (clipped.level(0) == 0.8).all()
    for network in (l1, l2, clipped):
        assert unseen_error(network) < 0.3  # 40 epochs only


def test_training_stops_early(samples):
    # nothing can be learnt from noise: the validation error soon is as good as it gets
    y = np.random.default_rng(1).standard_normal((400, 1))
    found = train(
        samples[0], y, (8,), TrainingSettings(epochs=400, rate=1e-2, batch=50, patience=0.1)
    )
    assert found.history.epoch[-1] < 400
    assert found.history.best < len(found.history.epoch) - 1


def test_one_output_and_progress(samples):
    seen = []
    found = train(
        samples[0],
        samples[1][:, 0],
        (4,),
        TrainingSettings(epochs=3, batch=None, validation=0.0),
        on_check=lambda epoch, error: seen.append((epoch, error)),
    )
    assert found.network.sizes == (2, 4, 1)
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    np.testing.assert_array_equal([error for _, error in seen], found.history.train)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be a positive integer"),
        ({"batch": 2.5}, "batch of TrainingSettings must be a whole number"),
        ({"l1": -1.0}, "l1 must be zero or positive"),
        ({"unstable": np.nan}, "unstable must be zero or positive"),
        ({"dropout": 1.0}, r"dropout is a share in \[0, 1\)"),
        ({"clip": 0.0}, "clip must be positive"),
        ({"rate": -1e-3}, "rate must be positive"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings(**change)


@pytest.mark.parametrize(
    ("x", "y", "more", "message"),
    [
        ([[0.0], [1.0]], [0.0], {}, r"x has shape \(2, 1\) and y \(1, 1\)"),
        ([[0.0], [np.nan]], [0.0, 1.0], {}, r"x\[1, 0\] is nan"),
        ([[0.0], [1.0]], [0.0, 1.0], {"hidden": ()}, "at least one positive width"),
        ([[0.0], [0.0]], [0.0, 1.0], {}, "input 0 has no range"),
        ([[0.0], [3.0]], [0.0, 1.0], {"box": [(0.0, 1.0)]}, "input 0 lie outside the box"),
        ([[0.0], [1.0]], [0.0, 1.0], {"box": [(0.0, np.inf)]}, r"the box must be \(1, 2\) finite"),
        (
            [[0.0], [1.0]],
            [0.0, 1e9],
            {"settings": TrainingSettings(epochs=8, rate=1e30)},
            "training diverged",
        ),
    ],
)
def test_bad_samples(x, y, more, message):
    with pytest.raises(InputError, match=message):
        train(x, y, **more)


def test_without_jax_the_extra_is_named(samples, monkeypatch):
    found = builtins.__import__

    def without(name, *arguments, **more):
        if name == "optax":
            raise ImportError("no optax", name="optax")
        return found(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=r"needs optax; run: pip install 'collocode\[learn"):
        train(*samples, (4,), TrainingSettings(epochs=1))


def test_a_surrogate_draws_trains_and_refuses():
    asked = Surrogate(
        BOX,
        bowl,
        hidden=(4,),
        training=TrainingSettings(**QUICK),
        samples=200,
        outputs=("a", "b"),
    )
    drawn = asked.draw(1)
    np.testing.assert_array_equal(drawn.y, bowl(drawn.x))
    edges = np.linspace(*BOX[0], 201)  # a Latin hypercube: one sample in every slice
    assert (np.histogram(drawn.x[:, 0], edges)[0] == 1).all()
    assert not set(map(tuple, drawn.x)) & set(map(tuple, drawn.x_test))
    assert asked.train(drawn).network.outputs == 2
    given = Surrogate(BOX, data=(drawn.x, drawn.y), outputs=("a", "b")).draw()
    assert (len(given.x), len(given.x_test)) == (160, 40)
    for bad, message in (
        ({"function": None}, "needs a function, data or a network"),
        ({"sense": "best"}, "unknown sense 'best'; choose from maximize, minimize"),
        ({"inputs": ("a",)}, "1 name is given for 2 inputs"),
        ({"box": [(0.0, np.inf)]}, "one finite"),
        ({"network": random_network(0)}, "1 output, but 2 are named"),
    ):
        with pytest.raises(InputError, match=message):
            Surrogate(**{"box": BOX, "function": bowl, "outputs": ("a", "b"), **bad})
    with pytest.raises(InputError, match=r"returns shape \(200, 2\)"):
        Surrogate(BOX, bowl, samples=200).draw()
    with pytest.raises(InputError, match="is not finite at"):
        Surrogate(BOX, lambda x: np.where(x[:, 0] > 0, x[:, 1], np.inf), samples=50).draw()
