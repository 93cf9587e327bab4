"""A PEtab problem: its tables and its model, put together condition by condition."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import casadi as ca
import numpy as np

from ..checks import check_has
from ..errors import InputError
from ..numerics import Array
from ..results.solution import Solution
from .mathml import Formulas
from .petab_hybrid import with_networks
from .petab_rows import Channel, Measurement, PetabParameter, is_number
from .petab_tables import PetabTables, read_tables
from .sbml import SbmlModel, names_in
from .sbml_file import read_sbml

_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, eq=False, kw_only=True)
class Condition:
    """One run: the model with a condition's values, in time, states and parameters only.

    Attributes
    ----------
    before, name : ids of the pre-equilibration's condition, or empty, and of its own.
    values : of every constant, in parameters.
    initial : of every state, in parameters; of the pre-equilibration where there is one.
    kept : states that go on from the pre-equilibration.
    measurements : rows of the measurement table.
    """

    before: str
    name: str
    values: Mapping[str, ca.SX]
    initial: Mapping[str, ca.SX]
    resting: Mapping[str, ca.SX]
    rest_values: Mapping[str, ca.SX]
    kept: tuple[str, ...]
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, eq=False, repr=False)
class PetabProblem:
    """A PEtab problem with its model, in symbols of its estimated parameters.

    ``document`` is the model without the problem's networks.
    """

    tables: PetabTables
    model: SbmlModel
    document: SbmlModel | None = None

    def __post_init__(self) -> None:
        overridden = {t for c in self.tables.conditions.values() for t in c}
        for target in sorted(overridden):
            known = (*self.model.states, *self.model.constants)
            check_has("the model", "compartment, species or parameter", target, known)
        self._check_parameters()

    def _check_parameters(self) -> None:
        """Refuse estimated parameters that nothing mentions: a mistyped name would leave another one as it is."""
        tables = self.tables
        if tables.hybrid.networks:  # whose parameters have names made of several
            return
        channels = {m.channel for m in tables.measurements}
        texts = [text for c in tables.conditions.values() for text in c.values()]
        texts += [text for o in tables.observables.values() for text in (o.formula, o.noise)]
        texts += [text for c in channels for text in (*c.parameters, *c.noise)]
        known = {*self.model.symbols, *_NAME.findall(" ".join(texts))}
        for q in self.estimated:
            if q.id not in known:
                raise InputError(
                    f"parameter {q.id!r} of the parameter table occurs neither in the model nor in another "
                    "table, so nothing tells its value; correct its name, or take it out."
                )

    def __repr__(self) -> str:
        """Name and sizes; the tables and the model are attributes."""
        tables = self.tables
        return (
            f"PetabProblem({tables.path.stem!r}, states={len(self.model.states)}, "
            f"conditions={len(tables.conditions)}, observables={len(tables.observables)}, "
            f"measurements={len(tables.measurements)}, estimated={len(self.estimated)})"
        )

    @cached_property
    def estimated(self) -> tuple[PetabParameter, ...]:
        """Parameters that are estimated."""
        return tuple(q for q in self.tables.parameters if q.estimated)

    @cached_property
    def nominal(self) -> Array:
        """(estimated,) nominal values."""
        return np.array([q.nominal for q in self.estimated])

    @cached_property
    def theta(self) -> ca.SX:
        """Symbols of the estimated parameters."""
        return ca.vertcat(*(ca.SX.sym(f"p:{q.id}") for q in self.estimated))

    @cached_property
    def values(self) -> dict[str, ca.SX]:
        """Every parameter of the table by id: its symbol, or its number if it is not estimated."""
        symbols = dict(
            zip((q.id for q in self.estimated), ca.vertsplit(self.theta), strict=True)
            if self.estimated
            else ()
        )
        return {q.id: symbols.get(q.id, ca.SX(q.nominal)) for q in self.tables.parameters}

    def estimates(self, found: Solution) -> dict[str, float]:
        """Return what a fit found of the estimated parameters, weights of networks included, by id."""
        values, theta = dict(found.parameters), iter(found.model.theta.tolist())
        weights = {net.id: net.weights for net in self.tables.hybrid.networks}
        for name in found.model.networks:
            values |= {w: next(theta) for w in weights.get(name, ())}
        return {q.id: values[q.id] for q in self.estimated if q.id in values}

    def value(self, text: str, where: str) -> ca.SX:
        """Return what a field means: a number, a parameter of the table or of the model, in version 2 a formula.

        Raises
        ------
        InputError
            It is neither.
        """
        if is_number(text):
            return ca.SX(float(text))
        if text in self.values:
            return self.values[text]
        if text in self.model.constants:
            return self.model.symbols[text]
        if self.tables.version == 2:
            names = {n: self.model.symbols[n] for n in self.model.constants} | self.values
            return Formulas().parsed(text, names, where)
        raise InputError(
            f"{where} names {text[:60]!r}, which is no number and no parameter; add it."
        )

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The runs that have measurements, in the order of the measurement table."""
        found: dict[tuple[str, str], list[Measurement]] = {}
        for m in self.tables.measurements:
            found.setdefault((m.before, m.condition), []).append(m)
        return tuple(self._condition(*key, tuple(rows)) for key, rows in found.items())

    def _overrides(self, name: str, before: str = "") -> tuple[dict[str, ca.SX], tuple[str, ...]]:
        """What a condition sets, and which states it leaves as they were (NaN).

        What the pre-equilibration has set of constants holds on in version 2.
        """
        known = (*self.model.states, *self.model.constants)
        set_ = {n: v for n, v in self.values.items() if n in known}
        kept = []
        changes = dict(self.tables.conditions[name])
        if before and self.tables.version == 2:
            rest = self.tables.conditions[before]
            changes = {n: v for n, v in rest.items() if n in self.model.constants} | changes
        for target, text in changes.items():
            value = self.value(text, f"condition {name!r}, column {target!r},")
            if value.is_constant() and math.isnan(float(value)):
                kept.append(target)
            else:
                set_[target] = value
        return set_, tuple(kept)

    def _start(self, name: str, before: str = "") -> tuple[dict[str, ca.SX], dict[str, ca.SX]]:
        values = self.model.start(self._overrides(name, before)[0])
        initial = {n: values[n] for n in self.model.states}
        constants = {n: values[n] for n in self.model.constants}
        for part in (initial, constants):
            for n, v in part.items():
                used = part is initial or self._is_used(n)
                if used and v.is_constant() and math.isnan(float(v)):
                    raise InputError(f"{n!r} has no value in condition {name!r}; give it one.")
        return initial, constants

    @cached_property
    def _used(self) -> frozenset[str]:
        return frozenset(n for e in self.model.rates.values() for n in names_in(e))

    def _is_used(self, name: str) -> bool:
        return name in self._used

    def _condition(self, before: str, name: str, rows: tuple[Measurement, ...]) -> Condition:
        initial, constants = self._start(name, before)
        resting, rest_values = initial, constants
        kept: tuple[str, ...] = ()
        if before:
            resting, rest_values = self._start(before)
            set_here = self.tables.conditions[name].keys()
            nan = self._overrides(name)[1]
            left = {n for n in self.model.symbols if n not in set_here or n in nan}
            kept = tuple(n for n in self.model.states if n in left)
            still = left & self.model.species & constants.keys()
            constants = {**constants, **{n: rest_values[n] for n in still}}
        return Condition(
            before=before,
            name=name,
            values=constants,
            initial=initial,
            resting=resting,
            rest_values=rest_values,
            kept=kept,
            measurements=rows,
        )

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """The different observables with their placeholders filled."""
        return tuple(dict.fromkeys(m.channel for m in self.tables.measurements))

    @cached_property
    def formulas(self) -> dict[Channel, tuple[ca.SX, ca.SX]]:
        """Observable and noise by channel, in time, states, constants and parameters."""
        reader = Formulas()
        return {channel: self._formula(reader, channel) for channel in self.channels}

    def _formula(self, reader: Formulas, channel: Channel) -> tuple[ca.SX, ca.SX]:
        observable = self.tables.observables[channel.observable]
        names = {**self.values, **self.model.symbols}  # the model's own have a condition's values
        filled = observable.filled(channel)
        names |= {name: self.value(text, where) for name, (text, where) in filled.items()}
        h = reader.parsed(observable.formula, names, f"observableFormula of {observable.id!r}")
        h = self.model.expanded(h)
        names[observable.id] = h
        sigma = reader.parsed(observable.noise, names, f"noiseFormula of {observable.id!r}")
        return h, self.model.expanded(sigma)


def read_petab(path: str | Path) -> PetabProblem:
    """Read a PEtab problem, version 1 or 2, with its SBML model.

    Parameters
    ----------
    path : its YAML file.

    Raises
    ------
    MissingDependency
        python-libsbml or PyYAML is not installed.
    FileError, InputError
        As `read_sbml`, or tables that do not fit together.
    """
    tables = read_tables(path)
    document = read_sbml(tables.sbml)
    return PetabProblem(tables, with_networks(document, tables), document)
