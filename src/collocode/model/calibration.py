r"""Outputs in units of their own: :math:`y=s\,h(x,u,p)+o`, with a scale s and an offset o to be estimated.

Fluorescence, optical density or a balance that nobody tared follow a quantity of the model up to a factor and
a constant.  Both are ordinary parameters, called ``scale_<output>`` and ``offset_<output>``: they have bounds,
intervals, values of each run's own, and can be bound in an experiment's ``parameters``.  The misfit of squares
is quadratic in them, so every start puts them where they are best for the states that it has, which is what
profiling them out (variable projection) does; from there they are estimated jointly, and end at the same
optimum.  Source: Golub and Pereyra, SIAM J. Numer. Anal. 10, 1973.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_fields
from ..errors import InputError
from .parameters import Parameter, check_bounds


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What is to be estimated of an output's units.

    Parameters
    ----------
    scale : whether a factor is; ``offset`` : whether a constant is.
    per_experiment : whether every run has its own.
    lower, upper : bounds of the scale.

    Examples
    --------
    >>> [q.name for q in Calibration(offset=True).parameters("od")]
    ['scale_od', 'offset_od']
    """

    scale: bool = True
    offset: bool = False
    per_experiment: bool = False
    lower: float = -np.inf
    upper: float = np.inf

    def __post_init__(self) -> None:
        check_fields(self)
        check_bounds(self.lower, self.upper, "the scale of a Calibration")
        if not (self.scale or self.offset):
            raise InputError("a Calibration estimates a scale, an offset or both; set one to True.")

    def parameters(self, output: str) -> list[Parameter]:
        """Parameters of an output."""
        found = []
        if self.scale:
            start = float(np.clip(1.0, self.lower, self.upper))
            own = self.per_experiment
            name = f"scale_{output}"
            found.append(Parameter(name, start, self.lower, self.upper, per_experiment=own))
        if self.offset:
            found.append(Parameter(f"offset_{output}", 0.0, per_experiment=self.per_experiment))
        return found

    def applied(self, value: Any, output: str, p: Any) -> Any:
        """What is measured of a value of the model."""
        value = p[f"scale_{output}"] * value if self.scale else value
        return value + p[f"offset_{output}"] if self.offset else value


@dataclass(frozen=True)
class Measured:
    """An ``observe`` that returns states of the outputs' names."""

    names: Sequence[str]

    def __call__(self, x: Any, u: Any, p: Any) -> list[Any]:
        """Return them."""
        return [x[name] for name in self.names]
