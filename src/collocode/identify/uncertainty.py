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

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy

from ..errors import InputError
from ..kinds import check_type
from ..model.counts import Poisson
from ..model.misfit import likelihood_of, noise_parameters
from ..numerics import Array, Mask
from ..results.solution import Solution
from ..solvers.threads import single_threaded
from ..transcription.guesses import initial_weights
from ..transcription.nlp import NLP
from .bounds import held_by, moves
from .evidence import most_probable
from .intervals import Uncertainty, nlp_of
from .linearised import Linearised
from .noise import Noise, noise_of, standardised
from .variances import Variances

_IMITATED = 0.5  # share of a variance that the networks' penalty alone keeps from growing
_SCATTER = 0.01  # p-value below which data scatter more than their known noise has it
_NO_WIDTH = 1e-3  # share of the width without bounds below which bounds hold a quantity


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
    nlp = nlp_of(solution)
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
        scatter=_scatter(lin, noise),
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


def _check_outliers(nlp: NLP, lin: Linearised, effective: float) -> None:
    near = float(lin.loss_curvature.sum())
    loss = nlp.problem.loss
    few = min(2.0 * effective, 0.5 * lin.n)
    if not (loss.quadratic or loss.likelihood) and near < few:
        raise InputError(
            f"{nlp.problem.loss!r} takes all but {near:.3g} of {lin.n} measurements for outliers, too few "
            f"for intervals of {effective:.3g} unknowns; give the noise's sigma or a larger delta."
        )


def _exact(parts: Sequence[Array], noise: Noise) -> Mask:
    """(d,) of which more than half the variance comes from data without noise."""
    diagonals = np.array([np.diag(part) for part in parts])
    of_these = diagonals[:-2][noise.absent].sum(axis=0)
    return np.asarray(of_these > 0.5 * diagonals.sum(axis=0))


def _saturated(lin: Linearised, noise: Noise) -> tuple[str, ...]:
    outputs = np.unique(lin.output[~noise.told[noise.group]])
    return tuple(np.array(lin.nlp.problem.outputs)[outputs].tolist())


def _imitated(lin: Linearised, variance: float) -> Mask:
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


def _scatter(lin: Linearised, noise: Noise) -> dict[str, float]:
    """Factors by which data scatter more than their known noise has it, by output.

    The sum of squares in units of σ has the mean Σ(1 - h) and is compared with χ²; that of counts of means μ has, by Σ 1/μ,
    more variance (Haldane, Biometrika 31, 1940), and is compared with a multiple of χ² that has it too.
    """
    found, problem = {}, lin.nlp.problem
    told = ~noise.estimated | noise.refuted
    for j, name in enumerate(problem.outputs):
        mine = lin.output == j
        if not mine.any() or not told[noise.group[mine]].all():
            continue
        squares, left = (float(v[mine].sum()) for v in (standardised(lin) ** 2, 1.0 - lin.leverage))
        counts = isinstance(likelihood_of(problem.loss, name), Poisson)
        more = float(lin.precision[mine].sum()) if counts else 0.0
        scale = 1.0 + 0.5 * more / max(left, 1e-300)
        if left > 0.5 and scipy.special.chdtrc(left / scale, squares / scale) < _SCATTER:
            found[name] = squares / left
    return found


def _deviations(lin: Linearised, of_data: Array) -> Array:
    table = np.full((len(lin.nlp.problem.experiments), len(lin.nlp.problem.outputs)), np.nan)
    for run, output in np.unique(np.column_stack([lin.run, lin.output]), axis=0):
        table[run, output] = np.sqrt(
            np.mean(of_data[(lin.run == run) & (lin.output == output)] ** 2)
        )
    return table
