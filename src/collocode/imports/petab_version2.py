"""PEtab 2's tables in terms of version 1: scales, distributions, long condition tables and experiments.

An experiment becomes a condition with its id and, where it begins at ``-inf``, a pre-equilibration; what
that set goes on to hold, which version 1 does not do (`PetabTables.persistent`).  Version 2 leaves the
scale of a parameter to the estimation: here log10 where the prior is logarithmic, or where there is none
and the bounds are positive and at least a factor of a hundred apart.
Source: https://petab.readthedocs.io/en/latest/v2/documentation_data_format.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..checks import check_choice, check_has
from ..errors import InputError
from .petab_rows import number_of

Row = Mapping[str, str]
_DISTRIBUTIONS = {
    "normal": ("normal", "lin"),
    "laplace": ("laplace", "lin"),
    "log-normal": ("normal", "log"),
    "log-laplace": ("laplace", "log"),
}
_PRIORS = {
    "uniform": "uniform",
    "normal": "normal",
    "laplace": "laplace",
    "log-normal": "logNormal",
    "log-laplace": "logLaplace",
    "log-uniform": "parameterScaleUniform",
}
_APART = 100.0
_BARE = "model"  # the condition of measurements without an experiment


def parameter_row(row: Row) -> dict[str, str]:
    """Return a parameter's row with its scale and prior as in version 1."""
    where = f"parameter {row['parameterId']!r}"
    estimate = row["estimate"].lower()
    check_choice(f"estimate of {where}", estimate, ("true", "false"))
    prior, numbers = row.get("priorDistribution", ""), row.get("priorParameters", "")
    if prior:
        check_choice(f"priorDistribution of {where}", prior, _PRIORS)
    low, high = (
        number_of(row.get(f"{bound}Bound") or "nan", f"{bound}Bound of {where}")
        for bound in ("lower", "upper")
    )
    wide = low > 0.0 and high >= _APART * low
    scale = "log10" if prior.startswith("log-") or (not prior and wide) else "lin"
    if prior == "log-uniform":
        ends = [number_of(n, f"priorParameters of {where}") for n in numbers.split(";")]
        if any(not end > 0.0 for end in ends):
            raise InputError(
                f"priorParameters of {where} are {numbers!r}; log-uniform takes positive ones."
            )
        numbers = ";".join(repr(math.log10(end)) for end in ends)
    return {
        **row,
        "parameterScale": scale,
        "estimate": "1" if estimate == "true" else "0",
        "objectivePriorType": _PRIORS.get(prior, ""),
        "objectivePriorParameters": numbers,
        "initializationPriorType": _PRIORS.get(prior, ""),
        "initializationPriorParameters": numbers,
    }


def observable_row(row: Row) -> dict[str, str]:
    """Return an observable's row with its distribution as in version 1."""
    name = row["observableId"]
    given = row.get("noiseDistribution") or "normal"
    check_choice(f"noiseDistribution of {name!r}", given, _DISTRIBUTIONS)
    distribution, transformation = _DISTRIBUTIONS[given]
    changed = {"noiseDistribution": distribution, "observableTransformation": transformation}
    return {"observablePlaceholders": "", "noisePlaceholders": "", **row, **changed}


def experiments(
    changes: Sequence[Row], periods: Sequence[Row], mapping: Sequence[Row]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return conditions as in version 1, by experiment, and the pre-equilibration of those that have one.

    Parameters
    ----------
    changes, periods, mapping : rows of the condition, experiment and mapping tables.

    Raises
    ------
    InputError
        An experiment that starts late or changes later than at its start, or a mapping to another id.
    """
    for row in mapping:
        mine, theirs = row["petabEntityId"], row["modelEntityId"]
        if theirs not in ("", mine):
            raise InputError(
                f"the mapping table calls {theirs[:60]!r} of the model {mine[:60]!r}, which is not supported; "
                "use the model's id."
            )
    tables: dict[str, dict[str, str]] = {}
    for row in changes:
        tables.setdefault(row["conditionId"], {})[row["targetId"]] = row["targetValue"]
    by_time: dict[str, dict[float, list[str]]] = {}
    for row in periods:
        name = row["experimentId"]
        time = number_of(row["time"], f"time of experiment {name!r}")
        here = by_time.setdefault(name, {}).setdefault(time, [])
        if row["conditionId"]:
            check_has("the condition table", "row", row["conditionId"], tables)
            here.append(row["conditionId"])
    found: dict[str, dict[str, str]] = {_BARE: {}}
    before: dict[str, str] = {}
    for name, parts in by_time.items():
        for time in parts:
            if time not in (-math.inf, 0.0):
                raise InputError(
                    f"experiment {name!r} has a period from time {time:g}; one from 0, and one before from "
                    "-inf, are supported: write later changes as events of the model."
                )
        if -math.inf in parts:
            rest = "_and_".join(parts[-math.inf]) or f"{_BARE}_at_rest"
            found[rest] = {k: v for c in parts[-math.inf] for k, v in tables[c].items()}
            before[name] = rest
        found[name] = {k: v for c in parts.get(0.0, []) for k, v in tables[c].items()}
    return found, before


def measurement_row(row: Row, before: Mapping[str, str]) -> dict[str, str]:
    """Return a measurement's row with its experiment as a condition of version 1."""
    name = row.get("experimentId") or _BARE
    rest = before.get(name, "")
    return {**row, "simulationConditionId": name, "preequilibrationConditionId": rest}
