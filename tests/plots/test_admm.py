"""The figure of a consensus run."""

from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode import plots
from collocode.coordination.history import table
from collocode.coordination.state import Ending
from tests.coordination.problems import waves


@pytest.fixture(scope="module")
def agreement():
    return cc.admm(waves(), 2, mesh=12, rho=0.05, iterations=6)


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def test_residuals_stand_beside_their_limits(agreement):
    h = agreement.history
    axes = plots.agreement_history(agreement).axes
    drawn = axes[0].lines
    assert axes[0].get_yscale() == "log"
    for line, name in zip(drawn, ("primal", "primal_limit", "dual", "dual_limit"), strict=True):
        np.testing.assert_allclose(line.get_ydata(), h[name])
        np.testing.assert_array_equal(line.get_xdata(), range(1, 7))
    assert drawn[0].get_color() == drawn[1].get_color() != drawn[2].get_color()


def test_objectives_error_and_penalty(agreement):
    h = agreement.history
    axes = plots.agreement_history(agreement).axes
    shown = lines(axes[1])
    np.testing.assert_allclose(shown["of the batches"].get_ydata(), h["objective"])
    np.testing.assert_allclose(shown["of the simulated consensus"].get_ydata(), h["simulated"])
    np.testing.assert_allclose(axes[2].lines[0].get_ydata(), h["rho"])
    np.testing.assert_allclose(axes[3].lines[0].get_ydata(), h["mse"])
    assert [ax.get_xlabel() for ax in axes] == ["", "", "iteration", "iteration"]


def test_the_title_tells_the_ending(agreement):
    title = plots.agreement_history(agreement).get_suptitle()
    assert agreement.ending.value in title
    assert f"{len(agreement.history)} iterations of 2 batches" in title


def test_what_broke_down_is_a_gap_and_rescues_are_marked(agreement):
    history = agreement.history.copy()
    history.loc[2, ["simulated", "mse"]] = np.inf
    history.loc[3, "rescued"] = "run, window 1: consensus"
    history.loc[4, "dual"] = 0.0
    figure = plots.agreement_history(replace(agreement, history=history))
    axes = figure.axes
    assert np.isnan(axes[3].lines[0].get_ydata()[1])
    (marks,) = (line for line in axes[0].lines if line.get_label() == "rescue")
    np.testing.assert_array_equal(marks.get_xdata(), [3])
    figure.canvas.draw()  # nothing warns


def test_an_empty_history_and_one_that_was_not_measured(agreement, tmp_path):
    nothing = replace(agreement, history=table([]), ending=Ending.WORKERS_LOST)
    figure = plots.agreement_history(nothing)
    assert "no iteration was finished" in [t.get_text() for t in figure.axes[0].texts]
    history = agreement.history.assign(simulated=np.nan, mse=np.nan)
    figure = plots.agreement_history(replace(agreement, history=history))
    assert "was not measured" in [t.get_text() for t in figure.axes[3].texts]
    plots.save_figure(figure, tmp_path / "admm.png")
    assert (tmp_path / "admm.png").stat().st_size > 10_000
