"""An experiment as a tree of numbers and text for its file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ..forms import Numbers
from ..model.events import Dilution, Dose, Event, Reset, Switch
from ..model.experiment import Experiment
from ..model.initial import Initial
from ..model.window import Window
from ..numerics.signals import Signal

_SIGNAL = {
    "times": Numbers(("n",)),
    "values": Numbers(("n",)),
    "kind": str,
    "points": (Numbers(("pieces",)), None),
    "late": float,
}
_OF_SIGNAL = ("times", "values", "kind", "points", "late")
_EVENT = {
    "kind": Literal["Dose", "Dilution", "Reset", "Switch"],
    "time": (float, str),
    "of": [str],
    "values": [(float, str)],
}
_BY_FUNCTION = "a function"  # what a reset to one goes to, as a file tells it
EXPERIMENT = {
    "name": str,
    "times": Numbers(("times",)),
    "values": Numbers(("times", "outputs")),
    "weights": (Numbers(("times", "outputs")), None),
    "sigma": (Numbers(("times", "outputs")), None),
    "censored": (Numbers(("times", "outputs")), None),
    "replicates": bool,
    "outputs": [str],
    "start": (float, None),
    "end": (float, None),
    "inputs": {"*": _SIGNAL},
    "history": {"*": _SIGNAL},
    "initial": {"*": [float]},
    "parameters": {"*": (float, str)},
    "final": {"*": [float]},
    "events": [_EVENT],
    "placed": {"*": float},
    "instant": float,
}


def experiment_tree(experiment: Experiment) -> dict[str, Any]:
    """Return what a file holds of an experiment; what it decided by functions stays out."""
    return {
        "name": experiment.name,
        "times": experiment.times,
        "values": experiment.values,
        "weights": experiment.weights,
        "sigma": experiment.sigma,
        "censored": experiment.censored,
        "replicates": experiment.replicates,
        "outputs": experiment.outputs,
        "start": experiment.start,
        "end": experiment.end,
        **{
            what: {
                name: {part: getattr(signal, part) for part in _OF_SIGNAL}
                for name, signal in known.items()
                if isinstance(signal, Signal)
            }
            for what, known in (("inputs", experiment.inputs), ("history", experiment.history))
        },
        "parameters": dict(experiment.parameters),
        "events": [_event_tree(event) for event in experiment.events],
        "placed": dict(experiment.placed),
        "instant": experiment.instant,
        **{
            end: {k: [v.value, v.std] for k, v in known.items() if isinstance(v, Initial)}
            for end, known in (("initial", experiment.initial), ("final", experiment.final))
        },
    }


def _event_tree(event: Event) -> dict[str, Any]:
    """An event; of a reset by a function, that it is one."""
    if isinstance(event, Dose):
        values: list[Any] = [event.amount, event.duration]
    elif isinstance(event, Dilution):
        values = [event.factor]
    elif isinstance(event, Switch):
        values = [event.before, event.after]
    else:
        values = [_BY_FUNCTION if callable(target) else target for target in event.to.values()]
    of = [event.input] if isinstance(event, Switch) else list(event.states)
    return {"kind": type(event).__name__, "time": event.time, "of": of, "values": values}


def _event_of(tree: Mapping[str, Any]) -> Event:
    kind, time, of, values = (tree[k] for k in ("kind", "time", "of", "values"))
    if kind == "Reset":
        return Reset(time, dict(zip(of, values, strict=True)))
    if kind == "Dilution":
        (factor,) = values
        return Dilution(time, factor, of)
    (name,), (first, second) = of, values
    return Dose(time, first, name, second) if kind == "Dose" else Switch(time, name, first, second)


def _signals(tree: Mapping[str, Any]) -> dict[str, Signal]:
    return {name: Signal(**entry) for name, entry in tree.items()}


def experiment_of(tree: Mapping[str, Any]) -> Experiment:
    """Return the experiment, or window, that `experiment_tree` took apart."""
    kind = Experiment if len(tree["times"]) else Window
    made = kind(
        tree["times"],
        tree["values"],
        tuple(tree["outputs"]),
        weights=tree["weights"],
        sigma=tree["sigma"],
        censored=tree["censored"],
        replicates=tree["replicates"],
        inputs=_signals(tree["inputs"]),
        history=_signals(tree["history"]),
        initial={k: Initial(v, std) for k, (v, std) in tree["initial"].items()},
        final={k: Initial(v, std) for k, (v, std) in tree["final"].items()},
        parameters=tree["parameters"],
        name=tree["name"],
        start=tree["start"],
        end=tree["end"],
    )
    # their inputs are there as they were
    told = tuple(_event_of(event) for event in tree["events"])
    if not tree["placed"].keys() <= {event.time for event in told}:
        raise ValueError("a time that was placed is of no event")
    return made.with_events(told, tree["placed"], tree["instant"])
