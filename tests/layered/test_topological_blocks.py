"""Convolution, attention and token blocks: the promise is kept, and an insertion helps."""

from __future__ import annotations

import numpy as np
import pytest

from collocode import InputError

pytest.importorskip("equinox")

from collocode.layered import Samples, dataset
from collocode.layered.continuous_jax import float64
from collocode.layered.equinox_blocks import (
    KINDS,
    new_block,
    stream_network,
)
from collocode.layered.growth.stream_training import (
    arrays_of,
    stream_accuracy,
    stream_loss,
    train_stream,
)
from collocode.layered.growth.topological_blocks import (
    block_scores,
    grow_stream,
    insert_block,
    put_block,
)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return Samples(rng.standard_normal((20, 16)), np.arange(20) % 3)


def small(activation="silu_tanh", blocks=("attention", "convolution"), patch=1):
    return stream_network(4, 3, 3, blocks, patch=patch, activation=activation)


def loss(network, samples):
    with float64():
        return float(stream_loss(network, *arrays_of(samples)))


@pytest.mark.parametrize("activation", ["silu_tanh", "tanh", "swish"])
def test_promise_is_kept_for_every_place_and_kind(activation, images):
    network = small(activation)
    found = block_scores(network, images, KINDS)
    assert found.loss == pytest.approx(loss(network, images), rel=1e-12)
    assert len(found.table) == 3 * len(KINDS)
    epsilon = 2e-3 if found.order == 2 else 1e-4
    for row, (position, kind) in enumerate(
        zip(found.table["position"], found.table["kind"], strict=True)
    ):
        real = []
        for e in (epsilon, epsilon / 2.0):
            grown = put_block(network, position, kind, e * found.weights[row])
            real.append((found.loss - loss(grown, images)) / e**found.order)
        promised = found.predicted(1.0, row)
        assert 2.0 * real[1] - real[0] == pytest.approx(promised, rel=2e-3), (position, kind)


def test_convolution_is_a_convolution(images):
    """Against a loop over pixels."""
    network = small(blocks=())
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((3, 28))
    with float64():
        x = np.asarray(network.embed(images.X[:2]))
        block = new_block(network, "convolution", weights)
        seen = np.asarray(block.features(x)).reshape(2, 4, 4, 3, 3, 3)
    image = x.reshape(2, 4, 4, 3)
    for i in range(4):
        for j in range(4):
            for k in range(3):
                for m in range(3):
                    row, column = i + k - 1, j + m - 1
                    inside = 0 <= row < 4 and 0 <= column < 4
                    expected = image[:, row, column] if inside else np.zeros((2, 3))
                    np.testing.assert_array_equal(seen[:, i, j, k, m], expected)


def test_blocks_of_zeros_change_nothing(images):
    network = small(patch=2)
    for kind in KINDS:
        for position in range(3):
            grown = put_block(network, position, kind)
            assert loss(grown, images) == pytest.approx(loss(network, images), rel=1e-12)


def test_attention_looks_at_all_tokens_and_tokens_only_at_themselves(images):
    network = small(blocks=())
    rng = np.random.default_rng(2)
    with float64():
        x = np.asarray(network.embed(images.X[:1]))
        moved = x.copy()
        moved[0, 5] += rng.standard_normal(3)
        changed = {
            kind: np.abs(
                np.asarray(new_block(network, kind).features(moved))
                - np.asarray(new_block(network, kind).features(x))
            ).max(axis=(0, 2))
            for kind in KINDS
        }
    assert (changed["attention"] > 0.0).all()
    for kind in ("token", "convolution1"):
        assert np.flatnonzero(changed[kind]).tolist() == [5]
    assert np.flatnonzero(changed["convolution"]).tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]


def test_growing_keeps_its_books(images):
    how = {"epochs": 2, "batch": 20, "kinds": ("token",), "max_blocks": 1}
    network, table = grow_stream(small(blocks=()), images, **how)
    assert len(network.blocks) == 1
    assert table["blocks"].tolist() == [0, 0, 1, 1]
    assert table["inserted"].tolist() == ["", "", "token at 0", "token at 0"]
    assert table["decrease"].iloc[-1] > 0.0


@pytest.mark.slow
def test_an_insertion_helps_on_digits():
    """A trained one-block network; its best new block lowers the loss, and training goes on lower."""
    samples, validation = (part.take(range(240)) for part in dataset("digits"))
    first = stream_network(8, 10, 8, ("attention",), patch=2)
    how = {"epochs": 12, "batch": 60, "rate": 1e-2}
    network, table = grow_stream(
        first, samples, validation, kinds=("token", "attention"), max_blocks=2, scored=120, **how
    )
    assert table["blocks"].tolist() == [1] * 12 + [2] * 12
    assert table["decrease"].iloc[-1] > 0.0
    assert table["inserted"].iloc[-1].split()[0] in ("token", "attention")
    assert table["loss"].iloc[-1] < 0.7 * table["loss"].iloc[11]
    assert len(network.blocks) == 2
    assert stream_accuracy(network, samples) == table["training"].iloc[-1]


def test_what_makes_no_sense_is_refused(images):
    with pytest.raises(InputError, match="unknown block 'pooling'"):
        block_scores(small(), images, ("pooling",))
    with pytest.raises(InputError, match="kink"):
        block_scores(small("relu"), images)
    with pytest.raises(InputError, match="add to a stream of one width"):
        block_scores(lambda x: x, images)
    with pytest.raises(InputError, match="targets are numbers"):
        block_scores(small(), Samples(images.X, images.X))
    with pytest.raises(InputError, match="do not tile"):
        stream_network(8, 10, 4, patch=3)
    with pytest.raises(InputError, match=r"0 \.\.\. 2, not at 5"):
        put_block(small(), 5, "token")
    with pytest.raises(InputError, match="2 blocks already"):
        grow_stream(small(), images, max_blocks=1)
    with pytest.raises(InputError, match="must be positive"):
        train_stream(small(), images, epochs=0)
    found = block_scores(small(), images, ("token",))
    nothing = type(found)(2, found.table, tuple(0 * w for w in found.weights), found.loss, 0.0)
    assert insert_block(small(), images, nothing) is None
