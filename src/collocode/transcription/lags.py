r"""Delayed states: :math:`z_k=x_h(t_k-\tau)` at every stage, as an unknown with a row that says so.

The interpolant of the elements, :math:`x_h(t)=\sum_j\ell_j(\sigma)X_{e,j}` with the element e that holds t and
:math:`\sigma=(t-t_{e-1})/h_e`, is looked up where the delay points to, or the history :math:`\varphi` if that
is before the start:

.. math:: 0=z_k-\begin{cases}\varphi(t_k-\tau,p)&t_k-\tau<t_0\\
          \sum_e\mathbf 1_e(t_k-\tau)\sum_j\ell_j(\sigma_e)X_{e,j}&\text{else.}\end{cases}

A known delay looks into one element.  One that is estimated may point anywhere between its bounds, so a
row knows all elements there, and of each step of the solver the element that holds
:math:`t_k-\tau` counts: the row is exact for every τ, not only near the start, continuous as the
interpolant is, and its derivative by τ is :math:`\dot x_h(t_k-\tau)`.  That is continuous within an element and
jumps between two by what the collocation solution is off, so nothing has to be solved again for another
choice of elements.  The z's keep the Hessian sparse: a row is linear in the states and in z.

Where the solution has a kink that no mesh point marks (with an estimated delay at :math:`t_0+\tau`, of the
second derivative if the history meets the initial state), an element that holds it is of lower order.
Sources: Hairer, Nørsett and Wanner, *Solving ODEs I*, II.17; Baker and Paul, *Pitfalls in parameter
estimation for delay differential equations*, SIAM J. Sci. Comput. 18, 1997.
"""

from __future__ import annotations

from collections.abc import Sequence

import casadi as ca
import numpy as np
from scipy import sparse

from ..model.delays import Delay, span_of
from ..model.problem import Problem
from ..model.symbolic import Symbols, named_parameters, past
from ..numerics import Array, Index
from ..numerics.scheme import Scheme
from .costs import stage_places
from .layout import Layout
from .lookup import node_weights
from .term import MappedTerm, ParameterBlocks, data_function
from .unknowns import Unknowns
from .windows import ExperimentLayout

_BESIDE = 1e-9  # of an element: at a mesh point its end looks to the left, its start to the right


def lags(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks
) -> list[MappedTerm]:
    """Return a term for every delayed state of every experiment."""
    return [
        _lag(problem, layout, scheme, blocks, number, k, name, delay)
        for number in range(len(layout.experiments))
        for k, (name, delay) in enumerate(problem.lags.items())
    ]


def _lag(
    problem: Problem,
    layout: Layout,
    scheme: Scheme,
    blocks: ParameterBlocks,
    number: int,
    k: int,
    name: str,
    delay: Delay,
) -> MappedTerm:
    s, part, experiment = (
        Symbols.of(problem),
        layout.experiments[number],
        problem.experiments[number],
    )
    place = stage_places(number, part, scheme)
    v = Unknowns.of(problem, layout, s, [place])
    assert place.element is not None and place.tau is not None
    beside = _BESIDE * part.mesh.steps[place.element] * (1.0 - 2.0 * place.tau)
    times = place.times + beside
    known = {q.name: q for q in problem.all_parameters}
    first, count = _elements(part, times, span_of(delay, experiment, known))
    state, m = problem.states.index(delay.of), scheme.intervals
    nodes = part.states[first[:, None] * m + np.arange(count * m + 1), state]
    X, P = ca.SX.sym("X", nodes.shape[1]), ca.SX.sym("P", count + 1)
    initial = ca.SX.sym("X0")
    by = named_parameters(problem, s)[delay.by] if isinstance(delay.by, str) else delay.by
    then = s.t - by
    before = past(problem, experiment, delay.of, s, then)
    value = ca.if_else(
        then < part.mesh.start,
        initial if before is None else before,
        ca.dot(node_weights(scheme, then, P, count), X),
    )
    z = s.u[problem.carried.index(name)]
    points = part.mesh.points[first[:, None] + np.arange(count + 1)]
    begun = np.full((len(times), 1), part.states[0, state])
    rows = part.algebraic_rows[:, :, k].ravel()
    entries = (np.ones(len(rows)), (rows, np.arange(len(rows))))
    return MappedTerm.build(
        f"lag.{name}",
        v.put_into(z - value),
        (ca.vertcat(X, initial, v.own), np.hstack([nodes, begun, v.own_columns])),
        (v.shared, v.shared_columns),
        (
            ca.vertcat(s.t, P, v.data),
            data_function(blocks, [times[:, None], points, *v.constants], []),
        ),
        sparse.csc_matrix(entries, shape=(layout.rows, len(rows))),
    )


def _elements(part: ExperimentLayout, times: Array, span: tuple[float, float]) -> tuple[Index, int]:
    """(points,) the first of as many elements as a delay may point to, and how many these are."""
    least, most = span
    inside = [np.clip(times - by, part.mesh.start, part.mesh.end) for by in (most, least)]
    first, last = (part.mesh.locate(t)[0] for t in inside)
    count = int((last - first).max()) + 1
    return np.minimum(first, part.mesh.elements - count), count


def put_lags(terms: Sequence[MappedTerm], x: Array, p: Array) -> None:
    """Put delayed states that are those of the states into ``x``, in place; ``p`` are the program's."""
    for term in (term for term in terms if term.name.startswith("lag.")):
        shared = ca.repmat(ca.DM(x[term.shared_columns].tolist()), 1, term.points)
        arguments = x[term.own_columns].T, shared, term.data_function(ca.DM(p.tolist()))
        missed = np.asarray(term.function.map(term.points)(*arguments)).ravel()
        name = term.name.removeprefix("lag.")
        mine = [str(symbol) for symbol in ca.vertsplit(term.own)].index(name)
        x[term.own_columns[:, mine]] -= missed
