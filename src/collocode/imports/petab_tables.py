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
from pathlib import Path, PureWindowsPath
from typing import Any

import pandas as pd

from ..errors import InputError, MissingDependency, check_type
from ..files import read_bytes, refusing
from .petab_rows import (
    Measurement,
    Observable,
    PetabParameter,
    measurement_of,
    observable_of,
    parameter_of,
)
from .petab_version2 import experiments, measurement_row, observable_row, parameter_row

_LARGEST_YAML, _LARGEST_TABLE = 1_000_000, 100_000_000
_MOST_ROWS = 500_000
_LONGEST_NAME = 200  # letters of a file's name or an id
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
    content = _yaml(source)
    extensions = content.get("extensions")
    if extensions:
        named = [str(n)[:40] for n in extensions] if isinstance(extensions, dict | list) else ["?"]
        raise InputError(
            f"{source} uses the PEtab extension {named[0]!r} (networks, say, are its sciml), which is not "
            "supported; write the problem without it, and networks by NeuralODE or a hybrid Dynamics."
        )
    given = content.get("format_version", "")
    version = str(given)[:40] if isinstance(given, str | int | float) else type(given).__name__
    if version not in _VERSIONS:
        raise InputError(
            f"{source} is of PEtab format {version or 'unknown'!r}; versions 1 and 2 are read."
        )
    files = _files(source, content) if version.startswith("1") else content
    columns = _COLUMNS if version.startswith("1") else _COLUMNS_2
    rows = {
        kind: _rows(_tables(source, files.get(f"{kind}_files"), f"{kind}_files", needed))
        for kind, needed in columns.items()
        if files.get(f"{kind}_files") or columns is _COLUMNS or kind not in _OPTIONAL
    }
    models = _models(source, files)
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
        parameters=parameters,
        conditions=conditions,
        observables=by_id,
        measurements=measurements,
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
    "observable": ("observableId", "observableFormula", "noiseFormula"),
    "measurement": ("observableId", "measurement", "time"),
    "parameter": ("parameterId", "estimate"),
}
_OPTIONAL = ("condition", "experiment", "mapping")  # of version 2


def _files(source: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """The files that version 1 names, under version 2's keys."""
    problems = content.get("problems")
    if not isinstance(problems, list) or len(problems) != 1 or not isinstance(problems[0], dict):
        raise InputError(f"{source} needs one entry under problems; split it into one file each.")
    given = content.get("parameter_file")
    named = _names(source, given if isinstance(given, list) else [given], "parameter_file")
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
        names = _names(source, [m.get("location") for m in models], "model_files")
    else:
        names = _names(source, files.get("sbml_files"), "sbml_files")
    if len(names) != 1:
        raise InputError(f"{source} names {len(names)} SBML files; one is supported.")
    return names


def _yaml(source: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise MissingDependency(
            "PEtab's YAML files are read by PyYAML, which is not installed; "
            "pip install 'collocode[petab]'."
        ) from error
    text = read_bytes(source, _LARGEST_YAML, "a PEtab problem")
    with refusing(source, "a PEtab problem"):
        content = yaml.safe_load(text)  # plain data only
    if not isinstance(content, dict):
        raise InputError(
            f"{source} is no PEtab problem: it is no mapping; name the YAML file of one."
        )
    return content


def _names(source: Path, given: Any, what: str) -> list[str]:
    names = given if isinstance(given, list) else []
    if not names or not all(isinstance(n, str) and n for n in names):
        raise InputError(f"{source} needs {what}, a list of file names beside it; add it.")
    for name in names:
        if "://" in name:
            raise InputError(f"{source} names {name[:80]!r} under {what}; download it first.")
        if Path(name).is_absolute() or PureWindowsPath(name).drive or len(name) > _LONGEST_NAME:
            raise InputError(
                f"{source} names {name[:80]!r} under {what}; name a file beside it, by a relative path."
            )
    return names


def _tables(source: Path, given: Any, what: str, columns: Sequence[str]) -> pd.DataFrame:
    frames = []
    for name in _names(source, given, what):
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
        if not _ID.match(name) or len(name) > _LONGEST_NAME:
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
