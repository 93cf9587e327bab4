"""ReLU networks out of other people's objects and files, and back.

An `MLP`, an ONNX file, a PyTorch state, a scikit-learn model, an ``.npz`` of our own.  What is not a
chain of linear layers with ReLU between them is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..export.onnx_read import read_onnx
from ..files import Schema
from ..model.network import MLP
from .network import ReluNetwork

Array = NDArray[np.float64]
RELU_NETWORK = Schema("relu network", 1, "a ReLU network", largest=2**28)
_AFFINE = ("input_shift", "input_scale", "output_shift", "output_scale")


def from_mlp(network: MLP, theta: ArrayLike) -> ReluNetwork:
    """See `ReluNetwork.from_mlp`."""
    if network.activation != "relu" and len(network.sizes) > 2:
        raise InputError(
            f"the network's activation is {network.activation!r}; only 'relu' has the piecewise "
            "linear form that these encodings need."
        )
    matrices = network.matrices(theta)
    factors = np.asarray(network.output_scale or 1.0)
    weights, biases = [W for W, _ in matrices], [b for _, b in matrices]
    if (factors <= 0.0).any():  # an affine map outside has positive factors; these go inside
        weights[-1], biases[-1] = factors[:, None] * weights[-1], factors * biases[-1]
        factors = np.asarray(1.0)
    scale = np.asarray(network.scale or 1.0)
    weights[0] = weights[0] * np.sign(scale)
    return ReluNetwork(
        tuple(weights),
        tuple(biases),
        input_shift=np.asarray(network.shift or 0.0),
        input_scale=np.abs(scale),
        output_scale=factors,
    )


def to_mlp(network: ReluNetwork) -> tuple[MLP, Array]:
    """See `ReluNetwork.to_mlp`."""
    if network.clipped:
        raise InputError("an MLP has no clipped units; keep this network as a ReluNetwork.")
    mlp = MLP(
        network.sizes,
        "relu",
        tuple(network.input_shift),
        tuple(network.input_scale),
        tuple(network.output_scale),
    )
    matrices: list[tuple[ArrayLike, ArrayLike]] = list(
        zip(network.weights, network.biases, strict=True)
    )
    W, b = network.weights[-1], network.biases[-1]
    matrices[-1] = (W, b + network.output_shift / network.output_scale)
    return mlp, mlp.vector(matrices)


def from_onnx(path: str | Path) -> ReluNetwork:
    """See `ReluNetwork.from_onnx`."""
    trained = read_onnx(path)
    if trained.network.activation != "relu" and len(trained.network.sizes) > 2:
        raise InputError(
            f"{path}: the activation is {trained.network.activation!r}; only ReLU networks have "
            "the piecewise linear form that these encodings need."
        )
    return from_mlp(trained.network, trained.weights)


def from_torch_state(state: Mapping[str, Any], **settings: Any) -> ReluNetwork:
    """See `ReluNetwork.from_torch_state`."""
    weights, biases, prefixes = [], [], list(dict.fromkeys(k.rpartition(".")[0] for k in state))
    for prefix in prefixes:
        names = {k.rpartition(".")[2]: k for k in state if k.rpartition(".")[0] == prefix}
        strange = [k for name, k in names.items() if name not in ("weight", "bias")]
        if strange or "weight" not in names:
            raise InputError(
                f"{(strange or list(names.values()))[0]!r} belongs to no linear layer; only "
                "'*.weight' and '*.bias' of Linear layers can be read."
            )
        W = _numbers(state[names["weight"]])
        if W.ndim != 2:
            raise InputError(
                f"{names['weight']!r} has shape {W.shape}; a linear layer has (outputs, inputs)."
            )
        weights.append(W)
        biases.append(_numbers(state[names["bias"]]) if "bias" in names else np.zeros(len(W)))
    if not weights:
        raise InputError("the state is empty; give the state_dict() of a trained network.")
    return ReluNetwork(tuple(weights), tuple(biases), **settings)


def _numbers(tensor: Any) -> Array:
    for method in ("detach", "cpu"):
        tensor = getattr(tensor, method, lambda t=tensor: t)()
    return np.asarray(tensor, dtype=float)


def from_sklearn(model: Any) -> ReluNetwork:
    """See `ReluNetwork.from_sklearn`."""
    settings: dict[str, Any] = {}
    kind = type(model).__name__
    if kind == "TransformedTargetRegressor":
        scaler = getattr(model, "transformer_", None)
        if scaler is None:
            raise InputError("the TransformedTargetRegressor is not fitted; call fit first.")
        settings["output_shift"], settings["output_scale"] = _scaler(scaler)
        model, kind = model.regressor_, type(model.regressor_).__name__
    if kind == "Pipeline":
        steps = [step for _, step in model.steps if step not in (None, "passthrough")]
        shift, scale = np.asarray(0.0), np.asarray(1.0)
        for step in steps[:-1]:
            inner_shift, inner_scale = _scaler(step)
            shift, scale = shift + scale * inner_shift, scale * inner_scale
        settings["input_shift"], settings["input_scale"] = shift, scale
        model, kind = steps[-1], type(steps[-1]).__name__
    if kind != "MLPRegressor":
        raise InputError(f"{kind} is no MLPRegressor; only that one is a ReLU network.")
    if not hasattr(model, "coefs_"):
        raise InputError("the MLPRegressor is not fitted; call fit first.")
    if model.activation != "relu" or model.out_activation_ != "identity":
        raise InputError(
            f"the MLPRegressor has activation {model.activation!r} and output activation "
            f"{model.out_activation_!r}; only 'relu' and 'identity' can be encoded."
        )
    weights = tuple(np.asarray(W, dtype=float).T for W in model.coefs_)
    biases = tuple(np.asarray(b, dtype=float) for b in model.intercepts_)
    return ReluNetwork(weights, biases, **settings)


def _scaler(step: Any) -> tuple[Array, Array]:
    """Return (m, s) of a scaler that computes (x - m)/s."""
    kind = type(step).__name__
    if kind == "StandardScaler" and hasattr(step, "n_features_in_"):
        mean = 0.0 if step.mean_ is None else step.mean_
        return np.asarray(mean, dtype=float), np.asarray(
            1.0 if step.scale_ is None else step.scale_
        )
    if kind == "MinMaxScaler" and hasattr(step, "n_features_in_") and not step.clip:
        scale = 1.0 / step.scale_
        return -step.min_ * scale, scale
    raise InputError(
        f"the step {kind} cannot be read; use a fitted StandardScaler or MinMaxScaler (clip=False)."
    )


def save(network: ReluNetwork, path: str | Path) -> None:
    """See `ReluNetwork.save`."""
    affine = {name: getattr(network, name) for name in _AFFINE}
    tree = {"weights": network.weights, "biases": network.biases, "clip": network.clip, **affine}
    RELU_NETWORK.write(path, tree)


def load(path: str | Path) -> ReluNetwork:
    """See `ReluNetwork.load`."""
    return RELU_NETWORK.read(
        path,
        lambda tree: ReluNetwork(
            weights=tuple(tree["weights"]),
            biases=tuple(tree["biases"]),
            clip=tuple(tree["clip"]),
            **{name: tree[name] for name in _AFFINE},
        ),
    )
