r"""Algebraic variables of a trained model: consistent values by Newton's method, and simulation by IDAS.

Consistent values solve :math:`g(t,x,z,u,p)=0` for `z` at many points at once.  Steps are halved until
the next one would be shorter (the natural monotonicity test: Deuflhard, *Newton Methods for Nonlinear
Problems*, 2004, section 3.3), which no scaling of the equations changes.

IDAS (Hindmarsh and others, ACM TOMS 31, 2005) comes with CasADi's wheel.  It integrates states and
algebraic variables together by backward differentiation and knows nothing of the collocation; it
restarts where inputs jump.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import casadi as ca
import numpy as np

from ..numerics import Array, Mask
from ..numerics.signals import Signal

_STEPS, _HALVINGS, _ACCURACY = 60, 12, 1e-12
_MOST_ENTRIES = 2_000_000  # of the matrices of one batch
_MOST_STEPS = 100_000


def with_slope(residuals: ca.Function, count: int) -> ca.Function:
    """Return (t, x, u, p, theta) -> g and its derivative by the last ``count`` entries of u."""
    arguments = [ca.SX.sym(residuals.name_in(i), residuals.size1_in(i)) for i in range(5)]
    g, z = residuals(*arguments), arguments[2][-count:]
    slope = ca.densify(ca.jacobian(g, z))
    return ca.Function("g", arguments, [ca.densify(g), ca.vec(slope)])


def consistent(
    function: ca.Function, t: Array, x: Array, u: Array, p: Array, theta: Array, guess: Array
) -> tuple[Array, Mask]:
    """Solve for the algebraic variables at every point.

    Parameters
    ----------
    function : from `with_slope`.
    t, x, u, guess : (N,), (N, states), (N, inputs), (N, algebraic variables).
    p, theta : parameters and weights, the same everywhere.

    Returns
    -------
    (N, algebraic variables) values, and (N,) where they were found; elsewhere the guess.
    """
    z, good = np.array(guess, dtype=float), np.zeros(len(guess), dtype=bool)
    batch = max(1, _MOST_ENTRIES // z.shape[1] ** 2)
    with np.errstate(all="ignore"):
        for first in range(0, len(z), batch):
            at = slice(first, first + batch)

            def equations(v: Array, at: slice = at) -> tuple[Array, Array]:
                given = (t[None, at], x[at].T, np.hstack([u[at], v]).T)
                g, slope = function(*given, p, theta)
                n = v.shape[1]
                # CasADi writes columns
                matrix = np.asarray(slope, dtype=float).T.reshape(len(v), n, n).swapaxes(1, 2)
                return np.asarray(g, dtype=float).T, matrix

            z[at], good[at] = _newton(equations, z[at])
    z[~good] = guess[~good]
    return z, good


def _newton(equations: object, z: Array) -> tuple[Array, Mask]:
    assert callable(equations)
    done = np.zeros(len(z), dtype=bool)
    for _ in range(_STEPS):
        g, matrix = equations(z)
        step = _solved(matrix, g)
        size = np.abs(step) / (1e-8 + np.abs(z))
        length = size.max(axis=1)
        done |= length <= _ACCURACY
        if done.all() or not np.isfinite(length[~done]).any():
            break
        share, open_ = np.ones(len(z)), ~done & np.isfinite(length)
        for _ in range(_HALVINGS):
            trial = z - np.where(open_, share, 0.0)[:, None] * step
            after = np.abs(_solved(matrix, equations(trial)[0])) / (1e-8 + np.abs(z))
            worse = open_ & ~(after.max(axis=1) <= (1.0 - 0.25 * share) * length)
            if not worse.any():
                break
            share[worse] *= 0.5
        z = z - np.where(open_, share, 0.0)[:, None] * step
        # rounding keeps a step from getting shorter once it is short enough
        done |= open_ & (share == 1.0) & (length <= 1e-3 * np.sqrt(_ACCURACY))
        done |= worse & (length <= 1e-9)
    return z, done & np.isfinite(z).all(axis=1)


def _solved(matrix: Array, g: Array) -> Array:
    """(N, n) solutions; NaN where a matrix is singular or not finite."""
    found = np.full(g.shape, np.nan)
    fine = np.isfinite(matrix).all(axis=(1, 2)) & np.isfinite(g).all(axis=1)
    try:
        found[fine] = np.linalg.solve(matrix[fine], g[fine, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        for k in np.flatnonzero(fine):
            try:
                found[k] = np.linalg.solve(matrix[k], g[k])
            except np.linalg.LinAlgError:
                continue
    return found


class _Inputs(ca.Callback):
    """u(t) of signals that vary between two jumps, for IDAS, which looks beyond the second one."""

    def __init__(self, signals: Sequence[Signal], begin: float, end: float) -> None:
        ca.Callback.__init__(self)
        self._signals, self._begin, self._end = signals, begin, end
        self.construct("inputs", {})

    def get_n_in(self) -> int:
        return 1

    def get_n_out(self) -> int:
        return 1

    def get_sparsity_out(self, _: int) -> ca.Sparsity:
        return ca.Sparsity.dense(len(self._signals), 1)

    def eval(self, arguments: Sequence[ca.DM]) -> list[ca.DM]:
        t = min(max(float(arguments[0]), self._begin), self._end)
        left = 2.0 * t > self._begin + self._end
        return [ca.DM([float(signal(t, left)[0]) for signal in self._signals])]


def integrate_segment(
    rhs: ca.Function,
    residuals: ca.Function,
    fixed: tuple[Array, Array],
    signals: Sequence[Signal],
    start: tuple[float, Array, Array],
    times: Array,
    rtol: float,
    atol: float,
) -> tuple[Array, Array, int]:
    """Integrate between two jumps.

    Parameters
    ----------
    rhs, residuals : functions of (t, x, u, p, theta), u with algebraic variables behind the inputs.
    fixed : p and theta.
    signals : continuous between the jumps.
    start : time, states and consistent algebraic variables.
    times : (N,) increasing, behind the start; where to report.

    Returns
    -------
    (reached, states), (reached, algebraic variables) and the number of evaluations.
    """
    begin, x0, z0 = start
    t, x, z = ca.MX.sym("t"), ca.MX.sym("x", len(x0)), ca.MX.sym("z", len(z0))
    middle = 0.5 * (begin + times[-1])
    held = all(s.kind == "zoh" for s in signals)
    inputs = (
        None if held else _Inputs(signals, begin, float(times[-1]))
    )  # kept: CasADi holds no reference
    u = ca.DM([float(s(middle)[0]) for s in signals]) if inputs is None else inputs(t)
    p, theta = (ca.DM(v.tolist()) for v in fixed)
    known = (t, x, ca.vertcat(u, z), p, theta)
    equations = ca.Function("dae", [t, x, z], [rhs(*known), residuals(*known)])
    ode, alg = equations(t, x, z)
    options = {
        "reltol": rtol,
        "abstol": atol,
        "max_num_steps": _MOST_STEPS,
        "calc_ic": False,
        "init_xdot": np.asarray(equations(begin, x0, z0)[0], dtype=float).ravel().tolist(),
        "show_eval_warnings": False,
    }
    dae = {"t": t, "x": x, "z": z, "ode": ode, "alg": alg}
    integrator = ca.integrator("idas", "idas", dae, begin, times.tolist(), options)
    with contextlib.redirect_stderr(io.StringIO()):  # what broke down is in the result
        try:
            found = integrator(x0=x0, z0=z0)
        except RuntimeError:
            return _stepped(equations, start, times, options)
    xs, zs = (np.asarray(found[name], dtype=float).T for name in ("xf", "zf"))
    return xs, zs, int(integrator.stats()["nsteps"])


def _stepped(
    equations: ca.Function, start: tuple[float, Array, Array], times: Array, options: dict[str, Any]
) -> tuple[Array, Array, int]:
    """Integrate from one time of report to the next, as far as that goes."""
    begin, x0, z0 = start
    t0, step, s = ca.MX.sym("t0"), ca.MX.sym("h"), ca.MX.sym("s")
    x, z = ca.MX.sym("x", len(x0)), ca.MX.sym("z", len(z0))
    ode, alg = equations(t0 + step * s, x, z)
    dae = {"t": s, "x": x, "z": z, "p": ca.vertcat(t0, step), "ode": step * ode, "alg": alg}
    given = {**options, "init_xdot": [0.0] * len(x0), "calc_ic": True}
    integrator = ca.integrator("idas", "idas", dae, 0.0, [1.0], given)
    xs, zs, count, now = [np.empty((0, len(x0)))], [np.empty((0, len(z0)))], 0, begin
    for time in times.tolist():
        try:
            found = integrator(x0=x0, z0=z0, p=[now, time - now])
        except RuntimeError:
            break
        x0, z0 = (np.asarray(found[name], dtype=float).ravel() for name in ("xf", "zf"))
        xs.append(x0[None])
        zs.append(z0[None])
        count, now = count + int(integrator.stats()["nsteps"]), time
    return np.vstack(xs), np.vstack(zs), count
