r"""Controls: inputs that are decided, where an experiment's signals are given.

The dynamics see no difference: ``u.coolant`` is a signal while one learns and a control while one
optimises.

================  =========================================  ================================
kind              unknowns                                   as a function of time
================  =========================================  ================================
``"stages"``      one a stage of every element               polynomial in every element
``"constant"``    one an element                             constant in every element
``"linear"``      one a mesh point                           lines from point to point
================  =========================================  ================================

Of a scheme with stages at both ends of its elements (Lobatto IIIA, the trapezoid among them),
neighbours share the unknown at their common point, so that such a control is continuous.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, check_type
from ..numerics.scheme import Scheme
from ..numerics.signals import Signal
from .parameters import check_bounds

Array = NDArray[np.float64]
Kind = Literal["stages", "constant", "linear"]


@dataclass(frozen=True)
class Control:
    """An input that the optimisation chooses.

    Parameters
    ----------
    lower, upper : bounds, held wherever it has an unknown.
    start : first guess, a number or a signal; None takes the middle of the bounds, or 0 within them.
    kind : ``"stages"``, ``"constant"`` or ``"linear"``, see the module.
    rate : (lower, upper) bounds of its slope; for the kind ``"linear"``.
    unit : for reports.

    Raises
    ------
    InputError
        Crossed bounds, an unknown kind, a start outside the bounds, rate bounds of another kind.

    Examples
    --------
    >>> Control(lower=-1.0, upper=3.0).guess([0.0, 1.0])
    array([1., 1.])
    """

    lower: float = -np.inf
    upper: float = np.inf
    _: KW_ONLY
    start: float | Signal | None = None
    kind: Kind = "stages"
    rate: tuple[float, float] = (-np.inf, np.inf)
    unit: str = ""

    def __post_init__(self) -> None:
        check_bounds(self.lower, self.upper, "a control")
        if self.kind not in get_args(Kind):
            known = ", ".join(repr(kind) for kind in get_args(Kind))
            raise InputError(f"unknown kind of control {self.kind!r}; choose from {known}.")
        check_bounds(*self.rate, "a control's rate")
        if self.is_rate_bounded and self.kind != "linear":
            raise InputError(
                f"rate= bounds the slope of a control of kind 'linear', not {self.kind!r}; choose that "
                "kind, or make the input a state whose derivative is the control."
            )
        if self.start is not None and not isinstance(self.start, Signal):
            check_type("Control(start=...)", self.start, Signal, float, int)
            if not self.lower <= self.start <= self.upper:
                raise InputError(
                    f"a control starts at {self.start:g}, outside its bounds [{self.lower:g}, "
                    f"{self.upper:g}]; move the start or the bounds."
                )

    @property
    def is_rate_bounded(self) -> bool:
        """Whether its slope is bounded."""
        return bool(np.isfinite(self.rate).any())

    def nodes(self, scheme: Scheme) -> Array:
        """Places in an element, 0 to 1, of the unknowns that make its polynomial there."""
        if self.kind == "stages":
            return np.asarray(scheme.nodes[list(scheme.stages)])
        return np.array([0.0, 1.0] if self.kind == "linear" else [0.0])

    def guess(self, times: Array) -> Array:
        """Start at ``times``, within the bounds."""
        t = np.asarray(times, dtype=float)
        if isinstance(self.start, Signal):
            values = self.start(t.ravel()).reshape(t.shape)
        elif self.start is not None:
            values = np.full(t.shape, float(self.start))
        else:
            bounds = np.array([self.lower, self.upper])
            values = np.full(t.shape, bounds.mean() if np.isfinite(bounds).all() else 0.0)
        return np.clip(values, self.lower, self.upper)

    @property
    def size(self) -> float:
        """Largest magnitude that is known of it; 1 if none is."""
        start = self.start.values if isinstance(self.start, Signal) else [self.start or 0.0]
        known = np.abs([self.lower, self.upper, *start])
        return float(known[np.isfinite(known)].max(initial=0.0)) or 1.0
