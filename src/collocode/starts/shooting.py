r"""Single shooting: numbers whose simulation fits the data.

.. math:: \min_{p,\,x_0} \sum_i w_i\,\rho\bigl((h(x(t_i; p, x_0)) - y_i)/\sigma_i\bigr)

by trust-region least squares (`scipy.optimize.least_squares`) on simulations, from the parameters' own
starts.  It serves models without networks: they have few unknowns, their starts mean something, and a
simulation from them is seldom far off.  A full-space solve from there needs a few steps; from elsewhere
it may leave the basin that the starts are in, since on its way no state has to follow the equations.

`collocode.fit` turns to it where a cheaper start ended above the data's own noise.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..numerics import Array
from ..solvers.interrupt import interrupted
from ..transcription.nlp import NLP
from .ladder import merit_of_means, merit_of_noise
from .optima import ROUGHLY, ScatteredOptima
from .search import MOST_UNKNOWNS, SHARES, Search, can_shoot

_NOISY = 4.0


def shoot(nlp: NLP, *starts: Array) -> Array:
    """Return the numbers whose simulation fits best of those found from ``starts``, in their columns.

    What ends above the noise is tried by way of the beginnings of the records; what explains less than
    half of the data's spread, from points scattered about the first start.

    Raises
    ------
    InputError
        A model with networks or with too many unknowns.
    """
    if not can_shoot(nlp):
        raise InputError(
            f"single shooting serves models without networks, of at most {MOST_UNKNOWNS} unknown "
            "parameters and initial states; start from 'auto' or 'gradient_matching'."
        )
    search, enough = Search.of(nlp), enough_for(nlp)
    found, value = np.clip(starts[0], nlp.lower, nlp.upper), np.inf
    for start in starts:
        for first in (1.0, SHARES[0]):
            begin = np.clip(start, nlp.lower, nlp.upper)
            begin = [begin, *(x for _, x in search.followed(begin, first, ROUGHLY))][-1]
            trial, its = search.fitted(begin, gain=ROUGHLY)
            if its < value:
                found, value = trial, its
            if value <= enough or interrupted():
                return search.fitted(found)[0]
    if value > 0.5 * merit_of_means(nlp):
        for optimum in ScatteredOptima.about(nlp, starts[0]):
            if optimum.misfit < value:
                found, value = optimum.x, optimum.misfit
            if value <= enough or interrupted():
                break
    return search.fitted(found)[0]


def enough_for(nlp: NLP) -> float:
    """Misfit that needs no other start: four times the noise of the data, or half of their spread.

    Of a likelihood half of their spread alone, since it is the fit that tells the noise.
    """
    if nlp.problem.loss.likelihood:
        return 0.5 * merit_of_means(nlp)
    return min(0.5 * merit_of_means(nlp), _NOISY * merit_of_noise(nlp))


def simulated_misfit(nlp: NLP, x: Array) -> float:
    """Objective without regularisation of a point's numbers, of a model without networks, by simulation."""
    return Search.of(nlp).misfit(x)
