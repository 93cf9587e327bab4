r"""Inputs as they were decided, inside an exported model: piecewise polynomials of time.

A held, linear, spline or polynomial signal is in every piece
:math:`u(t)=\sum_jc_{kj}s^{d-j},\ s=(t-t_k)/(t_{k+1}-t_k)`, and constant before its first and after its last
piece; a model that brings them along simulates as it stands.
"""

from __future__ import annotations

import casadi as ca
import numpy as np
import scipy

from ..checks import check_type
from ..errors import InputError
from ..numerics import Array
from ..numerics.signals import Signal
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


def planned_functions(solution: Solution, experiment: int | str = 0) -> dict[str, ca.Function]:
    """Return a window's inputs and what they do, with all that was decided put in.

    Parameters
    ----------
    solution : whose model and inputs.
    experiment : number or name.

    Returns
    -------
    ``inputs`` (t) -> u and ``planned`` (t, x) -> dx; with algebraic variables (t, x, z) -> (dx, g).

    Raises
    ------
    InputError
        A model without inputs, or as `powers`.
    """
    check_type("planned_functions", solution, Solution)
    part = solution.trajectories[solution.index(experiment)]
    model = solution.model.with_parameters(part.parameters)
    if not model.inputs:
        raise InputError(f"{solution.name!r} has no inputs; export its right-hand side.")
    t, x = ca.SX.sym("t"), ca.SX.sym("x", len(model.states))
    u = ca.vertcat(*(_at(t, *powers(part.experiment.inputs[n], n)) for n in model.inputs))
    rhs = model.trained_function()
    inputs = ca.Function("inputs", [t], [u], ["t"], ["u"])
    if not model.algebraics:
        return {"inputs": inputs, "planned": ca.Function("planned", [t, x], [rhs(t, x, u)])}
    z = ca.SX.sym("z", len(model.algebraics))
    return {"inputs": inputs, "planned": ca.Function("planned", [t, x, z], rhs(t, x, u, z))}


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
