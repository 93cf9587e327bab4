"""Rows of PEtab's tables as records: parameters, observables, conditions and measurements, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..checks import apart, check_choice, check_has, counted
from ..errors import InputError

SCALES = ("lin", "log", "log10")
PRIORS = {
    "uniform": 2,
    "normal": 2,
    "laplace": 2,
    "logNormal": 2,
    "logLaplace": 2,
    "parameterScaleUniform": 2,
    "parameterScaleNormal": 2,
    "parameterScaleLaplace": 2,
}


@dataclass(frozen=True, kw_only=True)
class PetabParameter:
    """A row of the parameter table; bounds, nominal value on linear scale.

    ``prior`` is the objective's and ``starts`` the initialization's: (type, two numbers), or None.
    """

    id: str
    scale: str
    lower: float
    upper: float
    nominal: float
    estimated: bool
    prior: tuple[str, tuple[float, ...]] | None = None
    starts: tuple[str, tuple[float, ...]] | None = None


@dataclass(frozen=True, kw_only=True)
class Channel:
    """An observable with its placeholders filled: what makes measurements comparable."""

    observable: str
    parameters: tuple[str, ...]
    noise: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Observable:
    """A row of the observable table; formulas as text, in which measurements fill the placeholders.

    Version 2 names the placeholders; in version 1 they are ``observableParameter1_id`` and so on, and None here.
    """

    id: str
    formula: str
    noise: str
    transformation: str
    distribution: str
    placeholders: tuple[str, ...] | None = None
    noise_placeholders: tuple[str, ...] | None = None

    def filled(self, channel: Channel) -> dict[str, tuple[str, str]]:
        """What a channel gives for every placeholder, and the field that says so.

        Raises
        ------
        InputError
            It gives another number of them than there are.
        """
        found: dict[str, tuple[str, str]] = {}
        for label, names, fields in (
            ("observable", self.placeholders, channel.parameters),
            ("noise", self.noise_placeholders, channel.noise),
        ):
            where = f"{label}Parameters of {self.id!r}"
            if names is None:
                names = tuple(f"{label}Parameter{k}_{self.id}" for k in range(1, len(fields) + 1))
            if len(names) != len(fields):
                raise InputError(
                    f"{where} are {len(fields)}, but it has {counted(len(names), 'placeholder')}."
                )
            found |= {n: (text, where) for n, text in zip(names, fields, strict=True)}
        return found


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A row of the measurement table; ``before`` is the pre-equilibration's condition or empty."""

    channel: Channel
    before: str
    condition: str
    time: float
    value: float


def number_of(text: str, where: str) -> float:
    """Return the number that a field has to be."""
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{where} is no number: {text[:60]!r}; correct it.") from error


def is_number(text: str) -> bool:
    """Whether a field of a table is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def parameter_of(row: Mapping[str, str]) -> PetabParameter:
    """Read a row of the parameter table."""
    name = row["parameterId"]
    where = f"parameter {name!r}"
    scale = row["parameterScale"] or "lin"
    check_choice(f"parameterScale of {where}", scale, SCALES)
    estimate = row["estimate"]
    if estimate not in ("0", "1", "0.0", "1.0"):
        raise InputError(f"estimate of {where} is {estimate!r}; write 0 or 1.")
    estimated = estimate.startswith("1")
    nominal = number_of(row.get("nominalValue") or "nan", f"nominalValue of {where}")
    lower, upper = -math.inf, math.inf
    if estimated or row.get("lowerBound"):
        lower = number_of(row.get("lowerBound") or "-inf", f"lowerBound of {where}")
        upper = number_of(row.get("upperBound") or "inf", f"upperBound of {where}")
    if estimated and not lower < upper:
        told = apart(lower, upper)
        raise InputError(f"the bounds of {where} cross ({told[0]}, {told[1]}); correct them.")
    if estimated and scale != "lin" and not lower >= 0.0:
        raise InputError(f"{where} is on {scale} scale, so lowerBound may not be {lower:g}.")
    if not estimated and math.isnan(nominal):
        raise InputError(f"{where} is not estimated and has no nominalValue; add it.")
    return PetabParameter(
        id=name,
        scale=scale,
        lower=lower,
        upper=upper,
        nominal=nominal,
        estimated=estimated,
        prior=_prior(row, "objectivePrior", where),
        starts=_prior(row, "initializationPrior", where),
    )


def _prior(row: Mapping[str, str], what: str, where: str) -> tuple[str, tuple[float, ...]] | None:
    kind = row.get(f"{what}Type", "")
    if not kind:
        return None
    check_choice(f"{what}Type of {where}", kind, PRIORS)
    fields = [f for f in row.get(f"{what}Parameters", "").split(";") if f.strip()]
    numbers = tuple(number_of(f, f"{what}Parameters of {where}") for f in fields)
    if not numbers and kind in ("parameterScaleUniform", "uniform"):
        return None  # by the specification, over the bounds
    if len(numbers) != PRIORS[kind]:
        raise InputError(f"{what}Parameters of {where} are {len(numbers)}, but {kind} takes 2.")
    if "niform" not in kind and not numbers[1] > 0.0:
        raise InputError(f"the width of {what} of {where} is {numbers[1]:g}; it must be positive.")
    return kind, numbers


def observable_of(row: Mapping[str, str]) -> Observable:
    """Read a row of the observable table."""
    name = row["observableId"]
    transformation = row.get("observableTransformation") or "lin"
    check_choice(f"observableTransformation of {name!r}", transformation, SCALES)
    distribution = row.get("noiseDistribution") or "normal"
    check_choice(f"noiseDistribution of {name!r}", distribution, ("normal", "laplace"))
    if not row["observableFormula"] or not row["noiseFormula"]:
        raise InputError(f"observable {name!r} needs an observableFormula and a noiseFormula.")
    return Observable(
        id=name,
        formula=row["observableFormula"],
        noise=row["noiseFormula"],
        transformation=transformation,
        distribution=distribution,
        placeholders=_named(row, "observablePlaceholders"),
        noise_placeholders=_named(row, "noisePlaceholders"),
    )


def _named(row: Mapping[str, str], column: str) -> tuple[str, ...] | None:
    return _overrides(row[column]) if column in row else None


def measurement_of(
    row: Mapping[str, str],
    observables: Mapping[str, Observable],
    conditions: Mapping[str, Mapping[str, str]],
) -> Measurement:
    """Read a row of the measurement table."""
    observable, condition = row["observableId"], row["simulationConditionId"]
    before = row.get("preequilibrationConditionId", "")
    check_has("the observable table", "row", observable, observables)
    for name in (condition, *([before] if before else [])):
        check_has("the condition table", "row", name, conditions)
    where = f"of {observable!r} in {condition!r}"
    time = number_of(row["time"], f"time {where}")
    value = number_of(row["measurement"], f"measurement {where}")
    if not math.isfinite(value):
        raise InputError(f"a measurement {where} is {value}; leave the row out.")
    if math.isnan(time) or time < 0.0:
        raise InputError(f"a time {where} is {time}; it must be 0 or later.")
    if observables[observable].transformation != "lin" and not value > 0.0:
        raise InputError(f"a measurement {where} is {value:g}, which has no logarithm; drop it.")
    channel = Channel(
        observable=observable,
        parameters=_overrides(row.get("observableParameters", "")),
        noise=_overrides(row.get("noiseParameters", "")),
    )
    return Measurement(channel=channel, before=before, condition=condition, time=time, value=value)


def _overrides(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";")) if text else ()
