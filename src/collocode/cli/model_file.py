"""Model files: Python files that define ``problem(...)`` with keyword parameters.

It returns a `collocode.Problem`, a `collocode.layered.LayeredProblem`, or a `collocode.Program` that a
`collocode.ProgramBuilder` has built.  The YAML file of a PEtab problem does as well.

For ``collocode horizon`` they may define ``plant(...)``, which returns what answers to the moves (a
`collocode.Problem`, or a function), and ``HORIZON``, such as ``{"sample": 0.25, "moves": 40}``.

For ``collocode relu`` they define ``surrogate(...)``, which returns a `collocode.relu.Surrogate`.

A model that wants another mesh, scheme or start than the usual one says so beside ``problem`` in
``DEFAULTS``, keywords of `fit` such as ``{"scheme": "gauss", "mesh": 40, "start": "horizon"}``;
options of the command line go before them, and from Python it is ``fit(problem(), **DEFAULTS)``.
For a layered network they are keywords of `collocode.layered.trainers.train`, and ``trainer``.
"""

from __future__ import annotations

import difflib
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

import collocode as cc

from ..errors import CollocodeError, FileError, InputError
from .settings import Setting, settings_of

PETAB = (".yaml", ".yml")  # files of these names are PEtab problems
DEFAULTS = ("scheme", "degree", "mesh", "start", "seed", "options")
HORIZON = ("sample", "moves", "setpoints")
LAYERED_DEFAULTS = ("trainer", "iterations", "tolerance", "patience", "seed")


@dataclass(frozen=True)
class ModelFile:
    """A loaded model file.

    Attributes
    ----------
    path : the file, as it was given.
    summary : first line of its docstring.
    function : its ``problem``, or its ``surrogate``.
    settings : what ``--set`` reaches.
    defaults : its ``DEFAULTS``, keywords of `fit` or of `train`.
    plant, horizon : its ``plant``, if it has one, and its ``HORIZON``.
    """

    path: Path
    summary: str
    function: Callable[..., Any]
    settings: tuple[Setting, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    plant: Callable[..., Any] | None = None
    horizon: Mapping[str, Any] = field(default_factory=dict)

    def answer(self, values: Mapping[str, Any]) -> Any:
        """Call ``plant(...)`` with the settings that it takes; None if there is no such function."""
        if self.plant is None:
            return None
        known = {setting.name for setting in settings_of(self.plant)}
        with _explained(self.path, "plant()"), _beside(self.path):
            return self.plant(**{name: v for name, v in values.items() if name in known})

    def problem(
        self, values: Mapping[str, Any]
    ) -> cc.Problem | cc.layered.LayeredProblem | cc.Program:
        """Call ``problem(**values)``.

        Raises
        ------
        InputError
            It raises, with the place and the message, or it returns something else, or its DEFAULTS
            are those of the other kind.
        """
        made = self._call("problem", values)
        layered = is_layered(made)
        if not layered and not isinstance(made, cc.Problem | cc.Program):
            raise InputError(
                f"{self.path}: problem() returned {_described(type(made).__name__)}, not a "
                "collocode.Problem; end it with `return cc.Problem(...)`."
            )
        _check_names(
            self.path, "DEFAULTS", self.defaults, LAYERED_DEFAULTS if layered else DEFAULTS
        )
        return made

    def identification(self, values: Mapping[str, Any]) -> cc.Problem:
        """Call ``problem(**values)`` for a command that fits dynamics.

        Raises
        ------
        InputError
            As `problem`, or it returns a layered network.
        """
        return self.identified(self.problem(values))

    def identified(self, made: cc.Problem | cc.layered.LayeredProblem | cc.Program) -> cc.Problem:
        """Return what `problem` made if its dynamics are to be fitted.

        Raises
        ------
        InputError
            As `identification`.
        """
        if isinstance(made, cc.Problem):
            return made
        raise InputError(
            f"{self.path} is a nonlinear program without data; use collocode solve or export."
            if isinstance(made, cc.Program)
            else f"{self.path} is a layered network; use collocode train, refine or grow for it."
        )

    def layered(self, values: Mapping[str, Any]) -> cc.layered.LayeredProblem:
        """Call ``problem(**values)`` for a command that trains layers.

        Raises
        ------
        InputError
            As `problem`, or it returns a `collocode.Problem`.
        """
        made = self.problem(values)
        if is_layered(made):
            return made
        raise InputError(
            f"{self.path} is no layered network but dynamics to be identified; use collocode solve, "
            "sweep, multistart, refine or admm for it."
            if isinstance(made, cc.Problem)
            else f"{self.path} is a nonlinear program without layers; use collocode solve or export."
        )

    def surrogate(self, values: Mapping[str, Any]) -> cc.relu.Surrogate:
        """Call ``surrogate(**values)``.

        Raises
        ------
        InputError
            As `problem`.
        """
        made = self._call("surrogate", values)
        if not isinstance(made, cc.relu.Surrogate):
            raise InputError(
                f"{self.path}: surrogate() returned {_described(type(made).__name__)}, not a "
                "collocode.relu.Surrogate; end it with `return relu.Surrogate(...)`."
            )
        return made

    def _call(self, name: str, values: Mapping[str, Any]) -> Any:
        with _explained(self.path, f"{name}()"), _beside(self.path):
            return self.function(**values)


def load_model(path: Path, wanted: str = "problem") -> ModelFile:
    """Run a model file and find its ``problem``, or what else is ``wanted``; a PEtab problem is read.

    Raises
    ------
    FileError
        No such file, or no Python file.
    InputError
        It cannot be compiled or run, or has no function of that name.
    """
    if wanted == "problem" and path.suffix in PETAB:
        return ModelFile(path, f"PEtab problem {path.name}", partial(cc.from_petab, path), ())
    source = _source(path, wanted)
    module = types.ModuleType(f"collocode_model_{path.stem}")
    module.__file__ = str(path.resolve())
    try:
        code = compile(source, str(path), "exec")
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"{path}:{line}" if line else str(path)
        raise InputError(f"{place}: {getattr(error, 'msg', error)} (syntax error).") from error
    sys.modules[module.__name__] = module  # dataclasses and pickle look there
    with _explained(path, "the file"), _beside(path):
        exec(code, module.__dict__)
    function = getattr(module, wanted, None)
    if not callable(function):
        near = difflib.get_close_matches(wanted, dir(module), n=1)
        hint = f" (there is {near[0]!r})" if near else ""
        made = {"problem": "cc.Problem", "surrogate": "relu.Surrogate"}[wanted]
        raise InputError(
            f"{path} defines no function {wanted}(){hint}; add `def {wanted}(...): return "
            f"{made}(...)`."
        )
    lines = (module.__doc__ or "").strip().splitlines()
    settings = tuple(settings_of(function))
    return ModelFile(
        path,
        lines[0] if lines else "",
        function,
        settings,
        _defaults(path, module),
        getattr(module, "plant", None),
        _horizon(path, module),
    )


def _horizon(path: Path, module: types.ModuleType) -> dict[str, Any]:
    given = getattr(module, "HORIZON", {})
    if not isinstance(given, Mapping):
        raise InputError(f"{path}: HORIZON is no mapping; write HORIZON = {{'sample': 0.25}}.")
    _check_names(path, "HORIZON", given, HORIZON)
    return dict(given)


def _defaults(path: Path, module: types.ModuleType) -> dict[str, Any]:
    given = getattr(module, "DEFAULTS", {})
    if not isinstance(given, Mapping):
        raise InputError(f"{path}: DEFAULTS is no mapping; write DEFAULTS = {{'mesh': 40}}.")
    _check_names(path, "DEFAULTS", given, tuple(dict.fromkeys(DEFAULTS + LAYERED_DEFAULTS)))
    if not isinstance(given.get("options", {}), Mapping):
        raise InputError(f"{path}: options in DEFAULTS is no mapping; write {{'max_iter': 900}}.")
    return dict(given)


def _check_names(path: Path, what: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}."
            raise InputError(f"{path}: {what} has {name!r}, which does not exist; {hint}")


def is_layered(made: Any) -> TypeGuard[cc.layered.LayeredProblem]:
    """Whether a model's problem is a layered network; loads nothing for those that are not."""
    layered = sys.modules.get("collocode.layered.objective")  # whoever made one has loaded it
    return layered is not None and isinstance(made, layered.LayeredProblem)


def _source(path: Path, wanted: str) -> str:
    if not path.exists():
        raise FileError(f"there is no model file {str(path)!r}; check the path.")
    if path.is_dir() or path.suffix != ".py":
        what = "a folder" if path.is_dir() else "not a Python file (.py)"
        raise FileError(f"{path} is {what}; give a Python file that defines {wanted}().")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise FileError(f"{path} cannot be read ({reason}).") from error


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Let the model import modules that lie beside it."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


@contextmanager
def _explained(path: Path, what: str) -> Iterator[None]:
    """Turn whatever the model raises into one sentence with file and line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        place = _place(path, error)
        if isinstance(error, CollocodeError):
            raise type(error)(f"{place}: {error}") from error
        message = " ".join(str(error).split()) or "no message"
        if isinstance(error, ImportError):
            message += "; install what it needs or put it beside the model"
        raise InputError(
            f"{place}: {what} raised {type(error).__name__}: {message.rstrip('.')}."
        ) from error


def _place(path: Path, error: BaseException) -> str:
    """Innermost line of the model file in the traceback, as file:line."""
    own = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    return f"{path}:{own[-1]}" if own else str(path)


def _described(name: str) -> str:
    return "nothing" if name == "NoneType" else f"an object of type {name!r}"
