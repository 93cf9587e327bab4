r"""Gradient matching: fit f to the slopes of the smoothed data, without integrating anything.

.. math:: \min_{p,\theta} \frac1K \sum_k \Bigl\|\frac{f(t_k,\hat x_k,u_k,p,\theta)-\dot{\hat x}_k}
          {s}\Bigr\|^2 + \lambda\lVert\theta\rVert^2

with the smoothing spline :math:`\hat x` (Varah, SIAM J. Sci. Stat. Comput. 3, 1982).  A handful of
steps of SciPy's trust-region least squares puts IPOPT where it needs few inertia corrections.
"""

from __future__ import annotations

import casadi as ca
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from threadpoolctl import ThreadpoolController

from ..model.symbolic import Symbols, derivatives
from ..transcription.nlp import NLP

Array = NDArray[np.float64]
_MOST_POINTS = 1000
_STEPS = 8


def match_gradients(nlp: NLP, x: Array, steps: int = _STEPS) -> bool:
    """Fit weights and parameters in ``x`` to the smoothed slopes, in place.

    Returns
    -------
    Whether that was possible: every state must be measured, and something be unknown.
    """
    problem, layout = nlp.problem, nlp.layout
    names = [q.name for q in problem.dynamics.parameters]
    measured = problem.observe is None and set(problem.states) == set(problem.outputs)
    columns, points = _points(nlp) if measured else (None, None)
    if columns is None or points is None or not len(columns) + len(layout.weights):
        return False
    t, states, u, slopes, own = points
    scale = np.sqrt(np.mean(slopes**2, axis=0))
    scale[scale == 0.0] = 1.0
    s = Symbols.of(problem)
    f = derivatives(problem, s)
    arguments = [s.t, s.x, s.u, s.p, s.theta]
    slope = ca.Function("slope", arguments, [f]).map(len(t))
    by_unknowns = ca.densify(ca.jacobian(f, ca.vertcat(s.p, s.theta)))
    slope_jacobian = ca.Function("slope_jacobian", arguments, [by_unknowns]).map(len(t))
    free = np.concatenate([columns, layout.weights]).astype(int)
    fixed = nlp.lower[free] == nlp.upper[free]
    ridge = np.zeros(len(free))
    ridge[len(columns) :] = np.sqrt(problem.regularisation.strength)
    place = np.searchsorted(columns, own)  # (points, parameters) position among the unknowns
    nx, root = len(problem.states), np.sqrt(slopes.size)

    def point(z: Array) -> tuple[Array, ...]:
        return t, states.T, u.T, z[: len(columns)][place].T, z[len(columns) :]

    def residual(z: Array) -> Array:
        r = (np.asarray(slope(*point(z))).T - slopes) / scale
        return np.append(r.ravel() / root, ridge * z)

    def jacobian(z: Array) -> Array:
        local = np.asarray(slope_jacobian(*point(z))).reshape(nx, len(t), -1).transpose(1, 0, 2)
        local = local / scale[:, None]
        J = np.zeros((len(t), nx, len(free)))
        J[:, :, len(columns) :] = local[:, :, len(names) :]
        for j in range(len(names)):
            J[np.arange(len(t)), :, place[:, j]] = local[:, :, j]
        J[:, :, fixed] = 0.0  # a step of least norm leaves these where they are
        return np.vstack([J.reshape(-1, len(free)) / root, np.diag(ridge)])

    try:
        # a second BLAS thread stalls on a busy machine and brings nothing at these sizes
        with ThreadpoolController().limit(limits=1, user_api="blas"):
            found = least_squares(residual, x[free], jacobian, max_nfev=steps + 1).x
    except (ValueError, np.linalg.LinAlgError):  # not finite where the data are: keep the start
        return False
    x[free] = np.clip(found, nlp.lower[free], nlp.upper[free])
    return True


def _points(nlp: NLP) -> tuple[Array, tuple[Array, Array, Array, Array, Array]] | tuple[None, None]:
    """Parameter columns in increasing order, and (t, x, u, slope, parameter columns) of points."""
    problem, layout = nlp.problem, nlp.layout
    names = [q.name for q in problem.dynamics.parameters]
    total = sum(len(part.times) for part in layout.experiments)
    stride = -(-total // _MOST_POINTS)
    rows = []
    for number, (experiment, part) in enumerate(
        zip(problem.experiments, layout.experiments, strict=True)
    ):
        curves = problem.smoothers(experiment)
        if set(curves) != set(problem.states):
            continue
        t = part.times[::stride]
        u = [experiment.inputs[name](t) for name in problem.inputs]
        rows.append(
            (
                t,
                np.column_stack([curves[name](t) for name in problem.states]),
                np.column_stack(u) if u else np.empty((len(t), 0)),
                np.column_stack([curves[name].derivative(t) for name in problem.states]),
                np.tile(layout.parameter_columns(number, names), (len(t), 1)),
            )
        )
    if not rows:
        return None, None
    times, states, inputs, slopes, own = (np.concatenate(p) for p in zip(*rows, strict=True))
    return np.unique(own), (times, states, inputs, slopes, own.astype(int))
