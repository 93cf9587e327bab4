"""Donut on a line: which layers take the middle out of the ends?

Points of one class around 0, of the other around -0.5 and 0.5, noise 0.1.  A flow on a line keeps its
order, so a second feature is added that is zero at first.

    collocode refine models/donut1d.py --out results/donut1d

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
    width: features of the state; beyond the first 1 they start as zeros
    depth: T, the layers' lengths in all
    block: residual, hamiltonian or rk4
    activation: tanh, swish, gelu, silu_tanh, ...
    penalty: of the weights' squares, integrated over depth, and of the read-out's
    data_seed: of the points
    """
    training, validation = layered.donut1d(samples, data_seed)
    network = layered.LayeredNetwork(
        inputs=1,
        outputs=1,
        width=width,
        mesh=cc.Mesh.uniform(0.0, depth, layers),
        block=layered.block(block, activation),
        lift="none" if width == 1 else "pad",
    )
    return layered.LayeredProblem(
        network,
        training,
        layered.LogisticLoss(),
        layered.Regularisation(penalty, penalty, penalty),
        validation=validation,
        name="Donut on a line",
        source="Benning et al., J. Comput. Dyn. 6 (2019) 171",
    )
