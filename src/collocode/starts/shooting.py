r"""Single shooting: numbers whose simulation fits the data.

.. math:: \min_{p,\,x_0} \sum_i w_i\,\rho\bigl((h(x(t_i; p, x_0)) - y_i)/\sigma_i\bigr)

by trust-region least squares (`scipy.optimize.least_squares`) on simulations, from the parameters' own
starts.  It serves models without networks: they have few unknowns, their starts mean something, and a
simulation from them is seldom far off.  A full-space solve from there needs a few steps; from elsewhere
it may leave the basin that the starts are in, since on its way no state has to follow the equations.

`collocode.fit` turns to it where a cheaper start ended above the data's own noise.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..results.model import TrainedModel
from ..results.resolved import resolved
from ..results.simulate import simulate
from ..solvers.interrupt import interrupted
from ..transcription.nlp import NLP
from ..transcription.regularisation import prior_columns
from ..transcription.samples import measured
from .ladder import excess, merit_of_means, merit_of_noise

Array = NDArray[np.float64]
_MOST_UNKNOWNS = 20
_MOST_EVALUATIONS = 200_000  # of the right-hand side by one fit; a second or two
_STEPS = 40
_WINDOWS = (0.2, 0.5, 1.0)
_SCATTERED, _TRIED = 64, 4
_LOST = 10.0  # residual of a sample that a simulation does not reach, in standard deviations of the data
_NOISY = 4.0


def can_shoot(nlp: NLP) -> bool:
    """Whether there are no networks, and at most 20 unknown parameters and initial states."""
    return not len(nlp.layout.weights) and 0 < len(_unknowns(nlp)) <= _MOST_UNKNOWNS


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
            f"single shooting serves models without networks, of at most {_MOST_UNKNOWNS} unknown "
            "parameters and initial states; start from 'auto' or 'gradient_matching'."
        )
    search = _Search(nlp, _unknowns(nlp))
    enough = enough_for(nlp)
    found, value = np.clip(starts[0], nlp.lower, nlp.upper), np.inf
    for start in starts:
        for windows in ((1.0,), _WINDOWS):
            trial, its = np.clip(start, nlp.lower, nlp.upper), np.inf
            for window in windows:
                trial, its = search.fitted(trial, window)
            if its < value:
                found, value = trial, its
            if value <= enough or interrupted():
                return found
    if value > 0.5 * merit_of_means(nlp):
        for start in search.scattered(np.clip(starts[0], nlp.lower, nlp.upper)):
            trial, its = search.fitted(start)
            if its < value:
                found, value = trial, its
            if value <= enough or interrupted():
                break
    return found


def enough_for(nlp: NLP) -> float:
    """Misfit that needs no other start: four times the noise of the data, or half of their spread.

    Of a likelihood half of their spread alone, since it is the fit that tells the noise.
    """
    if nlp.problem.loss.likelihood:
        return 0.5 * merit_of_means(nlp)
    return min(0.5 * merit_of_means(nlp), _NOISY * merit_of_noise(nlp))


def simulated_misfit(nlp: NLP, x: Array) -> float:
    """Objective without regularisation of a point's numbers, of a model without networks, by simulation."""
    r = _Search(nlp, _unknowns(nlp)).residuals(x)
    return float(r @ r)


def _unknowns(nlp: NLP) -> NDArray[np.intp]:
    """Columns of the parameters and initial states that are not fixed."""
    experiments = nlp.layout.experiments
    own = [np.append(e.parameters, e.free_initial) for e in experiments]
    columns = np.concatenate([nlp.layout.shared, *own]).astype(int)
    return columns[nlp.lower[columns] < nlp.upper[columns]]


def _decades(nlp: NLP) -> list[int]:
    """Columns of parameters that are decided on another scale than the linear one."""
    scaled = [q.name for q in nlp.problem.all_parameters if q.scale != "linear"]
    return [c for name in scaled for c in nlp.layout.columns_of(name).tolist()]


@dataclass
class _Search:
    nlp: NLP
    columns: NDArray[np.intp]
    _spent: int = 0

    def fitted(self, x: Array, window: float = 1.0) -> tuple[Array, float]:
        """Fit the first part of every experiment from ``x``: the numbers found, and their misfit."""
        lower, upper = self.nlp.lower[self.columns], self.nlp.upper[self.columns]
        best, value, self._spent = x.copy(), float(np.sum(self.residuals(x, window) ** 2)), 0

        def residuals(v: Array) -> Array:
            nonlocal best, value
            trial = x.copy()
            trial[self.columns] = np.clip(v, lower, upper)
            r = self.residuals(trial, window)
            if float(r @ r) < value:
                best, value = trial, float(r @ r)
            if self._spent > _MOST_EVALUATIONS or interrupted():
                raise _Spent
            return r

        from scipy.optimize import least_squares  # late, as imports of SciPy's rooms are slow

        with contextlib.suppress(_Spent):  # the best so far is a start like another
            least_squares(
                residuals,
                x[self.columns],
                bounds=(lower, upper),
                x_scale="jac",
                diff_step=1e-5,
                max_nfev=_STEPS,
            )
        return best, value

    def scattered(self, x: Array) -> list[Array]:
        """The best of points within a factor of ten of the parameters in ``x``, best first."""
        nlp, layout = self.nlp, self.nlp.layout
        mine = np.concatenate([layout.shared, *(e.parameters for e in layout.experiments)])
        mine = np.intersect1d(mine, self.columns).astype(int)
        if not len(mine):
            return []
        from scipy.stats import qmc

        unit = qmc.Sobol(len(mine), rng=0).random(_SCATTERED)
        positive = (x[mine] > 0.0) & (nlp.lower[mine] >= 0.0)
        width = 10.0 * np.maximum(np.abs(x[mine]), nlp.column_scale[mine])
        width = np.where(np.isin(mine, _decades(nlp)), np.log(10.0), width)
        positive &= ~np.isin(mine, _decades(nlp))
        points: list[tuple[float, int, Array]] = []
        for u in 2.0 * unit - 1.0:
            point = x.copy()
            point[mine] = np.where(positive, x[mine] * 10.0**u, x[mine] + width * u)
            np.clip(point, nlp.lower, nlp.upper, out=point)
            points.append((float(np.sum(self.residuals(point) ** 2)), len(points), point))
        return [point for _, _, point in sorted(points)[:_TRIED]]

    def residuals(self, x: Array, window: float = 1.0) -> Array:
        """Roots of the objective's terms, those of the data from simulations and then the priors'."""
        nlp, problem, x = self.nlp, self.nlp.problem, self.nlp.with_initial(x)
        y, weights = (nlp.parameters[n] for n in ("measurements", "weights"))
        h = np.full(y.shape, np.nan)
        first, used = 0, []
        for number, (e, part) in enumerate(
            zip(problem.experiments, nlp.layout.experiments, strict=True)
        ):
            assert e.start is not None and e.end is not None
            times = e.times[measured(e)]
            within = times <= e.start + window * (e.end - e.start)
            rows = slice(first, first := first + len(times))
            used.append(within)
            model = TrainedModel.of(nlp, x, number)
            at = np.append(e.start, times[within])
            inputs = resolved(nlp, x, number)[0].inputs if e.placed else e.inputs
            run = simulate(model, x[part.states[0]], at, inputs)
            self._spent += run.evaluations
            u = (
                np.column_stack([e.inputs[n](at[1:]) for n in problem.inputs])
                if problem.inputs
                else None
            )
            z = None if run.algebraics is None else run.algebraics[1:]
            h[rows][within] = model.observe(run.states[1:], u, at[1:], z)
        kept = np.concatenate(used)
        with np.errstate(all="ignore"):
            cost = excess(nlp, h)[kept]
            root = np.sign(h - y)[kept] * np.sqrt(weights[kept] * cost)
        far = np.array([problem.spread[name] for name in problem.outputs])
        with np.errstate(all="ignore"):
            lost = np.sqrt(weights * excess(nlp, y + _LOST * far))[kept]
        found = np.where(weights[kept] > 0.0, np.where(np.isfinite(root), root, lost), 0.0)
        return np.concatenate([found.ravel(), self._priors(x)])

    def _priors(self, x: Array) -> Array:
        columns = prior_columns(self.nlp.layout)
        mine = np.isin(columns, self.columns)
        mean, weight = (self.nlp.parameters[n][mine] for n in ("prior_mean", "prior_weight"))
        return np.asarray(np.sqrt(weight) * (x[columns[mine]] - mean))


class _Spent(Exception):
    """The evaluations allowed are used up, or Ctrl-C was pressed."""
