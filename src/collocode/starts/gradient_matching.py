r"""Gradient matching: fit f to the slopes of the smoothed data, without integrating anything.

.. math:: \min_{p,\theta} \frac1K \sum_k \Bigl\|\frac{f(t_k,\hat x_k,u_k,p,\theta)-\dot{\hat x}_k}
          {s}\Bigr\|^2 + \lambda\lVert\theta\rVert^2

with the smoothing spline :math:`\hat x` (Varah, SIAM J. Sci. Stat. Comput. 3, 1982).  A handful of
trust-region steps puts IPOPT where it needs few inertia corrections.  For weights that vary in time the
penalty is their mean square, and the unknowns are coefficients.

Steps are those of `trust_region`; of piecewise functions of time, whose Jacobian is sparse, SciPy's.

Algebraic variables are unknowns of their points, and what their equations lack is matched with the
slopes, in units of each equation's scaled derivatives; measured ones are held near their smoothing spline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
import scipy
from scipy import sparse

from ..model.symbolic import Symbols, derivatives, residuals
from ..model.varying import penalty_root
from ..numerics import Array
from ..solvers.threads import one_blas_thread
from ..transcription.callbacks import Mapped
from ..transcription.costs import stage_places
from ..transcription.decided import Place
from ..transcription.nlp import NLP
from ..transcription.unknowns import Unknowns
from .trust_region import Model, Penalty, least_squares

_MOST_POINTS = 1000
_MOST_DENSE = 1500  # unknowns, or slopes, of which there may be fewer; more have a sparse Jacobian
_STEPS = 8
_AT_ONCE = 32


def match_gradients(nlp: NLP, x: Array, steps: int = _STEPS) -> bool:
    """Fit weights and parameters in ``x`` to the smoothed slopes, in place.

    Returns
    -------
    Whether that was possible: every state must be measured, and something be unknown.
    """
    problem = nlp.problem
    measured = problem.observe is None and set(problem.states) <= set(problem.outputs)
    points = _points(nlp) if measured else None
    if points is None:
        return False
    fit = _SlopeFit(nlp, points)
    if not len(fit.free):
        return False
    try:
        # a second BLAS thread stalls on a busy machine and brings nothing at these sizes
        with one_blas_thread():
            if problem.algebraics:
                found = _levenberg(fit, x[fit.free], 4 * steps)
            elif fit.sparse:
                found = scipy.optimize.least_squares(
                    fit.residual, x[fit.free], fit.jacobian, max_nfev=steps + 1, tr_solver="lsmr"
                ).x
            else:
                found = least_squares(fit.residual, fit.model, x[fit.free], fit.varies, steps)
    except (ValueError, RuntimeError, np.linalg.LinAlgError):
        # not finite where the data are: keep the start
        return False
    x[fit.free] = np.clip(found, nlp.lower[fit.free], nlp.upper[fit.free])
    return True


@dataclass(frozen=True, eq=False)
class _Points:
    """Where slopes are matched: (points,) times by experiment, (points, ...) tables."""

    places: list[Place]
    states: Array
    inputs: Array
    slopes: Array
    algebraics: Array


class _SlopeFit:
    """Residuals of the slopes and of the penalty as functions of the unknown columns ``free``."""

    def __init__(self, nlp: NLP, points: _Points) -> None:
        problem, layout = nlp.problem, nlp.layout
        s = Symbols.of(problem)
        v = Unknowns.of(problem, layout, s, points.places)
        f, scale, slopes = derivatives(problem, s), _sizes(points.slopes), points.slopes
        if problem.algebraics:
            # equations to be zero; variables to be as measured, where they are
            z, zero = s.u[len(problem.inputs) :], np.zeros_like(points.algebraics)
            f = ca.vertcat(f, residuals(problem, s), z)
            first = nlp.layout.experiments[points.places[0].experiment].algebraic_rows[0, 0]
            size = np.array(list(problem.algebraic_scale.values()))
            measured = np.isfinite(points.algebraics).any(axis=0)
            scale = np.concatenate(
                [scale, 1.0 / nlp.row_scale[first], np.where(measured, size, np.inf)]
            )
            slopes = np.hstack([slopes, zero, np.nan_to_num(points.algebraics)])
        f = v.put_into(f)
        t = np.concatenate([p.times for p in points.places])
        self._scale, self._slopes, self._root = scale, slopes, np.sqrt(slopes.size)
        self.free = np.unique(np.concatenate([v.own_columns.ravel(), layout.weights]))
        # weights that are piecewise functions of time are not shared by all points
        local = len(v.shared_columns) < len(layout.weights)
        fewest = len(self.free) if local else min(len(self.free), slopes.size)
        self.sparse = fewest > _MOST_DENSE or bool(problem.algebraics)
        self._own = np.searchsorted(self.free, v.own_columns)
        self._shared = np.searchsorted(self.free, v.shared_columns)
        phi = np.hstack([np.empty((len(t), 0)), *v.constants])
        self._at = np.zeros(self._own.shape), np.zeros((len(t), len(self._shared)))
        symbols = [s.t, s.x, s.u, v.own, v.shared, v.data]
        u = np.zeros((len(t), s.u.numel()))
        u[:, : points.inputs.shape[1]] = points.inputs
        given = t, points.states, u, *self._at, phi
        known = [np.ascontiguousarray(part, dtype=float) for part in given]
        by_unknowns = ca.densify(ca.jacobian(f, ca.vertcat(v.own, v.shared)))

        self._slope = _InParts(symbols, f, known)
        self._slope_jacobian = _InParts(symbols, by_unknowns, known)
        held = nlp.lower[self.free] == nlp.upper[self.free]
        held[np.setdiff1d(np.arange(len(held)), [*self._own.ravel(), *self._shared])] = True
        self.varies = ~held
        self._only_varying = sparse.diags_array(self.varies.astype(float))
        self._penalty = self._ridge(nlp)
        self._penalty_of_varying = Penalty(self._penalty[:, self.varies][self.varies])

    def _ridge(self, nlp: NLP) -> Any:
        """Square root of the penalty's matrix among the unknowns."""
        problem = nlp.problem
        root = penalty_root(problem.weight_blocks).tocoo()
        weights = np.searchsorted(self.free, nlp.layout.weights)
        data = np.sqrt(problem.penalty.strength) * root.data
        size = (len(self.free), len(self.free))
        return sparse.csr_array((data, (weights[root.row], weights[root.col])), shape=size)

    def _mapped(self, function: _InParts, z: Array) -> Array:
        own, shared = self._at
        own[:], shared[:] = z[self._own], z[self._shared]
        return function()

    def residual(self, z: Array) -> Array:
        """Scaled slopes missed, then the penalty."""
        f = self._mapped(self._slope, z).reshape(self._slopes.shape)
        r = (f - self._slopes) / self._scale
        return np.append(r.ravel() / self._root, self._penalty @ z)

    def jacobian(self, z: Array) -> Any:
        """Derivative of `residual`, sparse, with empty columns for what does not vary."""
        points, nx = self._slopes.shape
        local = self._local(z)
        shared = np.broadcast_to(self._shared, (points, len(self._shared)))
        columns = np.hstack([self._own, shared])
        count = columns.shape[1]
        index = np.repeat(columns, nx, axis=0).ravel()
        starts = np.arange(0, points * nx * count + 1, count)
        shape = (points * nx, len(self.free))
        J = sparse.csr_array((local.ravel(), index, starts), shape=shape) @ self._only_varying
        return sparse.vstack([J, self._penalty]).tocsr()

    def _local(self, z: Array) -> Array:
        """(points, states, unknowns of a point) scaled derivatives of the slopes."""
        points, nx = self._slopes.shape
        local = self._mapped(self._slope_jacobian, z).reshape(points, -1, nx).swapaxes(1, 2)
        return np.asarray(np.divide(local, self._root * self._scale[:, None], order="C"))

    def model(self, z: Array, r: Array) -> Model:
        """What `residual` is by what varies, about a point where it is r."""
        local, (points, nx) = self._local(z), self._slopes.shape
        own, unknowns, count = self._own.shape[1], len(self.free), points * nx
        if not np.array_equal(self._shared, np.arange(unknowns)):
            J = np.zeros((points, nx, unknowns))
            J[:, :, self._shared] = local[:, :, own:]
            at = np.broadcast_to(self._own[:, None, :], (points, nx, own))
            np.put_along_axis(J, at, local[:, :, :own], axis=2)
        else:  # all points share all unknowns, and have them in order
            J = local
        flat = J.reshape(count, unknowns)
        flat = flat if self.varies.all() else flat[:, self.varies]
        rest = r[count:][self.varies]
        return Model.of(flat, r[:count], self._penalty_of_varying, rest)


class _InParts:
    """A function at many points, some at a time: a map's pattern of all takes longer than they do.

    Parameters
    ----------
    symbols, value : argument by argument, and what it is.
    known : (K, ·) contiguous arrays of all arguments, whose numbers at the time of a call count.
    """

    def __init__(self, symbols: list[ca.SX], value: ca.SX, known: Sequence[Array]) -> None:
        points = len(known[0])
        some = rest = Mapped(symbols, [value], min(points, _AT_ONCE))
        if points % _AT_ONCE and points > _AT_ONCE:
            rest = some.over(points % _AT_ONCE)
        self._found = np.empty((points, value.numel()))
        starts = range(0, points, _AT_ONCE)
        parts = [(slice(k, k + _AT_ONCE), some) for k in starts[:-1]]
        parts.append((slice(starts[-1], points), rest))
        self._runs = [made.bound([a[at] for a in known], self._found[at]) for at, made in parts]

    def __call__(self) -> Array:
        """(K, values), in memory that the next call writes to."""
        for run in self._runs:
            run()
        return self._found


def _levenberg(fit: _SlopeFit, z: Array, steps: int) -> Array:
    """Levenberg-Marquardt steps by sparse normal equations, which unknowns of their points keep cheap."""
    r, damping, J = fit.residual(z), 1e-3, None
    for _ in range(steps):
        J = fit.jacobian(z) if J is None else J
        A, gradient = (J.T @ J).tocsc(), J.T @ r
        size = A.diagonal()
        size = np.maximum(size, 1e-12 * size.max(initial=1e-300))
        step = sparse.linalg.splu(A + sparse.diags_array(damping * size, format="csc")).solve(
            gradient
        )
        trial = fit.residual(z - step)
        if float(trial @ trial) < float(r @ r):
            done = float(r @ r - trial @ trial) < 1e-4 * float(r @ r)
            z, r, damping, J = z - step, trial, max(0.2 * damping, 1e-9), None
            if done:
                break
        elif damping > 1e6:
            break
        else:
            damping *= 5.0
    return z


def _sizes(slopes: Array) -> Array:
    scale = np.sqrt(np.mean(slopes**2, axis=0))
    scale[scale == 0.0] = 1.0
    return scale


def _points(nlp: NLP) -> _Points | None:
    """Nodes of the experiments that measured every state, thinned to what a start needs."""
    problem, layout = nlp.problem, nlp.layout
    total = sum(len(part.times) for part in layout.experiments)
    stride = -(-total // _MOST_POINTS)
    places, rows = [], []
    known = {q.name: q for q in problem.all_parameters}
    for number, (experiment, part) in enumerate(
        zip(problem.experiments, layout.experiments, strict=True)
    ):
        curves = problem.smoothers(experiment)
        if not set(problem.states) <= set(curves):
            continue
        place = Place(number, part.times[::stride])
        if problem.algebraics:  # where these are unknowns
            every = stage_places(number, part, nlp.scheme)
            assert every.element is not None and every.tau is not None
            at = slice(None, None, stride)
            place = Place(number, every.times[at], False, every.element[at], every.tau[at])
        t = place.times
        u = [experiment.inputs[name](t) for name in problem.inputs]
        u += [np.zeros_like(t) for _ in problem.algebraics]
        for delay in problem.lags.values():  # as far back as they start
            back = float(known[delay.by].start if isinstance(delay.by, str) else delay.by)
            u.append(curves[delay.of](np.maximum(t - back, part.mesh.start)))
        absent = np.full(len(t), np.nan)
        z = [curves[n](t) if n in curves else absent for n in problem.algebraics]
        places.append(place)
        rows.append(
            (
                np.column_stack([curves[name](t) for name in problem.states]),
                np.column_stack(u) if u else np.empty((len(t), 0)),
                np.column_stack([curves[name].derivative(t) for name in problem.states]),
                np.column_stack(z) if z else np.empty((len(t), 0)),
            )
        )
    if not rows:
        return None
    return _Points(places, *(np.concatenate(p) for p in zip(*rows, strict=True)))
