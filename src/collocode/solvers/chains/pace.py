r"""How far beyond its lowest eigenvalue an indefinite matrix is shifted, by what became of the step before.

With the shift σ of the weights a full step p is foreseen to leave :math:`-\sigma p` of the Lagrangian's gradient by them.
Where it does, steps are shorter than the model is good for, as on the way from one λ to another; where it leaves
something else, or where Ipopt has cut the step, they are too long.
"""

from __future__ import annotations

import numpy as np

from ...numerics import Array

_FIRST, _LEAST = (
    1.0,
    0.2,
)  # excess over the eigenvalue, as a share of it: more than the first stalls
_FORESEEN, _UNFORESEEN = 0.3, 1.5  # what is missed, as a share of what is foreseen
_WHOLE = 0.7  # a step of less has been cut


class Pace:
    """Follows the steps of one solve, in the columns of the border.

    Attributes
    ----------
    over : shift, as a multiple of the lowest eigenvalue's size.
    """

    def __init__(self) -> None:
        self._excess = _FIRST
        self._before: Array | None = None
        self._here: Array | None = None
        self._last: tuple[Array, Array, float] | None = None

    @property
    def over(self) -> float:
        """See the class."""
        return 1.0 + self._excess

    def look(self, x: Array) -> None:
        """Take note of an iterate."""
        self._before, self._here = self._here, x

    def step(self, gradient: Array, step: Array, shift: float) -> None:
        """Judge the step before by the gradient behind it, and take note of the next one.

        Parameters
        ----------
        gradient, step : right-hand side and solution, both with the sign that Ipopt gives them.
        shift : that the step was found with.
        """
        if self._last is not None and self._here is not None and self._before is not None:
            moved = float(np.linalg.norm(self._here - self._before))
            self._judge(gradient, moved, *self._last)
        self._last = gradient, step, shift

    def _judge(
        self, gradient: Array, moved: float, before: Array, step: Array, shift: float
    ) -> None:
        foreseen = shift * step
        whole, missed = (float(np.linalg.norm(v)) for v in (foreseen, gradient - foreseen))
        cut = moved < _WHOLE * float(np.linalg.norm(step))
        # without a shift, or close to the end, what is foreseen is next to nothing
        wrong = shift > 0.0 and missed > max(_UNFORESEEN * whole, float(np.linalg.norm(before)))
        if cut or wrong:
            self._excess = min(2.0 * self._excess, _FIRST)
        elif missed < _FORESEEN * whole:
            self._excess = max(0.5 * self._excess, _LEAST)
