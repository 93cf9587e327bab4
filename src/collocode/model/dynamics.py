r"""Right-hand sides with unknown parts: :math:`\dot x = f(t, x, u, p, \mathrm{NN}_\theta)`.

From one end of the scale to the other:

* `NeuralODE(MLP((2, 32, 2)))`: the network alone;
* `Dynamics(rhs, networks={...}, parameters=[...])`: known physics with networks and physical
  parameters inside (grey-box);
* `Dynamics(rhs, parameters=[...])`: a known ODE, classical parameter estimation;
* `Dynamics(rhs, algebraics={...}, residuals=...)`: differential-algebraic equations,
  :math:`\dot x=f,\;0=g`, with any of these in both.

``rhs(t, x, u, p, nn)`` gets `Named` vectors of CasADi scalars and calls networks through ``nn``.
It is called once, symbolically, whatever the number of data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, Protocol, get_args

import casadi as ca
import numpy as np

from ..checks import as_values, counted, shown
from ..errors import InputError
from ..kinds import check_type
from .activations import CASADI
from .parameters import Parameter
from .varying import Network


class Named:
    """A short vector with named entries: ``x.prey``, ``x["prey"]``, ``x[0]`` and unpacking.

    Examples
    --------
    >>> x = Named("state", ("prey", "predator"), [3.0, 4.0])
    >>> x.prey, x[1], x["predator"]
    (3.0, 4.0, 4.0)
    """

    __slots__ = ("_kind", "_names", "_values")

    def __init__(self, kind: str, names: Sequence[str], values: Sequence[Any]) -> None:
        self._kind, self._names, self._values = kind, tuple(names), tuple(values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, key: str | int) -> Any:
        if isinstance(key, str):
            if key not in self._names:
                known = ", ".join(self._names) or "none"
                raise InputError(f"there is no {self._kind} {key!r}; there are: {known}.")
            return self._values[self._names.index(key)]
        return self._values[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def labels(self) -> dict[str, str]:
        """What users call the entries, by their text: ``{"x_0": "state 'prey'"}`` of symbols."""
        pairs = zip(self._values, self._names, strict=True)
        return {str(value): f"{self._kind} {name!r}" for value, name in pairs}

    def __len__(self) -> int:
        return len(self._values)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the entries."""
        return self._names

    def without(self, names: Sequence[str]) -> Named:
        """Return the entries that are not called so."""
        pairs = zip(self._names, self._values, strict=True)
        kept = {name: value for name, value in pairs if name not in names}
        return Named(self._kind, tuple(kept), tuple(kept.values()))


@dataclass(frozen=True, eq=False)
class NetworkCall:
    """A call of a network whose result was left open.

    Attributes
    ----------
    name : of the network.
    inputs : CasADi column of what it was called with.
    outputs : symbols that stand for the result.
    """

    name: str
    inputs: Any
    outputs: Any


class Networks:
    """The networks of a right-hand side: ``nn.growth(x.prey, u.food)``; alone, just ``nn(x)``.

    Each is called with its weights at the time of the call.

    Parameters
    ----------
    networks, weights : by name.
    calls : takes a `NetworkCall` for every call, which then returns symbols; None evaluates.
    """

    def __init__(
        self,
        networks: Mapping[str, Network],
        weights: Mapping[str, Any],
        calls: list[NetworkCall] | None = None,
    ) -> None:
        self._networks, self._weights, self._calls = dict(networks), dict(weights), calls

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._networks:
            known = ", ".join(self._networks) or "none"
            raise InputError(f"there is no network {name!r}; there are: {known}.")
        return lambda *inputs: self._evaluate(name, inputs)

    def __call__(self, *inputs: Any) -> Any:
        """Evaluate the only network."""
        if len(self._networks) != 1:
            raise InputError(
                "nn(...) needs exactly one network; with several, call nn.<name>(...)."
            )
        return self._evaluate(next(iter(self._networks)), inputs)

    def derivative(self, *inputs: Any, name: str | None = None) -> Any:
        """Jacobian (outputs, inputs) of a network at a point; the name may be left out if alone."""
        if name is None and len(self._networks) != 1:
            raise InputError("nn.derivative(...) needs name= when there are several networks.")
        label = next(iter(self._networks)) if name is None else name
        variables = ca.SX.sym("z", stack(inputs).numel())
        value = stack([getattr(Networks(self._networks, self._weights), label)(variables)])
        return ca.substitute(ca.jacobian(value, variables), variables, stack(inputs))

    def _evaluate(self, name: str, inputs: Sequence[Any]) -> Any:
        network, column = self._networks[name], stack(inputs)
        if column.numel() != network.inputs:
            raise InputError(
                f"network {name!r} has {counted(network.inputs, 'input')}, but was called with {column.numel()}."
            )
        if self._calls is None:
            value = network.mlp(column, self._weights[name], CASADI)
        else:
            value = ca.SX.sym(f"{name}{len(self._calls)}", network.outputs)
            self._calls.append(NetworkCall(name, column, value))
        return value if network.outputs > 1 else value[0]


def stack(parts: Any) -> Any:
    """Stack scalars, vectors and `Named` into one CasADi column."""
    flat: list[Any] = []
    for part in parts if isinstance(parts, list | tuple | Named) else [parts]:
        flat.append(stack(part) if isinstance(part, list | tuple | Named) else part)
    return ca.vertcat(*flat)


RightHandSide = Callable[[Any, Named, Named, Named, Networks], Any]


class DynamicsLike(Protocol):
    """What a `Problem` asks of its dynamics."""

    @property
    def networks(self) -> Mapping[str, Network]:
        """Networks by name."""

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Physical parameters."""

    def rhs(self, t: Any, x: Named, u: Named, p: Named, nn: Networks) -> Any:
        """Return the state derivatives, one per state."""

    def normalised(self, ranges: Mapping[str, tuple[float, float]]) -> DynamicsLike:
        """Return the dynamics with network inputs and outputs scaled to the data's ranges."""


@dataclass(frozen=True)
class Dynamics:
    r"""User-written dynamics :math:`\dot x = f(t, x, u, p, \mathrm{NN}_\theta)`, known or in part.

    The function is called once, with symbols: ``x``, ``u`` and ``p`` hold states, inputs and
    parameters by name (``x.prey``, ``x["prey"]``, ``x[0]``), ``nn`` the networks
    (``nn.growth(x.prey)``; with a single one, ``nn(x)``).  It may use arithmetic, NumPy and CasADi
    functions, and no ``if`` on a state.

    Algebraic variables `z` have equations :math:`0=g(t,x,z,u,p,\mathrm{NN}_\theta)` instead of
    derivatives.  ``x`` holds them behind the states, by name like these (``x.flow``), in the right-hand
    side and in outputs, costs and constraints.

    Parameters
    ----------
    function : ``rhs(t, x, u, p, nn)``; returns a sequence or a mapping from state to derivative.
    networks : networks by name, `MLP` or `TimeVarying`.
    parameters : physical parameters.
    algebraics : algebraic variables, names with a first guess each (names alone: 1).  Their bounds and
        sizes are given to the `Problem` as those of states are.
    residuals : ``g(t, x, u, p, nn)``, as many values as algebraic variables, all zero along a solution;
        a mapping names the equations.
    index : differentiation index; above 1, where the equations do not determine all algebraic variables,
        they are solved as they stand, by stiffly accurate schemes.

    Raises
    ------
    InputError
        A name that is defined twice, a guess that is not finite, algebraic variables without equations
        or equations without variables, an index that is not 1, 2 or 3.

    Examples
    --------
    >>> decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x[0]], parameters=[Parameter("k", 1.0)])
    >>> [parameter.name for parameter in decay.parameters]
    ['k']

    A tank that drains through a valve; the flow q is what the valve lets through:

    >>> tank = Dynamics(
    ...     lambda t, x, u, p, nn: {"level": -x.q},
    ...     algebraics={"q": 0.5},
    ...     residuals=lambda t, x, u, p, nn: {"valve": x.q**2 - x.level},
    ... )
    >>> dict(tank.algebraics)
    {'q': 0.5}
    """

    function: RightHandSide
    networks: Mapping[str, Network] = field(default_factory=dict)
    parameters: Sequence[Parameter] = ()
    _: KW_ONLY
    algebraics: Mapping[str, float] | Sequence[str] = ()
    residuals: RightHandSide | None = None
    index: int = 1

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(
                f"Dynamics takes a function rhs(t, x, u, p, nn), not {shown(self.function)}; a network alone goes "
                "into NeuralODE(network)."
            )
        parameters = as_values(self.parameters, "Dynamics(parameters=...)", Parameter)
        object.__setattr__(self, "parameters", parameters)
        names = [p.name for p in self.parameters]
        repeated = {n for n in names if names.count(n) > 1}
        if repeated:
            raise InputError(f"parameter {repeated.pop()!r} is defined twice; rename one.")
        object.__setattr__(self, "algebraics", self._checked_algebraics())

    def _checked_algebraics(self) -> dict[str, float]:
        given = self.algebraics
        if isinstance(given, str):
            given = (given,)
        guesses = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given, 1.0)
        if len(guesses) != len(given):
            raise InputError(
                f"two algebraic variables have one name in {tuple(given)}; rename one."
            )
        for name, guess in guesses.items():
            if not isinstance(guess, int | float) or not np.isfinite(guess):
                raise InputError(
                    f"algebraic variable {name!r} has {guess!r} for a guess; give a finite number."
                )
            if name in {p.name for p in self.parameters}:
                raise InputError(
                    f"{name!r} is the name of a parameter and of an algebraic variable; rename one."
                )
        if guesses and self.residuals is None:
            raise InputError(
                f"algebraic variables {', '.join(guesses)} have no equations; give residuals=, "
                "one value each."
            )
        if self.residuals is not None and not guesses:
            raise InputError(
                "residuals= are the equations of algebraic variables, of which there are none; name "
                "them by algebraics=, or write an invariant as a PathConstraint."
            )
        if self.index not in (1, 2, 3) or (self.index > 1 and not guesses):
            raise InputError(
                f"index={self.index} of Dynamics must be 1, or 2 or 3 with algebraic variables."
            )
        return {name: float(guess) for name, guess in guesses.items()}

    def rhs(self, t: Any, x: Named, u: Named, p: Named, nn: Networks) -> Any:
        """Call the user's function."""
        return self.function(t, x, u, p, nn)

    def normalised(self, ranges: Mapping[str, tuple[float, float]]) -> Dynamics:
        """Return self: what a user's network is fed with is the user's choice."""
        return self


@dataclass(frozen=True)
class NeuralODE:
    r"""A network as the whole right-hand side, :math:`\dot x = N_\theta([t,]\,x[, u])`.

    Parameters
    ----------
    network : an `MLP`, or one that is `TimeVarying`; inputs = [time] + states [+ inputs], outputs = states.
    time : whether t is the first network input.
    inputs : names of the exogenous inputs that follow the states.
    """

    network: Network
    time: bool = False
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_type("NeuralODE", self.network, *get_args(Network))

    @property
    def networks(self) -> Mapping[str, Network]:
        """The network, under the name ``nn``."""
        return {"nn": self.network}

    @property
    def parameters(self) -> Sequence[Parameter]:
        """None."""
        return ()

    def rhs(self, t: Any, x: Named, u: Named, p: Named, nn: Networks) -> Any:
        """Return the network's output."""
        needed = self.time + len(x) + len(self.inputs)
        if self.network.inputs != needed or self.network.outputs != len(x):
            raise InputError(
                f"{counted(len(x), 'state')}{', time' if self.time else ''} and {counted(len(self.inputs), 'input')} need "
                f"an MLP from {needed} to {len(x)}, not {self.network.sizes}."
            )
        return nn.nn(stack([*([t] if self.time else []), x, *(u[name] for name in self.inputs)]))

    def normalised(self, ranges: Mapping[str, tuple[float, float]]) -> NeuralODE:
        """Scale states, time and inputs to about [-1, 1] and slopes to the data's own."""
        mlp = self.network.mlp
        if mlp.shift or mlp.scale or mlp.output_scale:
            return self
        states = [name for name in ranges if name.startswith("x:")]
        order = [*(["t"] if self.time else []), *states, *(f"u:{name}" for name in self.inputs)]
        fits = len(order) == self.network.inputs and len(states) == self.network.outputs
        if not fits or not all(name in ranges for name in order):
            return self  # rhs() will say what does not fit
        low, high = np.array([ranges[name] for name in order]).T
        slopes = [ranges[name.replace("x:", "slope:")][1] for name in states]
        shifted = self.network.normalised(0.5 * (low + high), 0.5 * (high - low), slopes)
        return replace(self, network=shifted)
