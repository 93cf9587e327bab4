"""Problems that are well formed and yet cannot be solved, refused by what their expressions tell."""

from __future__ import annotations

import math

import casadi as ca

from ..errors import InputError
from ..numerics.scheme import Scheme
from .control import Control
from .costs import Lagrange
from .experiment import Experiment
from .impulses import placed, signals_of
from .problem import Problem
from .symbolic import Symbols, constrained, costed, derivatives, observed, residuals

# operations whose derivative is zero wherever it exists
_STEPS = {ca.OP_LT, ca.OP_LE, ca.OP_EQ, ca.OP_NE, ca.OP_NOT, ca.OP_SIGN, ca.OP_FLOOR, ca.OP_CEIL}


def check_switches(problem: Problem) -> None:
    """Refuse a free parameter that nothing but conditions and steps see: its derivative is zero.

    Raises
    ------
    InputError
        A parameter that enters by ``if_else``, ``where``, ``sign`` or ``floor`` alone.
    """
    free = [j for j, q in enumerate(problem.all_parameters) if q.lower < q.upper]
    if not free or problem.point_constraints:
        return
    s = Symbols.of(problem)
    seen = [derivatives(problem, s), residuals(problem, s), observed(problem, s)]
    held = (*problem.path_constraints, *problem.boundary_constraints)
    seen += [constrained(problem, c, s) for c in held]
    seen += [costed(problem, cost, s) for cost in problem.costs]
    everything = ca.vertcat(*seen)
    function = ca.Function("all", s.tuple(), [everything])
    count = function.n_instructions()
    if not any(function.instruction_id(k) in _STEPS for k in range(count)):
        return
    slopes = ca.jacobian(everything, s.p)
    for j in free:
        if ca.depends_on(everything, s.p[j]) and slopes[:, j].is_zero():
            name = problem.all_parameters[j].name
            raise InputError(
                f"parameter {name!r} enters only through a condition or a step (if_else, where, sign, "
                "floor), so its derivative is zero and no fit can move it; use a smooth switch, say "
                "1/(1 + exp(-(t - p.switch)/width)), or fix it by equal bounds."
            )


def check_outputs(problem: Problem) -> None:
    """Refuse outputs that depend on delayed states or on inputs that jump at an estimated time.

    Raises
    ------
    InputError
        One does.
    """
    moving = {
        name
        for e in problem.experiments
        for name in signals_of(
            [v for v in placed(e.events, e.placed, e.instant) if e.placed], e.instant
        )
    }
    if not (problem.lags or moving):
        return
    s = Symbols.of(problem)
    outputs, first = observed(problem, s), len(problem.inputs)
    for name in moving:
        if ca.depends_on(outputs, s.u[problem.inputs.index(name)]):
            raise InputError(
                f"an output depends on input {name!r}, which jumps at an estimated time; outputs are "
                "functions of states and parameters there."
            )
    for j, name in enumerate(problem.lags):
        if ca.depends_on(outputs, s.u[first + j]):
            raise InputError(
                f"an output depends on the delayed state {name!r}; outputs are functions of what is there "
                "at their own time, so give the output a dead time of its own by a state that follows it."
            )


def check_controls(problem: Problem, scheme: Scheme) -> None:
    """Refuse an unbounded control that enters linearly: nothing keeps it from running to infinity.

    Raises
    ------
    InputError
        A control without bounds, in which right-hand side and integral costs are linear and on which
        no path constraint depends; one that a measured output depends on; one that is free at a stage
        of no weight.
    """
    _check_weights(problem, scheme)
    if problem.algebraics or not any(e.controls for e in problem.experiments):
        return  # through an algebraic variable a control may enter in any way
    s = Symbols.of(problem)
    for e in (e for e in problem.experiments if e.measures):
        outputs = observed(problem, s)
        for name in e.controls:
            if ca.depends_on(outputs, s.u[problem.inputs.index(name)]):
                raise InputError(
                    f"an output of experiment {e.name!r} depends on control {name!r}, of which a "
                    "measurement would see one value; make that input a state whose derivative is the "
                    "control."
                )
    if not any(_may_run_away(c, e) for e in problem.experiments for c in e.controls.values()):
        return
    costs = [costed(problem, cost, s) for cost in problem.costs if isinstance(cost, Lagrange)]
    balance = ca.vertcat(derivatives(problem, s), *costs)
    held = ca.vertcat(*[constrained(problem, c, s) for c in problem.path_constraints])
    for j, name in enumerate(problem.inputs):
        u = s.u[j]
        slope = ca.jacobian(balance, u)
        for window in problem.experiments:
            control = window.controls.get(name)
            if control is None or not _may_run_away(control, window):
                continue
            if not ca.depends_on(slope, u) and not ca.depends_on(held, u):
                raise InputError(
                    f"control {name!r} of window {window.name!r} has no bounds, and right-hand side and "
                    "costs are linear in it, so nothing keeps it finite; give it lower= and upper=, or a "
                    "cost that grows faster."
                )


def _check_weights(problem: Problem, scheme: Scheme) -> None:
    """Refuse a control that costs nothing where the quadrature has no weight.

    A discrete optimum approximates the continuous one if all weights are positive (Hager, Numer. Math. 87,
    2000, p. 247); there the control moves the other stages for nothing.
    """
    weights = scheme.weights[list(scheme.stages)]
    if weights.min() > 1e-12:
        return
    for e in problem.experiments:
        for name in (name for name, c in e.controls.items() if c.kind == "stages"):
            raise InputError(
                f"control {name!r} is free at every stage, but scheme {scheme.name!r} of degree {scheme.degree} "
                f"gives stage {int(weights.argmin()) + 1} no weight, so that it costs nothing there; choose "
                "'legendre_radau', an odd degree, or Control(kind='linear')."
            )


def _may_run_away(control: Control, window: Experiment) -> bool:
    """Whether neither bounds nor moves keep a control of a window finite."""
    kept = control.is_rate_bounded or control.moves or window.measures
    return not kept and math.isinf(control.lower) and math.isinf(control.upper)
