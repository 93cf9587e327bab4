r"""Where algebraic equations of index above 1 begin: what the states alone have to satisfy there.

Such equations, :math:`0=g(t,x)` and the derivatives of it that contain no algebraic variable, hold along
every solution.  Collocation at the stages of a stiffly accurate scheme keeps them from its first stage on,
not at the start itself: an initial state that is free could lie beside them, and the first element would
jump onto them at no cost to the equations.  So they are constraints at the start of every window, where
they are not known to hold: a state that goes over from another window satisfies them already, and of
states that are given it is tested.

Source: Brenan, Campbell and Petzold, *Numerical Solution of Initial-Value Problems in DAEs*, 1996, 5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import casadi as ca
import numpy as np

from ..errors import InputError
from .algebraic import incidence, unmatched
from .constraints import PathConstraint
from .dynamics import Named, stack
from .experiment import Experiment
from .problem import Problem
from .symbolic import Symbols, constrained, residuals_by_name

_CLOSE = 1e-6  # of the sizes of its terms, what an equation may be off where the states are given
_KNOWN: WeakKeyDictionary[Problem, tuple[PathConstraint, ...]] = WeakKeyDictionary()


def end_constraints(problem: Problem) -> tuple[PathConstraint, ...]:
    """Return what holds at one end of windows: the problem's own, and what its index asks of starts.

    Raises
    ------
    InputError
        Initial states that are given and do not satisfy the equations.
    """
    if problem.index < 2:
        return problem.boundary_constraints
    if problem not in _KNOWN:
        _KNOWN[problem] = (*problem.boundary_constraints, *_consistent_starts(problem))
    return _KNOWN[problem]


def _consistent_starts(problem: Problem) -> list[PathConstraint]:
    """Return the equations that states alone obey, for the windows whose start does not show it."""
    found, s = [], Symbols.of(problem)
    names, column = residuals_by_name(problem, s)
    given, z = s.u[: len(problem.inputs)], s.u[len(problem.inputs) :]
    g, orders = ca.vertsplit(column), [0] * len(names)
    while (left := unmatched(incidence(ca.vertcat(*g), z))) is not None:
        alone = [k for k in left[0] if not ca.depends_on(g[k], z)]
        for k in alone:
            held = _constraint(problem, names[k], k, orders[k])
            windows = [e.name for e in problem.experiments if _is_held(problem, e, s, held, g[k])]
            if windows:
                found.append(replace(held, windows=tuple(windows)))
        moving = problem.varies_in_time or any(ca.depends_on(g[k], given) for k in alone)
        if not alone or moving or max(orders) == 2:  # the next would need derivatives of inputs
            break
        for k in alone:
            orders[k] += 1
            g[k] = constrained(problem, _constraint(problem, names[k], k, orders[k]), s)
    return found


def _constraint(problem: Problem, name: str, number: int, order: int) -> PathConstraint:
    label = f"{name}, derivative {order}" if order else name
    return PathConstraint(
        *(label, partial(_differentiated, problem, number, order), 0.0, 0.0), at="start"
    )


def _differentiated(
    problem: Problem, number: int, order: int, t: Any, x: Named, u: Named, p: Named, nn: Any
) -> ca.SX:
    """An algebraic equation, differentiated along the solution so many times."""
    arguments = t, x, u, p, nn
    g = stack(_listed(problem.dynamics.residuals(*arguments)))[number]  # type: ignore[attr-defined]
    if order:
        rates = problem.dynamics.rhs(*arguments)
        if isinstance(rates, Mapping):
            rates = [rates[name] for name in problem.states]
        states, f = ca.vertcat(*(x[name] for name in problem.states)), ca.SX(stack(rates))
        for _ in range(order):
            g = ca.jtimes(g, states, f) + ca.jacobian(g, t)
    return g


def _listed(values: Any) -> Any:
    return list(values.values()) if isinstance(values, Mapping) else values


def _is_held(
    problem: Problem, experiment: Experiment, s: Symbols, held: PathConstraint, value: ca.SX
) -> bool:
    """Whether a window has to be told the equation; where all of it is given, test it instead."""
    seen = [n for j, n in enumerate(problem.states) if ca.depends_on(value, s.x[j])]
    known = [problem.initial_of(experiment, name) for name in seen]
    arriving = [link for link in problem.links if link.after == experiment.name]
    if experiment.steady is not None or any(
        name in problem.linked(link) for link in arriving for name in seen
    ):
        return False
    decided = any(
        ca.depends_on(value, s.u[j]) and name in experiment.controls
        for j, name in enumerate(problem.inputs)
    )
    if decided or (known and all(k.function is not None for k in known)):
        return False
    if not all(k.is_fixed for k in known) or ca.depends_on(value, ca.vertcat(s.p, s.theta)):
        return True
    _test(problem, experiment, s, held, value)
    return False


def _test(
    problem: Problem, experiment: Experiment, s: Symbols, held: PathConstraint, value: ca.SX
) -> None:
    """Refuse given initial states that do not satisfy an equation."""
    assert experiment.start is not None
    t = np.array([experiment.start])
    states = [problem.initial_of(experiment, name) for name in problem.states]
    x = np.array([k.value if k.is_fixed else 0.0 for k in states])
    u = [experiment.inputs[n](t)[0] if n in experiment.inputs else 0.0 for n in problem.carried]
    function = ca.Function("g", [s.t, s.x, s.u], [value, ca.jacobian(value, s.x)])
    off, slope = (np.asarray(v, dtype=float).ravel() for v in function(t, x, u))
    size = np.abs(slope) @ np.maximum(np.abs(x), problem.state_scale)
    if not abs(off[0]) <= _CLOSE * max(size, np.finfo(float).tiny):
        raise InputError(
            f"the initial state of {experiment.name!r} does not satisfy the algebraic equation {held.name!r}, "
            f"which is {off[0]:.3g} there; correct the state, or leave a part of it free."
        )
