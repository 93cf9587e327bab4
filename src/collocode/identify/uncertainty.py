r"""How far to trust a fit: covariance, intervals and bands, with the penalty's bias inside.

At the solution the collocation rows tie the states to the degrees of freedom `d`, see `linearised`.  With
the Jacobian :math:`J` of the outputs, :math:`u=w/\sigma^2`, the data's variances `v` (see `noise`), the loss ρ
and the penalty :math:`\lambda M\,M_w`, all in units of one half of the sum of squares,

.. math:: H = J^TUKJ + \lambda M\,M_w + P_0,\qquad
          C = H^{-1}\Bigl(J^TUV J + \frac{(\lambda M)^2}{\alpha}M_w + P_0\Bigr)H^{-1},\qquad
          K = \tfrac12\overline{\rho''}

is the covariance of `d` (the sandwich of M-estimators; :math:`(J^T\Sigma^{-1}J)^{-1}` for least squares
without a penalty).  α is the precision that the *evidence* gives the weights: at the λ that it chooses, C
is the posterior covariance; at another, the penalty's bias is in it at its true size, so that a strong
penalty does not assert itself as knowledge.  Bounds hold what their multipliers say (see `bounds`).

A parameter in a direction without curvature has no interval, and one that the networks can imitate,
told apart only by their penalty, has the interval that the penalty leaves; both are named.  Source: Bard, *Nonlinear Parameter Estimation*, 1974, ch. 7; Bock,
*Randwertproblemmethoden*, 1987; Huber, *Robust Statistics*, 1981, ch. 7; MacKay, Neural Computation 4,
1992.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from ..adapt.fineness import errors_of
from ..errors import InputError
from ..kinds import check_type
from ..model.misfit import noise_parameters
from ..model.parameters import Parameter
from ..results.solution import Solution
from ..solvers.threads import single_threaded
from ..transcription.guesses import initial_weights
from ..transcription.nlp import NLP
from .bands import Of, banded
from .bounds import held_by, moves
from .evidence import most_probable
from .linearised import Linearised
from .noise import Noise, noise_of
from .variances import Variances

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
_IMITATED = 0.5  # share of a variance that the networks' penalty alone keeps from growing
_NO_WIDTH = 1e-3  # share of the width without bounds below which bounds hold a quantity


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
        nlp = _nlp_of(self._solution)
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

        Returns
        -------
        Table, in natural units, of ``estimate``, ``std`` (to first order), ``lower``, ``upper``, ``note`` and ``mesh_share`` by name: the
        part of the standard error that the estimated discretization error makes, with its sign (exact
        minus discrete); nan where there is none.
        """
        import pandas as pd

        if not 0.0 < level < 1.0:
            raise InputError(f"a confidence level lies between 0 and 1, not at {level}.")
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

    def _scale_of(self, name: str) -> tuple[Callable[[float], float], Callable[[float], float]]:
        """How to take a decided value to natural units, and the slope of that."""
        nlp = _nlp_of(self._solution)
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
        own, unbiased = noise_parameters(_nlp_of(self._solution).problem), 1.0
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
        solution, nlp = self._solution, _nlp_of(self._solution)
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
        solution, problem = self._solution, _nlp_of(self._solution).problem
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


@single_threaded
def uncertainty(solution: Solution) -> Uncertainty:
    """Covariance of a solution's parameters, weights and free initial states.

    Raises
    ------
    InputError
        The solution is not optimal, or was loaded without its NLP; or nearly all
        measurements are outliers to the loss.

    Examples
    --------
    >>> import numpy as np
    >>> from collocode import Dynamics, Experiment, Parameter, Problem, fit
    >>> t, rng = np.linspace(0.0, 2.0, 41), np.random.default_rng(0)
    >>> noisy = np.exp(-0.7 * t) + 0.01 * rng.standard_normal(41)
    >>> decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 1.0)])
    >>> trust = uncertainty(fit(Problem(decay, Experiment(t, noisy, outputs=("c",)))))
    >>> low, high = trust.intervals().loc["k", ["lower", "upper"]]
    >>> bool(low < 0.7 < high)
    True
    """
    check_type("uncertainty", solution, Solution)
    nlp = _nlp_of(solution)
    if not nlp.problem.n_measurements:
        raise InputError(
            f"uncertainty is what the noise of data makes of a fit, and problem {nlp.problem.name!r} has no "
            "data; the error of its cost is what estimate_error tells."
        )
    if not solution.success:
        raise InputError(f"the solve ended as {solution.status}; only an optimum has a covariance.")
    whole = Linearised.of(solution, nlp)
    noise = noise_of(whole)
    held = held_by(whole, solution, float(np.mean(noise.of_data)))
    lin = whole.along(held.allowed)
    noise = noise_of(lin)
    effective = float(lin.leverage.sum())
    _check_outliers(nlp, lin, effective)
    believed = replace(noise, variance=np.where(noise.known & ~noise.refuted, 1.0, noise.variance))
    alpha = most_probable(lin, solution.model.theta, believed).alpha
    variances = Variances.of(lin, noise, alpha)
    covariance = variances.covariance
    each, student = variances.along(np.eye(len(whole.free)))
    names = np.array([nlp.column_names[j] for j in whole.free])
    of_data = np.sqrt(noise.of_data / lin.precision)
    free = ~held.at_bound & ~np.isin(whole.free, _planned(nlp))
    lost = lin.undetermined & free
    level = float(np.mean(noise.of_data))
    imitated = _imitated(lin, level) & ~lost & free
    if len(nlp.layout.weights):
        generic = Linearised.of(solution, nlp, initial_weights(nlp.problem)).along(held.allowed)
        lost |= _imitated(generic, level) & ~imitated & free
    exact = _exact(variances.parts, noise) & free & ~lost & ~imitated & ~np.isinf(each)
    outputs = np.unique(lin.output[noise.absent[noise.group]])
    loose = np.sqrt((whole.inverse_root**2).sum(axis=1) * np.mean(noise.of_data))
    std = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    saturated = _saturated(lin, noise)
    own = noise_parameters(nlp.problem, saturated)
    untold = np.isinf(each) | [name.split("[", 1)[0] in own for name in names.tolist()]
    untold &= free & ~lost
    nailed = free & ~lost & ~untold & (std < _NO_WIDTH * loose)
    moved = [moves(m, w) for m, w in zip(held.moved, loose, strict=True)]
    return Uncertainty(
        names=tuple(names.tolist()),
        values=solution.result.x[whole.free],
        covariance=covariance,
        noise=_noise_by_output(lin) | dict.fromkeys(saturated, np.nan),
        deviations=_deviations(lin, of_data),
        deviations_of_data=of_data,
        refuted=_refuted(lin, noise),
        freedom=float(lin.n - effective),
        saturated=saturated,
        not_identifiable=tuple(names[lost | imitated].tolist()),
        imitated=tuple(names[imitated].tolist()),
        noise_free=tuple(np.array(nlp.problem.outputs)[outputs].tolist()),
        exact=tuple(names[exact].tolist()),
        _lost=tuple(names[lost].tolist()),
        at_bound=tuple(names[held.at_bound].tolist()),
        moved=dict(zip(names[moved].tolist(), held.moved[moved].tolist(), strict=True)),
        moved_by=held.by if any(moved) or nailed.any() else (),
        _held=tuple(names[nailed].tolist()),
        _untold=tuple(names[untold].tolist()),
        _student=student,
        _variances=variances,
        _linearised=whole,
        _solution=solution,
    )


def _planned(nlp: NLP) -> Array:
    """Columns of what windows without data decide: nothing of them is estimated."""
    parts = zip(nlp.problem.experiments, nlp.layout.experiments, strict=True)
    own = [np.append(p.states[0], p.decisions) for e, p in parts if not e.measures]
    return np.concatenate([np.empty(0), *own, *(link.columns for link in nlp.layout.links)])


def _mesh_errors(solution: Solution, names: Sequence[str]) -> Array:
    """Estimated discretization errors of unknowns; nan where the data do not determine them.

    Nor are they known where inputs or times are decided.
    """
    if _nlp_of(solution).problem.decides:
        return np.full(len(names), np.nan)
    columns = set(_nlp_of(solution).column_names)
    found = errors_of(solution, [name for name in names if name in columns])
    errors = {name: one.error for name, (one, _) in found.items() if one is not None}
    return np.array([errors.get(name, np.nan) for name in names], dtype=float)


def _nlp_of(solution: Solution) -> NLP:
    if solution.nlp is None:
        raise InputError(
            "a solution loaded from a file has no NLP; discretize the problem and solve from it."
        )
    return solution.nlp


def _check_outliers(nlp: NLP, lin: Linearised, effective: float) -> None:
    near = float(lin.bend.sum())
    loss = nlp.problem.loss
    few = min(2.0 * effective, 0.5 * lin.n)
    if not (loss.quadratic or loss.likelihood) and near < few:
        raise InputError(
            f"{nlp.problem.loss!r} takes all but {near:.3g} of {lin.n} measurements for outliers, too few "
            f"for intervals of {effective:.3g} unknowns; give the noise's sigma or a larger delta."
        )


def _exact(parts: Sequence[Array], noise: Noise) -> NDArray[np.bool_]:
    """(d,) of which more than half the variance comes from data without noise."""
    diagonals = np.array([np.diag(part) for part in parts])
    of_these = diagonals[:-2][noise.absent].sum(axis=0)
    return np.asarray(of_these > 0.5 * diagonals.sum(axis=0))


def _saturated(lin: Linearised, noise: Noise) -> tuple[str, ...]:
    outputs = np.unique(lin.output[~noise.told[noise.group]])
    return tuple(np.array(lin.nlp.problem.outputs)[outputs].tolist())


def _imitated(lin: Linearised, variance: float) -> NDArray[np.bool_]:
    r"""Which parameters and initial states only the networks' penalty holds.

    With :math:`A` the precision of the data and :math:`\alpha M_w` that of the penalty, the variance of
    a quantity grows by the share :math:`-d\ln c/d\ln\alpha=\alpha (FF^TM_wFF^T)_{jj}/(FF^T)_{jj}` of what
    the penalty is weakened by: 0 for what the data tell, 1 for what the penalty alone does.
    A penalty that keeps weights below a size of one counts as one that does not: it is a choice.
    """
    lin = replace(lin, strength=min(lin.strength, variance))
    root = lin.allowed @ lin.inverse_root
    held = np.sqrt(lin.strength) * lin.penalty @ lin.inverse_root
    by_penalty = ((root @ held.T) ** 2).sum(axis=1)
    share = by_penalty / np.maximum((root**2).sum(axis=1), 1e-300)
    return np.asarray((share > _IMITATED) & ~np.isin(lin.free, lin.nlp.layout.weights))


def _noise_by_output(lin: Linearised) -> dict[str, float]:
    """Standard deviation of the residuals by output, in the data's units, lost freedom made good."""
    found = {}
    for j, name in enumerate(lin.nlp.problem.outputs):
        mine = (lin.output == j) & ~np.isnan(lin.residual)
        left = max(float((1.0 - lin.leverage[mine]).sum()), 1e-3 * float(mine.sum()))
        squares = float((lin.residual[mine] ** 2).sum())
        found[name] = float(np.sqrt(squares / left)) if mine.any() else np.nan
    return found


def _refuted(lin: Linearised, noise: Noise) -> dict[str, float]:
    doubtful = noise.refuted[noise.group]
    outputs, by_output = np.unique(lin.output[doubtful]), _noise_by_output(lin)
    return {name: by_output[name] for name in np.array(lin.nlp.problem.outputs)[outputs].tolist()}


def _deviations(lin: Linearised, of_data: Array) -> Array:
    table = np.full((len(lin.nlp.problem.experiments), len(lin.nlp.problem.outputs)), np.nan)
    for run, output in np.unique(np.column_stack([lin.run, lin.output]), axis=0):
        table[run, output] = np.sqrt(
            np.mean(of_data[(lin.run == run) & (lin.output == output)] ** 2)
        )
    return table
