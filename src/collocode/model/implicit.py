r"""Implicit equations :math:`F(t,x,\dot x,u,p)=0`, such as :math:`M(x)\dot x=f`, as `Dynamics`.

The derivatives become algebraic variables: :math:`\dot x=w,\;0=F(t,x,w,u,p)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..checks import as_names, shown
from ..errors import InputError
from .dynamics import Dynamics, Named, Networks, Parameter
from .varying import Network


def implicit(
    equations: Callable[..., Any],
    states: Sequence[str],
    *,
    networks: Mapping[str, Network] | None = None,
    parameters: Sequence[Parameter] = (),
    algebraics: Mapping[str, float] | Sequence[str] = (),
) -> Dynamics:
    r"""Return the dynamics of implicit equations.

    Parameters
    ----------
    equations : ``F(t, x, dx, u, p, nn)``, as many values as states and algebraic variables together, all
        zero along a solution; ``dx`` has the derivatives by the states' names.  A mapping names the equations.
    states : state names; the derivative of ``v`` is the algebraic variable ``v_dot``.
    networks, parameters, algebraics : as for `Dynamics`.

    Raises
    ------
    InputError
        An algebraic variable that is called like a derivative.

    Examples
    --------
    A mass that depends on where it is, M(x) v' = -x:

    >>> mass = implicit(
    ...     lambda t, x, dx, u, p, nn: {"speed": dx.x - x.v, "force": (1 + x.x**2) * dx.v + x.x},
    ...     states=("x", "v"),
    ... )
    >>> dict(mass.algebraics)
    {'x_dot': 0.0, 'v_dot': 0.0}
    """
    if not callable(equations):
        raise InputError(
            f"implicit takes a function F(t, x, dx, u, p, nn), not {shown(equations)}; write one."
        )
    names = as_names(states, "implicit(states=...)")
    given = (algebraics,) if isinstance(algebraics, str) else algebraics
    own = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given, 1.0)
    rates = {_rate(name): 0.0 for name in names}
    both = [name for name in own if name in rates]
    if both:
        raise InputError(
            f"{both[0]!r} is the derivative of a state and cannot be an algebraic variable too; rename it."
        )
    return Dynamics(
        _Rates(names),
        networks=networks or {},
        parameters=parameters,
        algebraics={**rates, **own},
        residuals=_Equations(equations, names),
    )


def _rate(state: str) -> str:
    return f"{state}_dot"


@dataclass(frozen=True)
class _Rates:
    """The right-hand side; of a module, so that it can be pickled."""

    states: tuple[str, ...]

    def __call__(self, t: Any, x: Named, u: Named, p: Named, nn: Networks) -> dict[str, Any]:
        return {name: x[_rate(name)] for name in self.states}


@dataclass(frozen=True)
class _Equations:
    """The residuals."""

    function: Callable[..., Any]
    states: tuple[str, ...]

    def __call__(self, t: Any, x: Named, u: Named, p: Named, nn: Networks) -> Any:
        rates = Named("derivative of state", self.states, [x[_rate(name)] for name in self.states])
        return self.function(t, x, rates, u, p, nn)
