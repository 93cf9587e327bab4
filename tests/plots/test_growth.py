"""Figures of a growth show its numbers."""

import numpy as np
import pytest

import collocode as cc
from collocode.layered import LayeredNetwork, LayeredProblem, LogisticLoss, ResidualBlock, spiral2d
from collocode.layered.growth.grow import grow
from collocode.plots import growth_history, growth_scores


def made(indicator="topological", validation=True, **how):
    samples, held = spiral2d(60)
    block = ResidualBlock("silu_tanh")
    network = LayeredNetwork(2, 1, 2, cc.Mesh.uniform(0, 2, 2), block=block)
    problem = LayeredProblem(
        network, samples, LogisticLoss(), validation=held if validation else None, name="Spiral"
    )
    return grow(problem, indicator, **{"max_layers": 4, "iterations": 6, "stall": None, **how})


@pytest.fixture(scope="module")
def growth():
    return made()


def test_scores_are_drawn_a_panel_a_cycle(growth):
    axes = [ax for ax in growth_scores(growth).axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in axes] == ["2 layers", "3 layers"]
    for ax, cycle in zip(axes, growth.cycles, strict=False):
        hollow, _, full = ax.lines
        np.testing.assert_array_equal(hollow.get_xdata(), cycle.depths)
        np.testing.assert_array_equal(hollow.get_ydata(), cycle.values)
        assert full.get_xdata()[0] == cycle.extension.position
        assert full.get_ydata()[0] == cycle.values.max()


def test_history_marks_insertions_and_the_kept_weights(growth):
    (ax,) = growth_history(growth).axes
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(
        lines["training objective"].get_ydata(), growth.history["objective"]
    )
    inserted = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
    assert {6, 12} <= set(inserted)
    kept = lines["weights that are kept"]
    assert kept.get_ydata()[0] == pytest.approx(growth.history["validation_loss"].min())
    assert [text.get_text() for text in ax.texts] == ["2", "3", "4"]


def test_growths_without_scores_or_validation():
    random = made("random", max_layers=3)
    assert "no scores" in growth_scores(random).axes[0].texts[0].get_text()
    plain = made(validation=False, max_layers=2)
    assert len(growth_history(plain).axes[0].lines) == 1
    assert growth_scores(plain).axes


def test_bisected_layers_are_marked_where_they_were():
    figure = growth_scores(made("dwr", max_layers=3))
    full = figure.axes[0].lines[-1]
    assert full.get_xdata()[0] in (0.5, 1.5)
