"""``collocode admm``: the same fit from batches of the data, in parallel."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import collocode as cc

from ..checks import counted
from ..errors import InputError
from .options import FILES, FIT, SOLVER, verb
from .run import Run
from .terminal import INTERRUPTED, messages, say_error

CHECKPOINT = "checkpoint.npz"


@verb("resume", *FIT, *SOLVER, *FILES)
def admm(
    run: Run,
    batches: Annotated[
        str,
        typer.Option(
            metavar="COUNT|GROUPS",
            help="How many (whole experiments, or windows in time where there are fewer of them), "
            "or names of experiments: 'one,two;three'.",
        ),
    ] = "2",
    workers: Annotated[int, typer.Option(help="Processes of this machine.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="tls://HOST:PORT|tcp://HOST:PORT|local",
            help="A Dask cluster, or local for one of --workers processes here.",
        ),
    ] = None,
    tls_ca_file: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Authority whose certificates the cluster has."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="PEM", help="This client's certificate.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Its key, if not in the same file.")
    ] = None,
    memory_limit: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Of each worker of --scheduler local, say 2GB."),
    ] = None,
    dashboard_address: Annotated[
        str | None,
        typer.Option(metavar=":PORT", help="Dask's dashboard of --scheduler local; needs bokeh."),
    ] = None,
    boundary: Annotated[
        str,
        typer.Option(help="Where windows meet: shared (they agree on the state) or free."),
    ] = "shared",
    overlap: Annotated[
        float, typer.Option(help="Part of a window by which it reaches into both neighbours.")
    ] = 0.0,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="newton|admm",
            help="How the batches agree: Newton's method, whose optimum is that of one NLP, or "
            "consensus ADMM; if absent the first that the problem and other options allow.",
        ),
    ] = None,
    rho: Annotated[
        float | None,
        typer.Option(help="First penalty of ADMM; found from the number of batches if absent."),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(help="Most iterations, those resumed included; 50, of Newton's method 100."),
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="In seconds.")] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Relative tolerance of both residuals; of Newton's method absolute, scaled."
        ),
    ] = None,
    l1: Annotated[
        float | None,
        typer.Option("--l1", metavar="STRENGTH", help="Lasso penalty in place of the model's L2."),
    ] = None,
    polish: Annotated[
        bool, typer.Option("--polish", help="Solve the whole problem from the consensus.")
    ] = False,
    points: Annotated[
        str,
        typer.Option(
            help="Where the batches' points are kept: coordinator, or workers (only consensus "
            "variables travel)."
        ),
    ] = "coordinator",
) -> int:
    """Fit MODEL batch by batch, until all batches agree on one network.

    Every iteration is kept in --out; Ctrl-C reports the consensus so far, --resume goes on from
    there. Exit status 0 only if the batches agree to the tolerance, or --polish solved the whole.
    """
    from ..coordination.admm import usual_rules
    from .admm_live import watching

    task, resume = run.task(), run.values["resume"]
    problem, groups = task.problem(), parse_batches(batches)
    if l1 is not None and not problem.dynamics.networks:
        raise InputError(
            "the model has no network, so --l1 has no weights to act on; leave it out."
        )
    if time_limit is not None and not time_limit > 0.0:
        raise InputError(f"--time-limit must be positive, not {time_limit:g}.")
    cluster = {"scheduler": scheduler, "security": _security(tls_ca_file, tls_cert, tls_key)}
    cluster |= {"memory_limit": memory_limit, "dashboard_address": dashboard_address}
    given: dict[str, Any] = {"iterations": iterations, "time_limit": time_limit}
    if method is None:
        kind = usual_rules(problem, problem.penalty if l1 is None else cc.L1(l1), points)
        method = "newton" if kind is cc.NewtonRules and rho is None else "admm"
    rules = _rules(method, rho, tolerance, {k: v for k, v in given.items() if v is not None})
    how = {
        "batches": cc.Partition(groups, overlap, boundary),
        "rules": rules,
        "executor": _executor(workers, points, cluster),
        "settings": cc.FitSettings(**task.how),
        "regularisation": None if l1 is None else cc.L1(l1),
        "polish": polish,
    }
    folder = run.folder(["history.csv", "admm.png"], [CHECKPOINT], problem)
    checkpoint = run.checkpoint(CHECKPOINT, _look)
    try:
        with watching(messages(), groups if isinstance(groups, int) else len(groups)) as watch:
            found = cc.admm(
                problem,
                **how,
                checkpoint=cc.Checkpoint(checkpoint, resume) if checkpoint else None,
                callbacks=cc.Callbacks(watch.iterated, watch.answered, watch.finishing()),
            )
    except KeyboardInterrupt:
        say_error(f"interrupted; {kept_in(checkpoint)}.")
        return INTERRUPTED
    more = {"kept": kept_in(checkpoint), "go_on": "with --out a run can be resumed"}
    if checkpoint is not None:
        more["go_on"] = f"--resume goes on from {checkpoint}"
    asked = run.asked_of_fit(task, {"batches": batches, "polish": polish}, more=more)
    files = {}
    if checkpoint is not None and checkpoint.exists():
        files[CHECKPOINT] = partial(_finish, checkpoint, found.termination)
    return run.finish(found, asked, folder, files)


def _rules(method: str, rho: float | None, tolerance: float | None, more: dict[str, Any]) -> Any:
    """Return the rules of a method."""
    if method not in ("admm", "newton"):
        raise InputError(f"--method is admm or newton, not {method!r}.")
    if method == "newton" and rho is not None:
        raise InputError("--rho is ADMM's penalty; leave it out with --method newton.")
    if tolerance is not None:
        more["tolerance" if method == "newton" else "relative"] = tolerance
    return cc.NewtonRules(**more) if method == "newton" else cc.ADMMRules(rho=rho, **more)


def _executor(workers: int, points: str, cluster: dict[str, Any]) -> Any:
    """Return where the batches are solved."""
    if cluster["scheduler"] is not None:
        return cc.DaskCluster(workers=workers, points=points, **cluster)
    if given := [name for name, value in cluster.items() if value is not None]:
        option = {"security": "tls-ca-file"}.get(given[0], given[0].replace("_", "-"))
        raise InputError(f"--{option} is for a Dask cluster; give --scheduler too.")
    return cc.InProcess(points=points) if workers == 1 else cc.ProcessPool(workers, points=points)


def _security(authority: Path | None, certificate: Path | None, key: Path | None) -> Any:
    """Return what a client of a cluster with certificates shows, or None."""
    if authority is None and certificate is None and key is None:
        return None
    if authority is None or certificate is None:
        raise InputError("certificates want both --tls-ca-file and --tls-cert; give both.")
    from ..coordination.dask_client import security_from

    return security_from(authority, certificate, key)


def parse_batches(text: str) -> int | list[list[str]]:
    """Return a count, or groups of names.

    Examples
    --------
    >>> parse_batches("4"), parse_batches("one, two; three")
    (4, [['one', 'two'], ['three']])
    """
    if text.strip().lstrip("+-").isdigit():
        return int(text)
    groups = [[n.strip() for n in group.split(",")] for group in text.split(";")]
    if not all(name for group in groups for name in group):
        raise InputError(
            f"--batches takes a count, say 4, or names of experiments, say 'one,two;three', not "
            f"{text!r}."
        )
    return groups


# ---- the checkpoint: that of a run which ended carries a mark ---------------------------------------


def _content(path: Path) -> tuple[bool, int]:
    """Whether a checkpoint's run has ended, and the number of its iterations."""
    from ..coordination.checkpoint import ADMM_CHECKPOINT

    return ADMM_CHECKPOINT.read(path, lambda tree: ("ended" in tree, len(tree["history"])))


def _finish(source: Path, termination: cc.Termination, target: Path) -> None:
    """Copy the checkpoint, with a mark if its run has ended."""
    from ..coordination.checkpoint import ADMM_CHECKPOINT

    tree = ADMM_CHECKPOINT.read(source, dict)
    tree.pop("ended", None)
    if termination not in (cc.Termination.INTERRUPTED, cc.Termination.ERROR):
        tree["ended"] = termination.value
    ADMM_CHECKPOINT.write(target, tree)


def kept_in(checkpoint: Path | None) -> str:
    """Return what is kept, and how to go on from there."""
    if checkpoint is None or not checkpoint.exists():
        return "no iteration is kept; with --out a run can be resumed"
    _, count = _content(checkpoint)
    verb = "is" if count == 1 else "are"
    return f"{counted(count, 'iteration')} {verb} kept in {checkpoint}, --resume goes on"


def _look(path: Path) -> tuple[bool, str]:
    ended, count = _content(path)
    return ended, f"{counted(count, 'iteration')} of a run"
