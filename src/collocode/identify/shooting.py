r"""Scoring by single shooting: states and their sensitivities by CVODES in place of collocation rows.

.. math:: \dot x=f(t,x,u,p),\quad \dot Z=f_xZ+f_p,\qquad x(t_0)=g(p)\text{ or at rest},\quad Z(t_0)=g_p

Every point is simulated anew, with steps as small as it needs, so that a step of the parameters may change
the trajectory as much as it will, where Newton's method on the rows would lose it and their mesh would no
longer follow it.  All else is Fisher scoring as it stands, on a program with a node at every sample; what it
finds is then climbed on the collocated model, whose derivatives are exact.  What no state depends on, such as
noise and scales of outputs, is fitted before anything else, for which one simulation is enough.  Steps follow
the geodesic to second order, at the price of one simulation without sensitivities more: the curved valleys of
models with parameters that trade for one another take half as many steps then.
Sources: Transtrum and Sethna, *Improvements to the Levenberg-Marquardt algorithm for nonlinear least-squares
minimization*, arXiv 1201.5885, 2012; Hindmarsh and others, *SUNDIALS*, ACM TOMS 31, 2005; Bock, *Numerical
treatment of inverse problems in chemical reaction kinetics*, 1981.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import casadi as ca
import numpy as np
from scipy import sparse

from ..model.experiment import Experiment
from ..model.problem import Problem
from ..model.symbolic import rhs_function
from ..numerics import Array, Index
from ..numerics.mesh import Mesh
from ..numerics.schemes import scheme
from ..solvers.interrupt import interrupted
from ..transcription.assembly import assemble
from ..transcription.discretize import discretize
from ..transcription.functions import Functions
from ..transcription.samples import measured
from .fisher_scoring import OUTER, FisherScoring, Iterate, ScoringResult

_ACCURATE = 1e-8, 1e-10  # relative and absolute tolerance of states, the latter in typical sizes,
_ROUGHLY = 1e-5, 1e-7  # and of sensitivities: by a share of 1e-5 slopes need not be known
_MOST_STEPS = 5000  # of the integrator, between two nodes
_AHEAD, _STRAIGHT = (
    0.1,
    0.75,
)  # share of a step to look ahead by; bends up to this share of it count
_TOLD_BY = 6  # iterations in what no state depends on, by which starts are compared


def can_be_shot(problem: Problem) -> bool:
    """Whether CVODES takes its equations: without delays and moving times, inputs are pieces of lines."""
    estimated = any(isinstance(delay.by, str) for delay in problem.late_inputs.values())
    if problem.lags or estimated or any(e.placed for e in problem.experiments):
        return False
    signals = [s for e in problem.experiments for s in e.inputs.values()]
    return all(s.kind in ("zoh", "linear") for s in signals)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Run:
    """How one experiment is integrated.

    Attributes
    ----------
    states, slopes : (x0, p, u) -> states at the end of every piece, from jump to jump of the inputs, lest
        the integrator remembers what was before; the latter with their derivatives in directions, whose
        x0, p and u stand beside those of the states.
    spans : first and last piece, exclusive, of each of these functions.
    u : (inputs and their slopes, pieces) what they are in each piece.
    nodes : (nodes - 1,) the piece that ends at each node but the first.
    columns : (parameters,) of the program.
    seen : which of the free numbers its states depend on.
    by_p : (parameters, seen) derivatives of its parameters by those.
    """

    states: tuple[ca.Function, ...]
    slopes: tuple[ca.Function, ...]
    spans: tuple[tuple[int, int], ...]
    u: Array
    nodes: Index
    columns: Index
    seen: Index
    by_p: Array


class Shooting(FisherScoring):
    """Fisher scoring of a problem whose points are simulated."""

    def __init__(self, problem: Problem) -> None:
        meshes = [Mesh(_ends(e)) for e in problem.experiments]
        super().__init__(discretize(problem, scheme("radau", 1), mesh=meshes))
        nlp = self.nlp
        self.size = np.asarray(problem.state_scale, dtype=float)
        self.every, self.still = self.free, False
        self.place = np.full(nlp.columns, -1)
        self.place[self.every] = np.arange(len(self.every))
        self.initial = self._initial()
        f = rhs_function(problem)
        known: dict[object, tuple[ca.Function, ca.Function]] = {}
        self.runs = [self._run(k, f, known) for k in range(len(problem.experiments))]
        self.seen = np.unique(np.concatenate([run.seen for run in self.runs]))

    def _initial(self) -> Functions | None:
        """The equations of initial states, where parameters or a rest give them."""
        nlp = self.nlp
        terms = [t for t in nlp.terms if t.name in ("initial", "rest")]
        empty = sparse.csr_matrix((nlp.rows, nlp.columns))
        return assemble(terms, empty, len(nlp.p)) if terms else None

    def _run(
        self, k: int, f: ca.Function, known: dict[object, tuple[ca.Function, ca.Function]]
    ) -> _Run:
        problem, part = self.nlp.problem, self.nlp.layout.experiments[k]
        columns = self.nlp.layout.parameter_columns(k, problem.coefficient_names)
        acting = np.asarray(ca.DM(f.jac_sparsity(0, 3), 1.0)).any(axis=0)
        moving = np.flatnonzero((self.place[columns] >= 0) & acting)
        first = self.place[part.states[0]]
        seen = [self.place[columns[moving]], first[first >= 0]]
        if self.initial is not None and len(part.initial_rows):
            pattern = self.initial.jacobian(self.nlp.start, self.nlp.p)[1].sparse().tocsr()
            found = self.place[pattern[part.initial_rows].indices]
            seen.append(found[found >= 0])
        mine = np.unique(np.concatenate(seen))
        by_p = np.zeros((len(columns), len(mine)))
        by_p[moving, np.searchsorted(mine, self.place[columns[moving]])] = 1.0
        signals = [problem.experiments[k].inputs[name] for name in problem.inputs]
        cuts = [part.times, *(s.jumps for s in signals), *(s.kinks[0] for s in signals)]
        grid = np.unique(np.concatenate(cuts))
        grid = grid[(grid >= part.times[0]) & (grid <= part.times[-1])]
        left, right = grid[:-1], grid[1:]
        values = np.array([s(left) for s in signals]).reshape(len(signals), len(left))
        ends = np.array([s(right, left=True) for s in signals]).reshape(values.shape)
        bent = bool((values != ends).any())
        u = np.vstack([values, (ends - values) / (right - left), left]) if bent else values
        jumps = np.searchsorted(grid, np.concatenate([np.empty(0), *(s.jumps for s in signals)]))
        inside = jumps[(jumps > 0) & (jumps < len(left))].tolist()
        spans = tuple(itertools.pairwise([0, *sorted(set(inside)), len(left)]))
        keys = [(bent, len(mine), tuple(grid[a : b + 1])) for a, b in spans]
        for key, (a, b) in zip(keys, spans, strict=True):
            if key not in known:
                known[key] = _integrators(f, self.size, grid[a : b + 1], bent, len(mine))
        return _Run(
            states=tuple(known[key][0] for key in keys),
            slopes=tuple(known[key][1] for key in keys),
            spans=spans,
            u=u,
            nodes=np.searchsorted(right, part.times[1:]),
            columns=columns,
            seen=mine,
            by_p=by_p,
        )

    def started(self, candidates: Iterable[Mapping[str, float]]) -> Array | None:
        """Return the best of several starts, by what it costs when all is fitted that no state depends on.

        Parameters
        ----------
        candidates : values of parameters in natural units; the others have their starts.

        Returns
        -------
        (columns,) or None, if none can be simulated.
        """
        known = {q.name: q for q in self.nlp.problem.all_parameters}
        best, least = None, np.inf
        for values in candidates:
            x = self.nlp.start.copy()
            for name, value in values.items():
                x[self.nlp.layout.columns_of(name)] = known[name].decided(value)
            found = self.outer(x, _TOLD_BY)
            if found.value < least:
                best, least = found.x, found.value
            if interrupted():
                break
        return best

    def outer(self, x: Array, most: int = OUTER) -> ScoringResult:
        """Climb in what no state depends on."""
        found = self._simulated(np.clip(x, self.nlp.lower, self.nlp.upper), slopes=False)
        if found is None:
            return self.run(np.full(len(x), np.nan), 0)
        self.free, self.still = np.delete(self.every, self.seen), True
        try:
            return self.run(found[0], most if len(self.free) else 0)
        finally:
            self.free, self.still = self.every, False

    def _at(self, x: Array) -> Iterate | None:
        """Simulate; only what no state depends on has changed while the states are still."""
        if not np.isfinite(x).all():
            return None
        found = (x, np.zeros((len(x), len(self.free)))) if self.still else self._simulated(x)
        if found is None:
            return None
        x, Z = found
        Z[self.free] = np.eye(len(self.free))
        return self._judged(x, Z)

    def _moved(self, here: Iterate, s: Array) -> Iterate | None:
        return self._at(self._stepped_to(here.x, s))

    def _acceleration(self, here: Iterate, s: Array, damped: Array, size: Array) -> Array | None:
        """The geodesic acceleration -H⁻¹Jᵀ I h'' with the second derivative of the predictions along the step."""
        ahead = None
        if not self.still:
            there = self._stepped_to(here.x, _AHEAD * s)
            ahead = self._simulated(there, slopes=False)
        if ahead is None:
            return None
        change = (self.nlp.predictions(ahead[0])[0].ravel() - here.predicted) / _AHEAD
        seen = here.weights > 0.0
        curved = (2.0 / _AHEAD) * (change - here.by_free @ s)[seen]
        force = here.by_free[seen].T @ (here.weights[seen] * curved) / size
        moves = s != 0.0  # none that a bound holds
        if not moves.any() or not np.isfinite(force).all():
            return None
        acceleration = np.zeros_like(s)
        acceleration[moves] = -np.linalg.solve(damped[np.ix_(moves, moves)], force[moves])
        small = np.linalg.norm(acceleration) < _STRAIGHT * np.linalg.norm(s * size)
        return acceleration / size if small else None

    def _simulated(self, x: Array, slopes: bool = True) -> tuple[Array, Array] | None:
        """The point with simulated states, and their derivatives by the free numbers; None if that fails."""
        x, Z = self.nlp.with_initial(x), np.zeros((len(x) if slopes else 0, len(self.every)))
        by_x = None
        if slopes and self.initial is not None:
            by_x = self.initial.jacobian(x, self.nlp.p)[1].sparse().tocsr()
        for run, part in zip(self.runs, self.nlp.layout.experiments, strict=True):
            first, p = x[part.states[0]], x[run.columns]
            if not np.isfinite(first).all():
                return None
            try:
                found = _along(run.states, run.spans, first[:, None] / self.size[:, None], p, run.u)
                x[part.states[1:]] = found[:, run.nodes].T * self.size
                if slopes:
                    start = np.zeros((len(first), len(self.every)))
                    own_place = self.place[part.states[0]]
                    start[own_place >= 0, own_place[own_place >= 0]] = 1.0
                    if by_x is not None and len(part.initial_rows):
                        rows = by_x[part.initial_rows].tocsc()
                        own = rows[:, part.states[0, part.determined]].toarray()
                        start[part.determined] = -np.linalg.solve(
                            own, rows[:, self.every].toarray()
                        )
                    Z[part.states[0]] = start
                    self._follow(Z, run, part.states[1:], first, p, start)
            except (RuntimeError, np.linalg.LinAlgError):  # of CVODES, of a rest's equations
                return None
        return (x, Z) if np.isfinite(x).all() and np.isfinite(Z).all() else None

    def _follow(
        self, Z: Array, run: _Run, columns: Index, first: Array, p: Array, start: Array
    ) -> None:
        """Put the derivatives of later states into Z."""
        if not len(run.seen):
            return
        wide = 1 + len(run.seen)
        u = np.zeros((len(run.u), run.u.shape[1] * wide))
        u[:, ::wide] = run.u
        begin = np.column_stack([first, start[:, run.seen]]) / self.size[:, None]
        found = _along(run.slopes, run.spans, begin, np.column_stack([p, run.by_p]), u)
        table = found.reshape(len(first), -1, wide)[:, run.nodes, 1:]
        for i, size in enumerate(self.size):
            Z[np.ix_(columns[:, i], run.seen)] = size * table[i]


def _along(
    functions: Sequence[ca.Function],
    spans: Sequence[tuple[int, int]],
    start: Array,
    p: Array,
    u: Array,
) -> Array:
    """(states, pieces · columns of the start) the states at the ends of all pieces."""
    found, wide = [], start.shape[1]
    for function, (first, last) in zip(functions, spans, strict=True):
        states = np.asarray(function(x0=start, p=p, u=u[:, first * wide : last * wide])["xf"])
        found.append(states)
        start = states[:, -wide:]
    return np.hstack(found)


def _ends(e: Experiment) -> Array:
    """Start, samples and end of an experiment."""
    assert e.start is not None and e.end is not None
    ends = np.unique(np.concatenate([[e.start, e.end], e.times[measured(e)]]))
    return ends[np.append(True, np.diff(ends) > 1e-9 * (e.end - e.start))]


def _integrators(
    f: ca.Function, size: Array, grid: Array, bent: bool, directions: int
) -> tuple[ca.Function, ca.Function]:
    """CVODES over the pieces of a grid, for the states in their sizes, and for their derivatives.

    It counts time from the first of them, lest its steps are rounded where times are large, and in lengths of the
    grid, for CasADi does not integrate over less than 1e-9.
    """
    length = float(grid[-1] - grid[0])
    since, x, p = ca.SX.sym("since"), ca.SX.sym("x", len(size)), ca.SX.sym("p", f.size1_in(3))
    n, scale, t = f.size1_in(2), ca.DM(size.tolist()), float(grid[0]) + length * since
    u = ca.SX.sym("u", 2 * n + 1 if bent else n)
    value = u[:n] + u[n : 2 * n] * (t - u[2 * n]) if bent else u
    rates = length * f(t, scale * x, value, p, ca.SX(0, 1)) / scale
    equations = {"t": since, "x": x, "p": p, "u": u, "ode": rates}

    def made(tolerances: tuple[float, float], along: int = 0) -> ca.Function:
        options = {
            "nfwd": along,
            "reltol": tolerances[0],
            "abstol": tolerances[1],
            "max_num_steps": _MOST_STEPS,
            "show_eval_warnings": False,
            "disable_internal_warnings": True,
        }
        later = ((grid[1:] - grid[0]) / length).tolist()
        return ca.integrator("shot", "cvodes", equations, 0.0, later, options)

    return made(_ACCURATE), made(_ROUGHLY, directions)
