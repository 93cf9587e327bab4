r"""PEtab problems as a `Problem` that can be fitted.

Every condition with measurements becomes an `Experiment`, with the right-hand side, the observables and the
noise that `collocode.imports.petab_equations` writes for all of them.  An observable whose placeholders are
filled differently is several outputs, and so are replicates.  A measurement at infinity, in a steady state,
is one so late that the rest has long come.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import casadi as ca
import numpy as np

from ..errors import CollocodeWarning, InputError, caller_level
from ..kinds import check_type
from ..model.dynamics import Dynamics
from ..model.events import Reset
from ..model.experiment import Experiment
from ..model.impulses import INSTANT, impulses_of
from ..model.initial import Initial, fixed, given_by
from ..model.likelihoods import Laplace, Likelihood, LogNormal, Normal
from ..model.parameters import Parameter, Prior
from ..model.per_output import PerOutput
from ..model.problem import Problem
from ..model.steady import Steady
from ..numerics.signals import Signal
from .petab import PetabProblem, read_petab
from .petab_apart import without_networks
from .petab_equations import CLOCK, Equations, Formulas, same
from .petab_events import acting, points_of
from .petab_rows import Channel, Measurement, PetabParameter
from .petab_simulation import Simulator

_SCALES = {"lin": "linear", "log": "log", "log10": "log10"}
_KINDS = {
    "uniform": "uniform",
    "normal": "normal",
    "laplace": "laplace",
    "logNormal": "lognormal",
    "logLaplace": "loglaplace",
}
_TOWARDS_REST = 1e-2, 1e3, 16  # first, last and number of times, in units of what a rest takes


def from_petab(source: str | Path | PetabProblem) -> Problem:
    """Return a PEtab problem as a `Problem`, for `fit` and `multistart`.

    Parameters
    ----------
    source : the YAML file, or what `read_petab` made of it.

    Raises
    ------
    MissingDependency, FileError, InputError
        As `read_petab`; and what a fit cannot have, named: estimated parameters without a nominal value
        or bounds, Laplace noise on a logarithm, events beside measurements at infinity.

    Warns
    -----
    CollocodeWarning
        The model has events whose times are not known, or that set a state to more than a*x + b with a
        number a: the fit leaves them out, so where they fire it is of another model than
        `simulate_petab`'s.
    """
    check_type("from_petab", source, str, Path, PetabProblem)
    petab = source if isinstance(source, PetabProblem) else read_petab(source)
    return _Import(petab).problem()


@dataclass(frozen=True, eq=False)
class _Rates:
    """Right-hand side; ``calls`` are the networks in it, their inputs, and which outputs they give by id."""

    formulas: Formulas
    calls: tuple[tuple[str, Formulas, Mapping[str, int]], ...] = ()

    def __call__(self, t: Any, x: Any, u: Any, p: Any, nn: Any) -> list[Any]:
        known = {n: p[n] for n in p.names}
        for name, inputs, outputs in self.calls:
            values = ca.vertsplit(getattr(nn, name)(*inputs(t, x, u, known)))
            known |= {n: values[k] for n, k in outputs.items()}
        return self.formulas(t, x, u, known)


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


def _moving(petab: PetabProblem) -> PetabProblem:
    """The problem with a state that stands still, where its model has none: a fit integrates something."""
    model = petab.model
    if model.states:
        return petab
    still = ca.SX.sym("standing:still")
    new = replace(
        model,
        symbols={**model.symbols, still.name(): still},
        states=(still.name(),),
        rates={still.name(): ca.SX(0.0)},
        initial={**model.initial, still.name(): ca.SX(0.0)},
    )
    return PetabProblem(petab.tables, new, petab.document)


class _Import:
    def __init__(self, whole: PetabProblem) -> None:
        petab, self.networks, self.penalty = without_networks(_moving(whole))
        self.petab, self.model = petab, petab.model
        self.equations, self.runs = Equations(petab), petab.conditions
        self.names = [c.name if not c.before else f"{c.before}_{c.name}" for c in self.runs]

    def problem(self) -> Problem:
        """Put everything together."""
        outputs = self.outputs
        if self.equations.left_out:
            warnings.warn(
                f"the fit leaves out event {self.equations.left_out!r} of {self.petab.tables.path}, whose time is not "
                "known or which is no a*x + b of its state; compare with simulate_petab, which has it.",
                CollocodeWarning,
                stacklevel=caller_level(),
            )
        starts: dict[tuple[str, str], Initial] = {}
        experiments = [self._experiment(k, starts) for k in range(len(self.runs))]
        observe = self.equations.formulas(
            [self.equations.observed(self.petab.formulas[c][0]) for c in self.channel_of.values()]
        )
        return Problem(
            self._dynamics(),
            experiments,
            states=self.model.states,
            observe=_Outputs(observe),
            parameters=[
                *(self._parameter(q) for q in self.petab.estimated if q.id not in self._called),
                *self.equations.placeholders,
            ],
            loss=PerOutput({name: self._likelihood(name) for name in outputs.values()}),
            name=self.petab.tables.path.stem,
            source=str(self.petab.tables.path),
            regularisation=self.penalty,
            normalise=False,  # the weights of the files are of their networks as they stand
        )

    @property
    def _called(self) -> dict[str, int]:
        return {n: k for net in self.networks for n, k in net.outputs.items()}

    def _dynamics(self) -> Dynamics:
        rates = self.equations.formulas([self.equations.rate(n) for n in self.model.states])
        calls = []
        for net in self.networks:
            inputs = [self.model.expanded(self.model.symbols[n]) for n in net.inputs]
            noted = self.equations.formulas([self.equations.noted(e) for e in inputs])
            calls.append((net.id, noted, net.outputs))
        return Dynamics(_Rates(rates, tuple(calls)), networks={n.id: n.mlp for n in self.networks})

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
        how: dict[str, Any] = {
            "scale": _SCALES[q.scale],
            "prior": _prior(q.prior),
            "starts": _prior(q.starts),
        }
        return Parameter(q.id, start, q.lower, q.upper, **how)

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
        return self._noise[channel]

    @cached_property
    def _noise(self) -> dict[Channel, float | None]:
        of_all = {c: self.equations.observed(pair[1]) for c, pair in self.petab.formulas.items()}
        return {c: float(sigma) if sigma.is_constant() else None for c, sigma in of_all.items()}

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
        late = self._late(number)
        rows = [(o, replace(m, time=min(m.time, late[-1]))) for o, m in rows]
        times = np.unique([m.time for _, m in rows])
        values = np.full((len(times), len(mine)), np.nan)
        sigma = np.full(values.shape, np.nan)
        for output, m in rows:
            place = int(np.searchsorted(times, m.time)), mine.index(output)
            values[place] = m.value
            known = self._number_of(m.channel)
            sigma[place] = np.nan if known is None else known
        latest = max((t for t in self.equations.times if math.isfinite(t)), default=0.0)
        end = float(times[-1]) if times[-1] > 0.0 else latest
        return Experiment(
            times,
            values,
            tuple(self.outputs[o] for o in mine),
            sigma=sigma if np.isfinite(sigma).any() else None,
            initial={n: self._start(n, run.resting[n], starts) for n in self.model.states},
            parameters=self.equations.numbers(number),
            name=self.names[number],
            end=end,
            **self._begun(number, end, late, starts),
        )

    def _late(self, number: int) -> list[float]:
        """Times towards a rest, for a run with measurements at infinity; the last stands for that."""
        rows = self.runs[number].measurements
        if not any(math.isinf(m.time) for m in rows):
            return [math.inf]
        last = max((m.time for m in rows if math.isfinite(m.time)), default=0.0)
        span = Simulator(self.petab).runs[number].time_to_rest(self.petab.nominal)
        span = span if math.isfinite(span) else 1e3 * max(last, 1.0)
        return (last + span * np.geomspace(*_TOWARDS_REST)).tolist()

    def _begun(
        self, number: int, end: float, late: list[float], starts: dict[tuple[str, str], Initial]
    ) -> dict[str, Any]:
        """Inputs of a run, and how it begins: at time 0, or at rest.

        What its condition sets anew after a rest is reset just before 0, and before events that act at 0.
        """
        instant, run = INSTANT * end, self.runs[number]
        acts = {n: times[number] for n, (_, times) in self.equations.events.items()}
        inputs = {n: signals[number] for n, signals in self.equations.signals.items()}
        inputs |= {n: acting(times, instant) for n, times in acts.items()}
        if self.equations.tells_time:
            inputs[CLOCK] = Signal(np.array([0.0, end]), np.array([0.0, end]))
        there = [t for t in late if t < end]
        points = np.unique(np.concatenate([there, *(points_of(t, instant) for t in acts.values())]))
        start = -2.0 * instant if any(0.0 in times for times in acts.values()) else 0.0
        told = {"inputs": inputs, "points": tuple(points.tolist()), "instant": instant}
        if not run.before:
            return {**told, "start": start}
        rested = {n: self.equations.at_zero(n, run.rest_values) for n in self.equations.signals}
        rested |= dict.fromkeys((*acts, *([CLOCK] if self.equations.tells_time else [])), 0.0)
        anew = {n: run.initial[n] for n in self.model.states if n not in run.kept}
        if anew:
            known = {n: self._start(n, value, starts) for n, value in anew.items()}
            to = {n: v.value if v.function is None else v.function for n, v in known.items()}
            begin = start + instant if start else 0.0
            reset = Reset(begin - instant, to)
            start = begin - 2.0 * instant
            told["events"] = (reset,)
            rested |= {impulse.name: 0.0 for impulse in impulses_of([reset])}
        steady = Steady(inputs=rested, parameters=self.equations.numbers(len(self.runs) + number))
        return {**told, "start": start, "steady": steady}

    def _start(self, name: str, value: ca.SX, known: dict[tuple[str, str], Initial]) -> Initial:
        if value.is_constant():
            return fixed(float(value))
        key = (name, str(value))
        if key not in known:
            known[key] = given_by(_Start(self.equations.formulas([value], states=False)))
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
        sigma = self.equations.observed(self.petab.formulas[channel][1])
        if sigma.is_constant():
            return 1.0  # the experiments tell
        for q, symbol in zip(self.petab.estimated, ca.vertsplit(self.petab.theta), strict=True):
            if same(sigma, symbol):
                return q.id
        return _Noise(self.equations.formulas([sigma]))


def _prior(given: tuple[str, tuple[float, ...]] | None) -> Prior | None:
    if given is None:
        return None
    kind, (location, width) = given
    on = "natural"
    if kind.startswith("parameterScale"):
        kind, on = kind.removeprefix("parameterScale").lower(), "scale"
    return Prior(_KINDS.get(kind, kind), location, width, on=on)  # type: ignore[arg-type]
