r"""The gap between collocated and simulated outputs, element by element.

The trained model's own trajectory misses the collocated one by the truncation errors
:math:`\gamma` of all elements, carried along: :math:`J_Xg=\gamma` at the nodes, and between them what
the interpolant lacks.  With the outputs' deviation :math:`d_i` at the sample times and the noise's
standard deviation :math:`s_i`,

.. math:: G^2=\frac1N\sum_i\Bigl(\frac{d_i}{s_i}\Bigr)^2=\sum_e\eta_e,\qquad
          \eta_e=-w_e^T\gamma_e+\frac1N\sum_{t_i\in e}\frac{d_i\,\delta_i}{s_i^2},\qquad
          J_X^Tw=-\nabla_XG^2/2,

with the interpolation error :math:`\delta_i` of the outputs.  The sum is exact for the linearised gap, and
no integrator is asked: one solve by the chain and one by its transpose.
"""

from __future__ import annotations

import time

import numpy as np

from ..numerics import Array
from ..results.solution import Solution
from .defects import Defects
from .duals import Chain
from .elements import Elements
from .estimate import Estimate
from .reconstruction import reconstruct


def estimate_gap(solution: Solution, noise: Array) -> Estimate:
    """Estimate the squared gap of a solution in units of the noise.

    Parameters
    ----------
    solution : with its NLP.
    noise : (N, outputs) standard deviations of the samples, as the NLP's misfit has them; inf leaves
        one out.

    Returns
    -------
    An `Estimate` of the goal "gap": value 0, ``error`` the mean square of (simulated - collocated
    output) / noise.
    """
    began, nlp, result = time.perf_counter(), solution.nlp, solution.result
    assert nlp is not None
    with np.errstate(all="ignore"):
        e = Elements.of(nlp, result.x)
        better = reconstruct(e)
        defects = Defects(better)
        rows = np.zeros(nlp.rows)
        gamma = defects.full().rows
        rows[e.rows] = gamma
        chain = Chain(nlp, result.x)
        moved = chain.response(rows)[e.columns]
        s, count = e.measurements, max(1, int(np.isfinite(noise).sum()))
        basis = nlp.scheme.interpolation(s.tau)
        x = np.einsum("ij,ijx->ix", basis, e.states[s.element])
        outputs = (len(nlp.problem.outputs), len(nlp.problem.states))
        _, slope = e.call(e.functions.output, s.element, s.tau, x, s.inputs)
        slope = slope.reshape(len(x), *outputs[::-1]).swapaxes(1, 2)  # CasADi writes columns
        local = np.einsum("iox,ix->io", slope, defects.interpolation_error())
        carried = np.einsum("iox,ij,ijx->io", slope, basis, moved[s.element])
        pull = (local + carried) / noise**2 / count
        gradient = np.zeros(nlp.columns)
        by_nodes = np.einsum("io,iox,ij->ijx", pull, slope, basis)
        np.add.at(gradient, e.columns[s.element], by_nodes)
        weights = chain.weights(gradient)[e.rows]
        inside = np.bincount(s.element, (pull * local).sum(axis=1), minlength=len(e))
        eta = -np.einsum("ekx,ekx->e", weights, gamma) + inside
    return Estimate(
        goal="gap",
        value=0.0,
        parts={"gap": np.asarray(eta, dtype=float)},
        meshes=tuple(part.mesh.points for part in nlp.layout.experiments),
        experiments=tuple(part.name for part in nlp.layout.experiments),
        stationarity=nlp.kkt_residual(result.x, result.lam_g, result.lam_x),
        stationary=solution.success,
        unconverged=int((~better.converged).sum()),
        seconds=time.perf_counter() - began,
    )
