r"""Gradient matching: fit f to the slopes of the smoothed data, without integrating anything.

.. math:: \min_{p,\theta} \frac1K \sum_k \Bigl\|\frac{f(t_k,\hat x_k,u_k,p,\theta)-\dot{\hat x}_k}
          {s}\Bigr\|^2 + \lambda\lVert\theta\rVert^2

with the smoothing spline :math:`\hat x` (Varah, SIAM J. Sci. Stat. Comput. 3, 1982).  A handful of
Levenberg-Marquardt steps puts IPOPT where it needs few inertia corrections.
"""

from __future__ import annotations

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ..model.symbolic import Symbols, derivatives
from ..transcription.nlp import NLP
from .levenberg_marquardt import levenberg_marquardt

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
    unknowns = ca.vertcat(s.p, s.theta)
    function = ca.Function(
        "slopes", [s.t, s.x, s.u, s.p, s.theta], [f, ca.densify(ca.jacobian(f, unknowns))]
    ).map(len(t))
    free = np.concatenate([columns, layout.weights]).astype(int)
    ridge = np.zeros(len(free))
    ridge[len(columns) :] = np.sqrt(problem.regularisation.strength)
    place = np.searchsorted(columns, own)  # (points, parameters) position among the unknowns
    nx, root = len(problem.states), np.sqrt(slopes.size)

    def residual(z: Array) -> tuple[Array, Array]:
        values = z[: len(columns)]
        value, jacobian = function(t, states.T, u.T, values[place].T, z[len(columns) :])
        r = (np.asarray(value).T - slopes) / scale
        local = np.asarray(jacobian).reshape(nx, len(t), -1).transpose(1, 0, 2) / scale[:, None]
        J = np.zeros((len(t), nx, len(free)))
        J[:, :, len(columns) :] = local[:, :, len(names) :]
        for j in range(len(names)):
            J[np.arange(len(t)), :, place[:, j]] = local[:, :, j]
        J = J.reshape(-1, len(free)) / root
        return np.append(r.ravel() / root, ridge * z), np.vstack([J, np.diag(ridge)])

    found = levenberg_marquardt(residual, x[free], steps)
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
