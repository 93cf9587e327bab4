"""What a right-hand side sees: vectors whose entries have names, and networks to call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import casadi as ca

from ..errors import InputError
from .activations import CASADI
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


class Networks:
    """The networks of a right-hand side: ``nn.growth(x.prey, u.food)``; alone, just ``nn(x)``.

    Each is called with its weights at the time of the call.
    """

    def __init__(self, networks: Mapping[str, Network], weights: Mapping[str, Any]) -> None:
        self._networks, self._weights = dict(networks), dict(weights)

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
        value = stack([getattr(self, label)(variables)])
        return ca.substitute(ca.jacobian(value, variables), variables, stack(inputs))

    def _evaluate(self, name: str, inputs: Sequence[Any]) -> Any:
        network, column = self._networks[name], stack(inputs)
        if column.numel() != network.inputs:
            raise InputError(
                f"network {name!r} has {network.inputs} inputs, but was called with {column.numel()}."
            )
        value = network.mlp(column, self._weights[name], CASADI)
        return value if network.outputs > 1 else value[0]


def stack(parts: Any) -> Any:
    """Stack scalars, vectors and `Named` into one CasADi column."""
    flat: list[Any] = []
    for part in parts if isinstance(parts, list | tuple | Named) else [parts]:
        flat.append(stack(part) if isinstance(part, list | tuple | Named) else part)
    return ca.vertcat(*flat)
