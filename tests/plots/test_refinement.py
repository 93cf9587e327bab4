"""Figures of a refinement draw what it says."""

import numpy as np
import pytest

import collocode as cc
from collocode.plots import mesh_density, refinement_history
from tests.problems import decay


@pytest.fixture(scope="module")
def found():
    data = decay().experiments[0]
    wavy = cc.Experiment(data.times, data.values + 0.1 * np.cos(20.0 * data.times)[:, None], ("c",))
    problem = cc.Problem(decay().dynamics, wavy)
    return cc.refine(problem, 1e-6, "parameter:k", scheme="trapezoid", mesh=4, compare=True)


def test_mesh_density(found, tmp_path):
    figure = mesh_density(found)
    top, middle, bottom = figure.axes
    points = found.estimate.meshes[0]
    (ticks,) = (c for c in top.collections if len(c.get_segments()) == len(points))
    np.testing.assert_allclose([s[0, 0] for s in ticks.get_segments()], points)
    stairs = [p.get_data() for p in middle.patches]
    np.testing.assert_allclose(stairs[1].values, np.diff(points))
    drawn = sum(len(line.get_xdata()) for line in bottom.lines)
    assert 0 < drawn <= len(points) - 1
    figure.savefig(tmp_path / "mesh.png")


def test_history_has_both_runs(found, tmp_path):
    figure = refinement_history(found)
    (ax,) = figure.axes
    lines = {line.get_label(): line for line in ax.lines}
    for label, run in (("adaptive", found), ("uniform", found.uniform)):
        np.testing.assert_allclose(lines[label].get_xdata(), run.table()["unknowns"])
        np.testing.assert_allclose(lines[label].get_ydata(), run.table()["estimate"].abs())
    figure.savefig(tmp_path / "history.png")
