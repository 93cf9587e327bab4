"""The differential equation of a layered network in JAX, and diffrax's solves of it.

Beside Adam's and the Equinox blocks the only file of the layered package that touches JAX.  Everything is in double precision
inside, whatever the caller's JAX is set to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import casadi as ca
import numpy as np

from ..checks import installed
from ..model.activations import jax_operations
from ..model.varying import basis_symbols
from ..numerics import Array
from ..transcription.tape import Tape, jax_tape_operations
from .network import LayeredNetwork
from .stable_blocks import AntisymmetricBlock, HamiltonianBlock, LeapfrogBlock

Pair = tuple[float, float]
_STAGES = 6  # evaluations in a step of Tsitouras' method, whose last one serves the next step


class Flow:
    """Forward and backward solves for one network, compiled at the first call for a number of samples.

    Parameters
    ----------
    network : whose equation.
    steps : most steps of a solve.

    Raises
    ------
    MissingDependency
        JAX or diffrax is not installed.
    """

    def __init__(self, network: LayeredNetwork, steps: int) -> None:
        with installed("JAX or diffrax, which solve a network in continuous depth,", "learn"):
            import diffrax
            import jax
        self._jax, self._diffrax = jax, diffrax
        self._span, self._jumps = (network.mesh.start, network.mesh.end), network.time_basis.breaks
        self._steps = steps
        self._rate = _rate(network)
        self._forward = self._jax.jit(self._run_forward)
        self._backward = self._jax.jit(self._run_backward)
        self._differentiate = self._jax.jit(self._run_differentiate)

    # ---- what the objective calls; (rtol, atol) are arguments, so that they compile nothing anew ---

    def forward(self, coefficients: Array, start: Array, tolerances: Pair) -> tuple[Array, int]:
        """Return z(T) for all samples and the evaluations; not finite where the solve failed."""
        with float64():
            end, steps = self._forward(coefficients, start, tolerances)
            return np.array(end), _STAGES * int(steps) + 1

    def backward(
        self, coefficients: Array, states: Array, end: Array, tolerances: Pair, exact: bool = False
    ) -> tuple[Array, Array, int]:
        """Return p(0), the derivatives by the coefficients and the evaluations.

        They are the solution of the continuous adjoint equation, or ``exact`` for the accepted steps.
        """
        solve, known = (self._differentiate, 0) if exact else (self._backward, -1)
        with float64():
            start, pulled, steps = solve(coefficients, states[known], end, tolerances)
            return np.array(start), np.array(pulled), _STAGES * int(steps) + 1

    # ---- what is compiled ------------------------------------------------------------------------

    def _solve(self, rate: Any, y0: Any, args: Any, tolerances: Any, backwards: bool) -> Any:
        dfx = self._diffrax
        first, last = self._span[::-1] if backwards else self._span
        rtol, atol = tolerances
        control = dfx.PIDController(rtol=rtol, atol=atol, pcoeff=0.3, icoeff=0.4)
        if len(self._jumps):
            jumps = self._jax.numpy.asarray(self._jumps, dtype=float)
            control = dfx.ClipStepSizeController(control, jump_ts=jumps)
        return dfx.diffeqsolve(
            *(dfx.ODETerm(rate), dfx.Tsit5(), first, last, None, y0, args),
            stepsize_controller=control,
            max_steps=self._steps,
            throw=False,
        )

    def _ended(self, solution: Any, value: Any) -> Any:
        """Return the value, NaN where the solve did not reach its end."""
        jnp = self._jax.numpy
        return jnp.where(solution.result == self._diffrax.RESULTS.successful, value, jnp.nan)

    def _run_forward(self, coefficients: Any, start: Any, tolerances: Any) -> tuple[Any, Any]:
        solution = self._solve(self._rate, start, coefficients, tolerances, False)
        return self._ended(solution, solution.ys[0]), solution.stats["num_steps"]

    def _run_backward(self, c: Any, end: Any, p: Any, tolerances: Any) -> tuple[Any, Any, Any]:
        jax = self._jax

        def augmented(t: Any, y: Any, c: Any) -> Any:
            z, costate, _ = y
            rate, pull = jax.vjp(lambda z, c: self._rate(t, z, c), z, c)
            by_state, by_coefficients = pull(costate)
            return rate, -by_state, -by_coefficients

        y0 = (end, p, jax.numpy.zeros_like(c))
        solution = self._solve(augmented, y0, c, tolerances, True)
        _, start, by_coefficients = (self._ended(solution, y[0]) for y in solution.ys)
        return start, by_coefficients, solution.stats["num_steps"]

    def _run_differentiate(self, c: Any, start: Any, p: Any, tolerances: Any) -> tuple[Any, ...]:
        def end(c: Any, z0: Any) -> Any:
            return self._run_forward(c, z0, tolerances)

        _, pull, steps = self._jax.vjp(end, c, start, has_aux=True)
        by_coefficients, by_start = pull(p)
        return by_start, by_coefficients, steps


def _rate(network: LayeredNetwork) -> Callable[[Any, Any, Any], Any]:
    """Return (t, z, coefficients) -> z' for (S, state_size) states."""
    import jax.numpy as jnp

    operations, phi, d = jax_operations(), network.block.phi, network.width
    functions = _basis(network)

    def affine(t: Any, c: Any) -> tuple[Any, Any]:
        flat = functions(t) @ c
        return flat[: d * d].reshape(d, d), flat[d * d :]  # K column by column: its transpose

    def residual(t: Any, z: Any, c: Any) -> Any:
        transposed, b = affine(t, c)
        return phi(z @ transposed + b, operations)

    def hamiltonian(t: Any, z: Any, c: Any) -> Any:
        transposed, b = affine(t, c)
        Y, Z = z[:, :d], z[:, d:]
        return jnp.concatenate(
            [phi(Z @ transposed + b, operations), -phi(Y @ transposed.T + b, operations)], axis=1
        )

    def antisymmetric(t: Any, z: Any, c: Any) -> Any:
        transposed, b = affine(t, c)
        return phi(z @ (0.5 * (transposed - transposed.T)) + b, operations)

    def leapfrog(t: Any, z: Any, c: Any) -> Any:
        transposed, b = affine(t, c)
        x, v = z[:, :d], z[:, d:]
        return jnp.concatenate([v, -phi(x @ transposed + b, operations) @ transposed.T], axis=1)

    rates = {
        HamiltonianBlock: hamiltonian,
        AntisymmetricBlock: antisymmetric,
        LeapfrogBlock: leapfrog,
    }
    return rates.get(type(network.block), residual)


def _basis(network: LayeredNetwork) -> Callable[[Any], Any]:
    """Return t -> (K,) values of the basis, from its symbolic form."""
    import jax.numpy as jnp

    t = ca.SX.sym("t")
    tape = Tape.of(ca.Function("basis", [t], [basis_symbols(network.time_basis, t)]))
    operations = jax_tape_operations()

    def values(time: Any) -> Any:
        found = tape.replay([[time]], operations)[0]
        return jnp.stack([jnp.asarray(v, dtype=float) for v in found])

    return values


def float64() -> Any:
    """Return a context of double precision, which JAX leaves out otherwise."""
    import jax

    if callable(getattr(jax, "enable_x64", None)):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64  # type: ignore[attr-defined]

    return enable_x64()
