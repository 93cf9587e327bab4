"""An SBML model as ordinary differential equations: CasADi expressions in symbols named by its ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import casadi as ca

from ..errors import InputError
from .mathml import Switch


@dataclass(frozen=True, eq=False, kw_only=True)
class Event:
    """What happens when ``trigger`` becomes true: new values by id, as expressions.

    ``armed`` says whether it was false before the start, so that it fires there if it is true.  Of events at
    the same time those of higher ``priority`` come first; one that is not ``persistent`` is dropped if what
    came before made its trigger false, and new values are of the moment that made it true, or,
    if not ``from_trigger``, of when its turn comes.
    """

    id: str
    trigger: ca.SX
    assignments: Mapping[str, ca.SX]
    armed: bool
    priority: ca.SX
    persistent: bool
    from_trigger: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class SbmlModel:
    """A model's equations in the symbols of its ids.

    Attributes
    ----------
    symbols : the symbol of every id, and of ``time``.
    states : ids with a rate, in the order of the file.
    rates : derivative by state.
    constants : ids that nothing changes but conditions; ``species`` says which are species.
    assigned : what the other ids always are, in states, constants and time only.
    initial : values at the start, numbers or expressions in any id; NaN where the file has none.
    switches : comparisons that switch a formula (piecewise) or an event, in states, constants and time.
    """

    name: str
    symbols: Mapping[str, ca.SX]
    states: tuple[str, ...]
    rates: Mapping[str, ca.SX]
    constants: tuple[str, ...]
    species: frozenset[str]
    assigned: Mapping[str, ca.SX]
    initial: Mapping[str, ca.SX]
    switches: Mapping[str, Switch]
    events: tuple[Event, ...]

    def expanded(self, expression: ca.SX) -> ca.SX:
        """Return an expression with the ids of rules and reactions written out, but for switches."""
        return substituted(expression, self.symbols, self.assigned)

    @cached_property
    def _at_start(self) -> dict[str, tuple[ca.SX, list[str]]]:
        """What the ids are at the start, and the names in it."""
        truths = {name: switch.truth for name, switch in self.switches.items()}
        values = {**truths, **self.assigned, **self.initial}
        return {name: (value, names_in(value)) for name, value in values.items()}

    def start(self, overrides: Mapping[str, ca.SX]) -> dict[str, ca.SX]:
        """Return the values of all ids at time 0 where ``overrides`` replace those of the file.

        Raises
        ------
        InputError
            Initial values that depend on each other in a circle, or a missing one.
        """
        known: dict[str, ca.SX] = {"time": ca.SX(0.0)}
        open_: list[str] = []

        def value(name: str) -> ca.SX:
            if name in known:
                return known[name]
            if name in open_:
                raise InputError(
                    f"the initial value of {name!r} depends on itself; correct the model."
                )
            open_.append(name)
            if name in overrides:
                expression, names = overrides[name], names_in(overrides[name])
            elif name in self._at_start:
                expression, names = self._at_start[name]
            else:
                raise InputError(f"{name!r} has no initial value; give it one.")
            needed = {n: value(n) for n in names if n in self.symbols}
            known[name] = substituted(expression, self.symbols, needed) if needed else expression
            open_.pop()
            return known[name]

        for name in (*self.states, *self.constants):
            value(name)
        return known


def names_in(expression: ca.SX) -> list[str]:
    """Names of the symbols in an expression."""
    if expression.is_constant():
        return []
    return [symbol.name() for symbol in ca.symvar(expression)]


def substituted(
    expression: ca.SX, symbols: Mapping[str, ca.SX], values: Mapping[str, ca.SX]
) -> ca.SX:
    """Return an expression with symbols replaced by values, all at once."""
    mine = [name for name in names_in(expression) if name in values]
    if not mine:
        return expression
    new = ca.substitute(
        expression, ca.vertcat(*(symbols[n] for n in mine)), ca.vertcat(*(values[n] for n in mine))
    )
    return ca.SX(new)
