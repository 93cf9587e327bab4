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

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, check_type
from ..model.costs import Lagrange
from ..model.symbolic import cost_function
from ..results.solution import Solution
from .elements import Elements, point_arguments

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Costates:
    """Costates of one experiment or window.

    Attributes
    ----------
    times, values : (elements+1,) mesh points and (elements+1, states) left limits there; the first
        is the sensitivity to the initial state, without its prior.
    stage_times, stage_values : (elements, stages) and (elements, stages, states).
    hamiltonian : (elements, stages) H = L + zᵀf.
    """

    times: Array
    values: Array
    stage_times: Array
    stage_values: Array
    hamiltonian: Array


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
    scheme, multipliers = e.nlp.scheme, solution.result.lam_g[e.rows]
    stages = list(scheme.stages)
    tau = scheme.nodes[stages]
    count, nx = len(e), e.states.shape[2]
    mu = np.einsum("kj,ekx->ejx", scheme.B, multipliers)
    by_nodes = np.einsum("kj,ekx->ejx", scheme.D, multipliers)
    u = e.inputs(tau)
    f, slope = e.call_nodes(e.functions.jacobian, tau, e.states[:, stages], u)
    slope = slope.reshape(count, len(stages), nx, nx)  # transposed already: CasADi writes columns
    by_nodes[:, stages] -= e.step[:, None, None] * np.einsum("ejab,ejb->eja", slope, mu[:, stages])
    by_nodes += _misfit_by_nodes(e)
    running, by_states = _running(e, tau, stages, u)
    by_nodes[:, stages] += (e.step[:, None] * scheme.weights[stages])[:, :, None] * by_states
    at_stages = -mu[:, stages] / scheme.weights[stages][:, None]
    hamiltonian = running + (at_stages * f).sum(axis=2)
    tables = (by_nodes, at_stages, e.times(tau), hamiltonian)
    found = []
    for part, nodes, values, times, energy in zip(
        solution.trajectories, *(e.split(table) for table in tables), strict=True
    ):
        at_mesh = np.concatenate([nodes[:1, 0], -nodes[:, -1]])
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


def _running(e: Elements, tau: Array, stages: list[int], u: Array) -> tuple[Array, Array]:
    """(E, stages) L and (E, stages, states) its gradient, of the Lagrange costs of each window."""
    problem = e.nlp.problem
    found = np.zeros((len(e), len(stages))), np.zeros((len(e), len(stages), e.states.shape[2]))
    every = [cost for cost in problem.costs if isinstance(cost, Lagrange)]
    for borne in {cost.windows for cost in every}:
        function = cost_function(problem, [cost for cost in every if cost.windows == borne])
        arguments, known = point_arguments(problem)
        value = function(*known)
        both = ca.Function("L", arguments, [value, ca.densify(ca.gradient(value, arguments[1]))])
        values = e.call_nodes(both, tau, e.states[:, stages], u)
        names = [e.experiments[number].name for number in e.experiment]
        here = np.array([not borne or name in borne for name in names])
        found[0][here] += values[0][here, :, 0]
        found[1][here] += values[1][here]
    return found


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
