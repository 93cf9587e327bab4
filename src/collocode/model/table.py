"""Reading experiments from text, spreadsheets, Parquet files and data frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import check_path, counted, listed
from ..errors import FileError, InputError, MissingDependency
from ..numerics.signals import Signal
from .cells import Table
from .experiment import Experiment
from .experiment_checks import check_times
from .initial import Initial
from .text_table import read_text, tabulated

if TYPE_CHECKING:
    import pandas as pd

_SHEETS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
_PARQUET = (".parquet", ".pq")


def read_csv(
    path: str | Path, time: str | None = None, *, encoding: str | None = None, **options: Any
) -> list[Experiment]:
    """Read experiments from a text file with a header line.

    Commas, semicolons, tabs, bars or blanks part the fields, numbers may have decimal commas (not
    beside separating ones), lines of ``#`` may come first and one of units
    below the names, the file may be packed (``.gz``, ``.bz2``,
    ``.xz``).  What was decided about it is logged as a warning of ``collocode`` and kept in
    `Experiment.notes`.

    Parameters
    ----------
    path : the file.
    time : the time column; None takes the first column.
    encoding : of a file that is neither in UTF-8 nor UTF-16, as Python calls it: ``"latin-1"``, ``"cp1252"``.
    options : as for `from_frame`.

    Returns
    -------
    One `Experiment`, or one for each value of the experiment column, in a list.

    Raises
    ------
    FileError
        Missing, unreadable or empty file; no header; a row with more or fewer fields (by its line).
    InputError
        Unknown column, a cell that is not a number (named by line and column), bad times.
    """
    check_path("read_csv", path)
    return _experiments(read_text(path, encoding), time=time, **options)


def read_table(
    path: str | Path,
    time: str | None = None,
    sheet: str | int | None = None,
    *,
    encoding: str | None = None,
    **options: Any,
) -> list[Experiment]:
    """Read experiments from a spreadsheet (``.xlsx``, ``.xls``, ``.ods``), Parquet or text file.

    Parameters
    ----------
    path : the file; its ending says what it is, text if it is none of these.
    time, encoding, options : as for `read_csv`.
    sheet : name or number of the sheet; None takes the first.

    Raises
    ------
    FileError, InputError
        As `read_csv`.
    MissingDependency
        The package by which pandas reads such files is not installed.
    """
    check_path("read_table", path)
    import pandas as pd

    source, suffix = Path(path), Path(path).suffix.lower()
    if sheet is not None and suffix not in _SHEETS:
        raise InputError(f"{source.name} has no sheets; leave out sheet={sheet!r}.")
    if suffix not in (*_SHEETS, *_PARQUET):
        return read_csv(source, time, encoding=encoding, **options)
    if encoding is not None:
        raise InputError(f"{source.name} is no text; leave out encoding={encoding!r}.")
    if not source.is_file():
        raise FileError(f"there is no data file {str(source)!r}; check the path.")
    try:
        if suffix in _PARQUET:
            return from_frame(pd.read_parquet(source), time, source=source.name, **options)
        sheets = pd.read_excel(source, sheet_name=None, header=None, dtype=object)
    except ImportError as error:
        package = _engine(str(error), suffix)
        raise MissingDependency(
            f"{source.name}: pandas reads {suffix} files by the package {package!r}, which is not "
            f"installed; run: pip install {package}."
        ) from error
    except InputError:
        raise
    except Exception as error:  # each engine has errors of its own
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FileError(f"{source} cannot be read ({reason}).") from error
    return _experiments(_sheet(sheets, sheet, source), time=time, **options)


def _engine(said: str, suffix: str) -> str:
    known = ("openpyxl", "xlrd", "odfpy", "pyxlsb", "calamine")
    usual = {".xls": "xlrd", ".ods": "odfpy", ".xlsb": "pyxlsb"}.get(suffix, "openpyxl")
    if suffix in _PARQUET:
        return "pyarrow"
    return next((name for name in known if name in said), usual)


def _sheet(sheets: Mapping[str, pd.DataFrame], sheet: str | int | None, source: Path) -> Table:
    names, notes = list(sheets), []
    if sheet is None and len(names) > 1:
        notes.append(f"the first of {counted(len(names), 'sheet')}, {names[0]!r}")
    chosen = names[int(sheet or 0)] if sheet in (None, *range(len(names))) else str(sheet)
    if chosen not in names:
        raise InputError(f"{source.name} has no sheet {sheet!r}; it has: {listed(names)}.")
    rows = list(enumerate(sheets[chosen].to_numpy(dtype=object).tolist(), start=1))
    rows = [(line, ["" if cell != cell else cell for cell in cells]) for line, cells in rows]
    columns, lines = tabulated(rows, (), source, notes)
    return Table(
        source=source.name,
        columns=columns,
        place=lambda row: f"row {lines[row]}",
        commas="doubtful",
        notes=notes,
    )


def from_frame(
    frame: pd.DataFrame,
    time: str | None = None,
    outputs: Iterable[str] | None = None,
    inputs: Mapping[str, str] | Iterable[str] = (),
    experiment: str | None = None,
    initial: Mapping[str, Initial | float] | None = None,
    variable: str | None = None,
    value: str = "value",
    replicates: bool = False,
    source: str = "data frame",
) -> list[Experiment]:
    """Turn a table into experiments: one row a time, or (with ``variable``) one row a measurement.

    Parameters
    ----------
    frame : the table; strings are converted, empty cells are missing values.  A named index is its
        first column.
    time : the time column; None takes the first one.
    outputs : measured columns; None takes all that have no other role.
    inputs : input columns, or a mapping from them to ``"zoh"``, ``"linear"`` or ``"spline"``.
    experiment : the column that tells the experiments apart; None means a single one.
    initial : what is known of the initial states, the same for every experiment.
    variable, value : in a long table, the column that names what was measured, and the numbers';
        inputs are then named among the variables too.
    replicates : whether rows at the same time are repeated measurements of one run; see `Experiment`.
    source : what messages call the table.

    Raises
    ------
    InputError
        No data frame, unknown or equal columns, a cell that is not a number, dates, bad times.

    Examples
    --------
    >>> import pandas as pd
    >>> long = pd.DataFrame({"t": [0, 0, 1], "what": ["a", "b", "a"], "value": [1.0, 2.0, 3.0]})
    >>> from_frame(long, variable="what")[0].values
    array([[ 1.,  2.],
           [ 3., nan]])
    """
    return _experiments(
        _table(frame, time, source),
        time=time,
        outputs=outputs,
        inputs=inputs,
        experiment=experiment,
        initial=initial,
        variable=variable,
        value=value,
        replicates=replicates,
    )


def _table(frame: pd.DataFrame, time: str | None, source: str) -> Table:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise InputError(
            f"from_frame takes a pandas DataFrame, not a {type(frame).__name__}; "
            "read_csv and read_table read files."
        )
    places = frame.index
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    elif time is None and frame.index.dtype.kind in "fmM":
        raise InputError(
            f"{source} has an index without a name, of type {frame.index.dtype}; name it if it is the "
            "time, else drop it by reset_index(drop=True)."
        )
    columns: dict[str, Any] = {}
    for j, label in enumerate(frame.columns):
        name, series = str(label), frame.iloc[:, j]
        if name in columns:
            raise InputError(f"{source}: two columns are called {name!r}; rename one of them.")
        plain = isinstance(series.dtype, np.dtype) and series.dtype.kind in "iufb"
        columns[name] = series.to_numpy() if plain else series.tolist()
    if not columns or not len(frame):
        raise InputError(f"{source} has no rows or no columns; add data.")
    rows = [row if isinstance(row, str) else str(row) for row in places.tolist()]
    return Table(source=source, columns=columns, place=lambda row: f"row {rows[row]}")


def _experiments(
    table: Table,
    *,
    time: str | None = None,
    outputs: Iterable[str] | None = None,
    inputs: Mapping[str, str] | Iterable[str] = (),
    experiment: str | None = None,
    initial: Mapping[str, Initial | float] | None = None,
    variable: str | None = None,
    value: str = "value",
    replicates: bool = False,
) -> list[Experiment]:
    """Give the columns their roles; see `from_frame`."""
    source, time = table.source, table.names[0] if time is None else time
    if variable is not None:
        table = _widened(table, time, variable, value, experiment, replicates)
    outputs = [outputs] if isinstance(outputs, str) else outputs
    inputs = [inputs] if isinstance(inputs, str) else inputs
    kinds = dict(inputs) if isinstance(inputs, Mapping) else {name: "linear" for name in inputs}
    roles = {time, *kinds} | ({experiment} if experiment else set())
    names = [c for c in table.names if c not in roles] if outputs is None else list(outputs)
    table.require([*sorted(roles), *names])
    if not names:
        hint = "; is it another separator?" if len(table.names) == 1 else ""
        raise InputError(
            f"{source} has no measured column beside {', '.join(sorted(roles))}{hint}."
        )
    numeric = table.numbers([time, *kinds, *names])
    groups = _groups(table, experiment, len(numeric[time]))
    table.tell()
    values = np.column_stack([numeric[name] for name in names])
    for label, rows in groups.items():
        where = f"{source}, experiment {label!r}" if experiment else source
        whole = numeric[time][rows]
        check_times(whole, where, replicates=replicates, place=_places(table, rows))
    return [
        Experiment(
            times=numeric[time][rows],
            values=values[rows],
            outputs=tuple(names),
            inputs={
                k: _signal(numeric[time][rows], numeric[k][rows], kind, f"{source}: {k}")
                for k, kind in kinds.items()
            },
            initial=initial or {},
            name=label,
            notes=tuple(table.notes),
            replicates=replicates,
        )
        for label, rows in groups.items()
    ]


def _places(table: Table, rows: np.ndarray) -> Callable[[int], str]:
    """Where a reader finds the rows of an experiment."""
    return lambda k: table.place(int(rows[k]))


def _groups(table: Table, experiment: str | None, count: int) -> dict[str, np.ndarray]:
    """Rows by experiment."""
    if experiment is None:
        return {Path(table.source).stem: np.arange(count)}
    return {label: np.array(rows) for label, rows in _labels(table, experiment).items()}


def _labels(table: Table, name: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row, cell in enumerate(table.columns[name]):
        label = str(cell).strip()
        if label.lower() in ("", "nan", "none", "<na>"):
            table.refuse(row, name, "the cell is empty; say which it belongs to")
        found.setdefault(label, []).append(row)
    return found


def _widened(
    table: Table,
    time: str,
    variable: str,
    value: str,
    experiment: str | None,
    replicates: bool = False,
) -> Table:
    """Turn one row a measurement into one row a time, or one a replicate, in the order of time."""
    table.require([*([experiment] if experiment else []), time, variable, value])
    numbers = table.numbers([time, value])
    runs = _labels(table, experiment) if experiment else {"": list(range(len(numbers[time])))}
    whats = _labels(table, variable)
    what_of = {row: what for what, rows in whats.items() for row in rows}
    cells: dict[tuple[str, float, int], dict[str, float]] = {}
    for run, rows in runs.items():
        for row in rows:
            when, what = float(numbers[time][row]), what_of[row]
            if np.isnan(when):
                raise InputError(
                    f"{table.source}, {table.place(row)}: the time is missing; drop or repair that row."
                )
            again = 0
            while what in cells.setdefault((run, when, again), {}) and replicates:
                again += 1
            entry = cells[run, when, again]
            if what in entry:
                raise InputError(
                    f"{table.source}, {table.place(row)}: {what!r} was measured twice at time "
                    f"{when:g}; name the column of experiments, or say replicates=True if one run was "
                    "measured again."
                )
            entry[what] = float(numbers[value][row])
    order = {run: place for place, run in enumerate(runs)}
    keys = sorted(cells, key=lambda key: (order[key[0]], *key[1:]))
    columns: dict[str, Sequence[Any] | np.ndarray] = {time: np.array([when for _, when, _ in keys])}
    if experiment:
        columns[experiment] = [run for run, _, _ in keys]
    for what in whats:
        columns[what] = np.array([cells[key].get(what, np.nan) for key in keys])
    return Table(
        source=table.source,
        columns=columns,
        place=lambda row: f"time {keys[row][1]:.12g}",
        notes=table.notes,
    )


def _signal(times: np.ndarray, values: np.ndarray, kind: str, where: str) -> Signal:
    keep = np.isfinite(values)
    if not keep.any():
        raise InputError(f"{where} has no finite value; an input must be known.")
    keep &= np.isfinite(times)
    again = np.append(False, (np.diff(times[keep]) == 0.0) & (np.diff(values[keep]) == 0.0))
    try:
        return Signal(times[keep][~again], values[keep][~again], kind)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
