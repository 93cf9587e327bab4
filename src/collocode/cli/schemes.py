"""``collocode schemes``: the catalogue with its orders, derived from the matrices."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from ..errors import InputError
from ..numerics.schemes import GLOBAL_SCHEMES, scheme, scheme_names
from .terminal import plain_table

DEGREES = range(1, 10)


def print_schemes(console: Console) -> None:
    """Print the table and how to use it."""
    console.print(schemes_table())
    console.print()
    console.print("Columns 1 … 9: order at the mesh points by degree (number of stages).")
    console.print("· global grids: one element of high degree, converging with the degree.")
    console.print("Choose with: collocode solve MODEL --scheme radau --degree 3 --elements 66")


def schemes_table() -> Table:
    """Return name, usual degree and order by degree of every scheme."""
    table = plain_table("scheme", "usual degree", *(str(s) for s in DEGREES), right=1)
    for name in scheme_names():
        if name in GLOBAL_SCHEMES:
            table.add_row(name, str(scheme(name).degree), *["·"] * len(DEGREES))
            continue
        cells = [order_of(name, degree) for degree in DEGREES]
        table.add_row(name, str(scheme(name).degree), *cells)
    return table


def order_of(name: str, degree: int) -> str:
    """Return the order of a scheme as text, a dash where there is no such degree."""
    try:
        return str(scheme(name, degree).order)
    except InputError:
        return "–"
