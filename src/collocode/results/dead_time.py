"""Inputs of dead time as a trained model reads them, made of signals as they were sent.

A model reads an input of known dead time as it arrives, and one whose dead time was estimated as an expression of
the steps that it had in the fit (`collocode.model.delays`); another signal is moved as a whole, its steps not rounded off.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import InputError, check_type
from ..model.delays import parts_of, shifted
from ..numerics.signals import Signal
from .model import TrainedModel


def arriving(model: TrainedModel, inputs: Mapping[str, Signal]) -> dict[str, Signal]:
    """Return all inputs of a model, from those that were sent; what has arrived already stays."""
    found = dict(inputs)
    natural = dict(zip(model.parameter_names, model.natural(model.parameters), strict=True))
    for name, by in model.dead_times.items():
        if name not in inputs:
            continue
        sent = inputs[name]
        check_type(f"simulate(inputs={{{name!r}: ...}})", sent, Signal)
        if not isinstance(by, str):
            found[name] = sent if sent.late else shifted(sent, by)
        elif not _tells(inputs, name):
            constants = {n: 0.0 for n in model.inputs if n.startswith(f"{name}.")}
            constants[f"{name}.width"] = 1.0
            at = sent.times[:1]
            found |= {n: Signal(at, np.array([v]), "zoh") for n, v in constants.items()}
            found[f"{name}.first"] = shifted(sent, natural[by])
    return found


def _tells(inputs: Mapping[str, Signal], name: str) -> bool:
    """Whether the constants beside an input are those of its steps."""
    if f"{name}.first" not in inputs:
        return False
    try:
        first, times, steps, bends = parts_of(inputs[name], name)
    except InputError:
        return False

    def told(what: str, count: int) -> np.ndarray:
        known = [inputs[n].values[0] for k in range(count) if (n := f"{name}.{what}{k}") in inputs]
        return np.array([*known, *np.full(count - len(known), np.nan)])

    rest = [n for n in inputs if n.startswith((f"{name}.step", f"{name}.bend"))]
    acting = sum(inputs[n].values[0] != 0.0 for n in rest)
    return bool(
        first == inputs[f"{name}.first"].values[0]
        and acting == (steps != 0.0).sum() + (bends != 0.0).sum()
        and np.array_equal(told("time", len(times)), times)
        and np.array_equal(told("step", len(times)), steps)
        and np.array_equal(told("bend", len(times)), bends)
    )
