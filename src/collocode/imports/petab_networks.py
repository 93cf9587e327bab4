"""Networks of PEtab-SciML problems: mapping, hybridization and arrays.

A network has to be a perceptron, so that it is an `MLP` (`collocode.imports.petab_perceptron`).  Its weights become rows of the parameter table, one a weight, with
the array files' values as nominal ones.  Files are read as plain data: nothing in them is executed.
Source: https://petab-sciml.readthedocs.io, version 0.1 of the extension to PEtab 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..checks import counted
from ..errors import InputError
from ..model.network import MLP
from ..numerics import Array
from .petab_files import Arrays
from .petab_perceptron import Perceptron, read_perceptron
from .petab_rows import PetabParameter, is_number, parameter_of
from .petab_version2 import parameter_row

Row = dict[str, str]
_MOST_WEIGHTS = 5000  # each becomes a parameter
_ENTITY = re.compile(
    r"(?P<kind>inputs|outputs|parameters)(?P<rest>(\[\w+\])*)(\.(?P<array>\w+))?\Z"
)


class Begun(MLP):
    """An MLP that begins with given weights, whatever the seed; they are no part of what it is, nor stored."""

    start: ClassVar[tuple[float, ...]] = ()

    @classmethod
    def at(cls, mlp: MLP, start: Sequence[float]) -> Begun:
        """Return an MLP with the weights that it begins with."""
        begun = cls(mlp.sizes, mlp.activation)
        object.__setattr__(begun, "start", tuple(start))
        return begun

    def initial_weights(self, seed: int | np.random.Generator = 0) -> Array:
        """See `MLP`."""
        return np.array(self.start) if self.start else super().initial_weights(seed)


@dataclass(frozen=True, eq=False, kw_only=True)
class PetabNetwork:
    """A network of the problem.

    Attributes
    ----------
    id, mlp : its id and what it is.
    inputs : ids of its inputs, in order.
    outputs : which output the ids of outputs are.
    weights : ids of its weights, in the order of the MLP's vector.
    layers : ids of its layers, and whether they have a bias.
    """

    id: str
    mlp: MLP
    inputs: tuple[str, ...]
    outputs: Mapping[str, int]
    weights: tuple[str, ...]
    layers: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Hybrid:
    """All networks of a problem, and how they and its model are joined.

    Attributes
    ----------
    networks : of the problem.
    targets : the hybridization table, formulas by id.
    arrays : elements of inputs that array files give for all conditions.
    rows : of the parameter table, that stand for arrays of weights.
    """

    networks: tuple[PetabNetwork, ...] = ()
    targets: Mapping[str, str] = field(default_factory=dict)
    arrays: Mapping[str, float] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()


def read_networks(
    source: Path, given: Mapping[str, Any], rows: dict[str, list[Row]]
) -> tuple[Hybrid, list[PetabParameter]]:
    """Return the networks and their weights; take what is theirs out of the other tables' ``rows``.

    Parameters
    ----------
    source, given : the problem's YAML file, and its extension ``sciml``.
    rows : of all tables; the mapping and parameter tables lose the networks' rows, and the condition table
        gains a row for each element of an input that an array file gives by condition.

    Raises
    ------
    MissingDependency
        h5py is not installed.
    FileError, InputError
        What is damaged, does not fit together or is no perceptron, by file and id.
    """
    named = given.get("neural_networks")
    if not isinstance(named, dict) or not named:
        raise InputError(f"{source} has the extension sciml without neural_networks; add them.")
    targets: dict[str, str] = {}
    for row in rows.pop("hybridization", []):
        if row["targetId"] in targets:
            raise InputError(
                f"the hybridization table of {source} sets {row['targetId'][:60]!r} twice; leave one row."
            )
        targets[row["targetId"]] = row["targetValue"]
    arrays = Arrays(source, given.get("array_files") or [])
    mapping = rows.get("mapping", [])
    mine = [r for r in mapping if r["modelEntityId"].split(".")[0] in named]
    rows["mapping"] = [r for r in mapping if r not in mine]
    networks, weights, elements = [], [], dict[str, float]()
    before = rows["parameter"]
    for name, entry in named.items():
        shape = read_perceptron(source, str(name), entry)
        own = [r for r in mine if r["modelEntityId"].split(".")[0] == name]
        inputs, outputs = _ends(source, own, targets, arrays, rows, elements)
        picked = [i for k in shape.order for i in inputs.get(k, ())]
        if len(picked) != shape.mlp.inputs:
            raise InputError(
                f"the mapping table of {source} names {counted(len(picked), 'input')} of network {name!r}, which has "
                f"{shape.mlp.inputs}; name each."
            )
        bad = next((k for k in outputs.values() if k >= shape.mlp.outputs), None)
        if bad is not None:
            raise InputError(
                f"the mapping table of {source} names output {bad} of network {name!r}, which has "
                f"{shape.mlp.outputs}, counted from 0; correct it."
            )
        own_weights = _weights(source, str(name), shape, own, arrays, rows)
        weights += own_weights
        networks.append(
            PetabNetwork(
                id=str(name),
                mlp=shape.mlp,
                inputs=tuple(picked),
                outputs=outputs,
                weights=tuple(q.id for q in own_weights),
                layers=tuple(zip(shape.layers, shape.biased, strict=True)),
            )
        )
    if len(weights) > _MOST_WEIGHTS:
        raise InputError(
            f"the networks of {source} have {counted(len(weights), 'weight')}, more than the {_MOST_WEIGHTS} that are "
            "parameters of a fit; write the problem as a hybrid Dynamics."
        )
    found = Hybrid(
        networks=tuple(networks),
        targets=targets,
        arrays=elements,
        rows=tuple(r for r in before if r not in rows["parameter"]),
    )
    return found, weights


# ---- its ends and its weights ------------------------------------------------------------------------


def _ends(
    source: Path,
    own: Sequence[Row],
    targets: dict[str, str],
    arrays: Arrays,
    rows: dict[str, list[Row]],
    elements: dict[str, float],
) -> tuple[dict[int, tuple[str, ...]], dict[str, int]]:
    """Ids of the inputs by argument, and the outputs' numbers by id."""
    single: dict[int, dict[int, str]] = {}
    whole: dict[int, tuple[str, ...]] = {}
    outputs: dict[str, int] = {}
    for row in own:
        mine, entity = row["petabEntityId"], row["modelEntityId"]
        match = _ENTITY.match(entity.partition(".")[2])
        at = re.findall(r"\[(\w+)\]", match["rest"] or "") if match else []
        if match is None or (match["kind"] != "parameters" and not all(a.isdigit() for a in at)):
            raise InputError(
                f"the mapping table of {source} names {entity[:60]!r}, which is no part of a network; correct it."
            )
        if match["kind"] == "inputs" and len(at) == 1:
            values = arrays.inputs(mine)
            targets.pop(mine, None)
            first = next(iter(values.values()))
            whole[int(at[0])] = ids = tuple(f"{mine}[{k}]" for k in range(len(first)))
            for condition, array in values.items():
                pairs = zip(ids, array.tolist(), strict=True)
                if condition == "0":
                    elements.update(pairs)
                    continue
                rows.setdefault("condition", []).extend(
                    {"conditionId": condition, "targetId": i, "targetValue": repr(v)}
                    for i, v in pairs
                )
        elif match["kind"] == "inputs" and len(at) == 2:
            single.setdefault(int(at[0]), {})[int(at[1])] = mine
        elif match["kind"] == "outputs" and len(at) == 2 and at[0] == "0":
            outputs[mine] = int(at[1])
        elif match["kind"] != "parameters":
            raise InputError(
                f"the mapping table of {source} names {entity[:60]!r}, an array of several dimensions, which "
                "is not supported."
            )
    inputs = {k: tuple(parts[j] for j in sorted(parts)) for k, parts in single.items()}
    return {**inputs, **whole}, outputs


def _weights(
    source: Path,
    name: str,
    shape: Perceptron,
    own: Sequence[Row],
    arrays: Arrays,
    rows: dict[str, list[Row]],
) -> list[PetabParameter]:
    """A parameter for every weight, by the row of the parameter table that names the least around it."""
    table = {row["parameterId"]: row for row in rows["parameter"]}
    parts: dict[str, Row] = {}
    for row in own:
        entity = row["modelEntityId"].partition(".")[2]
        if entity.startswith("parameters") and row["petabEntityId"] in table:
            parts[entity] = table[row["petabEntityId"]]
            rows["parameter"] = [r for r in rows["parameter"] if r is not parts[entity]]
    mlp, found = shape.mlp, dict[tuple[int, str], list[PetabParameter]]()
    for number, (layer, biased) in enumerate(zip(shape.layers, shape.biased, strict=True)):
        sizes = {
            "weight": (mlp.sizes[number + 1], mlp.sizes[number]),
            "bias": (mlp.sizes[number + 1],),
        }
        for array, size in sizes.items():
            base = f"{name}.{layer}.{array}"
            if array == "bias" and not biased:
                values, like = np.zeros(size), _fixed(base)
            else:
                names = (f"parameters[{layer}].{array}", f"parameters[{layer}]", "parameters")
                row = next((parts[n] for n in names if n in parts), {})
                if not row:
                    raise InputError(
                        f"the parameter table of {source} has no row for {array} of layer {layer!r} of network "
                        f"{name!r}; map one to {name}.parameters."
                    )
                values, like = _nominal(source, row, arrays, name, layer, array, size)
            labels = [f"{base}[{','.join(map(str, i))}]" for i in np.ndindex(*size)]
            each = [
                replace(like, id=label, nominal=float(v))
                for label, v in zip(labels, values.ravel(), strict=True)
            ]
            if array == "weight":  # the MLP's vector has them column by column
                order = np.arange(len(each)).reshape(size).ravel(order="F")
                each = [each[k] for k in order]
            found[number, array] = each
    return [q for key in found for q in found[key]]


def _fixed(name: str) -> PetabParameter:
    inf = float("inf")
    return PetabParameter(id=name, scale="lin", lower=-inf, upper=inf, nominal=0.0, estimated=False)


def _nominal(
    source: Path,
    row: Row,
    arrays: Arrays,
    name: str,
    layer: str,
    array: str,
    size: tuple[int, ...],
) -> tuple[Array, PetabParameter]:
    """Nominal values of an array, and a parameter like each of its elements."""
    text = row.get("nominalValue", "")
    number = float(text) if is_number(text) else 0.0
    like = parameter_of(parameter_row({**row, "nominalValue": repr(number)}))
    if is_number(text):
        return np.full(size, number), like
    if text != "array":
        raise InputError(
            f"nominalValue of parameter {row['parameterId']!r} of {source} is {text[:40]!r}; a network's is a "
            "number or array."
        )
    values = arrays.weights(name, layer, array)
    if values.shape != size:
        raise InputError(
            f"array {array} of layer {layer!r} of network {name!r} has shape {values.shape} in the array files "
            f"of {source}, but the network needs {size}; correct one."
        )
    return values, like
