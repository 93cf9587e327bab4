r"""Controls: inputs that are decided, where an experiment's signals are given.

The dynamics see no difference: ``u.coolant`` is a signal while one learns and a control while one
optimises.

================  =========================================  ================================
kind              unknowns                                   as a function of time
================  =========================================  ================================
``"stages"``      one a stage of every element               polynomial in every element
``"constant"``    one an element                             constant in every element
``"linear"``      one a mesh point                           lines from point to point
a `Basis`         its coefficients, whatever the mesh         what the basis spans
================  =========================================  ================================

`PiecewiseConstant` of a few points holds a control over several elements, `BSpline` is a smooth one;
the times of a basis are those that the window is given with.

Of a scheme with stages at both ends of its elements (Lobatto IIIA, the trapezoid among them),
neighbours share the unknown at their common point, so that such a control is continuous.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal, get_args

import numpy as np

from ..checks import apart, as_pair, check_fields
from ..errors import InputError
from ..kinds import check_type
from ..numerics import Array
from ..numerics.bases import Basis, BSpline, PiecewiseConstant
from ..numerics.scheme import Scheme
from ..numerics.signals import Signal
from .parameters import check_bounds

Kind = Literal["stages", "constant", "linear"]


@dataclass(frozen=True)
class Control:
    r"""An input that the optimisation chooses.

    Parameters
    ----------
    lower, upper : bounds, held wherever it has an unknown.
    start : first guess, a number or a signal; None takes the middle of the bounds, or 0 within them.
    kind : ``"stages"``, ``"constant"``, ``"linear"`` or a `Basis`, see the module.
    rate : (lower, upper) bounds of its slope, for the kind ``"linear"``; of a `PiecewiseConstant` or a
        `BSpline` of degree 1, of the change from one value to the next over the distance of their nodes.
    moves : weight `w` of the penalty :math:`w\sum_k(c_{k+1}-c_k)^2` on the moves of such a basis.
    shared : whether all windows that decide the input share one function; it has to be a basis then.
    unit : for reports.
    typical : size, where bounds and start do not tell it; 0 takes it from the equations.

    Raises
    ------
    InputError
        Crossed bounds, an unknown kind, a start outside the bounds; bounds, rates or moves that the kind
        does not have.

    Examples
    --------
    >>> Control(lower=-1.0, upper=3.0).guess([0.0, 1.0])
    array([1., 1.])
    """

    lower: float = -np.inf
    upper: float = np.inf
    _: KW_ONLY
    start: float | Signal | None = None
    kind: Kind | Basis = "stages"
    rate: tuple[float, float] = (-np.inf, np.inf)
    moves: float = 0.0
    shared: bool = False
    unit: str = ""
    typical: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        check_bounds(self.lower, self.upper, "a control")
        if self.basis is None and self.kind not in get_args(Kind):
            known = ", ".join(repr(kind) for kind in get_args(Kind))
            raise InputError(
                f"unknown kind of control {self.kind!r}; choose from {known}, or a Basis."
            )
        check_bounds(*as_pair(self.rate, "rate= of a Control"), "a control's rate")
        self._check_kind()
        if self.start is not None and not isinstance(self.start, Signal):
            check_type("Control(start=...)", self.start, Signal, float, int)
            if not self.lower <= self.start <= self.upper:
                told = apart(self.start, self.lower, self.upper)
                raise InputError(
                    f"a control starts at {told[0]}, outside its bounds [{told[1]}, "
                    f"{told[2]}]; move the start or the bounds."
                )

    def _check_kind(self) -> None:
        """Refuse what its kind does not have."""
        basis = self.basis
        what = repr(self.kind) if basis is None else f"{type(basis).__name__}"
        if self.is_rate_bounded and self.kind != "linear" and not self.has_moves:
            raise InputError(
                f"rate= bounds the slope of a control of kind 'linear', PiecewiseConstant or BSpline of "
                f"degree 1, not {what}; choose one of these, or make the input a state whose derivative "
                "is the control."
            )
        if not (np.isfinite(self.moves) and self.moves >= 0.0):
            raise InputError(f"the weight moves= of a control is zero or more, not {self.moves}.")
        if self.moves and not self.has_moves:
            raise InputError(
                f"moves= charges the steps of a PiecewiseConstant or a BSpline of degree 1, not {what}; "
                "choose one of these, or make the input a state and charge its derivative by a Lagrange "
                "cost."
            )
        if self.shared and basis is None:
            raise InputError(
                f"windows share a control that is a Basis, whatever their meshes, not {what}; give "
                "kind=PiecewiseConstant(points), say."
            )
        bounded = np.isfinite([self.lower, self.upper]).any()
        if bounded and basis is not None and not basis.bounded_by_coefficients:
            raise InputError(
                f"bounds of a control of {basis!r} are not those of its coefficients; leave them out and "
                "hold it by a PathConstraint, or choose PiecewiseConstant or BSpline of degree 1."
            )

    @property
    def basis(self) -> Basis | None:
        """The functions of time that it is made of, if its mesh does not give them."""
        return self.kind if isinstance(self.kind, Basis) else None

    @property
    def has_moves(self) -> bool:
        """Whether its coefficients are values one after the other."""
        known = isinstance(self.kind, PiecewiseConstant | BSpline)
        return known and bool(self.kind.bounded_by_coefficients)  # type: ignore[union-attr]

    @property
    def is_rate_bounded(self) -> bool:
        """Whether its slope is bounded."""
        return bool(np.isfinite(self.rate).any())

    def nodes(self, scheme: Scheme) -> Array:
        """Places in an element, 0 to 1, of the unknowns that make its polynomial there."""
        if self.kind == "stages":
            return np.asarray(scheme.nodes[list(scheme.stages)])
        return np.array([0.0, 1.0] if self.kind == "linear" else [0.0])

    def coefficients(self) -> Array:
        """(K,) coefficients to start from, of a basis."""
        assert self.basis is not None
        nodes = self.basis.nodes()
        return np.asarray(np.linalg.solve(self.basis.values(nodes), self.guess(nodes)))

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
        """Largest magnitude that is known of it, else the typical one; 1 if there is none."""
        return self.told or self.typical or 1.0

    @property
    def told(self) -> float:
        """Largest magnitude of bounds and start; 0 if these tell none."""
        start = self.start.values if isinstance(self.start, Signal) else [self.start or 0.0]
        known = np.abs([self.lower, self.upper, *start])
        return float(known[np.isfinite(known)].max(initial=0.0))
