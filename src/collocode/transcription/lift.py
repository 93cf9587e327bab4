"""Which terms are evaluated `by_layers`: their functions with the networks' results left open."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace

import casadi as ca
import numpy as np

from ..checks import counted
from ..errors import CollocodeWarning, InputError, caller_level
from ..model.activations import CASADI
from ..model.dynamics import NetworkCall
from ..model.problem import Problem
from ..model.symbolic import Symbols
from ..numerics import Array
from .by_layers import Call, LiftedFunction
from .unknowns import Unknowns

# Memory of the exact second derivatives grows like weights²: 6000 are 1.5 GB in the linear solver alone
MOST_EXACT = 6000
_LONG = 10.0  # seconds that a build may take without a word


def lift(
    problem: Problem,
    s: Symbols,
    v: Unknowns,
    model: tuple[ca.SX, Callable[[Symbols], ca.SX]],
    term: Callable[[ca.SX], ca.SX],
) -> LiftedFunction | None:
    """Return a term with the results of its networks as arguments, or None if there are no such.

    Parameters
    ----------
    model : value of the model's function that calls networks, and the function, of its symbols.
    term : what the term makes of that function's value.

    Returns
    -------
    None too where layers would not do: a function that differentiates networks or does else with
    them than use their results (with these put in, it has to be the same graph), weights that are
    piecewise functions of time, kinks.

    Warns
    -----
    CollocodeWarning
        The graph that is built instead takes long.
    """
    if not problem.dynamics.networks:
        return None
    plain, function = model
    calls: list[NetworkCall] = []
    try:
        value = function(replace(s, calls=calls))
    except InputError:  # it looks into what networks return; without open results it is fine
        _tell_of_graph(problem, problem.dynamics.networks)
        return None
    known, names = _weights(problem, v), {call.name for call in calls}
    if not calls:
        return None
    if not names <= set(known) or not _same(plain, _closed(problem, s, value, calls)):
        _tell_of_graph(problem, names)
        return None
    made = [
        Call(
            problem.dynamics.networks[call.name].mlp,
            v.put_into(ca.densify(ca.SX(call.inputs))),
            call.outputs,
            *known[call.name],
        )
        for call in calls
    ]
    count = v.shared.numel()
    return LiftedFunction(
        ca.densify(term(value)), tuple(made), np.arange(count), count, exact=count <= MOST_EXACT
    )


def _tell_of_graph(problem: Problem, names: Iterable[str]) -> None:
    """Say how long the graph of many weights takes to build."""
    count = sum(problem.dynamics.networks[name].mlp.n_weights for name in names)
    seconds = 40.0 * (count / 1200) ** 2.7  # measured from 350 to 1200 weights
    if seconds > _LONG:
        warnings.warn(
            f"the networks of {problem.name!r} cannot be evaluated layer by layer (weights are piecewise in "
            "time, an activation has kinks, or more than the networks' results is used), and the graph of "
            f"{counted(count, 'weight')} takes about {seconds:.0f} s to build; a smaller network is quicker.",
            CollocodeWarning,
            stacklevel=caller_level(),
        )


def _weights(problem: Problem, v: Unknowns) -> dict[str, tuple[int, Array | None]]:
    """Where the smooth networks' weights begin among the shared unknowns, and their functions."""
    found: dict[str, tuple[int, Array | None]] = {}
    start = 0
    for name, network in problem.dynamics.networks.items():
        basis = network.basis
        if basis is not None and basis.support != basis.size:
            continue
        functions = None if basis is None else v.constants[problem.bases.index(basis)]
        if network.mlp.smoothness >= 1:
            found[name] = start, functions
        start += network.n_weights
    return found


def _closed(
    problem: Problem, s: Symbols, value: ca.SX, calls: list[NetworkCall]
) -> tuple[ca.SX, bool]:
    """The value with the networks put in, and whether weights occur in it apart from that."""
    first, weights = 0, {}
    for name, network in problem.dynamics.networks.items():
        weights[name] = s.theta[first : first + network.mlp.n_weights]
        first += network.mlp.n_weights
    bare = not ca.depends_on(ca.vertcat(value, *(call.inputs for call in calls)), s.theta)
    outputs: list[ca.SX] = []
    graphs: list[ca.SX] = []
    for call in calls:
        inputs = call.inputs
        if outputs:
            inputs = ca.substitute(inputs, ca.vertcat(*outputs), ca.vertcat(*graphs))
        mlp = problem.dynamics.networks[call.name].mlp
        graphs.append(mlp(inputs, weights[call.name], CASADI))
        outputs.append(call.outputs)
    return ca.substitute(value, ca.vertcat(*outputs), ca.vertcat(*graphs)), bare


def _same(plain: ca.SX, closed: tuple[ca.SX, bool]) -> bool:
    """Whether two graphs are operation by operation the same."""
    value, bare = closed
    symbols = ca.vertcat(*ca.symvar(plain))
    if not bare:
        return False
    one, other = (ca.Function("f", [symbols], [f], {"allow_free": True}) for f in (plain, value))
    return not other.has_free() and bool(one.serialize() == other.serialize())
