"""Squares: how many layers learn an exclusive or?

Points of a square, labelled by the sign of the product of their coordinates before noise of 0.1 moves
them, so that no classifier is right on all.  The state has the two features and no more.

    collocode refine models/squares2d.py --out results/squares2d

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
    training, validation = layered.squares2d(samples, data_seed)
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
        name="Squares",
        source="Benning et al., J. Comput. Dyn. 6 (2019) 171",
    )
