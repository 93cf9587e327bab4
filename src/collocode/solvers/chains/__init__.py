"""A linear solver for programs that are chains of elements with a shared border, inside stock Ipopt."""

from __future__ import annotations

from typing import Any

from ...transcription.program import Program
from . import hook


def uses_chains(program: Program, wanted: Any) -> bool:
    """Whether Ipopt's matrices of a program go to chains, given the option ``linear_solver``."""
    return wanted == "chains" and program.structure is not None and hook.available()
