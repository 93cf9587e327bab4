"""What columns and rows of a discretized problem are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..numerics import Index
from .program import Block, Place


def weight_blocks(names: Sequence[str], columns: Index) -> list[Block]:
    """Group ``nn.W1[0,1]``, or ``nn.W1[0,1].P2`` where it varies in time, by matrix and function."""
    groups: dict[str, tuple[list[Place], list[int], str, str]] = {}
    for name, column in zip(names, columns.tolist(), strict=True):
        stem, _, rest = name.partition("[")
        numbers, _, function = rest.partition("]")
        places, members, *_ = groups.setdefault(stem + function, ([], [], stem, function))
        places.append(tuple(int(n) for n in numbers.split(",")))
        members.append(column)
    return [
        Block(name, np.array(members, dtype=int), listed(places), _of_weight(stem, function))
        for name, (places, members, stem, function) in groups.items()
    ]


def listed(places: list[Place]) -> Callable[[], list[Place]]:
    """Return what returns the places."""
    return lambda: places


def _of_weight(stem: str, function: str) -> Callable[[str, Place], str]:
    return lambda _, place: f"{stem}[{','.join(map(str, place))}]{function}"


def at_node(name: str, place: Place) -> str:
    """A variable at a node: ``x[run;3.1]``."""
    experiment, element, node = place
    return f"{name}[{experiment};{element}.{node}]"


def of_coefficient(name: str, place: Place) -> str:
    """A coefficient of a control: ``u[window].L3``."""
    return f"{name}[{place[0]}].{place[1]}"


def of_state(name: str, place: Place) -> str:
    """A collocation row: ``collocation.x[run;3.1]``."""
    experiment, element, stage, state = place
    return f"{name}.{state}[{experiment};{element}.{stage}]"


def of_equation(name: str, place: Place) -> str:
    """An algebraic equation at a stage: ``algebraic.valve[run;3.1]``."""
    return f"algebraic.{at_node(name, place)}"


def of_path(name: str, place: Place) -> str:
    """A path constraint at a node."""
    return f"path.{at_node(name, place)}"


def of_boundary(name: str, place: Place) -> str:
    """A constraint at one end of a window."""
    return f"path.{name}[{place[0]}]"


def of_initial(name: str, place: Place) -> str:
    """An initial state that parameters give: ``initial.x[run]``."""
    return f"{name}.{place[0]}[{place[1]}]"


def of_link(name: str, place: Place) -> str:
    """A row of a link: ``link.boost to coast.v[coast]``."""
    return f"link.{name}[{place[0]}]"


def of_rate(name: str, place: Place) -> str:
    """The slope of a decided input in an element."""
    return f"rate.{name}[{place[0]};{place[1]}]"


def of_point(name: str, place: Place) -> str:
    """A point constraint."""
    return f"point.{name}[{place[0]}]"
