"""What a training gives back, and its file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...archives import Schema
from ...checks import counted
from ...errors import FileError
from ...forms import Form, Numbers, fitted
from ...kinds import kinds_checked
from ...numerics import Array
from ...results.status import Outcome, Termination
from ..forward import predict
from ..network import LAYERED, LayeredNetwork, network_of


@dataclass(frozen=True, kw_only=True)
class Step:
    """One row of the history.

    Attributes
    ----------
    iteration, seconds : number, and wall time since the start (of the first run, if resumed).
    evaluations, gradients : passes over all samples so far, forward and backward.
    objective, gradient_norm : J and ‖∇J‖₂.
    training, validation : accuracy or relative error on either part.
    validation_loss : mean loss on the validation part, without regularisation.
    """

    iteration: int
    seconds: float
    evaluations: float
    gradients: float
    objective: float
    gradient_norm: float
    training: float = float("nan")
    validation: float = float("nan")
    validation_loss: float = float("nan")


COLUMNS = tuple(Step.__dataclass_fields__)
TRAINED: Form = {
    "network": LAYERED,
    "best_iteration": int,
    "termination": Termination,
    "message": str,
    "trainer": str,
    "metric": str,
    "theta": Numbers(("weights",), finite=True),
    "best": Numbers(("weights",), finite=True),
    "history": Numbers(("rows", len(COLUMNS))),
    "memory": {"*": Numbers(dtype=None)},
    "adjoint": (Numbers(("nodes", "samples", "width")), None),
}
TRAINING = Schema("training", 1, "a training", TRAINED)


@dataclass(frozen=True, eq=False, kw_only=True)
class Training:
    """A trained network, with the story of its training.

    Attributes
    ----------
    network : the description.
    theta : (n_weights,) weights of the last iterate.
    best : (n_weights,) weights of least validation loss; of least objective without validation.
    best_iteration : when these were found.
    history : table with the columns of `Step`.
    termination, message : why it stopped, and more words where there are any.
    trainer : name of the method.
    metric : what the columns ``training`` and ``validation`` are.
    memory : what the trainer needs to go on (moments, damping, ...).
    adjoint : (N+1, S, state_size) ∂J/∂x_n from the multipliers, where the trainer has them (IPOPT).
    """

    network: LayeredNetwork
    theta: Array
    best: Array
    best_iteration: int
    history: pd.DataFrame
    termination: Termination
    message: str = ""
    trainer: str = ""
    metric: str = ""
    memory: Mapping[str, Array] = field(default_factory=dict)
    adjoint: Array | None = None

    def __str__(self) -> str:
        """Return one line: trainer, status, iterations, objective, metrics, cost."""
        last = self._last
        words = [f"{self.trainer}: {self.status} after {counted(self.iterations, 'iteration')}"]
        words.append(f"objective {last['objective']:.4g}")
        if np.isfinite(last["training"]):
            words.append(f"{self.metric} {last['training']:.4g}")
        if np.isfinite(last["validation"]):
            words.append(f"validation {last['validation']:.4g}")
        cost = f"{self.evaluations:.0f} evaluations, {self.seconds:.2f} s"
        return ", ".join([*words, cost]) + (f" ({self.message})" if self.message else "")

    __repr__ = __str__

    @property
    def _last(self) -> Mapping[str, float]:
        last: dict[str, float] = {name: float("nan") for name in COLUMNS}
        if len(self.history):
            last.update(self.history.iloc[-1].to_dict())
        return last

    @property
    def iterations(self) -> int:
        """Number of iterations."""
        return int(self.history["iteration"].iloc[-1]) if len(self.history) else 0

    @property
    def objective(self) -> float:
        """Value of J at ``theta``."""
        return self._last["objective"]

    @property
    def least_loss(self) -> float:
        """Least mean validation loss; nan without validation."""
        return float(self.history["validation_loss"].min())

    @property
    def evaluations(self) -> float:
        """Forward passes over all samples; a minibatch counts by its share."""
        return self._last["evaluations"]

    @property
    def gradients(self) -> float:
        """Backward passes; a Jacobian of q rows per sample counts as q."""
        return self._last["gradients"]

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self._last["seconds"]

    @property
    def success(self) -> bool:
        """Whether it ended by its own criterion: gradient or validation."""
        return self.termination in (Termination.CONVERGED, Termination.EARLY_STOPPED)

    @property
    def status(self) -> str:
        """Why it stopped, in words."""
        return self.termination.value

    def predict(self, X: ArrayLike, best: bool = True) -> Array:
        """(S, outputs) read-outs of the best weights, or of the last ones."""
        return predict(self.network, self.best if best else self.theta, X)

    def save(self, path: str | Path) -> Path:
        """Write the training to an ``.npz`` file, in one step; return its path.

        Raises
        ------
        FileError
            The folder is missing or cannot be written.
        """
        return TRAINING.write(path, self.tree())

    def tree(self) -> dict[str, Any]:
        """Return what a file holds of it, for an archive."""
        return {
            **{name: getattr(self, name) for name in TRAINED},
            "network": self.network.description(),
            "termination": self.termination.name,
            "history": self.history[list(COLUMNS)].to_numpy(dtype=float),
            "memory": {name: np.asarray(value) for name, value in self.memory.items()},
        }


UNIMPROVED = Outcome(termination=Termination.EARLY_STOPPED, message="validation no longer improves")


def outcome_of(training: Training) -> Outcome | None:
    """Return how a loop over trainings ends after one that cannot be gone on from; else None."""
    ended = training.termination
    if ended.failed:
        return Outcome(termination=ended, message="training failed")
    ends = ended in (Termination.INTERRUPTED, Termination.TIME_LIMIT)
    return Outcome(termination=ended) if ends else None


@kinds_checked
def load_training(path: str | Path) -> Training:
    """Read what `Training.save` wrote; nothing is executed.

    Raises
    ------
    FileError
        Missing, corrupt or foreign file.
    """
    return TRAINING.read(path, training_of)


def training_of(tree: Mapping[str, Any]) -> Training:
    """Return the training that `Training.tree` describes."""
    network, iterations = network_of(tree["network"]), tree["history"][:, 0].tolist()
    if not all(float(k).is_integer() and k >= 0.0 for k in iterations) or (
        iterations != sorted(iterations)
    ):
        raise ValueError("the history's iterations do not follow each other")
    if tree["best_iteration"] not in (iterations or [0]):
        raise ValueError("the best iteration is not in the history")
    changed = {
        "network": network,
        "theta": network.checked(tree["theta"]),
        "best": network.checked(tree["best"]),
        "history": history_table([step_of(row) for row in tree["history"]]),
        "termination": Termination[tree["termination"]],
    }
    return Training(**{**tree, **changed})


def remembered(memory: Mapping[str, Array], form: Form) -> dict[str, Array]:
    """Return what an earlier run of a trainer has left, if it is of a form.

    Raises
    ------
    FileError
        It is not.
    """
    try:
        return dict(fitted(dict(memory), form))
    except ValueError as error:
        raise FileError(
            f"the training to resume does not fit its trainer ({error}); start from its weights."
        ) from error


def step_of(row: Iterable[float]) -> Step:
    """Return the step that a row of the history is."""
    numbers = dict(zip(COLUMNS, map(float, row), strict=True))
    return Step(iteration=int(numbers.pop("iteration")), **numbers)


def history_table(steps: list[Step]) -> pd.DataFrame:
    """Return steps as a table."""
    return pd.DataFrame([asdict(step) for step in steps], columns=list(COLUMNS))
