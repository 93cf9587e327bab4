"""Saving and loading: an ``.npz`` of arrays and one JSON text.  Loading executes nothing."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError
from ..model.experiment import Experiment, Initial
from ..model.varying import describe_network, described_network
from ..numerics.bases import basis_from_dict, basis_to_dict
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..numerics.signals import Signal
from ..transcription.tape import Tape
from .model import TrainedModel
from .solution import Solution, Trajectory
from .status import SolutionStatus, SolverResult, Termination

Array = NDArray[np.float64]
FORMAT = "collocode solution 1"
_LARGEST = 2**31  # bytes an array may unpack to; a file that claims more is refused unread


def save(solution: Solution, path: str | Path) -> None:
    """Write a solution; the file is replaced in one step, so a crash never leaves half of it."""
    arrays: dict[str, Any] = {}
    header: dict[str, Any] = {
        "format": FORMAT,
        "name": solution.name,
        "scheme": {
            "name": solution.scheme.name,
            "degree": solution.scheme.degree,
            "dense": list(solution.scheme.dense),
        },
        "result": _result_header(solution.result, arrays),
        "model": _model_header(solution.model, arrays),
        "trajectories": [],
        "test": [],
    }
    for key in ("nodes", "D", "B"):
        arrays[f"scheme.{key}"] = getattr(solution.scheme, key)
    for number, part in enumerate(solution.trajectories):
        prefix = f"trajectory{number}"
        header["trajectories"].append(_experiment_header(part.experiment, prefix, arrays))
        arrays[f"{prefix}.mesh"] = part.mesh.points
        for key in ("states", "multipliers", "parameters"):
            arrays[f"{prefix}.{key}"] = getattr(part, key)
        arrays[f"{prefix}.nodes"] = part.times
    for number, experiment in enumerate(solution.test):
        header["test"].append(_experiment_header(experiment, f"test{number}", arrays))
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    target = Path(path)
    target = target if target.suffix == ".npz" else target.with_name(target.name + ".npz")
    try:
        # a folder and not mkstemp, whose files nobody else may read
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".collocode-") as aside:
            np.savez_compressed(Path(aside) / target.name, **arrays)
            os.replace(Path(aside) / target.name, target)
    except OSError as error:
        raise FileError(
            f"cannot write {target} ({error.strerror or error}); check the folder."
        ) from error


def load(path: str | Path) -> Solution:
    """Read a solution that `save` wrote.

    The result simulates, predicts and plots; it has no NLP, so to go on optimising, discretize the
    problem again and pass the solution as the start.

    Raises
    ------
    FileError
        Missing, corrupt or foreign file.
    """
    source = Path(path)
    if not source.is_file():
        raise FileError(f"there is no file {str(source)!r}; check the path.")
    try:
        arrays = _read_arrays(source)
        header = json.loads(bytes(arrays["header"]))
        if header["format"] != FORMAT:
            raise FileError(f"{source} has format {header['format']!r}, not {FORMAT!r}.")
        return _solution(header, arrays)
    except FileError:
        raise
    except Exception as error:  # a hostile file can fail in zip, zlib, NumPy, JSON, memory, ...
        reason = " ".join(str(error).split())[:200]
        raise FileError(f"{source} is not a solution saved by collocode ({reason}).") from error


def _read_arrays(source: Path) -> dict[str, Any]:
    with zipfile.ZipFile(source) as archive:
        if sum(info.file_size for info in archive.infolist()) > _LARGEST:
            raise FileError(f"{source} would unpack to more than 2 GiB; it is refused.")
    with np.load(source, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _solution(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> Solution:
    scheme = Scheme(
        str(header["scheme"]["name"]),
        int(header["scheme"]["degree"]),
        _floats(arrays, "scheme.nodes"),
        _floats(arrays, "scheme.D"),
        _floats(arrays, "scheme.B"),
        tuple(int(j) for j in header["scheme"]["dense"]),
    )
    model = _model(header["model"], arrays)
    trajectories = []
    for number, entry in enumerate(header["trajectories"]):
        prefix = f"trajectory{number}"
        mesh, m = Mesh(arrays[f"{prefix}.mesh"]), scheme.intervals
        states = _floats(arrays, f"{prefix}.states")
        if states.shape != (mesh.elements * m + 1, len(model.states)):
            raise ValueError("the states do not fit the mesh")
        trajectories.append(
            Trajectory(
                _experiment(entry, prefix, arrays),
                mesh,
                _floats(arrays, f"{prefix}.nodes", (len(states),)),
                states,
                _floats(arrays, f"{prefix}.multipliers", (mesh.elements, m, len(model.states))),
                _floats(arrays, f"{prefix}.parameters", model.parameters.shape),
            )
        )
    if not trajectories:
        raise ValueError("there is no experiment")
    test = tuple(_experiment(e, f"test{n}", arrays) for n, e in enumerate(header["test"]))
    result = _result(header["result"], arrays)
    return Solution(str(header["name"]), result, model, scheme, tuple(trajectories), test)


def _floats(arrays: Mapping[str, Any], name: str, shape: tuple[int, ...] | None = None) -> Array:
    array = np.asarray(arrays[name])
    if array.dtype != np.float64 or (shape is not None and array.shape != shape):
        raise ValueError(f"{name} does not fit")
    return array


def _result_header(result: SolverResult, arrays: dict[str, Any]) -> dict[str, Any]:
    for key in ("x", "lam_g", "lam_x"):
        arrays[f"result.{key}"] = getattr(result, key)
    for key, values in result.history.items():
        arrays[f"history.{key}"] = values
    plain = {
        k: getattr(result, k)
        for k in (
            "objective",
            "violation",
            "message",
            "timings",
            "interface",
            "solver",
            "linear_solver",
        )
    }
    options = {
        k: v if isinstance(v, int | float | str | bool) else str(v)
        for k, v in result.options.items()
    }
    return {
        **plain,
        "options": options,
        "termination": result.termination.name,
        "status": result.status.name,
        "history": list(result.history),
    }


def _result(entry: Mapping[str, Any], arrays: Mapping[str, Any]) -> SolverResult:
    return SolverResult(
        x=_floats(arrays, "result.x"),
        lam_g=_floats(arrays, "result.lam_g"),
        lam_x=_floats(arrays, "result.lam_x"),
        termination=Termination[entry["termination"]],
        status=SolutionStatus[entry["status"]],
        history={str(k): _floats(arrays, f"history.{k}") for k in entry["history"]},
        timings={str(k): float(v) for k, v in entry["timings"].items()},
        options=dict(entry["options"]),
        **{
            k: entry[k]
            for k in (
                "objective",
                "violation",
                "message",
                "interface",
                "solver",
                "linear_solver",
            )
        },
    )


def _model_header(model: TrainedModel, arrays: dict[str, Any]) -> dict[str, Any]:
    arrays.update(model.tape.arrays("rhs"))
    arrays.update(model.output_tape.arrays("outputs"))
    arrays["model.parameters"], arrays["model.theta"] = model.parameters, model.theta
    return {
        "states": model.states,
        "inputs": model.inputs,
        "outputs": model.outputs,
        "parameter_names": model.parameter_names,
        "networks": {name: describe_network(network) for name, network in model.networks.items()},
        "bases": {name: basis_to_dict(basis) for name, basis in model.bases.items()},
    }


def _model(entry: Mapping[str, Any], arrays: Mapping[str, Any]) -> TrainedModel:
    names = [
        tuple(str(n) for n in entry[k]) for k in ("states", "inputs", "outputs", "parameter_names")
    ]
    networks = {str(k): described_network(v) for k, v in entry["networks"].items()}
    bases = {str(k): basis_from_dict(v) for k, v in entry.get("bases", {}).items()}
    model = TrainedModel(
        names[0],
        names[1],
        names[2],
        names[3],
        Tape.from_arrays(arrays, "rhs"),
        Tape.from_arrays(arrays, "outputs"),
        _floats(arrays, "model.parameters", (len(names[3]),)),
        networks,
        _floats(arrays, "model.theta", (sum(n.n_weights for n in networks.values()),)),
        bases,
    )
    absent = {f"{k}.{f}" for k, b in bases.items() for f in b.names()} - set(names[3])
    if absent:
        raise ValueError("the bases do not fit the parameters")
    states, inputs, outputs, parameters = (len(n) for n in names)
    sizes = (1, states, inputs, parameters, len(model.theta))
    if model.tape.inputs != sizes or model.tape.outputs != (states,):
        raise ValueError("the right-hand side does not fit the states")
    if model.output_tape.inputs != sizes or model.output_tape.outputs != (outputs,):
        raise ValueError("the output function does not fit the states")
    return model


def _experiment_header(
    experiment: Experiment, prefix: str, arrays: dict[str, Any]
) -> dict[str, Any]:
    arrays[f"{prefix}.times"], arrays[f"{prefix}.values"] = experiment.times, experiment.values
    if experiment.weights is not None:
        arrays[f"{prefix}.weights"] = experiment.weights
    for name, signal in experiment.inputs.items():
        arrays[f"{prefix}.input.{name}"] = np.vstack([signal.times, signal.values])
    return {
        "name": experiment.name,
        "outputs": experiment.outputs,
        "start": experiment.start,
        "end": experiment.end,
        "inputs": {name: signal.kind for name, signal in experiment.inputs.items()},
        "initial": {
            k: [v.value, v.std] for k, v in experiment.initial.items() if isinstance(v, Initial)
        },
    }


def _experiment(entry: Mapping[str, Any], prefix: str, arrays: Mapping[str, Any]) -> Experiment:
    return Experiment(
        arrays[f"{prefix}.times"],
        arrays[f"{prefix}.values"],
        tuple(entry["outputs"]),
        arrays.get(f"{prefix}.weights"),
        {k: _signal(arrays[f"{prefix}.input.{k}"], kind) for k, kind in entry["inputs"].items()},
        {k: Initial(float(v), float(std)) for k, (v, std) in entry["initial"].items()},
        str(entry["name"]),
        entry["start"],
        entry["end"],
    )


def _signal(samples: Array, kind: str) -> Signal:
    times, values = samples
    return Signal(times, values, kind)


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: arrays as lists, enums as text, NaN and inf as None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
