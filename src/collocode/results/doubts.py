r"""When a fit should not be believed: found by one simulation, told in one warning.

Every output of every experiment is judged against its noise, which is the σ that was given or else the
root mean square of the collocated residuals:

* *gap*: the trained model, simulated, leaves its own collocated outputs by more than half the noise;
* *misfit*: the simulated model misses the data by more than the noise explains.  Here unknown noise is
  what a smoothing spline leaves, since the residuals of a bad fit tell nothing of it;
* *mesh*: `mesh="auto"` ended before its budget made the mesh's share in every parameter small;
* *bound*: multipliers of bounds on states, which a good fit does not feel.  One Newton step without them
  tells by how many standard deviations of the noise they move the fit;
* *window*: where inputs were decided, the simulation under them leaves the collocated states by more
  than a twentieth of their size;
* a fit that was not solved.

`fit` and `solve` warn of them; `collocode.findings` adds what to do.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from ..errors import CollocodeWarning, is_quiet, listed
from ..numerics import Array, Mask
from ..numerics.signals import Smoother
from .released import NOISE_FREE, Released, release_states
from .solution import Solution
from .status import SolverResult

GAP = 0.5  # of the noise, root mean square; its square adds a quarter to the error's variance
EXCESS = 1.5  # times the noise's variance
WINDOW_GAP = 0.05  # of a state's size, in a window without data
FELT = 1.0  # standard deviations of the noise by which bounds on states may move a fit
SHARE = 0.3  # of a standard error, by which the mesh may move a parameter
_SURE = 1e-3  # p-value of residuals as large as these
_FEWEST = 8  # residual degrees of freedom of a smoother that tells the noise


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How data, collocated and simulated outputs agree: one output of one experiment.

    Attributes
    ----------
    experiment, output, samples : whose.
    noise, given : standard deviation of the noise, and whether σ was given; else of the residuals.
    smooth, freedom : the noise by a smoothing spline and its degrees of freedom; NaN where it cannot
        tell.
    core : the same by the median of what the spline leaves, which does not see where it cuts corners.
    collocated, simulated : root mean square against the data.
    gap : root mean square of simulated minus collocated, at the samples.
    lag_one : correlation of simulated residuals with the next ones.

    All are in the data's units; data of larger weight or smaller σ count more.
    """

    experiment: str
    output: str
    samples: int
    noise: float
    given: bool
    smooth: float
    freedom: float
    core: float
    collocated: float
    simulated: float
    gap: float
    lag_one: float

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
        n, square = self.samples, ratio**2
        tail = (
            scipy.special.chdtrc(n, n * square)
            if self.given
            else scipy.special.fdtrc(n, self.freedom, square)
        )
        lasting = self.lag_one > 2.0 / np.sqrt(n) or square > EXCESS**4
        return float(ratio) if square > EXCESS and tail < _SURE and lasting else 0.0

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
            share**2 < 0.7 and scipy.special.chdtr(self.samples, self.samples * share**2) < _SURE
        )


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Why a fit should not be believed.

    Attributes
    ----------
    code : of the finding.
    text : in words.
    worst : where it is worst, of gap and misfit.
    released : of bounds.
    """

    code: str
    text: str
    worst: Agreement | None = None
    released: Released | None = None


def agreements(solution: Solution) -> list[Agreement]:
    """Compare data, collocated and simulated outputs, by experiment and output."""
    found = []
    for number, part in enumerate(solution.trajectories):
        experiment = part.experiment
        if not experiment.measures:
            continue
        t, y = experiment.times, experiment.values
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
    if solution.nlp is not None and solution.nlp.problem.loss.sigma is not None:
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
    size = float(np.sqrt(np.mean(unit**2)))  # from units of the noise to those of the data

    def rms(r: Array) -> float:
        if not np.isfinite(r).all():
            return np.inf
        square = (
            2.198 * np.median((unit * r) ** 2)
            if not solution.loss.quadratic
            else np.mean((unit * r) ** 2)
        )
        return float(np.sqrt(square)) / size

    floor = NOISE_FREE * float(np.std(y)) or 1e-12
    smoother = _smoother(solution, *whose) or Smoother(t, y)
    # a smoother follows the outliers that a robust loss looks past
    told = solution.loss.quadratic and smoother.freedom >= max(_FEWEST, 0.3 * len(t))
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
        noise=1.0 / size if given else max(rms(collocated - y), floor),
        given=given,
        smooth=max(float(smooth), floor) if told else np.nan,
        freedom=float(smoother.freedom),
        core=1.4826 * float(np.median(np.abs(unit * rest))) / size if told else np.nan,
        collocated=rms(collocated - y),
        simulated=rms(simulated - y),
        gap=rms(simulated - collocated),
        lag_one=lag_one if np.isfinite(lag_one) else 1.0,
    )


def _smoother(solution: Solution, experiment: str, output: str) -> Smoother | None:
    """The problem's own, which is there already."""
    if solution.nlp is None:
        return None
    problem = solution.nlp.problem
    return problem.smoothers(problem.experiments[solution.index(experiment)]).get(output)


def doubts_of(solution: Solution, agreed: list[Agreement] | None = None) -> list[Doubt]:
    """Return why a fit should not be believed; of one that was not solved only that.

    Parameters
    ----------
    agreed : of `agreements`, where it is there already.
    """
    if not solution.success:
        return [Doubt(code="not-solved", text=unsolved_text(solution.result))]
    agreed = agreements(solution) if agreed is None else agreed
    found = []
    gap = max(agreed, key=lambda a: a.gap_share, default=None)
    if gap is not None and gap.gap_share > GAP:
        found.append(Doubt(code="large-gap", text=_gap_text(gap), worst=gap))
    miss = max(agreed, key=lambda a: a.excess(a.simulated), default=None)
    if miss is not None and miss.excess(miss.simulated) and not found:
        code, text = (
            ("sigma-contradicted", sigma_text(miss))
            if miss.contradicted
            else ("above-noise", _misfit_text(miss))
        )
        found.append(Doubt(code=code, text=text, worst=miss))
    windows = [p.experiment.name for p in solution.trajectories if not p.experiment.measures]
    gaps = {name: solution.gap(name) for name in windows}
    worst = max(gaps, key=lambda name: gaps[name], default=None)
    if worst is not None and gaps[worst] > WINDOW_GAP:
        text = (
            f"simulated under the controls found, window {worst!r} leaves its collocated states by "
            f"{gaps[worst]:.2g} of their size"
        )
        found.append(Doubt(code="window-gap", text=text))
    shares = solution.meshing.shares if solution.meshing else {}
    if any(abs(share) > SHARE for share in shares.values()):
        found.append(Doubt(code="mesh-share", text=mesh_text(shares)))
    released = release_states(solution)
    if released is not None and released.moved > FELT:
        text = (
            f"bounds of {listed(released.names)} hold the collocated states in {released.places} and "
            f"move the fit by {released.moved:.2g} standard deviations of the noise"
        )
        found.append(Doubt(code="state-bound", text=text, released=released))
    return found


def unsolved_text(result: SolverResult) -> str:
    """Say how a solver ended that did not solve."""
    return (
        f"not solved: {result.termination.value}, the point is {result.status.value} "
        f"(largest violation {result.violation:.1e}; {result.message})"
    )


def _gap_text(a: Agreement) -> str:
    by = "does not get through" if a.gap == np.inf else f"is {a.gap_share:.2g} times the noise off"
    return (
        f"the learnt model, simulated, {by} its own collocated trajectory of {a.experiment!r} "
        f"({a.output}, noise {a.noise:.2g})"
    )


def mesh_text(shares: Mapping[str, float]) -> str:
    """Say by how much the mesh moves parameters; ``shares`` are in standard errors."""
    large = {name: abs(share) for name, share in shares.items() if abs(share) > SHARE}
    parts = listed(f"{name} by {share:.2g}" for name, share in large.items())
    return f"the mesh moves {parts} of {'its' if len(large) == 1 else 'their'} standard error"


def sigma_text(a: Agreement) -> str:
    """Say that a given σ is none."""
    return (
        f"the noise of {a.output} in {a.experiment!r} is given as {a.noise:.2g}, but the data scatter by "
        f"{a.smooth:.2g} around a smooth curve"
    )


def _misfit_text(a: Agreement) -> str:
    source = "as given" if a.given else "by smoothing the data"
    return (
        f"the learnt model misses {a.output} of {a.experiment!r} by {a.simulated / a.expected:.2g} times "
        f"the noise (rms {a.simulated:.2g}, noise {a.expected:.2g} {source})"
    )


def warn(solution: Any, stacklevel: int = 3) -> None:
    """Emit one `CollocodeWarning` if a fit should not be believed.

    Parameters
    ----------
    stacklevel : as for `warnings.warn`; by default the caller's caller is named.
    """
    if is_quiet() or not isinstance(solution, Solution):
        return
    found = doubts_of(solution)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        warnings.warn(
            f"{solution.name}: {found[0].text}{more}; collocode.findings(solution) says what to do.",
            CollocodeWarning,
            stacklevel=stacklevel,
        )
