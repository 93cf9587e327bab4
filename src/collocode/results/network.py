"""A trained network: its layers and their weights, callable with numbers and with symbols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from ..checks import counted
from ..errors import InputError
from ..kinds import check_type
from ..model.activations import CASADI
from ..model.dynamics import Named, stack
from ..model.network import MLP
from ..numerics import Array


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network with its weights: a plain callable.

    In a right-hand side it takes symbols, ``rate(x.c, x.T)``, where an `MLP` that is still to be trained
    is called as ``nn.rate(x.c, x.T)``: so what was learnt is optimised over.

    Examples
    --------
    >>> net = TrainedNetwork(MLP((2, 1), "linear"), np.array([1.0, 2.0, 0.5]))
    >>> net([1.0, 1.0]), net([[1.0, 1.0], [0.0, 0.0]])
    (array([3.5]), array([[3.5],
           [0.5]]))
    """

    network: MLP
    weights: Array

    def __post_init__(self) -> None:
        check_type("TrainedNetwork", self.network, MLP)
        if not np.isfinite(self.weights).all():
            raise InputError("a trained network needs finite weights; one of these is nan or inf.")

    def __call__(self, z: Any, *more: Any) -> Any:
        """Evaluate at one input (inputs,) or at one per row (samples, inputs); or at symbols.

        Parameters
        ----------
        z, more : all inputs in one array, or CasADi symbols, one argument an input.

        Raises
        ------
        InputError
            Another number of inputs than the network has.
        """
        given = [z, *more] if more else z
        if any(isinstance(v, ca.SX | ca.MX) for v in (z, *more)) or isinstance(z, Named):
            return self._at_symbols(stack(given))
        z = given
        points = np.asarray(z, dtype=float)
        if points.ndim == 0 and self.network.inputs == 1:
            points = points[None]
        if points.shape[-1:] != (self.network.inputs,) or points.ndim > 2:
            raise InputError(
                f"the network has {counted(self.network.inputs, 'input')}; give (inputs,) or (samples, inputs), "
                f"not {points.shape}."
            )
        return np.asarray(self.network(points.T, self.weights), dtype=float).T

    def _at_symbols(self, column: Any) -> Any:
        if column.numel() != self.network.inputs:
            raise InputError(
                f"the network has {counted(self.network.inputs, 'input')}, but was called with {column.numel()}."
            )
        value = self.network(column, ca.DM(self.weights.tolist()), CASADI)
        return value if self.network.outputs > 1 else value[0]

    def matrices(self) -> list[tuple[Array, Array]]:
        """Return the layers as [(W, b), ...], W of shape (outputs, inputs) of the layer."""
        return self.network.matrices(self.weights)
