r"""From the elements of an SBML document to the equations of an `SbmlModel`.

.. math:: \dot c_i = \frac{1}{V}\Bigl(f_i\sum_r \nu_{ir}\,v_r(t, c, k) - \dot V c_i\Bigr)

for a species whose id means a concentration, without the volume `V` for one whose id means an amount;
rate rules as they stand.  A species, compartment or parameter that nothing changes is a constant;
assignment rules and reactions are expressions of the rest.  What it does not know (algebraic rules, delays, fast reactions, required packages) it refuses by element and id.
Source: SBML Level 3 Version 2 Core, Hucka et al., J. Integr. Bioinform. 16, 2019, sections 4.6 and 4.11.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import casadi as ca

from ..errors import InputError
from .mathml import Formulas, Switch
from .sbml import Event, SbmlModel, names_in, substituted


class SbmlReader:
    """Reads one document."""

    def __init__(self, document: Any) -> None:
        self.document, self.source = document, document.getModel()
        self.level = document.getLevel()
        self.formulas = Formulas(_functions(self.source), {})
        self.at_start = Formulas(self.formulas.functions)
        self.symbols = {"time": ca.SX.sym("time")}
        self.initial: dict[str, ca.SX] = {}
        self.rules: dict[str, ca.SX] = {}
        self.rates: dict[str, ca.SX] = {}
        self.fixed: set[str] = set()

    def model(self) -> SbmlModel:
        """Read everything."""
        self._refuse()
        self._declare()
        self._read_rules()
        reactions, flows = self._read_reactions()
        self._balance(flows)
        assigned = self._ordered({**self.rules, **reactions})
        states = tuple(n for n in self.symbols if n in self.rates)

        def expand(*expressions: ca.SX) -> list[ca.SX]:
            together = substituted(ca.vertcat(ca.SX(0, 1), *expressions), self.symbols, assigned)
            return list(ca.vertsplit(together)) if expressions else []

        rates = dict(zip(states, expand(*(self.rates[n] for n in states)), strict=True))
        self._change_volumes(rates, assigned)
        changing = {*rates, *assigned, "time"}
        constants = tuple(n for n in self.symbols if n not in changing)
        events = tuple(self._event(k, expand) for k in range(self.source.getNumEvents()))
        switches = self._switches(expand)
        triggered = {n for event in events for n in event.assignments if n in constants}
        for name in triggered:  # what an event changes is a state that stands still
            rates[name] = ca.SX(0.0)
        return SbmlModel(
            name=self.source.getId() or self.source.getName() or "model",
            symbols=self.symbols,
            states=tuple(n for n in self.symbols if n in rates),
            rates=rates,
            constants=tuple(n for n in constants if n not in triggered),
            species=frozenset(
                self.source.getSpecies(k).getId() for k in range(self.source.getNumSpecies())
            ),
            assigned=assigned,
            initial=self.initial,
            switches=switches,
            events=events,
        )

    def _refuse(self) -> None:
        if self.level < 2:
            raise InputError(
                f"SBML Level {self.level} is not supported; convert it to Level 2 or 3."
            )
        for k in range(self.document.getNumPlugins() if self.level > 2 else 0):
            package = self.document.getPlugin(k).getPackageName()
            if package != "l3v2extendedmath" and self._uses(package):
                raise InputError(
                    f"the SBML package {package!r} is not supported; flatten the model."
                )
        constraints = self.source.getNumConstraints()
        if constraints:
            raise InputError("element constraint is not supported; take it out of the model.")

    def _uses(self, package: str) -> bool:
        """Whether a required package has elements in the document; one that is only declared does nothing."""
        if not self.document.getPackageRequired(package):
            return False
        elements = self.document.getListOfAllElements()
        return any(elements.get(k).getPackageName() == package for k in range(elements.getSize()))

    def _declare(self) -> None:
        """Make the symbols of compartments, species and parameters, and their initial values."""
        m = self.source
        for k in range(m.getNumCompartments()):
            c = m.getCompartment(k)
            dimensionless = c.isSetSpatialDimensions() and c.getSpatialDimensionsAsDouble() == 0.0
            size = 1.0 if dimensionless else c.getSize() if c.isSetSize() else math.nan
            self._add(c.getId(), size)
        for k in range(m.getNumParameters()):
            q = m.getParameter(k)
            self._add(q.getId(), q.getValue() if q.isSetValue() else math.nan)
        for k in range(m.getNumSpecies()):
            s = m.getSpecies(k)
            self._add(s.getId(), math.nan)
            self.initial[s.getId()] = self._species_start(s)
        for k in range(m.getNumInitialAssignments()):
            a = m.getInitialAssignment(k)
            name, where = a.getSymbol(), f"initialAssignment of {a.getSymbol()!r}"
            if name not in self.symbols:
                raise InputError(f"{where} sets what is no compartment, species or parameter.")
            self.initial[name] = self.at_start.translated(a.getMath(), _Late(self), where)

    def _add(self, name: str, value: float) -> None:
        if name in self.symbols:
            raise InputError(f"id {name!r} occurs twice; rename one.")
        self.symbols[name] = ca.SX.sym(name)
        self.initial[name] = ca.SX(value)

    def _species_start(self, s: Any) -> ca.SX:
        volume = self.symbols.get(s.getCompartment())
        if volume is None:
            raise InputError(
                f"species {s.getId()!r} is in compartment {s.getCompartment()!r}, which does not exist."
            )
        if s.isSetInitialAmount():
            amount = ca.SX(s.getInitialAmount())
            return amount if _is_amount(self.source, s) else amount / volume
        if s.isSetInitialConcentration():
            concentration = ca.SX(s.getInitialConcentration())
            return concentration * volume if _is_amount(self.source, s) else concentration
        return ca.SX(math.nan)

    def _read_rules(self) -> None:
        for k in range(self.source.getNumRules()):
            rule = self.source.getRule(k)
            if rule.isAlgebraic():
                raise InputError("element algebraicRule is not supported; solve it for a variable.")
            name = rule.getVariable()
            kind = "assignmentRule" if rule.isAssignment() else "rateRule"
            where = f"{kind} of {name!r}"
            if name not in self.symbols or name == "time":
                raise InputError(f"{where} sets what is no compartment, species or parameter.")
            if name in self.rules or name in self.rates:
                raise InputError(f"{where} is a second rule for it; leave one.")
            value = self.formulas.translated(rule.getMath(), _Late(self), where)
            (self.rules if rule.isAssignment() else self.rates)[name] = value
            self.fixed.add(name)
        for name in self.rules:
            self.initial.pop(name, None)

    def _read_reactions(self) -> tuple[dict[str, ca.SX], dict[str, ca.SX]]:
        """Rates of the reactions by id, and what they add to the amounts of species."""
        found: dict[str, ca.SX] = {}
        flows: dict[str, ca.SX] = {}
        for k in range(self.source.getNumReactions()):
            r = self.source.getReaction(k)
            name, where = r.getId(), f"reaction {r.getId()!r}"
            if r.isSetFast() and r.getFast():
                raise InputError(f"{where} is fast, which is not supported; eliminate it.")
            law = r.getKineticLaw()
            if law is None:
                raise InputError(f"{where} has no kinetic law; add it.")
            local: dict[str, ca.SX] = {}
            for pick, count in (
                (law.getParameter, law.getNumParameters()),
                (law.getLocalParameter, law.getNumLocalParameters()),
            ):
                for j in range(count):
                    local[pick(j).getId()] = ca.SX(pick(j).getValue())
            known = ChainMap(local, _Late(self))  # type: ignore[arg-type]
            found[name] = self.formulas.translated(law.getMath(), known, f"kinetic law of {where}")
            if name not in self.symbols:
                self.symbols[name] = ca.SX.sym(name)
            for sign, pick, count in (
                (-1.0, r.getReactant, r.getNumReactants()),
                (1.0, r.getProduct, r.getNumProducts()),
            ):
                for j in range(count):
                    reference = pick(j)
                    species = reference.getSpecies()
                    if self.source.getSpecies(species) is None:
                        raise InputError(
                            f"{where} names species {species!r}, which does not exist."
                        )
                    step = sign * self._stoichiometry(reference, where) * self.symbols[name]
                    flows[species] = flows.get(species, ca.SX(0.0)) + step
        return found, flows

    def _stoichiometry(self, reference: Any, where: str) -> ca.SX:
        what = f"stoichiometry of {reference.getSpecies()!r} in {where}"
        if self.level == 2 and reference.isSetStoichiometryMath():
            tree = reference.getStoichiometryMath().getMath()
            return self.formulas.translated(tree, _Late(self), what)
        name = reference.getId()
        if name and (self.source.getRule(name) or self.source.getInitialAssignment(name)):
            raise InputError(f"{what} is set by a rule, which is not supported; write a number.")
        value = reference.getStoichiometry()
        if not math.isfinite(value):
            raise InputError(f"{what} is no number; give one.")
        return ca.SX(value)

    def _balance(self, flows: Mapping[str, ca.SX]) -> None:
        """Turn what reactions add to amounts into rates of what the species' ids mean."""
        common = self.source.getConversionFactor() if self.level > 2 else ""
        for name, flow in flows.items():
            s = self.source.getSpecies(name)
            if s.getBoundaryCondition() or s.getConstant() or name in self.rates:
                continue
            if name in self.rules:
                raise InputError(
                    f"species {name!r} has both reactions and a rule; set its boundaryCondition."
                )
            factor = (s.getConversionFactor() if self.level > 2 else "") or common
            flow = flow * self.symbols[factor] if factor else flow
            volume = self.symbols[s.getCompartment()]
            self.rates[name] = flow if _is_amount(self.source, s) else flow / volume

    def _change_volumes(self, rates: dict[str, ca.SX], assigned: Mapping[str, ca.SX]) -> None:
        """Dilute concentrations in compartments whose volume varies: −c V'/V."""
        for k in range(self.source.getNumSpecies()):
            s = self.source.getSpecies(k)
            name, volume = s.getId(), s.getCompartment()
            ruled = name in self.fixed or s.getBoundaryCondition() or s.getConstant()
            if _is_amount(self.source, s) or ruled:
                continue
            if volume in rates:
                change, size = rates[volume], self.symbols[volume]
            elif volume in assigned:
                size = assigned[volume]
                moving = [n for n in (*rates, "time") if n in names_in(size)]
                change = ca.SX(0.0)
                for n in moving:
                    slope = ca.jacobian(size, self.symbols[n])
                    change += slope * (1.0 if n == "time" else rates[n])
            else:
                continue
            rates[name] = rates.get(name, ca.SX(0.0)) - self.symbols[name] * change / size

    def _ordered(self, raw: Mapping[str, ca.SX]) -> dict[str, ca.SX]:
        """Rules and reactions written out in states, constants and time.

        Raises
        ------
        InputError
            Rules that depend on each other in a circle.
        """
        done: dict[str, ca.SX] = {}
        waiting = {n: {m for m in names_in(e) if m in raw} for n, e in raw.items()}
        while waiting:
            ready = [n for n, needed in waiting.items() if needed <= done.keys()]
            if not ready:
                raise InputError(f"rules depend on each other in a circle: {sorted(waiting)[:4]}.")
            for name in ready:
                done[name] = substituted(raw[name], self.symbols, done)
                del waiting[name]
        return done

    def _event(self, number: int, expand: Any) -> Event:
        e = self.source.getEvent(number)
        name, where = e.getId() or f"number {number + 1}", f"event {e.getId() or number + 1!r}"
        if e.isSetDelay():
            raise InputError(f"{where} has a delay, which is not supported; move its trigger.")
        if not e.isSetTrigger():
            raise InputError(f"{where} has no trigger; add it.")
        trigger = self.formulas.translated(e.getTrigger().getMath(), _Late(self), where)
        assignments = {}
        for k in range(e.getNumEventAssignments()):
            a = e.getEventAssignment(k)
            variable = a.getVariable()
            if variable not in self.symbols or variable in self.rules:
                raise InputError(f"{where} sets {variable!r}, which no event can; correct it.")
            if self.source.getCompartment(variable) is not None:
                raise InputError(f"{where} sets compartment {variable!r}, which is not supported.")
            value = self.formulas.translated(a.getMath(), _Late(self), where)
            assignments[variable] = expand(value)[0]
        modern, priority = self.level > 2, ca.SX(-math.inf)
        if modern and e.isSetPriority():
            tree = e.getPriority().getMath()
            priority = expand(self.formulas.translated(tree, _Late(self), f"priority of {where}"))[
                0
            ]
        return Event(
            id=name,
            trigger=expand(trigger)[0],
            assignments=assignments,
            armed=modern and not e.getTrigger().getInitialValue(),
            priority=priority,
            persistent=not modern or e.getTrigger().getPersistent(),
            from_trigger=e.getUseValuesFromTriggerTime(),
        )

    def _switches(self, expand: Any) -> dict[str, Switch]:
        """What the switches mean, in states, constants and time; a later one may be made of earlier."""
        assert self.formulas.switches is not None
        found: dict[str, Switch] = {}
        truths: dict[str, ca.SX] = {}
        for name, switch in self.formulas.switches.items():
            self.symbols[name] = switch.symbol
            meant = [
                substituted(e, self.symbols, truths)
                for e in expand(switch.difference, switch.truth)
            ]
            found[name] = replace(switch, difference=meant[0], truth=meant[1])
            truths[name] = meant[1]
        return found


class _Late(Mapping[str, ca.SX]):
    """The reader's symbols, those of reactions included, which math may name before they are read."""

    def __init__(self, reader: SbmlReader) -> None:
        self._reader = reader

    def __getitem__(self, name: str) -> ca.SX:
        symbols = self._reader.symbols
        if name not in symbols and self._reader.source.getReaction(name) is not None:
            symbols[name] = ca.SX.sym(name)
        return symbols[name]

    def __contains__(self, name: object) -> bool:
        known = name in self._reader.symbols
        return known or self._reader.source.getReaction(str(name)) is not None

    def __iter__(self) -> Any:
        return iter(list(self._reader.symbols))

    def __len__(self) -> int:
        return len(self._reader.symbols)


def _is_amount(model: Any, s: Any) -> bool:
    """Whether a species' id means its amount and not its concentration."""
    compartment = model.getCompartment(s.getCompartment())
    flat = (
        compartment is not None
        and compartment.isSetSpatialDimensions()
        and compartment.getSpatialDimensionsAsDouble() == 0.0
    )
    return bool(s.getHasOnlySubstanceUnits()) or flat


def _functions(model: Any) -> dict[str, tuple[tuple[str, ...], Any]]:
    found = {}
    for k in range(model.getNumFunctionDefinitions()):
        f = model.getFunctionDefinition(k)
        arguments = tuple(f.getArgument(j).getName() for j in range(f.getNumArguments()))
        if f.getBody() is None:
            raise InputError(f"functionDefinition {f.getId()!r} has no body; add it.")
        found[f.getId()] = (arguments, f.getBody())
    return found
