r"""One batch linearised at a point, condensed to the consensus variables.

A batch's rows determine its dependent columns `d` (all nodes but the first ones, and of these what the
parameters give) by the free ones `k`, of which `u` are its own (initial states, parameters) and `v`
copies of the consensus:

.. math:: \Delta d = r + Z\,\Delta k,\qquad r = -A_d^{-1}c,\quad Z = -A_d^{-1}A_k.

In this basis of the null space the Newton step of the whole problem needs of a batch no more than its
reduced gradient and Hessian :math:`Z^T W Z`, and how its last states, where another window begins,
depend on `v`.  Its own columns `u` are eliminated too; what is left, one number for every pair of
copies, travels.  Bounds of the batch's own columns are held by a `Barrier`.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.sparse.linalg import splu

from ..errors import InputError
from ..numerics import Array
from ..solvers.evaluations import Evaluations
from ..transcription.nlp import NLP
from .barrier import Barrier
from .messages import Aim, Answer, Direction, Linear, NewtonTask, Trials
from .shifts import shift_within
from .split import Split
from .subproblem import Point

_LEAST = 1e-10  # of the largest curvature, below which a batch's own columns have none
_REACH = 0.1  # of a step of a batch's own columns by themselves, each in units of its typical size


class Condensed:
    """A batch at one point; see the module.

    Parameters
    ----------
    nlp, split : of the batch.
    task : what the linearisation depends on.
    """

    def __init__(self, nlp: NLP, split: Split, task: NewtonTask) -> None:
        self.nlp, self.split, self.task, point = nlp, split, task, task.point
        s, held = split.scale, split.held
        self._calls = nlp.functions.cache("buffers", lambda: Evaluations(nlp.functions))
        self.x, self.lam = point.x / s, point.lam_g / nlp.row_scale
        sharp = "rounding" in nlp.parameters
        self._p = (nlp.with_parameters(rounding=task.rounding) if sharp else nlp).p
        self.barrier = Barrier(
            self.x[held], nlp.lower[held] / s[held], nlp.upper[held] / s[held],
            point.lam_x[held] * s[held], task.mu,
        )  # fmt: skip
        calls = self._at(self.x)
        self.loss = float(calls.f()[0])
        self.c = nlp.row_scale * (calls.g() - nlp.row_lower)
        self.slope = s * calls.gradient()
        self.gradient = self.slope.copy()
        estimate = task.aim is Aim.MULTIPLIERS
        self.gradient[held] += self.barrier.net if estimate else self.barrier.gradient
        if task.aim is Aim.FEASIBLE:
            self.gradient[:] = 0.0
        self._J = split.J_size * calls.jacobian()
        self._refuse_infinite(self.c, self.slope, self._J)
        A, by_free = split.A.copy(), np.zeros((len(self.c), len(split.free)))
        A.data, by_free[split.J_k_at] = self._J[split.J_d], self._J[split.J_k]
        try:
            self.A = splu(A)
        except RuntimeError as error:
            raise InputError(
                "its collocation equations do not determine the states (their matrix is singular); "
                "give rules=ADMMRules()"
            ) from error
        self.Z = -self.A.solve(by_free)
        self.r = np.zeros(len(self.c)) if estimate else -self.A.solve(self.c)
        self._curvature()

    def _at(self, x: Array) -> Evaluations:
        """Return the functions with their arguments set to a point in scaled columns."""
        self._calls.x[:], self._calls.p[:] = x * self.split.scale, self._p
        return self._calls

    def _refuse_infinite(self, *arrays: Array) -> None:
        if not all(np.isfinite(array).all() for array in arrays):
            raise InputError(
                "its equations, or their derivatives, are not finite at this point; choose another "
                "start or give bounds"
            )

    def _curvature(self) -> None:
        """Hessian of the Lagrangian in the null space of the rows, and of the own columns alone."""
        split, calls, Z, m, n = self.split, self._calls, self.Z, len(self.r), len(self.split.free)
        diagonal, values = np.ones(m + len(split.own)), np.zeros(len(split.W_size))
        if self.task.aim is Aim.FEASIBLE:
            diagonal += self.barrier.curvature  # bounds are far
        elif self.task.aim is Aim.STEP:
            calls.sigma[0], calls.lam[:] = 1.0, self.task.point.lam_g
            values, diagonal = split.W_size * calls.hessian(), self.barrier.curvature
            self._refuse_infinite(values)
        data = np.append(values[split.W_dd], diagonal[:m])
        self._W_dd = sparse.coo_array((data, split.W_dd_at), shape=(m, m)).tocsr()
        self._W_dk, H = np.zeros((m, n)), np.zeros((n, n))
        self._W_dk[split.W_dk_at] = values[split.W_dk]
        H[split.W_kk_at] = values[split.W_kk]
        H += np.tril(H, -1).T + np.triu(H, 1).T
        u = len(split.own)
        H[:u, :u] += np.diag(diagonal[m:])
        half = Z.T @ (0.5 * (self._W_dd @ Z) + self._W_dk)
        self.H = H + half + half.T
        self.E = Z[split.end_rows]
        self._own = None
        if u:
            curvature, axes = eigh(self.H[:u, :u])
            least = _LEAST * max(1e-300, float(np.abs(curvature).max()))
            shift = 2.0 * max(0.0, least - float(curvature[0]))
            if self.task.aim is Aim.STEP:
                # a loss that hardly bends, as Huber's beyond δ, says which way and not how far
                slope = axes.T @ self._gradient_of(self.r)[:u]
                shift = shift_within(curvature, slope, shift, _REACH * np.sqrt(u))
            self._own = cho_factor(self.H[:u, :u] + shift * np.eye(u))

    # ---- elimination of what is the batch's own ------------------------------------------------

    def _gradient_of(self, r: Array) -> Array:
        """Reduced gradient where the dependent columns first move by r."""
        d, k = self.split.dependent, self.split.free
        inner = self.gradient[d] + self._W_dd @ r
        return np.asarray(self.gradient[k] + self.Z.T @ inner + self._W_dk.T @ r)

    def _condensed(self, g: Array, ends: Array) -> tuple[Array, Array]:
        """Gradient and ends without the own columns."""
        u = len(self.split.own)
        if self._own is None:
            return g, ends
        du = cho_solve(self._own, g[:u])
        return g[u:] - self.H[u:, :u] @ du, ends - self.E[:, :u] @ du

    def _matrix(self) -> Array:
        """Reduced Hessian by ports and ends; the latter are multipliers."""
        u, n, e = len(self.split.own), len(self.split.ports), len(self.split.ends)
        S = np.zeros((n + e, n + e))
        S[:n, :n], S[n:, :n], S[:n, n:] = self.H[u:, u:], self.E[:, u:], self.E[:, u:].T
        if self._own is not None:
            B = np.vstack([self.H[u:, :u], self.E[:, :u]])
            S -= B @ cho_solve(self._own, B.T)
        return S

    # ---- what is asked -------------------------------------------------------------------------

    def linear(self) -> Linear:
        """What the coordinator needs of this point."""
        split, task = self.split, self.task
        g, ends = self._condensed(
            self._gradient_of(self.r), self._gap(self.x) + self.r[split.end_rows]
        )
        S = self._matrix()
        pulled = np.bincount(split.J_column, self._J * self.lam[split.J_row], self.nlp.columns)
        stationary = self.slope + pulled
        stationary[split.copies[split.ends]] += task.pull
        pull = stationary[split.copies].copy()
        pull[split.ends] = 0.0
        gap = self._gap(self.x)
        own = stationary[split.held] + self.barrier.net
        return Linear(
            batch=task.batch,
            iteration=task.iteration,
            loss=self.loss,
            barrier=self.barrier.value(self.x[split.held]),
            violation=float(np.abs(self.c).sum() + np.abs(gap).sum()),
            largest=float(max(np.abs(self.c).max(initial=0.0), np.abs(gap).max(initial=0.0))),
            stationarity=float(np.abs(own).max(initial=0.0)),
            complementarity=self.barrier.complementarity,
            pull=pull,
            matrix=S[np.tril_indices(len(S))],
            gradient=g,
            ends=ends,
            point=task.point,
        )

    def trials(self, direction: Direction, sizes: tuple[float, ...]) -> Trials:
        """Objective and violation along a direction, and what a second-order correction needs."""
        task, split = self.task, self.split
        d, _ = self._step(direction)
        losses, barriers, violations, correction = [], [], [], None
        for size in sizes:
            x = self.x + size * d
            c, gap = self._rows(x), self._gap(x, size * direction.values)
            losses.append(float(self._at(x).f()[0]))
            barriers.append(self.barrier.value(x[split.held]))
            violations.append(float(np.abs(c).sum() + np.abs(gap).sum()))
            if correction is None and np.isfinite(c).all():
                r = -self.A.solve(size * self.c + c)
                ends = size * self._gap(self.x) + gap + r[split.end_rows]
                correction = self._condensed(self._gradient_of(r), ends)
        return Trials(
            batch=task.batch,
            iteration=task.iteration,
            sizes=self.barrier.sizes(d[split.held]),
            slope=float(self.gradient @ d),
            losses=tuple(losses),
            barriers=tuple(barriers),
            violations=tuple(violations),
            correction=correction,
        )

    def moved(self, task: NewtonTask) -> Condensed:
        """Return the batch after a step along the task's direction."""
        nlp, split, s, size = self.nlp, self.split, self.split.scale, task.size
        assert task.direction is not None
        d, lam = self._step(task.direction)
        if task.aim is Aim.MULTIPLIERS:  # only these were asked for
            point = replace(task.point, lam_g=lam * nlp.row_scale)
            here = replace(task, pull=task.direction.pull, point=point)
            return Condensed(nlp, split, replace(here, direction=None, aim=Aim.STEP))
        x, lam_x, held = (self.x + size * d) * s, np.zeros(nlp.columns), split.held
        values = task.values + size * task.direction.values
        ports = split.copies[split.ports]
        x[ports] = values[split.ports] * s[ports]
        lam_x[held] = (self.barrier.net + task.dual_size * self.barrier.step(d[held])) / s[held]
        point = Point(x, (self.lam + size * (lam - self.lam)) * nlp.row_scale, lam_x)
        pull = task.pull + size * (task.direction.pull - task.pull)
        here = replace(task, values=values, pull=pull, point=point, direction=None)
        return Condensed(nlp, split, here)

    def serves(self, task: NewtonTask) -> bool:
        """Whether this is the linearisation that a task builds on."""
        here, there = self.task, task
        same = here.mu == there.mu and here.aim is there.aim
        same = same and here.rounding == there.rounding
        arrays = ("values", "pull"), ("x", "lam_g", "lam_x")
        pairs = [(getattr(here, name), getattr(there, name)) for name in arrays[0]]
        pairs += [(getattr(here.point, name), getattr(there.point, name)) for name in arrays[1]]
        return same and all(np.array_equal(a, b) for a, b in pairs)

    def _rows(self, x: Array) -> Array:
        nlp = self.nlp
        return np.asarray(nlp.row_scale * (self._at(x).g() - nlp.row_lower))

    def _gap(self, x: Array, move: Array | float = 0.0) -> Array:
        """By how much last states miss the first ones of the next window."""
        split = self.split
        return np.asarray(x[split.copies[split.ends]] - (self.task.values + move)[split.ends])

    def _step(self, direction: Direction) -> tuple[Array, Array]:
        """Step of all columns, and the multipliers after it."""
        split, r = self.split, self.r
        if direction.corrects is not None:
            first = self._step(direction.corrects)[0]
            r = -self.A.solve(self.c + self._rows(self.x + first))
        u, dk = len(split.own), np.empty(len(split.free))
        dk[u:] = direction.values[split.ports]
        if self._own is not None:
            g = (
                self._gradient_of(r)[:u]
                + self.H[:u, u:] @ dk[u:]
                + self.E[:, :u].T @ direction.pull
            )
            dk[:u] = -cho_solve(self._own, g)
        d = np.zeros(self.nlp.columns)
        d[split.dependent], d[split.free] = r + self.Z @ dk, dk
        left = self.gradient[split.dependent] + self._W_dd @ d[split.dependent] + self._W_dk @ dk
        left[split.end_rows] += direction.pull
        return d, -self.A.solve(left, trans="T")


def answered(
    nlp: NLP, split: Split, task: NewtonTask, last: Condensed | None
) -> tuple[Answer, Condensed]:
    """Answer a task; ``last`` saves a linearisation if it is the one that the task builds on."""
    began = time.perf_counter()
    if task.aim is Aim.MULTIPLIERS and task.direction is None:
        point = replace(task.point, x=split.inside(nlp, task.point.x))
        task = replace(task, point=point)
    here = last if last is not None and last.serves(task) else Condensed(nlp, split, task)
    answer: Answer
    if task.direction is not None and task.trials:
        answer = here.trials(task.direction, task.trials)
    else:
        here = here if task.direction is None else here.moved(task)
        answer = here.linear()
    return replace(answer, seconds=time.perf_counter() - began), here
