r"""A network's YAML file in PEtab-SciML's format, as an `MLP`.

The file lists layers and the operations of a forward pass.  A chain of Linear layers with one activation
between them, and nothing else, is a perceptron; what is not is refused by the name of the layer or operation.
Source: https://petab-sciml.readthedocs.io, the YAML format for machine learning models.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checks import counted
from ..errors import InputError
from ..files import refusing
from ..model.network import MLP
from .petab_files import names_beside, read_yaml

_WHAT = "a network of PEtab-SciML"
_ACTIVATIONS = {  # torch's names and ours; its gelu is the exact one, which ours is not
    "tanh": "tanh", "sigmoid": "sigmoid", "softplus": "softplus", "silu": "swish", "relu": "relu", "elu": "elu",
}  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class Perceptron:
    """What a file says: the MLP, the ids of its layers, which have a bias, and the order of its arguments."""

    mlp: MLP
    layers: tuple[str, ...]
    biased: tuple[bool, ...]
    order: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Layer:
    kind: str
    options: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Step:
    name: str
    kind: str
    target: str
    arguments: Sequence[Any]
    options: Mapping[str, Any]


def read_perceptron(source: Path, name: str, entry: Any) -> Perceptron:
    """Read the network that a problem's YAML file ``source`` calls ``name``.

    Raises
    ------
    FileError
        A file that is missing, too large or damaged.
    InputError
        Another format, or a network that is no perceptron, by what makes it one.
    """
    told = entry if isinstance(entry, dict) else {}
    if str(told.get("format", "YAML")).upper() != "YAML":
        raise InputError(
            f"network {name!r} of {source} is in format {str(told.get('format'))[:40]!r}, which is not supported; "
            "describe it by PEtab-SciML's YAML."
        )
    location = names_beside(source, [told.get("location")], f"the location of network {name!r}")[0]
    path = source.parent / location
    content = read_yaml(path, _WHAT)
    with refusing(path, _WHAT):
        layers = {
            str(one["layer_id"]): _Layer(
                kind=str(one["layer_type"]), options=dict(one.get("args") or {})
            )
            for one in content["layers"]
        }
        steps = [
            _Step(
                name=str(one["name"]),
                kind=str(one["op"]),
                target=str(one["target"]),
                arguments=list(one.get("args") or []),
                options=dict(one.get("kwargs") or {}),
            )
            for one in content["forward"]
        ]
    where = f"network {name!r} of {path}"
    chain = list(_chain(steps, layers, where))
    order = _order(steps, where)
    with refusing(path, _WHAT):
        sizes = [
            (int(layers[n].options["in_features"]), int(layers[n].options["out_features"]))
            for kind, n in chain
            if kind == "Linear"
        ]
    return _perceptron(chain, layers, sizes, order, where)


def _chain(
    steps: Sequence[_Step], layers: Mapping[str, _Layer], where: str
) -> Iterator[tuple[str, str]]:
    """Layers and activations in their order, as ("Linear", its id) and ("tanh", "")."""
    last, begun = "", False
    for step in steps:
        if not begun and (step.kind == "placeholder" or step.target == "cat"):
            last = step.name  # of several arguments the order is looked at by `_order`
            continue
        begun = True
        if [str(a) for a in step.arguments] != [last]:
            raise InputError(
                f"{where} is no chain of layers, as {step.name[:60]!r} takes {str(step.arguments)[:60]}, which is not "
                "supported; write one."
            )
        last, target, options = step.name, step.target, step.options
        if step.kind == "output":
            return
        if step.kind == "call_module":
            layer = layers.get(target, _Layer(kind=target, options={}))
            if layer.kind == "Linear":
                yield "Linear", target
                continue
            target, options = layer.kind, layer.options
        given = {k: v for k, v in options.items() if k != "inplace"}
        known = target.lower() in _ACTIVATIONS
        if not known or given:
            told = f"{target} with {', '.join(map(str, given))}" if known else target
            raise InputError(
                f"{where} has {told[:80]!r} ({step.name[:60]}), which is not supported; Linear layers with one of "
                f"{', '.join(_ACTIVATIONS)} between them are."
            )
        yield _ACTIVATIONS[target.lower()], ""


def _perceptron(
    chain: Sequence[tuple[str, str]],
    layers: Mapping[str, _Layer],
    sizes: Sequence[tuple[int, int]],
    order: tuple[int, ...],
    where: str,
) -> Perceptron:
    """The MLP of a chain, whose hidden layers have one activation and whose last has none."""
    kinds = [kind for kind, _ in chain]
    names = tuple(name for kind, name in chain if kind == "Linear")
    spots = [k for k, kind in enumerate(kinds) if kind == "Linear"]
    if not spots or spots[0] != 0 or spots[-1] != len(kinds) - 1 or len({*names}) < len(names):
        raise InputError(
            f"{where} does not begin and end with Linear layers of its own, which is not supported; write it so."
        )
    gaps = [kinds[a + 1 : b] or ["linear"] for a, b in itertools.pairwise(spots)]
    used = sorted({kind for gap in gaps for kind in gap})
    if len(used) > 1 or any(len(gap) > 1 for gap in gaps):
        raise InputError(
            f"{where} has more than one activation ({', '.join(used)}), which is not supported; use one for all."
        )
    if any(a[1] != b[0] for a, b in itertools.pairwise(sizes)):
        raise InputError(f"{where} has layers whose sizes do not fit together; correct them.")
    return Perceptron(
        mlp=MLP((sizes[0][0], *(out for _, out in sizes)), used[0] if used else "tanh"),
        layers=names,
        biased=tuple(bool(layers[n].options.get("bias", True)) for n in names),
        order=order,
    )


def _order(steps: Sequence[_Step], where: str) -> tuple[int, ...]:
    """In which order the network's arguments are put together."""
    places = [step.name for step in steps if step.kind == "placeholder"]
    cat = [step for step in steps if step.target == "cat"]
    if not cat and len(places) == 1:
        return (0,)
    first = cat[0].arguments[0] if len(cat) == 1 and cat[0].arguments else []
    joined = [str(n) for n in first] if isinstance(first, list) else []
    if sorted(joined) != sorted(places):
        raise InputError(
            f"{where} does not join its {counted(len(places), 'argument')} by one cat before its first layer, which is not "
            "supported; write it so."
        )
    return tuple(places.index(n) for n in joined)
