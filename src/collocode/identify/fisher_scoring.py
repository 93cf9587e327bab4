r"""Fisher scoring on the collocated model: maximum likelihood in the few numbers that are free.

The collocation rows :math:`c(X,d)=0` determine the states X by the free unknowns d (parameters, free
initial states), so :math:`-\log L` is a function of d alone, with

.. math:: \nabla = Z^T\nabla_Xf + \nabla_df, \quad Z=-c_X^{-1}c_d, \qquad
          H \approx J^TI_hJ + S^TI_\sigma S + P,

Fisher's information of the data on predictions and noise and the priors' curvature.  H has no negative
curvature whatever the point, which is why flat and rugged likelihoods with estimated noise are climbed
where a Newton method on all variables needs hundreds of iterations.  Each step is Levenberg and
Marquardt's within the bounds,

.. math:: \min_s \nabla^Ts+\tfrac12s^T(H+\mu D)s, \quad l\le d+s\le u,\quad |s_i|\le r_i,

and the states follow by Newton's method on the rows, one sparse factorisation an experiment.  What is
decided on a logarithm goes by no more than a factor of ten in a step (r): far from the data a longer one
throws parameters to bounds where the likelihood is flat.  Before the first step the numbers that no
state depends on, such as noise and scales of outputs, climb alone: the states' part of it is then weighed
by a noise that has the size of what they miss.
Sources: Osborne, *Fisher's method of scoring*, Int. Stat. Rev. 60, 1992; Bock, *Numerical treatment of
inverse problems in chemical reaction kinetics*, 1981; Nielsen, *Damping parameter in Marquardt's
method*, IMM-REP-1999-05, for μ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from scipy import sparse

from ..model.parameters import SCALES
from ..numerics import Array, Mask
from ..results.status import Termination
from ..solvers.interrupt import interrupted
from ..solvers.protocol import OnIteration, Progress
from ..transcription.nlp import NLP
from .degrees_of_freedom import prior_root
from .information import FisherInformation

MOST = 300
DAMPING = 1e-3  # at first
OUTER = 30  # iterations of what no state depends on
_SMALL = 1e-9  # relative decrease of -log L that counts as none ...
_RESTS = 3  # ... and so many of them in a row as the end
_TRIES = 25
_FLAT = 1e-6  # curvature below which a direction counts as flat, by the square of a usual size
_LEAST = 1e-10  # damping that is always there, lest flat directions make H singular


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoringResult:
    """Where scoring ended: the point, -log L with the priors' share, the values on the way, the damping."""

    x: Array
    value: float
    termination: Termination
    history: tuple[float, ...]
    damping: float


@dataclass(eq=False)
class Iterate:
    """A point on the model, with what a step needs.

    Attributes
    ----------
    x, slopes : (columns,) the point, (columns, free) its derivatives by the free numbers.
    value, slope, root : -log L, (free,) its gradient, and the root of its information.
    predicted, by_free, weights : (data,) predictions, their derivatives and the information on them.
    of_noise : (free,) which of the free numbers say the noise alone.
    """

    x: Array
    slopes: Array
    value: float
    slope: Array
    root: Array
    predicted: Array
    by_free: Array
    weights: Array
    of_noise: Mask


class FisherScoring:
    """Fisher scoring of one program, from as many starts as wanted."""

    def __init__(self, nlp: NLP) -> None:
        self.nlp, layout = nlp, nlp.layout
        own = [np.append(e.free_initial, e.parameters) for e in layout.experiments]
        columns = np.concatenate([*own, layout.shared]).astype(int)
        self.free = columns[nlp.lower[columns] < nlp.upper[columns]]
        self.half = 0.5 * nlp.problem.n_measurements
        self.reach = np.full(nlp.columns, np.inf)
        for q in nlp.problem.all_parameters:
            self.reach[layout.columns_of(q.name)] = SCALES[q.scale].decade

    def outer(self, x: Array, most: int = OUTER) -> ScoringResult:
        """Climb in the numbers alone that say the noise and nothing else."""
        here, every = self._at(np.clip(x, self.nlp.lower, self.nlp.upper)), self.free
        if here is None:
            return self.run(x, 0)
        self.free = every[here.of_noise]
        try:
            return self.run(here.x, most if len(self.free) else 0)
        finally:
            self.free = every

    def run(
        self,
        x: Array,
        most: int = MOST,
        on_iteration: OnIteration | None = None,
        give_up: Callable[[Sequence[float]], bool] | None = None,
        damping: float = DAMPING,
    ) -> ScoringResult:
        """Climb from a point, whose states are near what its numbers make of them.

        Parameters
        ----------
        x : (columns,) start.
        most : iterations.
        on_iteration : called with every iterate.
        give_up : told -log L of all iterates, says whether to go on no more.
        damping : that the first step begins with.
        """
        here = self._at(np.clip(x, self.nlp.lower, self.nlp.upper))
        if here is None:
            end = Termination.EVALUATION_ERROR
            return ScoringResult(x=x, value=np.inf, termination=end, history=(), damping=damping)
        history, growth, rests = [here.value], 2.0, 0
        end = Termination.ITERATION_LIMIT
        for _ in range(most):
            if on_iteration is not None:
                shown = Progress(len(history) - 1, here.value / self.half, 0.0)
                on_iteration(shown)
            if interrupted():
                end = Termination.INTERRUPTED
                break
            there, damping, growth, flat = self._stepped(here, damping, growth)
            if there is None:
                end = Termination.CONVERGED if flat else Termination.STALLED
                break
            small = here.value - there.value < _SMALL * max(1.0, abs(there.value))
            here, rests = there, rests + 1 if small else 0
            history.append(here.value)
            if rests >= _RESTS:
                end = Termination.CONVERGED
                break
            if give_up is not None and give_up(history):
                end = Termination.EARLY_STOPPED
                break
        return ScoringResult(
            x=here.x, value=here.value, termination=end, history=tuple(history), damping=damping
        )

    def _stepped(
        self, here: Iterate, damping: float, growth: float
    ) -> tuple[Iterate | None, float, float, bool]:
        """The next point and damping; no point, and whether that is since nothing pulls, at an end."""
        nlp, free = self.nlp, self.free
        d = here.x[free]
        reach = self._reach(here)
        low = np.maximum(nlp.lower[free] - d, -reach)
        high = np.minimum(nlp.upper[free] - d, reach)
        H = here.root.T @ here.root
        D = np.maximum(np.diag(H), _FLAT / nlp.column_scale[free] ** 2)
        for _ in range(_TRIES):
            size = np.sqrt(D)  # in whose units all that is steep has curvature one
            damped = H / np.outer(size, size) + (damping + _LEAST) * np.eye(len(size))
            s = _within(here.slope / size, damped, low * size, high * size) / size
            hoped = -(here.slope @ s + 0.5 * s @ H @ s)
            if hoped <= 1e-13 * max(1.0, abs(here.value)):
                return None, damping, growth, True
            acceleration = self._acceleration(here, s, damped, size)
            bent = s if acceleration is None else np.clip(s + 0.5 * acceleration, low, high)
            there = self._moved(here, bent)
            if there is not None and there.value < here.value - 1e-4 * hoped:
                ratio = (here.value - there.value) / hoped
                return there, damping * max(0.2, 1.0 - (2.0 * ratio - 1.0) ** 3), 2.0, False
            damping, growth = damping * growth, 2.0 * growth
        return None, damping, growth, False

    def _acceleration(self, here: Iterate, s: Array, damped: Array, size: Array) -> Array | None:
        """The second derivative of the path that a step begins; None where it goes straight."""
        return None

    def _reach(self, here: Iterate) -> Array:
        """How far a step may go: what is on a logarithm, and noise on any scale, by a factor of ten.

        Where σ is too small, its score grows with the squares and Fisher's information does not, so the
        step overshoots by orders of magnitude, from which each step back is a half.
        """
        reach, size = self.reach[self.free], 9.0 * np.abs(here.x[self.free])
        return np.where(here.of_noise & np.isinf(reach) & (size > 0.0), size, reach)

    def _stepped_to(self, x: Array, s: Array) -> Array:
        """The point after a step of the free numbers, its states as they were."""
        there = x.copy()
        low, high = self.nlp.lower[self.free], self.nlp.upper[self.free]
        there[self.free] = np.clip(x[self.free] + s, low, high)
        return there

    def _moved(self, here: Iterate, s: Array) -> Iterate | None:
        """The point of other numbers, with the states that they make."""
        x = self._stepped_to(here.x, s)
        predicted = x + here.slopes @ s
        predicted[self.free] = x[self.free]
        found = self._at(predicted)
        return self._at(x) if found is None else found

    def _at(self, x: Array) -> Iterate | None:
        """Put the states onto the model by Newton's method; None where that fails."""
        nlp, x, last = self.nlp, x.copy(), np.inf
        for _ in range(20):
            g, jacobian = nlp.functions.jacobian(x, nlp.p)
            g, J = np.asarray(g, dtype=float).ravel(), sparse.csr_matrix(jacobian.sparse())
            if not (np.isfinite(g).all() and np.isfinite(J.data).all()):
                return None
            parts, step = [], np.zeros_like(x)
            for part in nlp.layout.experiments:
                rows = J[part.equations].tocsc()
                try:
                    factor = sparse.linalg.splu(rows[:, part.dependent])
                except RuntimeError:  # singular
                    return None
                step[part.dependent] = -factor.solve(g[part.equations])
                parts.append((part, factor, rows))
            x += step
            if not np.isfinite(x).all():
                return None
            size = float(np.abs(step / (np.abs(x) + 1e-3 * nlp.column_scale)).max(initial=0.0))
            if size < 1e-9 or (size < 1e-6 and size > 0.5 * last):
                return self._judged(x, self._followed(parts))
            last = size
        return None

    def _followed(self, parts: list[tuple[Any, Any, Any]]) -> Array:
        """(columns, free) derivatives of all by the free numbers."""
        Z = np.zeros((self.nlp.columns, len(self.free)))
        Z[self.free] = np.eye(len(self.free))
        for part, factor, rows in parts:
            by_free = rows[:, self.free].toarray()
            seen = np.flatnonzero(np.abs(by_free).sum(axis=0))
            Z[np.ix_(part.dependent, seen)] = -factor.solve(by_free[:, seen])
        return Z

    def _judged(self, x: Array, Z: Array) -> Iterate | None:
        """What a step needs at a point whose states are what its numbers make of them."""
        nlp, half = self.nlp, self.half
        value, slope = half * nlp.objective(x), Z.T @ (half * nlp.gradient(x))
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            return None
        h, by_h = nlp.predictions(x)
        J, S = by_h @ Z, nlp.spreads(x)[1] @ Z
        weights = nlp.parameters["weights"] * nlp.problem.n_measurements
        with np.errstate(all="ignore"):  # of data that are not there
            told = FisherInformation.of(nlp, x, h, slopes=False)
            mixed, rest, _ = told.rows(J, S, weights)
            u = (weights * told.on_h).ravel()
        kept = weights.ravel() > 0.0
        of_noise = (J == 0.0).all(axis=0) & (S != 0.0).any(axis=0)
        prior = prior_root(nlp, x, nlp.problem.n_measurements) @ Z
        root = np.vstack([np.sqrt(u[kept])[:, None] * mixed[kept], rest, prior])
        if not np.isfinite(root).all():
            return None
        return Iterate(
            x=x,
            slopes=Z,
            value=value,
            slope=slope,
            root=root,
            predicted=h.ravel(),
            by_free=J,
            weights=np.where(kept, u, 0.0),
            of_noise=of_noise,
        )


def _within(slope: Array, H: Array, low: Array, high: Array) -> Array:
    """Minimise slope·s + s·H s/2 with low <= s <= high, H positive definite: by active bounds."""
    held: Mask = ((low >= 0.0) & (slope > 0.0)) | ((high <= 0.0) & (slope < 0.0))
    s = np.zeros_like(slope)
    for _ in range(4 * len(slope) + 4):
        free = np.flatnonzero(~held)
        s[held] = np.clip(s[held], low[held], high[held])
        if len(free):
            rest = slope[free] + H[np.ix_(free, np.flatnonzero(held))] @ s[held]
            goal = -scipy.linalg.solve(H[np.ix_(free, free)], rest, assume_a="pos")
            step = goal - s[free]
            with np.errstate(all="ignore"):
                room = np.where(step > 0.0, high[free] - s[free], low[free] - s[free]) / step
            room = np.where(step == 0.0, np.inf, room)
            share = min(1.0, float(room.min()))
            s[free] += share * step
            if share < 1.0:
                stopped = free[int(room.argmin())]
                s[stopped] = high[stopped] if step[int(room.argmin())] > 0.0 else low[stopped]
                held[stopped] = True
                continue
        pull = slope + H @ s
        inward = held & (((s <= low) & (pull < 0.0)) | ((s >= high) & (pull > 0.0)))
        inward &= low < high
        worst = np.where(inward, np.abs(pull), 0.0)
        if worst.max(initial=0.0) <= 1e-12:
            break
        held[int(worst.argmax())] = False
    return np.clip(s, low, high)
