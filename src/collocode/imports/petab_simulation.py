r"""Simulation of PEtab problems, and their negative log-likelihood at given parameters.

.. math:: -\log L = \sum_i \log\bigl(\sqrt{2\pi}\,\sigma_i g_i\bigr)
          + \tfrac12\Bigl(\frac{T(y_i) - T(h_i)}{\sigma_i}\Bigr)^2

with the observable's transformation T (identity, log or log10) and :math:`g_i = 1/T'(y_i)`; Laplace noise
has :math:`\log(2\sigma_i g_i) + |T(y_i) - T(h_i)|/\sigma_i`.  Nothing here is collocated: it is what a fit
is checked with.  The model is compiled once; a condition is numbers for its constants.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import casadi as ca
import numpy as np
import pandas as pd

from ..checks import check_has
from ..errors import InputError
from ..kinds import check_type
from ..numerics import Array
from ..results.solution import Solution
from .petab import Condition, PetabProblem
from .petab_rows import Channel, Measurement
from .sbml_simulation import FOREVER, LONGEST, Rest, System, Trajectory

_LN10 = math.log(10.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Predicted:
    """What a problem predicts for its measurements, in the order of the conditions and their rows.

    Attributes
    ----------
    h, sigma, y : (measurements,) prediction, noise and measurement, untransformed.
    rows : of the measurement table.
    complete : whether every simulation reached its last measurement.
    """

    h: Array
    sigma: Array
    y: Array
    transformation: tuple[str, ...]
    distribution: tuple[str, ...]
    rows: tuple[Measurement, ...]
    complete: bool

    @property
    def nllh(self) -> float:
        """Negative log-likelihood; infinite where a prediction is missing or has no logarithm."""
        return float(np.sum(self.costs))

    @property
    def table(self) -> pd.DataFrame:
        """PEtab's simulation table."""
        return pd.DataFrame(
            {
                "observableId": [m.channel.observable for m in self.rows],
                "preequilibrationConditionId": [m.before for m in self.rows],
                "simulationConditionId": [m.condition for m in self.rows],
                "time": [m.time for m in self.rows],
                "observableParameters": [";".join(m.channel.parameters) for m in self.rows],
                "noiseParameters": [";".join(m.channel.noise) for m in self.rows],
                "simulation": self.h,
            }
        )

    @property
    def costs(self) -> Array:
        """(measurements,) negative log-likelihood of each."""
        log, log10 = (np.array([t == k for t in self.transformation]) for k in ("log", "log10"))
        laplace = np.array([d == "laplace" for d in self.distribution])
        any_log = log | log10
        with np.errstate(all="ignore"):
            unit = np.where(log10, _LN10, 1.0)
            h = np.where(any_log, np.log(self.h) / unit, self.h)
            y = np.where(any_log, np.log(np.where(any_log, self.y, 1.0)) / unit, self.y)
            width = self.sigma * np.where(any_log, self.y * unit, 1.0)
            r = (y - h) / self.sigma
            normal = 0.5 * np.log(2.0 * np.pi) + np.log(width) + 0.5 * r**2
            cost = np.where(laplace, np.log(2.0 * width) + np.abs(r), normal)
        return np.where(np.isfinite(cost), cost, np.inf)


def simulate_petab(
    problem: PetabProblem,
    parameters: Mapping[str, float] | Solution | None = None,
    rtol: float = 1e-9,
) -> Predicted:
    """Simulate a PEtab problem and compare it with its measurements.

    Parameters
    ----------
    problem : from `read_petab`.
    parameters : a fit, or values of estimated parameters by id, on linear scale; the others are nominal.
    rtol : relative tolerance of the integrator (LSODA; for large models BDF with sparse derivatives; BDF and
        Newton's method for steady states).

    Raises
    ------
    InputError
        A parameter that is not estimated, or one without a value.
    """
    check_type("simulate_petab", problem, PetabProblem)
    ids = [q.id for q in problem.estimated]
    if isinstance(parameters, Solution):
        parameters = problem.estimates(parameters)
    for name in parameters or {}:
        check_has("the problem", "estimated parameter", name, ids)
    theta = np.array([(parameters or {}).get(q.id, q.nominal) for q in problem.estimated])
    for name, value in zip(ids, theta, strict=True):
        if not np.isfinite(value):
            raise InputError(f"parameter {name!r} has no finite value; give it one.")
    return Simulator(problem, rtol).predicted(theta)


class Simulator:
    """The compiled model of a problem, and its runs."""

    def __init__(self, problem: PetabProblem, rtol: float = 1e-9) -> None:
        self.problem, self.rtol = problem, rtol
        system = System(problem.model)
        outputs: dict[tuple[Channel, ...], ca.Function] = {}
        self.runs = [_Run(problem, system, c, outputs, rtol) for c in problem.conditions]

    def predicted(self, theta: Array) -> Predicted:
        """Simulate every condition at the estimated parameters (on linear scale)."""
        p = np.asarray(theta, dtype=float)
        rested: dict[str, Array] = {}
        parts = [run.predicted(p, rested) for run in self.runs]
        rows = [m for run in self.runs for m in run.condition.measurements]
        observables = [self.problem.tables.observables[m.channel.observable] for m in rows]
        return Predicted(
            h=np.concatenate([h for h, _, _ in parts]),
            sigma=np.concatenate([s for _, s, _ in parts]),
            y=np.array([m.value for m in rows]),
            transformation=tuple(o.transformation for o in observables),
            distribution=tuple(o.distribution for o in observables),
            rows=tuple(rows),
            complete=all(done for _, _, done in parts),
        )


class _Run:
    """One condition: numbers for the constants of the compiled model, and where it starts."""

    def __init__(
        self,
        problem: PetabProblem,
        system: System,
        condition: Condition,
        outputs: dict[tuple[Channel, ...], ca.Function],
        rtol: float,
    ) -> None:
        self.condition, self.system, self.rtol = condition, system, rtol
        model, p = problem.model, problem.theta

        def given(initial: Mapping[str, ca.SX], values: Mapping[str, ca.SX]) -> ca.Function:
            columns = [initial[n] for n in model.states], [values[n] for n in model.constants]
            return ca.Function("given", [p], [_column(column) for column in columns])

        self.given = given(condition.initial, condition.values)
        self.rest_given = given(condition.resting, condition.rest_values)
        self.kept = np.array([n in condition.kept for n in model.states])
        channels = tuple(dict.fromkeys(m.channel for m in condition.measurements))
        self.column = np.array([channels.index(m.channel) for m in condition.measurements])
        if channels not in outputs:
            pairs = [problem.formulas[c] for c in channels]
            outputs[channels] = system.function([h for h, _ in pairs], [s for _, s in pairs], p=p)
        self.outputs = outputs[channels]
        self.times = np.array([m.time for m in condition.measurements])
        if np.isinf(self.times).any() and model.events:
            raise InputError(
                f"condition {condition.name!r} has measurements at infinity beside event "
                f"{model.events[0].id!r}, which is not supported; leave out one of them."
            )

    def predicted(self, p: Array, rested: dict[str, Array]) -> tuple[Array, Array, bool]:
        """Predictions and noise of the measurements, and whether the simulation reached the last."""
        x0, c = _numbers(self.given, p)
        before = self.condition.before
        if before:
            if before not in rested:
                start, constants = _numbers(self.rest_given, p)
                rested[before] = Rest(self.system, constants, 0.0).state(start)[0]
            x0 = np.where(self.kept, rested[before], x0)
        if not np.isfinite(x0).all():
            nothing = np.full(len(self.times), np.nan)
            return nothing, nothing, False
        grid = np.unique(np.append(0.0, self.times))
        finite = grid[np.isfinite(grid)]
        trajectory = Trajectory(self.system, c, self.rtol)
        if len(finite) < len(grid):  # a rest comes after the last switch
            jumps = trajectory.jumps
            finite = np.unique([*finite, *jumps[(jumps > 0.0) & (jumps < LONGEST)]])
        states, complete = trajectory.states(x0, finite)
        if len(finite) < len(grid):
            rest, _ = Rest(self.system, c, FOREVER).state(states[-1])
            states, finite = np.vstack([states, rest]), np.append(finite, np.inf)
            complete = complete and bool(np.isfinite(rest).all())
        at = np.searchsorted(finite, self.times)
        h, s = self.outputs(
            np.minimum(self.times, FOREVER)[None, :],
            states[at].T,
            *(np.repeat(v[:, None], len(at), axis=1) for v in (c, p)),
        )
        pick = self.column, np.arange(len(at))
        return h.full()[pick], s.full()[pick], complete

    def time_to_rest(self, p: Array) -> float:
        """How long the run takes to its steady state from its start; infinite if nobody knows."""
        if not np.isfinite(p).all():
            return math.inf
        x0, c = _numbers(self.given, p)
        return Rest(self.system, c, FOREVER).state(x0)[1]


def _column(values: Sequence[ca.SX]) -> ca.SX:
    return ca.densify(ca.vertcat(ca.SX(0, 1), *values))


def _numbers(function: ca.Function, p: Array) -> tuple[Array, Array]:
    start, constants = (part.full().ravel() for part in function(p))
    return start, constants
