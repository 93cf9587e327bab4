"""An experiment as a tree of numbers and text for its file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..forms import Numbers
from ..model.experiment import Experiment
from ..model.initial import Initial
from ..model.window import Window
from ..numerics.signals import Signal

_SIGNAL = {
    "times": Numbers(("n",)),
    "values": Numbers(("n",)),
    "kind": str,
    "points?": (Numbers(("pieces",)), None),
    "late?": float,
}
EXPERIMENT = {
    "name": str,
    "times": Numbers(("times",)),
    "values": Numbers(("times", "outputs")),
    "weights": (Numbers(("times", "outputs")), None),
    "sigma?": (Numbers(("times", "outputs")), None),
    "censored?": (Numbers(("times", "outputs")), None),
    "replicates?": bool,
    "outputs": [str],
    "start": (float, None),
    "end": (float, None),
    "inputs": {"*": _SIGNAL},
    "history?": {"*": _SIGNAL},
    "initial": {"*": [float]},
    "parameters?": {"*": (float, str)},
    "final?": {"*": [float]},
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
                name: {
                    part: getattr(signal, part)
                    for part in ("times", "values", "kind", "points", "late")
                }
                for name, signal in known.items()
                if isinstance(signal, Signal)
            }
            for what, known in (("inputs", experiment.inputs), ("history", experiment.history))
        },
        "parameters": dict(experiment.parameters),
        **{
            end: {k: [v.value, v.std] for k, v in known.items() if isinstance(v, Initial)}
            for end, known in (("initial", experiment.initial), ("final", experiment.final))
        },
    }


def _signals(tree: Mapping[str, Any]) -> dict[str, Signal]:
    return {
        k: Signal(v["times"], v["values"], v["kind"], v.get("points"), v.get("late", 0.0))
        for k, v in tree.items()
    }


def experiment_of(tree: Mapping[str, Any]) -> Experiment:
    """Return the experiment, or window, that `experiment_tree` took apart."""
    kind = Experiment if len(tree["times"]) else Window
    return kind(
        tree["times"],
        tree["values"],
        tuple(tree["outputs"]),
        weights=tree["weights"],
        sigma=tree.get("sigma"),
        censored=tree.get("censored"),
        replicates=tree.get("replicates", False),
        inputs=_signals(tree["inputs"]),
        history=_signals(tree.get("history", {})),
        initial={k: Initial(v, std) for k, (v, std) in tree["initial"].items()},
        final={k: Initial(v, std) for k, (v, std) in tree.get("final", {}).items()},
        parameters=tree.get("parameters", {}),
        name=tree["name"],
        start=tree["start"],
        end=tree["end"],
    )
