"""Dynamics that differ from window to window, and integrals that are constrained along each.

Both are dynamics made of others: `Phases` takes, in every window, those of its name; `WithIntegrals` has a
state more for every `IntegralConstraint`.  What is asked of dynamics, simulation, costates, estimates and
exports, thus holds for them as it does for any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, NamedTuple

import casadi as ca
import numpy as np

from ..checks import as_names, check_fields, check_named, listed
from ..errors import InputError
from ..numerics.signals import Signal
from .constraints import PathConstraint
from .dynamics import DynamicsLike, Named, Network, Networks, stack
from .experiment import Experiment
from .parameters import Parameter, check_bounds

PHASE = "phase"  # the input that tells in which window one is


@dataclass(frozen=True)
class Phases:
    """Dynamics of their own for the windows of a sequence: a rocket's stages, sand and then water.

    All have the same states; one that a phase does not know has derivative zero there, or leaves by a
    `Link` that does not carry it.  Every window gets a constant input ``phase``, by which it is told.

    Parameters
    ----------
    dynamics : by the name of the window.

    Raises
    ------
    InputError
        No phase, or parts that call two different parameters or networks by one name.

    Examples
    --------
    >>> from collocode.model.dynamics import Dynamics
    >>> phases = Phases(
    ...     {
    ...         "burn": Dynamics(lambda t, x, u, p, nn: {"v": u.thrust - 9.81}),
    ...         "coast": Dynamics(lambda t, x, u, p, nn: {"v": -9.81}),
    ...     }
    ... )
    >>> list(phases.dynamics)
    ['burn', 'coast']
    """

    dynamics: Mapping[str, DynamicsLike]

    def __post_init__(self) -> None:
        if not (isinstance(self.dynamics, Mapping) and self.dynamics):
            raise InputError(
                "Phases takes dynamics by the names of the windows; write Phases({'boost': "
                "Dynamics(...), 'coast': Dynamics(...)})."
            )
        algebraic = [n for n, part in self.dynamics.items() if getattr(part, "algebraics", {})]
        if algebraic:
            raise InputError(
                f"phase {algebraic[0]!r} has algebraic variables, which dynamics that differ by phase "
                "cannot have; give all windows the same Dynamics, and an input that tells them apart."
            )
        for what in ("networks", "parameters"):
            self._merged(what)

    def _merged(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for part in self.dynamics.values():
            known = getattr(part, what)
            pairs = known.items() if isinstance(known, Mapping) else [(q.name, q) for q in known]
            for name, value in pairs:
                if name in found and found[name] is not value and found[name] != value:
                    raise InputError(
                        f"two phases have different {what} called {name!r}; rename one, or give both "
                        "the same."
                    )
                found[name] = value
        return found

    @property
    def networks(self) -> Mapping[str, Network]:
        """Networks of all phases."""
        return self._merged("networks")

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Parameters of all phases."""
        return tuple(self._merged("parameters").values())

    def rhs(self, t: Any, x: Named, u: Named, p: Named, nn: Networks) -> Any:
        """Return the derivatives of the phase that ``u.phase`` tells, whatever the others are."""
        total = 0.0
        for number, part in enumerate(self.dynamics.values()):
            value = _derivatives(part, t, x, u, p, nn)
            total = total + ca.if_else(u[PHASE] == number, ca.SX(value), 0.0)
        return total

    def normalised(self, ranges: Mapping[str, tuple[float, float]]) -> Phases:
        """Scale the parts."""
        return Phases({name: part.normalised(ranges) for name, part in self.dynamics.items()})

    def told(self, experiments: Sequence[Experiment]) -> tuple[Experiment, ...]:
        """Return the windows with the input that tells their phase.

        Raises
        ------
        InputError
            A window without dynamics.
        """
        found, names = [], list(self.dynamics)
        for experiment in experiments:
            if experiment.name not in names:
                windows = [e.name for e in experiments]
                check_named("Phases", [n for n in names if n not in windows], "window", windows)
                raise InputError(
                    f"window {experiment.name!r} has no phase; there are dynamics for: {listed(names)}."
                )
            phase = Signal([0.0], [float(names.index(experiment.name))], "zoh")  # type: ignore[arg-type]
            found.append(replace(experiment, inputs={**experiment.inputs, PHASE: phase}))
        return tuple(found)


def _derivatives(part: DynamicsLike, t: Any, x: Named, u: Named, p: Named, nn: Networks) -> Any:
    """One derivative a state, zero for one that a mapping leaves out."""
    value = part.rhs(t, x, u, p, nn)
    if isinstance(value, Mapping):
        names = x.names
        unknown = [name for name in value if name not in names]
        if unknown:
            raise InputError(
                f"a phase returned the derivative of {unknown[0]!r}, which is no state; states: "
                f"{listed(names)}."
            )
        value = [value.get(name, 0.0) for name in names]
    return stack(value)


@dataclass(frozen=True)
class IntegralConstraint:
    r"""Bounds on an integral :math:`\int g(t,x,u,p)\,dt` along every window of a problem.

    It is a state of its own, of this name, that begins at zero; a solution shows how it grows.

    Parameters
    ----------
    name : of the constraint and of its state.
    function : ``g(t, x, u, p, nn)``, one scalar.
    lower, upper : its bounds; equal ones for a value.
    windows : names of those that it is held in; empty for all.

    Raises
    ------
    InputError
        Crossed bounds, or none.
    """

    name: str
    function: Callable[..., Any]
    lower: float = -np.inf
    upper: float = np.inf
    _: KW_ONLY
    windows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where = f"integral constraint {self.name!r}"
        check_fields(self)
        check_bounds(self.lower, self.upper, where)
        if np.isinf([self.lower, self.upper]).all():
            raise InputError(f"{where} has no bounds; give lower= or upper=.")
        object.__setattr__(self, "windows", as_names(self.windows, f"windows= of {where}"))

    @property
    def size(self) -> float:
        """Typical size of its state."""
        known = [abs(v) for v in (self.lower, self.upper) if np.isfinite(v)]
        return float(max(known)) or 1.0

    def at_end(self) -> PathConstraint:
        """Return what its state has to be in the end."""
        name = self.name
        return PathConstraint(
            *(name, lambda t, x, u, p, nn: x[name], self.lower, self.upper),
            at="end",
            windows=self.windows,
        )


@dataclass(frozen=True)
class WithIntegrals:
    """Dynamics with a state more for every integral that is constrained."""

    inner: DynamicsLike
    integrals: tuple[IntegralConstraint, ...]

    @property
    def networks(self) -> Mapping[str, Network]:
        """Those of the dynamics."""
        return self.inner.networks

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Those of the dynamics."""
        return self.inner.parameters

    @property
    def algebraics(self) -> Mapping[str, float]:
        """Those of the dynamics."""
        return getattr(self.inner, "algebraics", {})

    @property
    def index(self) -> int:
        """That of the dynamics."""
        return getattr(self.inner, "index", 1)

    def residuals(self, t: Any, x: Named, u: Named, p: Named, nn: Networks) -> Any:
        """Return the algebraic equations of the dynamics."""
        plain = x.without([c.name for c in self.integrals])
        return self.inner.residuals(t, plain, u, p, nn)  # type: ignore[attr-defined]

    def rhs(self, t: Any, x: Named, u: Named, p: Named, nn: Networks) -> Any:
        """Return the derivatives of the dynamics, and the integrands."""
        plain = x.without([c.name for c in self.integrals])
        value = self.inner.rhs(t, plain, u, p, nn)
        more = {c.name: c.function(t, plain, u, p, nn) for c in self.integrals}
        if isinstance(value, Mapping):
            return {**value, **more}
        return ca.vertcat(ca.SX(stack(value)), *(ca.SX(v) for v in more.values()))

    def normalised(self, ranges: Mapping[str, tuple[float, float]]) -> WithIntegrals:
        """Scale the dynamics."""
        known = {f"{kind}:{c.name}" for c in self.integrals for kind in ("x", "slope")}
        plain = {name: value for name, value in ranges.items() if name not in known}
        return WithIntegrals(self.inner.normalised(plain), self.integrals)


class Added(NamedTuple):
    """What phases and integrals make of a problem's dynamics, states, typical sizes and experiments.

    ``gone`` are states of integrals that the problem it was made from had.
    """

    dynamics: DynamicsLike
    states: tuple[str, ...]
    sizes: dict[str, float]
    gone: tuple[str, ...]
    experiments: tuple[Experiment, ...]


def added_to(
    dynamics: DynamicsLike,
    constraints: Sequence[Any],
    states: Sequence[str],
    experiments: Sequence[Experiment],
) -> Added | None:
    """Tell every window its phase; give every constrained integral a state that begins at zero.

    A problem that was made from another one has these already; they are taken out first.

    Returns
    -------
    None where there is nothing to add.

    Raises
    ------
    InputError
        An integral that is called like a state, a window without phase.
    """
    before: tuple[str, ...] = ()
    if isinstance(dynamics, WithIntegrals):
        before, dynamics = tuple(c.name for c in dynamics.integrals), dynamics.inner
    told = isinstance(dynamics, Phases)
    if isinstance(dynamics, Phases):
        experiments = dynamics.told(experiments)
    integrals = tuple(c for c in constraints if isinstance(c, IntegralConstraint))
    if not (integrals or before or told):
        return None
    kept = tuple(name for name in states if name not in before)
    taken = [c.name for c in integrals if c.name in kept]
    if taken:
        raise InputError(
            f"integral constraint {taken[0]!r} becomes a state of its name, but there is one; rename it."
        )
    begun = []
    for experiment in experiments if integrals or before else ():
        initial = {n: v for n, v in experiment.initial.items() if n not in before}
        initial |= {c.name: 0.0 for c in integrals}
        begun.append(replace(experiment, initial=initial))
    return Added(
        WithIntegrals(dynamics, integrals) if integrals else dynamics,
        (*kept, *(c.name for c in integrals)),
        {c.name: c.size for c in integrals},
        tuple(name for name in before if name not in [c.name for c in integrals]),
        tuple(begun or experiments),
    )
