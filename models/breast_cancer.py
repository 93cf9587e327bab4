"""Breast cancer: how many layers tell malignant from benign tumours?

569 tumours, 30 features of cell nuclei (radius, texture, ... in the units of the source, standardised
here and so dimensionless).  70 % train, 15 % choose the depth, 15 % test.  The features are taken to a
few by a trained opening layer.

    collocode refine models/breast_cancer.py

Linear models are good on these data: expect the refinement to end early, and see why.

Source: Street, Wolberg & Mangasarian, Wisconsin diagnostic breast cancer (UCI, 1995), as in
scikit-learn.
"""

import collocode as cc
from collocode import layered

DEFAULTS = {"iterations": 60}


def problem(
    layers: int = 1,
    width: int = 4,
    depth: float = 4.0,
    activation: str = "tanh",
    penalty: float = 1e-2,
    data_seed: int = 0,
) -> layered.LayeredProblem:
    """Tell malignant from benign.

    layers: of the first network
    width: features behind the opening layer
    depth: T, the layers' lengths in all
    activation: tanh, swish, gelu, silu_tanh, ...
    penalty: of the weights' squares, integrated over depth, of opening and read-out
    data_seed: of the split
    """
    training, rest = layered.dataset("breast_cancer", data_seed)
    validation, test = rest.split(len(rest) // 2, seed=data_seed)
    network = layered.LayeredNetwork(
        inputs=training.inputs,
        outputs=1,
        width=width,
        mesh=cc.Mesh.uniform(0.0, depth, layers),
        block=layered.ResidualBlock(activation),
        lift="opening",
    )
    return layered.LayeredProblem(
        network,
        training,
        layered.LogisticLoss(),
        layered.Regularisation(penalty, penalty, penalty),
        validation=validation,
        test=test,
        name="Breast cancer",
        source="scikit-learn, load_breast_cancer",
    )
