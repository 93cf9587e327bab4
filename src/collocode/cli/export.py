"""``collocode export``: a model or a fit in the formats of other tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..export.casadi_files import nlp_functions, save_functions, write_c
from ..export.modelica import write_modelica
from ..export.nl import write_nl
from ..export.onnx import write_onnx
from ..export.pyomo_files import write_pyomo
from ..export.rewrite import EXP_ONLY
from ..export.weights import save_weights
from ..identify.fit import fit
from ..results.solution import Solution, load
from ..starts.strategies import start_from
from ..transcription.discretize import discretize
from ..transcription.nlp import NLP
from .choices import Choices, task_of
from .progress import live_progress
from .terminal import SOLVED, UNSOLVED, messages, output, say_warning

OF_NLP = (".nl", ".gms", ".bar", ".lp")
OF_BOTH = (".casadi", ".c")
OF_FIT = (".onnx", ".npz", ".mo")


@dataclass(frozen=True)
class Form:
    """How a file is to be written."""

    rewrite: bool
    scaling: bool
    network: str | None


def run_export(
    path: Path, target: Path, given: list[str], choices: Choices, form: Form, solve_first: bool
) -> int:
    """Write a model or a saved fit to ``target``; return the exit status."""
    ending = target.suffix
    if ending not in (*OF_NLP, *OF_BOTH, *OF_FIT):
        known = ", ".join((*OF_NLP, *OF_BOTH, *OF_FIT))
        raise InputError(f"--to {target} ends in no known format; there are {known}.")
    nlp: NLP | None = None
    solution: Solution | None = None
    if path.suffix == ".npz":
        if ending in OF_NLP:
            raise InputError(
                f"{path} is a saved fit, which has no NLP; give the model file and --solve."
            )
        solution = load(path)
    else:
        nlp, solution = _from_model(path, given, choices, solve_first or ending in OF_FIT)
    _write(target, nlp, solution, form)
    size = target.stat().st_size
    output().print(f"wrote {target} ({size:,} bytes)", soft_wrap=True)
    if solution is not None and not solution.success:
        say_warning(f"not solved: {solution.status}.")
        return UNSOLVED
    return SOLVED


def _from_model(
    path: Path, given: list[str], choices: Choices, solve_first: bool
) -> tuple[NLP, Solution | None]:
    task = task_of(path, given, choices)
    problem, how = task.problem(), dict(task.how)
    if solve_first:
        with live_progress(messages()) as show:
            solution = fit(problem, **how, on_iteration=show)
        assert solution.nlp is not None
        return solution.nlp, solution
    nlp = discretize(problem, how["scheme"], how.get("degree"), how.get("mesh"))
    return start_from(nlp, how["start"], how["seed"]), None


def _write(target: Path, nlp: NLP | None, solution: Solution | None, form: Form) -> None:
    rewrite = EXP_ONLY if form.rewrite else ()
    values = "start" if solution is None else solution
    writers: dict[str, Callable[[], object]] = {}
    if nlp is not None:
        whole = nlp if solution is None else nlp.with_start(solution.result.x)
        writers[".nl"] = lambda: write_nl(nlp, target, values, None, form.scaling, rewrite)
        for ending in (".gms", ".bar", ".lp"):
            writers[ending] = lambda: write_pyomo(nlp, target, values, rewrite)
        writers[".casadi"] = lambda: save_functions(nlp_functions(whole), target)
        writers[".c"] = lambda: write_c(nlp_functions(whole), target)
    if solution is not None:
        model = solution.model
        rhs = {"rhs": model.trained_function()} if nlp is None else {}
        writers.setdefault(".casadi", lambda: save_functions(rhs, target))
        writers.setdefault(".c", lambda: write_c(rhs, target))
        writers[".onnx"] = lambda: write_onnx(model.network(form.network), target)
        writers[".npz"] = lambda: save_weights(model.network(form.network), target)
        writers[".mo"] = lambda: write_modelica(solution, target)
    writers[target.suffix]()
