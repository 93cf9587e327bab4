"""Single shooting: diffrax, forward-mode Jacobian, SciPy's ``least_squares``.

Unknowns are the initial state and the weights; residuals are the errors at the sample times and
``sqrt(regularisation) * theta``.  The trajectory over the whole record is hopeless from random
weights, so the horizon grows: 20 %, 50 %, 100 % of the record, each fit starting from the last.
One compiled function gives residuals and Jacobian for every horizon (later samples are held at
the horizon's end and weigh zero), so that XLA compiles once.

Settings: tuned for total time at this data (README lists what was tried).
"""

from __future__ import annotations

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares

from .common import STATES, WEIGHTS, Data, PeerResult, Stopwatch, glorot, network, unpack

jax.config.update("jax_enable_x64", True)
jax.devices()  # starting the backend is part of the import, not of the build


def residuals(unknowns, horizon, t, y, root, rtol):
    """Errors up to ``horizon`` over the root of their number, then the regularisation."""

    def field(time, state, theta):
        w1, b1, w2, b2 = unpack(theta)
        return w2 @ jnp.tanh(w1 @ state + b1) + b2

    y0, theta = unknowns[:STATES], unknowns[STATES:]
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Tsit5(),
        t0=t[0],
        t1=horizon,
        dt0=t[1] - t[0],
        y0=y0,
        args=theta,
        saveat=diffrax.SaveAt(ts=jnp.minimum(t, horizon)),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol),
        adjoint=diffrax.ForwardMode(),
        max_steps=None,
    )
    seen = t <= horizon
    errors = jnp.where(seen[:, None], solution.ys - y, 0.0) / jnp.sqrt(STATES * seen.sum())
    return jnp.concatenate([errors.ravel(), root * theta])


def compiled(data: Data, regularisation: float, rtol: float):
    """``(unknowns, horizon) -> (Jacobian, residuals)``, compiled."""
    t, y, root = jnp.asarray(data.t), jnp.asarray(data.y), np.sqrt(regularisation)

    def twice(unknowns, horizon):
        value = residuals(unknowns, horizon, t, y, root, rtol)
        return value, value

    function = jax.jit(jax.jacfwd(twice, has_aux=True))
    return function.lower(jnp.zeros(STATES + WEIGHTS), 1.0).compile()


def run(
    data: Data,
    seed: int = 0,
    *,
    regularisation: float = 1e-5,
    horizons: tuple[float, ...] = (0.2, 0.5, 1.0),
    rtol: float = 1e-4,
    method: str = "trf",
    ftol: float = 1e-3,
    evaluations: tuple[int, ...] = (10, 10, 100),
    build_only: bool = False,
) -> PeerResult:
    """Compile, then fit over growing horizons."""
    name = "diffrax + least squares"
    watch = Stopwatch()
    both = compiled(data, regularisation, rtol)
    build = watch.split()
    if build_only:
        return PeerResult(name, build, np.nan, None, None, "build only")

    unknowns = np.concatenate([data.y[0], glorot(seed)])
    counts = []
    for share, limit in zip(horizons, evaluations, strict=True):
        horizon = jnp.asarray(data.t[0] + share * (data.t[-1] - data.t[0]))
        last = {}

        def evaluate(x, horizon=horizon, last=last):
            if last.get("x") is None or not np.array_equal(x, last["x"]):
                jacobian, value = both(jnp.asarray(x), horizon)
                last.update(x=x.copy(), value=np.asarray(value), jacobian=np.asarray(jacobian))
            return last

        found = least_squares(
            lambda x, go=evaluate: go(x)["value"],
            unknowns,
            jac=lambda x, go=evaluate: go(x)["jacobian"],
            method=method,
            ftol=ftol,
            xtol=1e-8,
            gtol=1e-8,
            max_nfev=limit,
        )
        unknowns = found.x
        counts.append(found.nfev)
    solve = watch.split()
    detail = f"{'+'.join(map(str, counts))} evaluations, {found.message}"
    return PeerResult(name, build, solve, network(unknowns[STATES:]), unknowns[:STATES], detail)
