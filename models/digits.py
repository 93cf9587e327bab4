"""Digits: how many layers read handwritten digits of 8 x 8 pixels?

1797 images, ten classes (pixels standardised, dimensionless).  70 % train, 15 % choose the depth, 15 %
test.  The pixels are taken to a few features by a trained opening layer.

Source: Alpaydin & Kaynak, optical recognition of handwritten digits (UCI, 1998), as in scikit-learn.
"""

import collocode as cc
from collocode import layered

DEFAULTS = {"iterations": 40}


def problem(
    width: int = 12,
    layers: int = 1,
    activation: str = "silu_tanh",
    penalty: float = 1e-4,
    seed: int = 0,
) -> layered.LayeredProblem:
    """Grow from few layers.

    width: features behind the opening layer.
    layers: of the first network.
    activation: silu_tanh (second order), tanh, swish or gelu (first order).
    penalty: of the weights' squares.
    seed: of the split.
    """
    train, rest = layered.dataset("digits", seed=seed)
    validation, test = rest.split(len(rest) // 2, seed=seed)
    network = layered.LayeredNetwork(
        train.inputs,
        10,
        width,
        cc.Mesh.uniform(0, layers, layers),
        block=layered.ResidualBlock(activation),
        lift="opening",
    )
    return layered.LayeredProblem(
        network,
        train,
        layered.SoftmaxLoss(),
        layered.Regularisation(penalty, penalty, penalty),
        validation=validation,
        test=test,
        name="Digits",
        source="scikit-learn, load_digits",
    )
