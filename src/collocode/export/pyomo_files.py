"""Other modelling languages, by Pyomo's own writers: GAMS, BARON, and LP where it is linear."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from ..files import replacing
from ..results.solution import Solution
from ..transcription.program import Program
from .pyomo_model import to_pyomo
from .rewrite import EXP_ONLY

ENDINGS = (".gms", ".bar", ".lp")


def write_pyomo(
    program: Program,
    path: str | Path,
    values: str | Solution = "start",
    rewrite: Iterable[str] = (),
) -> None:
    """Write an NLP as ``.gms``, ``.bar`` or ``.lp``, by the file's ending.

    BARON has no tanh, so ``.bar`` files are always written with exp.

    Raises
    ------
    InputError
        Another ending, or a model that the language cannot express.
    FileError
        The folder cannot be written.
    MissingDependency
        Pyomo is not installed.
    """
    target = Path(path)
    if target.suffix not in ENDINGS:
        raise InputError(f"{target.name} ends in none of {', '.join(ENDINGS)}.")
    functions = tuple(rewrite) or (EXP_ONLY if target.suffix == ".bar" else ())
    model = to_pyomo(program, values, multipliers=False, rewrite=functions).model
    model.del_component("scaling_factor")
    with replacing(target) as (aside,):
        try:
            model.write(str(aside), io_options={"symbolic_solver_labels": True})
        except (ValueError, RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"Pyomo cannot write {target.suffix} ({reason}).") from error
