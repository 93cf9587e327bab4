r"""A trained model: :math:`f` with its numbers, free of the NLP it came from.

It is data (a tape of scalar operations, weight vectors, parameter values), so it can be saved
without code, pickled, sent to another process, and evaluated at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import casadi as ca
import numpy as np
from numpy.typing import ArrayLike

from ..checks import check_named, listed
from ..errors import InputError
from ..model.activations import NUMPY
from ..model.algebraic import reduced
from ..model.delays import constants_of
from ..model.misfit import noise_function
from ..model.network import MLP
from ..model.parameters import SCALES
from ..model.symbolic import output_function, residual_function, rhs_function
from ..model.varying import Network, bases_of, weight_blocks
from ..numerics import Array, Mask
from ..numerics.bases import Basis
from ..numerics.signals import Signal
from ..transcription.nlp import NLP
from ..transcription.tape import Tape
from .algebraic import consistent, with_slope
from .delayed import Lag, histories
from .network import TrainedNetwork


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedModel:
    """The right-hand side and the outputs of a solved problem.

    What varies in time is given by coefficients (see `TimeVarying`); `parameter` and `network` return
    values at a time.

    Attributes
    ----------
    states, inputs, outputs, parameter_names : names, in the order of the vectors.
    tape, output_tape : f and h, functions of (t, x, u, p, theta).
    noise_tape : σ that a likelihood's model says of every output, the same; None of other losses.
    algebraics : algebraic variables with their guesses; they stand behind the inputs in u.
    residual_tape : their equations g, a function of the same.
    index : of these equations.
    lags : delayed states, which stand behind the inputs in u too.
    dead_times : by input, where it is known; widths of rounded steps, where it is estimated.
    history : what states were before the beginning, where that is not their initial value.
    sizes : typical size of states, by name; 1 where it is not told.  Simulations are as exact in moles as in nanomoles.
    parameters : (parameters,) values; `with_parameters` exchanges them.
    networks, theta : descriptions by name, and all weights in one vector.
    bases : basis of every parameter that varies in time, by the parameter's name.
    scales : scale of every parameter that is not decided on the linear one, by name; ``parameters``
        holds decided values, `natural` returns them in natural units.
    """

    states: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameter_names: tuple[str, ...]
    tape: Tape
    output_tape: Tape
    parameters: Array
    networks: Mapping[str, Network]
    theta: Array
    bases: Mapping[str, Basis] = field(default_factory=dict)
    scales: Mapping[str, str] = field(default_factory=dict)
    noise_tape: Tape | None = None
    algebraics: Mapping[str, float] = field(default_factory=dict)
    residual_tape: Tape | None = None
    index: int = 1
    lags: tuple[Lag, ...] = ()
    dead_times: Mapping[str, float] = field(default_factory=dict)
    widths: Mapping[str, float] = field(default_factory=dict)
    history: Mapping[str, Signal] = field(default_factory=dict)
    sizes: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, nlp: NLP, x: Array, experiment: int | None = None) -> TrainedModel:
        """Read the model that an NLP's variables ``x`` stand for, as ``experiment`` sees it.

        None is a run of which nothing is told: what experiments say in ``parameters=`` does not hold for it.
        """
        problem = nlp.problem
        names = problem.coefficient_names
        tapes = nlp.cache(
            "tapes",
            lambda: (
                Tape.of(rhs_function(problem)),
                Tape.of(output_function(problem)),
                Tape.of(noise_function(problem, 1.0)) if problem.loss.likelihood else None,
                Tape.of(residual_function(problem)) if problem.algebraics else None,
            ),
            problem,
        )
        p = x[nlp.layout.parameter_columns(experiment, names)]
        first = problem.experiments[experiment or 0]
        of_inputs = {n: d.by for n, d in problem.late_inputs.items()}
        return cls(
            states=problem.states,
            inputs=problem.inputs,
            outputs=problem.outputs,
            parameter_names=names,
            tape=tapes[0],
            output_tape=tapes[1],
            noise_tape=tapes[2],
            parameters=p,
            networks=dict(problem.dynamics.networks),
            theta=x[nlp.layout.weights],
            bases={q.name: q.basis for q in problem.all_parameters if q.basis is not None},
            scales={q.name: q.scale for q in problem.all_parameters if q.scale != "linear"},
            algebraics=dict(problem.algebraics),
            residual_tape=tapes[3],
            index=problem.index,
            lags=tuple(Lag(name=n, of=d.of, by=d.by) for n, d in problem.lags.items()),
            dead_times={n: float(by) for n, by in of_inputs.items() if not isinstance(by, str)},
            widths={
                n: float(first.inputs[f"{n}.width"].values[0])
                for n, by in of_inputs.items()
                if isinstance(by, str)
            },
            history=histories(problem, first, p),
            sizes=dict(zip(problem.states, problem.state_scale.tolist(), strict=True)),
        )

    def __repr__(self) -> str:
        return (
            f"TrainedModel(states={self.states}, inputs={self.inputs}, "
            f"parameters={self.parameter_names}, weights={len(self.theta)})"
        )

    def acting(self, given: Mapping[str, Signal]) -> dict[str, Signal]:
        """Return inputs as they act on it: later by known dead times, and told by constants where these are estimated.

        Raises
        ------
        InputError
            More steps and bends than the constants can tell.
        """
        found = {n: signal.later(self.dead_times.get(n, 0.0)) for n, signal in given.items()}
        for name, width in self.widths.items():
            if name in given and f"{name}.width" not in given:
                slots = sum(n.startswith(f"{name}.time") for n in self.inputs)
                found |= constants_of(name, found[name], width, slots)
        return found

    def tolerance(self, atol: float) -> Array:
        """(states,) absolute tolerances: ``atol``, or that of a typical size where this is below 1."""
        return atol * np.minimum([self.sizes.get(name, 1.0) for name in self.states], 1.0)

    @cached_property
    def function(self) -> ca.Function:
        """f as a CasADi Function (t, x, u, p, theta) -> dx."""
        return self.tape.function("rhs", ["t", "x", "u", "p", "theta"], ["dx"])

    @cached_property
    def residuals(self) -> ca.Function:
        """g as a CasADi Function (t, x, u, p, theta) -> g."""
        assert self.residual_tape is not None
        return self.residual_tape.function("residuals", ["t", "x", "u", "p", "theta"], ["g"])

    @cached_property
    def determining(self) -> ca.Function:
        """Equations of index 1 for the algebraic variables: g, or derivatives of it."""
        if self.index == 1:
            return self.residuals
        return reduced(self.function, self.residuals, len(self.inputs))

    @cached_property
    def _with_slope(self) -> ca.Function:
        return with_slope(self.determining, len(self.algebraics))

    def consistent(
        self, t: ArrayLike, x: ArrayLike, u: ArrayLike | None = None, guess: ArrayLike | None = None
    ) -> tuple[Array, Mask]:
        """Solve for the algebraic variables at states.

        Parameters
        ----------
        t, x, u : (points,), (points, states) and, if the model has inputs, (points, inputs).
        guess : (points, algebraic variables), or one for all; by default the dynamics' own.

        Returns
        -------
        (points, algebraic variables) values, and (points,) where Newton's method found them.
        """
        states = np.atleast_2d(np.asarray(x, dtype=float))
        count = len(states)
        times = np.broadcast_to(np.asarray(t, dtype=float), (count,))
        inputs = np.zeros((count, 0)) if u is None else np.reshape(u, (count, len(self.inputs)))
        usual = list(self.algebraics.values()) if guess is None else guess
        begun = np.array(
            np.broadcast_to(np.asarray(usual, dtype=float), (count, len(self.algebraics)))
        )
        known = (times, states, inputs, self.parameters, self.theta)
        return consistent(self._with_slope, *known, begun)

    def _carried(self, t: ArrayLike, x: Array, u: ArrayLike | None, z: ArrayLike | None) -> Array:
        """(entries of u, points) inputs and algebraic variables."""
        count = len(x)
        inputs = np.zeros((0, count)) if u is None or not self.inputs else np.asarray(u).T
        if self.lags:  # outputs do not see them
            return np.vstack([inputs, np.zeros((len(self.lags), count))])
        if not self.algebraics:
            return inputs
        if z is None:
            z, found = self.consistent(t, x, inputs.T)
            z[~found] = np.nan
        return np.vstack([inputs, np.reshape(z, (count, len(self.algebraics))).T])

    @cached_property
    def _outputs(self) -> ca.Function:
        return self.output_tape.function("outputs", ["t", "x", "u", "p", "theta"], ["y"])

    def trained_function(self, name: str = "rhs") -> ca.Function:
        """f with weights and parameters put in, a saveable CasADi Function (t, x, u) -> dx.

        With algebraic variables it is (t, x, u, z) -> (dx, g).
        """
        self.refuse_lags("a function of the present state")
        t, x, u = ca.SX.sym("t"), ca.SX.sym("x", len(self.states)), ca.SX.sym("u", len(self.inputs))
        if not self.algebraics:
            value = self.function(t, x, u, self.parameters, self.theta)
            return ca.Function(name, [t, x, u], [value], ["t", "x", "u"], ["dx"])
        z = ca.SX.sym("z", len(self.algebraics))
        known = (t, x, ca.vertcat(u, z), self.parameters, self.theta)
        values = [self.function(*known), self.residuals(*known)]
        return ca.Function(name, [t, x, u, z], values, ["t", "x", "u", "z"], ["dx", "g"])

    def rhs(self, t: float, x: ArrayLike, u: ArrayLike = ()) -> Array:
        """Derivative at one state (states,), or at one per row (points, states)."""
        self.refuse_lags("a right-hand side of the present state")
        states = np.asarray(x, dtype=float)
        points = np.atleast_2d(states)
        inputs = np.asarray(u, dtype=float).reshape(1, -1) if np.size(u) else np.zeros((1, 0))
        if self.algebraics:
            inputs = self._carried(t, points, np.tile(inputs, (len(points), 1)), None).T
        value = np.asarray(self.function(t, points.T, inputs.T, self.parameters, self.theta))
        return value.T if states.ndim == 2 else value.ravel()

    def observe(
        self,
        x: ArrayLike,
        u: ArrayLike | None = None,
        t: ArrayLike | None = None,
        z: ArrayLike | None = None,
    ) -> Array:
        """(points, outputs) outputs of (points, states) states.

        Parameters
        ----------
        x, u : (points, states) and, if the model has inputs, (points, inputs).
        t : (points,) times; needed where parameters vary in time.
        z : (points, algebraic variables); by default they are solved for.
        """
        return self._at_points(self._outputs, x, u, t, z)

    def spread(
        self,
        x: ArrayLike,
        u: ArrayLike | None = None,
        t: ArrayLike | None = None,
        z: ArrayLike | None = None,
    ) -> Array | None:
        """(points, outputs) σ that a likelihood's model says of data there; None of other losses."""
        if self.noise_tape is None:
            return None
        names = ["t", "x", "u", "p", "theta"]
        return self._at_points(self.noise_tape.function("noise", names, ["sigma"]), x, u, t, z)

    def _at_points(
        self,
        function: ca.Function,
        x: ArrayLike,
        u: ArrayLike | None,
        t: ArrayLike | None,
        z: ArrayLike | None,
    ) -> Array:
        states = np.atleast_2d(np.asarray(x, dtype=float))
        if t is None and self.bases:
            raise InputError("parameters vary in time, so observe needs the times t=.")
        if not len(states):
            return np.empty((0, len(self.outputs)))
        times = 0.0 if t is None else np.reshape(self.checked(t), (1, -1))
        inputs = self._carried(np.ravel(times), states, u, z)
        value = function(times, states.T, inputs, self.parameters, self.theta)
        return np.asarray(value, dtype=float).T

    def checked(self, times: ArrayLike) -> Array:
        """Return times as an array; refuse those that no basis covers."""
        t = np.atleast_1d(np.asarray(times, dtype=float))
        for basis in self._all_bases if len(t) else ():
            basis.active([t.min(), t.max()])
        return t

    @property
    def breaks(self) -> Array:
        """Times at which weights or parameters are not smooth."""
        return np.concatenate([np.empty(0), *(b.breaks for b in self._all_bases)])

    @property
    def _all_bases(self) -> list[Basis]:
        return [*self.bases.values(), *bases_of(weight_blocks(self.networks))]

    def parameter(self, name: str, times: ArrayLike) -> Array:
        """(N,) values p(t) of a physical parameter, one that varies in time or not.

        Raises
        ------
        InputError
            No such parameter, or a time that its basis does not cover.
        """
        t = np.atleast_1d(np.asarray(times, dtype=float))
        basis = self.bases.get(name)
        wanted = [name] if basis is None else [f"{name}.{f}" for f in basis.names()]
        if wanted[0] not in self.parameter_names:
            known = dict.fromkeys([*self.bases, *self.parameter_names])
            raise InputError(f"there is no parameter {name!r}; there are: {listed(known)}.")
        first = self.parameter_names.index(wanted[0])
        found = self.natural(self.parameters)[first : first + len(wanted)]
        return np.full(len(t), found[0]) if basis is None else basis.values(t) @ found

    def network(self, name: str | None = None, t: float | None = None) -> TrainedNetwork:
        """Return a network as a callable; the name may be left out if there is one only.

        Parameters
        ----------
        name : as in the right-hand side.
        t : the time, for a network whose weights vary.

        Raises
        ------
        InputError
            No such network, or no time for one that varies.
        """
        if name is None and len(self.networks) == 1:
            name = next(iter(self.networks))
        if name is None and not self.networks:
            raise InputError("this model has no networks, only physical parameters.")
        if name not in self.networks:
            known = ", ".join(self.networks) or "none"
            raise InputError(f"there is no network {name!r}; there are: {known}.")
        start = 0
        for label, network in self.networks.items():
            if label == name:
                weights = self.theta[start : start + network.n_weights]
                if isinstance(network, MLP):
                    return TrainedNetwork(network, weights)
                if t is None:
                    raise InputError(
                        f"the weights of network {name!r} vary in time; say at which time you want "
                        f"it: network({name!r}, t=...)."
                    )
                return TrainedNetwork(network.mlp, network.at(t, weights))
            start += network.n_weights
        raise AssertionError("unreachable")

    def refuse_lags(self, what: str) -> None:
        """Refuse what a model with delayed states is not."""
        if self.lags:
            raise InputError(
                f"the model has the delayed state {self.lags[0].name!r}, so it is not {what}; simulate it."
            )

    def natural(self, decided: Array) -> Array:
        """(parameters,) values in natural units."""
        found = np.array(decided, dtype=float)
        for name, scale in self.scales.items():
            j = self.parameter_names.index(name)
            found[j] = SCALES[scale].natural(found[j], NUMPY)
        return found

    def refuse_own(self, function: str, names: Sequence[str]) -> None:
        """Refuse to take the first experiment's value of a parameter that every one has of its own for another run's.

        Parameters
        ----------
        function : that would.
        names : of what every experiment has of its own; where equations and outputs see it, it matters.
        """
        for name in names:
            column = self.parameter_names.index(name)
            if any(f.which_depends("p", f.name_out())[column] for f in self._functions):
                raise InputError(
                    f"{function} cannot tell whose {name!r} to take, as every experiment has its own; pass "
                    f"solution.model.with_values({{{name!r}: ...}}), or call solution.simulate(experiment)."
                )

    @property
    def _functions(self) -> list[ca.Function]:
        """What equations and outputs are."""
        return [self.function, self._outputs, *([self.residuals] if self.algebraics else [])]

    def with_values(self, values: Mapping[str, float]) -> TrainedModel:
        """Return the model with some parameters exchanged, given by name in natural units.

        Raises
        ------
        InputError
            It has no such parameter.
        """
        found = np.array(self.parameters, dtype=float)
        check_named("with_values", values, "parameter", self.parameter_names)
        for name, value in values.items():
            scale = SCALES[self.scales.get(name, "linear")]
            found[self.parameter_names.index(name)] = scale.decided(value)
        return self.with_parameters(found)

    def with_parameters(self, values: Array) -> TrainedModel:
        """Return the model with other parameter values (an experiment's own, say)."""
        return replace(self, parameters=np.asarray(values, dtype=float))
