"""What a caller means who gives one thing for another: a solution has a program, a model, a network."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..kinds import check_type
from ..transcription.program import Program
from .model import TrainedModel
from .network import TrainedNetwork
from .program_solution import ProgramSolution
from .solution import Solution


def program_of(function: str, value: Any) -> Program:
    """Return a program, or that of a solution, which then starts from the solution's point.

    Raises
    ------
    InputError
        Something else, or a solution that was loaded from a file and has none.
    """
    if isinstance(value, Solution | ProgramSolution):
        return _kept(function, value).with_start(value.result.x)
    check_type(function, value, Program)
    program: Program = value
    return program


def _kept(function: str, solution: Solution | ProgramSolution) -> Program:
    if solution.program is None:
        raise InputError(
            f"{function}: the solution was loaded from a file and has no equations; "
            "discretize its problem again."
        )
    return solution.program


def model_of(function: str, value: Any) -> TrainedModel:
    """Return a trained model, or that of a solution, whose parameters then are those of every run."""
    if isinstance(value, Solution):
        value.model.refuse_own(function, value.own_names)
        return value.model
    check_type(function, value, TrainedModel)
    model: TrainedModel = value
    return model


def network_of(function: str, value: Any) -> TrainedNetwork:
    """Return a trained network, or the only one of a model or a solution."""
    if isinstance(value, Solution | TrainedModel):
        return value.network()
    check_type(function, value, TrainedNetwork)
    network: TrainedNetwork = value
    return network
