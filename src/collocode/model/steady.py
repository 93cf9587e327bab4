r"""Experiments that begin at rest: :math:`0=f(t_0,x_0,u_-,p)`, with what is conserved as before.

Where a linear combination of states never changes (total enzyme, total moiety), :math:`L f\equiv0`, the
equations of rest are dependent and leave its total open.  As many of them as there are such *conservation
laws* are replaced by :math:`L\,(x_0-x_-)=0`, :math:`x_-` the initial states that the experiment gives.
The laws are found from values of f at random points.  Source: Heinrich and Schuster, *The Regulation of
Cellular Systems*, 1996, ch. 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import casadi as ca
import numpy as np

from ..checks import as_number, check_fields
from ..errors import InputError
from ..numerics import Array
from ..numerics.random import generator

_NONE = 1e-9  # singular values below this share of the largest are zero
_TRIES = 50


@dataclass(frozen=True)
class Steady:
    """What an experiment rested under before it began.

    The experiment's ``initial`` are then the states that it came to rest from; only what is conserved
    remembers them.

    Parameters
    ----------
    inputs : values of inputs while it rested; the others had those of the experiment's first time.
    parameters : what parameters were, a number or another one's name, as in `Experiment.parameters`.

    Examples
    --------
    >>> Steady(inputs={"stimulus": 0.0}).inputs
    {'stimulus': 0.0}
    """

    inputs: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        for name, value in self.inputs.items():
            as_number(value, f"inputs[{name!r}] of a steady state")
        for name, given in self.parameters.items():
            if not isinstance(given, str):
                as_number(given, f"parameters[{name!r}] of a steady state")

    def key(self) -> tuple[object, ...]:
        """What two of them have in common if they are the same."""
        return tuple(sorted(self.inputs.items())), tuple(sorted(self.parameters.items(), key=str))


def laws_of(f: ca.Function, size: Array, p: Array, theta: Array) -> tuple[Array, list[int]]:
    """(laws, states) L with L f = 0 and the numbers of as many equations as are independent.

    Parameters
    ----------
    f : (x, p, theta) -> (states,) right-hand side.
    size : (states,) typical sizes.
    p, theta : parameters as they are decided, and weights.

    Raises
    ------
    InputError
        f has no finite values at states of these sizes.
    """
    rng, count, found = generator(0), len(size), []
    for _ in range(_TRIES * count):
        x = size * rng.uniform(0.1, 2.0, count)
        moved = p + 0.1 * rng.standard_normal(len(p)) * np.maximum(np.abs(p), 0.1)
        value = np.asarray(f(x, moved, theta), dtype=float).ravel()
        if np.isfinite(value).all():
            found.append(value / (np.abs(value).max() or 1.0))
        if len(found) == 3 * count + 3:
            break
    if len(found) < count:
        raise InputError(
            "the right-hand side is not finite at states of their typical size, so no steady state can "
            "be told; give scaling= to the problem."
        )
    import scipy

    F = np.array(found).T
    unit = np.maximum(np.abs(F).max(axis=1), 1e-300)
    U, values, _ = np.linalg.svd(F / unit[:, None])
    rank = int((values > _NONE * values[0]).sum())
    laws = U[:, rank:].T / unit[None, :]
    if len(laws):  # in echelon form, so that each has few states and a one
        _, R, order = scipy.linalg.qr(laws, pivoting=True)
        front = np.linalg.solve(R[:, : len(laws)], R)
        laws = np.empty_like(laws)
        laws[:, order] = np.where(np.abs(front) < 1e-10, 0.0, front)
    _, _, rows = scipy.linalg.qr((F / unit[:, None]).T, pivoting=True)
    return laws, sorted(rows[:rank].tolist())
