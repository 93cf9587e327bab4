r"""The noise of a fit: believed where σ was given, else estimated by output, or by output and run.

In units of its σ and weight a datum's residual is :math:`q=\sqrt w\,r/\sigma`, whose variance is one
where σ is the noise's.  Where it was not given, the variance is that of a *group* of data: an output in
all runs, or in each of them where Bartlett's test tells the runs apart (Proc. R. Soc. A 160, 1937).  As
intervals of what one run tells hold too little where its noise is wrongly taken for that of all, they ask
for a p-value of 0.25 (Bancroft, Biometrics 20, 1964); weights of data by what was estimated, for one of 0.01.

.. math:: v_g = \sum_{i\in g} q_i^2 \Big/ \sum_{i\in g}(1-h_i),

h the leverages, so that what the fit used up is made good.  A given σ is believed, unless the residuals
refute it beyond doubt; it is then scaled by what they say (Birge, Phys. Rev. 40, 1932).  Data that
determine as many unknowns as they are leave nothing to tell their noise by.

A σ that a likelihood estimates is the greatest one's, too small by what the fit used up.  Its data are a
group, those that parameters of σ have in common (see `dispersion`), whose variance is
:math:`v_g=N_g/(N_g-\\sum_{i\\in g}h_i)` of `N_g` data: where all are normal, that of restricted maximum
likelihood at the estimated weights (Patterson and Thompson, Biometrika 58, 1971).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy

from ..checks import listed
from ..model.likelihoods import Likelihood
from ..model.misfit import modelled
from ..numerics import Array, Index, Mask
from ..results.released import NOISE_FREE
from ..results.solution import Solution
from ..results.status import Termination
from .dispersion import LEAST, Dispersion, dispersion_of
from .linearised import Linearised

# p-values of Bartlett's test below which every run has a noise of its own
SURELY, LIKELY = 0.01, 0.25
_LOUD = 2.0  # times the others' variance: what less of it does to intervals is little, and chance makes it in long runs
_FEWEST = 1.5  # degrees of freedom of a run that tests look at
_REFUTED = 1e-6  # p-value of the sum of squares below which a given σ is not believed
_ROUNDING = 1e-6  # of the data's spread: residuals that are no noise
_UNSEEN = 1e-5  # of the sum of squares; solvers see 1e-8 of it, and Newton's steps end earlier
_AT_BOUND = 1.001  # times it
_NONE = 1e-6  # share that is rounding
_QUIET = 1e-20  # least variance, of data that are met exactly


@dataclass(frozen=True, eq=False, kw_only=True)
class Noise:
    """Variances of the data's residuals, in units of σ²/w.

    Attributes
    ----------
    group : (n,) number of every datum's group.
    known : (groups,) whether its σ was given, or is told by a likelihood.
    refuted : (groups,) whether a given σ is refuted by the residuals.
    variance : (groups,) v; 1 where σ was given and not refuted.
    freedom : (groups,) Σ (1 − h), of the data that tell of their variance.
    ratio : (groups,) what the residuals say, also where σ was given.
    absent : (groups,) whether a fit goes through the data, so that there is no noise to estimate: their
        residuals are rounding, or so small a part of the misfit that the solver did not look at them.
    told : (groups,) whether σ was given, or some datum is left to estimate it by.
    """

    group: Index
    known: Mask
    refuted: Mask
    variance: Array
    freedom: Array
    ratio: Array
    absent: Mask
    told: Mask
    dispersion: Dispersion

    @property
    def of_data(self) -> Array:
        """(n,) v of every datum."""
        return self.variance[self.group]

    @property
    def estimated(self) -> Mask:
        """(groups,) whether the data tell the variance."""
        own = np.zeros(len(self.known), dtype=bool)
        own[self.group[self.dispersion.part >= 0]] = True
        return np.asarray(~self.known | self.refuted | own)

    def drawn(self, rng: np.random.Generator) -> Array:
        """(groups,) a standard deviation that the data leave possible, over the estimate; one where it is known."""
        freedom = np.maximum(self.freedom, 1.0)
        return np.where(self.estimated, np.sqrt(freedom / rng.chisquare(freedom)), 1.0)

    def estimated_by(self, lin: Linearised, run: int, output: int) -> int:
        """Number of the group by which the noise of an output's data in a run is estimated; -1 where it is known."""
        mine = (lin.output == output) & (lin.run == run)
        mine = mine if mine.any() else lin.output == output
        found = np.unique(self.group[mine])
        found = found[self.estimated[found]]
        return int(found[0]) if len(found) else -1


def standardised(lin: Linearised) -> Array:
    """(n,) q = √w ½ρ'(r): residuals in units of their σ and weight."""
    return np.sqrt(lin.precision) * lin.loss_slope


def noise_of(lin: Linearised, apart: float = LIKELY, loud: float = LIKELY) -> Noise:
    """Estimate the variances of the groups of data.

    Parameters
    ----------
    apart : runs have a noise each below this p-value of equal ones.
    loud : else those do whose variance is twice the others', and above it by an F test of this p-value.
    """
    q2 = standardised(lin) ** 2
    freedom = 1.0 - lin.leverage
    dispersion = dispersion_of(lin)
    common = groups(lin, q2, freedom, apart)
    common[dispersion.part >= 0] = common.max(initial=0) + 1 + dispersion.part[dispersion.part >= 0]
    common = np.unique(common, return_inverse=True)[1]
    alone = louder(lin, common, q2, freedom, loud)
    own_run = common.max(initial=-1) + 1 + (lin.run.max(initial=0) + 1) * lin.output + lin.run
    group = np.unique(np.where(alone, own_run, common), return_inverse=True)[1]
    count = int(group.max(initial=-1)) + 1
    known, single, base = (np.zeros(count, dtype=kind) for kind in (bool, bool, int))
    known[group], single[group], base[group] = lin.known, alone, common

    def total(values: Array) -> Array:
        """Sum over a group; over all that have a noise in common where a loud run was taken out of it."""
        return np.where(
            single, np.bincount(group, values, count), np.bincount(common, values)[base]
        )

    size, over, squares = total(np.ones(lin.n)), total(freedom), total(q2)
    left = np.maximum(over, LEAST * size)
    ratio = np.maximum(squares / np.maximum(left, 1e-300), _QUIET)
    upper, lower = scipy.special.chdtrc(left, squares), scipy.special.chdtr(left, squares)
    problem, some = lin.nlp.problem, over > _NONE * size
    rms = np.sqrt(squares / np.maximum(size, 1))
    unseen = (squares < _UNSEEN * q2.sum()) & (rms < NOISE_FREE)
    absent = ~known & some & (not problem.loss.likelihood) & (unseen | (rms < _ROUNDING))
    refuted = known & some & (np.minimum(upper, lower) < _REFUTED)
    by_output = np.array([modelled(problem, name) for name in problem.outputs])
    own = np.zeros(count, dtype=bool)
    own[group] = by_output[lin.output]
    refuted &= ~own  # own parameters tell the noise
    variance = np.where(known & ~refuted, 1.0, ratio)
    for number in np.unique(group[dispersion.part >= 0]):
        used_up = float(lin.leverage[group == number].sum())
        part = int(dispersion.part[group == number][0])
        data, share = dispersion.data[part], dispersion.told[part]
        some[number] = data - used_up > _NONE * size[number]
        rest = max(data - used_up, LEAST * data)
        variance[number], left[number] = data / rest, share * rest
    return Noise(
        group=group,
        known=known,
        refuted=refuted,
        variance=variance,
        freedom=left,
        ratio=ratio,
        absent=absent,
        told=(known & ~own) | some,
        dispersion=dispersion,
    )


def without_noise(solution: Solution) -> Solution:
    """A fit with what it says of its likelihood, where that has no maximum: σ went to its bound, and would to zero.

    A model that goes through the data makes them as likely as it likes; which numbers it has meanwhile is up
    to the solver.  A σ that was given a bound by whoever made the problem has that one.
    """
    nlp = solution.nlp
    if nlp is None or not solution.success or not nlp.problem.loss.likelihood:
        return solution
    problem, x = nlp.problem, solution.result.x
    given = {q.name for q in (*problem.dynamics.parameters, *problem.parameters)}
    known, lost = {q.name: q for q in problem.all_parameters}, []
    for output in problem.outputs:
        name = problem.noise_name(output)
        if name in given or name not in known:
            continue
        loss: Likelihood = problem.loss.of(output)  # type: ignore[attr-defined]
        least = _ROUNDING * (problem.spread[output] or problem.size_of(output) or 1.0)
        q = known[name]
        found = float(q.natural(x[nlp.layout.columns_of(name)].min()))
        if found <= loss.guess(least, problem.size_of(output)) or found <= _AT_BOUND * q.lower:
            lost.append(output)
    if not lost:
        return solution
    message = (
        f"the model goes through the data of {listed(lost)}, so that nothing keeps the estimated noise from "
        "zero, and other numbers from where they ended"
    )
    result = replace(solution.result, termination=Termination.UNBOUNDED, message=message)
    return replace(solution, result=result)


def groups(lin: Linearised, q2: Array, freedom: Array, apart: float) -> Index:
    """(n,) numbers of groups: outputs, or outputs by run where the runs' noises differ."""
    runs = int(lin.run.max(initial=0)) + 1
    label = 2 * runs * lin.output + np.where(lin.known, 1, 0) * runs
    for output in np.unique(lin.output[~lin.known]):
        here = (lin.output == output) & ~lin.known
        of_run = lin.run[here]
        left = np.asarray(np.bincount(of_run, freedom[here], runs), dtype=float)
        squares = np.asarray(np.bincount(of_run, q2[here], runs), dtype=float)
        many = left > _FEWEST
        if many.sum() > 1 and _bartlett(squares[many], left[many]) < apart:
            label[here] += of_run
    return np.unique(label, return_inverse=True)[1]


def louder(lin: Linearised, common: Index, q2: Array, freedom: Array, apart: float) -> Mask:
    """(n,) whether a datum's run is noisier than the others with which its noise is ``common``."""
    found = np.zeros(lin.n, dtype=bool)
    for number in np.unique(common[~lin.known]):
        here = common == number
        of_run = lin.run[here]
        left, squares = np.bincount(of_run, freedom[here]), np.bincount(of_run, q2[here])
        others, rest = left.sum() - left, squares.sum() - squares
        tested = (left > _FEWEST) & (others > _FEWEST) & (rest > 0.0)
        ratio = squares[tested] * others[tested] / (left[tested] * rest[tested])
        loud = np.zeros(len(left), dtype=bool)
        unlikely = scipy.special.fdtrc(left[tested], others[tested], ratio) < apart
        loud[tested] = unlikely & (ratio > _LOUD)
        found[here] = loud[of_run]
    return found


def _bartlett(squares: Array, freedom: Array) -> float:
    """p-value of equal variances, from sums of squares and their degrees of freedom."""
    if (squares <= 0.0).any():
        return 0.0
    k, total = len(freedom), freedom.sum()
    pooled = total * np.log(squares.sum() / total)
    T = pooled - float(freedom @ np.log(squares / freedom))
    T /= 1.0 + ((1.0 / freedom).sum() - 1.0 / total) / (3.0 * (k - 1))
    return float(scipy.special.chdtrc(k - 1, max(T, 0.0)))
