"""The `Problem`: dynamics, data, bounds, loss and regularisation as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, check_type
from ..numerics import Array
from ..numerics.bases import Basis
from ..numerics.signals import Smoother
from .constraints import PathConstraint, PointConstraint, bounds_of, shared_bounds_of
from .dynamics import Dynamics, DynamicsLike, check_bounds
from .experiment import Experiment, Initial, Truth, free
from .losses import L2, Evidence, LeastSquares, Loss
from .varying import Block, bases_of, weight_blocks

_USUAL = 1e-4  # λ that a first fit converges well with
Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Problem:
    r"""Identify the unknown parts of :math:`\dot x=f(t,x,u,p,\mathrm{NN}_\theta)` from experiments.

    Parameters
    ----------
    dynamics : `NeuralODE` or `Dynamics`.
    experiments : one `Experiment` or several; they share networks and parameters.
    states : state names; empty takes the measured outputs.
    observe : ``h(x, u, p)``, one value per output; None measures the states of the same names.
    bounds : (lower, upper) by state name, held at every node.
    loss : `LeastSquares`, `Huber` or `PseudoHuber`.
    regularisation : `L2` of a given strength, or `Evidence`, by which `fit` chooses it.
    constraints : `PathConstraint` along the trajectories, `PointConstraint` at given points.
    normalise : whether a `NeuralODE` scales its network to the data's ranges.
    scaling : typical size by state name, where the data do not tell it (unmeasured states).
    test : experiments that are predicted, never fitted; their `fixed` initial states are used.
    truth : the true system, where it is known.
    name, source : for reports.

    Raises
    ------
    InputError
        Names that do not exist, crossed bounds, a state or output without any data.
    """

    dynamics: DynamicsLike
    experiments: Sequence[Experiment]
    _: KW_ONLY
    states: tuple[str, ...] = ()
    observe: Callable[..., Any] | None = None
    bounds: Bounds = field(default_factory=dict)
    loss: Loss = LeastSquares()
    regularisation: L2 | Evidence = L2()
    constraints: Sequence[PathConstraint | PointConstraint] = ()
    normalise: bool = True
    scaling: Mapping[str, float] = field(default_factory=dict)
    test: Sequence[Experiment] = ()
    truth: Truth | None = None
    name: str = "problem"
    source: str = ""

    def __post_init__(self) -> None:
        needed = ("rhs", "networks", "parameters", "normalised")
        if isinstance(self.dynamics, type) or not all(hasattr(self.dynamics, n) for n in needed):
            check_type("Problem(dynamics=...)", self.dynamics, Dynamics)
        experiments = _as_tuple(self.experiments)
        if not experiments:
            raise InputError(f"problem {self.name!r} has no experiments; add data.")
        outputs = tuple(dict.fromkeys(n for e in experiments for n in e.outputs))
        states = tuple(self.states) or outputs
        if len(set(states)) != len(states):
            raise InputError(f"state names must differ, not {states}.")
        if not isinstance(self.loss, Loss):
            raise InputError(
                f"loss={self.loss!r} is no loss; give LeastSquares(), Huber(...) or PseudoHuber(...)."
            )
        if not isinstance(self.regularisation, L2 | Evidence):
            raise InputError(
                "a problem is regularised by L2 or Evidence; L1 has kinks and goes to "
                "admm(regularisation=...)."
            )
        names = [e.name for e in experiments]
        repeated = {n for n in names if names.count(n) > 1}
        if repeated:
            raise InputError(f"two experiments are called {repeated.pop()!r}; rename one.")
        set_ = object.__setattr__
        set_(self, "states", states)
        set_(self, "_outputs", outputs)
        set_(self, "experiments", tuple(e.select(outputs) for e in experiments))
        set_(self, "test", tuple(e.select(outputs) for e in _as_tuple(self.test)))
        self._check_names()
        for state, (lower, upper) in self.bounds.items():
            check_bounds(lower, upper, f"state {state!r}")
        self._check_measured()
        self._check_bases()
        if self.normalise:
            set_(self, "dynamics", self.dynamics.normalised(self.ranges))

    def _check_names(self) -> None:
        if self.observe is None:
            unknown = [n for n in self.outputs if n not in self.states]
            if unknown:
                raise InputError(
                    f"measured column {unknown[0]!r} is no state ({', '.join(self.states)}); "
                    "rename it, leave it out, or give observe=."
                )
        for what, names in (
            ("bounds", self.bounds),
            ("scaling", self.scaling),
            *((f"initial of experiment {e.name!r}", e.initial) for e in self.experiments),
        ):
            for name in names:
                if name not in self.states:
                    raise InputError(
                        f"{what} names {name!r}, which is no state; states: {', '.join(self.states)}."
                    )
        for experiment in (*self.experiments, *self.test):
            missing = [n for n in self.inputs if n not in experiment.inputs]
            if missing:
                raise InputError(
                    f"experiment {experiment.name!r} has no input {missing[0]!r}; add it."
                )

    def _check_measured(self) -> None:
        for column, name in enumerate(self.outputs):
            if not any(np.isfinite(e.values[:, column]).any() for e in self.experiments):
                raise InputError(
                    f"output {name!r} has no finite value in any experiment (all NaN or of weight 0); "
                    "leave the column out if the state is not measured."
                )
        for experiment in self.experiments:
            count = int(np.isfinite(experiment.values).any(axis=1).sum())
            if count < 2:
                raise InputError(
                    f"experiment {experiment.name!r} has {count} times with a finite value; "
                    "at least 2 are needed."
                )

    def _check_bases(self) -> None:
        for basis in self.bases:
            start, end = basis.interval
            slack = 1e-9 * (end - start)
            for experiment in (*self.experiments, *self.test):
                first, last = experiment.start, experiment.end
                assert first is not None and last is not None
                if first < start - slack or last > end + slack:
                    raise InputError(
                        f"{basis!r} covers [{start:g}, {end:g}], but experiment "
                        f"{experiment.name!r} runs over [{first:g}, {last:g}]; "
                        "give the basis an interval that covers every experiment."
                    )

    def __repr__(self) -> str:
        weights = sum(n.n_weights for n in self.dynamics.networks.values())
        return (
            f"Problem({self.name!r}, states={self.states}, experiments={len(self.experiments)}, "
            f"measurements={self.n_measurements}, parameters={len(self.dynamics.parameters)}, "
            f"weights={weights})"
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the measured outputs."""
        return self._outputs  # type: ignore[attr-defined]

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the exogenous inputs, in the order of the first experiment."""
        return tuple(self.experiments[0].inputs)

    @property
    def parameter_blocks(self) -> tuple[Block, ...]:
        """The coefficients of every physical parameter."""
        return tuple(q.block for q in self.dynamics.parameters)

    @property
    def weight_blocks(self) -> tuple[Block, ...]:
        """The coefficients of every network's weights."""
        return weight_blocks(self.dynamics.networks)

    @property
    def coefficient_names(self) -> tuple[str, ...]:
        """Names of the parameters; one that varies in time has one per coefficient."""
        return tuple(name for q in self.dynamics.parameters for name in q.names)

    @cached_property
    def bases(self) -> tuple[Basis, ...]:
        """The different bases of parameters and weights that vary in time."""
        return tuple(bases_of((*self.parameter_blocks, *self.weight_blocks)))

    @property
    def varies_in_time(self) -> bool:
        """Whether any parameter or weight has a basis."""
        return bool(self.bases)

    @property
    def breaks(self) -> Array:
        """Times at which some basis is not smooth."""
        return np.concatenate([np.empty(0), *(b.breaks for b in self.bases)])

    @cached_property
    def path_constraints(self) -> tuple[PathConstraint, ...]:
        """What holds along the trajectories; bounds on an experiment's own p(t) are among it."""
        given = [c for c in self.constraints if isinstance(c, PathConstraint)]
        bounded = [q for q in self.dynamics.parameters if q.bounded_by_rows and q.per_experiment]
        return (*given, *(bounds_of(q) for q in bounded))

    @property
    def point_constraints(self) -> tuple[PointConstraint, ...]:
        """The constraints that hold at given points; bounds on shared p(t) are among them."""
        given = [c for c in self.constraints if isinstance(c, PointConstraint)]
        bounded = [q for q in self.dynamics.parameters if q.bounded_by_rows]
        return (*given, *(shared_bounds_of(q) for q in bounded if not q.per_experiment))

    @cached_property
    def n_measurements(self) -> int:
        """Number of finite measurements."""
        return sum(int(np.isfinite(e.values).sum()) for e in self.experiments)

    def initial_of(self, experiment: Experiment, state: str) -> Initial:
        """Return what is known of an initial state."""
        known = experiment.initial.get(state, free())
        return known if isinstance(known, Initial) else Initial(float(known), 0.0)

    def smoothers(self, experiment: Experiment) -> dict[str, Smoother]:
        """Return a smooth curve for every output that the experiment measured."""
        if experiment.name not in self._smoothers:
            self._smoothers[experiment.name] = {
                name: Smoother(experiment.times, experiment.values[:, column])
                for column, name in enumerate(self.outputs)
                if np.isfinite(experiment.values[:, column]).any()
            }
        return self._smoothers[experiment.name]

    @cached_property
    def _smoothers(self) -> dict[str, dict[str, Smoother]]:
        return {}

    @cached_property
    def spread(self) -> dict[str, float]:
        """Standard deviation of every output's data."""
        table = np.vstack([e.values for e in self.experiments])
        return {name: float(np.nanstd(table[:, j])) for j, name in enumerate(self.outputs)}

    @cached_property
    def sigma(self) -> dict[str, float]:
        """What the loss divides the residuals of every output by, unless an experiment knows better.

        Beside noise that is known, noise that is not is taken from the smoothed data.
        """
        unknown = self.loss.sigma is None and any(e.sigma is not None for e in self.experiments)
        sizes = self.smoothed_noise if unknown else self.spread
        return {name: self.loss.sigma_of(name, sizes[name]) for name in self.outputs}

    def sigma_in(self, experiment: Experiment) -> Array:
        """(N, outputs) what the loss divides the residuals of an experiment by."""
        common = [self.sigma[name] for name in self.outputs]
        own = np.full(experiment.values.shape, np.nan)
        own = own if experiment.sigma is None else np.asarray(experiment.sigma)
        return np.where(np.isnan(own), common, own)

    @cached_property
    def penalty(self) -> L2:
        """The ridge as a number: that of `L2`, or where `Evidence` starts from."""
        given = self.regularisation
        if isinstance(given, L2):
            return given
        if given.start is not None:
            return L2(given.start)
        shares = [
            (self.smoothed_noise[n] / self.sigma[n]) ** 2 for n in self.outputs if self.sigma[n]
        ]
        weak = float(np.clip(np.mean(shares), 1e-10, 1e2)) / max(1, self.n_measurements)
        return L2(float(np.clip(_USUAL, weak, 10.0 * weak)))

    def knows_noise_of(self, experiment: Experiment) -> NDArray[np.bool_]:
        """(N, outputs) where σ was given, by the experiment or the loss; it is then believed."""
        own = np.full(experiment.values.shape, np.nan)
        own = own if experiment.sigma is None else np.asarray(experiment.sigma)
        return np.asarray(np.isfinite(own) | (self.loss.sigma is not None))

    @cached_property
    def smoothed_noise(self) -> dict[str, float]:
        """Standard deviation of what smoothing leaves of every output's data."""
        found = {}
        for j, name in enumerate(self.outputs):
            squares, freedom = 0.0, 0.0
            for e in self.experiments:
                smoother = self.smoothers(e).get(name)
                if smoother is not None:
                    known = np.isfinite(e.values[:, j])
                    left = e.values[known, j] - smoother(e.times[known])
                    squares, freedom = squares + float(left @ left), freedom + smoother.freedom
            rough = np.sqrt(squares / freedom) if freedom > 0.0 else 0.0
            found[name] = float(rough) if rough > 1e-12 * self.spread[name] else self.spread[name]
        return found

    @cached_property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Ranges in the data: ``t``, ``x:state``, ``u:input``; ``slope:state`` is (0, rms slope)."""
        starts = [(e.start, e.end) for e in self.experiments]
        low, high = float(min(s for s, _ in starts)), float(max(e for _, e in starts))  # type: ignore[type-var, arg-type]
        ranges = {"t": (low, high)}
        smooth = [(e, self.smoothers(e)) for e in self.experiments]
        for state in self.states:
            curves = [(e, s[state]) for e, s in smooth if self.observe is None and state in s]
            size = float(self.scaling.get(state, 1.0))
            if not curves or state in self.scaling:
                ranges[f"x:{state}"] = (-size, size)
                ranges[f"slope:{state}"] = (0.0, size / (high - low) * 10.0)
                continue
            column = self.outputs.index(state)  # where it was measured; a row of NaN is no data
            at = [(e.times[np.isfinite(e.values[:, column])], c) for e, c in curves]
            values = np.concatenate([c(t) for t, c in at])
            slopes = np.concatenate([c.derivative(t) for t, c in at])
            middle, half = 0.5 * (values.max() + values.min()), 0.5 * np.ptp(values)
            half = half or abs(middle) or 1.0
            ranges[f"x:{state}"] = (float(middle - half), float(middle + half))
            rms = float(np.sqrt(np.mean(slopes**2)))
            ranges[f"slope:{state}"] = (0.0, rms or half / (high - low))
        for name in self.inputs:
            values = np.concatenate([e.inputs[name].values for e in self.experiments])
            middle, half = 0.5 * (values.max() + values.min()), 0.5 * np.ptp(values)
            ranges[f"u:{name}"] = (float(middle - (half or 1.0)), float(middle + (half or 1.0)))
        return ranges

    @cached_property
    def state_scale(self) -> Array:
        """(states,) typical sizes, powers of two, so that scaling and unscaling are exact."""
        sizes = [max(abs(v) for v in self.ranges[f"x:{state}"]) for state in self.states]
        return np.exp2(np.round(np.log2(np.maximum(sizes, 1e-300))))


def _as_tuple(experiments: Any) -> tuple[Experiment, ...]:
    if isinstance(experiments, str) or not hasattr(experiments, "__iter__"):
        check_type("Problem(experiments=...)", experiments, Experiment)
    found = (experiments,) if isinstance(experiments, Experiment) else tuple(experiments)
    for experiment in found:
        check_type("Problem(experiments=...)", experiment, Experiment)
    return found
