"""A model with PEtab-SciML's networks in it: weights are constants, outputs are rules of their inputs.

Then all else is as with any model: conditions set inputs, observables name outputs, weights are estimated or not.
A network that sets a parameter or an initial value before the simulation is a rule of constants alone.

For a fit a network that only rates depend on may be left out (``apart``): its outputs are constants there,
which the right-hand side gets from a network of `Dynamics`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import casadi as ca

from ..errors import InputError
from ..model.activations import CASADI
from .mathml import Formulas
from .petab_networks import PetabNetwork
from .petab_tables import PetabTables
from .sbml import SbmlModel, names_in, substituted


def with_networks(model: SbmlModel, tables: PetabTables, apart: Sequence[str] = ()) -> SbmlModel:
    """Return the model with the networks of a problem as rules; of those ``apart`` with the inputs alone.

    Raises
    ------
    InputError
        A target of the hybridization table that is no constant and no initial value, or that nothing gives.
    """
    hybrid = tables.hybrid
    if not hybrid.networks:
        return model
    given = [i for net in hybrid.networks for i in net.inputs if i not in hybrid.targets]
    within = [net for net in hybrid.networks if net.id not in apart]
    weights = [w for net in within for w in net.weights]
    free = [o for net in hybrid.networks if net.id in apart for o in net.outputs]
    others = [q.id for q in tables.parameters if q.id not in model.symbols]
    new = dict.fromkeys([*others, *weights, *free, *(i for i in given if i not in model.symbols)])
    outputs = [o for net in within for o in net.outputs]
    inputs = [i for i in hybrid.targets if any(i in net.inputs for net in hybrid.networks)]
    symbols = dict(model.symbols) | {n: ca.SX.sym(n) for n in [*new, *outputs, *inputs]}
    at_first = dict(model.initial) | {n: ca.SX(hybrid.arrays.get(n, math.nan)) for n in new}
    reader, rules = Formulas(), dict[str, ca.SX]()
    for target, text in hybrid.targets.items():
        where = f"targetValue of {target!r} in the hybridization table of {tables.path}"
        if target not in inputs and target not in (*model.constants, *model.states):
            raise InputError(
                f"{where} sets what is no input of a network and no constant or state of the model; correct it."
            )
        rules[target] = reader.parsed(text, symbols, where)
    starts = {n: rules.pop(n) for n in model.states if n in rules}
    for net in within:
        rules |= _outputs(net, symbols)
    assigned = _written_out({**model.assigned, **rules}, symbols, tables)
    changed = {n: v for n, v in assigned.items() if n in model.constants}

    def renewed(values: Mapping[str, ca.SX]) -> dict[str, ca.SX]:
        return {n: substituted(v, symbols, changed) for n, v in values.items()}

    return replace(
        model,
        symbols=symbols,
        constants=(*(n for n in model.constants if n not in changed), *new),
        rates=renewed(model.rates),
        assigned=assigned,
        initial={n: v for n, v in (at_first | starts).items() if n not in changed},
        switches={
            n: replace(
                w,
                difference=substituted(w.difference, symbols, changed),
                truth=substituted(w.truth, symbols, changed),
            )
            for n, w in model.switches.items()
        },
        events=tuple(
            replace(
                e,
                trigger=substituted(e.trigger, symbols, changed),
                priority=substituted(e.priority, symbols, changed),
                assignments=renewed(e.assignments),
            )
            for e in model.events
        ),
    )


def _outputs(net: PetabNetwork, symbols: Mapping[str, ca.SX]) -> dict[str, ca.SX]:
    z, theta = (ca.vertcat(*(symbols[n] for n in names)) for names in (net.inputs, net.weights))
    values = ca.vertsplit(net.mlp(z, theta, CASADI))
    return {name: values[k] for name, k in net.outputs.items()}


def _written_out(
    rules: Mapping[str, ca.SX], symbols: Mapping[str, ca.SX], tables: PetabTables
) -> dict[str, ca.SX]:
    """Rules in states, constants and time alone."""
    done: dict[str, ca.SX] = {}
    waiting = {n: {m for m in names_in(e) if m in rules} for n, e in rules.items()}
    while waiting:
        ready = [n for n, needed in waiting.items() if needed <= done.keys()]
        if not ready:
            raise InputError(
                f"networks of {tables.path} depend on each other in a circle: {sorted(waiting)[:4]}."
            )
        for name in ready:
            done[name] = substituted(rules[name], symbols, done)
            del waiting[name]
    return done
