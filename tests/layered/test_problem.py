"""A layered problem checks its parts and makes its objective."""

import numpy as np
import pytest

from collocode import InputError, Mesh
from collocode.layered import (
    LayeredNetwork,
    LayeredProblem,
    LogisticLoss,
    Regularisation,
    Samples,
    donut2d,
)


def network(layers: int = 2) -> LayeredNetwork:
    return LayeredNetwork(2, 1, 2, Mesh.uniform(0.0, 2.0, layers))


def test_objective_and_parts() -> None:
    samples, validation = donut2d(20)
    problem = LayeredProblem(
        network(), samples, LogisticLoss(), Regularisation(1.0, 2.0), validation
    )
    theta = problem.network.initial(0)
    assert problem.objective is problem.objective
    assert problem.objective.regularisation == Regularisation(1.0, 2.0)
    assert list(problem.parts) == ["training", "validation"]
    finer = problem.with_network(network(5))
    assert finer.objective.network.layers == 5
    assert finer.validation is validation
    assert problem.objective.value(theta) > 0.0
    assert "samples 20 + 20 validation" in repr(problem)


def test_each_part_has_to_fit() -> None:
    samples, _ = donut2d(20)
    wide = Samples(np.zeros((3, 4)), [0, 1, 0])
    many = Samples(np.zeros((3, 2)), [0, 1, 2])
    with pytest.raises(InputError, match=r"^validation: the samples have 4 features"):
        LayeredProblem(network(), samples, LogisticLoss(), validation=wide)
    with pytest.raises(InputError, match=r"^test: one output tells classes 0 and 1 apart"):
        LayeredProblem(network(), samples, LogisticLoss(), test=many)
    with pytest.raises(InputError, match=r"^training: "):
        LayeredProblem(network(), wide, LogisticLoss())
