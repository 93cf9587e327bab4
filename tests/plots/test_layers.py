"""Figures of a refinement of layers: what is drawn is what was found."""

import numpy as np
import pytest

import collocode as cc
from collocode.layered import (
    LayeredNetwork,
    LayeredProblem,
    LogisticLoss,
    Samples,
    SoftmaxLoss,
    donut1d,
    squares2d,
)
from collocode.plots import decision_regions, layer_history, layer_mesh
from collocode.plots.layers import has_regions


def refined(samples, loss, outputs, validation=None, **how):
    mesh = cc.Mesh.uniform(0.0, 4.0, 1)
    network = LayeredNetwork(samples.inputs, outputs, 2, mesh, lift="pad")
    problem = LayeredProblem(network, samples, loss, validation=validation, name="Drawn")
    return cc.refine_layers(problem, iterations=10, stall=None, **how)


@pytest.fixture(scope="module")
def found():
    return refined(*reversed_pair(squares2d(80)), max_layers=4, compare=True)


def reversed_pair(pair):
    return pair[0], LogisticLoss(), 1, pair[1]


def test_decision_regions(found):
    figure = decision_regions(found)
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert len(shown) == len(found.cycles)
    for ax, cycle in zip(shown, found.cycles, strict=True):
        assert f"{cycle.score:.3f}" in ax.get_title(loc="left")
    assert sum("(chosen)" in ax.get_title(loc="left") for ax in shown) == 1


def test_layer_mesh_has_a_box_a_layer(found):
    ax = layer_mesh(found).axes[0]
    boxes = [len(c.get_paths()) for c in ax.collections]
    assert sum(boxes) == sum(c.layers + len(c.marked) for c in found.cycles)


def test_history_shows_every_cycle_of_both_runs(found):
    left, right = layer_history(found).axes
    line = left.lines[0]
    np.testing.assert_array_equal(line.get_xdata(), [c.layers for c in found.cycles])
    np.testing.assert_array_equal(line.get_ydata(), [c.score for c in found.cycles])
    np.testing.assert_allclose(right.lines[0].get_xdata()[-1], found.work)


def test_three_classes_without_validation_and_many_cycles():
    rng = np.random.default_rng(0)
    samples = Samples(rng.standard_normal((60, 2)), np.arange(60) % 3)
    run = refined(samples, SoftmaxLoss(), 3, max_layers=14, rule="fixed")
    assert len(run.cycles) == 14
    assert sum(ax.get_visible() for ax in decision_regions(run).axes) == 12
    layer_history(run)


def test_one_feature_has_no_plane():
    samples, validation = donut1d(40)
    run = refined(samples, LogisticLoss(), 1, validation, max_cycles=1)
    assert not has_regions(run)
    with pytest.raises(cc.InputError, match="need two features"):
        decision_regions(run)
    layer_mesh(run)
