"""PEtab problems as tables: parameters, conditions, observables and measurements, checked.

`read_tables` follows the YAML file to its tab-separated tables and its SBML model, and refuses what
does not fit together by table, row and id.  Formulas stay text here.
Source: Schmiester et al., PEtab - Interoperable specification of parameter estimation problems in
systems biology, PLoS Comput. Biol. 17, 2021; https://petab.readthedocs.io (format versions 1 and 2).
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError
from ..files import read_bytes, refusing
from ..kinds import check_type
from .petab_files import LONGEST_NAME, names_beside, read_yaml
from .petab_networks import Hybrid, read_networks
from .petab_rows import (
    Measurement,
    Observable,
    PetabParameter,
    measurement_of,
    observable_of,
    parameter_of,
)
from .petab_version2 import experiments, measurement_row, observable_row, parameter_row

_LARGEST_TABLE = 100_000_000
_MOST_ROWS = 500_000
_ID = re.compile(r"[A-Za-z_]\w*\Z")


@dataclass(frozen=True, eq=False, kw_only=True)
class PetabTables:
    """All tables of a problem; conditions give numbers or parameters by id, as text.

    ``version`` is that of the format; in version 2 they may give formulas.
    """

    version: int
    path: Path
    sbml: Path
    parameters: tuple[PetabParameter, ...]
    conditions: Mapping[str, Mapping[str, str]]
    observables: Mapping[str, Observable]
    measurements: tuple[Measurement, ...]
    hybrid: Hybrid = Hybrid()


def read_tables(path: str | Path) -> PetabTables:
    """Read a PEtab problem, version 1 or 2.

    Raises
    ------
    MissingDependency
        PyYAML is not installed.
    FileError
        A file that is missing, too large or damaged.
    InputError
        Tables that do not fit together, or what is not supported.
    """
    check_type("read_petab", path, str, Path)
    source = Path(path)
    content = read_yaml(source, "a PEtab problem")
    given = content.get("format_version", "")
    version = str(given)[:40] if isinstance(given, str | int | float) else type(given).__name__
    if version not in _VERSIONS:
        raise InputError(
            f"{source} is of PEtab format {version or 'unknown'!r}; versions 1 and 2 are read."
        )
    files = _files(source, content) if version.startswith("1") else dict(content)
    sciml = _sciml(source, content, version)
    files["hybridization_files"] = (sciml or {}).get("hybridization_files")
    columns = _COLUMNS if version.startswith("1") else _COLUMNS_2
    rows = {
        kind: _rows(_tables(source, files.get(f"{kind}_files"), f"{kind}_files", needed))
        for kind, needed in columns.items()
        if files.get(f"{kind}_files") or columns is _COLUMNS or kind not in _OPTIONAL
    }
    models = _models(source, files)
    hybrid, weights = read_networks(source, sciml, rows) if sciml is not None else (Hybrid(), [])
    conditions = _conditions(rows["condition"]) if columns is _COLUMNS else _of_version_2(rows)
    parameters = tuple(parameter_of(row) for row in rows["parameter"])
    _check_distinct("parameter table", [q.id for q in parameters])
    observables = [observable_of(row) for row in rows["observable"]]
    _check_distinct("observable table", [o.id for o in observables])
    by_id = {o.id: o for o in observables}
    measurements = tuple(measurement_of(row, by_id, conditions) for row in rows["measurement"])
    if not measurements:
        raise InputError(f"{source} has no measurements; add some.")
    return PetabTables(
        version=int(version[0]),
        path=source,
        sbml=source.parent / models[0],
        parameters=(*parameters, *weights),
        conditions=conditions,
        observables=by_id,
        measurements=measurements,
        hybrid=hybrid,
    )


_VERSIONS = ("1", "1.0", "1.0.0", "2", "2.0", "2.0.0")
_COLUMNS: dict[str, Sequence[str]] = {
    "condition": ("conditionId",),
    "observable": ("observableId", "observableFormula", "noiseFormula"),
    "measurement": ("observableId", "simulationConditionId", "measurement", "time"),
    "parameter": ("parameterId", "parameterScale", "estimate"),
}
_COLUMNS_2: dict[str, Sequence[str]] = {
    "condition": ("conditionId", "targetId", "targetValue"),
    "experiment": ("experimentId", "time", "conditionId"),
    "mapping": ("petabEntityId", "modelEntityId"),
    "hybridization": ("targetId", "targetValue"),
    "observable": ("observableId", "observableFormula", "noiseFormula"),
    "measurement": ("observableId", "measurement", "time"),
    "parameter": ("parameterId", "estimate"),
}
_OPTIONAL = ("condition", "experiment", "mapping", "hybridization")  # of version 2


def _sciml(source: Path, content: Mapping[str, Any], version: str) -> dict[str, Any] | None:
    """The extension for networks, if the problem has it; there is no other."""
    given = content.get("extensions") or {}
    names = [str(n)[:40] for n in given] if isinstance(given, dict | list) else ["?"]
    other = [n for n in names if n != "sciml"]
    if other:
        raise InputError(
            f"{source} uses the PEtab extension {other[0]!r}, which is not supported; sciml is."
        )
    if not names:
        return None
    if (
        version.startswith("1")
        or not isinstance(given, dict)
        or not isinstance(given["sciml"], dict)
    ):
        raise InputError(
            f"{source} uses the extension sciml otherwise than PEtab 2 does; write format_version 2 and "
            "neural_networks under extensions, sciml."
        )
    return given["sciml"]


def _files(source: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """The files that version 1 names, under version 2's keys."""
    problems = content.get("problems")
    if not isinstance(problems, list) or len(problems) != 1 or not isinstance(problems[0], dict):
        raise InputError(f"{source} needs one entry under problems; split it into one file each.")
    given = content.get("parameter_file")
    named = names_beside(source, given if isinstance(given, list) else [given], "parameter_file")
    return {**problems[0], "parameter_files": named}


def _models(source: Path, files: Mapping[str, Any]) -> list[str]:
    """The SBML files, of which there has to be one."""
    given = files.get("model_files")
    if isinstance(given, dict):
        models = [m for m in given.values() if isinstance(m, dict)]
        other = [str(m.get("language"))[:40] for m in models if m.get("language") != "sbml"]
        if other:
            raise InputError(
                f"{source} has a model in {other[0]!r}, which is not supported; use sbml."
            )
        names = names_beside(source, [m.get("location") for m in models], "model_files")
    else:
        names = names_beside(source, files.get("sbml_files"), "sbml_files")
    if len(names) != 1:
        raise InputError(f"{source} names {len(names)} SBML files; one is supported.")
    return names


def _tables(source: Path, given: Any, what: str, columns: Sequence[str]) -> pd.DataFrame:
    frames = []
    for name in names_beside(source, given, what):
        path = source.parent / name
        content = read_bytes(path, _LARGEST_TABLE, "a PEtab table")
        with refusing(path, "a PEtab table"):
            frame = pd.read_csv(
                io.BytesIO(content),
                sep="\t",
                dtype=str,
                keep_default_na=False,
                nrows=_MOST_ROWS + 1,
            )
        if len(frame) > _MOST_ROWS:
            raise InputError(f"{path} has more than {_MOST_ROWS} rows; split it.")
        frame.columns = [str(c).strip() for c in frame.columns]
        for column in columns:
            if column not in frame.columns:
                raise InputError(f"{path} has no column {column!r}, which PEtab requires; add it.")
        frames.append(frame)
    return pd.concat(frames, ignore_index=True).fillna("")


def _rows(frame: pd.DataFrame) -> list[dict[str, str]]:
    rows = frame.to_dict("records")
    return [{str(k): str(v).strip() for k, v in row.items()} for row in rows]


def _check_distinct(where: str, ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in ids:
        if not _ID.match(name) or len(name) > LONGEST_NAME:
            raise InputError(
                f"{where}: {name[:60]!r} is no id; use letters, digits and underscores."
            )
        if name in seen:
            raise InputError(f"{where}: id {name!r} occurs twice; rename one.")
        seen.add(name)


def _of_version_2(rows: dict[str, list[dict[str, str]]]) -> dict[str, dict[str, str]]:
    """Put version 1's rows in the place of version 2's, and return the conditions."""
    changes, periods, mapping = (rows.get(k, []) for k in ("condition", "experiment", "mapping"))
    conditions, before = experiments(changes, periods, mapping)
    _check_distinct("experiment table", list(conditions))
    rows["parameter"] = [parameter_row(row) for row in rows["parameter"]]
    rows["observable"] = [observable_row(row) for row in rows["observable"]]
    rows["measurement"] = [measurement_row(row, before) for row in rows["measurement"]]
    return conditions


def _conditions(rows: Sequence[dict[str, str]]) -> dict[str, dict[str, str]]:
    _check_distinct("condition table", [row["conditionId"] for row in rows])
    return {
        row["conditionId"]: {
            k: v for k, v in row.items() if k not in ("conditionId", "conditionName") and v
        }
        for row in rows
    }
