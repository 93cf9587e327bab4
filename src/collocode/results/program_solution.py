"""The solution of a `Program`: its point and multipliers by the names of its blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..checks import listed
from ..errors import InputError
from ..numerics import Array
from ..transcription.program import Block, Program
from .status import SolutionStatus, SolverResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ProgramSolution:
    """A solved program: ``solution["x"]`` is the block x in its own shape.

    Attributes
    ----------
    program : what was solved.
    result : the solver's answer, with status, history and timings.
    """

    program: Program
    result: SolverResult

    @property
    def success(self) -> bool:
        """Whether the solver converged to the requested tolerance."""
        return self.result.success

    @property
    def status(self) -> str:
        """Termination and worth of the point, in words."""
        return self.result.ending

    @property
    def objective(self) -> float:
        """The user's objective: f, or −f of a program that maximises."""
        return -self.result.objective if self.program.maximise else self.result.objective

    def __getitem__(self, name: str) -> Array:
        """Values of a block of variables, in its shape.

        Raises
        ------
        InputError
            There is no such block.
        """
        return self.result.x[_block(self.program.column_blocks, name, "variables").numbers]

    def dual(self, name: str) -> Array:
        r"""Multipliers of a block of constraints, with :math:`L = f + \lambda^T g`."""
        return self.result.lam_g[_block(self.program.row_blocks, name, "constraints").numbers]

    def bound_dual(self, name: str) -> Array:
        """Multipliers of the bounds of a block of variables; positive at an active upper bound."""
        return self.result.lam_x[_block(self.program.column_blocks, name, "variables").numbers]

    def values(self) -> dict[str, Array]:
        """All blocks of variables by name."""
        return {b.name: self.result.x[b.numbers] for b in self.program.column_blocks}

    def to_frame(self) -> pd.DataFrame:
        """One row per variable: name, value, bounds and multiplier."""
        import pandas as pd

        return pd.DataFrame(
            {
                "variable": self.program.column_names,
                "value": self.result.x,
                "lower": self.program.lower,
                "upper": self.program.upper,
                "multiplier": self.result.lam_x,
            }
        )

    def __repr__(self) -> str:
        worth = "" if self.result.status is SolutionStatus.NONE else f", f={self.objective:.6g}"
        return f"ProgramSolution({self.program.name!r}: {self.status}{worth})"


def _block(blocks: tuple[Block, ...], name: str, kind: str) -> Block:
    for block in blocks:
        if block.name == name:
            return block
    raise InputError(
        f"there is no block of {kind} {name!r}; there are: {listed([b.name for b in blocks])}."
    )
