"""Whether a value is of the class that a function takes; else the sentence that refuses it.

The sentence says what the caller means who gives one thing for another, and how what is wanted is made: two
tables by names of classes, so that this file imports none of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar

from .errors import InputError

_P = ParamSpec("_P")
_R = TypeVar("_R")

# what to pass instead, by what is wanted and what was given
INSTEAD: dict[str, dict[str, str]] = {
    "Program": {
        "Problem": "pass discretize(problem)",
        "Solution": "pass solution.nlp",
        "ProgramSolution": "pass solution.program",
        "ProgramBuilder": "pass builder.build()",
        "Experiment": "make a Problem of it, then discretize(problem)",
        "LayeredProblem": "pass layered.layered_program(problem.objective, weights)",
        "str": "read_nl(path) reads a file",
        "PathLike": "read_nl(path) reads a file",
    },
    "Problem": {
        "Experiment": "pass Problem(dynamics, experiment)",
        "list": "pass Problem(dynamics, experiments)",
        "tuple": "pass Problem(dynamics, experiments)",
        "Dynamics": "pass Problem(dynamics, experiments)",
        "MLP": "pass Problem(NeuralODE(network), experiments)",
        "NLP": "pass nlp.problem",
        "Program": "solve(program) solves it",
        "Solution": "pass solution.nlp.problem",
        "ProgramBuilder": "solve(builder.build()) solves it",
        "LayeredProblem": "layered.train(problem.objective) trains it, refine_layers(problem) refines it",
        "DataFrame": "pass Problem(dynamics, from_frame(frame))",
        "str": "read_csv(path) reads data",
        "PathLike": "read_csv(path) reads data",
    },
    "Solution": {
        "Problem": "pass fit(problem)",
        "NLP": "pass solve(nlp)",
        "Program": "pass solve(program)",
        "SolverResult": "pass the Solution that it belongs to",
        "Multistart": "pass result.best",
        "Sweep": "pass result.solution",
        "MeshRefinement": "pass result.solution",
        "ADMMResult": "pass result.solution",
        "TrainedModel": "pass the Solution that it belongs to",
        "str": "pass load(path)",
        "PathLike": "pass load(path)",
    },
    "TrainedModel": {
        "Problem": "pass fit(problem).model",
        "TrainedNetwork": "pass the solution that it belongs to",
        "Multistart": "pass result.best",
        "Sweep": "pass result.solution",
        "MeshRefinement": "pass result.solution",
        "ADMMResult": "pass result.solution",
        "str": "pass load(path).model",
    },
    "TrainedNetwork": {
        "Training": "a layered network is no such network; training.save(path) writes it",
        "MLP": "pass TrainedNetwork(network, weights)",
        "Problem": "pass fit(problem).network()",
        "Multistart": "pass result.best",
        "Sweep": "pass result.solution",
        "MeshRefinement": "pass result.solution",
        "ADMMResult": "pass result.solution",
        "str": "pass load_weights(path)",
    },
    "NlModel": {"str": "pass read_nl(path)", "NLP": "write_nl(nlp, path) writes its file"},
    "LayeredProblem": {
        "Problem": "pass a layered.LayeredProblem; refine(problem) takes this one",
        "LayeredNetwork": "pass layered.LayeredProblem(network, samples)",
    },
    "Objective": {"LayeredProblem": "pass problem.objective"},
    "MLP": {"TrainedNetwork": "pass network.network", "tuple": "pass MLP(sizes)"},
    "PathLike": {"Solution": "solution.save(path) writes it"},
}
INSTEAD["Cost"] = {"function": "wrap it: Lagrange(function) or Mayer(function)"}
INSTEAD["NLP"] = INSTEAD["Program"]
# how what is wanted is made, where nothing can be said of what was given
MADE: dict[str, str] = {
    "ADMMResult": "admm(problem) returns one",
    "Bounds": "relu.proved_bounds(network, box) returns them",
    "Calibration": "Calibration() is one",
    "ClosedLoop": "RecedingHorizon.run(...) returns one",
    "Control": "Control(lower, upper) is one",
    "Dynamics": "make one: Dynamics(function), or NeuralODE(MLP(sizes))",
    "Experiment": "make one: Experiment(times, values), or read_csv(path)",
    "Figure": "the functions of collocode.plots return one",
    "Function": "make one by CasADi, casadi.Function",
    "Growth": "grow(problem) returns one",
    "LayeredNetwork": "make one: layered.LayeredNetwork(...)",
    "LayeredProblem": "make one: layered.LayeredProblem(network, samples)",
    "LayerRefinement": "refine_layers(problem) returns one",
    "Mapping": "give them by name, {name: ...}",
    "Mesh": "make one: Mesh.uniform(start, end, elements)",
    "MeshRefinement": "refine(problem) returns one",
    "MLP": "make one: MLP((2, 16, 2))",
    "Multistart": "multistart(problem) returns one",
    "NlFile": "write_nl(program, path) returns one",
    "NlModel": "read_nl(path) returns one",
    "NLP": "discretize(problem) makes one",
    "Objective": "make one: layered.Objective(network, samples)",
    "Parameter": 'make one: Parameter("k", 1.0)',
    "PathLike": "give the path of a file",
    "PetabProblem": "read_petab(path) returns one",
    "Problem": "make one: Problem(dynamics, experiments)",
    "Program": "discretize(problem) makes one, or ProgramBuilder",
    "PyomoExport": "to_pyomo(program) returns one",
    "ReluNetwork": "make one: relu.ReluNetwork(weights, biases), or read it by relu.ReluNetwork.from_onnx(path)",
    "Samples": "make one: layered.Samples(inputs, targets)",
    "Signal": "make one: Signal(times, values)",
    "Simulation": "simulate(model, initial, times) returns one",
    "Solution": "fit(problem) returns one",
    "SolverResult": "solve_nl(path) returns one, and solution.result is one",
    "Steady": "Steady() is one",
    "Sweep": "sweep(problem) returns one",
    "TrainedModel": "fit(problem).model is one",
    "TrainedNetwork": "fit(problem).network() is one",
    "Training": "layered.train(objective) returns one",
    "TrainingResult": "relu.train(x, y) returns one",
    "Truth": "make one: Truth(rhs, initial)",
    "Window": "make one: Window(end=..., controls=...)",
}


def check_type(function: str, value: object, *kinds: type) -> None:
    """Refuse a value that is of none of the kinds; say what to pass instead, where that is known.

    Raises
    ------
    InputError
        It is none.

    Examples
    --------
    >>> check_type("area", "3", float, int)
    Traceback (most recent call last):
    collocode.errors.InputError: area takes a float or an int, not a str.
    """
    if not isinstance(value, kinds):
        raise _of_another_kind(function, value, [kind.__name__ for kind in kinds])


def _of_another_kind(function: str, value: object, kinds: Sequence[str]) -> InputError:
    """Return the sentence about a value that is of none of the kinds, by their names."""
    given = type(value)
    first = "PathLike" if kinds[0] in ("str", "Path") else kinds[0]
    known, names = INSTEAD.get(first, {}), [kind.__name__ for kind in given.__mro__]
    names += ["PathLike"] if hasattr(value, "__fspath__") else []
    instead = next((known[name] for name in names if name in known), MADE.get(first, ""))
    wanted = " or ".join(_with_article(kind) for kind in kinds)
    told = _with_article(given.__name__) if value is not None else "None"
    told = f"the class {value.__name__}" if isinstance(value, type) else told
    return InputError(f"{function} takes {wanted}, not {told}{instead and '; '}{instead}.")


def kinds_checked(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a function that asks its arguments for attributes: those of another kind are refused by `check_type`'s words.

    Arguments whose annotation names classes of `MADE`, or a path, are looked at.

    Examples
    --------
    >>> @kinds_checked
    ... def draw(solution: "Solution") -> None: ...
    >>> draw(3)
    Traceback (most recent call last):
    collocode.errors.InputError: draw takes a Solution, not an int; fit(problem) returns one.
    """
    signature, wanted = inspect.signature(function), {}
    for name, argument in signature.parameters.items():
        kinds = alternatives(str(argument.annotation).strip("'\""))
        if set(kinds) <= {"str", "Path", *MADE}:
            wanted[name] = kinds

    @wraps(function)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            kinds = wanted.get(name)
            names = [kind.__name__ for kind in type(value).__mro__]
            names += ["Path"] if hasattr(value, "__fspath__") else []
            if kinds and not any(kind in names for kind in kinds):
                raise _of_another_kind(function.__name__, value, kinds)
        return function(*args, **kwargs)

    return checked


def alternatives(annotation: str) -> list[str]:
    """The parts of a union, those inside brackets left whole."""
    parts, depth = [""], 0
    for sign in annotation.replace(" ", ""):
        depth += (sign == "[") - (sign == "]")
        if sign == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _with_article(name: str) -> str:
    name = {"PathLike": "path", "Mapping": "dict"}.get(name, name)
    return f"{'an' if name[0] in 'AEIOUaeio' or name in ('NLP', 'MLP', 'ndarray', 'NlFile', 'NlModel') else 'a'} {name}"
