"""Single shooting: diffrax with optax Adam, the usual way a neural ODE is trained.

Loss: mean squared error at the sample times plus ``regularisation * |theta|^2``; the gradient comes
from diffrax's default adjoint (discretise, then differentiate).  The horizon grows with training,
the learning rate follows a warm-up and a cosine within each phase; a phase is one compiled loop
over its steps, so no step pays for a call from Python.

Settings: the best of those listed in the README within about 20 s on two cores.
"""

from __future__ import annotations

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from .common import STATES, Data, PeerResult, Stopwatch, glorot, network, unpack

jax.config.update("jax_enable_x64", True)
jax.devices()  # starting the backend is part of the import, not of the build


def loss(unknowns, horizon, t, y, regularisation, rtol, max_steps):
    """Mean squared error up to ``horizon``; later samples are held at its end and weigh zero."""
    y0, theta = unknowns

    def field(time, state, theta):
        w1, b1, w2, b2 = unpack(theta)
        return w2 @ jnp.tanh(w1 @ state + b1) + b2

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
        max_steps=max_steps,
        throw=False,
    )
    seen = (t <= horizon)[:, None] & jnp.isfinite(solution.ys)
    error = jnp.where(seen, solution.ys - y, 0.0)
    return jnp.sum(error**2) / seen.sum() + regularisation * jnp.sum(theta**2)


def compiled(data, rate, regularisation, rtol, max_steps):
    """One phase, ``(unknowns, horizon, steps) -> (unknowns, last loss)``, compiled."""
    t, y = jnp.asarray(data.t), jnp.asarray(data.y)
    direction = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam())

    def learning_rate(done):
        """Linear over the first tenth of the phase, then a cosine down to 2 %."""
        cosine = 0.5 * (1.0 + jnp.cos(jnp.pi * (done - 0.1) / 0.9))
        return rate * jnp.where(done < 0.1, done / 0.1, 0.02 + 0.98 * cosine)

    def phase(unknowns, horizon, steps):
        def step(count, carry):
            unknowns, state, _ = carry
            value, gradient = jax.value_and_grad(loss)(
                unknowns, horizon, t, y, regularisation, rtol, max_steps
            )
            updates, state = direction.update(gradient, state)
            down = -learning_rate(count / steps)
            updates = jax.tree.map(lambda u: down * u, updates)
            return optax.apply_updates(unknowns, updates), state, value

        start = (unknowns, direction.init(unknowns), jnp.asarray(0.0))
        unknowns, _, value = jax.lax.fori_loop(0, steps, step, start)
        return unknowns, value

    example = (jnp.zeros(STATES), jnp.asarray(glorot(0)))
    return jax.jit(phase).lower(example, 1.0, 1).compile()


def run(
    data: Data,
    seed: int = 0,
    *,
    regularisation: float = 1e-5,
    horizons: tuple[float, ...] = (0.4, 1.0),
    steps: tuple[int, ...] = (4000, 14000),
    rate: float = 5e-3,
    rtol: float = 1e-3,
    max_steps: int = 128,
    build_only: bool = False,
) -> PeerResult:
    """Compile one phase, run ``steps[i]`` steps at ``horizons[i]`` of the record."""
    name = "diffrax + Adam"
    watch = Stopwatch()
    phase = compiled(data, rate, regularisation, rtol, max_steps)
    build = watch.split()
    if build_only:
        return PeerResult(name, build, np.nan, None, None, "build only")
    unknowns = (jnp.asarray(data.y[0]), jnp.asarray(glorot(seed)))
    for share, count in zip(horizons, steps, strict=True):
        horizon = jnp.asarray(data.t[0] + share * (data.t[-1] - data.t[0]))
        unknowns, value = phase(unknowns, horizon, jnp.asarray(count))
    y0, theta = (np.asarray(part) for part in unknowns)
    solve = watch.split()
    detail = f"{sum(steps)} steps, loss {float(value):.2e}"
    return PeerResult(name, build, solve, network(theta), y0, detail)
