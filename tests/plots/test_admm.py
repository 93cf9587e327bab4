"""The figure of a consensus run."""

from dataclasses import replace

import numpy as np
import pytest

from collocode import plots
from collocode.coordination.state import table
from collocode.results.status import Termination
from tests.coordination.problems import admm, waves


@pytest.fixture(scope="module")
def result():
    return admm(waves(), 2, mesh=12, rho=0.05, iterations=6)


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def test_residuals_stand_beside_their_limits(result):
    h = result.history
    axes = plots.admm_history(result).axes
    drawn = axes[0].lines
    assert axes[0].get_yscale() == "log"
    for line, name in zip(drawn, ("primal", "primal_limit", "dual", "dual_limit"), strict=True):
        np.testing.assert_allclose(line.get_ydata(), h[name])
        np.testing.assert_array_equal(line.get_xdata(), range(1, 7))
    assert drawn[0].get_color() == drawn[1].get_color() != drawn[2].get_color()


def test_objectives_error_and_penalty(result):
    h = result.history
    axes = plots.admm_history(result).axes
    shown = lines(axes[1])
    np.testing.assert_allclose(shown["of the batches"].get_ydata(), h["objective"])
    np.testing.assert_allclose(
        shown["of the simulated consensus"].get_ydata(), h["simulated_objective"]
    )
    np.testing.assert_allclose(axes[2].lines[0].get_ydata(), h["rho"])
    np.testing.assert_allclose(axes[3].lines[0].get_ydata(), h["batch_mse"])
    assert [ax.get_xlabel() for ax in axes] == ["", "", "iteration", "iteration"]


def test_the_title_tells_how_it_ended(result):
    title = plots.admm_history(result).get_suptitle()
    assert result.termination.value in title
    assert f"{len(result.history)} iterations of 2 batches" in title


def test_what_broke_down_is_a_gap_and_rescues_are_marked(result):
    history = result.history.copy()
    history.loc[2, ["simulated_objective", "batch_mse"]] = np.inf
    history.loc[3, "rescued"] = "run, window 1: consensus"
    history.loc[4, "dual"] = 0.0
    figure = plots.admm_history(replace(result, history=history))
    axes = figure.axes
    assert np.isnan(axes[3].lines[0].get_ydata()[1])
    (marks,) = (line for line in axes[0].lines if line.get_label() == "rescue")
    np.testing.assert_array_equal(marks.get_xdata(), [3])
    figure.canvas.draw()  # nothing warns


def test_an_empty_history_and_one_that_was_not_measured(result, tmp_path):
    nothing = replace(result, history=table([]), termination=Termination.ERROR)
    figure = plots.admm_history(nothing)
    assert "no iteration was finished" in [t.get_text() for t in figure.axes[0].texts]
    history = result.history.assign(simulated_objective=np.nan, batch_mse=np.nan)
    figure = plots.admm_history(replace(result, history=history))
    assert "was not measured" in [t.get_text() for t in figure.axes[3].texts]
    plots.save_figure(figure, tmp_path / "admm.png")
    assert (tmp_path / "admm.png").stat().st_size > 10_000
