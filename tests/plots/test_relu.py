"""Linear regions and training curves: what is drawn is what was found."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection, QuadMesh

from collocode import plots
from collocode.errors import InputError
from collocode.relu import (
    Surrogate,
    TrainingHistory,
    TrainingResult,
    TrainingSettings,
    planar_regions,
)
from tests.relu.nets import random_network

BOX = [(-1.0, 1.0), (0.0, 3.0)]


def drawn(ax, kind):
    return [c for c in ax.collections if isinstance(c, kind)]


def test_every_region_is_outlined_and_coloured_by_the_network():
    network = random_network(0, (2, 5, 4, 1))
    figure = plots.relu_regions(network, BOX, at=[0.2, 1.0])
    ax = figure.axes[0]
    (lines,), (mesh,) = drawn(ax, LineCollection), drawn(ax, QuadMesh)
    regions = planar_regions(network, BOX)
    assert len(lines.get_paths()) == len(regions)
    assert (ax.get_xlim(), ax.get_ylim()) == (BOX[0], BOX[1])
    x, y = np.meshgrid(np.linspace(*BOX[0], 241), np.linspace(*BOX[1], 241))
    expected = network(np.column_stack([x.ravel(), y.ravel()]))[:, 0]
    np.testing.assert_allclose(np.ravel(mesh.get_array()), expected)
    (star,) = ax.lines
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (0.2, 1.0)
    assert f"{len(regions)} linear regions" in figure.get_suptitle()


def test_the_second_panel_is_the_error():
    network = random_network(1, (2, 5, 1))
    asked = Surrogate(
        BOX, lambda x: network(x)[:, 0] + 0.25, inputs=("a", "b"), outputs=("f",), name="Shifted"
    )
    figure = plots.relu_regions(network, BOX, surrogate=asked)
    values = np.ravel(drawn(figure.axes[1], QuadMesh)[0].get_array())
    np.testing.assert_allclose(values, -0.25)
    assert figure.axes[0].get_xlabel() == "a"
    assert "Shifted" in figure.get_suptitle()


def test_a_slice_says_what_is_held():
    network = random_network(2, (3, 5, 1))
    figure = plots.relu_regions(network, [(-1.0, 1.0)] * 3, inputs=(2, 0), at=[0.1, 0.5, 0.3])
    assert "x1 = 0.5" in figure.get_suptitle()
    with pytest.raises(InputError, match="there is no output 1"):
        plots.relu_regions(network, [(-1.0, 1.0)] * 3, output=1)


def test_a_training_curve_marks_what_was_kept():
    epoch, falling = np.arange(1.0, 6.0), np.array([1.0, 0.5, 0.2, 0.3, 0.4])
    history = TrainingHistory(epoch, falling / 2, falling, np.zeros(5), 2)
    trained = TrainingResult(random_network(0), history, TrainingSettings(), 0.1)
    ax = plots.training_curve(trained).axes[0]
    lines = {line.get_label(): line for line in ax.lines}
    assert set(lines) == {"training samples", "validation", "kept iterate"}
    assert lines["kept iterate"].get_xydata().tolist() == [[3.0, 0.2]]
    with_penalty = TrainingResult(
        random_network(0),
        TrainingHistory(epoch, falling, falling, falling, 2),
        TrainingSettings(l1=1.0),
        0.1,
    )
    labels = [line.get_label() for line in plots.training_curve(with_penalty).axes[0].lines]
    assert "penalties" in labels
