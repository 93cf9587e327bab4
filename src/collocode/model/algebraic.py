r"""Algebraic equations :math:`0=g(t,x,z,u,p)`: whether they determine their variables.

The equations are of index 1 where :math:`g_z` is regular.  That needs a matching, of every equation
with a variable of its own in it; where there is none, the coarse decomposition of Dulmage and
Mendelsohn (Can. J. Math. 10, 1958) names the equations that have too few variables and the variables
that are left over.  If the matching is there once states stand for their derivatives as well
(Pantelides, SIAM J. Sci. Stat. Comput. 9, 1988), the index is higher; else the problem is singular.

Equations of a higher index are solved as they stand.  What needs their variables as functions of the
states, a simulation say, takes derivatives of the equations instead: those that have too few variables
are differentiated along :math:`\dot x=f` until all variables are determined.
"""

from __future__ import annotations

import casadi as ca
import numpy as np
from scipy import sparse

from ..errors import InputError
from ..numerics import Array
from ..numerics.random import generator
from ..numerics.scheme import Scheme
from .costs import Mayer
from .problem import Problem
from .symbolic import Symbols, constrained, costed, derivatives, jumped, residuals_by_name

_TRIES, _RANK = 5, 1e-10


def check_algebraics(problem: Problem, scheme: Scheme) -> None:
    """Refuse algebraic equations that do not determine the algebraic variables.

    Raises
    ------
    InputError
        More or fewer equations than variables; a structurally singular system; an index above 1 that
        was not asked for, or with a scheme that is not stiffly accurate.
    """
    if not problem.algebraics:
        return
    s = Symbols.of(problem)
    names, g = residuals_by_name(problem, s)
    index = problem.index
    z, variables = s.u[len(problem.inputs) :], tuple(problem.algebraics)
    by_z = incidence(g, z)
    found = unmatched(by_z)
    if found is not None:
        whole = incidence(ca.vertcat(derivatives(problem, s), g), ca.vertcat(s.x, z))
        nx = len(problem.states)
        whole[np.arange(nx), np.arange(nx)] = True  # a state, or its derivative
        equations = (*(f"d{x}/dt" for x in problem.states), *names)
        lost = unmatched(whole)
        if lost is not None:
            raise InputError(
                f"the equations are structurally singular: {_told(lost, equations, (*problem.states, *variables))}; "
                "replace an equation by one in which these variables occur."
            )
    elif index == 1:
        found = _dependent(problem, s, g)
    if found is not None and index == 1:
        raise InputError(
            f"the algebraic equations are of index above 1: {_told(found, names, variables)}; "
            "differentiate these equations by time, or give Dynamics(index=2 or 3) to solve them as "
            "they stand."
        )
    if index > 1 and not is_stiff(scheme):
        raise InputError(
            f"equations of index {index} need a stiffly accurate scheme with an invertible matrix, which "
            f"{scheme.name!r} is not; choose 'radau', 'implicit_euler' or 'lobatto_iiic'."
        )
    _check_ends(problem, scheme, s)


def _check_ends(problem: Problem, scheme: Scheme, s: Symbols) -> None:
    """Refuse what sees algebraic variables at an end of a window where the scheme has no stage.

    Their equations hold at the stages; what the polynomial through these is worth beyond them an
    optimiser drives anywhere, by the control in one element, at a cost as small as that element.
    """
    asked = [
        *((f"Mayer cost {c.name!r}", c.at, costed(problem, c, s)) for c in problem.costs if isinstance(c, Mayer)),
        *((f"path constraint {c.name!r}", c.at, constrained(problem, c, s)) for c in problem.boundary_constraints),
        *((f"link {link.name!r}", "end", jumped(problem, link, s)) for link in problem.links),
    ]  # fmt: skip
    there = scheme.nodes[list(scheme.stages)]
    for what, at, value in asked:
        if (0.0 if at == "start" else 1.0) in there:
            continue
        for j, name in enumerate(problem.algebraics, len(problem.inputs)):
            if ca.depends_on(value, s.u[j]):
                known = "'lobatto'" if at == "start" else "'radau'"
                raise InputError(
                    f"{what} sees the algebraic variable {name!r} at the {at} of a window, where the scheme "
                    f"{scheme.name!r} has no stage and thus no equation for it; choose scheme={known}, or write "
                    "it by states and inputs."
                )


def reduced(rhs: ca.Function, equations: ca.Function, inputs: int) -> ca.Function:
    """Return algebraic equations of index 1 in place of those of a higher one.

    Parameters
    ----------
    rhs, equations : functions of (t, x, u, p, theta), u with the algebraic variables behind the
        ``inputs``.

    Raises
    ------
    InputError
        Equations whose derivatives are not functions of the same, as they contain inputs or algebraic
        variables; or none that determine the variables after three differentiations.
    """
    arguments = [ca.SX.sym(rhs.name_in(i), rhs.size1_in(i)) for i in range(5)]
    t, x, u = arguments[:3]
    f, g = rhs(*arguments), ca.vertsplit(equations(*arguments))
    for _ in range(4):
        found = unmatched(incidence(ca.vertcat(*g), u[inputs:]))
        if found is None:
            return ca.Function("reduced", arguments, [ca.densify(ca.vertcat(*g))])
        for k in found[0]:
            if ca.depends_on(g[k], u):
                raise InputError(
                    f"algebraic equation {k + 1} contains inputs or algebraic variables and would have to "
                    "be differentiated by time; write the equations so that their index is 1."
                )
            g[k] = ca.jtimes(g[k], x, f) + ca.jacobian(g[k], t)
    raise InputError(
        "the algebraic variables are not determined by three derivatives of their equations; write the "
        "equations so that their index is 1."
    )


def is_stiff(scheme: Scheme) -> bool:
    """Whether the last stage is the end of the element, and no stage is explicit."""
    A, b, c = scheme.butcher
    regular = np.linalg.matrix_rank(A) == len(A)
    return bool(regular and c[-1] == 1.0 and np.abs(A[-1] - b).max() < 1e-9)


def unmatched(incidence: Array) -> tuple[list[int], list[int], list[int]] | None:
    """Return what is left of a square system that has no matching of equations with variables.

    Parameters
    ----------
    incidence : (n, n) whether an equation (row) contains a variable (column).

    Returns
    -------
    Equations that have too few variables, these variables, and variables that are left over; None if
    every equation has a variable of its own.

    Examples
    --------
    Two equations in the first of two variables:

    >>> unmatched(np.array([[True, False], [True, False]]))
    ([0, 1], [0], [1])
    """
    graph = sparse.csr_array(incidence)
    column_of = sparse.csgraph.maximum_bipartite_matching(graph, perm_type="column")
    if (column_of >= 0).all():
        return None
    row_of = np.full(incidence.shape[1], -1)
    row_of[column_of[column_of >= 0]] = np.flatnonzero(column_of >= 0)
    # what an unmatched equation reaches by alternating paths
    equations, variables = list(np.flatnonzero(column_of < 0)[:1]), []
    for row in equations:
        for column in np.flatnonzero(incidence[row]):
            if column not in variables:
                variables.append(column)
                equations.append(row_of[column])
    left = np.flatnonzero(row_of < 0)
    return sorted(map(int, equations)), sorted(map(int, variables)), [int(j) for j in left]


def _dependent(
    problem: Problem, s: Symbols, g: ca.SX
) -> tuple[list[int], list[int], list[int]] | None:
    """Equations of which a combination contains no variable, wherever it is looked at; else None."""
    z, rng = s.u[len(problem.inputs) :], generator(0)
    slope = ca.Function("g_z", s.tuple(), [ca.densify(ca.jacobian(g, z))])
    sizes = (np.ones(1), problem.state_scale, np.ones(s.u.numel()), np.ones(s.p.numel()))
    found: tuple[list[int], list[int], list[int]] | None = None
    for _ in range(_TRIES):
        given = [
            size * rng.uniform(0.1, 1.0, len(size)) for size in (*sizes, np.ones(s.theta.numel()))
        ]
        matrix = np.asarray(slope(*given), dtype=float)
        if not np.isfinite(matrix).all():
            continue
        size = np.abs(matrix).max(axis=1, keepdims=True)
        left, values, right = np.linalg.svd(matrix / np.where(size > 0.0, size, 1.0))
        if values[-1] > _RANK * values[0]:
            return None
        rows, columns = (np.flatnonzero(np.abs(v) > 1e-6) for v in (left[:, -1], right[-1]))
        found = rows.tolist(), [], columns.tolist()
    return found


def incidence(values: ca.SX, variables: ca.SX) -> Array:
    """(values, variables) which values depend on which variables."""
    pattern = ca.jacobian(values, variables).sparsity()
    found = np.zeros(pattern.shape, dtype=bool)
    rows, columns = pattern.get_triplet()
    found[rows, columns] = True
    return found


def _told(
    found: tuple[list[int], list[int], list[int]],
    equations: tuple[str, ...],
    variables: tuple[str, ...],
) -> str:
    too_many, known, left = found
    few = ", ".join(repr(variables[j]) for j in known) or "none of the variables"
    if not known and len(too_many) > 1:
        return (
            f"a combination of {', '.join(repr(equations[k]) for k in too_many)} contains no algebraic "
            f"variable, so they do not determine {', '.join(repr(variables[j]) for j in left)}"
        )
    alone = "determines" if len(too_many) == 1 else "determine"
    only = "only " if known else ""
    return (
        f"{', '.join(repr(equations[k]) for k in too_many)} {alone} {only}{few}, and nothing determines "
        f"{', '.join(repr(variables[j]) for j in left)}"
    )
