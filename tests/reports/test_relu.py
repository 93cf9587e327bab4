"""The report of an optimum warns where the function itself says that there is a better point."""

import numpy as np
import pytest

import collocode as cc
from collocode.reports.record import Asked

BOX = [(-1.0, 1.0)] * 2


def report(function, network, **more):
    surrogate = cc.relu.Surrogate(BOX, function, network=network, samples=400, **more)
    found = cc.relu.maximize(
        network, BOX, surrogate.constraints, objective=surrogate.objective, bounds="interval"
    )
    return found, cc.report(found, asked=Asked(problem=surrogate))


def network(weights):
    """y = w·x + 0.01 for w·x + 0.01 > 0."""
    return cc.relu.ReluNetwork(([weights], [[1.0]]), ([0.01], [0.0]))


def bowl(x):
    return 1.0 - (x**2).sum(axis=1)


@pytest.mark.parametrize(
    ("more", "function"),
    [
        ({}, lambda x: -10.0 * bowl(x)),  # the corner is best: nothing to warn of
        ({"objective": [1.0]}, lambda x: -10.0 * bowl(x)),
        ({"constraints": ([[1.0, 1.0]], -np.inf, -1.99)}, bowl),  # no sample is allowed
    ],
)
def test_no_sample_is_better(more, function):
    _, told = report(function, network([1.0, 1.0]), **more)
    assert "better-sample" not in [finding.code for finding in told.findings]


@pytest.mark.parametrize(
    "more", [{}, {"objective": [100.0]}, {"constraints": ([[1.0, 0.0]], -0.5, np.inf)}]
)
def test_a_sample_that_beats_the_optimum_is_named(more):
    """The network goes up to the corner, where the function, a bowl turned over, is least."""
    found, told = report(lambda x: 100.0 * bowl(x), network([1.0, 1.0]), **more)
    assert found.x == pytest.approx([1.0, 1.0])
    (finding,) = [f for f in told.findings if f.code == "better-sample"]
    assert "a training sample (" in finding.text
