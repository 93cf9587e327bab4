"""Reading experiments from CSV files and data frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import FileError, InputError
from ..numerics.signals import Signal
from .experiment import Experiment, Initial


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
    source: str = "data frame",
) -> list[Experiment]:
    """Turn a table (one row a time) into experiments.

    Parameters
    ----------
    frame : the table; strings are converted, empty cells are missing values.
    time : the time column; None takes the first one.
    outputs : measured columns; None takes all that have no other role.
    inputs : input columns, or a mapping from them to ``"zoh"``, ``"linear"`` or ``"spline"``.
    experiment : the column that tells the experiments apart; None means a single one.
    initial : what is known of the initial states, the same for every experiment.
    source : what messages call the table.
    """
    columns = [str(c) for c in frame.columns]
    frame = frame.set_axis(columns, axis=1)
    time = columns[0] if time is None else time
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


def _numeric(column: pd.Series, name: str, source: str) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    text = column.astype("string").str.strip().str.lower()
    bad = np.isnan(numbers) & ~(column.isna() | text.isin(["", "nan", "na"])).to_numpy(dtype=bool)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{source}, line {row + 2}, column {name!r}: {str(column.iloc[row])!r} is not a number; "
            "repair the cell or leave it empty."
        )
    return numbers


def _signal(times: np.ndarray, values: np.ndarray, kind: str, where: str) -> Signal:
    keep = np.isfinite(values)
    if not keep.any():
        raise InputError(f"{where} has no finite value; an input must be known.")
    order = np.isfinite(times)
    try:
        return Signal(times[keep & order], values[keep & order], kind)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
