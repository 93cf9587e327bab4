"""What is refused before a solver sees it: programs that no solver can do anything with."""

from __future__ import annotations

from collections.abc import Iterable

import casadi as ca
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import maximum_bipartite_matching

from ..checks import listed
from ..errors import InputError
from ..numerics import Index
from ..transcription.program import Program


def check_solvable(program: Program) -> None:
    """Refuse crossed bounds, infinite starts, and more equalities than variables that are free to satisfy them.

    Rows of fixed variables alone are no conditions on the free ones and do not count.

    Raises
    ------
    InputError
        With the names: of the crossed bound, of the variable, of the equalities that no variable is left for.
    """
    for lower, upper, what in (
        (program.lower, program.upper, "column"),
        (program.row_lower, program.row_upper, "row"),
    ):
        crossed = np.flatnonzero(~(lower <= upper) | (lower == np.inf) | (upper == -np.inf))
        if len(crossed):
            j = int(crossed[0])
            name = getattr(program, f"{what}_names")[j]
            raise InputError(
                f"{program.name!r}: the bounds of {name} cross, [{lower[j]:g}, {upper[j]:g}]; "
                "correct one of them."
                if np.isfinite(lower[j]) or np.isfinite(upper[j]) or lower[j] > upper[j]
                else f"{program.name!r}: no number is within the bounds of {name}, [{lower[j]:g}, "
                f"{upper[j]:g}]; correct them."
            )
    endless = np.flatnonzero(np.isinf(program.start))
    if len(endless):
        j = int(endless[0])
        raise InputError(
            f"{program.name!r}: the start of {program.column_names[j]} is {program.start[j]}; give a "
            "finite number."
        )
    free, equal = program.lower < program.upper, program.row_lower == program.row_upper
    if equal.sum() <= free.sum():
        return
    among = _pattern(program)[equal][:, free]
    used = np.diff(among.indptr) > 0
    numbers = np.flatnonzero(equal)[used]
    if len(numbers) > free.sum():
        unmatched = numbers[maximum_bipartite_matching(among[used], perm_type="column") < 0]
        raise InputError(_overdetermined(program, len(numbers), int(free.sum()), unmatched))


def decided_rows(program: Program) -> Index:
    """Return the rows in which no variable is free."""
    free = (program.lower < program.upper).astype(float)
    ones = ca.DM(_nonzeros(program), 1.0)  # to SciPy they would go as lists, for milliseconds
    return np.flatnonzero(ca.mtimes(ones, ca.DM(free.tolist())).full() == 0.0)


def fixed_in(program: Program, row: int) -> list[str]:
    """Return the names of the variables of a row."""
    return [program.column_names[j] for j in _pattern(program)[row].indices]


def _pattern(program: Program) -> sparse.csr_matrix:
    """Ones where the Jacobian has nonzeros, kept with the functions."""

    def made() -> sparse.csr_matrix:
        rows, columns = _nonzeros(program).get_triplet()
        shape = program.rows, program.columns
        return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)

    pattern: sparse.csr_matrix = program.functions.cache("pattern", made)
    return pattern


def _nonzeros(program: Program) -> ca.Sparsity:
    # those in the solver's scales, which are the same: it needs these functions anyway
    return program.scaled().functions.pattern


def _overdetermined(program: Program, equalities: int, free: int, unmatched: Index) -> str:
    names: Iterable[str] = (program.row_names[i] for i in unmatched)
    return (
        f"{program.name!r} has more equations than free variables, {equalities} for {free}; free "
        f"a variable or leave out equations (nothing is left to satisfy: {listed(names, 4)})."
    )
