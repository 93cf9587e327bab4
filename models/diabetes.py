"""Diabetes: does a deeper network tell the progression of the disease better than a shallow one?

442 patients, ten measurements each (standardised); the target is a score of the progression after a
year, divided by its spread (dimensionless).  70 % train, 15 % choose the depth, 15 % test.

Source: Efron, Hastie, Johnstone & Tibshirani, Ann. Statist. 32 (2004), as in scikit-learn.
"""

import collocode as cc
from collocode import layered

DEFAULTS = {"iterations": 40}


def problem(
    layers: int = 1, activation: str = "silu_tanh", penalty: float = 1e-3, seed: int = 0
) -> layered.LayeredProblem:
    """Grow from few layers.

    layers: of the first network.
    activation: silu_tanh (second order), tanh, swish or gelu (first order).
    penalty: of the weights' squares.
    seed: of the split.
    """
    train, rest = layered.dataset("diabetes", seed=seed)
    validation, test = rest.split(len(rest) // 2, seed=seed)
    network = layered.LayeredNetwork(
        train.inputs,
        1,
        train.inputs,
        cc.Mesh.uniform(0, layers, layers),
        block=layered.ResidualBlock(activation),
    )
    return layered.LayeredProblem(
        network,
        train,
        layered.SquaredLoss(),
        layered.Regularisation(penalty, penalty, penalty),
        validation=validation,
        test=test,
        name="Diabetes",
        source="scikit-learn, load_diabetes",
    )
