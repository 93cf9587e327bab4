"""Arrays of ReLU networks out of other people's objects, checked.

An `MLP`, an ONNX file, a PyTorch state, a scikit-learn model: each reader returns the arguments of
`ReluNetwork`.
What is not a chain of linear layers with ReLU between them is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..export.dense_chain import DenseChain
from ..model.network import MLP
from ..numerics import Array, numbers


def finite_array(values: Any, name: str, dimensions: int) -> Array:
    """Return a read-only array of finite numbers.

    Raises
    ------
    InputError
        Another number of axes, an empty one, a value that is not finite, named by its place.
    """
    array = numbers(values, name)
    if array.ndim != dimensions or 0 in array.shape:
        raise InputError(
            f"{name} has shape {array.shape}; it must have {dimensions} axes, none empty."
        )
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{name}{list(where)} is {array[where]}; every weight must be finite.")
    array.flags.writeable = False
    return array


def broadcast_vector(values: Any, name: str, size: int, finite: bool = True) -> Array:
    """Return a number or (size,) values as a read-only (size,) array.

    Raises
    ------
    InputError
        Another shape, or a value that is not finite.
    """
    array = np.array(values, dtype=float)
    if array.shape not in ((), (size,)):
        raise InputError(f"{name} has shape {array.shape}; it must be a number or ({size},).")
    if finite and not np.isfinite(array).all():
        raise InputError(f"{name} must be finite.")
    array = np.broadcast_to(array, (size,)).copy()
    array.flags.writeable = False
    return array


def checked_samples(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Return samples as (samples, inputs) and (samples, outputs), all finite, at least two."""
    x, y = numbers(x, "x of the samples"), numbers(y, "y of the samples")
    y = y[:, None] if y.ndim == 1 else y
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 2:
        raise InputError(
            f"x has shape {x.shape} and y {y.shape}; give (samples, inputs) and (samples, outputs) "
            "of at least two samples."
        )
    for name, values in (("x", x), ("y", y)):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            raise InputError(f"{name}[{bad[0][0]}, {bad[0][1]}] is {values[tuple(bad[0])]}.")
    return x, y


def checked_widths(hidden: Sequence[int]) -> tuple[int, ...]:
    """Return positive widths of hidden layers."""
    widths = tuple(int(n) for n in hidden)
    if not widths or min(widths) < 1:
        raise InputError(f"hidden must hold at least one positive width, not {list(hidden)}.")
    return widths


def checked_range(x: Array, box: ArrayLike | None) -> Array:
    """Return the (inputs, 2) range that holds all samples; that of the samples if None."""
    if box is None:
        found = np.column_stack([x.min(axis=0), x.max(axis=0)])
    else:
        found = np.asarray(box, dtype=float)
        if found.shape != (x.shape[1], 2) or not np.isfinite(found).all():
            raise InputError(
                f"the box must be ({x.shape[1]}, 2) finite numbers, one row per input."
            )
        slack = 1e-9 * (found[:, 1] - found[:, 0])
        outside = ((x < found[:, 0] - slack) | (x > found[:, 1] + slack)).any(axis=0)
        if outside.any():
            raise InputError(f"samples of input {int(np.argmax(outside))} lie outside the box.")
    flat = np.flatnonzero(~(found[:, 1] > found[:, 0]))
    if len(flat):
        raise InputError(f"input {int(flat[0])} has no range to train over; leave it out.")
    return found


def mlp_arrays(network: MLP, theta: ArrayLike) -> dict[str, Any]:
    """Read an `MLP` with activation ``relu`` and its weight vector."""
    if network.activation != "relu" and len(network.sizes) > 2:
        raise InputError(
            f"the activation is {network.activation!r}; only 'relu' has the piecewise linear form "
            "that the encodings need."
        )
    weights, biases = zip(*network.matrices(theta), strict=True)
    outside = {"input_shift": np.asarray(network.shift or 0.0)}
    scales = np.asarray(network.scale or 1.0), np.asarray(network.output_scale or 1.0)
    return {**_positive_scales(weights, biases, *scales), **outside}


def chain_arrays(chain: DenseChain) -> dict[str, Any]:
    """Read dense layers of a file whose activations are all ``relu``, cut off above or not."""
    layers = chain.merged().layers
    for layer in layers[:-1]:
        if layer.activation != "relu":
            raise InputError(f"the activation {layer.activation!r}, which is not 'relu'")
    weights, biases = [layer.W for layer in layers], [layer.b for layer in layers]
    return {
        **_positive_scales(weights, biases, chain.scale, chain.output_scale),
        "clip": tuple(layer.level for layer in layers[:-1]),
        "input_shift": chain.shift,
        "output_shift": chain.output_shift,
    }


def _positive_scales(
    weights: Sequence[Array], biases: Sequence[Array], input_scale: Array, output_scale: Array
) -> dict[str, Any]:
    """Return layers and scales outside; the signs of the scales, and zeros, go into the layers."""
    factor = np.sign(output_scale)
    W, b = list(weights), list(biases)
    W[0] = W[0] * np.sign(input_scale)
    W[-1], b[-1] = (factor * W[-1].T).T, factor * b[-1]
    return {
        "weights": tuple(W),
        "biases": tuple(b),
        "input_scale": np.abs(input_scale),
        "output_scale": np.where(factor == 0.0, 1.0, np.abs(output_scale)),
    }


def torch_arrays(state: Mapping[str, Any]) -> dict[str, Any]:
    """Read the keys ``*.weight`` and ``*.bias`` of a PyTorch state, in their order."""
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
    return {"weights": tuple(weights), "biases": tuple(biases)}


def _numbers(tensor: Any) -> Array:
    for method in ("detach", "cpu"):
        tensor = getattr(tensor, method, lambda t=tensor: t)()
    return np.asarray(tensor, dtype=float)


def sklearn_arrays(model: Any) -> dict[str, Any]:
    """Read a fitted ``MLPRegressor``, alone or behind scalers."""
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
    return {"weights": weights, "biases": tuple(model.intercepts_), **settings}


def _scaler(step: Any) -> tuple[Array, Array]:
    """Return (m, s) of a scaler that computes (x - m)/s."""
    kind = type(step).__name__
    if kind == "StandardScaler" and hasattr(step, "n_features_in_"):
        mean, scale = (getattr(step, name) for name in ("mean_", "scale_"))
        return np.asarray(0.0 if mean is None else mean), np.asarray(
            1.0 if scale is None else scale
        )
    if kind == "MinMaxScaler" and hasattr(step, "n_features_in_") and not step.clip:
        scale = 1.0 / step.scale_
        return -step.min_ * scale, scale
    raise InputError(
        f"the step {kind} cannot be read; use a fitted StandardScaler or MinMaxScaler (clip=False)."
    )
