"""``collocode train``: a layered network, trained by any of the trainers."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Annotated, Any

import typer

import collocode as cc

from ..errors import InputError
from .options import FILES, verb
from .run import Run
from .terminal import live_view, messages

CHECKPOINT = "training.npz"
_USUAL = {"trainer": "lbfgs", "iterations": 500, "patience": None, "tolerance": 1e-6, "seed": 0}


@verb("trainer", "resume", "settings", "seed", *FILES)
def train(
    run: Run,
    basis: Annotated[
        str | None,
        typer.Option(
            help="Of the weights in time, instead of the model's: legendre, monomial, "
            "monomial-unit, chebyshev, bspline, fourier, constant, or layers (free weights)."
        ),
    ] = None,
    order: Annotated[
        int | None, typer.Option(help="Of the basis; 3, or the model's if that has one.")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="The model's, or 500.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Time limit.")] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="Iterations without a lower validation loss that end the training."),
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Of the gradient's norm; the model's, or 1e-6.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Of adam; 1e-3 if absent.")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Of adam: samples in a minibatch; all if absent.")
    ] = None,
    continuous: Annotated[
        bool,
        typer.Option(
            "--continuous",
            help="Optimize then discretize: solve the layers' differential equation adaptively.",
        ),
    ] = False,
    rtol: Annotated[float, typer.Option(help="Of --continuous.")] = 1e-6,
) -> int:
    """Train MODEL, a layered network, and report its errors on all parts of the data.

    With --out the training is kept in training.npz as it goes; Ctrl-C reports what there is, --resume
    goes on from there. Exit status 0 unless the training failed or was interrupted.
    """
    task = run.task()
    problem = with_basis(task.model.layered(task.values), basis, order)
    given = {**run.values, "iterations": iterations, "patience": patience, "tolerance": tolerance}
    how = {
        name: task.model.defaults.get(name, usual) if given[name] is None else given[name]
        for name, usual in _USUAL.items()
    }
    how["seconds"] = float("inf") if seconds is None else seconds
    objective = problem.objective
    if continuous:
        from ..layered.continuous import ContinuousObjective

        objective = ContinuousObjective.of(objective, rtol=rtol, atol=0.01 * rtol)
    folder, earlier = _folder(run)
    method = _method(how.pop("trainer"), rate, batch)
    with live_view(messages()) as view:
        training = cc.layered.train(
            objective,
            method,
            validation=problem.validation,
            callback=None if view is None else lambda step: view.line(progress_line(step)),
            checkpoint=None if folder is None else folder.path / CHECKPOINT,
            resume=earlier,
            **how,
        )
    more = {"objective": objective} if continuous else {}
    said = {"basis": basis, "order": order, "rate": rate, "batch": batch, "continuous": continuous}
    said |= {"rtol": rtol, "resume": run.values["resume"], "trainer": training.trainer}
    asked = run.asked(task, {**how, **said}, problem=problem, more=more)
    return run.finish(training, asked, folder)


def _folder(run: Run) -> Any:
    """Return the folder, once it is sure that nothing foreign lies there, and what to go on from."""
    resume, names = run.values["resume"], ["history.csv", "learning_curves.png"]
    if run.out is None:
        if resume:
            raise InputError("--resume goes on from training.npz; give its folder by --out.")
        return None, None
    run.folder([*names, CHECKPOINT], [CHECKPOINT] if resume else [])
    if resume and not (run.out / CHECKPOINT).exists():
        raise InputError(f"there is no {run.out / CHECKPOINT} to go on from; leave out --resume.")
    return run.folder(names, [CHECKPOINT]), run.out / CHECKPOINT if resume else None


def _method(name: str, rate: float | None, batch: int | None) -> Any:
    """Return the trainer with its settings."""
    if rate is None and batch is None:
        return name
    if name != "adam":
        raise InputError(f"--rate and --batch are settings of adam, not of {name}.")
    return cc.layered.Adam(1e-3 if rate is None else rate, batch)


def with_basis(
    problem: cc.layered.LayeredProblem, name: str | None, order: int | None
) -> cc.layered.LayeredProblem:
    """Return the problem with other functions of time under its weights.

    Raises
    ------
    InputError
        An unknown basis, more functions than layers, an order for a basis that has none.
    """
    from ..layered.depth import weight_basis

    network = problem.network
    if name is None and order is None:
        return problem
    own = network.time_basis
    if name is not None:
        kept = getattr(own, "order", 3) if order is None else order
        chosen: cc.Basis = weight_basis(name, kept, network.mesh)
    elif "order" in {f.name for f in fields(own)}:  # type: ignore[arg-type]
        chosen = replace(own, order=order)  # type: ignore[type-var]
    else:
        raise InputError(f"the model's basis, {own!r}, has no order; give --basis too.")
    return problem.with_network(replace(network, basis=chosen))


def progress_line(step: cc.layered.Step) -> str:
    """Return one iterate as a line."""
    text = f"iteration {step.iteration:5d}  J {step.objective:.3e}  training {step.training:.4f}"
    if step.validation == step.validation:
        text += f"  validation {step.validation:.4f}"
    return text
