"""How data, collocated and simulated outputs agree, in units of the noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from ..model.noise import spread_of
from ..numerics import Array, Mask
from ..numerics.smoothing import Smoother
from .released import NOISE_FREE
from .solution import Solution

EXCESS = 1.5  # times the noise's variance
_SURE = 1e-3  # p-value of residuals as large as these
_LIKELY = 1e-2  # the same, of those that leave much of the variance and far more than a spline does
_EFFICIENCY = 0.37  # of the median of squares beside their mean: 8 f(m)² m², m the median of χ²₁
_FEWEST = 8  # residual degrees of freedom of a smoother that tells the noise


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How data, collocated and simulated outputs agree: one output of one experiment.

    Attributes
    ----------
    experiment, output, samples : whose.
    degrees : samples by whose mean square the root mean squares are as sure as they are; fewer where
        they come from medians, under a loss that looks past outliers.
    noise, given : standard deviation of the noise, and whether σ was given; else of the residuals.
    smooth, freedom : the noise by a smoothing spline and its degrees of freedom; NaN where it cannot
        tell.
    core : the same by the median of what the spline leaves, which does not see where it cuts corners.
    collocated, simulated : root mean square against the data.
    gap : root mean square of simulated minus collocated, at the samples.
    lag_one : correlation of simulated residuals with the next ones.

    spread : standard deviation of the data.

    All are in the data's units; data of larger weight or smaller σ count more.
    """

    experiment: str
    output: str
    samples: int
    degrees: float
    noise: float
    given: bool
    smooth: float
    freedom: float
    core: float
    collocated: float
    simulated: float
    gap: float
    lag_one: float
    spread: float

    @property
    def expected(self) -> float:
        """The noise that residuals should have: as given, else by smoothing; NaN if nobody knows."""
        return self.noise if self.given else self.smooth

    @property
    def least(self) -> float:
        """The least noise that residuals can be expected to have."""
        return self.noise if self.given else min(self.smooth, self.core)

    @property
    def gap_share(self) -> float:
        """Gap over noise; a σ that the data contradict does not count."""
        return self.gap / (self.smooth if self.contradicted else self.noise)

    def excess(self, rms: float) -> float:
        """Return ``rms`` over the expected noise where it is beyond chance; else 0."""
        ratio = rms / self.expected if self.expected > 0.0 else np.nan
        if np.isnan(ratio):
            return 0.0
        n, square = self.degrees, ratio**2
        tail = (
            scipy.special.chdtrc(n, n * square)
            if self.given
            else scipy.special.fdtrc(n, self.freedom, square)
        )
        blind = square > EXCESS**4 and rms > 0.5 * self.spread  # there is more to see than it sees
        lasting = self.lag_one > 2.0 / np.sqrt(self.samples) or square > EXCESS**4
        return (
            float(ratio)
            if square > EXCESS and tail < (_LIKELY if blind else _SURE) and lasting
            else 0.0
        )

    @property
    def unexplained(self) -> float:
        """The share of the variance that is left where nothing tells whether that is noise; else 0.

        Of fewer than a dozen samples no smoother tells anything, even of a constant.
        """
        known = not np.isnan(self.expected) or self.samples < 12 or self.spread == 0.0
        return 0.0 if known else (self.simulated / self.spread) ** 2

    @property
    def contradicted(self) -> bool:
        """Whether smoothing and the fit agree on another noise than the σ that was given."""
        far = np.log([self.smooth, max(self.collocated, 1e-300)]) - np.log(self.noise)
        side = np.sign(far[0])
        return self.given and bool(
            side * far[0] > np.log(2.0) and side * far[1] > 0.5 * side * far[0]
        )

    @property
    def below(self) -> bool:
        """Whether collocated residuals are smaller than the noise can leave: the model follows it."""
        share = self.collocated / self.least if self.least > 0.0 else np.nan
        return bool(
            share**2 < 0.7 and scipy.special.chdtr(self.degrees, self.degrees * share**2) < _SURE
        )


def agreements(solution: Solution) -> list[Agreement]:
    """Compare data, collocated and simulated outputs, by experiment and output."""
    found = []
    for number, part in enumerate(solution.trajectories):
        experiment = part.experiment
        if not experiment.measures:
            continue
        t, y = experiment.times, experiment.values
        if experiment.censored is not None:  # of which only a limit is known
            y = np.where(np.asarray(experiment.censored) != 0.0, np.nan, y)
        with np.errstate(all="ignore"):  # a simulation that breaks down leaves NaN
            simulated = np.nan_to_num(solution.predict(t, number), nan=np.inf)
        collocated = solution.fitted(t, number)
        for j, output in enumerate(solution.model.outputs):
            known = np.isfinite(y[:, j])
            if known.any():
                unit, given = _units(solution, number, j, known)
                models = collocated[known, j], simulated[known, j]
                whose = experiment.name, output
                found.append(
                    _agreement(solution, whose, (t[known], y[known, j], *models), unit, given)
                )
    return found


def _units(solution: Solution, number: int, column: int, known: Mask) -> tuple[Array, bool]:
    """√w/σ of the known data of an output, or √w; and whether σ was given."""
    experiment = solution.trajectories[number].experiment
    weight = np.ones(len(known)) if experiment.weights is None else experiment.weights[:, column]
    own = np.full(experiment.values.shape, np.nan)
    if experiment.sigma is not None:
        own = np.broadcast_to(np.asarray(experiment.sigma, dtype=float), own.shape)
    if solution.loss.likelihood:
        own = np.array(solution.deviations(number))
    elif solution.nlp is not None and solution.nlp.problem.loss.sigma is not None:
        own = solution.nlp.problem.sigma_in(solution.nlp.problem.experiments[number])
    sigma = own[known, column]
    given = bool(np.isfinite(sigma).all())
    return np.asarray(np.sqrt(weight[known]) / (sigma if given else 1.0)), given


def _agreement(
    solution: Solution,
    whose: tuple[str, str],
    curves: tuple[Array, Array, Array, Array],
    unit: Array,
    given: bool,
) -> Agreement:
    t, y, collocated, simulated = curves
    loss = solution.loss
    quadratic = (loss.of(whose[1]) if loss.likelihood else loss).quadratic  # type: ignore[attr-defined]
    size = float(np.sqrt(np.mean(unit**2)))  # from units of the noise to those of the data

    def rms(r: Array) -> float:
        if not np.isfinite(r).all():
            return np.inf
        square = 2.198 * np.median((unit * r) ** 2) if not quadratic else np.mean((unit * r) ** 2)
        return float(np.sqrt(square)) / size

    # data that are constant, or one, have no spread
    floor = NOISE_FREE * (spread_of(y) or float(np.abs(y).max())) or 1e-12
    smoother = _smoother(solution, *whose) or Smoother(t, y)
    # a smoother follows the outliers that a robust loss looks past
    told = quadratic and smoother.freedom >= max(_FEWEST, 0.3 * len(t))
    rest = (y - smoother(t)) * np.sqrt(len(t) / max(smoother.freedom, 1.0))
    smooth = rms(rest) if told else np.nan
    with np.errstate(all="ignore"):  # a simulation that broke down is infinite
        left = unit * (simulated - y)
        left = left - left.mean()
        lag_one = float(left[1:] @ left[:-1] / (left @ left))
    return Agreement(
        experiment=whose[0],
        output=whose[1],
        samples=len(t),
        degrees=len(t) * (1.0 if quadratic else _EFFICIENCY),
        noise=1.0 / size if given else max(rms(collocated - y), floor),
        given=given,
        smooth=max(float(smooth), floor) if told else np.nan,
        freedom=float(smoother.freedom),
        core=1.4826 * float(np.median(np.abs(unit * rest))) / size if told else np.nan,
        collocated=rms(collocated - y),
        simulated=rms(simulated - y),
        gap=rms(simulated - collocated),
        lag_one=lag_one if np.isfinite(lag_one) else 1.0,
        spread=spread_of(y),
    )


def _smoother(solution: Solution, experiment: str, output: str) -> Smoother | None:
    """The problem's own, which is there already."""
    if solution.nlp is None:
        return None
    problem = solution.nlp.problem
    return problem.smoothers(problem.experiments[solution.index(experiment)]).get(output)
