"""AMPL's ``.sol`` files: a solver's message, multipliers, point and suffixes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError
from ..files import read_bytes, write_text

Array = NDArray[np.float64]
_LARGEST = 2**30


@dataclass(frozen=True, eq=False)
class Sol:
    """A ``.sol`` file.

    Attributes
    ----------
    message, code : the solver's words, and AMPL's ``solve_result_num`` (-1 if absent).
    x, dual : (variables,), (constraints,); empty if the solver gave none.
    suffixes : values by suffix name, by number of the variable (or constraint, or objective).
    """

    message: str
    code: int
    x: Array
    dual: Array
    suffixes: dict[str, dict[int, float]] = field(default_factory=dict)


def read_sol(path: str | Path, variables: int | None = None, constraints: int | None = None) -> Sol:
    """Read a ``.sol`` file; with the model's sizes given, insist on a point that fits it.

    Raises
    ------
    FileError
        Missing or no whole ``.sol`` file, or one of another model.
    """
    source = Path(path)
    text = read_bytes(source, _LARGEST, "a solution").decode(errors="replace")
    try:
        sol = _parse(text)
    except (StopIteration, IndexError, ValueError, OverflowError) as error:
        raise FileError(f"{source} is no .sol file, or not all of one.") from error
    if variables is None or constraints is None:
        return sol
    if not np.isfinite(sol.x).all() or not np.isfinite(sol.dual).all():
        raise FileError(f"{source} has values that are not finite; solve again.")
    numbers = [n for name in ("ipopt_zL_out", "ipopt_zU_out") for n in sol.suffixes.get(name, ())]
    if (
        len(sol.x) != variables
        or len(sol.dual) not in (0, constraints)
        or not all(0 <= n < variables for n in numbers)
    ):
        raise FileError(
            f"{source} has {len(sol.x)} variables and {len(sol.dual)} multipliers, but the model has "
            f"{variables} and {constraints}; it belongs to another model."
        )
    return sol


def _parse(text: str) -> Sol:
    lines = iter(text.splitlines())
    message = []
    for line in lines:
        if line.strip() == "Options":
            break
        message.append(line.strip())
    options = int(next(lines))
    tolerance_follows = options > 4  # and then the number counts two lines too many
    options -= 2 * tolerance_follows
    if not 0 <= options <= 9:
        raise ValueError(options)
    numbers = [int(next(lines)) for _ in range(options + 4)]
    if tolerance_follows:
        next(lines)
    _, duals, _, values = numbers[options:]
    dual = np.array([float(next(lines)) for _ in range(duals)])
    x = np.array([float(next(lines)) for _ in range(values)])
    code, suffixes = -1, {}
    for line in lines:
        words = line.split()
        if words[:1] == ["objno"]:
            code = int(words[2])
        elif words[:1] == ["suffix"]:
            name, entries = _suffix(words, lines)
            suffixes[name] = entries
    return Sol(" ".join(m for m in message if m), code, x, dual, suffixes)


def _suffix(words: list[str], lines: Iterator[str]) -> tuple[str, dict[int, float]]:
    """``suffix kind count ...``, then the name, then ``number value`` a line."""
    name, entries = next(lines).strip(), {}
    for _ in range(int(words[2])):
        number, value = next(lines).split()
        entries[int(number)] = float(value)
    return name, entries


def write_sol(
    path: str | Path,
    sol: Sol,
    sizes: tuple[int, int],
    options: Iterable[int] = (1, 1, 0),
) -> None:
    """Write a ``.sol`` file as AMPL reads it; suffixes are real values of variables.

    Parameters
    ----------
    sizes : variables and constraints of the model.
    options : the numbers on the first line of the ``.nl`` file, which AMPL wants back.
    """
    echoed = list(options)
    lines = ["", *sol.message.splitlines(), "", "Options", str(len(echoed)), *map(str, echoed)]
    variables, constraints = sizes
    lines += [str(constraints), str(len(sol.dual)), str(variables), str(len(sol.x))]
    lines += [repr(v) for v in (*sol.dual.tolist(), *sol.x.tolist())]
    lines.append(f"objno 0 {sol.code}")
    for name, entries in sol.suffixes.items():
        lines += _suffix_lines(name, entries)
    write_text(path, "\n".join(lines) + "\n")


def _suffix_lines(name: str, entries: Mapping[int, float]) -> list[str]:
    real_of_variables = 4
    head = f"suffix {real_of_variables} {len(entries)} {len(name) + 1} 0 0"
    return [head, name, *(f"{number} {value!r}" for number, value in entries.items())]
