"""A solution as a tree of numbers and text for its file, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from ..archives import Schema, Tree
from ..forms import Numbers
from ..model.control import Control
from ..model.experiment import Experiment
from ..model.losses import Loss, ResidualLoss
from ..model.per_output import LOSS, describe_loss, described_loss
from ..numerics.bases import BASIS, basis_from_dict, basis_to_dict
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..transcription.nlp import StartRecord
from .fitted import Penalty, Trajectory
from .meshing import MESHING, Meshing
from .model import TrainedModel
from .status import SolutionStatus, SolverResult, Termination
from .store_experiment import EXPERIMENT, experiment_of, experiment_tree
from .store_model import MODEL, model_of, model_tree

_CONTROL = {
    "lower": float,
    "upper": float,
    "kind": str,  # not looked at where there is a basis
    "basis": (BASIS, None),
    "rate": [float],
    "unit": str,
}
_START = {
    "name": str,
    "merits": {"*": float},
    "passed": {"*": str},
    "interrupted": bool,
    "rivals": [{"*": float}],
}
PENALTY = {"strength": float, "chosen": bool, "asked": float, "effective": float, "solves": int}
RESULT = {
    "x": Numbers(("columns",)),
    "lam_g": Numbers(("rows",)),
    "lam_x": Numbers(("columns",)),
    "objective": float,
    "violation": float,
    "termination": Termination,
    "status": SolutionStatus,
    "message": str,
    "history": {"*": Numbers(("iterations",))},
    "timings": {"*": float},
    "interface": str,
    "solver": str,
    "linear_solver": str,
    "kernels": bool,
    "options": {"*": (bool, int, float, str)},
}
_FORM = {
    "name": str,
    "loss": LOSS,
    "scheme": {
        "name": str,
        "degree": int,
        "dense": [int],
        "nodes": Numbers(("nodes",), finite=True),
        "D": Numbers(("stages", "nodes"), finite=True),
        "B": Numbers(("stages", "nodes"), finite=True),
        "residual": float,
    },
    "model": MODEL,
    "result": RESULT,
    "trajectories": [
        {
            "experiment": EXPERIMENT,
            "mesh": Numbers(("points",)),
            "times": Numbers(("places",), finite=True),
            "states": Numbers(("places", "states"), finite=True),
            "multipliers": Numbers(("elements", "stages", "states")),
            "parameters": Numbers(("parameters",), finite=True),
            "controls": {"*": _CONTROL},
        }
    ],
    "test": [EXPERIMENT],
    "own_names": [str],
    "penalty": (PENALTY, None),
    "meshing": (MESHING, None),
    "costs": {"*": float},
    "start": (_START, None),
}
SOLUTION = Schema("solution", 1, "a solution", _FORM)
STORED = (
    "name",
    "result",
    "model",
    "scheme",
    "trajectories",
    "test",
    "loss",
    "own_names",
    "penalty",
    "start_record",
    "meshing",
    "costs",
)


def solution_tree(
    name: str,
    result: SolverResult,
    model: TrainedModel,
    scheme: Scheme,
    trajectories: Sequence[Trajectory],
    test: Sequence[Experiment],
    loss: Loss,
    own_names: Sequence[str],
    penalty: Penalty | None,
    start_record: StartRecord | None,
    meshing: Meshing | None,
    costs: Mapping[str, float],
) -> Tree:
    """Return what a file holds of a solution, for an archive; the truth and the NLP stay out."""
    return {
        "name": name,
        "loss": describe_loss(loss),
        "start": None if start_record is None else asdict(start_record),
        "scheme": {
            "name": scheme.name,
            "degree": scheme.degree,
            "dense": scheme.dense,
            "nodes": scheme.nodes,
            "D": scheme.D,
            "B": scheme.B,
            "residual": scheme.residual,
        },
        "result": result_tree(result),
        "model": model_tree(model),
        "trajectories": [_trajectory_tree(part) for part in trajectories],
        "test": [experiment_tree(experiment) for experiment in test],
        "own_names": list(own_names),
        "penalty": None if penalty is None else asdict(penalty),
        "meshing": None if meshing is None else meshing.to_dict(),
        "costs": dict(costs),
    }


def solution_parts(tree: Tree) -> dict[str, Any]:
    """Return the arguments of the `Solution` that `solution_tree` took apart."""
    entry = tree["scheme"]
    scheme = Scheme(
        name=entry["name"],
        degree=entry["degree"],
        nodes=entry["nodes"],
        D=entry["D"],
        B=entry["B"],
        dense=tuple(entry["dense"]),
        residual=entry["residual"],
    )
    model = model_of(tree["model"])
    trajectories = tuple(_trajectory(part, model, scheme) for part in tree["trajectories"])
    if not trajectories:
        raise ValueError("there is no experiment")
    loss = described_loss(tree["loss"])
    _check_fit(tree, model, loss)
    return {
        "name": tree["name"],
        "result": result_of(tree["result"]),
        "model": model,
        "scheme": scheme,
        "trajectories": trajectories,
        "test": tuple(experiment_of(entry) for entry in tree["test"]),
        "loss": loss,
        "own_names": tuple(tree["own_names"]),
        "penalty": None if tree["penalty"] is None else Penalty(**tree["penalty"]),
        "start_record": _start_record(tree["start"]),
        "meshing": None if tree["meshing"] is None else Meshing.from_dict(tree["meshing"]),
        "costs": tree["costs"],
    }


def _start_record(tree: Mapping[str, Any] | None) -> StartRecord | None:
    return None if tree is None else StartRecord(**{**tree, "rivals": tuple(tree["rivals"])})


def _check_fit(tree: Tree, model: TrainedModel, loss: Loss) -> None:
    if not set(tree["own_names"]) <= set(model.parameter_names):
        raise ValueError("a parameter is not the model's")
    if isinstance(loss, ResidualLoss) and not set(model.outputs) <= set(loss.named):
        raise ValueError("an output has no size of its noise")


def _trajectory_tree(part: Trajectory) -> dict[str, Any]:
    return {
        "experiment": experiment_tree(part.experiment),
        "mesh": part.mesh.points,
        "times": part.times,
        "states": part.states,
        "multipliers": part.multipliers,
        "parameters": part.parameters,
        "controls": {
            name: {
                "lower": control.lower,
                "upper": control.upper,
                "kind": "basis" if control.basis is not None else control.kind,
                "basis": None if control.basis is None else basis_to_dict(control.basis),
                "rate": control.rate,
                "unit": control.unit,
            }
            for name, control in part.controls.items()
        },
    }


def _control(entry: Mapping[str, Any]) -> Control:
    basis = entry["basis"]
    return Control(
        lower=entry["lower"],
        upper=entry["upper"],
        kind=entry["kind"] if basis is None else basis_from_dict(basis),
        rate=tuple(entry["rate"]),
        unit=entry["unit"],
    )


def _trajectory(tree: Mapping[str, Any], model: TrainedModel, scheme: Scheme) -> Trajectory:
    mesh, stages, states = Mesh(tree["mesh"]), scheme.intervals, tree["states"]
    if states.shape != (mesh.elements * stages + 1, len(model.states)):
        raise ValueError("the states do not fit the mesh")
    t, ends = tree["times"], mesh.points[[0, -1]]
    near = 1e-9 * (ends[1] - ends[0])
    if (np.diff(t) < 0.0).any() or (np.abs(t[[0, -1]] - ends) > near).any():
        raise ValueError("the times do not fit the mesh")
    if tree["multipliers"].shape[:2] != (mesh.elements, stages):
        raise ValueError("the multipliers do not fit the mesh")
    if tree["parameters"].shape != model.parameters.shape:
        raise ValueError("an experiment's parameters do not fit the model's")
    experiment = experiment_of(tree["experiment"])
    if len(experiment.times):
        first, last = experiment.times[[0, -1]]
        if first < ends[0] - near or last > ends[1] + near:
            raise ValueError("the mesh does not cover the data")
    late = {lag.name for lag in model.lags}
    if not {*model.inputs, *model.algebraics, *late} <= set(experiment.inputs):
        raise ValueError("an input of the model has no signal")
    if experiment.outputs != model.outputs:
        raise ValueError("the data do not fit the model's outputs")
    controls = {name: _control(entry) for name, entry in tree["controls"].items()}
    if not set(controls) <= set(model.inputs):
        raise ValueError("a control is no input of the model")
    own = ("times", "multipliers", "parameters")
    return Trajectory(
        experiment=experiment,
        mesh=mesh,
        states=states,
        controls=controls,
        **{name: tree[name] for name in own},
    )


def result_tree(result: SolverResult) -> dict[str, Any]:
    """Return what a file holds of a solver's answer."""
    tree = {entry.name: getattr(result, entry.name) for entry in fields(result)}
    tree["termination"], tree["status"] = result.termination.name, result.status.name
    tree["options"] = {
        k: v if isinstance(v, int | float | str | bool) else str(v)
        for k, v in result.options.items()
    }
    return tree


def result_of(tree: Mapping[str, Any]) -> SolverResult:
    """Return the answer that `result_tree` took apart."""
    given = {
        **tree,
        "termination": Termination[tree["termination"]],
        "status": SolutionStatus[tree["status"]],
    }
    return SolverResult(**given)
