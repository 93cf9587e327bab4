"""Reading experiments from CSV files and data frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FileError, InputError
from ..numerics.signals import Signal
from .experiment import Experiment, Initial

if TYPE_CHECKING:
    import pandas as pd


def read_csv(path: str | Path, time: str | None = None, **options: Any) -> list[Experiment]:
    """Read experiments from a CSV file with a header line.

    Parameters
    ----------
    path : the file.
    time : the time column; None takes the first column.
    options : as for `from_frame`.

    Returns
    -------
    One `Experiment`, or one for each value of the experiment column, in a list.

    Raises
    ------
    FileError
        Missing, unreadable or empty file.
    InputError
        Unknown column, a cell that is not a number (named by line and column), bad times.
    """
    import pandas as pd

    source = Path(path)
    if not source.is_file():
        raise FileError(f"there is no data file {str(source)!r}; check the path.")
    try:
        frame = pd.read_csv(source, dtype=str, skipinitialspace=True)
    except pd.errors.EmptyDataError as error:
        raise FileError(
            f"{source} is empty; it needs a header line and rows of numbers."
        ) from error
    except (pd.errors.ParserError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise FileError(f"{source} cannot be read as CSV ({reason}).") from error
    if frame.empty:
        raise FileError(f"{source} has a header but no rows; add data.")
    return from_frame(frame, time=time, source=source.name, **options)


def from_frame(
    frame: pd.DataFrame,
    time: str | None = None,
    outputs: Iterable[str] | None = None,
    inputs: Mapping[str, str] | Iterable[str] = (),
    experiment: str | None = None,
    initial: Mapping[str, Initial | float] | None = None,
    variable: str | None = None,
    value: str = "value",
    source: str = "data frame",
) -> list[Experiment]:
    """Turn a table into experiments: one row per time, or (with ``variable``) one row per measurement.

    Parameters
    ----------
    frame : the table; strings are converted, empty cells are missing values.
    time : the time column; None takes the first one.
    outputs : measured columns; None takes all that have no other role.
    inputs : input columns, or a mapping from them to ``"zoh"``, ``"linear"`` or ``"spline"``.
    experiment : the column that tells the experiments apart; None means a single one.
    initial : what is known of the initial states, the same for every experiment.
    variable, value : in a long table, the column that names what was measured, and the numbers';
        inputs are then named among the variables too.
    source : what messages call the table.

    Examples
    --------
    >>> import pandas as pd
    >>> long = pd.DataFrame({"t": [0, 0, 1], "what": ["a", "b", "a"], "value": [1.0, 2.0, 3.0]})
    >>> from_frame(long, variable="what")[0].values
    array([[ 1.,  2.],
           [ 3., nan]])
    """
    columns = [str(c) for c in frame.columns]
    frame = frame.set_axis(columns, axis=1)
    if variable is not None:
        frame = _widened(frame, time or columns[0], variable, value, experiment, source)
        columns = [str(c) for c in frame.columns]
    time = columns[0] if time is None else time
    outputs = [outputs] if isinstance(outputs, str) else outputs
    inputs = [inputs] if isinstance(inputs, str) else inputs
    kinds = dict(inputs) if isinstance(inputs, Mapping) else {name: "linear" for name in inputs}
    roles = {time, *kinds} | ({experiment} if experiment else set())
    names = [c for c in columns if c not in roles] if outputs is None else list(outputs)
    for name in [*roles, *names]:
        if name not in columns:
            raise InputError(f"{source} has no column {name!r}; it has: {', '.join(columns)}.")
    if not names:
        raise InputError(f"{source} has no measured column beside {', '.join(sorted(roles))}.")
    numeric = {name: _numeric(frame[name], name, source) for name in [time, *kinds, *names]}
    groups = (
        {Path(source).stem: np.arange(len(frame))}
        if experiment is None
        else {
            str(k): np.asarray(v) for k, v in frame.groupby(experiment, sort=False).indices.items()
        }
    )
    return [
        Experiment(
            times=numeric[time][rows],
            values=np.column_stack([numeric[name][rows] for name in names]),
            outputs=tuple(names),
            inputs={
                k: _signal(numeric[time][rows], numeric[k][rows], kind, f"{source}: {k}")
                for k, kind in kinds.items()
            },
            initial=initial or {},
            name=label,
        )
        for label, rows in groups.items()
    ]


def _widened(
    frame: pd.DataFrame, time: str, variable: str, value: str, experiment: str | None, source: str
) -> pd.DataFrame:
    """Turn one row per measurement into one row per time, in the order of time."""
    keys = [time] if experiment is None else [experiment, time]
    for name in [*keys, variable, value]:
        if name not in frame.columns:
            known = ", ".join(frame.columns)
            raise InputError(f"{source} has no column {name!r}; it has: {known}.")
    numbers = frame.assign(**{name: _numeric(frame[name], name, source) for name in (time, value)})
    repeated = numbers.duplicated([*keys, variable])
    if repeated.any():
        row = int(np.flatnonzero(repeated)[0])
        what, when = numbers[variable].iloc[row], numbers[time].iloc[row]
        raise InputError(
            f"{source}, line {row + 2}: {what!r} was measured twice at time {when:g}; "
            "merge the rows or name an experiment column."
        )
    if numbers[time].isna().any():
        row = int(np.flatnonzero(numbers[time].isna())[0])
        raise InputError(f"{source}, line {row + 2}: the time is missing; drop or repair that row.")
    wide = numbers.pivot(index=keys, columns=variable, values=value)
    wanted = list(dict.fromkeys(numbers[variable].astype(str)))
    wide.columns = [str(c) for c in wide.columns]
    roles = [time] if experiment is None else [time, experiment]
    return wide[wanted].reset_index()[[*roles, *wanted]]


def _numeric(column: pd.Series, name: str, source: str) -> np.ndarray:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    text = column.astype("string").str.strip().str.lower()
    bad = np.isnan(numbers) & ~(column.isna() | text.isin(["", "nan", "na"])).to_numpy(dtype=bool)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{source}, {_row_name(column, row)}, column {name!r}: {str(column.iloc[row])!r} is not a number; "
            "repair the cell or leave it empty."
        )
    return numbers


def _row_name(column: pd.Series, row: int) -> str:
    """Where a reader finds a row: the line of a file, the index of a data frame."""
    import pandas as pd

    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        return f"line {row + 2}"
    return f"row {column.index[row]!r}"


def _signal(times: np.ndarray, values: np.ndarray, kind: str, where: str) -> Signal:
    keep = np.isfinite(values)
    if not keep.any():
        raise InputError(f"{where} has no finite value; an input must be known.")
    order = np.isfinite(times)
    try:
        return Signal(times[keep & order], values[keep & order], kind)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
