"""Events and dead times of an experiment in a Modelica model.

A bolus, dilution or reset is a ``reinit`` at its time, in turn, an infusion or switch an input that is a condition of
time, and an input of known dead time is Modelica's ``delay`` of what was sent: no step of a solver looks past them.
One whose dead time was estimated has the steps of the run inside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import InputError
from ..model.events import Dilution, Dose, Event, Reset, Switch
from ..model.experiment import Experiment
from ..model.impulses import placed, signals_of
from ..results.model import TrainedModel


@dataclass(frozen=True, kw_only=True)
class Acts:
    """What a Modelica model says of an experiment's events and dead times.

    Attributes
    ----------
    inputs : what stands for an input in the equations, by its name, where that is no variable.
    conditions : inputs that are conditions of time, by name.
    start : (states,) initial values, behind events at the start.
    clauses : lines of equations.
    """

    inputs: dict[str, str] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
    start: list[float] = field(default_factory=list)
    clauses: list[str] = field(default_factory=list)


def acts_of(
    model: TrainedModel,
    experiment: Experiment,
    start: Sequence[float],
    safe: Mapping[str, str],
    number: Callable[[float], str],
) -> Acts:
    """Return what a Modelica model says of events and dead times.

    Parameters
    ----------
    model : with the experiment's parameters.
    start : initial values.
    safe : identifiers of states, inputs and parameters, by name.
    number : how Modelica writes one.

    Raises
    ------
    InputError
        A reset to a function.
    """
    found = Acts(start=list(start))
    for name, by in model.dead_times.items():
        found.inputs[name] = f"delay({safe[name]}, {number(by)})"
    for name in model.widths:  # the steps of the run, as late as the parameter says
        told = [n for n in model.inputs if n.startswith(f"{name}.")]
        found.inputs.update({n: number(experiment.inputs[n].values[0].item()) for n in told})
        found.inputs[name] = "0.0"
    kinds = ("dose", "dilution", "reset to ")
    impulses = [
        n
        for n in model.inputs
        if n.startswith(tuple(f"{s}.{k}" for s in model.states for k in kinds))
    ]
    found.inputs.update(dict.fromkeys(impulses, "0.0"))
    events = placed(experiment.events, experiment.placed, experiment.instant)
    lasting = [e for e in events if isinstance(e, Switch) or (isinstance(e, Dose) and e.duration)]
    for name, signal in signals_of(lasting, experiment.instant).items():
        found.inputs[name] = safe[name]
        pieces = [
            f"if time < {number(t)} then {number(v)}"
            for t, v in zip(signal.times[1:].tolist(), signal.values.tolist(), strict=False)
        ]
        found.conditions[name] = " else ".join([*pieces, number(float(signal.values[-1]))])
    sudden = sorted((e for e in events if e not in lasting), key=lambda e: float(e.time))
    _reinitialised(found, model, experiment, sudden, safe, number)
    return found


def _reinitialised(
    found: Acts,
    model: TrainedModel,
    experiment: Experiment,
    sudden: Sequence[Event],
    safe: Mapping[str, str],
    number: Callable[[float], str],
) -> None:
    natural = dict(zip(model.parameter_names, model.natural(model.parameters), strict=True))
    assert experiment.start is not None
    later: dict[float, dict[str, str]] = {}
    for event in sudden:
        time = float(event.time)
        for state in event.states:
            j = model.states.index(state)
            if time <= experiment.start:
                found.start[j] = _after(event, state, found.start[j], natural)
                continue
            texts = later.setdefault(time, {})
            before = texts.get(safe[state], f"pre({safe[state]})")
            if isinstance(event, Dose):
                texts[safe[state]] = f"({before} + {number(event.amount)})"
            elif isinstance(event, Dilution):
                texts[safe[state]] = f"({before} * {number(event.factor)})"
            else:
                target = _target(event, state, natural)
                texts[safe[state]] = safe[target] if isinstance(target, str) else number(target)
    for time, texts in later.items():
        found.clauses.append(
            f"  {'elsewhen' if found.clauses else 'when'} time >= {number(time)} then"
        )
        found.clauses.extend(f"    reinit({name}, {text});" for name, text in texts.items())
    if later:
        found.clauses.append("  end when;")


def _after(event: Event, state: str, before: float, natural: Mapping[str, float]) -> float:
    if isinstance(event, Dose):
        return before + event.amount
    if isinstance(event, Dilution):
        return before * event.factor
    target = _target(event, state, natural)
    return float(natural[target] if isinstance(target, str) else target)


def _target(event: Event, state: str, natural: Mapping[str, float]) -> str | float:
    assert isinstance(event, Reset)
    target = event.to[state]
    if callable(target) or (isinstance(target, str) and target not in natural):
        raise InputError(
            f"a Modelica model does not say that {state!r} is reset to a function at {event.time:.12g}; reset it to a "
            "number or a parameter, or simulate here."
        )
    return target
