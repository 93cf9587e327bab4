"""Learning curves: what is drawn, with and without validation."""

import numpy as np
import pytest

from collocode import Mesh
from collocode.layered import LayeredNetwork, LogisticLoss, Objective, Samples, donut2d, train
from collocode.plots import learning_curves


def labels(figure):
    return {line.get_label() for ax in figure.axes for line in ax.get_lines()}


@pytest.mark.parametrize("held", [True, False])
def test_curves_of_a_classifier(held):
    samples, validation = donut2d(60)
    network = LayeredNetwork(2, 1, 2, Mesh.uniform(0, 3, 3))
    done = train(
        Objective(network, samples, LogisticLoss()),
        iterations=6,
        validation=validation if held else None,
    )
    figure = learning_curves(done, "Donut")
    assert {"objective", "gradient", "training"} <= labels(figure)
    assert ("validation" in labels(figure)) == held == ("best on validation" in labels(figure))
    lower = figure.axes[1]
    assert lower.get_ylabel() == "accuracy"
    assert lower.get_yscale() == "linear"
    drawn = next(line for line in lower.get_lines() if line.get_label() == "training")
    np.testing.assert_array_equal(drawn.get_ydata(), done.history["training"])


def test_errors_are_on_a_logarithmic_axis():
    X = np.random.default_rng(0).standard_normal((20, 2))
    network = LayeredNetwork(2, 2, 2, Mesh.uniform(0, 3, 3))
    done = train(Objective(network, Samples(X, np.sin(X))), iterations=4)
    assert learning_curves(done).axes[1].get_yscale() == "log"
