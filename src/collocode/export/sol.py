"""AMPL's ``.sol`` files: a solver's message, multipliers, point and suffixes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..checks import counted
from ..errors import FileError
from ..files import read_bytes, write_text
from ..numerics import Array
from .nl_text import real, whole

_LARGEST = 2**30


@dataclass(frozen=True, eq=False)
class Sol:
    """A ``.sol`` file.

    Attributes
    ----------
    message, code : the solver's words, and AMPL's ``solve_result_num`` (-1 if absent).
    x, dual : (variables,), (constraints,); empty if the solver gave none.
    suffixes : values by suffix name, by number of the variable (or, where variables have none of that
        name, of the constraint or objective).
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
    content = read_bytes(source, _LARGEST, "a solution")
    if content[4:10] == b"binary":
        raise FileError(f"{source} is a binary .sol file; have the solver write text.")
    sizes = None if variables is None or constraints is None else (variables, constraints)
    try:
        sol = _parse(content.decode(errors="replace"), sizes)
    except (StopIteration, IndexError, ValueError, OverflowError) as error:
        raise FileError(f"{source} is no .sol file, or not all of one.") from error
    if sizes is None:
        return sol
    variables, constraints = sizes
    if not np.isfinite(sol.x).all() or not np.isfinite(sol.dual).all():
        raise FileError(f"{source} has values that are not finite; solve again.")
    if not len(sol.x) and variables:
        raise FileError(f"{source} has no point; the solver found none: {sol.message[:200]}")
    numbers = [n for name in ("ipopt_zL_out", "ipopt_zU_out") for n in sol.suffixes.get(name, ())]
    if not all(0 <= n < variables for n in numbers):
        raise FileError(
            f"{source} has multipliers of bounds of variable {max(numbers)}, but the model has {counted(variables, 'variable')}; "
            "it belongs to another model."
        )
    if len(sol.x) != variables or len(sol.dual) not in (0, constraints):
        raise FileError(
            f"{source} has {counted(len(sol.x), 'variable')} and {counted(len(sol.dual), 'multiplier')}, but the model has "
            f"{variables} and {constraints}; it belongs to another model."
        )
    return sol


def _parse(text: str, sizes: tuple[int, int] | None) -> Sol:
    if not text.endswith("\n"):
        raise ValueError("the last line has no end, so that its number may be cut")
    lines = text.split("\n")
    heads = [k for k, line in enumerate(lines) if line.strip() == "Options"]
    if heads:
        message = lines[: heads[0]]
        duals, values, rest = _options(iter(lines[heads[0] + 1 :]))
    elif sizes is not None:  # values of everything follow the message
        end = next(k for k, line in enumerate(lines) if k and not line.strip())
        message, rest, (values, duals) = lines[:end], iter(lines[end + 1 :]), sizes
    else:
        raise ValueError("no options")
    # no generators: inside one, the end of the file would be a RuntimeError
    dual = np.array([_value(next(rest)) for _ in range(duals)])
    x = np.array([_value(next(rest)) for _ in range(values)])
    code, suffixes = _tail(rest)
    return Sol(" ".join(m.strip() for m in message if m.strip()), code, x, dual, suffixes)


def _options(lines: Iterator[str]) -> tuple[int, int, Iterator[str]]:
    """Read the options: their number, they, four sizes; return how many values follow, and these.

    If the second option is 3, the number counts two too many, and a tolerance follows the sizes.
    """
    count = whole(next(lines).strip())
    if not 3 <= count <= 9:
        raise ValueError(f"{count} options")
    numbers = [whole(next(lines).strip()) for _ in range(2)]
    tolerance_follows = numbers[1] == 3
    count -= 2 * tolerance_follows
    numbers += [whole(next(lines).strip()) for _ in range(count + 2)]
    if tolerance_follows:
        real(next(lines).strip())
    rows, duals, columns, values = numbers[count:]
    if not (0 <= duals <= max(0, rows) and 0 <= values <= max(0, columns)):
        raise ValueError("more values than variables")
    return duals, values, lines


def _value(line: str) -> float:
    word = line.split()[0]
    return float(word) if word.lower().lstrip("+-") in ("nan", "inf", "infinity") else real(word)


def _tail(lines: Iterator[str]) -> tuple[int, dict[str, dict[int, float]]]:
    """Read the status and the suffixes; nothing else may follow the values."""
    code, suffixes = -1, {}
    for line in lines:
        words = line.split()
        if words[:1] == ["objno"]:
            code = int(real(words[2])) if len(words) > 2 else -1
        elif words[:1] == ["suffix"]:
            kind, count, _, table, table_lines = (whole(word) for word in words[1:6])
            name = next(lines).strip()
            for _ in range(table_lines if table else 0):
                next(lines)
            pairs = [next(lines).split()[:2] for _ in range(count)]
            entries = {whole(number): _value(value) for number, value in pairs}
            if kind & 3 == 0 or name not in suffixes:  # those of variables come first
                suffixes[name] = entries
        elif words:
            raise ValueError("more values than announced")
    return code, suffixes


def write_sol(
    path: str | Path,
    sol: Sol,
    sizes: tuple[int, int],
    options: Sequence[float] = (1, 1, 0),
) -> None:
    """Write a ``.sol`` file as AMPL reads it; suffixes are real values of variables.

    Parameters
    ----------
    sizes : variables and constraints of the model.
    options : the numbers on the first line of the ``.nl`` file, which AMPL wants back; with a
        tolerance as the last one if the second is 3.
    """
    tolerance = [repr(v) for v in options[-1:] if options[1:2] == (3,)]
    echoed = [str(v) for v in options[: len(options) - len(tolerance)]]
    # an empty line would end the message
    lines = [line.strip() or " " for line in sol.message.splitlines()]
    lines += ["", "Options", str(len(echoed) + 2 * len(tolerance)), *echoed]
    variables, constraints = sizes
    lines += [str(constraints), str(len(sol.dual)), str(variables), str(len(sol.x)), *tolerance]
    lines += [repr(v) for v in (*sol.dual.tolist(), *sol.x.tolist())]
    lines.append(f"objno 0 {sol.code}")
    for name, entries in sol.suffixes.items():
        lines += _suffix_lines(name, entries)
    write_text(path, "\n".join(lines) + "\n")


def _suffix_lines(name: str, entries: Mapping[int, float]) -> list[str]:
    real_of_variables = 4
    head = f"suffix {real_of_variables} {len(entries)} {len(name) + 1} 0 0"
    return [head, name, *(f"{number} {value!r}" for number, value in entries.items())]
