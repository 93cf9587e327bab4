r"""Costates :math:`z=\partial J/\partial x(t)` of a solution, from the NLP's multipliers.

With rows :math:`\sum_jD_{kj}X_j-h\sum_jB_{kj}f(X_j)=0` and multipliers λ (L = f + λᵀg), let
:math:`\mu=B^T\lambda`.

* at a stage of weight :math:`b_j`: :math:`z_{e,j}=-\mu_j/b_j`.  A change of f by ε there moves the
  rows by :math:`-hB_{\cdot j}\varepsilon` and the objective by
  :math:`-h\mu_j^T\varepsilon=h\,b_jz_j^T\varepsilon`.  Radau, Gauss and Euler have
  :math:`\mu_j=\lambda_j`; Lobatto IIIA sums over its rows, and has two values at a mesh point.
* at the end of an element, from the left:
  :math:`z_{e+1}=-\bigl(D_m^T\lambda-h f_x(X_m)^T\mu_m\bigr)-\sum_{t_i\in e}\ell_m(\tau_i)\nabla J_i`,
  the exact sensitivity of the discrete objective to a jump of the state there, for every scheme.

The costate jumps by :math:`\nabla J_i` at a measurement; at a mesh point its left limit is given,
which contains the measurement taken there.  Stage values inside an element with measurements
smear that jump over the element; the estimators of this package do not use them.

A Lagrange cost belongs to its element: its quadrature :math:`h\,b_jL_x` is added to what the nodes
bear.  The Hamiltonian :math:`H=L+z^Tf` at the stages is a free check: where nothing depends on time
it is constant, and with a free end and a Mayer cost M it is :math:`-\partial M/\partial t_f`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..kinds import check_type
from ..numerics import Array
from ..results.solution import Solution
from ..solvers.threads import single_threaded
from .anticipated import looked_up
from .elements import Elements
from .running import Running


@dataclass(frozen=True, eq=False)
class Costates:
    """Costates of one experiment or window.

    Attributes
    ----------
    times, values : (elements+1,) mesh points and (elements+1, states) left limits there; the first
        is the sensitivity to the initial state, without its prior.
    stage_times, stage_values : (elements, stages) and (elements, stages, states).
    hamiltonian : (elements, stages) H = L + zᵀf; nan within the instant that an event takes, and at a stage
        of no weight, where the costate is nan too.
    """

    times: Array
    values: Array
    stage_times: Array
    stage_values: Array
    hamiltonian: Array


@single_threaded
def costates(solution: Solution) -> tuple[Costates, ...]:
    r"""Return :math:`\partial J/\partial x(t)` along every trajectory.

    Raises
    ------
    InputError
        A solution without its NLP (one loaded from a file).
    """
    check_type("costates", solution, Solution)
    if solution.nlp is None:
        raise InputError("costates need the solution's NLP, which is not saved with it.")
    e = Elements.of(solution.nlp, solution.result.x)
    tables = (*costates_of(e, solution.result.lam_g), e.times(_stages(e)))
    found = []
    for part, nodes, values, energy, times in zip(
        solution.trajectories, *(e.split(table) for table in tables), strict=True
    ):
        at_mesh = np.concatenate([nodes[:1, 0], -nodes[:, -1]])
        if part.experiment.events:
            energy = np.where(
                part.mesh.steps[:, None] > 1.5 * part.experiment.instant, energy, np.nan
            )
        found.append(
            Costates(
                times=part.mesh.points,
                values=at_mesh,
                stage_times=times,
                stage_values=values,
                hamiltonian=energy,
            )
        )
    return tuple(found)


def _stages(e: Elements) -> Array:
    return np.asarray(e.nlp.scheme.nodes[list(e.nlp.scheme.stages)])


def costates_of(e: Elements, multipliers: Array) -> tuple[Array, Array, Array]:
    """Return what the costates are made of, element by element.

    Parameters
    ----------
    multipliers : (rows,) of the NLP.

    Returns
    -------
    (E, m+1, states) sensitivity to the nodes; that of an element's end is −z from the left.  (E, stages,
    states) costates at the stages and (E, stages) the Hamiltonian there.
    """
    scheme, later = e.nlp.scheme, looked_up(e, multipliers)
    multipliers = multipliers[e.rows]
    stages = list(scheme.stages)
    tau = _stages(e)
    count, nx = len(e), e.states.shape[2]
    mu = np.einsum("kj,ekx->ejx", scheme.B, multipliers)
    by_nodes = np.einsum("kj,ekx->ejx", scheme.D, multipliers)
    u = e.inputs(tau)
    f, slope = e.call_nodes(e.functions.jacobian, tau, e.states[:, stages], u)
    slope = slope.reshape(count, len(stages), nx, nx)  # transposed already: CasADi writes columns
    by_nodes[:, stages] -= e.step[:, None, None] * np.einsum("ejab,ejb->eja", slope, mu[:, stages])
    by_nodes += _misfit_by_nodes(e) + later
    running, by_states = Running(e).value(tau, e.states[:, stages], u)
    by_nodes[:, stages] += (e.step[:, None] * scheme.weights[stages])[:, :, None] * by_states
    weights = scheme.weights[stages][:, None]
    at_stages = -mu[:, stages] / np.where(np.abs(weights) > 1e-12, weights, np.nan)
    hamiltonian = running + (at_stages * f).sum(axis=2)
    return by_nodes, at_stages, hamiltonian


def _misfit_by_nodes(e: Elements) -> Array:
    """(E, m+1, states) gradient of the misfit inside each element; not of samples at its end."""
    s = e.measurements
    if not len(s.element):
        return np.zeros_like(e.states)
    basis = e.nlp.scheme.interpolation(s.tau)
    x = np.einsum("ij,ijx->ix", basis, e.states[s.element])
    _, by_x, _ = e.call(e.functions.misfit, s.element, s.tau, x, s.inputs, *s.data)
    inside = np.where(s.tau < 1.0, 1.0, 0.0)[:, None, None]
    found = np.zeros_like(e.states)
    np.add.at(found, s.element, inside * basis[:, :, None] * by_x[:, None, :])
    return found
