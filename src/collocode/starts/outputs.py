r"""Output matching: states at the nodes whose outputs are near the smoothed data.

.. math:: \min_{x_k} \sum_j \Bigl(\frac{h_j(x_k, u_k, p) - \hat y_j(t_k)}{s_j}\Bigr)^2
          + \epsilon \sum_i \Bigl(\frac{x_{ki} - \bar x_i}{\sigma_i}\Bigr)^2

for every node by itself, by Levenberg-Marquardt steps on all of them at once.  Logarithms, ratios
and sums of states become states where they determine them, and algebraic equations join in, with
the algebraic variables as unknowns; what all these leave open stays near
:math:`\bar x`, the known initial state or else zero or the typical size, whichever evaluates.
"""

from __future__ import annotations

import casadi as ca
import numpy as np

from ..model.symbolic import Symbols, observed, residuals
from ..numerics import Array
from ..results.resolved import resolved
from ..solvers.interrupt import interrupted
from ..transcription.decided import Place
from ..transcription.nlp import NLP
from ..transcription.unknowns import Unknowns

_STEPS = 40
_TIE = 1e-6  # ε: as little as leaves what is determined to the data


def match_outputs(nlp: NLP, x: Array) -> bool:
    """Put states whose outputs are near the smoothed data into ``x``, in place.

    Returns
    -------
    Whether the outputs could be evaluated at some level of the states.
    """
    problem = nlp.problem
    if problem.observe is None and (
        not problem.algebraics or set(problem.states) <= set(problem.outputs)
    ):
        return False
    fit = _OutputFit(nlp, x)
    for level in (0.0, 1.0, -1.0):
        start = fit.at_level(x, level)
        if np.isfinite(fit.cost(start, start)).all() and np.isfinite(fit.slopes(start)).all():
            fit.put(x, fit.solved(start))
            return True
    return False


class _OutputFit:
    """All nodes of all experiments, one after the other; states in units of their scale.

    Algebraic variables stand behind the states, and their equations behind the outputs.
    """

    def __init__(self, nlp: NLP, x: Array) -> None:
        problem, layout = nlp.problem, nlp.layout
        self._nlp = nlp
        self._scale = np.append(problem.state_scale, list(problem.algebraic_scale.values()))
        s, places = Symbols.of(problem), []
        targets, weights, inputs = [], [], []
        sizes = np.array([problem.spread[n] or 1.0 for n in problem.outputs])
        measuring = [n for n, e in enumerate(problem.experiments) if e.measures]
        for number in measuring:
            experiment, part = problem.experiments[number], layout.experiments[number]
            curves, t = problem.smoothers(experiment), part.times
            places.append(Place(number, t))
            targets.append(
                np.column_stack([curves[n](t) if n in curves else 0 * t for n in problem.outputs])
            )
            weights.append(np.tile([float(n in curves) for n in problem.outputs], (len(t), 1)))
            known = resolved(nlp, x, number)[0].inputs
            u = [known[name](t) for name in problem.inputs]
            inputs.append(np.column_stack(u) if u else np.empty((len(t), 0)))
        v = Unknowns.of(problem, layout, s, places)
        self._target, self._weight = np.vstack(targets), np.vstack(weights) / sizes
        self.columns = np.vstack([layout.experiments[n].states for n in measuring])
        points, nz = len(self._target), len(problem.algebraics)
        given, both = len(problem.inputs), len(problem.inputs) + len(problem.algebraics)
        u, z, _ = ca.vertsplit(s.u, [0, given, both, len(problem.carried)])
        both = ca.vertcat(s.x, z)
        h = v.put_into(ca.vertcat(observed(problem, s), residuals(problem, s)))
        if nz:
            size = nlp.row_scale[layout.experiments[measuring[0]].algebraic_rows[0, 0]]
            self._target = np.hstack([self._target, np.zeros((points, nz))])
            self._weight = np.hstack([self._weight, np.tile(size, (points, 1))])
        guesses = np.array(list(problem.algebraics.values())).reshape(1, nz)
        self._algebraics = np.repeat(guesses, points, axis=0)
        symbols = [both, s.t, u, v.own, v.shared, v.data]
        self._value = ca.Function("h", symbols, [h]).map(points)
        self._slope = ca.Function("dh", symbols, [ca.densify(ca.jacobian(h, both))]).map(points)
        phi = np.hstack([np.empty((points, 0)), *v.constants])
        t = np.concatenate([p.times for p in places])
        self._known = (t, np.vstack(inputs).T, x[v.own_columns].T, x[v.shared_columns], phi.T)

    def at_level(self, x: Array, level: float) -> Array:
        """(points, states) the states in ``x``, those without a known initial value at a level."""
        z, first = np.hstack([x[self.columns], self._algebraics]) / self._scale, 0
        problem = self._nlp.problem
        for experiment, part in zip(problem.experiments, self._nlp.layout.experiments, strict=True):
            if not experiment.measures:
                continue
            rows = slice(first, first := first + len(part.times))
            for i, state in enumerate(problem.states):
                if not np.isfinite(problem.initial_of(experiment, state).value):
                    z[rows, i] = level
        return z

    def _missed(self, z: Array) -> Array:
        h = np.asarray(self._value((z * self._scale).T, *self._known)).T
        return np.where(self._weight > 0.0, (h - self._target) * self._weight, 0.0)

    def cost(self, z: Array, centre: Array) -> Array:
        """(points,) what is minimised."""
        tie = _TIE * ((z - centre) ** 2).sum(axis=1)
        return np.asarray((self._missed(z) ** 2).sum(axis=1) + tie)

    def slopes(self, z: Array) -> Array:
        """(points, outputs, states) derivative of what is missed."""
        points, nx = z.shape
        flat = np.asarray(self._slope((z * self._scale).T, *self._known))
        local = flat.reshape(-1, points, nx).transpose(1, 0, 2)
        with np.errstate(invalid="ignore"):  # infinite slopes of what has no weight
            missed = local * self._weight[:, :, None]
        return np.where(self._weight[:, :, None] > 0.0, missed, 0.0) * self._scale

    def solved(self, centre: Array) -> Array:
        """(points, states) after Levenberg-Marquardt steps, each point with its own damping."""
        free = np.full(self._algebraics.shape, np.inf)
        lower, upper = (
            np.hstack([b[self.columns], sign * free]) / self._scale
            for b, sign in ((self._nlp.lower, -1.0), (self._nlp.upper, 1.0))
        )
        z, damping = np.clip(centre, lower, upper), np.full(len(centre), 1e-2)
        cost, unit = self.cost(z, centre), np.eye(z.shape[1])
        for _ in range(_STEPS):
            if interrupted():
                break
            J = self.slopes(z)
            gradient = np.einsum("pji,pj->pi", J, self._missed(z)) + _TIE * (z - centre)
            matrix = np.einsum("pji,pjk->pik", J, J) + (_TIE + damping)[:, None, None] * unit
            step = np.linalg.solve(matrix, gradient[:, :, None])[:, :, 0]
            trial = np.clip(z - step, lower, upper)
            value = self.cost(trial, centre)
            with np.errstate(invalid="ignore"):
                good = (value < cost) & np.isfinite(self.slopes(trial)).all(axis=(1, 2))
            if not good.any() and damping.min() > 1e6:
                break
            z[good], cost[good] = trial[good], value[good]
            damping = np.clip(np.where(good, 0.2 * damping, 5.0 * damping), 1e-9, 1e9)
        return z

    def put(self, x: Array, z: Array) -> None:
        """Write states into the program's columns."""
        x[self.columns] = (z * self._scale)[:, : self.columns.shape[1]]
