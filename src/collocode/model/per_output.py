"""A likelihood for every output, and what a file holds of losses."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from ..errors import InputError
from ..forms import Form, form_of
from ..numerics import Array
from .activations import NUMPY, Operations
from .counts import NegativeBinomial, Poisson
from .likelihoods import Laplace, Likelihood, LogNormal, Normal, Student
from .losses import LOSSES, Loss


@dataclass(frozen=True)
class PerOutput(Loss):
    """A likelihood of its own for every output, by name."""

    losses: Mapping[str, Likelihood]
    sigma: None = None
    likelihood: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, loss in self.losses.items():
            if not isinstance(loss, Likelihood):
                raise InputError(
                    f"the loss of output {name!r} has to be a likelihood beside others, say Normal(0.1), "
                    f"not {loss!r}."
                )

    @property
    def named(self) -> tuple[str, ...]:
        """See `Loss.named`."""
        return (*self.losses, *(name for loss in self.losses.values() for name in loss.named))

    def among(self, outputs: Collection[str]) -> Self:
        """See `Loss.among`."""
        kept = {n: loss.among(outputs) for n, loss in self.losses.items() if n in outputs}
        return replace(self, losses=kept)

    def of(self, output: str) -> Likelihood:
        """Return the likelihood of an output."""
        if output not in self.losses:
            raise InputError(
                f"output {output!r} has no loss; there are some for: {', '.join(self.losses)}."
            )
        return self.losses[output]

    def _table(self, h: Any, y: Any, sigma: Any, how: str) -> Array:
        columns = [
            getattr(loss, how)(h[..., j], y[..., j], sigma[..., j])
            for j, loss in enumerate(self.losses.values())
        ]
        return np.stack(columns, axis=-1)

    def cost(self, h: Any, y: Any, sigma: Any, ops: Operations = NUMPY) -> Any:
        """Costs of a table with one column an output."""
        h, y, sigma = np.broadcast_arrays(h, y, sigma)
        return self._table(h, y, sigma, "cost")

    def slope(self, h: Array, y: Array, sigma: Array) -> Array:
        """The same of slopes."""
        return self._table(h, y, sigma, "slope")

    def curvature(self, h: Array, y: Array, sigma: Array) -> Array:
        """The same of curvatures."""
        return self._table(h, y, sigma, "curvature")

    def sigma_of(self, output: str, spread: float) -> float:
        """See `Likelihood.sigma_of`."""
        return self.of(output).sigma_of(output, spread)

    def naming(self, outputs: Sequence[str], names: Mapping[str, str]) -> Self:
        """See `Likelihood.naming`."""
        own = {n: {n: names[n]} if n in names else {} for n in outputs}
        return replace(self, losses={n: self.of(n).naming([n], own[n]) for n in outputs})

    def with_sigma(self, sigma: Mapping[str, float]) -> Self:
        """Return the same: what is estimated is told by the parameters."""
        return self


LAWS: dict[str, type[Likelihood]] = {
    "normal": Normal,
    "lognormal": LogNormal,
    "laplace": Laplace,
    "student": Student,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
}
_OWN = {"base": Literal["e", "10"], "freedom": float}  # what some have beside σ
_LAWS: tuple[Form, ...] = tuple(
    {"loss": Literal[name], **{k: form for k, form in _OWN.items() if hasattr(law, k)}}
    for name, law in LAWS.items()
)
_SIGMA = {"sigma": {"*": float}}  # of every output, as a fit took it
LOSS: Form = (
    *({"loss": Literal[name], **form_of(kind), **_SIGMA} for name, kind in LOSSES.items()),
    *_LAWS,
    {"loss": Literal["per_output"], "losses": {"*": _LAWS}},
)
"""What a file holds of a loss; σ of a likelihood is in the trained model."""


def describe_loss(loss: Loss) -> dict[str, Any]:
    """Return a loss as JSON knows it.

    Raises
    ------
    InputError
        A loss of somebody's own.
    """
    if isinstance(loss, PerOutput):
        parts = {name: describe_loss(part) for name, part in loss.losses.items()}
        return {"loss": "per_output", "losses": parts}
    kinds: dict[str, type[Loss]] = {**LOSSES, **LAWS}
    name = next((name for name, kind in kinds.items() if type(loss) is kind), None)
    if name is None:
        raise InputError(
            f"{loss!r} cannot be saved; of losses, {', '.join(k.__name__ for k in kinds.values())} can."
        )
    if isinstance(loss, Likelihood):
        own = {k: getattr(loss, k) for k in _OWN if hasattr(loss, k)}
        return {"loss": name, **own}
    plain = asdict(loss)  # type: ignore[call-overload]
    if isinstance(plain["sigma"], Mapping):
        plain["sigma"] = dict(plain["sigma"])
    return {"loss": name, **plain}


def described_loss(entry: Mapping[str, Any]) -> Loss:
    """Return the loss that `describe_loss` described."""
    if entry["loss"] == "per_output":
        parts = {name: described_loss(part) for name, part in entry["losses"].items()}
        return PerOutput(parts)  # type: ignore[arg-type]
    kind: Any = {**LOSSES, **LAWS}[str(entry["loss"])]
    loss: Loss = kind(**{k: v for k, v in entry.items() if k != "loss"})
    return loss
