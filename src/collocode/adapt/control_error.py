r"""What freeing the controls from their polynomials would gain: the control's own part of an estimate.

Along the reconstructed state :math:`\hat x` and costate :math:`\hat z` an exact optimum takes, at every
time, the control that minimises :math:`H=L+z^Tf` within its bounds (Pontryagin).  So

.. math:: \rho_u=\int_e\Bigl(\min_{u}H(t,\hat x,u,\hat z)-H(t,\hat x,u_h,\hat z)\Bigr)dt

is, to leading order, what the cost still loses by the controls' discretization: where :math:`H_{uu}` is
positive definite, the difference of :math:`u_h` and the minimiser oscillates in the element, and what
it does to the state is of higher order.  The minimum is that of H's second-order model.

Where that argument has no hold the element is **irregular**, and tells nothing of its part: H is linear in
a control that is between its bounds, or changes its bound inside (switches, singular arcs); a bound
of a state, a constraint or a slope is active there, or a slope beside it; a measurement inside makes the
costate jump.

Source: Vexler & Wollner, SIAM J. Control Optim. 47 (2008), for the residual of bounded controls.
"""

from __future__ import annotations

import numpy as np

from ..numerics import Array, Mask
from ..results.status import SolverResult
from ..transcription.nlp import NLP
from .anticipated import forcing
from .costates import costates_of
from .duals import active_rows, free_columns
from .elements import Elements
from .reconstruction import Reconstruction, solve_all
from .running import Running

_CURVED = (
    1e-6  # share of a control's curvature, in its own unit and the Hamiltonian's, that is none
)
_AT_BOUND = 1e-5  # of a control's size
_SWEEPS = 60  # of coordinate descent


def control_error(better: Reconstruction, result: SolverResult) -> tuple[Array, Mask]:
    """Return (E,) the control part of the objective's error, and which elements are irregular.

    The part of an irregular element is zero.
    """
    e = better.elements
    free = decided_inputs(e.nlp)
    if not any(free):
        return np.zeros(len(e)), np.zeros(len(e), dtype=bool)
    fine, tau = better.fine, better.fine.nodes[list(better.fine.stages)]
    x, u = better.states[:, 1:], e.inputs(tau)
    z = _adjoint(better, result)
    _, gradient, hessian = Running(e).hamiltonian(tau, x, u, z[:, 1:])
    part, irregular = np.zeros(len(e)), _constrained(e.nlp, result)
    irregular |= _sampled(e)
    for number, chosen in enumerate(free):
        here = slice(e.first[number], e.first[number + 1])
        if not chosen:
            continue
        controls = e.nlp.problem.experiments[number].controls
        known = [controls[name] for name in chosen]
        k = [e.nlp.problem.inputs.index(name) for name in chosen]
        size = np.array([c.size for c in known])
        room = np.array([[c.lower, c.upper] for c in known]).T[:, None, None, :] - u[here][:, :, k]
        g = gradient[here][:, :, k] * size
        h = hessian[here][:, :, k][:, :, :, k] * size[:, None] * size
        gain, odd = _gain(g, h, room / size)
        part[here] = np.einsum("ek,k,e->e", gain, fine.weights[list(fine.stages)], e.step[here])
        irregular[here] |= odd
    return np.where(irregular, 0.0, part), irregular


def decided_inputs(nlp: NLP) -> list[list[str]]:
    """By window the inputs that its mesh decides."""
    pairs = zip(nlp.layout.experiments, nlp.problem.experiments, strict=True)
    return [[name for name in part.decided if name in e.controls] for part, e in pairs]


def _adjoint(better: Reconstruction, result: SolverResult) -> Array:
    """(E, S+1, states) costate at the fine nodes, backwards from the end of every element."""
    e, fine = better.elements, better.fine
    nodes, _, _ = costates_of(e, result.lam_g)
    last, tau = -nodes[:, -1], fine.nodes[1:]
    inner, u = better.states[:, 1:], e.inputs(tau)
    count, m, nx = inner.shape
    _, slope = e.call_nodes(e.functions.jacobian, tau, inner, u)
    slope = slope.reshape(count, m, nx, nx)  # transposed already: CasADi writes columns
    _, by_x = Running(e).value(tau, inner, u)
    by_x = by_x + forcing(e, result.lam_g, tau)
    matrix = np.zeros((count, m, nx, m + 1, nx))
    state, node = np.arange(nx), np.arange(m)
    matrix[:, :, state, :, state] = fine.D
    matrix[:, node, :, node + 1, :] += (e.step[:, None, None, None] * slope).swapaxes(0, 1)
    right = -e.step[:, None, None] * by_x
    right = right - np.einsum("ekxy,ey->ekx", matrix[:, :, :, m], last)
    square = matrix[:, :, :, :m].reshape(count, m * nx, m * nx)
    return np.concatenate([solve_all(square, right), last[:, None]], axis=1)


def _gain(g: Array, h: Array, room: Array) -> tuple[Array, Mask]:
    """(E, K) least value of gᵀδ + ½δᵀhδ within the room, and (E,) where it is not told.

    Parameters
    ----------
    g, h : (E, K, controls) and (E, K, controls, controls).
    room : (2, E, K, controls) to the bounds.
    """
    diagonal = np.einsum("ekii->eki", h)
    scale = np.maximum(np.abs(g).max(axis=(1, 2)), np.abs(h).max(axis=(1, 2, 3)))[:, None, None]
    curved = diagonal > _CURVED * np.where(scale > 0.0, scale, 1.0)
    held = ((room[0] > -_AT_BOUND) & (g > 0.0)) | ((room[1] < _AT_BOUND) & (g < 0.0))
    odd = ~(curved | held).all(axis=(1, 2))
    if g.shape[2] > 1:
        stiff = np.where(held, scale, 0.0)[:, :, :, None] * np.eye(g.shape[2])
        odd |= (np.linalg.eigvalsh(h + stiff) <= 0.0).any(axis=(1, 2))
    delta = np.zeros_like(g)
    for _ in range(_SWEEPS):
        for i in range(g.shape[2]):
            slope = g[:, :, i] + np.einsum("ekj,ekj->ek", h[:, :, i], delta)
            d = np.where(curved[:, :, i], diagonal[:, :, i], 1.0)
            step = np.where(curved[:, :, i], delta[:, :, i] - slope / d, 0.0)
            delta[:, :, i] = np.clip(step, room[0, :, :, i], room[1, :, :, i])
    ends = (delta <= room[0] + _AT_BOUND) | (delta >= room[1] - _AT_BOUND)
    odd |= (ends.any(axis=1) & ~ends.all(axis=1)).any(axis=1)
    gain = np.einsum("eki,eki->ek", g, delta)
    gain += 0.5 * np.einsum("eki,ekij,ekj->ek", delta, h, delta)
    return gain, odd | ~np.isfinite(gain).all(axis=1)


def _sampled(e: Elements) -> Mask:
    """(E,) elements of experiments that decide inputs, with measurements before their end."""
    samples, found = e.measurements, np.zeros(len(e), dtype=bool)
    found[samples.element[samples.tau < 1.0 - 1e-9]] = True
    decides = np.array([any(names) for names in decided_inputs(e.nlp)])
    return np.asarray(found & decides[e.experiment])


def _constrained(nlp: NLP, result: SolverResult) -> Mask:
    """(E,) elements in which a bound of a state, a constraint or a slope is active."""
    found = []
    idle = free_columns(nlp, result) | (nlp.lower == nlp.upper)
    held = active_rows(nlp, result)
    for part in nlp.layout.experiments:
        nodes = part.element_nodes()
        here = (~idle[part.states[nodes]]).any(axis=(1, 2))
        for rows in part.path_rows:
            finite = np.isfinite(nlp.row_lower[rows]) | np.isfinite(nlp.row_upper[rows])
            here |= (held[rows] & finite)[nodes].any(axis=1)
        for rows in part.rate_rows.values():  # where a slope changes its bound it is at neither
            bounded = np.concatenate([[False], held[rows], [False]])
            here |= bounded[:-2] | bounded[1:-1] | bounded[2:]
        found.append(here)
    return np.concatenate(found)
