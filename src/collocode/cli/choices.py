"""What the command line chose, and what it leaves to the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model.problem import Problem
from .model_file import ModelFile, load_model
from .settings import parse_options, parse_settings


@dataclass(frozen=True)
class Choices:
    """What the command line chose beside the model; None leaves it to the model's DEFAULTS."""

    scheme: str | None
    degree: int | None
    elements: int | None
    start: str | None
    seed: int | None
    interface: str
    options: tuple[str, ...]
    deterministic: bool

    def over(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords of `fit`: these choices, then the model's defaults.

        A scheme that was chosen here does not take over the degree of the model's scheme.
        """
        given = {
            "scheme": self.scheme,
            "degree": self.degree,
            "mesh": self.elements,
            "start": self.start,
            "seed": self.seed,
        }
        chosen = {key: value for key, value in given.items() if value is not None}
        own = dict(defaults)
        if "scheme" in chosen and chosen["scheme"] != own.get("scheme"):
            own.pop("degree", None)
        options = {**own.pop("options", {}), **parse_options(self.options)}
        merged = {"scheme": "radau", "start": "gradient_matching", "seed": 0, **own, **chosen}
        return {
            **merged,
            "interface": self.interface,
            "options": options,
            "deterministic": self.deterministic,
        }


@dataclass(frozen=True)
class Task:
    """A model with its settings and the keywords of `fit`: what solve, sweep and multistart share.

    Attributes
    ----------
    model : the model file.
    values : settings given by ``--set``.
    how : keywords of `fit`.
    """

    model: ModelFile
    values: Mapping[str, Any]
    how: Mapping[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """All settings of the model, given or by default."""
        return {s.name: self.values.get(s.name, s.default) for s in self.model.settings}

    def problem(self, **more: Any) -> Problem:
        """Return the model's problem, with some settings replaced."""
        return self.model.identification({**self.values, **more})

    def command(self, name: str, **more: Any) -> dict[str, Any]:
        """Return what the report says of the command."""
        kept = ("start", "seed", "deterministic", "options")
        return {"name": name, **{key: self.how[key] for key in kept if key in self.how}, **more}


def task_of(path: Path, given: Sequence[str], choices: Choices, swept: Sequence[str] = ()) -> Task:
    """Load a model and read the settings; ``swept`` ones need not be given."""
    model = load_model(path)
    values = parse_settings(given, model.settings, swept)
    return Task(model, values, choices.over(model.defaults))
