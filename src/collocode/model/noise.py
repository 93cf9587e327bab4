"""How accurate a problem's data are: by their experiments, the loss, or what smoothing leaves of them.

Noise that is known weighs the residuals and is believed; of what is not, a likelihood makes parameters, and
squares take the spread of the data.  The first ridge of the weights follows from the share of noise in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..numerics import Array, Mask
from .experiment import Experiment
from .likelihoods import Likelihood
from .losses import L2, Evidence, Loss
from .parameters import Parameter
from .per_output import PerOutput
from .sizes import noise_of

_NO_SPREAD = 1e-12  # of the data's size, that the mean of equal numbers may be off by
_EXACT = 1e-6  # of data's size, a noise that is none
_USUAL = 1e-4  # λ that a first fit converges well with


def spread_of(values: Array) -> float:
    """Standard deviation of data; zero where only rounding makes their mean another number than they are.

    Examples
    --------
    >>> float(np.std(np.full(21, 1e-6))) > 0.0, spread_of(np.full(21, 1e-6))
    (True, 0.0)
    """
    spread = float(np.nanstd(values))
    return spread if spread > _NO_SPREAD * float(np.nanmax(np.abs(values))) else 0.0


class NoisyData:
    """What a problem knows, and guesses, of the noise in its data."""

    if TYPE_CHECKING:  # a problem has them

        @property
        def loss(self) -> Loss:
            """What a measurement costs."""

        @property
        def regularisation(self) -> L2 | Evidence:
            """That of the weights."""

        @property
        def experiments(self) -> Sequence[Experiment]:
            """What was measured."""

        @property
        def parameters(self) -> Sequence[Parameter]:
            """Those beside the dynamics'."""

        @property
        def dynamics(self) -> Any:
            """The right-hand side."""

        @property
        def outputs(self) -> tuple[str, ...]:
            """Names of what was measured."""

        @property
        def n_measurements(self) -> int:
            """Number of finite measurements."""

        @property
        def decides(self) -> bool:
            """Whether it does more than identify."""

    @staticmethod
    def noise_name(output: str) -> str:
        """Name of the parameter that is an output's σ, where nobody gives it another."""
        return f"sigma_{output}"

    def with_named_noise(self) -> Self:
        """Return the same with the σ that are estimated among its parameters, whatever data it is given."""
        noise = {q.name: q for q in self._noise_parameters}
        names = {n: self.noise_name(n) for n in self.outputs if self.noise_name(n) in noise}
        if not names:
            return self
        assert isinstance(self.loss, Likelihood | PerOutput)
        loss = self.loss.naming(self.outputs, names)
        return replace(self, loss=loss, parameters=(*self.parameters, *noise.values()))  # type: ignore[type-var]

    @property
    def _noise_parameters(self) -> list[Parameter]:
        found = []
        for j, name in enumerate(self.outputs if self.loss.likelihood else ()):
            loss: Likelihood = self.loss.of(name)  # type: ignore[attr-defined]
            if loss.dispersed and loss.spread_of(name) is None and self._lacks_sigma(j):
                guess = self.noise_guess(name)
                found.append(
                    Parameter(
                        self.noise_name(name),
                        guess,
                        1e-6 * guess,
                        scale="log",
                        per_experiment=loss.per_experiment,
                    )
                )
        return found

    def _lacks_sigma(self, column: int) -> bool:
        """Whether some datum of an output has no σ of its own."""
        for e in self.experiments:
            lacking = np.isfinite(e.values[:, column])
            if e.sigma is not None:
                lacking &= ~np.isfinite(np.asarray(e.sigma)[:, column])
            if lacking.any():
                return True
        return False

    def noise_guess(self, output: str) -> float:
        """A first σ of an output's likelihood; of data that are all the same a millionth of their size."""
        loss: Likelihood = self.loss.of(output)  # type: ignore[attr-defined]
        size = self.size_of(output) or 1.0
        return max(loss.guess(s, size) for s in (self.smoothed_noise[output], _EXACT * size))

    def size_of(self, output: str) -> float:
        """Mean magnitude of an output's data."""
        column = self.outputs.index(output)
        return float(
            np.nanmean(np.abs(np.concatenate([e.values[:, column] for e in self.experiments])))
        )

    @cached_property
    def spread(self) -> dict[str, float]:
        """Standard deviation of every output's data, see `spread_of`."""
        table = np.vstack([e.values for e in self.experiments])
        return {name: spread_of(table[:, j]) for j, name in enumerate(self.outputs)}

    @cached_property
    def sigma(self) -> dict[str, float]:
        """What the loss divides the residuals of every output by, unless an experiment knows better.

        Of data that are constant that is their size, so that units do not matter.

        Beside noise that is known, noise that is not is taken from the smoothed data.
        """
        if self.loss.likelihood:
            return {name: self.loss.sigma_of(name, 0.0) for name in self.outputs}
        unknown = self.loss.sigma is None and any(e.sigma is not None for e in self.experiments)
        sizes = self.smoothed_noise if unknown else self.spread
        return {
            name: self.loss.sigma_of(name, sizes[name] or self.size_of(name))
            for name in self.outputs
        }

    def sigma_in(self, experiment: Experiment) -> Array:
        """(N, outputs) what the loss divides the residuals of an experiment by; 0 where a model says it."""
        common = [self.sigma[name] for name in self.outputs]
        own = np.full(experiment.values.shape, np.nan)
        own = own if experiment.sigma is None else np.asarray(experiment.sigma)
        return np.where(np.isnan(own), common, own)

    @cached_property
    def penalty(self) -> L2:
        """The ridge as a number: that of `L2`, or where `Evidence` starts from."""
        given = self.regularisation
        if isinstance(given, L2):
            return given
        if given.start is not None:
            return L2(given.start)
        if self.decides or not self.dynamics.networks:
            return L2(_USUAL)
        shares = [
            (self.smoothed_noise[n] / self.sigma[n]) ** 2 for n in self.outputs if self.sigma[n]
        ]
        shares = [share for share in shares if np.isfinite(share)] or [1.0]
        weak = float(np.clip(np.mean(shares), 1e-10, 1e2)) / max(1, self.n_measurements)
        return L2(float(np.clip(_USUAL, weak, 10.0 * weak)))

    def knows_noise_of(self, experiment: Experiment) -> Mask:
        """(N, outputs) where σ was given, by the experiment or the loss; it is then believed."""
        own = np.full(experiment.values.shape, np.nan)
        own = own if experiment.sigma is None else np.asarray(experiment.sigma)
        return np.asarray(np.isfinite(own) | (self.loss.sigma is not None) | self.loss.likelihood)

    @cached_property
    def smoothed_noise(self) -> dict[str, float]:
        """Standard deviation of what smoothing leaves of every output's data."""
        return noise_of(self)  # type: ignore[arg-type]  # a problem
