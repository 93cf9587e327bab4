r"""Inputs as they were decided, inside an exported model: piecewise polynomials of time.

A held, linear, spline or polynomial signal is in every piece
:math:`u(t)=\sum_jc_{kj}s^{d-j},\ s=(t-t_k)/(t_{k+1}-t_k)`, and constant before its first and after its last
piece; a model that brings them along simulates as it stands.  Of windows that follow each other the inputs
take turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import casadi as ca
import numpy as np
import scipy

from ..errors import InputError
from ..kinds import check_type
from ..numerics import Array
from ..numerics.signals import Signal
from ..results.fitted import Trajectory
from ..results.model import TrainedModel
from ..results.solution import Solution

_MOST = 9  # degree; powers of a higher one lose digits


def powers(signal: Signal, name: str = "input") -> tuple[Array, Array]:
    """Return (K+1,) points and (K, d+1) coefficients of a signal's pieces, the highest power first.

    Raises
    ------
    InputError
        Polynomials of a degree above 9.
    """
    times, values = signal.times, signal.values
    if signal.kind == "zoh" or len(times) == 1:
        last = times[-1] + max(1.0, abs(times[-1]))  # held for ever
        return np.append(times, last), values[:, None]
    if signal.kind == "spline" and len(times) >= 3:
        spline = scipy.interpolate.CubicSpline(times, values)
        widths = np.diff(times)
        return times, np.asarray(spline.c * widths ** np.arange(3, -1, -1)[:, None], dtype=float).T
    if signal.kind != "polynomial":
        return times, np.column_stack([np.diff(values), values[:-1]])
    assert signal.points is not None
    pieces = len(signal.points) - 1
    table = values.reshape(pieces, -1)
    if table.shape[1] > _MOST + 1:
        raise InputError(
            f"{name!r} is a polynomial of degree {table.shape[1] - 1} in every element, more than powers "
            f"can say ({_MOST}); take more elements of fewer stages."
        )
    first = times[: table.shape[1]] - signal.points[0]
    nodes = np.clip(first / (signal.points[1] - signal.points[0]), 0.0, 1.0)
    return signal.points, np.asarray(np.linalg.solve(np.vander(nodes), table.T), dtype=float).T


def followed(solution: Solution, experiment: int | str | None = None) -> tuple[Trajectory, ...]:
    """Return the windows that an exported plan holds: the one that is named, or all, one after the other.

    Beside experiments with data those that decide are meant.

    Raises
    ------
    InputError
        Several that are not one after the other in time.
    """
    if experiment is not None:
        return (solution.trajectories[solution.index(experiment)],)
    deciding = tuple(p for p in solution.trajectories if p.controls or not p.experiment.measures)
    parts = deciding or solution.trajectories
    for before, after in pairwise(parts):
        if before.mesh.end > after.mesh.start + 1e-9 * (after.mesh.end - before.mesh.start):
            first, second = before.experiment.name, after.experiment.name
            raise InputError(
                f"{first!r} and {second!r} are not one after the other in time, so no export holds both; "
                f"choose one by experiment={first!r} (--window on the command line)."
            )
    return parts


def bounds_of(parts: Sequence[Trajectory]) -> Array:
    """(K+1,) where windows that follow each other begin, and where the last one ends."""
    return np.array([*(part.mesh.start for part in parts), parts[-1].mesh.end])


def profile(model: TrainedModel, parts: Sequence[Trajectory], name: str) -> tuple[Array, Array]:
    """Return `powers` of an input as it arrives, over windows that follow each other."""
    signals = [model.acting(part.experiment.inputs)[name] for part in parts]
    return joined(signals, bounds_of(parts), name)


def joined(signals: Sequence[Signal], ends: Array, name: str) -> tuple[Array, Array]:
    """Return `powers` of signals that take turns at the inner ``ends``."""
    if len(signals) == 1:
        return powers(signals[0], name)
    found: list[Array] = []
    points = [float(ends[0])]
    for signal, (start, end) in zip(signals, pairwise(ends.tolist()), strict=True):
        own, table = powers(signal, name)
        inner = own[(own > start) & (own < end)]
        for a, b in pairwise([start, *inner.tolist(), end]):
            middle = 0.5 * (a + b)
            k = int(np.clip(np.searchsorted(own, middle, side="right") - 1, 0, len(table) - 1))
            width = own[k + 1] - own[k]
            piece = np.poly1d(table[k])
            if own[0] <= middle <= own[-1]:  # s = s_a + (s_b - s_a) r, r from 0 to 1 in [a, b]
                moved = piece(np.poly1d([(b - a) / width, (a - own[k]) / width]))
            else:
                moved = np.poly1d([piece(0.0 if middle < own[0] else 1.0)])
            found.append(np.atleast_1d(moved.coeffs))
            points.append(b)
    most = max(len(c) for c in found)
    return np.array(points), np.array([np.append(np.zeros(most - len(c)), c) for c in found])


def planned_functions(
    solution: Solution, experiment: int | str | None = None
) -> dict[str, ca.Function]:
    """Return inputs over time and what they do, with all that was decided put in.

    Parameters
    ----------
    solution : whose model and inputs.
    experiment : number or name of a window; by default all, which then have to be one after the other.

    Returns
    -------
    ``inputs`` (t) -> u, as they arrive, and ``planned`` (t, x) -> dx; with algebraic variables
    (t, x, z) -> (dx, g).  Of several windows both change over where the next begins, and ``windows``
    () -> (t, x) has the (K,) times at which they do and the (states, K) states that they begin with, which
    a `Link` may have made jump.

    Raises
    ------
    InputError
        A model without inputs, windows that are not one after the other, or as `powers`.
    """
    check_type("planned_functions", solution, Solution)
    parts = followed(solution, experiment)
    model = solution.model.with_parameters(parts[0].parameters)
    if not model.inputs:
        raise InputError(f"{solution.name!r} has no inputs; export its right-hand side.")
    model.refuse_lags("a function of the present state")
    t, x = ca.SX.sym("t"), ca.SX.sym("x", len(model.states))
    u = ca.vertcat(*(_at(t, *profile(model, parts, n)) for n in model.inputs))
    found = {"inputs": ca.Function("inputs", [t], [u], ["t"], ["u"])}
    p = ca.DM(model.parameters.tolist())
    ends = bounds_of(parts)
    if len(parts) > 1:
        tables = np.array([part.parameters for part in parts]).T
        inner = ca.DM(ends[1:-1].tolist())
        p = ca.vertcat(*(ca.pw_const(t, inner, ca.DM(row.tolist())) for row in tables))
        begun = np.array([part.states[0] for part in parts]).T
        values = [ca.DM(ends[:-1].tolist()), ca.DM(begun.tolist())]
        found["windows"] = ca.Function("windows", [], values, [], ["t", "x"])
    z = ca.SX.sym("z", len(model.algebraics))
    known = (t, x, ca.vertcat(u, z), p, model.theta)
    results = [model.function(*known)] + ([model.residuals(*known)] if model.algebraics else [])
    given = [t, x, z] if model.algebraics else [t, x]
    return {**found, "planned": ca.Function("planned", given, results)}


def _at(t: ca.SX, points: Array, coefficients: Array) -> ca.SX:
    """The piecewise polynomial as an expression."""
    inside = ca.fmin(ca.fmax(t, points[0]), points[-1])

    def chosen(values: Array) -> ca.SX:
        if len(values) == 1:
            return ca.SX(float(values[0]))
        return ca.pw_const(inside, ca.DM(points[1:-1].tolist()), ca.DM(values.tolist()))

    s = (inside - chosen(points[:-1])) / chosen(np.diff(points))
    value = ca.SX(0.0)
    for column in coefficients.T:
        value = value * s + chosen(column)
    return value
