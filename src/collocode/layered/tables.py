"""Samples from files: columns of a CSV, variables of an ``.npz`` or ``.mat`` file.

Nothing in a file is ever executed: no pickles, no MATLAB objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.io import loadmat

from ..checks import check_choice, check_has, counted
from ..errors import FileError, InputError
from ..files import read_npz, refusing
from ..kinds import kinds_checked
from ..model.cells import Table
from ..model.text_table import read_text
from ..numerics import Array
from .samples import Samples

Columns = str | Sequence[str]
_NUMBERS = "biuf"
_LARGEST = 2**34  # bytes that the arrays of a file may take


@kinds_checked
def read_samples(
    path: str | Path,
    features: Columns,
    targets: Columns,
    *,
    classes: bool = False,
    transpose: bool = False,
    missing: str = "refuse",
) -> Samples:
    r"""Read features and targets from a table.

    Parameters
    ----------
    path : ``.csv`` with a header line, ``.npz`` or ``.mat`` (up to version 7.2).
    features, targets : of a CSV, columns: names, ranges ``"x1:x6"`` in the file's order, or a list of
        either; of the others, a variable's name or a list of them, joined side by side.
    classes : whether the target is one column of classes 0, 1, ...
    transpose : whether a sample is a column of the variables instead of a row.
    missing : ``refuse`` rows with missing values, or ``drop`` them.

    Raises
    ------
    FileError
        Missing or unreadable file, or one that holds no plain arrays.
    InputError
        Unknown columns or variables, cells that are no numbers, missing values (named by line and
        column), tables of different lengths, classes that are no integers.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "data.csv"
    >>> _ = file.write_text("a,b,c,y\n1,2,3,4\n5,6,7,8\n")
    >>> read_samples(file, "a:c", "y")
    Samples(2 rows, 3 features, 1 target)
    """
    check_choice("treatment of missing values", missing, ("refuse", "drop"))
    source = Path(path)
    if source.suffix.lower() == ".csv":
        if transpose:
            raise InputError(
                f"{source.name} is a CSV file, whose samples are rows; drop transpose."
            )
        table = read_text(source)
        x_names, y_names = (_columns(table, wanted) for wanted in (features, targets))
        numbers = table.numbers([*x_names, *y_names])
        table.tell()
        X, Y = (np.column_stack([numbers[n] for n in names]) for names in (x_names, y_names))
        place = table.place
    else:
        arrays, place = read_arrays(source), lambda row: f"row {row}"
        (X, x_names), (Y, y_names) = (
            _variables(arrays, c, source.name, transpose) for c in (features, targets)
        )
    if len(X) != len(Y):
        hint = "" if transpose else "; transpose=True takes columns for samples"
        raise InputError(
            f"{source.name} has {counted(len(X), 'row')} of features, but {len(Y)} of targets{hint}."
        )
    known = np.isfinite(X).all(axis=1) & np.isfinite(Y).all(axis=1)
    if missing == "refuse":
        _refuse_missing(X, x_names, source.name, place)
        _refuse_missing(Y, y_names, source.name, place)
    elif not known.any():
        raise InputError(f"{source.name}: every row has a missing value; there is nothing to keep.")
    X, Y = X[known], Y[known]
    return Samples(X, _classes(Y, source.name) if classes else Y)


@kinds_checked
def read_arrays(path: str | Path) -> dict[str, Array]:
    """Return all numeric arrays of an ``.npz`` or ``.mat`` file, by name; others are left out.

    Raises
    ------
    FileError
        Missing, unreadable or foreign file.
    """
    with refusing(path, "a file of arrays") as source:
        reader = {".npz": _npz, ".mat": _mat}.get(source.suffix.lower())
        if reader is None:
            raise FileError(f"{source} is of no known kind; give a .csv, .npz or .mat file.")
        return reader(source)


def _npz(source: Path) -> dict[str, Array]:
    stored = read_npz(source, _LARGEST, "a file of arrays", skip=True)
    return {k: np.asarray(v, dtype=float) for k, v in stored.items() if v.dtype.kind in _NUMBERS}


def _mat(source: Path) -> dict[str, Array]:
    try:
        stored = loadmat(source)
    except NotImplementedError as error:
        raise FileError(
            f"{source} is a MATLAB 7.3 file (HDF5); save it with save(..., '-v7')."
        ) from error
    found = {}
    for name, value in stored.items():
        plain = value.toarray() if sparse.issparse(value) else np.asarray(value)
        if not name.startswith("__") and plain.dtype.kind in _NUMBERS:
            found[name] = np.asarray(plain, dtype=float)
    return found


def _columns(table: Table, wanted: Columns) -> list[str]:
    names: list[str] = []
    columns, source = table.names, table.source
    for part in _listed(wanted):
        first, colon, last = part.partition(":")
        if part in columns or not colon:
            names.append(_known(part, columns, source, "column"))
            continue
        ends = [_known(name.strip(), columns, source, "column") for name in (first, last)]
        i, j = (columns.index(name) for name in ends)
        if i > j:
            raise InputError(
                f"{source}: in the range {part!r}, {ends[0]!r} comes after {ends[1]!r}."
            )
        names += columns[i : j + 1]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{source}: column {twice!r} is asked for twice; name it once.")
    return names


def _variables(
    arrays: Mapping[str, Array], wanted: Columns, source: str, transpose: bool
) -> tuple[Array, list[str]]:
    tables, labels = [], []
    for name in _listed(wanted):
        table = arrays[_known(name, arrays, source, "variable")]
        if table.ndim > 2:
            raise InputError(
                f"{source}: {name!r} has shape {table.shape}; a table has two dimensions."
            )
        # MATLAB knows no vectors: of one row or one column, the long side is the samples
        if table.ndim < 2 or 1 in table.shape:
            table = table.reshape(-1, 1)
        elif transpose:
            table = table.T
        tables.append(table)
        labels += [f"{name}[{j}]" for j in range(table.shape[1])]
    if len({len(table) for table in tables}) > 1:
        sizes = ", ".join(f"{n} {len(t)}" for n, t in zip(_listed(wanted), tables, strict=True))
        raise InputError(f"{source}: the variables have different numbers of rows ({sizes}).")
    return np.column_stack(tables), labels


def _listed(wanted: Columns) -> list[str]:
    names = [wanted] if isinstance(wanted, str) else [str(name) for name in wanted]
    if not names:
        raise InputError("name at least one column for the features and one for the targets.")
    return names


def _known(name: str, known: Iterable[str], source: str, what: str) -> str:
    check_has(source, what, name, known)
    return name


def _refuse_missing(
    table: Array, names: Sequence[str], source: str, place: Callable[[int], str]
) -> None:
    bad = np.argwhere(~np.isfinite(table))
    if not len(bad):
        return
    row, column = bad[0]
    shown = re.sub(r"\.0$", "", str(table[row, column]))
    raise InputError(
        f"{source}, {place(int(row))}, {names[column]}: the value is {shown} ({len(bad)} such in all); fill the "
        "gap, or leave such rows out by missing='drop'."
    )


def _classes(Y: Array, source: str) -> NDArray[Any]:
    if Y.shape[1] != 1 or (Y % 1.0 != 0.0).any():
        raise InputError(f"{source}: classes are integers 0, 1, ... in one column; these are not.")
    return Y[:, 0].astype(np.intp)
