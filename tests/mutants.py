"""Damaged archives: what a bad disk, another program or an enemy would make of a good one.

Most damage to the bytes of a zip file is caught by its checksums, so most mutants are made behind them:
the members are changed and signed anew.
"""

from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Members = dict[str, bytes]
POOL: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 7, 1.5, -0.5, 1e308, 10**30, "", "text", "1", [], {}),
    *([1], ["a"], [None], [[1.0]], {"a": 1}, {"$float": "nan"}, {"$float": "-inf"}),
    *({"$float": "1"}, {"$float": None}, {"$array": "header"}, {"$array": None}, {"$array": []}),
)


def mutants(path: Path, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield damaged versions of an archive, each with what was done to it."""
    whole, rng = path.read_bytes(), random.Random(seed)
    text = path.suffix == ".json"
    members = {} if text else _members(whole)
    kinds: list[Callable[[], tuple[str, bytes]]] = [
        lambda: _flipped(whole, rng),
        lambda: ("cut", whole[: rng.randrange(len(whole))]),
    ]
    if text:
        kinds += 8 * [lambda: _rewritten(whole, rng)]
    else:
        kinds += 2 * [lambda: _with(members, rng, _flipped)]
        kinds += 6 * [lambda: _header(members, rng)]
        kinds += 4 * [lambda: _with(members, rng, _array)]
        kinds += 1 * [lambda: _moved(members, rng)]
    for _ in range(count):
        yield rng.choice(kinds)()


def _members(whole: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _packed(members: Members) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _flipped(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    found = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        found[rng.randrange(len(found))] ^= rng.randrange(1, 256)
    return "bytes", bytes(found)


def _with(members: Members, rng: random.Random, change: Any) -> tuple[str, bytes]:
    name = rng.choice(sorted(members))
    words, data = change(members[name], rng)
    return f"{words} in {name}", _packed({**members, name: data})


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _array(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    v = np.load(io.BytesIO(data), allow_pickle=False)
    changes: dict[str, Callable[[], Any]] = {
        **{kind: lambda kind=kind: v.astype(kind) for kind in ("f4", "i8", "i1", "?", "c16", "U8")},
        "big-endian": lambda: v.astype(v.dtype.newbyteorder(">")),
        "flat": lambda: v.ravel(),
        "deeper": lambda: v[None],
        "shorter": lambda: v[:-1],
        "longer": lambda: np.concatenate([v, v]),
        "transposed": lambda: v.T,
        "empty": lambda: v[:0],
        "scalar": lambda: v.ravel()[0],
        "nan": lambda: np.where(np.arange(v.size).reshape(v.shape) == 0, np.nan, v),
        "inf": lambda: np.where(np.arange(v.size).reshape(v.shape) == v.size - 1, np.inf, v),
        "negative": lambda: -v,
        "huge": lambda: v * 1e300,
        "nothing": lambda: v * 0,
        "reversed": lambda: v[::-1],
        "one more": lambda: v + np.asarray(1, v.dtype),
    }
    for _ in range(20):
        name = rng.choice(sorted(changes))
        try:
            with np.errstate(all="ignore"):
                return name, _npy(np.asarray(changes[name]()))
        except Exception:  # such a change such an array does not have
            continue
    return "none", data


def _header(members: Members, rng: random.Random) -> tuple[str, bytes]:
    text = np.load(io.BytesIO(members["header.npy"])).tobytes()
    words, changed = _rewritten(text, rng)
    header = _npy(np.frombuffer(changed, np.uint8))
    return words, _packed({**members, "header.npy": header})


def _rewritten(text: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Change one place of a JSON text."""
    tree = json.loads(text)
    places: list[tuple[Any, Any, str]] = []
    _collect(tree, "", places)
    owner, key, place = rng.choice(places)
    how = rng.choice(["replace", "replace", "replace", "remove", "add", "swap"])
    if how == "replace":
        owner[key] = rng.choice(POOL)
        place = f"{place} = {owner[key]!r}"
    elif how == "remove":
        del owner[key]
    elif how == "add":
        if isinstance(owner, dict):
            owner[rng.choice(["x", "$x", "", "name"])] = rng.choice(POOL)
        else:
            owner.insert(0, rng.choice([owner[0], *POOL]))
    else:
        other, there, to = rng.choice(places)
        value, place = other[there], f"{place} with {to}"
        other[there] = copy.deepcopy(owner[key])
        owner[key] = value
    try:
        return f"{how} {place}", json.dumps(tree).encode()
    except (ValueError, RecursionError):  # swapped into itself
        return "cut", text[: len(text) // 2]


def _collect(tree: Any, place: str, places: list[tuple[Any, Any, str]]) -> None:
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in entries:
        here = f"{place}.{key}"
        places.append((tree, key, here))
        if isinstance(value, dict | list):
            _collect(value, here, places)


def _moved(members: Members, rng: random.Random) -> tuple[str, bytes]:
    one, other = rng.choice(sorted(members)), rng.choice(sorted(members))
    how = rng.choice(["lost", "renamed", "swapped", "added"])
    if how == "lost":
        found = {k: v for k, v in members.items() if k != one}
    elif how == "renamed":
        found = {f"{k}x" if k == one else k: v for k, v in members.items()}
    elif how == "swapped":
        found = {**members, one: members[other], other: members[one]}
    else:
        found = {**members, "more.npy": members[one]}
    return f"{how} {one}", _packed(found)


# ---- kinds: what an object is made of ---------------------------------------------------------------


def kinds(value: Any, place: str = "") -> set[tuple[str, str]]:
    """Return the types in an object, each with where it is (entries of one container alike).

    A field that may be None by its annotation counts as both.
    """
    name = type(value).__name__
    if isinstance(value, np.ndarray):
        return {(place, f"{value.dtype.name} {value.ndim}")}
    if isinstance(value, pd.DataFrame):
        return {(f"{place}.{c}", str(value[c].dtype)) for c in value}
    found = {(place, name)}
    if is_dataclass(value):
        for entry in fields(value):
            if not entry.name.startswith("_"):
                found |= kinds(getattr(value, entry.name), f"{place}.{entry.name}")
                if str(entry.type).endswith("| None"):
                    found.add((f"{place}.{entry.name}", "NoneType"))
    elif isinstance(value, dict):
        for key, inner in value.items():
            assert isinstance(key, str), (place, key)
            found |= kinds(inner, f"{place}.*")
    elif isinstance(value, tuple | list):
        for inner in value:
            found |= kinds(inner, f"{place}.*")
    return found
