"""A solution as a tree of numbers and text for its file, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..archives import Schema, Tree
from ..forms import Numbers
from ..model.control import Control
from ..model.experiment import Experiment
from ..model.initial import Initial
from ..model.losses import Loss
from ..model.parameters import SCALES
from ..model.per_output import LOSS, describe_loss, described_loss
from ..model.varying import NETWORK, describe_network, described_network
from ..model.window import Window
from ..numerics.bases import BASIS, basis_from_dict, basis_to_dict
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..numerics.signals import Signal
from ..transcription.nlp import StartRecord
from ..transcription.tape import Tape
from .delayed import Lag
from .fitted import Penalty, Trajectory
from .meshing import MESHING, Meshing
from .model import TrainedModel
from .status import SolutionStatus, SolverResult, Termination

Array = NDArray[np.float64]
_TAPE = {
    "header": Numbers(("entries",), dtype="int64"),
    "code": Numbers(("code",), dtype="int16"),
    "target": Numbers(("code",), dtype="int32"),
    "operands": Numbers(("code", 2), dtype="int32"),
    "constants": Numbers(("code",)),
}
_SIGNAL = {
    "times": Numbers(("n",)),
    "values": Numbers(("n",)),
    "kind": str,
    "points?": (Numbers(("pieces",)), None),
}
_EXPERIMENT = {
    "name": str,
    "times": Numbers(("times",)),
    "values": Numbers(("times", "outputs")),
    "weights": (Numbers(("times", "outputs")), None),
    "sigma?": (Numbers(("times", "outputs")), None),
    "censored?": (Numbers(("times", "outputs")), None),
    "replicates?": bool,
    "outputs": [str],
    "start": (float, None),
    "end": (float, None),
    "inputs": {"*": _SIGNAL},
    "history?": {"*": _SIGNAL},
    "initial": {"*": [float]},
    "parameters?": {"*": (float, str)},
    "final?": {"*": [float]},
}
_CONTROL = {
    "lower": float,
    "upper": float,
    "kind": str,  # not looked at where there is a basis
    "basis?": (BASIS, None),
    "rate": [float],
    "unit": str,
}
_START = {
    "name": str,
    "merits": {"*": float},
    "passed": {"*": str},
    "interrupted": bool,
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
        "residual?": float,
    },
    "model": {
        "states": [str],
        "inputs": [str],
        "outputs": [str],
        "parameter_names": [str],
        "parameters": Numbers(("parameters",), finite=True),
        "theta": Numbers(("weights",), finite=True),
        "rhs": _TAPE,
        "observe": _TAPE,
        "networks": {"*": NETWORK},
        "bases": {"*": BASIS},
        "scales?": {"*": Literal[*SCALES]},
        "noise?": (_TAPE, None),
        "algebraics?": {"*": float},
        "residuals?": (_TAPE, None),
        "index?": int,
        "lags?": {"*": {"of": str, "by": (float, str)}},
    },
    "result": RESULT,
    "trajectories": [
        {
            "experiment": _EXPERIMENT,
            "mesh": Numbers(("points",)),
            "times": Numbers(("places",), finite=True),
            "states": Numbers(("places", "states"), finite=True),
            "multipliers": Numbers(("elements", "stages", "states")),
            "parameters": Numbers(("parameters",), finite=True),
            "controls?": {"*": _CONTROL},
        }
    ],
    "test": [_EXPERIMENT],
    "own_names?": [str],
    "penalty": (PENALTY, None),
    "meshing?": (MESHING, None),
    "costs?": {"*": float},
    "start?": (_START, None),
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
        "start": None if start_record is None else vars(start_record),
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
        "model": _model_tree(model),
        "trajectories": [_trajectory_tree(part) for part in trajectories],
        "test": [_experiment_tree(experiment) for experiment in test],
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
        residual=entry.get("residual", 0.0),
    )
    model = _model(tree["model"])
    trajectories = tuple(_trajectory(part, model, scheme) for part in tree["trajectories"])
    if not trajectories:
        raise ValueError("there is no experiment")
    return {
        "name": tree["name"],
        "result": result_of(tree["result"]),
        "model": model,
        "scheme": scheme,
        "trajectories": trajectories,
        "test": tuple(_experiment(entry) for entry in tree["test"]),
        "loss": described_loss(tree["loss"]),
        "own_names": _own_names(tree, model, trajectories),
        "penalty": Penalty(**tree["penalty"]) if tree.get("penalty") else None,
        "start_record": _start_record(tree.get("start")),
        "meshing": None if tree.get("meshing") is None else Meshing.from_dict(tree["meshing"]),
        "costs": tree.get("costs", {}),
    }


def _own_names(
    tree: Tree, model: TrainedModel, trajectories: Sequence[Trajectory]
) -> tuple[str, ...]:
    """Which parameters are each experiment's own; of older files, those of which it is seen."""
    if "own_names" not in tree:
        table = np.array([part.parameters for part in trajectories])
        return tuple(np.array(model.parameter_names)[np.ptp(table, axis=0) > 0.0].tolist())
    names = tuple(tree["own_names"])
    if not set(names) <= set(model.parameter_names):
        raise ValueError("a parameter is not the model's")
    return names


def _start_record(tree: Mapping[str, Any] | None) -> StartRecord | None:
    """Files of earlier versions have none."""
    return None if tree is None else StartRecord(**tree)


def _trajectory_tree(part: Trajectory) -> dict[str, Any]:
    return {
        "experiment": _experiment_tree(part.experiment),
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
    basis = entry.get("basis")
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
    if tree["multipliers"].shape[:2] != (mesh.elements, stages):
        raise ValueError("the multipliers do not fit the mesh")
    if tree["parameters"].shape != model.parameters.shape:
        raise ValueError("an experiment's parameters do not fit the model's")
    experiment = _experiment(tree["experiment"])
    late = {lag.name for lag in model.lags}
    if not {*model.inputs, *model.algebraics, *late} <= set(experiment.inputs):
        raise ValueError("an input of the model has no signal")
    if experiment.outputs != model.outputs:
        raise ValueError("the data do not fit the model's outputs")
    controls = {name: _control(entry) for name, entry in tree.get("controls", {}).items()}
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


def _model_tree(model: TrainedModel) -> dict[str, Any]:
    return {
        "states": model.states,
        "inputs": model.inputs,
        "outputs": model.outputs,
        "parameter_names": model.parameter_names,
        "parameters": model.parameters,
        "theta": model.theta,
        "rhs": model.tape.arrays(),
        "observe": model.output_tape.arrays(),
        "networks": {name: describe_network(network) for name, network in model.networks.items()},
        "bases": {name: basis_to_dict(basis) for name, basis in model.bases.items()},
        "scales": dict(model.scales),
        "noise": None if model.noise_tape is None else model.noise_tape.arrays(),
        "algebraics": dict(model.algebraics),
        "residuals": None if model.residual_tape is None else model.residual_tape.arrays(),
        "index": model.index,
        "lags": {lag.name: {"of": lag.of, "by": lag.by} for lag in model.lags},
    }


def _model(tree: Mapping[str, Any]) -> TrainedModel:
    states, inputs, outputs, parameters = (
        tuple(tree[key]) for key in ("states", "inputs", "outputs", "parameter_names")
    )
    networks = {name: described_network(entry) for name, entry in tree["networks"].items()}
    bases = {name: basis_from_dict(entry) for name, entry in tree["bases"].items()}
    model = TrainedModel(
        states=states,
        inputs=inputs,
        outputs=outputs,
        parameter_names=parameters,
        tape=Tape.from_arrays(tree["rhs"], "rhs"),
        output_tape=Tape.from_arrays(tree["observe"], "outputs"),
        parameters=tree["parameters"],
        networks=networks,
        theta=tree["theta"],
        bases=bases,
        scales=tree.get("scales", {}),
        noise_tape=Tape.from_arrays(tree["noise"], "noise") if tree.get("noise") else None,
        algebraics=tree.get("algebraics", {}),
        residual_tape=Tape.from_arrays(tree["residuals"], "residuals")
        if tree.get("residuals")
        else None,
        index=tree.get("index", 1),
        lags=tuple(Lag(name=name, **lag) for name, lag in tree.get("lags", {}).items()),
    )
    for lag in model.lags:
        if lag.of not in states or (isinstance(lag.by, str) and lag.by not in parameters):
            raise ValueError("a delayed state is of no state, or by no parameter")
    if not set(model.scales) <= set(parameters):
        raise ValueError("a scale is of no parameter")
    if len(model.parameters) != len(parameters):
        raise ValueError("the parameters do not fit their names")
    if len(model.theta) != sum(network.n_weights for network in networks.values()):
        raise ValueError("theta does not fit the networks")
    absent = {f"{k}.{f}" for k, b in bases.items() for f in b.names()} - set(parameters)
    if absent:
        raise ValueError("the bases do not fit the parameters")
    carried = len(inputs) + len(model.algebraics) + len(model.lags)
    sizes = (1, len(states), carried, len(parameters), len(model.theta))
    if model.tape.inputs != sizes or model.tape.outputs != (len(states),):
        raise ValueError("the right-hand side does not fit the states")
    noise = model.noise_tape
    if noise is not None and (noise.inputs, noise.outputs) != (sizes, (len(outputs),)):
        raise ValueError("the noise function does not fit the outputs")
    if model.output_tape.inputs != sizes or model.output_tape.outputs != (len(outputs),):
        raise ValueError("the output function does not fit the states")
    equations, count = model.residual_tape, len(model.algebraics)
    if (equations is None) != (count == 0):
        raise ValueError("the algebraic variables do not fit their equations")
    if equations is not None and (equations.inputs != sizes or equations.outputs != (count,)):
        raise ValueError("the algebraic equations do not fit their variables")
    return model


def _experiment_tree(experiment: Experiment) -> dict[str, Any]:
    return {
        "name": experiment.name,
        "times": experiment.times,
        "values": experiment.values,
        "weights": experiment.weights,
        "sigma": experiment.sigma,
        "censored": experiment.censored,
        "replicates": experiment.replicates,
        "outputs": experiment.outputs,
        "start": experiment.start,
        "end": experiment.end,
        **{
            what: {
                name: {
                    part: getattr(signal, part) for part in ("times", "values", "kind", "points")
                }
                for name, signal in known.items()
                if isinstance(signal, Signal)
            }
            for what, known in (("inputs", experiment.inputs), ("history", experiment.history))
        },
        "parameters": dict(experiment.parameters),
        **{
            end: {k: [v.value, v.std] for k, v in known.items() if isinstance(v, Initial)}
            for end, known in (("initial", experiment.initial), ("final", experiment.final))
        },
    }


def _signals(tree: Mapping[str, Any]) -> dict[str, Signal]:
    return {k: Signal(v["times"], v["values"], v["kind"], v.get("points")) for k, v in tree.items()}


def _experiment(tree: Mapping[str, Any]) -> Experiment:
    kind = Experiment if len(tree["times"]) else Window
    return kind(
        tree["times"],
        tree["values"],
        tuple(tree["outputs"]),
        weights=tree["weights"],
        sigma=tree.get("sigma"),
        censored=tree.get("censored"),
        replicates=tree.get("replicates", False),
        inputs=_signals(tree["inputs"]),
        history=_signals(tree.get("history", {})),
        initial={k: Initial(v, std) for k, (v, std) in tree["initial"].items()},
        final={k: Initial(v, std) for k, (v, std) in tree.get("final", {}).items()},
        parameters=tree.get("parameters", {}),
        name=tree["name"],
        start=tree["start"],
        end=tree["end"],
    )
