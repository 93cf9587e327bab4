r"""When a fit should not be believed: found by one simulation, told in one warning.

Every output of every experiment is judged against its noise, which is the σ that was given or else the
root mean square of the collocated residuals:

* *gap*: the trained model, simulated, leaves its own collocated outputs by more than half the noise;
* *misfit*: the simulated model misses the data by more than the noise explains.  Here unknown noise is
  what a smoothing spline leaves, since the residuals of a bad fit tell nothing of it;
* *unexplained*: it leaves much of the data's variance, and too few samples tell whether that is noise;
* *rivals*: other optima explain the data as well, see `collocode.starts.optima`;
* *mesh*: `mesh="auto"` ended before its budget made the mesh's share in every parameter small;
* *bound*: multipliers of bounds on states, which a good fit does not feel.  One Newton step without them
  tells by how many standard deviations of the noise they move the fit;
* *window*: where inputs were decided, the simulation under them leaves the collocated states by more
  than a twentieth of their size;
* *cost*: the tolerances of the solver are worth more than a ten-thousandth of what is decided costs, as in badly
  chosen units, or beside a misfit of another size;
* *jump*: a given input jumps inside an element of a mesh that was given point by point;
* a fit that was not solved.

`fit` and `solve` warn of them; `collocode.findings` adds what to do.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import listed
from ..errors import CollocodeWarning, caller_level, is_quiet
from ..model.kinked import kinked
from ..numerics import Array, Mask
from ..transcription.nlp import NLP
from ..transcription.scales import places
from .agreement import Agreement, agreements
from .meshing import Meshing
from .released import Released, release_states
from .resolved import costs_of
from .solution import Solution
from .status import SolutionStatus, SolverResult, Termination

GAP = 0.5  # of the noise, root mean square; its square adds a quarter to the error's variance
WINDOW_GAP = 0.05  # of a state's size, in a window without data
FELT = 1.0  # standard deviations of the noise by which bounds on states may move a fit
COST = 1e-4  # of the cost, which the solver's tolerances may be worth
SHARE = 0.3  # of a standard error, by which the mesh may move a parameter
_MOST_RIVALS = 3  # in words
UNEXPLAINED = 0.3  # of the data's variance, where nothing tells whether it is noise


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


def doubts_of(solution: Solution, agreed: list[Agreement] | None = None) -> list[Doubt]:
    """Return why a fit should not be believed; of one that was not solved only that.

    Parameters
    ----------
    agreed : of `agreements`, where it is there already.
    """
    if not solution.success:
        text = unsolved_text(solution.result)
        kinks = kinks_of(solution)
        return [Doubt(code="not-solved", text=f"{text}; {kinks}" if kinks else text)]
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
    left = max(agreed, key=lambda a: a.unexplained, default=None)
    if left is not None and left.unexplained > UNEXPLAINED and not found:
        found.append(Doubt(code="left-unexplained", text=unexplained_text(left), worst=left))
    rivals = solution.start_record.rivals if solution.start_record is not None else ()
    if rivals:
        found.append(Doubt(code="another-optimum", text=_rivals_text(solution, rivals)))
    windows = [p.experiment.name for p in solution.trajectories if not p.experiment.measures]
    gaps = {name: solution.gap(name) for name in windows}
    worst = max(gaps, key=lambda name: gaps[name], default=None)
    if worst is not None and gaps[worst] > WINDOW_GAP:
        text = (
            f"simulated under the controls found, window {worst!r} leaves its collocated states by "
            f"{gaps[worst]:.2g} of their size"
        )
        found.append(Doubt(code="window-gap", text=text))
    loose = _loose_cost(solution)
    if loose:
        found.append(Doubt(code="loose-cost", text=loose))
    inside = _jumps_inside(solution)
    if inside:
        found.append(Doubt(code="jump-inside", text=inside))
    shares = solution.meshing.shares if solution.meshing else {}
    if any(abs(share) > SHARE for share in shares.values()):
        found.append(Doubt(code="mesh-share", text=mesh_text(shares)))
    meshing = solution.meshing
    if (
        meshing is not None
        and solution.nlp is not None
        and solution.nlp.problem.decides
        and solution.costs
        and not meshing.success
    ):
        found.append(Doubt(code="mesh-share", text=cost_text(meshing)))
    released = release_states(solution)
    if released is not None and released.moved > FELT:
        text = (
            f"bounds of {listed(released.names)} hold the collocated states in {released.places} and "
            f"move the fit by {released.moved:.2g} standard deviations of the noise"
        )
        found.append(Doubt(code="state-bound", text=text, released=released))
    return found


def _loose_cost(solution: Solution) -> str:
    r"""Say what the tolerances are worth in a cost that was decided, to first order, where that is much; or nothing.

    A slack or violation :math:`s_i` beside a bound with multiplier :math:`\lambda_i`, and what is left of the
    gradient of the Lagrangian, change the cost by
    :math:`\sum_i|\lambda_i s_i|+\sum_j|(\nabla f+J^T\lambda+\lambda_x)_j x_j|`.  Beside experiments, whose misfit
    is of another size, the sums are over the windows without data, and the cost is theirs.
    """
    nlp, found = solution.nlp, solution.result
    if nlp is None or not nlp.problem.decides:
        return ""
    x, worth, mixed = found.x, 0.0, any(e.measures for e in nlp.problem.experiments)
    if mixed and (not nlp.problem.costs or all(e.measures for e in nlp.problem.experiments)):
        return ""
    rows, columns = _of_windows(nlp) if mixed else (True, True)
    for multipliers, values, lower, upper, counted in (
        (found.lam_g, nlp.constraints(x), nlp.row_lower, nlp.row_upper, rows),
        (found.lam_x, x, nlp.lower, nlp.upper, columns),
    ):
        side = np.where(multipliers > 0.0, upper, lower)
        felt = np.isfinite(side) & (multipliers != 0.0) & counted
        worth += float(np.abs(multipliers[felt]) @ np.abs(values - side)[felt])
    jacobian = nlp.functions.jacobian(x, nlp.p)[1].sparse()
    left = nlp.gradient(x) + jacobian.T @ found.lam_g + found.lam_x
    worth += float((np.abs(left) * columns) @ np.abs(x))

    def costs(y: Array) -> float:
        return sum(abs(v) for v in costs_of(nlp, y).values()) if mixed else abs(nlp.objective(y))

    cost = costs(x)
    usual = max(cost, costs(nlp.start))
    if usual == 0.0:  # where the costs begin and end at zero, those beside tell what is much
        beside = places(x, nlp.lower, nlp.upper, nlp.column_scale)
        usual = float(np.nanmax([costs(v) for v in beside]))
        worth += float((np.abs(left) * columns) @ nlp.column_scale)
    if usual == 0.0 or worth <= COST * usual:
        return ""
    return f"the tolerances of the solver are worth {worth:.1e} of a cost of {cost:.1e}"


def _of_windows(nlp: NLP) -> tuple[Mask, Mask]:
    """(rows,) and (columns,) whether they belong to a window without data."""
    rows, columns = np.zeros(nlp.rows, dtype=bool), np.zeros(nlp.columns, dtype=bool)
    assert nlp.structure is not None
    parts = zip(nlp.problem.experiments, nlp.layout.experiments, nlp.structure.chains, strict=True)
    for experiment, part, chain in parts:
        if not experiment.measures:
            rows[chain.rows[chain.rows >= 0]] = True
            for mine in (chain.links, chain.inner, part.decisions):
                columns[mine.ravel()] = True
    return rows, columns


def _jumps_inside(solution: Solution) -> str:
    """Say which given input jumps inside elements of a problem that decides, where no gap sees the costs; or nothing."""
    if solution.nlp is None or not solution.nlp.problem.decides:
        return ""
    problem, parts = solution.nlp.problem, solution.nlp.layout.experiments
    for e, part in zip(problem.experiments, parts, strict=True):
        points, slack = part.mesh.points, 1e-6 * part.mesh.steps.min()
        for name, signal in e.inputs.items():
            t = signal.jumps[(signal.jumps > points[0]) & (signal.jumps < points[-1])]
            off = t[np.abs(t[:, None] - points).min(axis=1, initial=np.inf) > slack]
            if len(off):
                more = f", and at {len(off) - 1} other times" if len(off) > 1 else ""
                return (
                    f"input {name!r} of {e.name!r} jumps inside an element at t = {off[0]:.12g}{more}: costs and states are "
                    "accurate to the first order there"
                )
    return ""


def kinks_of(solution: Solution) -> str:
    """Say which functions of the problem have kinks, of a fit that was not solved for another reason than time."""
    late = solution.result.termination in (Termination.INTERRUPTED, Termination.TIME_LIMIT)
    if solution.success or late or solution.nlp is None:
        return ""
    found = kinked(solution.nlp.problem)
    what = "has a kink or jump" if len(found) == 1 else "have kinks or jumps"
    return f"{listed(found)} {what}, which Newton steps do not cross" if found else ""


def unsolved_text(result: SolverResult) -> str:
    """Say how a solver ended that did not solve."""
    small = result.status is SolutionStatus.INFEASIBLE and result.violation < 1e-6
    size = " of a row whose terms are hardly larger" if small else ""
    return (
        f"not solved: {result.termination.value}, the point is {result.status.value} "
        f"(largest violation {result.violation:.1e}{size}; {result.message})"
    )


def _gap_text(a: Agreement) -> str:
    by = (
        "does not get through"
        if a.gap == float("inf")
        else f"is {a.gap_share:.2g} times the noise off"
    )
    return (
        f"the learnt model, simulated, {by} its own collocated trajectory of {a.experiment!r} "
        f"({a.output}, noise {a.noise:.2g})"
    )


def mesh_text(shares: Mapping[str, float]) -> str:
    """Say by how much the mesh moves parameters; ``shares`` are in standard errors."""
    large = {name: abs(share) for name, share in shares.items() if abs(share) > SHARE}
    if max(large.values()) < 1.0:
        parts = listed(f"{name} by {share:.2g}" for name, share in large.items())
        return f"the mesh moves {parts} of {'its' if len(large) == 1 else 'their'} standard error"
    parts = listed(f"{name} by {share:.2g} standard errors" for name, share in large.items())
    return f"the mesh moves {parts}"


def cost_text(meshing: Meshing) -> str:
    """Say what is known of a cost's error on a mesh that is not fine enough."""
    if meshing.error != meshing.error:  # nan
        return f"the discretization error of the cost is not known ({meshing.message})"
    return (
        f"the cost may still change by {abs(meshing.error):.1e} on finer meshes ({meshing.status})"
    )


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


def _rivals_text(solution: Solution, rivals: Sequence[Mapping[str, float]]) -> str:
    here = solution.parameters
    values = [
        listed(f"{name} = {value:.3g}" for name, value in rival.items() if name in here)
        for rival in rivals[:_MOST_RIVALS]
    ]
    more = f" (or at {len(rivals) - len(values)} other places)" if len(rivals) > len(values) else ""
    chosen = listed(f"{name} = {here[name]:.3g}" for name in rivals[0] if name in here)
    return (
        f"the data do not tell {chosen} from {', or '.join(values)}{more}, where another optimum explains them "
        "as well"
    )


def unexplained_text(a: Agreement) -> str:
    """Say how much is left that may be noise or not."""
    return (
        f"the learnt model leaves {min(a.unexplained, 9.99):.0%} of the variance of {a.output} in "
        f"{a.experiment!r}, and too few samples tell whether that is noise"
    )


def warn(solution: Any) -> None:
    """Emit one `CollocodeWarning` if a fit should not be believed."""
    if is_quiet() or not isinstance(solution, Solution):
        return
    found = doubts_of(solution)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        warnings.warn(
            f"{solution.name}: {found[0].text}{more}; collocode.findings(solution) says what to do.",
            CollocodeWarning,
            stacklevel=caller_level(),
        )
