r"""Replaying a term's tape over Pyomo scalars, point by point.

A tape shares intermediate results; a Pyomo expression is a tree, in which whatever is used twice
stands twice.  Where that is harmless (two states behind one hidden layer) the tree is left as it
is, which solvers evaluate fastest; where it multiplies (deep networks) the shared results become
named Expressions, which ``.nl`` files carry as defined variables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ..transcription.tape import ARITY, NAMES, Tape
from .operations import require

_TOLERATED = 4.0  # by how much a tree may exceed the operations of its tape
_WORTH_A_NAME = 4.0  # operations


class ReplayedTape:
    """A tape in single assignment, ready to be run at many points.

    Parameters
    ----------
    tape : the tape, of one output vector.
    operations : arithmetic by operation name.
    where : the term's name, for messages.
    doubled : operations whose operand will stand twice in what they become.

    Raises
    ------
    InputError
        An operation that the arithmetic lacks.
    """

    def __init__(
        self,
        tape: Tape,
        operations: Mapping[str, Callable[..., Any]],
        where: str,
        doubled: Collection[str] = (),
    ) -> None:
        self._outputs: list[int | None] = [None] * tape.outputs[0]
        self._steps: list[tuple[Any, int, int, Any]] = []  # operation or leaf, operands, constant
        self._sizes: list[float] = []
        self._uses: list[int] = []
        register: dict[int, int] = {}
        require({NAMES[c] for c in tape.code.tolist()}, operations, where)
        for code, target, (a, b), constant in zip(
            tape.code.tolist(),
            tape.target.tolist(),
            tape.operands.tolist(),
            tape.constants.tolist(),
            strict=True,
        ):
            name = NAMES[code]
            if name == "output":
                self._outputs[b] = register[a]
            elif name in ("const", "input"):
                register[target] = self._append((name, a, b, constant), 0.0)
            else:
                read = [register[r] for r in (a, b)[: ARITY[name]]]
                times = 2 if name in doubled else 1
                for r in read:
                    self._uses[r] += times
                size = 1.0 + times * sum(self._sizes[r] for r in read)
                step = (operations[name], read[0], read[1] if len(read) == 2 else -1, None)
                register[target] = self._append(step, size)
        tree = sum(self._sizes[o] for o in self._outputs if o is not None)
        operations_run = sum(size > 0.0 for size in self._sizes)
        self._named = [
            tree > _TOLERATED * operations_run and uses > 1 and size >= _WORTH_A_NAME
            for uses, size in zip(self._uses, self._sizes, strict=True)
        ]

    def _append(self, step: tuple[Any, int, int, Any], size: float) -> int:
        self._steps.append(step)
        self._sizes.append(size)
        self._uses.append(0)
        return len(self._steps) - 1

    @property
    def names(self) -> int:
        """How many results get a name at every point."""
        return sum(self._named)

    def run(self, arguments: Sequence[Sequence[Any]], name: Callable[[int, Any], Any]) -> list[Any]:
        """Return the output vector at one point.

        Parameters
        ----------
        arguments : one sequence of scalars an input.
        name : called with a running number and a shared result; returns what stands for it.
        """
        values: list[Any] = []
        count = 0
        for (operation, a, b, constant), named in zip(self._steps, self._named, strict=True):
            if operation == "const":
                value = constant
            elif operation == "input":
                value = arguments[a][b]
            else:
                value = operation(values[a]) if b < 0 else operation(values[a], values[b])
            if named:
                value = name(count, value)
                count += 1
            values.append(value)
        return [0.0 if o is None else values[o] for o in self._outputs]
