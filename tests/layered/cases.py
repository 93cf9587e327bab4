"""Small layered networks in every combination, and finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from collocode import PseudoHuber
from collocode.layered import (
    LayeredNetwork,
    LogisticLoss,
    Objective,
    RegressionLoss,
    Regularisation,
    Samples,
    SoftmaxLoss,
    SquaredLoss,
    block,
)
from collocode.numerics import Array
from collocode.numerics.bases import (
    Basis,
    BSpline,
    Chebyshev,
    Constant,
    Fourier,
    Legendre,
    Monomial,
    PiecewiseConstant,
)
from collocode.numerics.mesh import Mesh

MESH = Mesh(np.array([0.0, 0.5, 1.5, 2.0, 3.0]))
SPAN = (0.0, 3.0)
BASES: dict[str, Basis | None] = {
    "layers": None,
    "coarse": PiecewiseConstant((0.0, 1.5, 3.0)),
    "constant": Constant(SPAN),
    "monomial": Monomial(2, SPAN),
    "monomial-unit": Monomial(2, SPAN, unit=True),
    "legendre": Legendre(2, SPAN),
    "chebyshev": Chebyshev(2, SPAN),
    "fourier": Fourier(1, SPAN),
    "bspline": BSpline((0.0, 1.0, 3.0), 2),
}
BLOCKS = ("residual", "hamiltonian", "rk4", "antisymmetric", "leapfrog")
LIFTS = {"none": 3, "pad": 2, "opening": 4}
LOSSES = {
    "squared": SquaredLoss(),
    "robust": RegressionLoss(PseudoHuber(0.8)),
    "logistic": LogisticLoss(),
    "softmax": SoftmaxLoss(),
}


def small(
    kind: str = "residual",
    basis: str = "layers",
    loss: str = "squared",
    lift: str = "none",
    activation: str = "tanh",
    samples: int = 7,
    outputs: int = 3,
    penalty: float = 0.1,
) -> tuple[Objective, Array]:
    """An objective of width 3 on random samples, and random weights of moderate size."""
    rng = np.random.default_rng(0)
    inputs = LIFTS[lift]
    outputs = 1 if loss == "logistic" else outputs
    network = LayeredNetwork(inputs, outputs, 3, MESH, BASES[basis], block(kind, activation), lift)
    X = rng.standard_normal((samples, inputs))
    if loss in ("squared", "robust"):
        Y = rng.standard_normal((samples, outputs))
    else:
        Y = np.arange(samples) % (2 if loss == "logistic" else outputs)
    objective = Objective(
        network, Samples(X, Y), LOSSES[loss], Regularisation(penalty, 2 * penalty, 3 * penalty)
    )
    return objective, 0.2 * rng.standard_normal(network.n_weights)


def difference(function: Callable[[Array], Array], x: Array, v: Array, step: float = 1e-5) -> Array:
    """Central difference of a function in a direction, of fourth order."""
    f = [np.asarray(function(x + k * step * v)) for k in (-2, -1, 1, 2)]
    return (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * step)
