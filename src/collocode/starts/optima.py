r"""Whether data tell one optimum from others: least squares from many points, on simulations.

Few samples a period, or few at all, leave several optima: a sampled wave is one of many frequencies, a
relaxation oscillation has a basin for every number of jumps.  A fit from one start ends in one of them, with
residuals that look like noise as long as nothing else tells what the noise is.  So where that is open
(`is_open`), points are scattered over the parameters' values, simulated, and the best of those with basins of
their own are followed, from the beginnings of the records to the whole: the beginning of an oscillation tells
its frequency roughly, its end sharply.

Two optima are *equal* where their sums of squares differ by less than `EQUAL` variances of the noise, although
the slopes at the better one say that so far away they differ by many.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..numerics import Array, Index
from ..results.model import TrainedModel
from ..results.released import NOISE_FREE
from ..results.simulate import Repeated
from ..solvers.interrupt import interrupted
from ..transcription.nlp import NLP
from ..transcription.samples import measured
from .ladder import merit_of_means
from .search import Search, can_shoot

EQUAL = 6.0  # variances of the noise, that a sum of squares may be larger by
_OTHER = 50.0  # variances of the noise, by which the slopes have it larger there
_GAINS = 0.1  # variances of the noise, that an optimum has to gain: a third of a standard error
_MOST_PARAMETERS = 4
ROUGHLY = 1e-3  # share of the misfit, that a step has to gain on the way
_REACH = 3.0  # times the best sum of squares, and EQUAL noises: what is worth following to its end
_MOST_EVALUATIONS = (
    1_000_000  # of the right-hand side by one search; what is found until then counts
)
_NEARBY = 0.2  # share of the best optimum's numbers, within which others are looked for then
_NEAREST = 4  # of these points that are followed
_SURE = 0.5, 1.5  # of the noise that smoothing leaves: residuals between these are noise
_FEWEST = 8  # residual degrees of freedom of a smoother that tells the noise
# times a rise of the misfit, that an optimum's slopes foresee within its basin, where residuals bend it; what counts
# as equal and apart rises by less than EQUAL, and is foreseen to rise by more than _OTHER
_AGREES = 1.0 / 3.0, 3.0
_SWINGS = 1.0 / 3.0  # share of the samples at which outputs turn, when there are six a period


@dataclass(frozen=True, eq=False, kw_only=True)
class Optimum:
    """Numbers that explain the data.

    Attributes
    ----------
    x : (columns,) of the program, of which parameters and initial states count.
    misfit : what ranks it, see `Search.worth`; rough ones' is the objective without regularisation of a simulation.
    """

    x: Array
    misfit: float


def can_search(nlp: NLP) -> bool:
    """Whether there are one to four unknown parameters, without networks, and simulations are cheap."""
    problem = nlp.problem
    if problem.constraints or problem.lags or problem.algebraics or not can_shoot(nlp):
        return False
    if any(e.placed for e in problem.experiments):
        return False
    return 0 < len(Search.of(nlp).parameters) <= _MOST_PARAMETERS


def is_open(nlp: NLP, x: Array) -> bool:
    """Whether nothing tells that the point's numbers are the ones.

    What tells is noise that is known and is what they leave; or residuals that look like noise about a
    simulation which the samples resolve.  Where outputs turn at every third sample neither counts, since other
    frequencies pass there as well.
    """
    problem, search = nlp.problem, Search.of(nlp)
    h = search.outputs(x)
    y, weights, sigma = (nlp.parameters[k] for k in ("measurements", "weights", "sigma"))
    kept = [measured(e) for e in problem.experiments]
    known = [problem.knows_noise_of(e)[k] for e, k in zip(problem.experiments, kept, strict=True)]
    given = np.vstack(known) & (not problem.loss.likelihood)
    ends = itertools.pairwise(np.cumsum([0, *(int(k.sum()) for k in kept)]).tolist())
    runs = [np.arange(first, last) for first, last in ends]
    if not np.isfinite(h[weights > 0.0]).all():
        return True
    doubtful = []
    for j, name in enumerate(problem.outputs):
        used = weights[:, j] > 0.0
        if any(_turns(h[run[used[run]], j]) > _SWINGS for run in runs):
            return True
        left = (h - y)[used, j]
        rms = float(np.sqrt(np.mean(left**2)))
        spread = problem.spread[name] or problem.size_of(name) or 1.0
        if given[used, j].all():
            told = np.mean((left / sigma[used, j]) ** 2) < _SURE[1] ** 2
        else:
            told = rms < NOISE_FREE * spread or _is_noise(nlp, name, rms)
        if not told:
            doubtful.append(j)
            if rms > 0.5 * spread or not _white([(h - y)[run[used[run]], j] for run in runs]):
                return True
    return bool(doubtful) and not _resolved(search, x, doubtful)


def _white(residuals: list[Array]) -> bool:
    """Whether a residual does not resemble the next one."""
    centred = [r - r.mean() for r in residuals if len(r) > 1]
    alike = sum(float(r[1:] @ r[:-1]) for r in centred)
    total, count = sum(float(r @ r) for r in centred), sum(len(r) for r in centred)
    return count >= _FEWEST and alike < 2.0 / np.sqrt(count) * total


def _resolved(search: Search, x: Array, outputs: list[int]) -> bool:
    """Whether a cubic through the simulated samples is the simulation halfway between them, as far as the data tell."""
    from scipy.interpolate import PchipInterpolator  # late: importing SciPy's subpackages is slow

    problem, h = search.nlp.problem, search.outputs(x)
    y, weights = (search.nlp.parameters[k] for k in ("measurements", "weights"))
    between = search.between(x)
    first = 0
    for e, halfway in zip(problem.experiments, between, strict=True):
        times = e.times[measured(e)]
        here = h[first : first + len(times)]
        left = np.where(weights > 0.0, h - y, 0.0)[first : first + len(times)]
        first += len(times)
        apart, where = np.unique(times, return_index=True)
        if len(apart) < _FEWEST:
            return False
        middle = 0.5 * (apart[1:] + apart[:-1])
        cubic = PchipInterpolator(apart, here[where])(middle)
        off = np.sqrt(np.mean((cubic - halfway) ** 2, axis=0))
        if not (off[outputs] < np.sqrt(np.mean(left**2, axis=0))[outputs]).all():
            return False
    return True


def _is_noise(nlp: NLP, output: str, rms: float) -> bool:
    """Whether residuals are what a smoother leaves, if it can tell."""
    problem = nlp.problem
    smooth = problem.smoothed_noise[output]
    for e in problem.experiments:
        smoother = problem.smoothers(e).get(output)
        count = int(np.isfinite(e.values[:, problem.outputs.index(output)]).sum())
        if smoother is not None and smoother.freedom < max(_FEWEST, 0.3 * count):
            return False
    seen = smooth < 0.5 * problem.spread[output]
    return bool(seen and _SURE[0] * smooth < rms < _SURE[1] * smooth)


def _turns(values: Array) -> float:
    """Share of a series' inner points where it turns."""
    steps = np.diff(values)
    return float(np.mean(steps[1:] * steps[:-1] < 0.0)) if len(values) > 5 else 0.0


@dataclass
class ScatteredOptima:
    """Optima from points scattered about parameters, the most promising first, found when they are asked for."""

    search: Search
    _points: Iterator[tuple[float, Array]]
    _found: list[Optimum] = field(default_factory=list)
    _ways: dict[float, list[Array]] = field(default_factory=dict)  # by share of the records

    @classmethod
    def about(cls, nlp: NLP, begin: Array) -> ScatteredOptima:
        """Those of a program, whose copies share what has been found."""
        x = np.clip(begin, nlp.lower, nlp.upper)

        def made() -> ScatteredOptima:
            search = Search.of(nlp)
            return cls(search, iter(search.scattered(x)))

        return nlp.cache("scattered", made, nlp.problem, x[Search.of(nlp).columns])

    def __iter__(self) -> Iterator[Optimum]:
        yield from self._found
        for first, point in self._points:
            x = self._followed(point, first)
            if x is None:
                continue
            x, misfit = self.search.fitted(x, gain=ROUGHLY)
            self._found.append(Optimum(x=x, misfit=misfit))
            yield self._found[-1]

    def _followed(self, x: Array, first: float) -> Array | None:
        """Fit beginnings of the records, from this share of them on; None on a way that another point has gone."""
        for share, found in self.search.followed(x, first, ROUGHLY):
            been = self._ways.setdefault(share, [])
            if any(_same(self.search, found, other) for other in been):
                return None
            been.append(found)
            x = found
        return x


def optima(nlp: NLP, begin: Array, *known: Array) -> list[Optimum]:
    """Return the optima that are found from points about ``begin`` and from ``known`` ones, the best first.

    Parameters
    ----------
    begin : (columns,) starts of the parameters, and guesses of initial states.
    known : points that are optima already.
    """
    search, scattered = Search.of(nlp), ScatteredOptima.about(nlp, begin)
    found = [worth_of(nlp, x) for x in known]
    for optimum in scattered:
        found.append(_ranked(search, optimum))
        if interrupted() or scattered.search.total > _MOST_EVALUATIONS:
            break
    search.total += scattered.search.total
    _look_around(search, found)
    found.sort(key=lambda o: o.misfit)
    best, far = found[0].misfit, _REACH * EQUAL * _variance(search, found[0])
    reach = (best + np.log(_REACH) if search.estimated else best * _REACH) + far
    apart: list[Optimum] = []
    basins: list[_Basin] = []
    for optimum in found:
        if optimum.misfit > reach or interrupted():
            break
        if any(_same(search, optimum.x, other.x) for other in apart):
            continue
        if any(basin.holds(optimum) for basin in basins):
            continue
        if not any(optimum.x is x for x in known):
            x, value = search.weighed(optimum.x)
            optimum = Optimum(x=x, misfit=value)
        if not any(_same(search, optimum.x, other.x) for other in apart):
            apart.append(optimum)
            basins.append(_Basin.of(search, optimum))
    return sorted(apart, key=lambda o: o.misfit)


def worth_of(nlp: NLP, x: Array) -> Optimum:
    """A point as an optimum, with what ranks it."""
    return Optimum(x=x, misfit=Search.of(nlp).worth(x))


def _ranked(search: Search, rough: Optimum) -> Optimum:
    """A rough optimum with what ranks it; where noises are estimated, after the residuals have told them."""
    if not search.estimated or interrupted():
        return rough
    x, worth = search.weighed(rough.x, ROUGHLY)
    return Optimum(x=x, misfit=worth)


def _look_around(search: Search, found: list[Optimum]) -> None:
    """Add what is found from points near the best of ``found``, its initial states included.

    A record of many periods has a basin for every part of a period that its end is off by, and among these the
    points that are scattered far and wide are few.
    """
    if not found:
        return
    if search.total > _MOST_EVALUATIONS:
        return
    best = min(found, key=lambda o: o.misfit)
    for _, point in search.scattered(best.x, nearby=_NEARBY)[:_NEAREST]:
        if interrupted() or search.total > _MOST_EVALUATIONS:
            return
        x, misfit = search.weighed(point, ROUGHLY)
        found.append(Optimum(x=x, misfit=misfit))


def is_better(nlp: NLP, best: Optimum, misfit: float) -> bool:
    """Whether an optimum is better than a fit of this misfit, by more than meshes and tolerances make."""
    return best.misfit < misfit - _GAINS * _variance(Search.of(nlp), best)


def equal_to(nlp: NLP, chosen: Optimum, others: list[Optimum]) -> list[Optimum]:
    """Return the others that explain the data as well as the one that was chosen, and are no part of its basin."""
    search = Search.of(nlp)
    near = [o for o in others if (o.misfit - chosen.misfit) < EQUAL * _variance(search, chosen)]
    if not near:
        return []
    basin, limit = _Basin.of(search, chosen), _OTHER * _variance(search, chosen)
    return [o for o in near if basin.rise(o) > limit and _allowed(nlp, o.x)]


@dataclass(frozen=True, eq=False)
class _Basin:
    """What an optimum's slopes tell of the misfit about it: |r(a) + J (x - a)|² = |r(a)|² + |J (x - a)|².

    Attributes
    ----------
    slopes : (residuals, columns) derivatives J of the residuals by what is looked for.
    """

    optimum: Optimum
    columns: Index
    slopes: Array

    @classmethod
    def of(cls, search: Search, optimum: Optimum) -> _Basin:
        """By differences."""
        nlp, x = search.nlp, optimum.x
        search.scales = search.noises(x) if search.estimated else 1.0
        r, slopes = search.residuals(x), []
        for column in search.columns:
            step, moved = 1e-5 * max(abs(x[column]), nlp.column_scale[column]), x.copy()
            moved[column] += step if moved[column] + step <= nlp.upper[column] else -step
            slopes.append((search.residuals(moved) - r) / (moved[column] - x[column]))
        search.scales = 1.0
        return cls(optimum, search.columns, np.array(slopes).T)

    def rise(self, other: Optimum) -> float:
        """By how much the misfit is larger at another point, as the slopes foresee."""
        far = self.slopes @ (other.x - self.optimum.x)[self.columns]
        return float(far @ far)

    def holds(self, other: Optimum) -> bool:
        """Whether a rough optimum is this one: the misfit there is what the slopes foresee, within a factor."""
        rise = other.misfit - self.optimum.misfit
        return rise > 0.0 and _AGREES[0] * rise < self.rise(other) < _AGREES[1] * rise


def _variance(search: Search, best: Optimum) -> float:
    """What noise adds to the misfit by one datum: as given or estimated, or as the best optimum leaves it."""
    problem = search.nlp.problem
    count = problem.n_measurements
    if search.estimated or all(problem.knows_noise_of(e).all() for e in problem.experiments):
        return 1.0 / count
    free = max(count - len(search.columns), 1)
    return max(best.misfit / free, NOISE_FREE**2 * merit_of_means(search.nlp) / count)


def _same(search: Search, x: Array, y: Array) -> bool:
    """Whether two points are one optimum, by a hundredth of the parameters."""
    mine = search.parameters
    size = np.maximum(
        np.maximum(np.abs(x[mine]), np.abs(y[mine])), 1e-3 * search.nlp.column_scale[mine]
    )
    return bool((np.abs(x[mine] - y[mine]) <= 1e-2 * size).all())


def _allowed(nlp: NLP, x: Array) -> bool:
    """Whether bounds of states leave room for the simulation from a point."""
    problem = nlp.problem
    if not problem.bounds:
        return True
    for number, (e, part) in enumerate(
        zip(problem.experiments, nlp.layout.experiments, strict=True)
    ):
        model = TrainedModel.of(nlp, x, number)
        run = Repeated(model, e.inputs)(model.parameters, x[part.states[0]], part.times)
        slack = 1e-6 * problem.state_scale
        low = run.states < nlp.lower[part.states] - slack
        if not run.complete or (low | (run.states > nlp.upper[part.states] + slack)).any():
            return False
    return True
