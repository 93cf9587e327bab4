"""A problem's functions as CasADi expressions: built once, from one call of the user's code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import casadi as ca
import numpy as np

from ..errors import InputError
from ..numerics.signals import Signal
from .activations import CASADI
from .constraints import PathConstraint, PointConstraint
from .costs import Cost
from .delays import delayed, piecewise
from .dynamics import Named, NetworkCall, Networks
from .events import Reset
from .experiment import Experiment
from .impulses import Impulse
from .initial import as_initial, free
from .links import Link
from .problem import Problem
from .user_code import called, column_of
from .varying import basis_symbols, total, values_at


@dataclass(frozen=True)
class Symbols:
    """The arguments of the problem's functions as SX columns: t, x, u, p, theta.

    Parameters and weights are values at time t, whether they vary or not; parameters as they are
    decided, on their scale; ``u`` has the algebraic variables behind the inputs (`Problem.carried`).  With
    a list of ``calls``, networks return symbols of their own, and the list says what they stand for.
    """

    t: ca.SX
    x: ca.SX
    u: ca.SX
    p: ca.SX
    theta: ca.SX
    calls: list[NetworkCall] | None = None

    @classmethod
    def of(cls, problem: Problem) -> Symbols:
        """Make fresh symbols of the problem's sizes."""
        weights = sum(n.mlp.n_weights for n in problem.dynamics.networks.values())
        return cls(
            ca.SX.sym("t"),
            ca.SX.sym("x", len(problem.states)),
            ca.SX.sym("u", len(problem.carried)),
            ca.SX.sym("p", len(problem.all_parameters)),
            ca.SX.sym("theta", weights),
        )

    def tuple(self) -> tuple[ca.SX, ...]:
        """Return (t, x, u, p, theta)."""
        return self.t, self.x, self.u, self.p, self.theta


def _arguments(problem: Problem, s: Symbols) -> tuple[Any, Named, Named, Named, Networks]:
    weights, start = {}, 0
    for name, network in problem.dynamics.networks.items():
        weights[name] = s.theta[start : start + network.mlp.n_weights]
        start += network.mlp.n_weights
    names = [q.name for q in problem.all_parameters]
    values = ca.vertsplit(s.p) if names else []
    pairs = zip(problem.all_parameters, values, strict=True)
    natural = [z if q.scale == "linear" else q.natural(z, CASADI) for q, z in pairs]
    u, given = ca.vertsplit(s.u) if problem.carried else [], len(problem.inputs)
    states = (*problem.states, *problem.algebraics, *problem.lags)
    return (
        s.t,
        Named("state", states, [*ca.vertsplit(s.x), *u[given:]]),
        Named(
            "input",
            problem.inputs,
            _inputs(problem, s, u[:given], dict(zip(names, natural, strict=True))),
        ),
        Named("parameter", names, natural),
        Networks(problem.dynamics.networks, weights, s.calls),
    )


def _inputs(problem: Problem, s: Symbols, given: list[ca.SX], p: Mapping[str, Any]) -> list[Any]:
    """Inputs as the model sees them: those of estimated dead time as expressions of it."""
    known = dict(zip(problem.inputs, given, strict=True))
    for name, delay in problem.late_inputs.items():
        if isinstance(delay.by, str):
            known[name] = delayed(name, s.t, p[delay.by], known)
    return list(known.values())


def depends_on_time(problem: Problem) -> bool:
    """Whether time itself occurs in the right-hand side, a path constraint or a weight basis."""
    if problem.varies_in_time:
        return True
    s = Symbols.of(problem)
    expressions = [derivatives(problem, s), residuals(problem, s)]
    expressions += [constrained(problem, c, s) for c in problem.path_constraints]
    return any(bool(ca.depends_on(e, s.t)) for e in expressions)


# the right-hand side as a function of `Symbols`, which is called in a tenth of the time that the user's code takes
_known: WeakKeyDictionary[Problem, ca.Function] = WeakKeyDictionary()


def derivatives(problem: Problem, s: Symbols) -> ca.SX:
    """Return f(t, x, u, p, NN) as an SX column of one entry a state.

    Raises
    ------
    InputError
        If the right-hand side fails, or returns something else than one value per state.
    """
    if s.calls is not None:
        return _derivatives(problem, s)
    if problem in _known:
        known: ca.SX = _known[problem](*s.tuple())
        return known
    f = _derivatives(problem, s)
    _known[problem] = ca.Function("rhs", [*s.tuple()], [f])
    return f


def _derivatives(problem: Problem, s: Symbols) -> ca.SX:
    value = called("the right-hand side", problem.dynamics.rhs, _arguments(problem, s))
    if isinstance(value, Mapping):
        unknown = [n for n in value if n not in problem.states]
        absent = [n for n in problem.states if n not in value]
        if unknown or absent:
            raise InputError(
                f"the right-hand side returned derivatives of {', '.join(value)}, "
                f"but the states are {', '.join(problem.states)}."
            )
        value = [value[name] for name in problem.states]
    f = _column("the right-hand side", value, len(problem.states), s)
    return f + _impulses(problem, s) if problem.impulses else f


def _impulses(problem: Problem, s: Symbols) -> ca.SX:
    """Return what events at known times add to the right-hand side, see `events`."""
    _, x, u, _, _ = _arguments(problem, s)
    found = {state: ca.SX(0.0) for state in problem.states}
    for impulse in problem.impulses:
        rate, state = u[impulse.name], x[impulse.state]
        if impulse.kind == "dose":
            found[impulse.state] += rate
        elif impulse.kind == "dilution":
            found[impulse.state] += rate * state
        else:
            found[impulse.state] += rate * (_target(problem, impulse, s) - state)
    return ca.vertcat(*found.values())


def _target(problem: Problem, impulse: Impulse, s: Symbols) -> Any:
    given, where = impulse.target, f"a reset of {impulse.state!r}"
    _, x, u, p, _ = _arguments(problem, s)
    if not callable(given):
        return p[given] if isinstance(given, str) else given
    value = _column(where, called(where, given, (x, u, p)), 1, s)
    resets = [event for e in problem.experiments for event in e.events if isinstance(event, Reset)]
    together = [n for event in resets if given in event.to.values() for n in event.states]
    for name in together:
        if ca.depends_on(value, x[name]):
            raise InputError(
                f"{where} is to a function of {name!r}, which is set at the same time; write what is "
                "added as a Dose and what is multiplied as a Dilution."
            )
    return value


def residuals(problem: Problem, s: Symbols) -> ca.SX:
    """Return g(t, x, z, u, p, NN) as an SX column of one entry an algebraic variable.

    Raises
    ------
    InputError
        If the function fails, or there are more or fewer equations than algebraic variables.
    """
    return residuals_by_name(problem, s)[1]


def residuals_by_name(problem: Problem, s: Symbols) -> tuple[tuple[str, ...], ca.SX]:
    """Return what the algebraic equations are called, and their `residuals`."""
    if not problem.algebraics:
        return (), ca.SX(0, 1)
    value = called("residuals=", problem.dynamics.residuals, _arguments(problem, s))  # type: ignore[attr-defined]
    names = tuple(value) if isinstance(value, Mapping) else ()
    column = _column(
        "residuals=", list(value.values()) if isinstance(value, Mapping) else value, None, s
    )
    count, wanted = column.numel(), len(problem.algebraics)
    if count != wanted:
        raise InputError(
            f"there are {count} algebraic equations for {wanted} algebraic variables "
            f"({', '.join(problem.algebraics)}); "
            + (
                "add equations to residuals=."
                if count < wanted
                else "leave some out, or name more."
            )
        )
    if len(names) != count:
        names = tuple(f"equation {k + 1}" for k in range(count))
    return names, column


def observed(problem: Problem, s: Symbols) -> ca.SX:
    """Return h(x, u, p) as an SX column of one entry an output."""
    if not problem.outputs:
        return ca.SX(0, 1)
    if problem.observe is None:
        names = (*problem.states, *problem.algebraics)
        every = ca.vertcat(s.x, s.u[len(problem.inputs) :])
        return every[[names.index(name) for name in problem.outputs]]
    value = called("observe", problem.observe, _arguments(problem, s)[1:4])
    if isinstance(value, Mapping):
        value = [value[name] for name in problem.outputs if name in value]
    column = _column("observe", value, len(problem.outputs), s)
    if not problem.calibration:
        return column
    p, parts = (
        named_parameters(problem, s),
        dict(zip(problem.outputs, ca.vertsplit(column), strict=True)),
    )
    parts |= {n: given.applied(parts[n], n, p) for n, given in problem.calibration.items()}
    return ca.vertcat(*parts.values())


def constrained(problem: Problem, constraint: PathConstraint, s: Symbols) -> ca.SX:
    """Return the function of a path constraint as an SX scalar."""
    where = f"path constraint {constraint.name!r}"
    return _column(where, called(where, constraint.function, _arguments(problem, s)), 1, s)


def costed(problem: Problem, cost: Cost, s: Symbols) -> ca.SX:
    """Return the weighted function of a cost as an SX scalar."""
    where = f"cost {cost.name!r}"
    value = _column(where, called(where, cost.function, _arguments(problem, s)), 1, s)
    return cost.weight * value


def jumped(problem: Problem, link: Link, s: Symbols) -> ca.SX:
    """Return what a link makes of the states at the end of a window, as an SX column."""
    values = []
    for name in problem.linked(link):
        if name in link.jump:
            where = f"jump of {name!r} in link {link.name!r}"
            value = called(where, link.jump[name], _arguments(problem, s))
            values.append(_column(where, value, 1, s))
        else:
            values.append(s.x[problem.states.index(name)])
    return ca.vertcat(*values)


def constrained_at(problem: Problem, constraint: PointConstraint, s: Symbols, z: ca.SX) -> ca.SX:
    """Return the values of a point constraint as an SX column; ``z`` is the point."""
    where = f"point constraint {constraint.name!r}"
    _, _, _, p, nn = _arguments(problem, s)
    value = called(where, constraint.function, (z, p, nn))
    known = Symbols(s.t, ca.vertcat(s.x, z), s.u, s.p, s.theta)
    return _column(where, value, None, known)


def named_parameters(problem: Problem, s: Symbols) -> Named:
    """Return the parameters in natural units, by name."""
    return _arguments(problem, s)[3]


def call_noise(problem: Problem, output: str, function: Any, s: Symbols, h: ca.SX) -> ca.SX:
    """Return σ of an output by a function (h, x, u, p) as an SX scalar."""
    where = f"sigma of output {output!r}"
    value = called(where, function, (h, *_arguments(problem, s)[1:4]))
    there = {e.element_hash() for e in ca.symvar(ca.vertcat(s.t, s.x, s.u, s.p, s.theta))}
    own = [e for e in ca.symvar(h) if e.element_hash() not in there]  # none of a calibrated output
    known = Symbols(s.t, ca.vertcat(s.x, *own), s.u, s.p, s.theta)
    return _column(where, value, 1, known)


def initial_values(problem: Problem, experiment: Experiment, s: Symbols) -> dict[str, ca.SX]:
    """Return the initial states of an experiment that functions of the parameters give, by name.

    Of one that begins at rest those that it came from, numbers too.
    """
    p, found = _arguments(problem, s)[3], {}
    for state in problem.states:
        known = as_initial(experiment.initial.get(state, free()))
        given = known.function
        if given is None and experiment.steady is not None and np.isfinite(known.value):
            found[state] = ca.SX(known.value)
        if given is not None:
            where = f"the initial {state!r} of experiment {experiment.name!r}"
            value = p[given] if isinstance(given, str) else called(where, given, (p,))
            found[state] = _column(where, value, 1, s)
    return found


def past(
    problem: Problem, experiment: Experiment, state: str, s: Symbols, t: ca.SX
) -> ca.SX | None:
    """Return a state's history at times before the start; None where it is the initial state.

    Raises
    ------
    InputError
        A function that fails, or returns something else than one value.
    """
    given = experiment.history.get(state)
    if given is None:
        return None
    if isinstance(given, Signal):
        return ca.SX(piecewise(given, t))
    p = _arguments(problem, s)[3]
    if isinstance(given, str):
        return ca.SX(p[given])
    if not callable(given):
        return ca.SX(given)
    where = f"the history of {state!r} in experiment {experiment.name!r}"
    early = ca.fmin(t, experiment.start)  # lest a function is asked for what it has no value for
    time = ca.SX.sym("before")
    value = called(where, given, (time, p))
    column = _column(where, value, 1, Symbols(time, s.x, s.u, s.p, s.theta))
    return ca.substitute(column, time, early)


def at_rest(problem: Problem, experiment: Experiment, s: Symbols) -> tuple[ca.SX, dict[str, ca.SX]]:
    """Return f and the states before, both as an experiment rested; of x, p and theta alone."""
    steady = experiment.steady
    assert steady is not None and experiment.start is not None
    u = [
        ca.SX(steady.inputs.get(name, float(experiment.inputs[name](experiment.start)[0])))
        for name in problem.inputs
    ]
    u += [s.x[problem.states.index(delay.of)] for delay in problem.lags.values()]
    p, names = ca.vertsplit(s.p) if s.p.numel() else [], [q.name for q in problem.all_parameters]
    for name, given in steady.parameters.items():
        q = problem.all_parameters[names.index(name)]
        value = s.p[names.index(given)] if isinstance(given, str) else float(q.decided(given))
        p[names.index(name)] = ca.SX(value)
    old = [s.t, s.u, s.p]
    new = [ca.SX(experiment.start), ca.vertcat(*u) if u else s.u, ca.vertcat(ca.SX(0, 1), *p)]
    before = initial_values(problem, experiment, s)
    f = ca.substitute([derivatives(problem, s)], old, new)[0]
    return f, {name: ca.substitute([v], old, new)[0] for name, v in before.items()}


def rhs_function(problem: Problem) -> ca.Function:
    """Return f as a CasADi Function (t, x, u, p, theta) -> dx, of coefficients p and theta."""
    s = Symbols.of(problem)
    return of_coefficients(problem, s, "rhs", derivatives(problem, s), "dx")


def residual_function(problem: Problem) -> ca.Function:
    """Return g as a CasADi Function (t, x, u, p, theta) -> g, of coefficients p and theta."""
    s = Symbols.of(problem)
    return of_coefficients(problem, s, "residuals", residuals(problem, s), "g")


def output_function(problem: Problem) -> ca.Function:
    """Return h as a CasADi Function (t, x, u, p, theta) -> y, of coefficients p and theta."""
    s = Symbols.of(problem)
    return of_coefficients(problem, s, "outputs", observed(problem, s), "y")


def cost_function(problem: Problem, costs: Sequence[Cost]) -> ca.Function:
    """Return the sum of costs as a CasADi Function (t, x, u, p, theta) -> L, of coefficients."""
    s = Symbols.of(problem)
    value = sum((costed(problem, cost, s) for cost in costs), ca.SX(0.0))
    return of_coefficients(problem, s, "cost", value, "L")


def of_coefficients(problem: Problem, s: Symbols, name: str, value: ca.SX, label: str) -> Any:
    """Return an expression as a CasADi Function (t, x, u, p, theta), of coefficients p and theta."""
    p, theta = s.p, s.theta
    if problem.varies_in_time:
        known = {b: basis_symbols(b, s.t) for b in problem.bases}
        p = ca.SX.sym("p", total(problem.parameter_blocks))
        theta = ca.SX.sym("theta", total(problem.weight_blocks))
        values = [
            values_at(blocks, column, known.__getitem__)
            for blocks, column in ((problem.parameter_blocks, p), (problem.weight_blocks, theta))
        ]
        value = ca.substitute(value, ca.vertcat(s.p, s.theta), ca.vertcat(*values))
    return ca.Function(
        name, [s.t, s.x, s.u, p, theta], [value], ["t", "x", "u", "p", "theta"], [label]
    )


def _column(what: str, value: Any, length: int | None, s: Symbols) -> ca.SX:
    symbols = [*s.tuple(), *(call.outputs for call in s.calls or ())]
    return column_of(what, value, length, symbols)
