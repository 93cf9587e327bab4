r"""Costs beside the misfit: what is to be small where nothing, or not only something, is measured.

.. math:: w\int_{t_0}^{t_f} L(t, x, u, p)\,dt\quad(\text{Lagrange}),\qquad
          w\,M(t_f, x(t_f), u(t_f), p)\quad(\text{Mayer})

A problem's objective is its misfit, its priors and regularisation, and the sum of its costs over all
windows (or those that a cost names).  They are minimised; ``-cost`` is maximised, ``2.0 * cost``
weighs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from ..checks import as_names, check_fields
from ..errors import InputError


@dataclass(frozen=True)
class Cost:
    """What a `Lagrange` and a `Mayer` cost have in common."""

    function: Callable[..., Any]
    _: KW_ONLY
    name: str = ""
    weight: float = 1.0
    windows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        kind = type(self).__name__
        if not callable(self.function):
            raise InputError(
                f"{kind} needs a function of (t, x, u, p, nn), not {self.function!r}; write "
                f"{kind}(lambda t, x, u, p, nn: ...)."
            )
        check_fields(self)
        if not np.isfinite(self.weight):
            raise InputError(f"the weight of a {kind} cost must be finite, not {self.weight}.")
        object.__setattr__(self, "windows", as_names(self.windows, f"windows= of a {kind} cost"))
        object.__setattr__(self, "name", self.name or kind)

    def borne_by(self, window: str) -> bool:
        """Whether a window of this name bears it."""
        return not self.windows or window in self.windows

    def __mul__(self, factor: float) -> Self:
        if not isinstance(factor, int | float | np.number):
            raise InputError(f"a cost is weighed by a number, not by {factor!r}.")
        return replace(self, weight=self.weight * float(factor))

    __rmul__ = __mul__

    def __neg__(self) -> Self:
        return self * -1.0


@dataclass(frozen=True)
class Lagrange(Cost):
    r"""The cost :math:`w\int L(t, x, u, p)\,dt` along a window, by the scheme's own quadrature.

    Parameters
    ----------
    function : ``L(t, x, u, p, nn)``, one scalar.
    name : for messages and reports.
    weight : `w`.
    windows : names of those that bear it; empty for all.

    Examples
    --------
    >>> effort = Lagrange(lambda t, x, u, p, nn: u.a**2, name="effort")
    >>> (0.5 * effort).weight
    0.5
    """


@dataclass(frozen=True)
class Mayer(Cost):
    r"""The cost :math:`w\,M(t, x, u, p)` at one end of a window.

    Parameters
    ----------
    function : ``M(t, x, u, p, nn)``, one scalar; ``lambda t, x, u, p, nn: t`` is the final time.
    name : for messages and reports.
    weight : `w`.
    windows : names of those that bear it; empty for all.
    at : ``"end"`` or ``"start"``.
    """

    at: Literal["start", "end"] = "end"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at not in ("start", "end"):
            raise InputError(f"a Mayer cost is taken at 'start' or 'end', not at {self.at!r}.")
