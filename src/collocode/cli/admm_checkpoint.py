"""The checkpoint of ``collocode admm`` in its result folder.

A run that was stopped leaves one that only ``--resume`` may replace; that of a run which ended carries
a mark and makes way for the next run.
"""

from __future__ import annotations

from pathlib import Path

from ..coordination.state import ADMM_CHECKPOINT
from ..errors import InputError
from ..results.status import Termination
from .summary import counted

CHECKPOINT = "checkpoint.npz"


def checkpoint_in(out: Path | None, resume: bool) -> Path | None:
    """Return the checkpoint's path; a finished one makes way, an unfinished one wants --resume."""
    if out is None:
        if resume:
            raise InputError("--resume goes on from a checkpoint; give its folder by --out.")
        return None
    path = out / CHECKPOINT
    if resume or not path.exists():
        return path
    ended, count = _content(path)
    if not ended:
        raise InputError(
            f"{path} holds {counted(count, 'iteration')} of a run that did not end; add --resume to "
            "go on, or remove the file to begin anew."
        )
    path.unlink()
    return path


def _content(path: Path) -> tuple[bool, int]:
    """Whether a checkpoint's run has ended, and the number of its iterations."""
    return ADMM_CHECKPOINT.read(path, lambda tree: ("ended" in tree, len(tree["history"])))


def finish_checkpoint(source: Path, termination: Termination, target: Path) -> None:
    """Copy the checkpoint, with a mark if its run has ended."""
    tree = ADMM_CHECKPOINT.read(source, dict)
    tree.pop("ended", None)
    if termination not in (Termination.INTERRUPTED, Termination.ERROR):
        tree["ended"] = termination.value
    ADMM_CHECKPOINT.write(target, tree)


def kept_in(checkpoint: Path | None) -> str:
    """Return what is kept, and how to go on from there."""
    if checkpoint is None or not checkpoint.exists():
        return "no iteration is kept; with --out a run can be resumed"
    _, count = _content(checkpoint)
    verb = "is" if count == 1 else "are"
    return f"{counted(count, 'iteration')} {verb} kept in {checkpoint}, --resume goes on"
