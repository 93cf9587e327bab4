"""Spiral: how many layers unwind two arms, and where?

Two classes of points in the plane on two arms, noise 0.05.  The state has the two features and no
more, so the layers must bend the plane itself; each has weights of its own.

    collocode refine models/spiral2d.py --out results/spiral2d

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
    training, validation = layered.spiral2d(samples, data_seed)
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
        name="Spiral",
        source="Benning et al., J. Comput. Dyn. 6 (2019) 171",
    )
