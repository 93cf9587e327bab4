"""What travels between the coordinator and the workers, in plain values that can be pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.scheme import Scheme

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Settings:
    """How batches are discretized and solved; the same for all of them.

    Attributes
    ----------
    scheme, start, seed, interface, options : as for `fit`.
    solvers : most solvers that a worker keeps; batches of equal structure share one.
    """

    scheme: Scheme
    start: str = "gradient_matching"
    seed: int = 0
    interface: str = "casadi"
    options: Mapping[str, Any] = field(default_factory=dict)
    solvers: int = 32


@dataclass(frozen=True, eq=False)
class Point:
    """A primal-dual point of a batch's NLP: what the next solve starts from."""

    x: Array
    lam_g: Array
    lam_x: Array


@dataclass(frozen=True, eq=False)
class Task:
    """One solve: batch, iteration, and what is new since the last one.

    Attributes
    ----------
    batch, iteration : numbers.
    target : (copies,) z - w, scaled.
    consensus : (copies,) z, scaled: where a retry starts, and what is simulated.
    rho : the penalty.
    point : the last point; None lets the worker use the one it kept, or start anew.
    measure : whether to simulate the consensus on this batch's data.
    solve : whether to solve at all.
    """

    batch: int
    iteration: int
    target: Array
    consensus: Array
    rho: float
    point: Point | None = None
    measure: bool = True
    solve: bool = True


@dataclass(frozen=True, eq=False)
class Answer:
    """What a solve brings.

    Attributes
    ----------
    batch, iteration : of the task.
    values : (copies,) the batch's copy of the consensus, scaled.
    loss : the batch's part of the misfit, without the proximal term.
    simulated : the same part for the simulated consensus; inf if the simulation broke down, NaN
        if it was not asked for.
    squares : (sum of squared errors of the simulated consensus in the data's units, how many).
    point : where the next solve starts; None if points stay with the workers.
    status : the solver's own words; ``rescue`` says what it took: ``""``, ``consensus``,
        ``start``, or ``kept`` when nothing helped and the last point stands.
    iterations, seconds, build_seconds : of the solver.
    """

    batch: int
    iteration: int
    values: Array
    loss: float
    simulated: float = float("nan")
    squares: tuple[float, int] = (0.0, 0)
    point: Point | None = None
    status: str = ""
    rescue: str = ""
    iterations: int = 0
    seconds: float = 0.0
    build_seconds: float = 0.0


@dataclass(frozen=True)
class Missing:
    """A worker's reply to a task of a batch that it has never seen: it wants its data."""

    batch: int


@dataclass(frozen=True)
class Lost:
    """What an executor says when the worker of a task is gone, and the task with it."""

    batch: int


@dataclass(frozen=True)
class Failure:
    """A worker's reply to a task that raised: the message, and whether the input is to blame."""

    batch: int
    message: str
    input_error: bool = False
