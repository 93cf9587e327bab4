"""Results of PEtab problems as PEtab's own tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..checks import check_named
from ..errors import InputError
from ..files import replacing
from ..results.solution import Solution
from .petab import PetabProblem, read_petab
from .petab_files import hdf5
from .petab_networks import Hybrid


def write_petab_parameters(
    found: Solution | Mapping[str, float], problem: PetabProblem | str | Path, path: str | Path
) -> None:
    """Write the estimates of a PEtab problem as a parameter table, in the columns that its version of PEtab has.

    Parameters
    ----------
    found : a fit of the problem, or values by id; they take the place of the nominal values.
    problem : what was fitted, or its YAML file.
    path : of the tab-separated table; weights of networks go to an array file beside it, ``NAME_arrays.hdf5``.

    Raises
    ------
    InputError
        An estimated parameter that ``found`` has not.
    FileError
        The folder is missing or cannot be written.
    """
    petab = problem if isinstance(problem, PetabProblem) else read_petab(problem)
    tables, hybrid = petab.tables, petab.tables.hybrid
    known = _values(found, petab)
    weights = {w for net in hybrid.networks for w in net.weights}
    plain = [q for q in tables.parameters if q.id not in weights]
    table = pd.DataFrame(
        {
            "parameterId": [q.id for q in plain],
            "parameterScale": [q.scale for q in plain],
            "lowerBound": [q.lower for q in plain],
            "upperBound": [q.upper for q in plain],
            "nominalValue": [known[q.id] for q in plain],
            "estimate": [int(q.estimated) for q in plain],
        }
    )
    if tables.version == 2:
        table["estimate"] = ["true" if q.estimated else "false" for q in plain]
        table = table.drop(columns="parameterScale")
    if hybrid.rows:
        arrays = pd.DataFrame(hybrid.rows)[[c for c in table.columns if c in hybrid.rows[0]]]
        table = pd.concat([table.astype(object), arrays.assign(nominalValue="array")])
    target = Path(path)
    targets = [target, target.with_name(f"{target.stem}_arrays.hdf5")][: 1 + bool(hybrid.rows)]
    with replacing(*targets) as aside:
        aside[0].write_text(table.to_csv(sep="\t", index=False), encoding="utf-8")
        if hybrid.rows:
            _write_arrays(hybrid, known, aside[1])


def write_petab_arrays(
    found: Solution | Mapping[str, float], problem: PetabProblem, path: str | Path
) -> None:
    """Write the weights of all networks as PEtab-SciML's array file; see `write_petab_parameters`."""
    with replacing(Path(path)) as (aside,):
        _write_arrays(problem.tables.hybrid, _values(found, problem), aside)


def _values(found: Solution | Mapping[str, float], petab: PetabProblem) -> dict[str, float]:
    """Values of all parameters, estimated or not."""
    values = petab.estimates(found) if isinstance(found, Solution) else dict(found)
    check_named("the estimates", values, "parameter", [q.id for q in petab.tables.parameters])
    for q in petab.estimated:
        if q.id not in values:
            raise InputError(f"there is no estimate of parameter {q.id!r}; fit this very problem.")
    return {
        # a logarithm at its bound may come back beyond it by rounding
        q.id: min(max(values[q.id], q.lower), q.upper) if q.estimated else q.nominal
        for q in petab.tables.parameters
    }


def _write_arrays(hybrid: Hybrid, known: Mapping[str, float], path: Path) -> None:
    """Write the weights of all networks as PEtab-SciML's array file."""
    with hdf5().File(path, "w") as file:
        file["metadata/pytorch_format"] = np.uint8(1)
        for net in hybrid.networks:
            parts = net.mlp.matrices([known[w] for w in net.weights])
            for (layer, biased), (W, b) in zip(net.layers, parts, strict=True):
                file[f"parameters/{net.id}/{layer}/weight"] = W
                if biased:
                    file[f"parameters/{net.id}/{layer}/bias"] = b
