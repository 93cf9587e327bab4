r"""Direct-current resistivity: can a small network stand in for a Poisson problem of 882 measurements?

    -div(m grad u) = q  in a box,   grad u . n = 0 on its boundary,   mean of u = 0

An ellipsoid that conducts ten times better lies in a box of 1 x 1 x 0.38.  From its depth, volume and orientation
to what it changes in the potentials at 21 x 21 places of the surface, for two dipoles of current: 3 inputs, 882
outputs.  The simulation is here: cell-centred finite volumes on 21 x 21 x 8 cells, harmonic means of m at the
faces, a sparse LU factorisation per sample, 25 ms each.  All quantities are dimensionless.

    collocode train models/dc_resistivity.py --set samples=100

Source: inputs, outputs and equation are those of the third benchmark (DCR) of H. Rosso, L. Ruthotto and
K. Sargsyan, arXiv 2507.22045 (2025), which takes it from E. Newman, L. Ruthotto, J. Hart and B. van Bloemen
Waanders, *Train like a (Var)Pro*, SIAM J. Math. Data Sci. 3 (2021).  Its data are 10000 samples on a web page;
these are our own, with shapes, sources and scaling of our own choice.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

import collocode as cc
from collocode import layered

SIDE, LEVELS = 21, 8
CONTRAST, EDGE = 10.0, 0.15
RANGES = np.array([[0.08, 0.22], [0.002, 0.012], [0.0, np.pi / 2]])  # depth, volume, angle
SCALE = 0.3  # of the targets, whose norms are then about one

DEFAULTS = {"trainer": "gauss-newton", "iterations": 40, "patience": 15}


def poisson(m: np.ndarray, q: np.ndarray, h: float) -> np.ndarray:
    """Solve -div(m grad u) = q with no flow through the boundary.

    m: (nx, ny, nz) conductivities of cubic cells
    q: (cells, sources) densities of sources, each with sum zero
    h: length of a cell's edge
    returns (cells, sources) potentials of mean zero
    """
    differences = _differences(m.shape) / h
    averages = 0.5 * abs(differences) * h
    faces = 1.0 / (averages @ (1.0 / m.ravel()))  # harmonic means
    matrix = (differences.T @ sparse.diags(faces) @ differences).tocsc()
    u = np.zeros_like(q)  # one cell at zero, for u is known up to a constant
    symmetric = {"SymmetricMode": True}
    factors = splu(
        matrix[1:, 1:], permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=symmetric
    )
    u[1:] = factors.solve(q[1:])
    return u - u.mean(axis=0)


def _differences(shape: tuple[int, ...]) -> sparse.csr_matrix:
    """Differences of neighbouring cells in all directions."""
    parts = []
    for axis, n in enumerate(shape):
        before, after = (int(np.prod(s)) for s in (shape[:axis], shape[axis + 1 :]))
        one = sparse.diags([-np.ones(n - 1), np.ones(n - 1)], [0, 1], shape=(n - 1, n))
        parts.append(sparse.kron(sparse.identity(before), sparse.kron(one, sparse.identity(after))))
    return sparse.vstack(parts).tocsr()


def conductivity(depth: float, volume: float, angle: float) -> np.ndarray:
    """(21, 21, 8) conductivities: 1 outside, 10 inside an ellipsoid of axes 2 : 1 : 1 with a soft edge."""
    h = 1.0 / SIDE
    x, y, z = np.meshgrid(*((np.arange(n) + 0.5) * h for n in (SIDE, SIDE, LEVELS)), indexing="ij")
    along = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)
    across = -np.sin(angle) * (x - 0.5) + np.cos(angle) * (y - 0.5)
    short = (volume / (4.0 / 3.0 * np.pi * 2.0)) ** (1.0 / 3.0)
    r = np.sqrt((along / 2.0) ** 2 + across**2 + (z - depth) ** 2) / short
    inside = 0.5 * (1.0 - np.tanh((r - 1.0) / EDGE))
    return CONTRAST**inside


def simulate(parameters: np.ndarray) -> np.ndarray:
    """(S, 882) changes of the surface potentials by the ellipsoid, scaled to norms of about one."""
    h, cells = 1.0 / SIDE, SIDE * SIDE * LEVELS
    q = np.zeros((cells, 2))
    number = np.arange(cells).reshape(SIDE, SIDE, LEVELS)
    for source, (plus, minus) in enumerate((((4, 10), (16, 10)), ((10, 4), (10, 16)))):
        q[number[*plus, 0], source], q[number[*minus, 0], source] = 1.0 / h**3, -1.0 / h**3
    surface = number[:, :, 0].ravel()
    background = poisson(np.ones((SIDE, SIDE, LEVELS)), q, h)[surface]
    found = [poisson(conductivity(*row), q, h)[surface] - background for row in parameters]
    return SCALE * np.array([u.T.ravel() for u in found])


def problem(
    samples: int = 300,
    width: int = 16,
    layers: int = 12,
    depth: float = 5.0,
    basis: str = "legendre",
    order: int = 3,
    block: str = "residual",
    regularisation: float = 1e-6,
    data_seed: int = 0,
) -> layered.LayeredProblem:
    """Learn the map from the ellipsoid to the measurements.

    samples: simulations to train with; a third as many to choose by, and to be judged by
    width: size of the state
    layers: steps of the network
    depth: T, the time that they cover
    basis: of the weights in time: legendre, monomial, monomial-unit, chebyshev, bspline, fourier, layers
    order: of the basis
    block: residual, antisymmetric, leapfrog, hamiltonian or rk4
    regularisation: strength of the L2 penalty on weights and opening
    data_seed: of the ellipsoids
    """
    third = max(1, samples // 3)
    unit = np.random.default_rng(data_seed).uniform(-1.0, 1.0, (samples + 2 * third, 3))
    given = RANGES.mean(axis=1) + 0.5 * np.ptp(RANGES, axis=1) * unit
    every = layered.Samples(unit, simulate(given))
    train, validation, test = layered.split_samples(every, samples, third, third, seed=None)
    mesh = cc.Mesh.uniform(0.0, depth, layers)
    network = layered.LayeredNetwork(
        inputs=3,
        outputs=every.Y.shape[1],
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
        test=test,
        name="Direct-current resistivity",
        source="Rosso, Ruthotto & Sargsyan, arXiv 2507.22045 (2025)",
    )
