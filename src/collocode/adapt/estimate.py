r"""`estimate_error`: how far a goal is from its exact value, and which elements are to blame.

With :math:`\delta L_e` of `defects`, the discrete Lagrangian's miss in element `e`:

* **objective**: :math:`J(x)-J(x_h)\approx\sum_e\delta L_e`, by the NLP's own multipliers.  Its two
  halves are those of the dual-weighted residual method, :math:`\tfrac12\rho(x_h;\hat z)` with the
  linearised response to the state equation's residual (``state``), and
  :math:`\tfrac12\rho^*(z_h;\hat x-x_h)` with the reconstructed state (``adjoint``).  The control
  part is zero: parameters and weights are numbers, not discretized functions.
* **another goal** `E`, with the weights `(v, w)` of `duals`:
  :math:`E(x)-E(x_h)\approx\sum_e(\delta E_e-w_e^T\gamma_e)+\delta L_e'(v_X)+\delta L_e'(v_q)`: the
  residuals of the state, adjoint and gradient equations.
* the objective of a problem that **decides**, or whose algebraic equations have an index above 1: see
  `cost_error`.
* the **second order** of a misfit: :math:`\tfrac12\nabla\delta L\cdot\delta y`, with the shift
  :math:`\delta y` of states, parameters and multipliers that the defects cause.  Of the slope
  :math:`\nabla\delta L` the parts that the multipliers weigh are left out: they are small where the
  second order counts.

Sources: Becker & Rannacher, Acta Numerica 10 (2001), Prop. 2.6; Meidner & Vexler, SIAM J. Control
Optim. 46 (2007), Thm. 4.1 and 4.3.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..kinds import check_type
from ..model.costs import Cost
from ..numerics import Array
from ..results.solution import Solution
from ..solvers.threads import single_threaded
from ..transcription.nlp import NLP
from .cost_error import compared_error, cost_error
from .elements import Elements
from .goal_error import Found, GoalErrors, misfit_error
from .goals import AnyGoal, Goal, ObjectiveValue, SimulatedMisfit, goal_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimate:
    """The estimated error of a goal, exact minus discrete, element by element.

    Attributes
    ----------
    goal, value : what was estimated, and its value at the discrete solution.
    parts : (E,) signed parts of the indicators by name, all experiments one after the other.  Of a mesh
        in time these are the residuals of the equations, ``state``, ``adjoint``, ``control``, and
        ``curvature``, the second order (zero if it was not asked for); of a problem that decides
        ``structure``, what switches, singular arcs and active constraints add.
    meshes, experiments : mesh points, and whose they are.
    stationarity : largest residual of the optimality conditions at the solution.
    stationary : whether the solution is one; if not, the estimate holds only as far as what was found is
        near one.
    unconverged : number of elements so long that their dynamics could not be solved again.
    seconds : wall time.
    """

    goal: AnyGoal | str
    value: float
    parts: Mapping[str, Array]
    meshes: tuple[Array, ...]
    experiments: tuple[str, ...] = ()
    stationarity: float
    stationary: bool
    unconverged: int = 0
    seconds: float

    @property
    def indicators(self) -> Array:
        """(E,) signed indicators."""
        return np.sum(list(self.parts.values()), axis=0)

    @property
    def error(self) -> float:
        """The estimate: sum of the indicators, exact minus discrete value."""
        return float(self.indicators.sum())

    @property
    def magnitude(self) -> float:
        """Sum of the indicators' absolute values: the error without luck in its signs."""
        return float(np.abs(self.indicators).sum())

    @property
    def corrected(self) -> float:
        """Value plus estimate: closer to the exact value than the value."""
        return self.value + self.error

    def effectivity(self, reference: float) -> float:
        """Estimate over error, given the exact value; one is ideal."""
        gap = reference - self.value
        return self.error / gap if gap else float("nan")

    def by_experiment(self) -> dict[str, Array]:
        """Indicators of every experiment."""
        ends = np.cumsum([len(points) - 1 for points in self.meshes])
        return dict(zip(self.experiments, np.split(self.indicators, ends[:-1]), strict=True))

    def to_frame(self) -> pd.DataFrame:
        """One row per element: experiment, start, end, parts and indicator."""
        import pandas as pd

        counts = [len(points) - 1 for points in self.meshes]
        whose = {"experiment": np.repeat(self.experiments, counts)} if self.experiments else {}
        where = {
            "start": np.concatenate([points[:-1] for points in self.meshes]),
            "end": np.concatenate([points[1:] for points in self.meshes]),
        }
        return pd.DataFrame({**whose, **where, **self.parts, "indicator": self.indicators})

    def __repr__(self) -> str:
        note = "" if self.stationary else f", NOT STATIONARY: residual {self.stationarity:.1e}"
        return (
            f"{type(self).__name__}({self.goal}: {self.value:.6g}, error {self.error:.2e}, "
            f"Σ|η| {self.magnitude:.2e}, elements={len(self.indicators)}{note})"
        )


@single_threaded
def estimate_error(
    solution: Solution, goal: AnyGoal | Cost | str = "objective", second_order: bool | None = None
) -> Estimate:
    """Estimate the discretization error of a goal, exact minus discrete.

    Parameters
    ----------
    solution : from `solve` or `fit`, with its NLP (a loaded one has none).
    goal : `ObjectiveValue`, `SimulatedMisfit`, `StateAt`, `Integral`, `ParameterValue`, a
        `Lagrange` or `Mayer` cost, or a text:
        ``objective``, ``simulated``, ``state:y1@7.5``, ``integral:y1``, ``parameter:mu``.
    second_order : whether to add the second order, at the price of one KKT system; None does so for
        the simulated misfit.  It counts where a fit is close: there the misfit's slope is next to
        nothing, and its curvature is all.

    Returns
    -------
    An `Estimate`; look at ``stationary`` before you believe it.

    Raises
    ------
    InputError
        A goal that the problem does not have, a solution without NLP or with values that are not
        finite, or a goal that the data do not determine; of a problem that decides another goal than the
        objective, or a finer solution that was not found.

    Examples
    --------
    >>> import numpy as np
    >>> from collocode import Dynamics, Experiment, Parameter, Problem, fit
    >>> t = np.linspace(0.0, 2.0, 21)
    >>> data = Experiment(t, np.exp(-0.7 * t) + 0.01 * np.cos(9.0 * t), outputs=("c",))
    >>> decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 1.0)])
    >>> coarse = fit(Problem(decay, data), "explicit_euler", mesh=20)
    >>> fine = fit(Problem(decay, data), "radau", mesh=40)
    >>> estimate = estimate_error(coarse, "parameter:k")
    >>> round(estimate.effectivity(fine.parameters["k"]), 1)
    1.0
    """
    check_type("estimate_error", solution, Solution)
    found = estimated(solution, goal, second_order)
    if solution.success and np.isnan(found.parts.get("structure", 0.0)).any():
        raise InputError(
            "some elements have a switch, a singular arc or an active constraint, or the equations an index "
            "above 1, where an estimate needs "
            "the problem solved on a finer mesh, and that failed; refine the mesh there, or hold the "
            "controls by kind='constant'."
        )
    return found


def estimated(
    solution: Solution, goal: AnyGoal | Cost | str = "objective", second_order: bool | None = None
) -> Estimate:
    """Do as `estimate_error`; where the finer solution fails that it needs, the indicators are nan."""
    began = time.perf_counter()
    chosen, nlp = goal_of(goal), _checked(solution)
    check_goal(chosen, nlp, bool(second_order))
    if nlp.problem.index > 1:
        found = Found(solution.result.objective, compared_error(solution), 0)
        return _estimate(solution, chosen, found, began)
    elements = Elements.of(nlp, solution.result.x)
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(chosen, ObjectiveValue) and nlp.problem.decides:
            found = _of_cost(solution, elements)
        elif isinstance(chosen, ObjectiveValue | SimulatedMisfit):
            second = isinstance(chosen, SimulatedMisfit) if second_order is None else second_order
            found = misfit_error(solution, elements, chosen, second)
        elif second_order:
            raise InputError(
                f"the second order is there for objective and simulated misfit, not for {chosen}; "
                "leave out second_order."
            )
        else:
            found, _ = GoalErrors(solution, elements).found(chosen)
    return _estimate(solution, chosen, found, began)


def estimate_errors(
    solution: Solution, goals: Sequence[Goal]
) -> tuple[tuple[Estimate | None, float], ...]:
    r"""Estimate the errors of several goals at once: reconstruction and KKT system are shared.

    Parameters
    ----------
    solution, goals : as for `estimate_error`; objective and simulated misfit are not among them.

    Returns
    -------
    For every goal E its `Estimate`, None where the data do not determine it, and the curvature
    :math:`\nabla E^TH^{-1}\nabla E` along the rows of the NLP: for least squares, times 2/M and the
    noise's variance, the variance of E; nan beside None.
    """
    nlp = _checked(solution)
    for goal in goals:
        check_goal(goal, nlp)
    if not goals:
        return ()
    began = time.perf_counter()
    found: list[tuple[Estimate | None, float]] = []
    with np.errstate(over="ignore", invalid="ignore"):
        shared = GoalErrors(solution, Elements.of(nlp, solution.result.x))
        for goal in goals:
            try:
                one, curvature = shared.found(goal)
            except InputError:
                found.append((None, float("nan")))
                continue
            found.append((_estimate(solution, goal, one, began), curvature))
            began = time.perf_counter()
    return tuple(found)


def check_goal(goal: AnyGoal, nlp: NLP, second_order: bool = False) -> None:
    """Refuse goals that the problem does not have, or of which no estimate is proved.

    Raises
    ------
    InputError
        Another goal than the objective, or its second order, where inputs or times are decided.
    """
    goal.check(nlp)
    if nlp.problem.index > 1 and not isinstance(goal, ObjectiveValue):
        raise InputError(
            f"problem {nlp.name!r} has equations of index {nlp.problem.index}, of which only the objective's "
            f"error is estimated, by a finer solution, not that of {goal}; make it a cost."
        )
    if not nlp.problem.decides:
        return
    decided = any(e.controls or e.is_free for e in nlp.problem.experiments)
    if isinstance(goal, SimulatedMisfit) or (decided and not isinstance(goal, ObjectiveValue)):
        raise InputError(
            f"problem {nlp.name!r} decides, so only its objective's error is estimated, not that of "
            f"{goal}; make it a cost, or refine for the objective."
        )
    if second_order:
        raise InputError(
            f"problem {nlp.name!r} decides, so its objective has no second order of a misfit; leave out "
            "second_order."
        )


def _estimate(solution: Solution, goal: AnyGoal, found: Found, began: float) -> Estimate:
    nlp, result = solution.nlp, solution.result
    assert nlp is not None
    return Estimate(
        goal=goal,
        value=found.value,
        parts=found.parts,
        meshes=tuple(part.mesh.points for part in nlp.layout.experiments),
        experiments=tuple(part.name for part in nlp.layout.experiments),
        stationarity=nlp.kkt_residual(result.x, result.lam_g, result.lam_x),
        stationary=solution.success,
        unconverged=found.unconverged,
        seconds=time.perf_counter() - began,
    )


def _of_cost(solution: Solution, elements: Elements) -> Found:
    parts, unconverged = cost_error(solution, elements)
    return Found(solution.result.objective, parts, unconverged)


def _checked(solution: Solution) -> NLP:
    if solution.nlp is None:
        raise InputError(
            "an estimate needs the solution's NLP, which is not saved with it; solve the problem "
            "again (a start from the loaded solution takes few iterations)."
        )
    result = solution.result
    if not (np.isfinite(result.x).all() and np.isfinite(result.lam_g).all()):
        raise InputError(
            f"the solution has values that are not finite ({solution.status}); solve it first."
        )
    return solution.nlp
