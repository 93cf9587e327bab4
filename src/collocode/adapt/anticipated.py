r"""What delays add to the adjoint equation: a state matters now, and again when it is looked back at.

With :math:`\dot x=f(x,x(t-\tau))` the costate has an advanced argument,

.. math:: -\dot z=H_x(t)+H_{x_\tau}(t+\tau)\,[t+\tau\le t_f],

and the rows that say what delayed states are, with multipliers :math:`\lambda`, have
:math:`H_{x_\tau}=-\lambda_{e,j}/(h_eb_j)` at the stages (L = f + λᵀg).

Source: Kharatishvili, *The maximum principle in the theory of optimal processes involving delay*, 1961.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..model.delays import Delay
from ..numerics import Array
from ..numerics.scheme import lagrange_matrix
from ..results.resolved import delay_at
from ..transcription.windows import ExperimentLayout
from .elements import Elements


class _Lag(NamedTuple):
    """A delayed state of one experiment: place of the state it looks at, delay, multipliers of its rows."""

    part: ExperimentLayout
    first: int
    state: int
    by: float
    multipliers: Array


def looked_up(e: Elements, multipliers: Array) -> Array:
    """(E, m+1, states) gradient of λᵀg by the nodes in which the rows of delayed states look."""
    found = np.zeros_like(e.states)
    scheme = e.nlp.scheme
    dense, tau = list(scheme.dense), scheme.nodes[list(scheme.stages)]
    for lag in _lags(e, multipliers):
        mesh = lag.part.mesh
        then = mesh.points[:-1, None] + mesh.steps[:, None] * tau[None, :] - lag.by
        # at a mesh point the end of an element looks to the left and its start to the right, as the rows do
        aside = then + 1e-9 * mesh.steps[:, None] * (1.0 - 2.0 * tau)
        seen = aside >= mesh.start
        element, place = mesh.locate(np.clip(aside[seen], mesh.start, mesh.end))
        share = -lag.multipliers[seen][:, None] * lagrange_matrix(scheme.nodes[dense], place)
        where = lag.first + element[:, None], np.array(dense)[None, :]
        np.add.at(found[:, :, lag.state], where, share)
    return found


def forcing(e: Elements, multipliers: Array, tau: Array) -> Array:
    """(E, len(tau), states) what the adjoint equation is driven by from later, at local coordinates."""
    found = np.zeros((len(e), len(tau), e.states.shape[2]))
    scheme = e.nlp.scheme
    stages = list(scheme.stages)
    for lag in _lags(e, multipliers):
        mesh = lag.part.mesh
        slope = -lag.multipliers / (mesh.steps[:, None] * scheme.weights[stages])
        later = mesh.points[:-1, None] + mesh.steps[:, None] * tau[None, :] + lag.by
        seen = later <= mesh.end + 1e-9 * mesh.steps[-1]
        element, place = mesh.locate(np.minimum(later[seen], mesh.end))
        values = (lagrange_matrix(scheme.nodes[stages], place) * slope[element]).sum(axis=1)
        here = found[lag.first : lag.first + mesh.elements, :, lag.state]
        here[seen] += values
    return found


def _lags(e: Elements, multipliers: Array) -> Iterator[_Lag]:
    problem = e.nlp.problem
    for number, part in enumerate(e.nlp.layout.experiments):
        for k, delay in enumerate(problem.lags.values()):
            assert isinstance(delay, Delay)
            yield _Lag(
                part,
                int(e.first[number]),
                problem.states.index(delay.of),
                delay_at(e.nlp, e.x, number, delay),
                multipliers[part.algebraic_rows[:, :, k]],
            )
