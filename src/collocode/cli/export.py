"""``collocode export``: a model or a fit in the formats of other tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

import collocode as cc

from ..errors import InputError
from .options import FIT, verb
from .run import Run
from .terminal import (
    INTERRUPTED,
    SOLVED,
    UNSOLVED,
    live_progress,
    messages,
    output,
    say_error,
)

OF_NLP = (".nl", ".gms", ".bar", ".lp")
OF_BOTH = (".casadi", ".c")
OF_FIT = (".onnx", ".npz", ".mo")


@verb(*FIT, "option")
def export(
    run: Run,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Of the NLP: .nl, .gms, .bar, .lp, .casadi, .c. Of the trained model (MODEL is "
            "solved, or a saved fit): .onnx, .npz, .mo, and of a saved fit .casadi and .c.",
        ),
    ] = None,
    solve_first: Annotated[
        bool, typer.Option("--solve", help="Solve, and write point and multipliers too.")
    ] = False,
    rewrite: Annotated[
        bool, typer.Option("--rewrite", help="Write tanh and its like with exp (SCIP, BARON).")
    ] = False,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Write scaling_factor suffixes (.nl).")
    ] = False,
    network: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which network, if there are several.")
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which window or experiment (.mo, .casadi, .c of a saved fit), if there are several.",
        ),
    ] = None,
) -> int:
    """Write MODEL, or a saved fit, for other tools."""
    if to is None:
        raise typer.BadParameter("give a file, say --to model.nl.", run.context, param_hint="--to")
    ending = to.suffix
    if ending not in (*OF_NLP, *OF_BOTH, *OF_FIT):
        known = ", ".join((*OF_NLP, *OF_BOTH, *OF_FIT))
        raise InputError(f"--to {to} ends in no known format; there are {known}.")
    nlp: cc.Program | None = None
    solution: Any = None
    if run.path.suffix == ".npz":
        if ending in OF_NLP:
            raise InputError(
                f"{run.path} is a saved fit, which has no NLP; give the model file and --solve."
            )
        solution = cc.load(run.path)
    else:
        nlp, solution = _from_model(run, ending, solve_first or ending in OF_FIT)
    if isinstance(nlp, cc.NLP) and nlp.strength is not None:
        output().print(_penalty(nlp, solution), soft_wrap=True)
    _writers(to, nlp, solution, rewrite, scaling, network, window)[ending]()
    output().print(f"wrote {to} ({to.stat().st_size:,} bytes)", soft_wrap=True)
    if solution is None or solution.success:
        return SOLVED
    say_error(f"not solved: {solution.status}.")
    return INTERRUPTED if solution.result.termination is cc.Termination.INTERRUPTED else UNSOLVED


def _from_model(run: Run, ending: str, solve_first: bool) -> tuple[cc.Program, Any]:
    task = run.task()
    made, how = task.model.problem(task.values), task.how
    if isinstance(made, cc.Program):
        if ending in OF_FIT:
            raise InputError(
                f"{run.path} is a nonlinear program without a network; export it to "
                f"{', '.join((*OF_NLP, *OF_BOTH))}."
            )
        return made, cc.solve(made, options=how.get("options")) if solve_first else None
    problem = task.problem()
    if solve_first:
        with live_progress(messages()) as show:
            solution = cc.fit(problem, **how, on_iteration=show)
        assert solution.nlp is not None
        return solution.nlp, solution
    nlp = cc.discretize(problem, how["scheme"], how.get("degree"), how.get("mesh"))
    return cc.start_from(nlp, how["start"], how["seed"]), None


def _penalty(nlp: cc.NLP, solution: Any) -> str:
    """Say which λ the program has, and whether anybody chose it."""
    text = f"λ {nlp.strength:.2g}"
    if not isinstance(nlp.problem.regularisation, cc.Evidence):
        return f"{text}, as given"
    if solution is None:
        return f"{text}, from the data's noise; --solve finds the one that the evidence asks for"
    chosen = solution.penalty is not None and solution.penalty.chosen
    return f"{text}, {'by' if chosen else 'on the way to what is asked for by'} evidence"


def _writers(
    target: Path,
    nlp: cc.Program | None,
    solution: Any,
    rewrite: bool,
    scaling: bool,
    network: str | None,
    window: str | None = None,
) -> dict[str, Callable[[], object]]:
    """Return what can be written, by the file's ending."""
    from ..export.operations import EXP_ONLY

    rules = EXP_ONLY if rewrite else ()
    values = "start" if solution is None else solution
    writers: dict[str, Callable[[], object]] = {}
    if nlp is not None:
        whole = nlp if solution is None else nlp.with_start(solution.result.x)
        writers[".nl"] = lambda: cc.write_nl(nlp, target, values, None, scaling, rules)
        for ending in (".gms", ".bar", ".lp"):
            writers[ending] = lambda: cc.write_pyomo(nlp, target, values, rules)
        writers[".casadi"] = lambda: cc.save_functions(cc.nlp_functions(whole), target)
        writers[".c"] = lambda: cc.write_c(cc.nlp_functions(whole), target)
    if isinstance(solution, cc.Solution):
        model = solution.model

        def rhs() -> dict[str, Any]:
            return _trained(solution, window)

        writers.setdefault(".casadi", lambda: cc.save_functions(rhs(), target))
        writers.setdefault(".c", lambda: cc.write_c(rhs(), target))
        writers[".onnx"] = lambda: cc.write_onnx(model.network(network), target)
        writers[".npz"] = lambda: cc.save_weights(model.network(network), target)
        writers[".mo"] = lambda: cc.write_modelica(solution, target, experiment=window)
    return writers


def _trained(solution: cc.Solution, window: str | None) -> dict[str, Any]:
    """Return the right-hand side of a fit, and with decided inputs, events or dead times what these make of it."""
    parts, model = solution.trajectories, solution.model
    if window is not None:
        parts = (parts[solution.index(window)],)
    own = [p.experiment.name for p in parts if (p.parameters != parts[0].parameters).any()]
    acting = any(p.controls or p.experiment.events for p in parts)
    acting = acting or bool(model.dead_times or model.widths)
    found = dict(cc.planned_functions(solution, window)) if acting else {}
    if own and not acting:
        first = parts[0].experiment.name
        raise InputError(
            f"the parameters of {first!r} and {own[0]!r} differ; choose one of them by --window."
        )
    if not own:
        found = {"rhs": model.with_parameters(parts[0].parameters).trained_function(), **found}
    return found
