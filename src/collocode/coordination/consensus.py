r"""The arithmetic of consensus ADMM, apart from any batch, solver or process.

Every batch `b` has a copy :math:`v_b` of some variables :math:`z_{G_b}` of the consensus vector `z`:

.. math:: \min \sum_b f_b(v_b) + r(z)\quad\text{subject to}\quad v_b = z_{G_b}.

In scaled form, with over-relaxation α (Boyd et al., *Foundations and Trends in Machine Learning*
3(1), 2011, sections 3.3, 3.4.1, 3.4.3 and 7.2):

.. math::
    v_b &\leftarrow \arg\min f_b(v) + \tfrac\rho2\lVert v - z_{G_b} + w_b\rVert^2,\qquad
    \hat v_b = \alpha v_b + (1-\alpha) z_{G_b},\\
    z &\leftarrow \mathrm{prox}_{r/(\rho n)}\bigl(\text{mean of } \hat v_b + w_b\bigr),\qquad
    w_b \leftarrow w_b + \hat v_b - z_{G_b},

where :math:`n_g` counts the copies of variable `g`, and the mean runs over them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..checks import check_fields
from ..errors import InputError
from ..numerics import Array, Index

_ABSOLUTE = 0.04  # of the relative tolerance, for one batch
_RHO = 0.02  # first penalty, for one batch
Prox = Callable[[Array, Array], Array]


@dataclass(frozen=True, kw_only=True)
class ADMMRules:
    r"""How ADMM steps, how ρ moves, and when it stops.

    Parameters
    ----------
    rho : first penalty, in units of the loss; None takes 0.02 divided by the number of batches, each
        of which has that part of the loss.
    relaxation : α in (0, 2); 1 means none.
    absolute, relative : tolerances ε of Boyd's stopping rule; ``absolute=None`` stands for
        0.04 ε_rel divided by the number of batches.
    balance : ρ changes when one relative residual is more than this factor above the other.
    factor : by how much ρ changes.
    adapt : number of iterations in which ρ is balanced; 0 keeps it.
    growth : a primal residual that grows beyond this factor of what it was at the same ρ means that
        ρ is too small for a nonconvex problem; it is raised, and never lowered again below that.
        Infinity never does.
    simulate : integrate every consensus over all data; small residuals alone do not tell that a
        network works everywhere, and the best consensus is kept if the iteration does not converge.
    gap : part by which the simulated consensus may fit worse than the batches' own copies when the
        iteration stops.
    iterations, time_limit : limits, the latter in seconds.

    Raises
    ------
    InputError
        Values outside those ranges.
    """

    rho: float | None = None
    relaxation: float = 1.6
    absolute: float | None = None
    relative: float = 1e-3
    balance: float = 3.0
    factor: float = 2.0
    adapt: int = 30
    growth: float = 1.3
    simulate: bool = True
    gap: float = 0.25
    iterations: int = 50
    time_limit: float = np.inf

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0.0 < self.relaxation < 2.0:
            raise InputError(f"relaxation lies between 0 and 2, not at {self.relaxation}.")
        for name in ("absolute", "relative"):
            if (value := getattr(self, name)) is not None and not value >= 0.0:
                raise InputError(f"the {name} tolerance must not be negative.")
        if self.absolute == 0.0 and self.relative == 0.0:
            raise InputError("one of the tolerances, absolute or relative, must be positive.")
        if not (self.balance >= 1.0 and self.factor > 1.0 and self.adapt >= 0):
            raise InputError("balance must be at least 1, factor above 1, adapt not negative.")
        if not self.growth > 1.0:
            raise InputError(f"growth must be above 1, not {self.growth}.")
        if not self.gap >= 0.0:
            raise InputError(f"the gap must not be negative, not {self.gap}.")
        if self.rho is not None:
            check_rho(self.rho)
        if self.iterations < 1:
            raise InputError(f"iterations must be at least 1, not {self.iterations}.")
        if not self.time_limit >= 0.0:
            raise InputError(f"the time limit must not be negative, not {self.time_limit}.")

    def for_batches(self, number: int) -> ADMMRules:
        """Return the rules with the tolerances and the penalty of so many batches."""
        absolute = _ABSOLUTE * self.relative / number if self.absolute is None else self.absolute
        rho = _RHO / number if self.rho is None else self.rho
        return replace(self, absolute=absolute, rho=rho)


def check_rho(rho: float) -> None:
    """Refuse a penalty that is not positive and finite."""
    if not (np.isfinite(rho) and rho > 0.0):
        raise InputError(f"the penalty rho must be positive and finite, not {rho}.")


@dataclass(frozen=True)
class Residuals:
    r"""How far from consensus, and from a standstill.

    Attributes
    ----------
    primal : :math:`(\sum_b\lVert v_b - z_{G_b}\rVert^2)^{1/2}`.
    dual : :math:`\rho\,(\sum_g n_g (z_g - z_g^{old})^2)^{1/2}`.
    primal_limit, dual_limit : Boyd's tolerances for them.
    scaled : primal / (√n max(1, ‖z‖)), n the number of consensus variables.
    """

    primal: float
    dual: float
    primal_limit: float
    dual_limit: float
    scaled: float

    @property
    def small(self) -> bool:
        """Whether both are within their tolerances."""
        return self.primal <= self.primal_limit and self.dual <= self.dual_limit


@dataclass(frozen=True, eq=False)
class Consensus:
    """The state of the coordinator: a value, replaced in every iteration.

    Attributes
    ----------
    z : (n,) consensus.
    copies : per batch, which entries of ``z`` it has a copy of.
    duals : per batch, the scaled dual variables w of its copies.
    rho : the penalty; ``floor`` is below what it was seen to be too small.
    seen : primal residuals since ρ changed.
    """

    z: Array
    copies: tuple[Index, ...]
    duals: tuple[Array, ...]
    rho: float
    floor: float = 0.0
    seen: tuple[float, ...] = ()

    @classmethod
    def start(cls, z: Array, copies: Sequence[Index], rho: float) -> Consensus:
        """Begin with zero duals.

        Raises
        ------
        InputError
            A penalty that is not positive and finite.
        """
        check_rho(rho)
        return cls(
            np.asarray(z, dtype=float),
            tuple(np.asarray(g, dtype=int) for g in copies),
            tuple(np.zeros(len(g)) for g in copies),
            float(rho),
        )

    @property
    def multiplicity(self) -> Array:
        """(n,) number of copies of every entry."""
        count = np.zeros(len(self.z))
        for g in self.copies:
            count[g] += 1.0
        return count

    def target(self, batch: int) -> Array:
        """Return what batch ``b`` is drawn to, z - w_b."""
        return np.asarray(self.z[self.copies[batch]] - self.duals[batch])

    def updated(self, values: Sequence[Array], prox: Prox, relaxation: float = 1.0) -> Consensus:
        """Return the state after the consensus and the dual step.

        Parameters
        ----------
        values : the batches' copies.
        prox : ``prox(v, step)`` minimises r(z) + Σ (z - v)²/(2 step), variable by variable.
        relaxation : α.
        """
        relaxed = [
            relaxation * v + (1.0 - relaxation) * self.z[g]
            for v, g in zip(values, self.copies, strict=True)
        ]
        total, count = np.zeros_like(self.z), self.multiplicity
        for v, w, g in zip(relaxed, self.duals, self.copies, strict=True):
            total[g] += v + w
        z = prox(total / count, 1.0 / (self.rho * count))
        duals = tuple(
            w + v - z[g] for v, w, g in zip(relaxed, self.duals, self.copies, strict=True)
        )
        return replace(self, z=z, duals=duals)

    def with_rho(self, rho: float) -> Consensus:
        """Return the state with another penalty; ρ w, the unscaled dual, stays what it is."""
        duals = tuple(w * (self.rho / rho) for w in self.duals)
        return replace(self, rho=rho, duals=duals, seen=())

    def residuals(self, values: Sequence[Array], before: Consensus, rules: ADMMRules) -> Residuals:
        """Compare the copies with this consensus, and this consensus with the one before."""
        gaps = [v - self.z[g] for v, g in zip(values, self.copies, strict=True)]
        primal, count = _norm(gaps), self.multiplicity
        dual = self.rho * float(np.sqrt(count @ (self.z - before.z) ** 2))
        stacked = float(np.sqrt(count @ self.z**2))
        root, absolute = np.sqrt(count.sum()), rules.for_batches(len(self.copies)).absolute
        return Residuals(
            primal,
            dual,
            root * absolute + rules.relative * max(_norm(values), stacked),
            root * absolute + rules.relative * self.rho * _norm(self.duals),
            primal / (np.sqrt(len(self.z)) * max(1.0, float(np.linalg.norm(self.z)))),
        )

    def steered(self, residuals: Residuals, rules: ADMMRules, iteration: int) -> Consensus:
        """Return the state with ρ raised where the iteration grows, else balanced.

        Balancing moves ρ towards equal *relative* residuals (Wohlberg, arXiv 1704.06209, 2017).
        """
        seen = (*self.seen, residuals.primal)
        here = replace(self, seen=seen)
        primal = residuals.primal / max(residuals.primal_limit, 1e-300)
        dual = residuals.dual / max(residuals.dual_limit, 1e-300)
        if primal > 1.0 and residuals.primal > rules.growth * min(seen):
            higher = self.rho * rules.factor
            return replace(here.with_rho(higher), floor=higher)
        if iteration > rules.adapt:
            return here
        if primal > rules.balance * dual:
            return here.with_rho(self.rho * rules.factor)
        if dual > rules.balance * primal and self.rho / rules.factor >= self.floor:
            return here.with_rho(self.rho / rules.factor)
        return here

    def lagrangian(self, losses: Sequence[float], values: Sequence[Array], penalty: float) -> float:
        """Augmented Lagrangian Σ f_b + r(z) + ρ/2 Σ (‖v_b - z + w_b‖² - ‖w_b‖²)."""
        terms = [
            float(np.sum((v - self.z[g] + w) ** 2) - np.sum(w**2))
            for v, w, g in zip(values, self.duals, self.copies, strict=True)
        ]
        return float(sum(losses)) + penalty + 0.5 * self.rho * sum(terms)


def _norm(parts: Sequence[Array]) -> float:
    return float(np.sqrt(sum(float(p @ p) for p in parts)))
