"""Donut: how many layers take a disc out of a ring?

A disc inside a ring, noise 0.1.  A flow of the plane cannot pull them apart: what the layers do with the
two features alone they owe to long Euler steps, which may fold.  ``--set width=3`` adds a third feature
that is zero at first, and a flow can do it.

    collocode refine models/donut2d.py --out results/donut2d

Features are dimensionless.

Source: Benning, Celledoni, Ehrhardt, Owren & Schönlieb, Deep learning as optimal control problems,
J. Comput. Dyn. 6 (2019) 171.
"""

import collocode as cc
from collocode import layered


def problem(
    samples: int = 1000,
    layers: int = 2,
    width: int = 2,
    depth: float = 5.0,
    block: str = "residual",
    activation: str = "tanh",
    penalty: float = 1e-4,
    data_seed: int = 0,
) -> layered.LayeredProblem:
    """Tell two classes apart.

    samples: points of either part, training and validation
    layers: of the first network
    width: features of the state; beyond the first 2 they start as zeros
    depth: T, the layers' lengths in all
    block: residual, hamiltonian or rk4
    activation: tanh, swish, gelu, silu_tanh, ...
    penalty: of the weights' squares, integrated over depth, and of the read-out's
    data_seed: of the points
    """
    training, validation = layered.donut2d(samples, data_seed)
    network = layered.LayeredNetwork(
        inputs=2,
        outputs=1,
        width=width,
        mesh=cc.Mesh.uniform(0.0, depth, layers),
        block=layered.block(block, activation),
        lift="none" if width == 2 else "pad",
    )
    return layered.LayeredProblem(
        network,
        training,
        layered.LogisticLoss(),
        layered.Regularisation(penalty, penalty, penalty),
        validation=validation,
        name="Donut",
        source="Benning et al., J. Comput. Dyn. 6 (2019) 171",
    )
