"""Convection, diffusion and reaction in a pipe: can a small network stand in for the simulation?

    0 = D c'' - v c' - k c / (1 + c) + s exp(-((x - x0) / 0.1)^2),   c(0) = c_in,   c'(1) = 0

From six parameters (log D, v, k, s, x0, c_in) to the steady concentration at twelve places, by a
residual network of twelve layers whose weights are polynomials in depth.  300 simulations to train
with, 100 to choose by, 100 to be judged by.  All quantities are dimensionless.

Source: the data are made by ``models/data/make_convection_diffusion_reaction.py``; the set-up, weights
that are polynomials in time and Gauss-Newton with the read-out eliminated, is that of H. Rosso,
L. Ruthotto and K. Sargsyan, *Weight-parameterization in continuous time deep neural networks for
surrogate modeling*, arXiv 2507.22045 (2025).
"""

from pathlib import Path

import collocode as cc
from collocode import layered

DATA = Path(__file__).parent / "data"
FEATURES, TARGETS = "log_D:c_in", "c1:c12"

DEFAULTS = {"trainer": "gauss-newton", "iterations": 40, "patience": 15}


def problem(
    data: str = str(DATA / "convection_diffusion_reaction.csv"),
    test: str = str(DATA / "convection_diffusion_reaction_test.csv"),
    width: int = 10,
    layers: int = 12,
    depth: float = 3.0,
    basis: str = "legendre",
    order: int = 3,
    block: str = "residual",
    regularisation: float = 1e-6,
) -> layered.LayeredProblem:
    """Learn the map from parameters to concentrations.

    data: CSV with the columns log_D ... c_in and c1 ... c12
    test: CSV of the samples to be judged by
    width: size of the state
    layers: steps of the network
    depth: T, the time that they cover
    basis: of the weights in time: legendre, monomial, monomial-unit, chebyshev, bspline, fourier, layers
    order: of the basis
    block: residual, hamiltonian or rk4
    regularisation: strength of the L2 penalty on weights and opening
    """
    samples = layered.read_samples(data, FEATURES, TARGETS)
    train, validation = samples.split(300, seed=0)
    unseen = layered.read_samples(test, FEATURES, TARGETS)
    (train, validation, unseen), _, _ = layered.scale_parts(
        (train, validation, unseen), targets=False
    )
    mesh = cc.Mesh.uniform(0.0, depth, layers)
    network = layered.LayeredNetwork(
        inputs=train.inputs,
        outputs=train.Y.shape[1],
        width=width,
        mesh=mesh,
        basis=layered.weight_basis(basis, order, mesh),
        block=layered.block(block),
        lift="opening",
    )
    return layered.LayeredProblem(
        network,
        train,
        regularisation=layered.Regularisation(regularisation, 1e-6, regularisation),
        validation=validation,
        test=unseen,
        name="Convection, diffusion, reaction",
        source="simulated data",
    )
