"""OMLT (Ceccon et al., JMLR 2022) encodes the same networks independently."""

import numpy as np
import pyomo.environ as pyo
import pytest

from collocode.relu import maximize

from .nets import random_network

omlt = pytest.importorskip("omlt")
from omlt.neuralnet import (  # noqa: E402
    NetworkDefinition,
    ReluBigMFormulation,
    ReluPartitionFormulation,
)
from omlt.neuralnet.layer import DenseLayer, InputLayer  # noqa: E402

BOX = [(-1.0, 2.0), (-1.5, 1.0)]


def omlt_maximum(network, formulation):
    definition = NetworkDefinition(scaled_input_bounds={i: side for i, side in enumerate(BOX)})
    previous = InputLayer([network.inputs])
    definition.add_layer(previous)
    for k, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        kind = "relu" if k < len(network.weights) - 1 else "linear"
        layer = DenseLayer([W.shape[1]], [W.shape[0]], activation=kind, weights=W.T, biases=b)
        definition.add_layer(layer)
        definition.add_edge(previous, layer)
        previous = layer
    model = pyo.ConcreteModel()
    model.nn = omlt.OmltBlock()
    model.nn.build_formulation(formulation(definition))
    model.objective = pyo.Objective(expr=model.nn.outputs[0], sense=pyo.maximize)
    pyo.SolverFactory("highs").solve(model)
    return pyo.value(model.objective), np.array([model.nn.inputs[i].value for i in range(2)])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("formulation", "encoding"),
    [(ReluBigMFormulation, "bigm"), (ReluPartitionFormulation, "partition")],
)
def test_omlt_finds_the_same_optimum(seed, formulation, encoding):
    network = random_network(seed, (2, 6, 5, 1))
    value, x = omlt_maximum(network, formulation)
    ours = maximize(network, BOX, encoding=encoding, bounds="interval")
    assert ours.value == pytest.approx(value, abs=1e-4)
    assert network(x)[0] == pytest.approx(value, abs=1e-5)
