"""The `Problem`: dynamics, windows with data or without, costs, bounds and constraints as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..checks import as_names, as_pair, as_values, check_fields, check_named
from ..errors import InputError
from ..kinds import check_type
from ..numerics import Array
from ..numerics.bases import Basis
from ..numerics.smoothing import Smoother
from .calibration import Calibration, Measured
from .constraints import PathConstraint, PointConstraint, bounds_of, shared_bounds_of
from .costs import Cost
from .delays import Delay
from .dynamics import Dynamics, DynamicsLike
from .event_times import Boundary
from .experiment import Experiment
from .held_out import check_held_out
from .impulses import Impulse, impulses_of, placed
from .initial import Initial, as_initial, at_rest, free
from .links import Link
from .losses import L2, Evidence, LeastSquares, Loss
from .noise import NoisyData
from .parameters import Parameter, check_bounds
from .per_output import PerOutput
from .phases import IntegralConstraint, added_to
from .prepared import (
    boundaries_in,
    check_lags,
    events_placed,
    impulses_shared,
    inputs_delayed,
    kinks_marked,
)
from .problem_checks import (
    check_bases,
    check_decisions,
    check_distinct,
    check_likelihood,
    check_loss,
    check_loss_kinds,
    check_measured,
    check_names,
    check_parameters,
)
from .sizes import Sizes, ranges_of
from .truth import Truth, check_truth
from .varying import Block, bases_of, weight_blocks

Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Problem(NoisyData):
    r"""Identify unknown parts of :math:`\dot x=f(t,x,u,p,\mathrm{NN}_\theta)`, or decide inputs u.

    Parameters
    ----------
    dynamics : `NeuralODE` or `Dynamics`; `Phases` for windows that differ.
    experiments : one `Experiment`, or `Window` without data, or several; they share networks and
        parameters.
    parameters : those that the dynamics do not list: of outputs, noise and initial states.
    delays : dead time by input, a number or the name of a parameter, or a `Delay`; a delayed state under a
        name of its own, ``Delay("tau", of="N")``, which the model reads as ``x.<name>``.
    states : state names; empty takes the measured outputs.
    observe : ``h(x, u, p)``, one value per output; None measures the states of the same names.
    calibration : `Calibration` by output: a scale and an offset that are estimated.
    bounds : (lower, upper) by state name, held at every node; of algebraic variables at every stage.
    loss : `LeastSquares`, `Huber`, `PseudoHuber` or a likelihood, `Normal` and others; or a likelihood
        for every output, by name.
    regularisation : `Evidence`, by which `fit` chooses its strength, or `L2` of a given one.
    constraints : `PathConstraint` along the trajectories or at their ends, `IntegralConstraint`,
        `PointConstraint` at given points.
    costs : `Lagrange` and `Mayer` terms that the objective has beside the misfit.
    links : `Link`, windows that follow each other or close upon themselves.
    normalise : whether a `NeuralODE` scales its network to the data's ranges.
    scaling : typical size by state or algebraic variable, where the data do not tell it.
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
    parameters: Sequence[Parameter] = ()
    delays: Mapping[str, Delay | float | str] = field(default_factory=dict)
    states: tuple[str, ...] = ()
    observe: Callable[..., Any] | None = None
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=dict)
    loss: Loss = LeastSquares()
    regularisation: L2 | Evidence = Evidence()
    constraints: Sequence[PathConstraint | PointConstraint | IntegralConstraint] = ()
    costs: Sequence[Cost] = ()
    links: Sequence[Link] = ()
    normalise: bool = True
    scaling: Mapping[str, float] = field(default_factory=dict)
    test: Sequence[Experiment] = ()
    truth: Truth | None = None
    name: str = "problem"
    source: str = ""

    def __post_init__(self) -> None:
        experiments, test = self._with_totals(*self._of_kinds())
        outputs = tuple(dict.fromkeys(n for e in experiments for n in e.outputs))
        states = self.states or tuple(n for n in outputs if n not in self.algebraics)
        if not states:
            raise InputError("nothing is measured, so the states have no names; give states=.")
        if len(set(states)) != len(states):
            raise InputError(f"state names must differ, not {states}.")
        set_ = object.__setattr__
        if isinstance(self.loss, Mapping):
            set_(self, "loss", PerOutput(self.loss))
        check_loss_kinds(self)
        check_distinct(experiments)
        set_(self, "states", states)
        set_(self, "_outputs", outputs)
        set_(self, "experiments", tuple(e.select(outputs) for e in experiments))
        set_(self, "test", tuple(e.select(outputs) for e in test))
        self._calibrate_outputs()
        self._prepare()
        set_(self, "links", as_values(self.links, "Problem(links=...)", Link))
        set_(self, "costs", as_values(self.costs, "Problem(costs=...)", Cost))
        self._check()
        if self.normalise:
            set_(self, "dynamics", self.dynamics.normalised(self.ranges))

    def _of_kinds(self) -> tuple[tuple[Experiment, ...], tuple[Experiment, ...]]:
        """Return experiments and test as tuples, and make tuples of what may be one or several."""
        needed = ("rhs", "networks", "parameters", "normalised")
        if isinstance(self.dynamics, type) or not all(hasattr(self.dynamics, n) for n in needed):
            check_type("Problem(dynamics=...)", self.dynamics, Dynamics)
        check_fields(self)
        experiments = as_values(self.experiments, "Problem(experiments=...)", Experiment)
        set_ = object.__setattr__
        set_(self, "parameters", as_values(self.parameters, "Problem(parameters=...)", Parameter))
        set_(self, "states", as_names(self.states, "Problem(states=...)"))
        kinds = PathConstraint, PointConstraint, IntegralConstraint
        constraints = as_values(self.constraints, "Problem(constraints=...)", *kinds)
        set_(self, "constraints", constraints)
        if not experiments:
            raise InputError(f"problem {self.name!r} has no experiments; add data.")
        return experiments, as_values(self.test, "Problem(test=...)", Experiment)

    def _with_totals(
        self, experiments: Sequence[Experiment], test: Sequence[Experiment]
    ) -> tuple[Sequence[Experiment], Sequence[Experiment]]:
        """Put the states that phases and integral constraints ask for into dynamics and experiments."""
        measured = dict.fromkeys(n for e in experiments for n in e.outputs)
        states = self.states or [n for n in measured if n not in self.algebraics]
        added = added_to(self.dynamics, self.constraints, states, [*experiments, *test])
        if added is None:
            return experiments, test
        set_, count = object.__setattr__, len(experiments)
        set_(self, "dynamics", added.dynamics)
        set_(self, "states", added.states)
        kept = {n: v for n, v in self.scaling.items() if n not in added.gone}
        set_(self, "scaling", {**added.sizes, **kept})
        return added.experiments[:count], added.experiments[count:]

    def _check(self) -> None:
        check_names(self)
        check_decisions(self)
        for state, bounds in self.bounds.items():
            what = f"{'state' if state in self.states else 'variable'} {state!r}"
            check_bounds(*as_pair(bounds, f"bounds= of {what}"), what)
        check_measured(self)
        check_loss(self)
        if isinstance(self.loss, PerOutput):  # its columns are those of the data
            per_output = PerOutput({n: self.loss.of(n) for n in self.outputs})
            object.__setattr__(self, "loss", per_output)
        check_likelihood(self)
        check_parameters(self)
        check_bases(self)
        check_held_out(self)
        everyone = [e.name for e in (*self.experiments, *self.test)]
        check_truth(self.truth, everyone, self.states)

    def _calibrate_outputs(self) -> None:
        check_named("calibration=", self.calibration, "output", self.outputs)
        for name, given in self.calibration.items():
            check_type(f"calibration={{{name!r}: ...}}", given, Calibration)
        if self.calibration and self.observe is None:
            check_names(self)
            object.__setattr__(self, "observe", Measured(self.outputs))

    def _prepare(self) -> None:
        """Place and share events, shift inputs and mark kinks in all experiments, see `prepared`."""
        set_, count = object.__setattr__, len(self.experiments)
        known = {q.name: q for q in (*self.dynamics.parameters, *self.parameters)}
        lags = {n: d for n, d in self.delays.items() if isinstance(d, Delay) and d.of}
        other = bool(self.algebraics or lags or self.links)
        everywhere = events_placed((*self.experiments, *self.test), known, other)
        everywhere = impulses_shared(everywhere, self.states)
        delays, experiments, test = inputs_delayed(
            self.delays, everywhere[:count], everywhere[count:], known
        )
        set_(self, "delays", delays)
        names = self.states, tuple(self.algebraics)
        check_lags(self.lags, (*experiments, *test), names, known, bool(self.links))
        set_(self, "experiments", kinks_marked(experiments, self.lags))
        set_(self, "test", kinks_marked(test, self.lags))

    def boundaries(self, experiment: Experiment) -> tuple[Boundary, ...]:
        """Return where phases of an experiment meet at estimated times."""
        if not experiment.placed:
            return ()
        return boundaries_in(experiment, {q.name: q for q in self.all_parameters})

    def moved(self, experiment: Experiment, points: Array, values: Mapping[str, float]) -> Array:
        """Return points of an experiment's mesh where estimated times, by name, put them."""
        found = np.array(points, dtype=float)
        for b in self.boundaries(experiment):
            found = found + b.share(points) * (values[b.parameter] - b.at)
        return found

    @property
    def lags(self) -> Mapping[str, Delay]:
        """Delayed states by name."""
        return {n: d for n, d in self.delays.items() if isinstance(d, Delay) and d.of}

    @property
    def late_inputs(self) -> Mapping[str, Delay]:
        """Dead times by input."""
        return {n: d for n, d in self.delays.items() if isinstance(d, Delay) and not d.of}

    @property
    def impulses(self) -> tuple[Impulse, ...]:
        """What inputs events act by, in any experiment."""
        everywhere = (*self.experiments, *self.test)
        events = [event for e in everywhere for event in placed(e.events, e.placed, e.instant)]
        return tuple(impulses_of(events))

    def __repr__(self) -> str:
        weights = sum(n.n_weights for n in self.dynamics.networks.values())
        return (
            f"Problem({self.name!r}, states={self.states}, experiments={len(self.experiments)}, "
            f"measurements={self.n_measurements}, parameters={len(self.all_parameters)}, "
            f"weights={weights})"
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the measured outputs."""
        return self._outputs  # type: ignore[attr-defined]

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, given or decided, in the order of the first experiment."""
        first = self.experiments[0]
        return (*first.inputs, *first.controls)

    @property
    def algebraics(self) -> Mapping[str, float]:
        """Algebraic variables by name, with their guesses."""
        return getattr(self.dynamics, "algebraics", {})

    @property
    def index(self) -> int:
        """Differentiation index of the algebraic equations, as it is declared."""
        return int(getattr(self.dynamics, "index", 1))

    @property
    def carried(self) -> tuple[str, ...]:
        """What enters the equations beside states and parameters.

        Inputs, then algebraic variables or delayed states; no problem has both of these.
        """
        return (*self.inputs, *self.algebraics, *self.lags)

    @cached_property
    def decides(self) -> bool:
        """Whether it does more than identify: windows without data, controls, costs, links."""
        more = any(e.controls or not e.measures for e in self.experiments)
        return bool(self.costs or self.links or more)

    def refuse_decisions(self, what: str) -> None:
        """Refuse to do with a problem that decides what is about fits of data alone."""
        if self.decides:
            raise InputError(
                f"{what} is about fits of data, but problem {self.name!r} has windows without data, "
                "controls, costs or links; use fit or solve for it."
            )

    @cached_property
    def all_parameters(self) -> tuple[Parameter, ...]:
        """The dynamics' parameters, the others, and scale, offset and σ of outputs to be estimated."""
        of_units = [q for n, given in self.calibration.items() for q in given.parameters(n)]
        noise = [self.noise_name(n) for n in self.calibration and self.outputs]
        own = [q for q in self.parameters if q.name not in noise]
        told = [q for q in self.parameters if q.name in noise]  # behind the units, as if not told
        return (*self.dynamics.parameters, *own, *of_units, *told, *self._noise_parameters)

    @property
    def parameter_blocks(self) -> tuple[Block, ...]:
        """The coefficients of every physical parameter."""
        return tuple(q.block for q in self.all_parameters)

    @property
    def weight_blocks(self) -> tuple[Block, ...]:
        """The coefficients of every network's weights."""
        return weight_blocks(self.dynamics.networks)

    @property
    def coefficient_names(self) -> tuple[str, ...]:
        """Names of the parameters; one that varies in time has one per coefficient."""
        return tuple(name for q in self.all_parameters for name in q.names)

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
        given = [c for c in self.constraints if isinstance(c, PathConstraint) and c.at == "path"]
        bounded = [q for q in self.all_parameters if q.bounded_by_rows and q.per_experiment]
        return (*given, *(bounds_of(q) for q in bounded))

    @cached_property
    def boundary_constraints(self) -> tuple[PathConstraint, ...]:
        """What holds at one end of every window, or of those that it names."""
        held = [c for c in self.constraints if isinstance(c, PathConstraint) and c.at != "path"]
        totals = [c.at_end() for c in self.constraints if isinstance(c, IntegralConstraint)]
        return (*held, *totals)

    @property
    def lasting(self) -> tuple[str, ...]:
        """Names of the states that may go over from window to window; integrals begin anew in each."""
        totals = {c.name for c in self.constraints if isinstance(c, IntegralConstraint)}
        return tuple(name for name in self.states if name not in totals)

    def linked(self, link: Link) -> tuple[str, ...]:
        """Names of the states that go over a link."""
        return link.states or self.lasting

    @property
    def point_constraints(self) -> tuple[PointConstraint, ...]:
        """The constraints that hold at given points; bounds on shared p(t) are among them."""
        given = [c for c in self.constraints if isinstance(c, PointConstraint)]
        bounded = [q for q in self.all_parameters if q.bounded_by_rows]
        return (*given, *(shared_bounds_of(q) for q in bounded if not q.per_experiment))

    @cached_property
    def n_measurements(self) -> int:
        """Number of finite measurements."""
        return sum(int(np.isfinite(e.values).sum()) for e in self.experiments)

    def initial_of(self, experiment: Experiment, state: str) -> Initial:
        """Return what is known of an initial state."""
        if experiment.steady is not None:
            return Initial(function=at_rest)
        return as_initial(experiment.initial.get(state, free()))

    def final_of(self, experiment: Experiment, state: str) -> Initial:
        """Return what is known of a final state."""
        return as_initial(experiment.final.get(state, free()))

    def smoothers(self, experiment: Experiment) -> dict[str, Smoother]:
        """Return a smooth curve for every output that the experiment measured."""
        if experiment.name not in self._smoothers:
            curves = Smoother.of_columns(experiment.times, experiment.values)
            self._smoothers[experiment.name] = {
                name: curve
                for name, curve in zip(self.outputs, curves, strict=True)
                if curve is not None
            }
        return self._smoothers[experiment.name]

    @cached_property
    def _smoothers(self) -> dict[str, dict[str, Smoother]]:
        return {}

    @cached_property
    def sizes(self) -> Sizes:
        """How large states, inputs and times usually are, by the data and by what is given."""
        return Sizes(ranges_of(self))

    def with_sizes(self, sizes: Sizes, experiments: Sequence[Experiment]) -> Problem:
        """Return the same problem with other sizes, and experiments that differ by sizes of controls alone.

        A copy, since what `replace` makes would be prepared and checked a second time.
        """
        other = copy(self)
        object.__setattr__(other, "sizes", sizes)
        object.__setattr__(other, "experiments", tuple(experiments))
        return other

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """Ranges in the data: ``t``, ``x:state``, ``u:input``; ``slope:state`` is (0, rms slope)."""
        return self.sizes.ranges

    @property
    def balanced(self) -> Mapping[str, tuple[float, float]]:
        """What has a range from the equations alone, see `typical`: least and largest size that one tells, as in `ranges`."""
        return self.sizes.balanced

    @property
    def state_scale(self) -> Array:
        """(states,) typical sizes, powers of two, so that scaling and unscaling are exact."""
        return self.sizes.scale(self.states)

    @property
    def algebraic_scale(self) -> dict[str, float]:
        """Typical sizes of algebraic variables, powers of two."""
        names = tuple(self.algebraics)
        return dict(zip(names, self.sizes.scale(names).tolist(), strict=True))
