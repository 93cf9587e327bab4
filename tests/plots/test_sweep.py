"""The curve of a sweep, and the bands of trajectories."""

import numpy as np
import pandas as pd
import pytest

import collocode as cc
from collocode import plots


@pytest.fixture(scope="module")
def decay():
    """Two experiments; a second output is the state again."""
    t, rng = np.linspace(0.0, 2.0, 21), np.random.default_rng(0)
    runs = [
        cc.Experiment(
            t,
            np.column_stack([c * np.exp(-0.7 * t) + 0.02 * rng.standard_normal(21)] * 2),
            outputs=("c", "twice"),
            name=f"from {c}",
        )
        for c in (1.0, 2.0)
    ]
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c],
        parameters=[cc.Parameter("k", 1.0)],
    )
    problem = cc.Problem(
        dynamics, runs, states=("c",), observe=lambda x, u, p: [x.c, x.c], name="decay"
    )
    return cc.fit(problem, mesh=4)


def made(values, validation, training, converged=None, name="hidden", solution=None):
    rows = {
        "validation": validation,
        "training": training,
        "status": "converged (optimal)",
        "converged": converged or [True] * len(values),
        "iterations": 5,
        "seconds": 0.1,
    }
    table = pd.DataFrame(rows, index=pd.Index(values, name=name))
    best = values[int(np.nanargmin(np.where(np.isfinite(validation), validation, np.inf)))]
    return cc.Sweep(name=name, table=table, best=best, solution=solution)


def lines(ax, label):
    return [line for line in ax.lines if line.get_label() == label]


def test_errors_are_drawn_in_the_order_of_the_values(decay):
    sweep = made([1e-2, 1e-4, 1e-6], [3.0, 1.0, 2.0], [2.0, 0.9, 0.1], solution=decay)
    (ax,) = plots.sweep_curve(sweep).axes
    (held,) = lines(ax, "held-out data")
    np.testing.assert_array_equal(held.get_xdata(), [1e-6, 1e-4, 1e-2])
    np.testing.assert_array_equal(held.get_ydata(), [2.0, 1.0, 3.0])
    (trained,) = lines(ax, "training data")
    np.testing.assert_array_equal(trained.get_ydata(), [0.1, 0.9, 2.0])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == "hidden"
    assert "chosen: 0.0001" in [text.get_text() for text in ax.texts]


@pytest.mark.parametrize(
    ("values", "scale", "labels"),
    [
        ([1, 2, 4, 8], "log", ["1", "2", "4", "8"]),
        ([1, 2, 3, 4], "linear", ["1", "2", "3", "4"]),
        ([-1.0, 0.0, 1.0], "linear", ["-1", "0", "1"]),
        (["tanh", "swish"], "linear", ["tanh", "swish"]),
        ([True, False], "linear", ["True", "False"]),
    ],
)
def test_the_axis_suits_the_values(values, scale, labels, decay):
    errors = np.linspace(1.0, 1.5, len(values))
    (ax,) = plots.sweep_curve(made(values, errors, errors, solution=decay)).axes
    assert ax.get_xscale() == scale
    assert ax.get_yscale() == "linear"
    assert [text.get_text() for text in ax.get_xticklabels()] == labels


def test_what_did_not_converge_is_hollow_and_what_broke_down_is_at_the_top(decay):
    sweep = made(
        [1, 2, 3], [np.inf, 1.0, 2.0], [1.0, 1.0, 0.5], [True, True, False], solution=decay
    )
    figure = plots.sweep_curve(sweep)
    assert "hollow: not converged, triangle: infinite" in figure.get_suptitle()
    (ax,) = figure.axes
    (triangle,) = (line for line in ax.lines if line.get_marker() == "^")
    assert triangle.get_ydata()[0] == ax.get_ylim()[1]
    assert triangle.get_xdata()[0] == 1
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
    assert [list(line.get_xdata()) for line in hollow] == [[3], [3]]


def test_nothing_but_infinities(decay):
    sweep = made([1, 2], [np.inf, np.inf], [np.nan, np.inf], solution=decay)
    assert plots.sweep_curve(sweep).axes


def test_bands_are_those_of_the_covariance(decay):
    trust = cc.uncertainty(decay)
    axes = plots.trajectories(decay, trust=trust).axes
    (shade,) = axes[1].collections
    assert shade.get_label() == "95 % band"
    low, high = trust.band(np.linspace(0.0, 2.0, 600), 1)
    corners = shade.get_paths()[0].vertices[:, 1]
    assert corners.min() == pytest.approx(low.min())
    assert corners.max() == pytest.approx(high.max())
    (shade,) = axes[3].collections  # of the output, which is the state again
    corners = shade.get_paths()[0].vertices[:, 1]
    assert corners.max() == pytest.approx(high.max(), rel=1e-3)
    assert not plots.trajectories(decay).axes[0].collections


def test_a_wide_band_leaves_the_panel(decay):
    class Wide:
        def band(self, times, number, of="states"):
            centre = decay.states(times, number)
            if of == "outputs":
                centre = np.zeros((len(times), len(decay.model.outputs)))
            return centre - 100.0, centre + 100.0

    ax = plots.trajectories(decay, trust=Wide()).axes[0]
    low, high = ax.get_ylim()
    assert high - low < 6.0


def test_the_reports_figure_has_bands(decay):
    (drawing,) = (f for f in cc.report(decay).figures if f.name == "trajectories.png")
    assert drawing.draw().axes[0].collections
    assert not plots.trajectories(decay).axes[0].collections
