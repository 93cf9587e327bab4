r"""PEtab problems as a `Problem` that can be fitted.

Every condition with measurements becomes an `Experiment`.  What differs between conditions becomes
parameters that each experiment has a number for: a constant that is 0.1 here, `k` there is written
:math:`c + s\,k` with :math:`(c, s)=(0.1, 0)` here and :math:`(0, 1)` there.  An observable whose
placeholders are filled differently is several outputs, and so are replicates.  Comparisons with time
whose moment is known become inputs that jump there.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import casadi as ca
import numpy as np

from ..errors import CollocodeWarning, InputError
from ..model.dynamics import Dynamics
from ..model.events import INSTANT, Reset, impulses_of
from ..model.experiment import Experiment, Initial, fixed, given_by
from ..model.likelihoods import Laplace, Likelihood, LogNormal, Normal, PerOutput
from ..model.parameters import Parameter, Prior
from ..model.problem import Problem
from ..model.steady import Steady
from ..numerics import Array
from ..numerics.signals import Signal
from .mathml import Switch
from .petab import Condition, PetabProblem, read_petab
from .petab_rows import Channel, Measurement, PetabParameter
from .sbml import names_in, substituted

_SCALES = {"lin": "linear", "log": "log", "log10": "log10"}
_KINDS = {
    "uniform": "uniform",
    "normal": "normal",
    "laplace": "laplace",
    "logNormal": "lognormal",
    "logLaplace": "loglaplace",
}


def from_petab(source: str | Path | PetabProblem) -> Problem:
    """Return a PEtab problem as a `Problem`, for `fit` and `multistart`.

    Parameters
    ----------
    source : the YAML file, or what `read_petab` made of it.

    Raises
    ------
    MissingDependency, FileError, InputError
        As `read_petab`; and what a fit cannot have, named: estimated parameters without a nominal value
        or bounds, measurements at infinity, Laplace noise on a logarithm.

    Warns
    -----
    CollocodeWarning
        The model has events, which the fit leaves out: where they fire, it is of another model than
        `simulate_petab`'s.
    """
    petab = source if isinstance(source, PetabProblem) else read_petab(source)
    return _Import(petab).problem()


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


@dataclass(frozen=True, eq=False)
class _Rates:
    formulas: Formulas

    def __call__(self, t: Any, x: Any, u: Any, p: Any, nn: Any) -> list[Any]:
        return self.formulas(t, x, u, p)


@dataclass(frozen=True, eq=False)
class _Outputs:
    formulas: Formulas

    def __call__(self, x: Any, u: Any, p: Any) -> list[Any]:
        return self.formulas(0.0, x, u, p)


@dataclass(frozen=True, eq=False)
class _Noise:
    formulas: Formulas

    def __call__(self, h: Any, x: Any, u: Any, p: Any) -> Any:
        return self.formulas(0.0, x, u, p)[0]


@dataclass(frozen=True, eq=False)
class _Start:
    formulas: Formulas

    def __call__(self, *arguments: Any) -> Any:
        """Value at (p), as an initial state, or at (x, u, p), as a reset."""
        return self.formulas(0.0, [], {}, arguments[-1])[0]


@dataclass(frozen=True, kw_only=True)
class Output:
    """A column of the experiments' data: a channel, which of its replicates, and its σ if it is a number."""

    observable: str
    parameters: tuple[str, ...]
    noise: tuple[str, ...] | None
    replicate: int


class _Import:
    def __init__(self, petab: PetabProblem) -> None:
        self.petab, self.model = petab, petab.model
        self.runs = petab.conditions
        self.names = [c.name if not c.before else f"{c.before}_{c.name}" for c in self.runs]

    def problem(self) -> Problem:
        """Put everything together."""
        outputs = self.outputs
        if any(math.isinf(m.time) for m in self.petab.tables.measurements):
            raise InputError(
                f"{self.petab.tables.path} has measurements at infinity, in a steady state, which are "
                "not supported; leave them out."
            )
        if self.model.events:
            warnings.warn(
                f"the fit leaves out event {self.model.events[0].id!r} of {self.petab.tables.path}; compare "
                "with simulate_petab, which has it.",
                CollocodeWarning,
                stacklevel=3,
            )
        starts: dict[tuple[str, str], Initial] = {}
        experiments = [self._experiment(k, starts) for k in range(len(self.runs))]
        observe = self._formulas(
            [self.noted(self.petab.formulas[c][0]) for c in self.channel_of.values()]
        )
        return Problem(
            Dynamics(
                _Rates(self._formulas([self.noted(self.model.rates[n]) for n in self.model.states]))
            ),
            experiments,
            states=self.model.states,
            observe=_Outputs(observe),
            parameters=[*(self._parameter(q) for q in self.petab.estimated), *self.placeholders],
            loss=PerOutput({name: self._likelihood(name) for name in outputs.values()}),
            name=self.petab.tables.path.stem,
            source=str(self.petab.tables.path),
        )

    # ---- parameters --------------------------------------------------------------------------

    def _parameter(self, q: PetabParameter) -> Parameter:
        start = q.nominal
        if not math.isfinite(start):
            low, high = (
                math.log(max(v, 1e-300)) if q.scale != "lin" else v for v in (q.lower, q.upper)
            )
            if not math.isfinite(low + high):
                raise InputError(
                    f"parameter {q.id!r} has neither a nominalValue nor two bounds to start between; add one."
                )
            start = math.exp(0.5 * (low + high)) if q.scale != "lin" else 0.5 * (low + high)
        start = min(max(start, q.lower), q.upper)
        return Parameter(q.id, start, q.lower, q.upper, scale=_SCALES[q.scale], prior=_prior(q))

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
                if not any(_same(v, w) for w in different):
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
                numbers[f"{label}:{k}"] = np.array([float(_same(v, expression)) for v in values])
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

    def _formulas(self, expressions: Sequence[ca.SX], states: bool = True) -> Formulas:
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
        p = {
            **{n: s for n, s in theta.items() if s.name() in present},
            **{n: s for n, s in self._symbols.items() if n in present},
        }
        u = {n: self.model.symbols[n] for n in self.signals if n in present}
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
        times = np.unique([m.time for m in self.petab.tables.measurements])
        return 0.5 * float(np.median(np.diff(times))) if len(times) > 1 else 1e-2

    # ---- data --------------------------------------------------------------------------------

    @cached_property
    def rows(self) -> list[list[tuple[Output, Measurement]]]:
        """Measurements of every run with the column that each belongs to."""
        found = []
        for run in self.runs:
            seen: dict[tuple[Any, ...], int] = {}
            here = []
            for m in run.measurements:
                noise = None if self._number_of(m.channel) is not None else m.channel.noise
                key = (m.channel.observable, m.channel.parameters, noise)
                place = (*key, m.time)
                seen[place] = seen.get(place, 0) + 1
                output = Output(
                    observable=key[0], parameters=key[1], noise=key[2], replicate=seen[place]
                )
                here.append((output, m))
            found.append(here)
        return found

    def _number_of(self, channel: Channel) -> float | None:
        """σ of a channel where it is a number everywhere."""
        sigma = self.noted(self.petab.formulas[channel][1])
        return float(sigma) if sigma.is_constant() else None

    @cached_property
    def outputs(self) -> dict[Output, str]:
        """Names of the columns: the observable's id, numbered from its second column on."""
        found: dict[Output, str] = {}
        count: dict[str, int] = {}
        for output in dict.fromkeys(o for rows in self.rows for o, _ in rows):
            n = count[output.observable] = count.get(output.observable, 0) + 1
            found[output] = output.observable if n == 1 else f"{output.observable}:{n}"
        return found

    @cached_property
    def channel_of(self) -> dict[str, Channel]:
        """A channel for every column's name."""
        found: dict[str, Channel] = {}
        for output, m in (pair for rows in self.rows for pair in rows):
            found.setdefault(self.outputs[output], m.channel)
        return {name: found[name] for name in self.outputs.values()}

    def _experiment(self, number: int, starts: dict[tuple[str, str], Initial]) -> Experiment:
        run, rows = self.runs[number], self.rows[number]
        mine = list(dict.fromkeys(o for o, _ in rows))
        times = np.unique([m.time for _, m in rows])
        values = np.full((len(times), len(mine)), np.nan)
        sigma = np.full(values.shape, np.nan)
        for output, m in rows:
            place = int(np.searchsorted(times, m.time)), mine.index(output)
            values[place] = m.value
            known = self._number_of(m.channel)
            sigma[place] = np.nan if known is None else known
        latest = max(m.time for m in self.petab.tables.measurements)
        end = float(times[-1]) if times[-1] > 0.0 else latest
        return Experiment(
            times,
            values,
            tuple(self.outputs[o] for o in mine),
            sigma=sigma if np.isfinite(sigma).any() else None,
            inputs={n: signals[number] for n, signals in self.signals.items()},
            initial={n: self._start(n, run.resting[n], starts) for n in self.model.states},
            parameters=self._numbers(number),
            name=self.names[number],
            end=end,
            **self._rested(number, INSTANT * end, starts),
        )

    def _numbers(self, place: int) -> dict[str, float]:
        """What the placeholders are in a run, or in the rest before it."""
        return {
            label: float(given[place])
            for name, (_, by_place) in self._given.items()
            if name in self._used
            for label, given in by_place.items()
        }

    def _rested(
        self, number: int, instant: float, starts: dict[tuple[str, str], Initial]
    ) -> dict[str, Any]:
        """How a run begins: at time 0, or at rest; what its condition sets anew then is reset just before 0."""
        run = self.runs[number]
        if not run.before:
            return {"start": 0.0}
        inputs = {n: self._at_rest(self.model.switches[n], run) for n in self.signals}
        anew = {n: run.initial[n] for n in self.model.states if n not in run.kept}
        steady = Steady(inputs=inputs, parameters=self._numbers(len(self.runs) + number))
        if not anew:
            return {"start": 0.0, "steady": steady}
        known = {n: self._start(n, value, starts) for n, value in anew.items()}
        reset = Reset(-instant, {n: v.function or v.value for n, v in known.items()})
        inputs |= {impulse.name: 0.0 for impulse in impulses_of([reset])}
        return {
            "start": -2.0 * instant,
            "instant": instant,
            "events": (reset,),
            "steady": replace(steady, inputs=inputs),
        }

    def _at_rest(self, switch: Switch, run: Condition) -> float:
        """The truth of a comparison while the run rested, at time 0."""
        values = {**run.rest_values, "time": ca.SX(0.0)}
        return float(substituted(switch.truth, self.model.symbols, values))

    def _start(self, name: str, value: ca.SX, known: dict[tuple[str, str], Initial]) -> Initial:
        if value.is_constant():
            return fixed(float(value))
        key = (name, str(value))
        if key not in known:
            known[key] = given_by(_Start(self._formulas([value], states=False)))
        return known[key]

    def _likelihood(self, name: str) -> Likelihood:
        channel = self.channel_of[name]
        observable = self.petab.tables.observables[channel.observable]
        sigma = self._sigma(channel)
        if observable.distribution == "laplace":
            if observable.transformation != "lin":
                raise InputError(
                    f"observable {observable.id!r} has Laplace noise on a logarithm, which a fit does not "
                    "know; take normal noise."
                )
            return Laplace(sigma)
        if observable.transformation == "lin":
            return Normal(sigma)
        return LogNormal(sigma, base="10" if observable.transformation == "log10" else "e")

    def _sigma(self, channel: Channel) -> Any:
        sigma = self.noted(self.petab.formulas[channel][1])
        if sigma.is_constant():
            return 1.0  # the experiments tell
        for q, symbol in zip(self.petab.estimated, ca.vertsplit(self.petab.theta), strict=True):
            if _same(sigma, symbol):
                return q.id
        return _Noise(self._formulas([sigma]))


def _same(a: ca.SX, b: ca.SX) -> bool:
    """Whether two expressions are the same, as far as CasADi sees."""
    if a.is_constant() and b.is_constant():
        return float(a) == float(b)
    return bool(ca.is_equal(a, b, 30))


def _prior(q: PetabParameter) -> Prior | None:
    if q.prior is None:
        return None
    kind, (location, width) = q.prior
    on = "natural"
    if kind.startswith("parameterScale"):
        kind, on = kind.removeprefix("parameterScale").lower(), "scale"
    return Prior(_KINDS.get(kind, kind), location, width, on=on)  # type: ignore[arg-type]
