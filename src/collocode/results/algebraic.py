r"""Algebraic variables of a trained model: consistent values by Newton's method, and simulation by IDAS.

Consistent values solve :math:`g(t,x,z,u,p)=0` for `z` at many points at once.  Steps are halved until
the next one would be shorter (the natural monotonicity test: Deuflhard, *Newton Methods for Nonlinear
Problems*, 2004, section 3.3), which no scaling of the equations changes.

IDAS (Hindmarsh and others, ACM TOMS 31, 2005) comes with CasADi's wheel.  It integrates states and
algebraic variables together by backward differentiation and knows nothing of the collocation; it
restarts where inputs jump or bend.  CVODES, its sister for ordinary differential equations, is for windows
whose inputs jump at every element: neither is built more than once for elements that are alike.
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
_APART = 1e-8  # of a segment, its length being one: what is to report nearer CasADi does not integrate up to


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


def _restarts(begin: float, times: Array) -> list[int]:
    """Where a segment is left off, lest its least step is too short for its length; times over decades, mostly."""
    found, first, least = [], begin, np.inf
    for k, (before, time) in enumerate(zip([begin, *times[:-1]], times, strict=True)):
        if min(least, time - before) < _APART * (time - first):
            found.append(k)
            first, least = before, np.inf
        least = min(least, time - before)
    return found


class Segments:
    """IDAS, or CVODES, from point to point of the inputs, which are polynomials of time between them.

    Ends of a segment, its inputs' coefficients and the starts are parameters and the time is scaled to
    [0, 1], so that one integrator does for all segments which report at the same places.

    Parameters
    ----------
    rhs, residuals : functions of (t, x, u, p, theta), u with algebraic variables behind the inputs; CVODES
        integrates a model without any, whose ``residuals`` are None.
    fixed : p and theta; of CVODES they may be exchanged between two runs.
    signals : the inputs.
    rtol, atol : tolerances.
    most_steps : between two times to report.
    """

    def __init__(
        self,
        rhs: ca.Function,
        residuals: ca.Function | None,
        fixed: tuple[Array, Array],
        signals: Sequence[Signal],
        rtol: float,
        atol: float,
        most_steps: int = _MOST_STEPS,
    ) -> None:
        self._rhs, self._residuals = rhs, residuals
        self.fixed, self._signals = fixed, signals
        self._options: dict[str, Any] = {
            "reltol": rtol,
            "abstol": atol,
            "max_num_steps": most_steps,
            "expand": True,
            "show_eval_warnings": False,
        }
        degree = max((signal.degree for signal in signals), default=0)
        # inside the segment, lest a value is taken from beyond a jump
        self._nodes = 0.5 - 0.5 * np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
        self._to_series = np.linalg.inv(
            np.polynomial.chebyshev.chebvander(2.0 * self._nodes - 1.0, degree)
        )
        self._integrators: dict[tuple[Any, ...], ca.Function] = {}
        self._buffered: dict[tuple[Any, ...], _Buffered] = {}
        self._parts: dict[tuple[float, bytes], list[Array]] = {}
        self._known: dict[tuple[float, bytes], tuple[tuple[float, ...], Array]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_buffered": {}}  # memory does not travel; it is made again

    def _equations(self, sizes: tuple[int, int]) -> dict[str, ca.MX]:
        s, begin, length = (ca.MX.sym(name) for name in ("s", "begin", "length"))
        x, z = ca.MX.sym("x", sizes[0]), ca.MX.sym("z", sizes[1])
        basis = [ca.MX(1.0), 2.0 * s - 1.0]  # Chebyshev's polynomials
        for _ in range(2, len(self._nodes)):
            basis.append(2.0 * basis[1] * basis[-1] - basis[-2])
        series = ca.vertcat(*basis[: len(self._nodes)])
        table = ca.MX.sym("u", len(self._signals), len(self._nodes))
        u = ca.vertcat(ca.mtimes(table, series), z) if self._signals else z
        p, theta = (ca.MX.sym(n, len(v)) for n, v in zip(("p", "theta"), self.fixed, strict=True))
        known = begin + length * s, x, u, p, theta
        dae = {"t": s, "x": x, "p": ca.vertcat(begin, length, ca.vec(table), p, theta)}
        dae["ode"] = length * self._rhs(*known)
        if self._residuals is not None:
            dae |= {"z": z, "alg": self._residuals(*known)}
        return dae

    def _integrator(self, start: tuple[Any, ...], places: list[float], way: str) -> ca.Function:
        """Return an integrator; its first slopes are found by IDAS, or known where it is a segment's own."""
        begin, x0, z0, p = start
        key = (way, *places, *([begin] if way == "own" else []))
        if key not in self._integrators:
            dae, options = self._equations((len(x0), len(z0))), dict(self._options)
            if self._residuals is not None:
                slopes = [0.0] * len(x0)
                if way == "own":
                    rates = ca.Function("f", [dae[k] for k in "txzp"], [dae["ode"]])
                    slopes = np.asarray(rates(0.0, x0, z0, p), dtype=float).ravel().tolist()
                options |= {"calc_ic": way != "own", "init_xdot": slopes}
                options["suppress_algebraic"] = way == "untested"
            plugin = "cvodes" if self._residuals is None else "idas"
            made = ca.integrator("integrator", plugin, dae, 0.0, places, options)
            self._integrators[key] = made
        return self._integrators[key]

    def integrate(
        self, start: tuple[float, Array, Array], times: Array
    ) -> tuple[Array, Array, int]:
        """Integrate to the last of some times, before which no input jumps or bends.

        Parameters
        ----------
        start : time, states and consistent algebraic variables.
        times : (N,) increasing, behind the start; where to report.

        Returns
        -------
        (reached, states), (reached, algebraic variables) and the number of steps.
        """
        key = start[0], times.tobytes()
        if key not in self._parts:
            self._parts[key] = np.split(times, _restarts(start[0], times))
        parts = self._parts[key]
        if len(parts) == 1:
            return self._integrate(start, times)
        xs, zs, count = np.empty((0, len(start[1]))), np.empty((0, len(start[2]))), 0
        for part in parts:
            x, z, steps = self._integrate(start, part)
            xs, zs, count = np.vstack([xs, x]), np.vstack([zs, z]), count + steps
            if len(x) < len(part):
                break
            start = float(part[-1]), x[-1], z[-1]
        return xs, zs, count

    def _integrate(
        self, start: tuple[float, Array, Array], times: Array
    ) -> tuple[Array, Array, int]:
        """Integrate to some times, none of them too near another for the length of all."""
        ways = ["shared"] if self._residuals is None else ["shared", "own"]
        for way in ways if self._signals or self._residuals is None else ["own"]:
            with contextlib.suppress(RuntimeError):
                return self._run(start, times, way)
        # what broke down is in the result: how far does it come?  A first step knows no slopes of algebraic
        # variables; of one that begins at zero it has to be as exact as the absolute tolerance, untested
        now, xs, zs, count = start, [], [], 0
        for time in times:
            try:
                x, z, steps = self._run(now, np.array([time]), "untested")
            except RuntimeError:
                break
            now, count = (float(time), x[0], z[0]), count + steps
            xs.append(x)
            zs.append(z)
        ends = zip((xs, zs), start[1:], strict=True)
        found = [np.vstack([np.empty((0, len(end))), *rows]) for rows, end in ends]
        return found[0], found[1], count

    def _run(
        self, start: tuple[float, Array, Array], times: Array, way: str
    ) -> tuple[Array, Array, int]:
        begin, x0, z0 = start
        places, known = self._piece(begin, times)
        if self._residuals is None:
            run = self._buffered.get((way, places))
            if run is None:
                integrator = self._integrator((*start, known), list(places), way)
                run = self._buffered[way, places] = _Buffered(integrator, len(places), len(x0))
            return run(x0, (known, *self.fixed))
        p = np.concatenate([known, *self.fixed])
        integrator = self._integrator((*start, p), list(places), way)
        with contextlib.redirect_stderr(io.StringIO()):
            found = integrator(x0=x0, z0=z0, p=p)
        xs, zs = (np.asarray(found[name], dtype=float).T for name in ("xf", "zf"))
        return xs, zs, int(integrator.stats()["nsteps"])

    def _piece(self, begin: float, times: Array) -> tuple[tuple[float, ...], Array]:
        """Return where in [0, 1] to report, and what does not change of the parameters: ends and inputs' coefficients."""
        key = begin, times.tobytes()
        if key not in self._known:
            length = float(times[-1]) - begin
            places = np.append((times[:-1] - begin) / length, 1.0)
            if (
                np.diff(places, prepend=0.0).min() > 1e-6
            ):  # those of another element are about the same
                places = np.round(places, 12)
            nodes = begin + length * self._nodes
            values = np.array([signal(nodes) for signal in self._signals])
            table = values @ self._to_series.T if len(values) else values
            known = np.concatenate([[begin, length], table.T.ravel()])
            self._known[key] = tuple(places.tolist()), known
        return self._known[key]


class _Buffered:
    """CVODES on memory of its own: a call of CasADi's converts for longer than it integrates a short piece.

    Parameters
    ----------
    integrator : of some parameters.
    places : how many it reports at.
    states : how many there are.
    """

    def __init__(self, integrator: ca.Function, places: int, states: int) -> None:
        self._x0, self._p = np.zeros(states), np.zeros(integrator.size1_in("p"))
        self._xf = np.zeros(
            (places, states)
        )  # CasADi writes columns, which are states at one place
        self._buffer, self._evaluate = integrator.buffer()
        for name, array in (("x0", self._x0), ("p", self._p)):
            self._buffer.set_arg(integrator.index_in(name), array.data)
        self._buffer.set_res(integrator.index_out("xf"), self._xf.ravel().data)

    def __call__(self, x0: Array, p: Sequence[Array]) -> tuple[Array, Array, int]:
        """Return (places, states), no algebraic variables and the number of steps; a breakdown is a RuntimeError."""
        self._x0[:] = x0
        np.concatenate(p, out=self._p)
        with contextlib.redirect_stderr(io.StringIO()):
            self._evaluate()
        steps = int(self._buffer.stats()["nsteps"])
        return self._xf.copy(), np.empty((len(self._xf), 0)), steps
