r"""The dynamics' residual between the stages, integrated: what `Scheme.residual` charges.

Collocation asks for :math:`\dot x_h=f` at the stages and says nothing of the time between them.  The term

.. math:: w\sum_e\int_e\sum_i\Bigl(\frac{\dot x_{h,i}-f_i(t,x_h,u_h)}{\bar x_i}\Bigr)^2dt

does, with :math:`x_h, u_h` the polynomials of the element, :math:`\bar x` the typical sizes of the states
and Gauss' quadrature at two points more than there are stages.  It vanishes with :math:`h^{2s}`, faster than
the scheme's own error, and regularises what the stages do not see: the swing of a control along a
singular arc, a network's slope between the stages of a coarse mesh.

Source: Y. Nie, E. C. Kerrigan, arXiv 2503.09123 (2025), integrated residual regularised direct collocation;
without the rows of collocation it is the penalty of M. P. Neuenhofen, E. C. Kerrigan, arXiv 1712.07761.
"""

from __future__ import annotations

from functools import partial

import casadi as ca
import numpy as np

from ..model.problem import Problem
from ..model.symbolic import Symbols, derivatives
from ..numerics.scheme import Scheme
from .costs import inputs_at
from .decided import Group, Place, times_of
from .layout import Layout
from .lift import lift
from .term import MappedTerm, ParameterBlocks, data_function
from .unknowns import Unknowns
from .windows import ExperimentLayout

NAME = "integrated residual"


def integrated_residual(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks, group: Group
) -> list[MappedTerm]:
    """Return the term of a group's windows, a point a quadrature point; none if nothing is charged."""
    if not scheme.residual:
        return []
    s, step, share = Symbols.of(problem), ca.SX.sym("h"), ca.SX.sym("share")
    nx, nodes = len(problem.states), scheme.intervals + 1
    at, weights = scheme.residual_quadrature
    states, value, slope = (ca.SX.sym(n, k, nodes) for n, k in (("X", nx), ("l", 1), ("d", 1)))
    own, places, known, inputs = [], [], [], []
    for number in group.numbers:
        part = layout.experiments[number]
        elements = np.arange(part.mesh.elements)
        place = _places(number, part, at)
        places.append(place)
        columns = part.states[part.element_nodes()].reshape(len(elements), nodes * nx)
        own.append(np.repeat(columns, len(at), axis=0))
        tables = [scheme.interpolation(at), scheme.slopes(at), weights[:, None]]
        repeated = [np.tile(table, (len(elements), 1)) for table in tables]
        known.append(np.hstack([*repeated, np.repeat(part.mesh.steps, len(at))[:, None]]))
        inputs.append(inputs_at(problem, problem.experiments[number], place.times, False))
    v = Unknowns.of(problem, layout, s, places).at_states(s, ca.mtimes(states, value.T))
    sizes = ca.DM(problem.state_scale)

    def charged(f: ca.SX) -> ca.SX:
        defect = (ca.mtimes(states, slope.T) - step * v.stretch * v.put_into(f)) / sizes
        return scheme.residual * share * ca.sumsqr(defect) / (step * v.stretch)

    f = derivatives(problem, s)
    constants = [times_of(places), *v.constants, np.vstack(known), np.vstack(inputs)]
    symbols = ca.vertcat(s.t, v.data, value.T, slope.T, share, step, s.u)
    return [
        MappedTerm.build(
            NAME,
            charged(f),
            (ca.vertcat(ca.vec(states), v.own), np.hstack([np.vstack(own), v.own_columns])),
            (v.shared, v.shared_columns),
            (symbols, data_function(blocks, constants, [])),
            None,
            lift(problem, s, v, (f, partial(derivatives, problem)), charged),
        )
    ]


def _places(number: int, part: ExperimentLayout, at: np.ndarray) -> Place:
    """Return the quadrature points of all elements of an experiment."""
    mesh, count = part.mesh, len(at)
    return Place(
        number,
        (mesh.points[:-1, None] + mesh.steps[:, None] * at[None, :]).ravel(),
        False,
        np.repeat(np.arange(mesh.elements), count),
        np.tile(at, mesh.elements),
    )
