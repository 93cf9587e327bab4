"""Results of PEtab problems as PEtab's own tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ..errors import InputError
from ..files import write_text
from ..results.solution import Solution
from .petab import PetabProblem, read_petab


def write_petab_parameters(
    found: Solution | Mapping[str, float], problem: PetabProblem | str | Path, path: str | Path
) -> None:
    """Write the estimates of a PEtab problem as a parameter table, in the columns that its version of PEtab has.

    Parameters
    ----------
    found : a fit of the problem, or values by id; they take the place of the nominal values.
    problem : what was fitted, or its YAML file.
    path : of the tab-separated table.

    Raises
    ------
    InputError
        An estimated parameter that ``found`` has not.
    FileError
        The folder is missing or cannot be written.
    """
    petab = problem if isinstance(problem, PetabProblem) else read_petab(problem)
    values = found.parameters if isinstance(found, Solution) else dict(found)
    for q in petab.estimated:
        if q.id not in values:
            raise InputError(f"there is no estimate of parameter {q.id!r}; fit this very problem.")
    table = pd.DataFrame(
        {
            "parameterId": [q.id for q in petab.tables.parameters],
            "parameterScale": [q.scale for q in petab.tables.parameters],
            "lowerBound": [q.lower for q in petab.tables.parameters],
            "upperBound": [q.upper for q in petab.tables.parameters],
            "nominalValue": [
                # a logarithm at its bound may come back beyond it by rounding
                min(max(values[q.id], q.lower), q.upper) if q.estimated else q.nominal
                for q in petab.tables.parameters
            ],
            "estimate": [int(q.estimated) for q in petab.tables.parameters],
        }
    )
    if petab.tables.version == 2:
        table["estimate"] = ["true" if q.estimated else "false" for q in petab.tables.parameters]
        table = table.drop(columns="parameterScale")
    write_text(path, table.to_csv(sep="\t", index=False))
