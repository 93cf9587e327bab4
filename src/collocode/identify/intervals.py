"""`Uncertainty`: what the covariance of a fit tells of its numbers and curves, as intervals and bands.

How it comes about is told in `collocode.identify.uncertainty`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ..adapt.fineness import errors_of
from ..checks import check_level
from ..errors import InputError
from ..model.misfit import noise_parameters
from ..model.parameters import Parameter
from ..numerics import Array
from ..results.solution import Solution
from ..solvers.solve import make_solver
from ..transcription.nlp import NLP
from .bands import Of, banded
from .linearised import Linearised
from .profiles import Profile, threshold
from .variances import Variances

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, kw_only=True)
class Uncertainty:
    """Covariance of a fit and what follows from it.

    Attributes
    ----------
    names : degrees of freedom, ``mu`` or ``y1[run;0.0]`` or ``nn.W1[0,0]``.
    values, covariance : (d,) and (d, d), in the data's units, of parameters as they are decided, on
        their scale.
    noise : standard deviation of the measurement noise by output, estimated from the residuals,
        outliers included; NaN of what is `saturated`.
    deviations : (runs, outputs) rms standard deviation of the data, as the intervals take it: the
        given σ, or by output and run from the residuals; NaN where nothing was measured.
    deviations_of_data : (n,) the same of every measurement that counts, experiment by experiment.
    refuted : standard deviation of the residuals by output whose given σ they refute beyond doubt; the
        intervals take it in place of σ.
    scatter : by output of a known noise (a given σ, or `Poisson`'s counts), how many times as large as that has it the
        residuals' variance is, where chance does so in less than one of a hundred.
    freedom : residual degrees of freedom, samples minus effective parameters.
    saturated : outputs whose noise nothing tells: no σ is given, and there are no more data than unknowns.
    not_identifiable : names that lie in a direction without curvature, and `imitated`.
    imitated : names that a network can take the place of: only its penalty tells them apart.
    at_bound : names held by an active bound (no variance is attributed to them).
    moved : by name, how far bounds of states and constraints move an estimate from where it would be
        without them (to first order), where that is more than 0.3 of its standard deviation.
    moved_by : the states and constraints that do it.
    noise_free : outputs whose data the fit goes through, up to rounding, so that they tell of no noise.
    exact : names that such data determine, whose intervals would be of rounding: they have none.
    """

    names: tuple[str, ...]
    values: Array
    covariance: Array
    noise: dict[str, float]
    deviations: Array
    deviations_of_data: Array
    refuted: dict[str, float]
    scatter: dict[str, float]
    freedom: float
    saturated: tuple[str, ...]
    not_identifiable: tuple[str, ...]
    imitated: tuple[str, ...]
    at_bound: tuple[str, ...]
    moved: dict[str, float]
    moved_by: tuple[str, ...]
    noise_free: tuple[str, ...]
    exact: tuple[str, ...]
    _lost: tuple[str, ...]
    _held: tuple[str, ...]
    _untold: tuple[str, ...]
    _student: Array
    _variances: Variances
    _linearised: Linearised
    _solution: Solution

    @property
    def fitted_parameters(self) -> dict[str, Parameter]:
        """The free parameters that all experiments share and no basis varies, by name."""
        nlp = nlp_of(self._solution)
        known = nlp.problem.dynamics.parameters
        shared = [q for q in known if not q.per_experiment and q.basis is None]
        return {q.name: q for q in shared if q.lower < q.upper}

    def std(self) -> Array:
        """(d,) standard deviations; inf where nothing tells a quantity or its data's noise, nan where they have none."""
        spread = np.sqrt(np.clip(np.diag(self.covariance), 0.0, None))
        spread[[name in self._lost or name in self._untold for name in self.names]] = np.inf
        spread[[name in self._held or name in self.exact for name in self.names]] = np.nan
        return spread

    def intervals(self, level: float = 0.95, names: Sequence[str] | None = None) -> pd.DataFrame:
        """Confidence intervals by Student's t; physical parameters unless ``names`` are given.

        Of a σ that a likelihood estimates they are by χ², about the estimate that makes the lost freedom good.

        Parameters
        ----------
        level : probability that an interval covers the true value, in (0, 1).
        names : of `names`, or of parameters at a bound.

        Returns
        -------
        Table, in natural units, of ``estimate``, ``std`` (to first order), ``lower``, ``upper``, ``note`` and ``mesh_share`` by name: the
        part of the standard error that the estimated discretization error makes, with its sign (exact
        minus discrete); nan where there is none.

        Raises
        ------
        InputError
            A level outside (0, 1), or a name of nothing that the fit determined.
        """
        import pandas as pd

        check_level(level)
        known = {name: j for j, name in enumerate(self.names)}
        wanted = list(self._solution.parameters) if names is None else list(names)
        std, rows = self.std(), []
        for name in wanted:
            if name in self.at_bound or (name not in known and name in self._solution.parameters):
                value = self._solution.parameters.get(name, np.nan)
                rows.append((value, np.nan, np.nan, np.nan, "at its bound"))
                continue
            if name not in known:
                raise InputError(f"there is no free quantity {name!r}; see `names`.")
            j, natural, slope = known[name], *self._scale_of(name)
            value = self.values[j]
            low, high = self._limits(j, natural, std[j], level)
            row = float(natural(value)), std[j] * slope(value), low, high, self._note(name)
            rows.append(row)
        columns = ["estimate", "std", "lower", "upper", "note"]
        table = pd.DataFrame(rows, index=pd.Index(wanted, name="parameter"), columns=columns)
        free = [name in known and name not in self.at_bound for name in wanted]
        decided = np.array(  # what has no standard error has no share of it either
            [
                std[known[name]] if told and 0.0 < std[known[name]] < np.inf else np.nan
                for name, told in zip(wanted, free, strict=True)
            ]
        )
        return table.assign(mesh_share=_mesh_errors(self._solution, wanted) / decided)

    def profile(self, level: float = 0.95, names: Sequence[str] | None = None) -> pd.DataFrame:
        """Confidence intervals that follow the model where it bends: the fit is solved again with each quantity held.

        Some ten solves each, from the optimum outwards (see `collocode.identify.profiles`); of a model that is linear
        in what is estimated they are those of `intervals`, and so are those of a likelihood's σ.

        Parameters
        ----------
        level, names : as for `intervals`.

        Returns
        -------
        Table, in natural units, of ``estimate``, ``lower``, ``upper`` and ``note`` by name; a limit is infinite where no
        value is too far for the data, a bound where nothing before it is, and nan where it could not be followed.
        """
        table = self.intervals(level, names)[["estimate", "lower", "upper", "note"]]
        likelihood = nlp_of(self._solution).problem.loss.likelihood
        for name, (one, freedom) in self._profiles(table.index).items():
            natural, _ = self._scale_of(name)
            notes = [self._note(name)]
            for side, where in ((-1.0, "lower"), (1.0, "upper")):
                value, told = one.limit(side, threshold(freedom, level, likelihood))
                table.loc[name, where] = float(natural(value))
                notes.append(told and f"{where}: {told}")
            table.loc[name, "note"] = "; ".join(note for note in notes if note)
        return table

    def profiled_level(
        self, level: float = 0.95, names: Sequence[str] | None = None
    ) -> dict[str, float]:
        """How sure `intervals` of a ``level`` are by the profile, by name: less where the model bends within them.

        Two solves each, with a quantity held at its limits; what lies beyond a bound of its own is left out.
        """
        wanted = self.intervals(level, names).index
        likelihood = nlp_of(self._solution).problem.loss.likelihood
        found = {}
        for name, (one, freedom) in self._profiles(wanted).items():
            half = float(scipy.special.stdtrit(freedom, 0.5 + 0.5 * level)) * one.std
            beyond = [one.outside(side, half, freedom, likelihood) for side in (-1.0, 1.0)]
            found[name] = 1.0 - float(np.sum(np.where(np.isnan(beyond), 0.5 - 0.5 * level, beyond)))
        return found

    def _profiles(self, names: Iterable[str]) -> dict[str, tuple[Profile, float]]:
        """Profiles, with their degrees of freedom, of what has a standard deviation and says no noise."""
        nlp, lin, std = nlp_of(self._solution), self._variances.lin, self.std()
        root, known = lin.allowed @ lin.inverse_root, {name: j for j, name in enumerate(self.names)}
        said = {self.names[j] for j in self._variances.noise.dispersion.columns}
        wanted = [known[name] for name in names if name in known and name not in said]
        wanted = [j for j in wanted if 0.0 < std[j] < np.inf]
        solver, found = make_solver(nlp) if wanted else None, {}
        for j in wanted:
            assert solver is not None
            share = float((root[j] ** 2).sum() / std[j] ** 2)
            one = Profile(self._solution, nlp, solver, int(lin.free[j]), float(std[j]), share)
            found[self.names[j]] = one, float(self._student[j])
        return found

    def _scale_of(self, name: str) -> tuple[Callable[[float], float], Callable[[float], float]]:
        """How to take a decided value to natural units, and the slope of that."""
        nlp = nlp_of(self._solution)
        scaled = [q for q in nlp.problem.all_parameters if q.scale != "linear"]
        column = int(self._linearised.free[self.names.index(name)])
        for q in scaled:
            if column in nlp.layout.columns_of(q.name):
                return q.natural, q.slope
        return float, lambda value: 1.0

    def _limits(
        self, j: int, natural: Callable[[float], float], std: float, level: float
    ) -> tuple[float, float]:
        """Of an interval by Student's t; of a σ that data estimate by χ², about what makes the lost freedom good."""
        noise, freedom, value = self._variances.noise, self._student[j], self.values[j]
        own, unbiased = noise_parameters(nlp_of(self._solution).problem), 1.0
        if j in noise.dispersion.columns and np.isfinite(std):
            left, alone = noise.dispersion.freedom(j)
            freedom = max(left, 1.0)
            if self.names[j].split("[", 1)[0] in own:
                there = noise.group[noise.dispersion.data_of(j)]
                unbiased = float(np.sqrt(noise.variance[there[0]]))
                if alone:
                    tails = scipy.special.chdtri(
                        freedom, np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level])
                    )
                    low, high = unbiased * natural(value) * np.sqrt(freedom / tails)
                    return float(low), float(high)
        half = scipy.special.stdtrit(freedom, 0.5 + 0.5 * level) * std
        low, high = (unbiased * float(natural(v)) for v in (value - half, value + half))
        return low, high

    def _note(self, name: str) -> str:
        if name in self.imitated:
            return "not identifiable: a network can imitate it"
        if name in self.not_identifiable:
            return "not identifiable"
        if name in self._untold:
            return f"as many unknowns as data of {', '.join(self.saturated)}; give sigma"
        by = ", ".join(self.moved_by)
        if name in self.exact:
            return "the data have no noise"
        if name in self._held:
            return f"held by bounds of {by}"
        return f"moved by bounds of {by}" if name in self.moved else ""

    def correlation(self) -> pd.DataFrame:
        """Correlation matrix of the physical parameters."""
        import pandas as pd

        picked = [j for j, name in enumerate(self.names) if name in self._solution.parameters]
        block = self.covariance[np.ix_(picked, picked)]
        scale = np.sqrt(np.clip(np.diag(block), 1e-300, None))
        names = [self.names[j] for j in picked]
        return pd.DataFrame(block / np.outer(scale, scale), index=names, columns=names)

    def band(
        self,
        times: ArrayLike,
        experiment: int | str = 0,
        level: float = 0.95,
        noise: bool = False,
        of: Of = "states",
    ) -> tuple[Array, Array]:
        """Pointwise band of states, algebraic variables or outputs at ``times``.

        Parameters
        ----------
        noise : add the measurement noise of what is measured (prediction band): as a likelihood tells it at
            these times, else that of the run.
        of : ``"states"``, ``"algebraics"`` or ``"outputs"``.

        Returns
        -------
        (N, k) lower and upper limits around ``solution.states(times)``, ``solution.algebraics(times)`` or
        ``solution.fitted(times)``.
        """
        check_level(level)
        solution, nlp = self._solution, nlp_of(self._solution)
        number, problem = solution.index(experiment), nlp.problem
        t = np.atleast_1d(np.asarray(times, dtype=float))
        matrix, centre = banded(solution, nlp, number, t, of)
        rows = self._linearised.rows(matrix, number)
        added, group = np.zeros(centre.shape), np.full(centre.shape, -1)
        names = {"states": problem.states, "algebraics": tuple(problem.algebraics)}
        named = names.get(of, problem.outputs)
        if noise and (problem.observe is None or of == "outputs"):
            for j, output in enumerate(problem.outputs):
                if output in named:
                    at = named.index(output)
                    by = self._variances.noise.estimated_by(self._linearised, number, j)
                    added[:, at] = self._noise_at(t, number, j, by) ** 2
                    group[:, at] = by
        variance, freedom = self._variances.along(rows, added.ravel(), group.ravel())
        half = scipy.special.stdtrit(freedom, 0.5 + 0.5 * level) * np.sqrt(variance)
        half = half.reshape(centre.shape)
        return centre - half, centre + half

    def _noise_at(self, times: Array, number: int, column: int, group: int) -> Array:
        """(N,) standard deviation of an output's data."""
        solution, problem = self._solution, nlp_of(self._solution).problem
        own = self.deviations[number, column]
        own = own if np.isfinite(own) else self.noise[problem.outputs[column]]
        given = problem.experiments[number].sigma
        if not problem.loss.likelihood or (
            given is not None and np.isfinite(np.asarray(given)[:, column]).any()
        ):
            return np.full(len(times), own)
        told = solution.deviations(number, times)[:, column]
        told = told * (np.sqrt(self._variances.noise.variance[group]) if group >= 0 else 1.0)
        return np.where(np.isfinite(told), told, own)


def _mesh_errors(solution: Solution, names: Sequence[str]) -> Array:
    """Estimated discretization errors of unknowns; nan where the data do not determine them.

    Nor are they known where inputs or times are decided.
    """
    if nlp_of(solution).problem.decides:
        return np.full(len(names), np.nan)
    columns = set(nlp_of(solution).column_names)
    found = errors_of(solution, [name for name in names if name in columns])
    errors = {name: one.error for name, (one, _) in found.items() if one is not None}
    return np.array([errors.get(name, np.nan) for name in names], dtype=float)


def nlp_of(solution: Solution) -> NLP:
    """Return the NLP of a solution.

    Raises
    ------
    InputError
        It was loaded from a file, and has none.
    """
    if solution.nlp is None:
        raise InputError(
            "a solution loaded from a file has no NLP; discretize the problem and solve from it."
        )
    return solution.nlp
