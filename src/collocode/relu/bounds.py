r"""Ranges of pre-activations: what every encoding of a ReLU network is built from.

.. math:: L_l = W_l^+ \underline v_{l-1} + W_l^- \overline v_{l-1} + b_l \le a_l \le
          W_l^+ \overline v_{l-1} + W_l^- \underline v_{l-1} + b_l = U_l

Interval arithmetic (above) costs one pass, `collocode.relu.tighten` solves linear programs for better
ones.  Ranges also say how to scale a network by positive homogeneity: the same function, other
numbers inside,

.. math:: W_l \leftarrow S_l W_l S_{l-1}^{-1},\quad b_l \leftarrow S_l b_l,\quad
          c_l \leftarrow S_l c_l,\qquad S_l = \mathrm{diag}(s_l) > 0

because min(max(s a, 0), s c) = s min(max(a, 0), c) for s > 0.  With s = 1/max(|L|, |U|) every
hidden big-M is at most one.  It is a diagonal change of variables: the LP relaxation's optimum does
not change, only what tolerances, presolve and branching make of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import apart, counted
from ..errors import InputError
from ..kinds import kinds_checked
from ..numerics import Array, numbers
from ..numerics.random import generator
from .network import ReluNetwork

OFF, UNDECIDED, ON, SATURATED = -1, 0, 1, 2


@dataclass(frozen=True, eq=False, repr=False)
class Bounds:
    """Lower and upper bounds of the pre-activations of all layers, the output's last.

    Attributes
    ----------
    lower, upper : one array per layer; the last is the output before its scale and shift.
    kind : where they come from: ``interval``, ``lp``, ``mip``, ``split``, ``sampled``, ``given``.
    seconds : time spent on them.
    complete : False if a time budget ended the tightening early (the bounds are valid all the same).
    programs : linear programs solved.
    conditional : True if they hold only where an objective is as good as a known one or constraints
        on outputs hold; an encoding then enforces them, instead of relying on them.

    Raises
    ------
    InputError
        A lower bound above its upper bound, NaN, shapes that differ.
    """

    lower: tuple[Array, ...]
    upper: tuple[Array, ...]
    _: KW_ONLY
    kind: str = "given"
    seconds: float = 0.0
    complete: bool = True
    programs: int = 0
    conditional: bool = False

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            layers = tuple(np.array(part, dtype=float) for part in getattr(self, name))
            object.__setattr__(self, name, layers)
        if [x.shape for x in self.lower] != [x.shape for x in self.upper]:
            raise InputError("lower and upper bounds have different shapes.")
        for layer, (low, up) in enumerate(zip(self.lower, self.upper, strict=True)):
            bad = np.flatnonzero(~(low <= up))
            if len(bad):
                unit = int(bad[0])
                told = apart(low[unit], up[unit])
                raise InputError(
                    f"the bounds of {unit_name(layer, unit, len(self.lower))} are "
                    f"[{told[0]}, {told[1]}]: the lower one must not exceed the upper one."
                )

    def __repr__(self) -> str:
        width = [
            f"{float(np.mean(u - x)):.3g}" for x, u in zip(self.lower, self.upper, strict=True)
        ]
        return f"Bounds({self.kind}, mean widths by layer {', '.join(width)})"

    def stable(self, network: ReluNetwork) -> list[NDArray[np.int64]]:
        """Return for every hidden layer what these bounds decide about its units.

        Returns
        -------
        Integers: -1 always off (v = 0), 1 always on (v = a), 2 always saturated (v = c),
        0 undecided.
        """
        layers = range(len(self.lower) - 1)
        return [unit_states(self.lower[k], self.upper[k], network.level(k)) for k in layers]

    def big_m(self, network: ReluNetwork) -> Array:
        """Return max(|L|, |U|) of the undecided hidden units, layer by layer."""
        sides = zip(self.lower, self.upper, self.stable(network), strict=False)
        sizes = (
            np.maximum(np.abs(low), np.abs(up))[state == UNDECIDED] for low, up, state in sides
        )
        return np.concatenate([np.zeros(0), *sizes])

    def activations(self, network: ReluNetwork, layer: int) -> tuple[Array, Array]:
        """Return the range of the unit values v of hidden layer ``layer`` (from 0)."""
        return (
            network.activated(self.lower[layer], layer),
            network.activated(self.upper[layer], layer),
        )

    def outputs(self, network: ReluNetwork) -> tuple[Array, Array]:
        """Return lower and upper bounds of the network's outputs in the user's units."""
        shift, scale = network.output_shift, network.output_scale
        return shift + scale * self.lower[-1], shift + scale * self.upper[-1]

    def contains(self, other: Bounds, slack: float = 1e-12) -> bool:
        """Tell whether every range of ``other`` lies within ours, up to ``slack``·(1 + size)."""
        return all(
            bool((low <= o_low + slack * (1.0 + abs(o_low))).all())
            and bool((up >= o_up - slack * (1.0 + abs(o_up))).all())
            for low, up, o_low, o_up in zip(
                self.lower, self.upper, other.lower, other.upper, strict=True
            )
        )

    def check(self, network: ReluNetwork) -> None:
        """Refuse bounds of another shape than the network's, naming both."""
        widths = tuple(low.shape for low in self.lower)
        if widths != tuple((n,) for n in network.sizes[1:]):
            raise InputError(
                f"the bounds are for layers of widths {[*(w[0] if w else 0 for w in widths)]}, but "
                f"the network has {list(network.sizes[1:])}."
            )


def unit_states(low: Array, up: Array, level: Array) -> NDArray[np.int64]:
    """Return what ranges [low, up] decide about units with clip levels, see `Bounds.stable`."""
    state = np.full(len(low), UNDECIDED)
    state[(low >= 0.0) & (up <= level)] = ON
    state[up <= 0.0] = OFF
    state[low >= level] = SATURATED
    return state


def unit_name(layer: int, unit: int, layers: int) -> str:
    """Return what messages call a unit; layers and units count from 0 as in NumPy.

    Examples
    --------
    >>> unit_name(0, 3, layers=2), unit_name(1, 0, layers=2)
    ('unit 3 of hidden layer 0', 'output 0')
    """
    return f"output {unit}" if layer == layers - 1 else f"unit {unit} of hidden layer {layer}"


def as_box(network: ReluNetwork, box: ArrayLike) -> Array:
    """Check a box of inputs; return it as (inputs, 2), lower bounds first.

    Raises
    ------
    InputError
        No network, another shape, an input that is unbounded or whose bounds are crossed, named.
    """
    if not isinstance(network, ReluNetwork):
        raise InputError(
            f"a network to optimize over is a ReluNetwork, not {type(network).__name__}; make one by "
            "relu.train, from arrays, or by ReluNetwork.from_onnx, from_torch_state or from_sklearn."
        )
    array = numbers(box, "the box")
    if array.shape != (network.inputs, 2):
        raise InputError(
            f"the box has shape {array.shape}; give one (lower, upper) pair for each of the "
            f"{counted(network.inputs, 'input')}."
        )
    for i, (low, up) in enumerate(array):
        if not (np.isfinite(low) and np.isfinite(up)):
            raise InputError(
                f"input {i} is unbounded ([{low:g}, {up:g}]); a MIP encoding needs finite bounds "
                "of every input: give it a lower and an upper one."
            )
        if low > up:
            raise InputError(f"the bounds of input {i} are crossed: [{low:g}, {up:g}].")
    return array


def core_box(network: ReluNetwork, box: ArrayLike) -> Array:
    """Return the box of the network's inner inputs, (x - shift)/scale."""
    limits = as_box(network, box)
    shift, scale = network.input_shift[:, None], network.input_scale[:, None]
    return np.asarray((limits - shift) / scale)


def affine_range(W: Array, b: Array, low: Array, up: Array) -> tuple[Array, Array]:
    """Return the range of W v + b over low <= v <= up, by interval arithmetic."""
    plus, minus = np.maximum(W, 0.0), np.minimum(W, 0.0)
    return plus @ low + minus @ up + b, plus @ up + minus @ low + b


def interval_bounds(network: ReluNetwork, box: ArrayLike) -> Bounds:
    """Bound all pre-activations by interval arithmetic.

    Parameters
    ----------
    box : (inputs, 2) lower and upper bounds of the inputs, all finite.

    Examples
    --------
    >>> network = ReluNetwork(([[1.0], [-1.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    >>> interval_bounds(network, [(-1.0, 3.0)]).outputs(network)
    (array([0.]), array([4.]))
    """
    low, up = core_box(network, box).T
    lower, upper = [], []
    for layer, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        low, up = affine_range(W, b, low, up)
        lower.append(low)
        upper.append(up)
        if layer < len(network.clip):
            low, up = network.activated(low, layer), network.activated(up, layer)
    return Bounds(tuple(lower), tuple(upper), kind="interval")


def sample_box(box: Array, samples: int, seed: int) -> Array:
    """Return (samples, inputs) points: uniform, each coordinate at one of its ends now and then."""
    rng = generator(seed)
    unit = rng.uniform(-0.1, 1.1, (samples, len(box))).clip(0.0, 1.0)  # extremes sit at faces
    return box[:, 0] + unit * (box[:, 1] - box[:, 0])


def count_states(states: Sequence[NDArray[np.int64]]) -> dict[str, int]:
    """Count what `Bounds.stable` found: off, on, saturated, undecided."""
    flat = np.concatenate([np.zeros(0, int), *states])
    names = {"off": OFF, "on": ON, "saturated": SATURATED, "undecided": UNDECIDED}
    return {name: int((flat == code).sum()) for name, code in names.items()}


def scale_factors(network: ReluNetwork, bounds: Bounds, per: str = "neuron") -> list[Array]:
    """Return the s_l of every hidden layer: 1/max(|L|, |U|) by neuron, or of the layer's largest.

    A unit whose range is the single point 0 keeps the factor 1.

    Raises
    ------
    InputError
        Another ``per``; bounds of another shape, or infinite.
    """
    if per not in ("neuron", "layer"):
        raise InputError(
            f"units are scaled by 'neuron' or 'layer', not {per!r}; leave it out for none."
        )
    bounds.check(network)
    found = []
    for low, up in zip(bounds.lower[:-1], bounds.upper[:-1], strict=True):
        size = np.maximum(np.abs(low), np.abs(up))
        if not np.isfinite(size).all():
            raise InputError("bounds for scaling must be finite; use interval_bounds or lp_bounds.")
        if per == "layer":
            size = np.full_like(size, size.max())
        found.append(1.0 / np.where(size > 0.0, size, 1.0))
    return found


@kinds_checked
def scaled(network: ReluNetwork, bounds: Bounds, per: str = "neuron") -> ReluNetwork:
    """Return an equal network whose pre-activations are within [-1, 1] where bounds say so.

    Parameters
    ----------
    bounds : proved ranges, as `interval_bounds` or `lp_bounds` return them.
    per : ``neuron`` (one factor each) or ``layer`` (one for all units of a layer).

    Raises
    ------
    InputError
        See `scale_factors`.

    Examples
    --------
    >>> absolute = ReluNetwork(([[4.0], [-4.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    >>> other = scaled(absolute, interval_bounds(absolute, [(-2.0, 1.0)]))
    >>> other.weights[0].ravel(), other([-2.0]), absolute([-2.0])
    (array([ 0.5, -0.5]), array([8.]), array([8.]))
    """
    s = scale_factors(network, bounds, per)
    before = [np.ones(network.inputs), *s]
    after = [*s, np.ones(network.outputs)]
    layers = range(len(network.weights))
    return replace(
        network,
        weights=tuple(after[k][:, None] * network.weights[k] / before[k] for k in layers),
        biases=tuple(after[k] * network.biases[k] for k in layers),
        clip=tuple(None if level is None else s[k] * level for k, level in enumerate(network.clip)),
    )


@kinds_checked
def scaled_bounds(network: ReluNetwork, bounds: Bounds, per: str = "neuron") -> Bounds:
    """Return what the bounds of ``network`` become for ``scaled(network, bounds, per)``."""
    s = [*scale_factors(network, bounds, per), np.ones(network.outputs)]
    return replace(
        bounds,
        lower=tuple(f * low for f, low in zip(s, bounds.lower, strict=True)),
        upper=tuple(f * up for f, up in zip(s, bounds.upper, strict=True)),
    )
