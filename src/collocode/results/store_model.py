"""A trained model as a tree of numbers and text for its file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ..forms import Numbers
from ..model.parameters import SCALES
from ..model.varying import NETWORK, describe_network, described_network
from ..numerics.bases import BASIS, basis_from_dict, basis_to_dict
from ..transcription.tape import Tape
from .delayed import Lag
from .model import TrainedModel

_TAPE = {
    "header": Numbers(("entries",), dtype="int64"),
    "code": Numbers(("code",), dtype="int16"),
    "target": Numbers(("code",), dtype="int32"),
    "operands": Numbers(("code", 2), dtype="int32"),
    "constants": Numbers(("code",)),
}
MODEL = {
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
    "scales": {"*": Literal[*SCALES]},
    "noise": (_TAPE, None),
    "algebraics": {"*": float},
    "residuals": (_TAPE, None),
    "index": int,
    "lags": {"*": {"of": str, "by": (float, str)}},
    "dead_times": {"*": float},
    "widths": {"*": float},
    "sizes": {"*": float},
}


def model_tree(model: TrainedModel) -> dict[str, Any]:
    """Return what a file holds of a trained model."""
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
        "dead_times": dict(model.dead_times),
        "widths": dict(model.widths),
        "sizes": dict(model.sizes),
    }


def model_of(tree: Mapping[str, Any]) -> TrainedModel:
    """Return the model that `model_tree` took apart.

    Raises
    ------
    ValueError
        Parts that do not fit each other.
    """
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
        scales=tree["scales"],
        noise_tape=None if tree["noise"] is None else Tape.from_arrays(tree["noise"], "noise"),
        algebraics=tree["algebraics"],
        residual_tape=None
        if tree["residuals"] is None
        else Tape.from_arrays(tree["residuals"], "residuals"),
        index=tree["index"],
        lags=tuple(Lag(name=name, **lag) for name, lag in tree["lags"].items()),
        dead_times=tree["dead_times"],
        widths=tree["widths"],
        sizes=tree["sizes"],
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
    if not {*model.dead_times, *model.widths} <= set(inputs) or not set(model.sizes) <= set(states):
        raise ValueError("a dead time is of no input, or a size of no state")
    if not all(size > 0.0 for size in model.sizes.values()):
        raise ValueError("a state's size is not positive")
    return model
