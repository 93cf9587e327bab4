r"""One batch linearised at a point, condensed to the consensus variables.

A batch's collocation rows determine its dependent columns `d` (all nodes but the first ones) by the
free ones `k`, of which `u` are its own (initial states, parameters) and `v` copies of the consensus:

.. math:: \Delta d = r + Z\,\Delta k,\qquad r = -A_d^{-1}c,\quad Z = -A_d^{-1}A_k.

In this basis of the null space the Newton step of the whole problem needs of a batch no more than its
reduced gradient and Hessian :math:`Z^T W Z`, and how its last states, where another window begins,
depend on `v`.  Its own columns `u` are eliminated too; what is left, one number for every pair of
copies, travels.  Bounds of the batch's own columns are held by a `Barrier`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve, eigvalsh
from scipy.sparse.linalg import splu

from ..errors import InputError
from ..solvers.evaluations import Evaluations
from ..transcription.nlp import NLP
from .barrier import Barrier, inside
from .subproblem import Point

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_LEAST = 1e-10  # of the largest curvature, below which a batch's own columns have none


@dataclass(frozen=True, eq=False, kw_only=True)
class Direction:
    """A Newton direction of the consensus.

    Attributes
    ----------
    values : (copies,) of the consensus variables that a batch has, scaled.
    pull : (ends,) multipliers of the rows by which its last states meet another window.
    corrects, size : the direction that this one corrects, and at which size.
    """

    values: Array
    pull: Array
    corrects: Direction | None = None
    size: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class NewtonTask:
    """What a batch is asked: all that its answer depends on, so that any worker can give it.

    Attributes
    ----------
    batch, iteration : numbers.
    point : where the batch is; None lets the worker use the one it kept.
    values : (copies,) the consensus there, scaled.
    pull : (ends,) multipliers of its last states.
    mu : of the barrier.
    direction : None asks for a linearisation at the point.
    trials : sizes at which to try the direction; without any the batch moves along it.
    size, dual_size : by which it moves.
    estimate : linearise with an identity for a Hessian, to estimate multipliers.
    """

    batch: int
    iteration: int
    point: Point | None
    values: Array
    pull: Array
    mu: float
    direction: Direction | None = None
    trials: tuple[float, ...] = ()
    size: float = 0.0
    dual_size: float = 0.0
    estimate: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear:
    """A batch at a point.

    Attributes
    ----------
    batch, iteration : of the task.
    loss, barrier : its part of the misfit, and its barrier.
    violation, largest : of collocation and of where windows meet, sum and maximum of moduli, scaled.
    stationarity, complementarity : largest residuals of its own columns.
    pull : (copies,) derivative of its Lagrangian by the copies; zero for last states.
    matrix : lower triangle of the reduced Hessian by ports and ends, row by row.
    gradient, ends : reduced gradient, and by how much last states miss the next window.
    point : the new point; None where it stays.
    seconds : that it took.
    """

    batch: int
    iteration: int
    loss: float
    barrier: float
    violation: float
    largest: float
    stationarity: float
    complementarity: float
    pull: Array
    matrix: Array
    gradient: Array
    ends: Array
    point: Point | None = None
    seconds: float = 0.0
    status: str = ""
    squares: tuple[float, int] = (0.0, 0)
    iterations: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Trials:
    """What a batch finds along a direction.

    Attributes
    ----------
    batch, iteration : of the task.
    sizes : largest steps of its variables and multipliers that keep its bounds.
    slope : of misfit and barrier along the direction.
    losses, barriers, violations : at every size asked for.
    correction : reduced gradient and ends of the second-order correction of the first of them.
    """

    batch: int
    iteration: int
    sizes: tuple[float, float]
    slope: float
    losses: tuple[float, ...]
    barriers: tuple[float, ...]
    violations: tuple[float, ...]
    correction: tuple[Array, Array] | None
    point: Point | None = None
    seconds: float = 0.0
    status: str = ""
    squares: tuple[float, int] = (0.0, 0)
    iterations: int = 0


class Split:
    """Which columns of a batch's NLP are dependent, its own and free, and copies of the consensus.

    Parameters
    ----------
    nlp, name : the batch's, the latter for messages.
    copies, units : columns that are copies, and the sizes that they are measured in.
    ends : (copies,) which of them are last states, where another window begins.

    Raises
    ------
    InputError
        Rows beside the collocation equations, which would determine other columns.
    """

    def __init__(
        self, nlp: NLP, name: str, copies: Index, units: Array, ends: NDArray[np.bool_]
    ) -> None:
        parts = nlp.layout.experiments
        rows = np.concatenate([part.rows.ravel() for part in parts])
        self.dependent = np.concatenate([part.states[1:].ravel() for part in parts])
        if len(rows) != nlp.rows or len(rows) != len(self.dependent):
            raise InputError(
                f"batch {name!r} has constraints beside its collocation equations, which NewtonRules "
                "does not take; give rules=ADMMRules()."
            )
        self.copies, self.ends, self.ports = copies, np.flatnonzero(ends), np.flatnonzero(~ends)
        own = np.setdiff1d(np.arange(nlp.columns), np.concatenate([self.dependent, copies]))
        self.own = own[nlp.lower[own] < nlp.upper[own]]
        self.free = np.concatenate([self.own, copies[self.ports]])
        self.held = np.concatenate([self.dependent, self.own])
        self.scale = nlp.column_scale.copy()
        self.scale[copies] = units
        d, k = np.full(nlp.columns, -1), np.full(nlp.columns, -1)
        d[self.dependent], k[self.free] = np.arange(len(self.dependent)), np.arange(len(self.free))
        self.end_rows = d[copies[self.ends]]
        calls = nlp.functions.cache("buffers", lambda: Evaluations(nlp.functions))
        self._jacobian(nlp, *calls.jacobian_pattern, d, k)
        self._hessian(*calls.hessian_pattern, d, k)

    def _jacobian(self, nlp: NLP, i: Index, j: Index, d: Index, k: Index) -> None:
        self.J_size, self.J_row, self.J_column = nlp.row_scale[i] * self.scale[j], i, j
        at = self.J_d = np.flatnonzero(d[j] >= 0)
        m = len(self.dependent)
        starts = np.append(0, np.cumsum(np.bincount(d[j[at]], minlength=m)))
        self.A = sparse.csc_array((np.zeros(len(at)), i[at], starts), shape=(m, m))
        at = self.J_k = np.flatnonzero(k[j] >= 0)
        self.J_k_at = i[at], k[j[at]]

    def _hessian(self, i: Index, j: Index, d: Index, k: Index) -> None:
        self.W_size = self.scale[i] * self.scale[j]
        below = i != j
        both = np.flatnonzero((d[i] >= 0) & (d[j] >= 0))
        twice = both[below[both]]
        m = len(self.dependent)
        self.W_dd = np.concatenate([both, twice])
        rows, columns = np.append(d[i[both]], d[j[twice]]), np.append(d[j[both]], d[i[twice]])
        self.W_dd_at = np.append(rows, np.arange(m)), np.append(columns, np.arange(m))
        first = np.flatnonzero((d[i] >= 0) & (k[j] >= 0))
        second = np.flatnonzero((k[i] >= 0) & (d[j] >= 0))
        self.W_dk = np.append(first, second)
        self.W_dk_at = np.append(d[i[first]], d[j[second]]), np.append(k[j[first]], k[i[second]])
        self.W_kk = np.flatnonzero((k[i] >= 0) & (k[j] >= 0))
        self.W_kk_at = k[i[self.W_kk]], k[j[self.W_kk]]

    def inside(self, nlp: NLP, x: Array) -> Array:
        """Return a point whose own columns are strictly between their bounds."""
        x = x.copy()
        x[self.held] = inside(x[self.held], nlp.lower[self.held], nlp.upper[self.held])
        return x


class Condensed:
    """A batch at one point; see the module.

    Parameters
    ----------
    nlp, split : of the batch.
    task : what the linearisation depends on.
    point : where.
    """

    def __init__(self, nlp: NLP, split: Split, task: NewtonTask, point: Point) -> None:
        self.nlp, self.split, self.task, self.point = nlp, split, task, point
        s, held = split.scale, split.held
        self._calls = nlp.functions.cache("buffers", lambda: Evaluations(nlp.functions))
        self.x, self.lam, self._p = point.x / s, point.lam_g / nlp.row_scale, nlp.p
        self.barrier = Barrier(
            self.x[held], nlp.lower[held] / s[held], nlp.upper[held] / s[held],
            point.lam_x[held] * s[held], task.mu,
        )  # fmt: skip
        calls = self._at(self.x)
        self.loss = float(calls.f()[0])
        self.c = nlp.row_scale * (calls.g() - nlp.row_lower)
        self.slope = s * calls.gradient()
        self.gradient = self.slope.copy()
        self.gradient[held] += self.barrier.net if task.estimate else self.barrier.gradient
        self._J = split.J_size * calls.jacobian()
        A, by_free = split.A.copy(), np.zeros((len(self.c), len(split.free)))
        A.data, by_free[split.J_k_at] = self._J[split.J_d], self._J[split.J_k]
        try:
            self.A = splu(A)
        except RuntimeError as error:
            raise InputError(
                "the collocation equations do not determine the states (their matrix is singular); "
                "give rules=ADMMRules()."
            ) from error
        self.Z = -self.A.solve(by_free)
        self.r = np.zeros(len(self.c)) if task.estimate else -self.A.solve(self.c)
        self._curvature()

    def _at(self, x: Array) -> Evaluations:
        """Return the functions with their arguments set to a point in scaled columns."""
        self._calls.x[:], self._calls.p[:] = x * self.split.scale, self._p
        return self._calls

    def _curvature(self) -> None:
        """Hessian of the Lagrangian in the null space of the rows, and of the own columns alone."""
        split, calls, Z, m, n = self.split, self._calls, self.Z, len(self.r), len(self.split.free)
        diagonal = np.ones(m + len(split.own))
        if self.task.estimate:
            values = np.zeros(len(split.W_size))
        else:
            calls.sigma[0], calls.lam[:] = 1.0, self.point.lam_g
            values, diagonal = split.W_size * calls.hessian(), self.barrier.curvature
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
            curvature = eigvalsh(self.H[:u, :u])
            least = _LEAST * max(1e-300, float(np.abs(curvature).max()))
            shift = 2.0 * max(0.0, least - float(curvature[0]))
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

    def linear(self, point: Point | None) -> Linear:
        """What the coordinator needs of this point; ``point`` travels along."""
        split, task = self.split, self.task
        g, ends = self._condensed(self._gradient_of(self.r), self._gap(self.x) + self.r[split.end_rows])
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
            point=point,
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

    def moved(self, direction: Direction, size: float, dual_size: float) -> Point:
        """Point after a step."""
        nlp, split, s = self.nlp, self.split, self.split.scale
        d, lam = self._step(direction)
        x, lam_x, held = (self.x + size * d) * s, np.zeros(nlp.columns), split.held
        ports = split.copies[split.ports]
        x[ports] = (self.task.values + size * direction.values)[split.ports] * s[ports]
        lam_x[held] = (self.barrier.net + dual_size * self.barrier.step(d[held])) / s[held]
        lam_g = (self.lam + size * (lam - self.lam)) * nlp.row_scale
        return Point(x, lam_g, lam_x)

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
            first, size = self._step(direction.corrects)[0], direction.size
            r = -self.A.solve(size * self.c + self._rows(self.x + size * first))
        u, dk = len(split.own), np.empty(len(split.free))
        dk[u:] = direction.values[split.ports]
        if self._own is not None:
            g = self._gradient_of(r)[:u] + self.H[:u, u:] @ dk[u:] + self.E[:, :u].T @ direction.pull
            dk[:u] = -cho_solve(self._own, g)
        d = np.zeros(self.nlp.columns)
        d[split.dependent], d[split.free] = r + self.Z @ dk, dk
        left = self.gradient[split.dependent] + self._W_dd @ d[split.dependent] + self._W_dk @ dk
        left[split.end_rows] += direction.pull
        return d, -self.A.solve(left, trans="T")
