"""Kinks and jumps in what a problem's functions say, which second-order steps do not cross.

Newton steps of `|v|` know its slope on one side alone; near the kink they go to and fro.  Many a problem is solved
all the same, whose optimum is beside the kink, so nothing is said of a kink unless a solver fails.
"""

from __future__ import annotations

from collections.abc import Iterator

import casadi as ca

from .activations import CASADI, activation
from .network import MLP
from .problem import Problem
from .symbolic import Symbols, constrained, costed, derivatives, observed, residuals

_NAMES = {
    ca.OP_FABS: "fabs",
    ca.OP_SIGN: "sign",
    ca.OP_FMIN: "fmin",
    ca.OP_FMAX: "fmax",
    ca.OP_FLOOR: "floor",
    ca.OP_CEIL: "ceil",
    ca.OP_FMOD: "fmod",
    ca.OP_REMAINDER: "remainder",
    ca.OP_COPYSIGN: "copysign",
    ca.OP_IF_ELSE_ZERO: "if_else",
}


def kinked(problem: Problem) -> list[str]:
    """Return a phrase for every function that has kinks or jumps in what a solver decides, as "cost 'effort' (fabs)"."""
    s = Symbols.of(problem)
    own = [e.inputs for e in problem.experiments]
    given = {name for name in problem.inputs if all(name in inputs for inputs in own)}
    open_ = [s.u[j] for j, name in enumerate(problem.carried) if name not in given]
    unknown = ca.vertcat(s.x, *open_, s.p, s.theta)
    known = set[int]().union(
        *(_operations_of(n.mlp) for n in problem.dynamics.networks.values())
    )  # of networks, each of which tells of its kinks by itself
    found = []
    for what, value in _functions(problem, s):
        names = [_NAMES[op] for op in sorted(_kinks(value, s, unknown) - known)]
        if names:
            found.append(f"{what} ({', '.join(names)})")
    return found


def _functions(problem: Problem, s: Symbols) -> Iterator[tuple[str, ca.SX]]:
    """What a solver sees of the problem, each with its name."""
    rhs = derivatives(problem, s)
    yield from ((f"the derivative of {n!r}", rhs[k]) for k, n in enumerate(problem.states))
    if problem.algebraics:
        yield "the algebraic equations", residuals(problem, s)
    if problem.n_measurements:
        yield "what is observed", observed(problem, s)
    yield from ((f"cost {c.name!r}", costed(problem, c, s)) for c in problem.costs)
    yield from (
        (f"constraint {c.name!r}", constrained(problem, c, s)) for c in problem.path_constraints
    )


def _operations_of(network: MLP) -> set[int]:
    v = ca.SX.sym("v")
    function = ca.Function("formula", [v], [activation(network.activation).formula(v, CASADI)])
    return {function.instruction_id(k) for k in range(function.n_instructions())}


def _kinks(value: ca.SX, s: Symbols, unknown: ca.SX) -> set[int]:
    """Operations with kinks whose operands depend on unknowns."""
    rest = [v for v in ca.symvar(value) if not ca.depends_on(v, unknown)]
    function = ca.Function("value", [unknown, ca.vertcat(ca.SX(0, 1), *rest)], [value])
    moves = [False] * function.sz_w()
    found = set()
    for k in range(function.n_instructions()):
        op, places = function.instruction_id(k), function.instruction_input(k)
        if op == ca.OP_INPUT:
            depends = places[0] == 0
        elif op == ca.OP_OUTPUT:
            continue
        else:
            depends = any(moves[i] for i in places)
        moves[function.instruction_output(k)[0]] = depends
        if depends and op in _NAMES:
            found.add(op)
    return found
