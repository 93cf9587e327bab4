"""Figures hold what the solution says: axes, labels, and lines equal to its values."""

import itertools
import sys
from dataclasses import replace

import matplotlib
import numpy as np
import pytest

import collocode as cc
from collocode import plots
from collocode.plots.curves import curves_of, quantities
from models import damped_oscillator, van_der_pol_mu
from tests import problems


@pytest.fixture(scope="module")
def two_releases():
    return cc.fit(damped_oscillator.problem(), mesh=8)


@pytest.fixture(scope="module")
def one_window():
    return cc.fit(van_der_pol_mu.problem(), mesh=40)


@pytest.fixture(scope="module")
def decay():
    """One state, measured with gaps; a second experiment on another window; no truth, no test."""
    t = np.linspace(0.0, 2.0, 21)
    values = np.exp(-0.7 * t)
    values[5:9] = np.nan
    data = [
        cc.Experiment(t, values, outputs=("c",), name="first"),
        cc.Experiment(t[:11] + 1.0, 2.0 * np.exp(-0.7 * t[:11]), outputs=("c",), name="second"),
    ]
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    return cc.fit(cc.Problem(dynamics, data, name="decay"), mesh=4)


def lines(ax, label):
    return [line for line in ax.lines if line.get_label() == label]


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_trajectories_have_a_row_a_state_and_a_column_an_experiment(two_releases):
    figure = plots.trajectories(two_releases)
    assert len(figure.axes) == 6
    assert [ax.get_ylabel() for ax in figure.axes] == ["x", "", "", "v", "", ""]
    assert [ax.get_xlabel() for ax in figure.axes[3:]] == ["t"] * 3
    assert legend_texts(figure) == ["data", "collocated", "simulated", "truth"]
    names = [ax.texts[0].get_text() for ax in figure.axes[:3]]
    assert names == ["pulled (train)", "pushed (train)", "unseen (test)"]


def test_trajectory_lines_are_the_solutions_values(two_releases):
    ax = plots.trajectories(two_releases).axes[4]  # v of the second experiment
    (data,) = lines(ax, "data")
    np.testing.assert_array_equal(
        data.get_ydata(), two_releases.trajectories[1].experiment.values[:, 1]
    )
    (collocated,) = lines(ax, "collocated")
    times = collocated.get_xdata()
    np.testing.assert_array_equal(collocated.get_ydata(), two_releases.states(times, 1)[:, 1])
    (simulated,) = lines(ax, "simulated")
    run = two_releases.simulate("pushed", times=times)
    np.testing.assert_array_equal(simulated.get_ydata(), run.states[:, 1])


def test_a_following_test_window_shares_the_axis(one_window):
    figure = plots.trajectories(one_window)
    assert len(figure.axes) == 2
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["train", "test"]
    assert len(lines(ax, "simulated")) == 2
    assert len(lines(ax, "collocated")) == 1
    assert lines(ax, "simulated")[1].get_xdata()[0] == pytest.approx(15.0)


def test_partial_measurements_and_no_truth(decay):
    figure = plots.trajectories(decay, time_label="t [h]")
    assert len(figure.axes) == 2
    assert figure.axes[0].get_xlabel() == "t [h]"
    (data,) = lines(figure.axes[0], "data")
    assert np.isnan(np.asarray(data.get_ydata(), dtype=float)).sum() == 4
    assert "truth" not in legend_texts(figure)


def test_experiments_and_states_can_be_chosen_and_are_limited(two_releases):
    figure = plots.trajectories(two_releases, experiments=["unseen"], states=["v"])
    assert len(figure.axes) == 1
    figure = plots.trajectories(two_releases, limit=2)
    assert len(figure.axes) == 4
    assert "the first 2 of 3 experiments" in figure.get_suptitle()
    with pytest.raises(cc.InputError, match="no experiment 'unsen'"):
        plots.trajectories(two_releases, experiments=["unsen"])
    with pytest.raises(cc.InputError, match="no state or output 'w'"):
        plots.trajectories(two_releases, states=["w"])


def test_a_simulation_that_runs_away_does_not_flatten_the_data():
    fitted = cc.fit(problems.decay(), mesh=4)
    part = replace(fitted.trajectories[0], parameters=np.full_like(fitted.model.parameters, -5.0))
    wild = replace(fitted, trajectories=(part,))
    ax = plots.trajectories(wild).axes[0]
    spread = max(np.abs(line.get_ydata()).max() for line in lines(ax, "simulated"))
    assert spread > 10.0  # it does run away
    assert max(np.abs(ax.get_ylim())) < 3.0


def test_outputs_that_are_no_states_have_a_row():
    t = np.linspace(0.0, 2.0, 21)
    data = cc.Experiment(t, 3.0 * np.exp(-0.7 * t), outputs=("y",), initial={"c": 1.0})
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [-0.7 * x.c], parameters=[cc.Parameter("a", 1.0)]),
        [data],
        states=("c",),
        observe=lambda x, u, p: [p.a * x.c],
    )
    solution = cc.fit(problem, start="interpolate", mesh=None)
    figure = plots.trajectories(solution)
    assert [ax.get_ylabel() for ax in figure.axes] == ["c", "y"]
    assert not lines(figure.axes[0], "data")
    (simulated,) = lines(figure.axes[1], "simulated")
    np.testing.assert_allclose(
        simulated.get_ydata(), 3.0 * np.exp(-0.7 * simulated.get_xdata()), atol=1e-5
    )


def test_phase_portrait_shows_both_fields_and_the_error(two_releases):
    figure = plots.phase_portrait(two_releases)
    assert len(figure.axes) == 3  # fields, error, colour bar
    assert figure.axes[0].get_xlabel() == "x"
    assert figure.axes[0].get_ylabel() == "v"
    assert legend_texts(figure) == ["true field", "learnt field", "data", "simulated"]
    assert len(lines(figure.axes[0], "simulated")) == 2
    (mesh,) = (c for c in figure.axes[1].collections if c.get_array() is not None)
    assert float(np.median(np.asarray(mesh.get_array()))) < 0.05


def test_phase_portrait_without_truth_has_one_panel(two_releases, tmp_path):
    two_releases.save(tmp_path / "fit.npz")
    figure = plots.phase_portrait(cc.load(tmp_path / "fit.npz"), states=["v", "x"])
    assert len(figure.axes) == 1
    assert figure.axes[0].get_xlabel() == "v"
    assert "true field" not in legend_texts(figure)


def test_phase_portrait_needs_two_states(decay, two_releases):
    with pytest.raises(cc.InputError, match="needs two states"):
        plots.phase_portrait(decay)
    with pytest.raises(cc.InputError, match="two different states"):
        plots.phase_portrait(two_releases, states=["x", "x"])
    with pytest.raises(cc.InputError, match="no state 'z'"):
        plots.phase_portrait(two_releases, states=["x", "z"])


def test_phase_portrait_of_three_states_says_what_is_held():
    t = np.linspace(0.0, 3.0, 31)
    values = np.column_stack([np.exp(-t), np.exp(-2.0 * t), np.exp(-0.5 * t)])
    problem = cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: [-p.k * x.a, -2.0 * x.b, -0.5 * x.c],
            parameters=[cc.Parameter("k", 2.0)],
        ),
        [cc.Experiment(t, values, outputs=("a", "b", "c"))],
    )
    figure = plots.phase_portrait(cc.fit(problem, mesh=None), states=["a", "c"])
    assert "b held at the middle" in figure.get_suptitle()


def test_convergence_shows_the_history(one_window):
    figure = plots.convergence(one_window)
    upper, lower = figure.axes
    history = one_window.result.history
    np.testing.assert_array_equal(lines(upper, "objective")[0].get_ydata(), history["objective"])
    primal = lines(lower, "primal infeasibility")[0].get_ydata()
    shown = np.isfinite(primal)
    np.testing.assert_array_equal(primal[shown], history["primal"][shown])
    assert lower.get_yscale() == "log"
    assert lower.get_xlabel() == "iteration"
    assert "converged" in figure.get_suptitle()


def test_save_all_writes_png_files(decay, two_releases, tmp_path):
    written = plots.save_all(two_releases, tmp_path / "new" / "folder")
    assert [p.name for p in written] == [
        "trajectories.png",
        "convergence.png",
        "phase_portrait.png",
    ]
    for path in written:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 10_000
    assert len(plots.save_all(decay, tmp_path)) == 2
    assert not list(tmp_path.glob(".collocode*"))


def test_an_unwritable_place_is_one_sentence(decay, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(cc.FileError, match="cannot make the folder"):
        plots.save_all(decay, tmp_path / "file")
    with pytest.raises(cc.FileError, match="cannot write"):
        plots.save_figure(plots.convergence(decay), tmp_path / "nowhere" / "a.png")


def test_no_global_state_is_touched(decay):
    before = dict(matplotlib.rcParams)
    plots.convergence(decay)
    assert dict(matplotlib.rcParams) == before
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_curves_name_every_quantity(two_releases):
    assert quantities(two_releases) == ("x", "v")
    assert [c.role for c in curves_of(two_releases)] == ["train", "train", "test"]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_labels_stand_alone_and_a_constant_shows_no_rounding(scale):
    @plots.style.styled
    def drawn():
        figure = plots.style.new_figure(4.0, 4.0)
        for ax, values in zip(figure.subplots(2, 1), ([1.0, 1.0 + 1e-9], [3e6, 4e6]), strict=True):
            ax.plot([0.0, 1e7], values)
            ax.set_yscale(scale)
        return figure

    figure = drawn()
    plots.style.png(figure)
    constant, large = figure.axes
    low, high = constant.get_ylim()
    assert low < 1.0 < high
    assert high - low > 0.9e-5
    if scale == "linear":
        labels = {t.get_position()[1]: t.get_text() for t in large.get_yticklabels()}
        assert all(float(text) == pytest.approx(value) for value, text in labels.items())
        assert any(text.endswith("e6") for text in labels.values())
        assert not large.yaxis.get_offset_text().get_text()
    assert not large.xaxis.get_offset_text().get_text()


def test_a_control_that_is_given_in_another_phase_is_drawn_there():
    from models.control import penicillin

    solution = cc.fit(penicillin.problem(), mesh=6, options={"max_iter": 2}, interface="casadi")
    panels = plots.trajectories(solution, states=["feed"]).axes
    assert [ax.texts[0].get_text() for ax in panels] == ["growth", "filling", "production"]
    panel = panels[1]
    assert [line.get_label() for line in panel.lines] == ["given input"]
    assert (np.ptp(panel.lines[0].get_ydata()), panel.lines[0].get_ydata()[0]) == (0.0, 50.0)


@pytest.mark.parametrize(
    ("first", "last", "label"),
    [
        (1.7e9, 1.7e9 + 86_400.0, "t [s] − 1700000000"),
        (1.7e9, 1.7e9 + 1e-3, "t [s] − 1700000000"),
        (-1.7e9, -1.7e9 + 5e3, "t [s] + 1700000000"),
        (2_460_000.5, 2_460_030.5, "t [s] − 2460000"),
        (1.7e9, 1.73e9, "t [s]"),
        (2015.1, 2024.9, "t [s]"),
        (0.0, 9e5, "t [s]"),
        (0.0, 5e-9, "t [s]"),
    ],
)
@pytest.mark.parametrize("columns", [1, 4])
def test_labels_of_times_stand_apart_and_tell_the_times(first, last, label, columns):
    @plots.style.styled
    def drawn():
        figure = plots.style.new_figure(3.8 * columns, 3.0)
        axes = figure.subplots(2, columns, sharex="col", squeeze=False)
        for ax in axes.flat:
            ax.plot([first, last], [0.0, 1.0])
            ax.margins(x=0.01)
        for ax in axes[-1]:
            ax.set_xlabel("t [s]")
        return figure

    figure = drawn()
    plots.style.png(figure)
    ax = figure.axes[-1]
    assert ax.get_xlabel() == label
    low, high = ax.get_xlim()
    shown = [t for t in ax.get_xticklabels() if low <= t.get_position()[0] <= high and t.get_text()]
    assert 2 <= len(shown) <= 10
    boxes = [text.get_window_extent() for text in shown]
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))
    _, sign, far = label.partition(" − ") if " − " in label else label.partition(" + ")
    origin = float(far or 0.0) * (-1.0 if sign == " + " else 1.0)
    for text in shown:
        told = origin + float(text.get_text().replace("−", "-"))
        assert told == pytest.approx(text.get_position()[0], rel=0.0, abs=1e-3 * (last - first))


@pytest.mark.parametrize("name", ["x", "concentration_of_intermediate_species_number_7", "x" * 200])
def test_long_names_stay_within_their_panel(name):
    @plots.style.styled
    def drawn():
        figure = plots.style.new_figure(8.6, 2 * 1.9 + 1.1)
        for ax in figure.subplots(2, 1, sharex=True):
            ax.plot([0.0, 1.0], [0.0, 1.0])
            ax.set_ylabel(name)
        return figure

    figure = drawn()
    plots.style.png(figure)
    for ax in figure.axes:
        box, panel = ax.yaxis.label.get_window_extent(), ax.get_window_extent()
        assert panel.y0 - 5.0 < box.y0 < box.y1 < panel.y1 + 5.0
        told = ax.get_ylabel().replace("\n", "")
        assert told == name or (told[0] == name[0] and told[-1] == name[-1] and "…" in told)


def test_long_names_of_experiments_beside_each_other_do_not_touch():
    def run(number):
        t = np.linspace(0.0, 1.0, 12)
        name = f"the measurements of the second of May in batch reactor number {number}"
        return cc.Experiment(t, np.exp(-t)[:, None], outputs=("x",), name=name)

    model = cc.Dynamics(lambda t, x, u, p, nn: {"x": -p.k * x.x}, parameters=[cc.Parameter("k", 1)])
    solution = cc.fit(cc.Problem(model, [run(1), run(2), run(3)]), mesh=4)
    figure = plots.trajectories(solution)
    plots.style.png(figure)
    texts = [ax.texts[0] for ax in figure.axes]
    assert [text.get_text()[-9:] for text in texts] == ["1 (train)", "2 (train)", "3 (train)"]
    boxes = [text.get_window_extent() for text in texts]
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))
