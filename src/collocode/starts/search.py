"""Simulations of a program's numbers against the data, and least squares on them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..model.misfit import costs_of_data, likelihood_of, modelled, noise_parameters, rough_sigma
from ..numerics import Array, Index, Mask
from ..results.integrate import Simulation
from ..results.model import TrainedModel
from ..results.released import NOISE_FREE
from ..results.resolved import resolved
from ..results.simulate import Repeated, simulate
from ..solvers.interrupt import interrupted
from ..transcription.nlp import NLP
from ..transcription.regularisation import prior_columns
from ..transcription.samples import measured
from .ladder import excess
from .scattering import around, basins, spread_out

MOST_UNKNOWNS = 20
_MOST_EVALUATIONS = 200_000  # of the right-hand side by one fit; a second or two
_STEPS = 40
_WEIGHED = 2  # times that a fit is weighed anew with the noises it leaves
_DECADES = (
    5.0  # logarithm of the factor about the residuals' size, within which a noise is looked for
)
SHARES = (0.2, 0.5, 1.0)  # shares of the records that are fitted in turn
_TRIED = (4, 2, 2)  # scattered points, by what they explain of the shares, the whole first
_EXACT, _ROUGH = 1e-8, 1e-5  # relative tolerances of simulations that are fitted, and compared
_LOST = 10.0  # residual of a sample that a simulation does not reach, in standard deviations of the data


def can_shoot(nlp: NLP) -> bool:
    """Whether there are no networks, and at most 20 unknown parameters and initial states."""
    return not len(nlp.layout.weights) and 0 < len(unknowns(nlp)) <= MOST_UNKNOWNS


def unknowns(nlp: NLP) -> Index:
    """Columns of the parameters and initial states that are not fixed, without the σ of a likelihood."""
    experiments = nlp.layout.experiments
    own = [np.append(e.parameters, e.free_initial) for e in experiments]
    columns = np.concatenate([nlp.layout.shared, *own]).astype(int)
    columns = columns[nlp.lower[columns] < nlp.upper[columns]]
    of_noise = [nlp.layout.columns_of(name) for name in sorted(noise_parameters(nlp.problem))]
    return columns[~np.isin(columns, np.concatenate([*of_noise, []]))]


@dataclass
class Search:
    """Simulations of a program's numbers, and least squares on them.

    Attributes
    ----------
    columns : of the numbers that are looked for.
    spent : evaluations of the right-hand side since it was last set to zero.
    total : all evaluations.
    scales : (samples, outputs) noises, over those that are told before a fit, which residuals are weighed with; see
        `noises`.
    """

    nlp: NLP
    columns: Index
    spent: int = 0
    total: int = 0
    scales: Array | float = 1.0
    _runs: dict[tuple[int, float], Repeated] = field(default_factory=dict)

    @classmethod
    def of(cls, nlp: NLP) -> Search:
        """Look for the parameters and initial states that are not fixed."""
        return cls(nlp, unknowns(nlp))

    def fitted(self, x: Array, share: float = 1.0, gain: float = 1e-8) -> tuple[Array, float]:
        """Fit the first ``share`` of every experiment from ``x``: the numbers found, and their misfit.

        Steps that ``gain`` less than this share of the misfit are the last ones.
        """
        lower, upper = self.nlp.lower[self.columns], self.nlp.upper[self.columns]
        best, value, self.spent = x.copy(), float(np.sum(self.residuals(x, share) ** 2)), 0

        def residuals(v: Array) -> Array:
            nonlocal best, value
            trial = x.copy()
            trial[self.columns] = np.clip(v, lower, upper)
            r = self.residuals(trial, share)
            if float(r @ r) < value:
                best, value = trial, float(r @ r)
            if self.spent > _MOST_EVALUATIONS or interrupted():
                raise _Spent
            return r

        from scipy.optimize import least_squares  # late: importing SciPy's subpackages is slow

        with contextlib.suppress(_Spent):  # the best so far is a start like another
            least_squares(
                residuals,
                x[self.columns],
                bounds=(lower, upper),
                x_scale="jac",
                diff_step=1e-5,
                ftol=gain,
                max_nfev=_STEPS,
            )
        return best, value

    def misfit(self, x: Array) -> float:
        """Objective without regularisation of a point's numbers."""
        r = self.residuals(x)
        return float(r @ r)

    def weighed(self, x: Array, gain: float = 1e-8) -> tuple[Array, float]:
        """Fit with the noises that the residuals have, in turn: the numbers found, and their `worth`."""
        x = self.fitted(x, gain=gain)[0]
        for _ in range(_WEIGHED if self.estimated else 0):
            self.scales = self.noises(x)
            x = self.fitted(x, gain=gain)[0]
        self.scales = 1.0
        return x, self.worth(x)

    def worth(self, x: Array) -> float:
        r"""What ranks optima: the misfit, or of a likelihood the objective at the noises that are best for it.

        Of normal ones that is, but for a constant, :math:`\frac1M\sum_jn_j\log\mathrm{RSS}_j`.
        """
        if not self.estimated:
            return self.misfit(x)
        nlp, h = self.nlp, self.outputs(x)
        y, weights = (nlp.parameters[k] for k in ("measurements", "weights"))
        used = weights > 0.0
        if not np.isfinite(h[used]).all():
            return np.inf
        censored = nlp.parameters.get("censored", np.zeros(y.shape))
        sigma, scales = rough_sigma(nlp.problem, measured), self.noises(x)

        def cost(sigma: Array) -> Array:
            with np.errstate(all="ignore"):
                costs = costs_of_data(nlp.problem, h, y, sigma, censored)
            return np.where(used, weights, 0.0) * np.where(used, costs, 0.0)

        for group in self.estimated:
            sigma = np.where(group, _likeliest(cost, sigma, group, scales[group][0]), 1.0) * sigma
        value = float(cost(sigma).sum() + np.sum(self._priors(nlp.with_initial(x)) ** 2))
        return value if np.isfinite(value) else np.inf

    def noises(self, x: Array) -> Array:
        """(samples, outputs) root mean squares of the residuals by noise that is estimated, else 1."""
        with np.errstate(all="ignore"):
            cost = excess(self.nlp, self.outputs(x))
        found = np.ones(cost.shape)
        for group in self.estimated:
            mean = float(np.mean(cost[group]))
            found[group] = np.sqrt(max(mean, NOISE_FREE**2)) if np.isfinite(mean) else 1.0
        return found

    @cached_property
    def estimated(self) -> list[Mask]:
        """(samples, outputs) of every noise that a likelihood estimates, which data have it."""
        problem, weights = self.nlp.problem, self.nlp.parameters["weights"]
        whose = np.concatenate(
            [np.full(int(measured(e).sum()), k) for k, e in enumerate(problem.experiments)]
        )
        open_ = (weights > 0.0) & (self.nlp.parameters["sigma"] == 0.0)
        groups: dict[tuple[str, int], Mask] = {}
        for j, output in enumerate(problem.outputs):
            loss = likelihood_of(problem.loss, output)
            if loss is None or not modelled(problem, output):
                continue
            name = ", ".join(sorted(noise_parameters(problem, [output]))) or output
            for k in range(len(problem.experiments)):
                own = k if loss.per_experiment else -1
                group = groups.setdefault((name, own), np.zeros(weights.shape, dtype=bool))
                group[:, j] |= open_[:, j] & (whose == k)
        return [group for group in groups.values() if group.any()]

    def scattered(
        self, x: Array, most: int = _MOST_EVALUATIONS, nearby: float | None = None
    ) -> list[tuple[float, Array]]:
        """Points about the parameters in ``x`` that explain the data best, or their beginnings.

        Parameters
        ----------
        most : evaluations; points that would take more are left out.
        nearby : share of the parameters' values and of the states' sizes, within which they and the free initial
            states are scattered; None for parameters far and wide.

        Returns
        -------
        The share of the records that each of them explains best, and the point.
        """
        mine = self.parameters if nearby is None else self.columns
        if not len(mine):
            return []
        early = [self._counts(share) for share in SHARES]
        points, costs = [], []  # costs of every share, a list a point
        self.spent = 0

        for values in (
            spread_out(self.nlp, mine, x) if nearby is None else around(self.nlp, mine, x, nearby)
        ):
            point = x.copy()
            point[mine] = values
            r = self.residuals(point, rtol=_ROUGH)
            points.append(point)
            costs.append([float(r[kept] @ r[kept]) for kept in early])
            if self.spent > most or interrupted():
                break
        found: dict[int, float] = {}
        by_share = np.array(costs).T
        for share, column, tried in zip(SHARES[::-1], by_share[::-1], _TRIED, strict=True):
            ranked = basins(self.nlp, mine, np.array(points), column).tolist()
            found |= dict.fromkeys([k for k in ranked if k not in found][:tried], share)
        return [(share, points[k]) for k, share in found.items()]

    def followed(self, x: Array, first: float, gain: float = 1e-8) -> Iterator[tuple[float, Array]]:
        """Fit the beginnings of the experiments from this share on, but not the whole: each share, and what it gives."""
        for share in (s for s in SHARES if first <= s < 1.0):
            x = self.fitted(x, share, gain)[0]
            yield share, x

    def _counts(self, share: float) -> Mask:
        """Which residuals of all data are of the first ``share`` of the experiments; those of priors always are."""
        data = np.repeat(self.within(share), len(self.nlp.problem.outputs))
        return np.append(data, np.ones(len(self._priors(self.nlp.start)), dtype=bool))

    @property
    def parameters(self) -> Index:
        """Columns of the parameters that are looked for, without initial states."""
        parts = self.nlp.layout.experiments
        mine = np.concatenate([self.nlp.layout.shared, *(e.parameters for e in parts)])
        return np.intersect1d(mine, self.columns).astype(int)

    def residuals(self, x: Array, share: float = 1.0, rtol: float = _EXACT) -> Array:
        """Roots of the objective's terms, those of the data from simulations and then the priors'."""
        return self.roots(x, self.outputs(x, share, rtol), share)

    def roots(self, x: Array, h: Array, share: float = 1.0) -> Array:
        """The same of (samples, outputs) predictions ``h``."""
        nlp, problem = self.nlp, self.nlp.problem
        y, weights = (nlp.parameters[n] for n in ("measurements", "weights"))
        kept = self.within(share)
        with np.errstate(all="ignore"):
            cost = excess(nlp, h)[kept]
            root = np.sign(h - y)[kept] * np.sqrt(weights[kept] * cost)
        far = np.array([problem.spread[name] for name in problem.outputs])
        with np.errstate(all="ignore"):
            lost = np.sqrt(weights * excess(nlp, y + _LOST * far))[kept]
        found = np.where(weights[kept] > 0.0, np.where(np.isfinite(root), root, lost), 0.0)
        found = found / np.broadcast_to(self.scales, weights.shape)[kept]
        return np.concatenate([found.ravel(), self._priors(nlp.with_initial(x))])

    def outputs(self, x: Array, share: float = 1.0, rtol: float = _EXACT) -> Array:
        """(samples, outputs) simulated outputs; NaN beyond that share of the records."""
        times, h = [], np.full(self.nlp.parameters["measurements"].shape, np.nan)
        for e in self.nlp.problem.experiments:
            assert e.start is not None and e.end is not None
            mine = e.times[measured(e)]
            times.append(mine[mine <= e.start + share * (e.end - e.start)])
        h[self.within(share)] = np.vstack(self._outputs(x, times, rtol))
        return h

    def between(self, x: Array) -> list[Array]:
        """Simulated outputs halfway between the samples of every experiment."""
        times = [np.unique(e.times[measured(e)]) for e in self.nlp.problem.experiments]
        return self._outputs(x, [0.5 * (t[1:] + t[:-1]) for t in times], _EXACT)

    def _outputs(self, x: Array, times: Sequence[Array], rtol: float) -> list[Array]:
        nlp, problem, x = self.nlp, self.nlp.problem, self.nlp.with_initial(x)
        found = []
        for number, (e, asked) in enumerate(zip(problem.experiments, times, strict=True)):
            assert e.start is not None
            at = np.append(e.start, asked)
            model = TrainedModel.of(nlp, x, number)
            run = self._simulated(model, number, x, at, rtol)
            self.spent += run.evaluations
            self.total += run.evaluations
            u = (
                np.column_stack([e.inputs[n](at[1:]) for n in problem.inputs])
                if problem.inputs
                else None
            )
            z = None if run.algebraics is None else run.algebraics[1:]
            found.append(model.observe(run.states[1:], u, at[1:], z))
        return found

    def within(self, share: float) -> Mask:
        """(samples,) which samples are of the first ``share`` of the experiments."""
        kept = []
        for e in self.nlp.problem.experiments:
            assert e.start is not None and e.end is not None
            kept.append(e.times[measured(e)] <= e.start + share * (e.end - e.start))
        return np.concatenate(kept)

    def _simulated(
        self, model: TrainedModel, number: int, x: Array, times: Array, rtol: float
    ) -> Simulation:
        e = self.nlp.problem.experiments[number]
        initial = x[self.nlp.layout.experiments[number].states[0]]
        if e.placed or not Repeated.serves(model):
            inputs = resolved(self.nlp, x, number)[0].inputs if e.placed else e.inputs
            return simulate(model, initial, times, inputs, rtol=rtol)
        if (number, rtol) not in self._runs:
            self._runs[number, rtol] = Repeated(model, e.inputs, rtol)
        return self._runs[number, rtol](model.parameters, initial, times)

    def _priors(self, x: Array) -> Array:
        columns = prior_columns(self.nlp.layout)
        mine = np.isin(columns, self.columns)
        mean, weight = (self.nlp.parameters[n][mine] for n in ("prior_mean", "prior_weight"))
        return np.asarray(np.sqrt(weight) * (x[columns[mine]] - mean))


def _likeliest(cost: Callable[[Array], Array], sigma: Array, group: Mask, about: float) -> float:
    """The factor of a group's noise that costs least, looked for about one."""
    from scipy.optimize import minimize_scalar  # late: importing SciPy's subpackages is slow

    def total(factor: float) -> float:
        value = float(cost(np.where(group, np.exp(factor), 1.0) * sigma)[group].sum())
        return value if np.isfinite(value) else 1e300

    bounds = np.log(about) - _DECADES, np.log(about) + _DECADES
    return float(np.exp(minimize_scalar(total, bounds=bounds, method="bounded").x))


class _Spent(Exception):
    """The evaluations allowed are used up, or Ctrl-C was pressed."""
