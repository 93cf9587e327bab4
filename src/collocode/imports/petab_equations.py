r"""The equations of a PEtab problem for all its runs: expressions in states, inputs and parameters.

What differs between conditions becomes parameters that each experiment has a number for: a constant that
is 0.1 here, `k` there is written :math:`c + s\,k` with :math:`(c, s)=(0.1, 0)` here and :math:`(0, 1)`
there.  Comparisons with time whose moment is known become inputs that jump there, events at known times
inputs that act for an instant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np

from ..model.parameters import Parameter
from ..numerics import Array
from ..numerics.signals import Signal
from .mathml import Switch
from .petab import Condition, PetabProblem
from .petab_events import clash, flow_of, times_of
from .sbml import Event, names_in, substituted

CLOCK = "time:observed"  # the input that time is to observables


@dataclass(frozen=True, eq=False)
class Formulas:
    """A function of named states, inputs and parameters; one record for all that a problem calls.

    It holds a CasADi Function and names, so it can be pickled.
    """

    function: ca.Function
    inputs: tuple[str, ...]
    parameters: tuple[str, ...]

    def __call__(self, t: Any, x: Any, u: Any, p: Any) -> list[Any]:
        """Values at a point, numbers or symbols."""
        chosen = [
            ca.vertcat(*(part[n] for n in names))
            for part, names in ((u, self.inputs), (p, self.parameters))
        ]
        return list(ca.vertsplit(self.function(t, ca.vertcat(*x), *chosen)))


class Equations:
    """Of one problem."""

    def __init__(self, petab: PetabProblem) -> None:
        self.petab, self.model = petab, petab.model
        self.runs = petab.conditions

    def rate(self, state: str) -> ca.SX:
        """The right-hand side of a state, with what events do."""
        rate = self.noted(self.model.rates[state])
        for name, (flow, _) in self.events.items():
            if state in flow:
                rate += self._symbols[name] * self.noted(flow[state])
        return rate

    @cached_property
    def _given(self) -> dict[str, tuple[ca.SX, dict[str, Array]]]:
        """What every constant is, in parameters and placeholders, and the placeholders' numbers.

        They have one for every run, and then one for the rest before every run.
        """
        taken = {q.id for q in self.petab.estimated}
        found: dict[str, tuple[ca.SX, dict[str, Array]]] = {}
        for name in self.model.constants:
            values = [run.values[name] for run in self.runs]
            values += [run.rest_values[name] for run in self.runs]
            different: list[ca.SX] = []
            for v in values:
                if not any(same(v, w) for w in different):
                    different.append(v)
            if len(different) == 1:
                found[name] = (different[0], {})
                continue
            label = name if name not in taken else f"{name}:given"
            moving = [d for d in different if not d.is_constant()]
            numbers = {}
            if len(moving) < len(different):
                numbers[label] = np.array([float(v) if v.is_constant() else 0.0 for v in values])
            for k, expression in enumerate(moving, 1):
                numbers[f"{label}:{k}"] = np.array([float(same(v, expression)) for v in values])
            symbols = {n: self._placeholder(n) for n in numbers}
            value = symbols.get(label, ca.SX(0.0))
            for k, expression in enumerate(moving, 1):
                value = value + symbols[f"{label}:{k}"] * expression
            found[name] = (value, numbers)
        return found

    def _placeholder(self, name: str) -> ca.SX:
        return self._symbols.setdefault(name, ca.SX.sym(name))

    @cached_property
    def _symbols(self) -> dict[str, ca.SX]:
        return {}

    @cached_property
    def _used(self) -> frozenset[str]:
        """Names of the model's symbols in rates, switches, observables and noise."""
        everything = [
            *self.model.rates.values(),
            *(w.difference for w in self.model.switches.values()),
        ]
        everything += [e for pair in self.petab.formulas.values() for e in pair]
        everything += [e for flow, _ in self.events.values() for e in flow.values()]
        return frozenset(n for e in everything for n in names_in(e))

    @cached_property
    def placeholders(self) -> list[Parameter]:
        """Parameters that every experiment has a number for."""
        return [
            Parameter(label, float(numbers[0]))
            for name, (_, given) in self._given.items()
            if name in self._used
            for label, numbers in given.items()
        ]

    def noted(self, expression: ca.SX) -> ca.SX:
        """Return an expression in states, time, inputs, parameters and placeholders."""
        values = {name: value for name, (value, _) in self._given.items()}
        open_ = substituted(expression, self.model.symbols, self.truths)
        return substituted(open_, self.model.symbols, values)

    def observed(self, expression: ca.SX) -> ca.SX:
        """Return the same of an observable or of noise, where time is an input."""
        expression = self.noted(expression)
        t = self.model.symbols["time"]
        if not ca.depends_on(expression, t):
            return expression
        return ca.SX(ca.substitute(expression, t, self._placeholder(CLOCK)))

    @cached_property
    def tells_time(self) -> bool:
        """Whether an observable or noise depends on time itself."""
        t = self.model.symbols["time"]
        both = (self.noted(e) for pair in self.petab.formulas.values() for e in pair)
        return any(ca.depends_on(e, t) for e in both)

    def formulas(self, expressions: Sequence[ca.SX], states: bool = True) -> Formulas:
        """Return expressions as one function of what they use."""
        column = ca.vertcat(*expressions)
        present = set(names_in(column))
        theta = (
            dict(
                zip(
                    (q.id for q in self.petab.estimated),
                    ca.vertsplit(self.petab.theta),
                    strict=True,
                )
            )
            if self.petab.estimated
            else {}
        )
        acting = {*self.events, CLOCK}
        mine = {n: s for n, s in self._symbols.items() if n in present}
        p = {n: s for n, s in theta.items() if s.name() in present}
        p |= {n: s for n, s in mine.items() if n not in acting}
        u = {n: self.model.symbols[n] for n in self.signals if n in present}
        u |= {n: s for n, s in mine.items() if n in acting}
        x = [self.model.symbols[n] for n in self.model.states] if states else []
        arguments = [
            self.model.symbols["time"],
            *(ca.vertcat(ca.SX(0, 1), *part) for part in (x, u.values(), p.values())),
        ]
        return Formulas(
            ca.Function("formulas", arguments, [ca.densify(column)]), tuple(u), tuple(p)
        )

    # ---- inputs ------------------------------------------------------------------------------

    @cached_property
    def signals(self) -> dict[str, list[Signal]]:
        """Switches at known times, as signals by run."""
        found: dict[str, list[Signal]] = {}
        for name, switch in self.model.switches.items():
            signals = [self._signal(switch, run) for run in self.runs]
            if all(s is not None for s in signals):
                found[name] = signals  # type: ignore[assignment]
        return found

    def _signal(self, switch: Switch, run: Condition) -> Signal | None:
        """The truth of a comparison over time, if that is linear in time alone."""
        t = self.model.symbols["time"]
        difference, truth = (
            substituted(e, self.model.symbols, run.values)
            for e in (switch.difference, switch.truth)
        )
        slope = ca.jacobian(difference, t)
        if {*names_in(difference)} != {"time"} or not slope.is_constant():
            return None
        at = -float(ca.substitute(difference, t, 0.0)) / float(slope)
        before, after = (float(ca.substitute(truth, t, at + s)) for s in (-1.0, 1.0))
        return (
            Signal(np.array([0.0, at]), np.array([before, after]), "zoh")
            if at > 0.0
            else Signal(np.zeros(1), np.array([after]), "zoh")
        )

    @cached_property
    def _found(self) -> tuple[dict[str, tuple[dict[str, ca.SX], list[list[float]]]], str]:
        """Events whose times are known: what they add to rates, and when in every run; one of the others."""
        found, left_out = {}, ""
        acts: list[list[tuple[Event, list[float]]]] = [[] for _ in self.runs]
        for k, event in enumerate(self.model.events, 1):
            flow, times = flow_of(event, self.model), []
            for number, run in enumerate(self.runs):
                signals = {n: by_run[number] for n, by_run in self.signals.items()}
                at_zero = {n: self.at_zero(n, run.values) for n in signals}
                times.append(times_of(event, self.model, signals, at_zero))
            known = [t for t in times if t is not None]
            together = [[*acts[n], (event, t)] for n, t in enumerate(known)]
            if flow is None or len(known) < len(times) or any(map(clash, together)):
                left_out = event.id
                continue
            acts, name = together, f"event:{k}"
            found[name] = flow, known
            self._placeholder(name)
        return found, left_out

    @property
    def events(self) -> dict[str, tuple[dict[str, ca.SX], list[list[float]]]]:
        """By the input that an event acts by: what it adds to rates, and when it acts in every run."""
        return self._found[0]

    @property
    def left_out(self) -> str:
        """An event that the fit does not have, or nothing."""
        return self._found[1]

    def at_zero(self, name: str, values: Mapping[str, ca.SX]) -> float:
        """The truth of a comparison at time 0."""
        known = {**values, "time": ca.SX(0.0)}
        return float(substituted(self.model.switches[name].truth, self.model.symbols, known))

    @cached_property
    def truths(self) -> dict[str, ca.SX]:
        """What the other switches are: smoothed if their moment is estimated, else as they stand."""
        found, t = {}, self.model.symbols["time"]
        for name, switch in self.model.switches.items():
            if name in self.signals:
                continue
            found[name] = switch.truth
            if ca.depends_on(switch.difference, t) and switch.rising:
                found[name] = 0.5 + 0.5 * ca.tanh(
                    0.5 * switch.rising * switch.difference / self.width
                )
        return found

    @property
    def width(self) -> float:
        """Over what time a switch is smoothed: half of the median step between measurements."""
        times = np.array([t for t in self.times if np.isfinite(t)])
        return 0.5 * float(np.median(np.diff(times))) if len(times) > 1 else 1e-2

    @cached_property
    def times(self) -> list[float]:
        """Of all measurements, in order."""
        found: list[float] = np.unique([m.time for m in self.petab.tables.measurements]).tolist()
        return found

    def numbers(self, place: int) -> dict[str, float]:
        """What the placeholders are in a run, or in the rest before it."""
        return {
            label: float(given[place])
            for name, (_, by_place) in self._given.items()
            if name in self._used
            for label, given in by_place.items()
        }


def same(a: ca.SX, b: ca.SX) -> bool:
    """Whether two expressions are the same, as far as CasADi sees."""
    if a.is_constant() and b.is_constant():
        return float(a) == float(b)
    return bool(ca.is_equal(a, b, 30))
