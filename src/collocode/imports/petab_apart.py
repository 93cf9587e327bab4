r"""Which networks of a PEtab-SciML problem a fit has as networks of `Dynamics`, and the problem without them.

Those that only rates depend on, whose weights are all estimated with no prior or one, :math:`N(0,s^2)`, for all:
with M measurements that is the ridge :math:`\lambda\lVert\theta\rVert^2`, :math:`\lambda=1/(Ms^2)`.  The others'
weights stay parameters, whose fit is climbed from their nominal values.
"""

from __future__ import annotations

from dataclasses import replace

import casadi as ca

from ..model.losses import L2
from .petab import PetabProblem
from .petab_hybrid import with_networks
from .petab_networks import Begun, Hybrid, PetabNetwork
from .petab_rows import PetabParameter
from .sbml import names_in

Prior = tuple[str, tuple[float, ...]] | None


def without_networks(
    petab: PetabProblem,
) -> tuple[PetabProblem, tuple[PetabNetwork, ...], L2]:
    """Return the problem with networks' outputs as parameters, these networks, and the ridge of their weights."""
    tables = petab.tables
    known = {q.id: q for q in tables.parameters}
    elsewhere = _elsewhere(petab)
    found: list[PetabNetwork] = []
    priors: set[Prior] = set()
    for net in tables.hybrid.networks:
        weights = [known[w] for w in net.weights]
        own: set[Prior] = {q.prior for q in weights}
        inside = not elsewhere & {f"p:{w}" for w in net.weights}
        free = all(q.estimated and q.lower == -q.upper == -float("inf") for q in weights)
        if inside and free and len(own) == 1 and _is_ridge(weights[0]):
            found.append(replace(net, mlp=_begun(net, weights)))
            priors |= own
    if not found or len(priors) > 1:
        return petab, (), L2(0.0)
    apart = {net.id for net in found}
    gone = {w for net in found for w in net.weights}
    outputs = [
        PetabParameter(
            id=n, scale="lin", lower=-float("inf"), upper=float("inf"), nominal=0.0, estimated=True
        )
        for net in found
        for n in net.outputs
    ]
    parameters = (*(q for q in tables.parameters if q.id not in gone), *outputs)
    assert petab.document is not None
    smaller = replace(tables, parameters=parameters)
    model = with_networks(petab.document, smaller, tuple(apart))
    (prior,) = priors
    count = len(tables.measurements)
    ridge = L2(0.0) if prior is None else L2(1.0 / (count * prior[1][1] ** 2))
    return PetabProblem(replace(smaller, hybrid=Hybrid()), model), tuple(found), ridge


def _begun(net: PetabNetwork, weights: list[PetabParameter]) -> Begun:
    return Begun(net.mlp.sizes, net.mlp.activation, start=tuple(q.nominal for q in weights))


def _is_ridge(q: PetabParameter) -> bool:
    return q.prior is None or (q.prior[0] == "normal" and q.prior[1][0] == 0.0)


def _elsewhere(petab: PetabProblem) -> set[str]:
    """Names of all that observables, noise, starts, events and switches depend on."""
    model = petab.model
    parts = [e for pair in petab.formulas.values() for e in pair]
    parts += [v for e in model.events for v in (*e.assignments.values(), e.trigger)]
    parts += [w.difference for w in model.switches.values()]
    seen = {n for e in parts for n in names_in(e)}
    weights = {w for net in petab.tables.hybrid.networks for w in net.weights}
    known = {f"p:{n}" for n in seen & weights}
    for run in petab.conditions:
        for expression in (*run.initial.values(), *run.resting.values()):
            known |= {n for n in names_in(ca.SX(expression)) if n.startswith("p:")}
    return known
