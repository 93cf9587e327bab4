"""All elements of a discretized problem in one table, whatever experiment they belong to.

The estimators work on every element at once; this is where the NLP's vectors are cut into arrays
with one row per element.

Algebraic variables are eliminated: f, outputs and integrands are functions of states alone, with the
variables that solve the algebraic equations there.  Collocation at the stages is that of this reduced
equation, so its multipliers are too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import casadi as ca
import numpy as np

from ..checks import listed
from ..errors import InputError
from ..model.experiment import Experiment
from ..model.misfit import misfit, noise_function
from ..model.problem import Problem
from ..model.symbolic import output_function, residual_function, rhs_function
from ..numerics import Array, Index
from ..results.resolved import resolved
from ..transcription.nlp import NLP
from ..transcription.samples import measured

_NEWTON = {"abstol": 1e-12, "max_iter": 30, "error_on_fail": False}


@dataclass(frozen=True, eq=False)
class PointFunctions:
    """f, its derivatives and the misfit at one point; CasADi maps them over columns.

    Attributes
    ----------
    rhs : (t, x, u, p, θ) -> f.
    jacobian : (t, x, u, p, θ) -> f, and f_x column by column.
    along : (t, x, u, p, θ, dx, dp, dθ) -> f_x dx + f_p dp + f_θ dθ.
    misfit : (t, x, u, p, θ, y, w, σ, censored) -> Σ w ρ((h − y)/σ), its gradient by x and by p.
    output : (t, x, u, p, θ) -> h, and h_x column by column.
    """

    rhs: ca.Function
    jacobian: ca.Function
    along: ca.Function
    misfit: ca.Function
    output: ca.Function

    @classmethod
    def of(cls, problem: Problem) -> PointFunctions:
        """Derive the functions of a problem."""
        rhs, output = rhs_function(problem), output_function(problem)
        arguments, known = point_arguments(problem)
        symbol = type(arguments[0]).sym
        _, x, _, p, theta = arguments
        f, h = rhs(*known), output(*known)
        change = [symbol("d", v.numel()) for v in (x, p, theta)]
        slope = ca.jtimes(f, ca.vertcat(x, p, theta), ca.vertcat(*change))
        data = [symbol(name, h.numel()) for name in ("y", "w", "sigma", "censored")]
        spread = noise_function(problem)(*known)
        value = misfit(problem, h, spread, (data[0], data[1], data[2], data[3]))
        jacobian = ca.vec(ca.densify(ca.jacobian(f, x)))
        by_x, by_p = (ca.densify(ca.gradient(value, v)) for v in (x, p))
        return cls(
            ca.Function("f", arguments, [ca.densify(f)]),
            ca.Function("f_x", arguments, [ca.densify(f), jacobian]),
            ca.Function("along", [*arguments, *change], [ca.densify(slope)]),
            ca.Function("misfit", [*arguments, *data], [value, by_x, by_p]),
            ca.Function("h", arguments, [ca.densify(h), ca.vec(ca.densify(ca.jacobian(h, x)))]),
        )


def point_arguments(problem: Problem) -> tuple[list[Any], list[Any]]:
    """Return symbols (t, x, u, p, θ), and what the model's functions are to be called with.

    These differ where there are algebraic variables: what ``u`` has of them is a guess, from which
    Newton's method finds those that belong to the states; derivatives go through it.
    """
    rhs = rhs_function(problem)
    sizes = [(rhs.name_in(i), rhs.size1_in(i)) for i in range(5)]
    if problem.index > 1:
        raise InputError(
            "costates, and estimates that weigh residuals by them, are for algebraic equations of index 1, and "
            f"problem {problem.name!r} says it is of index {problem.index}: its equations do not "
            "determine the algebraic variables at a time; differentiate the equations."
        )
    if not problem.algebraics:
        symbols = [ca.SX.sym(*size) for size in sizes]
        return symbols, symbols
    t, x, u, p, theta = (ca.SX.sym(*size) for size in sizes)
    cuts = [0, len(problem.inputs), len(problem.carried)]
    given, z = ca.vertsplit(u, cuts)
    g = residual_function(problem)(t, x, u, p, theta)
    equations = ca.Function("g", [z, ca.vertcat(t, x, given, p, theta)], [g])
    newton = ca.rootfinder("z", "newton", equations, _NEWTON)
    known = [ca.MX.sym(*size) for size in sizes]
    inputs, guess = ca.vertsplit(known[2], cuts)
    found = newton(guess, ca.vertcat(known[0], known[1], inputs, *known[3:]))
    return known, [*known[:2], ca.vertcat(inputs, found), *known[3:]]


_KNOWN: WeakKeyDictionary[Problem, PointFunctions] = WeakKeyDictionary()


def point_functions(problem: Problem) -> PointFunctions:
    """Return a problem's functions, derived once however many meshes it is solved on."""
    if problem not in _KNOWN:
        _KNOWN[problem] = PointFunctions.of(problem)
    return _KNOWN[problem]


@dataclass(frozen=True, eq=False, kw_only=True)
class Measurements:
    """The measurements, with the element that each lies in.

    Attributes
    ----------
    element, tau : (N,) element and local coordinate.
    times : (N,); inputs : (N, inputs).
    data : values, weights, σ and what is censored, (N, outputs) each, as in the NLP's misfit.
    """

    element: Index
    tau: Array
    times: Array
    inputs: Array
    data: tuple[Array, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Elements:
    """The elements of all experiments, with what the point ``x`` of the NLP has in them.

    Attributes
    ----------
    nlp, x : the problem and its point.
    experiments : as ``x`` has decided them, where they decide something.
    experiment, start, step : (E,) number of the experiment, first time, length.
    columns, rows : (E, m+1, states) and (E, m, states) of the NLP.
    """

    nlp: NLP
    x: Array
    experiments: tuple[Experiment, ...]
    experiment: Index
    start: Array
    step: Array
    columns: Index
    rows: Index

    @classmethod
    def of(cls, nlp: NLP, x: Array) -> Elements:
        """Gather the elements of an NLP at one point."""
        parts = nlp.layout.experiments
        counts = [part.mesh.elements for part in parts]
        known = [resolved(nlp, x, number) for number in range(len(parts))]
        return cls(
            nlp=nlp,
            x=np.asarray(x, dtype=float),
            experiments=tuple(experiment for experiment, _ in known),
            experiment=np.repeat(np.arange(len(parts)), counts),
            start=np.concatenate([mesh.points[:-1] for _, mesh in known]),
            step=np.concatenate([mesh.steps for _, mesh in known]),
            columns=np.concatenate([part.states[part.element_nodes()] for part in parts]),
            rows=np.concatenate([part.rows for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.step)

    @cached_property
    def states(self) -> Array:
        """(E, m+1, states) discrete states at the nodes."""
        return self.x[self.columns]

    @cached_property
    def parameter_columns(self) -> Index:
        """(E, parameters) columns of the parameters as each element sees them."""
        names = self.nlp.problem.coefficient_names
        count = len(self.nlp.layout.experiments)
        table = [self.nlp.layout.parameter_columns(i, names) for i in range(count)]
        return np.array(table, dtype=int).reshape(count, len(names))[self.experiment]

    @cached_property
    def first(self) -> Index:
        """(experiments + 1,) number of the first element of every experiment."""
        counts = [part.mesh.elements for part in self.nlp.layout.experiments]
        return np.concatenate([[0], np.cumsum(counts)])

    def split(self, values: Array) -> list[Array]:
        """Cut a table of one row per element into one table per experiment."""
        return np.split(values, self.first[1:-1])

    def times(self, tau: Array) -> Array:
        """(E, len(tau)) times of local coordinates."""
        return self.start[:, None] + self.step[:, None] * tau[None, :]

    def inputs(self, tau: Array) -> Array:
        """(E, len(tau), carried) inputs and algebraic variables; at the end of an element, from the left."""
        problem, times = self.nlp.problem, self.times(tau)
        left = np.tile(tau == 1.0, (len(self), 1))
        found = np.empty((*times.shape, len(problem.carried)))
        for number, experiment in enumerate(self.experiments):
            here = slice(self.first[number], self.first[number + 1])
            for j, name in enumerate(problem.carried):
                signal = experiment.inputs[name]
                flat = signal(times[here].ravel(), left[here].ravel())
                found[here, :, j] = flat.reshape(times[here].shape)
        return found

    @cached_property
    def measurements(self) -> Measurements:
        """The measurements in the order of the NLP's misfit."""
        elements, taus, times = [], [], []
        for number, experiment in enumerate(self.nlp.problem.experiments):
            t = experiment.times[measured(experiment)]
            element, tau = resolved(self.nlp, self.x, number)[1].locate(t)
            elements.append(element + self.first[number])
            taus.append(tau)
            times.append(t)
        blocks = self.nlp.parameters
        absent = np.zeros(blocks["measurements"].shape)
        inputs = np.array(blocks["sample_inputs"])
        algebraics = tuple(self.nlp.problem.algebraics)
        if algebraics and len(inputs):
            measuring = [(e, t) for e, t in zip(self.experiments, times, strict=True) if len(t)]
            inputs[:, -len(algebraics) :] = np.vstack(
                [np.column_stack([e.inputs[n](t) for n in algebraics]) for e, t in measuring]
            )
        return Measurements(
            element=np.concatenate(elements),
            tau=np.concatenate(taus),
            times=np.concatenate(times),
            inputs=inputs,
            data=(
                *(blocks[name] for name in ("measurements", "weights", "sigma")),
                blocks.get("censored", absent),
            ),
        )

    @property
    def theta(self) -> Array:
        """(weights,) all network weights."""
        return self.x[self.nlp.layout.weights]

    @property
    def functions(self) -> PointFunctions:
        """The model's functions at points."""
        return point_functions(self.nlp.problem)

    def call(
        self, function: ca.Function, element: Index, tau: Array, x: Array, u: Array, *more: Array
    ) -> list[Array]:
        """Evaluate a point function (t, x, u, p, θ, ...) at N points.

        Parameters
        ----------
        element, tau : (N,) where the points are.
        x, u, more : (N, ...) further arguments; a flat vector in ``more`` serves all points.

        Returns
        -------
        One (N, entries) array per result.
        """
        times = self.start[element] + self.step[element] * tau
        if self.nlp.problem.varies_in_time:  # a basis may jump where an element ends
            times = np.where(tau == 1.0, np.nextafter(times, -np.inf), times)
        p = self.x[self.parameter_columns[element]]
        table = [times[:, None], x, u, p, self.theta, *more]
        given = [v.T if v.ndim == 2 else ca.DM(v.tolist()) for v in table]
        return [np.asarray(v, dtype=float).T for v in function.call(given)]

    def call_nodes(
        self, function: ca.Function, tau: Array, x: Array, u: Array, *more: Array
    ) -> list[Array]:
        """Evaluate a point function at the same local coordinates of every element.

        Parameters
        ----------
        tau : (K,); x, u, more : (E, K, ...), or a flat vector in ``more``.

        Returns
        -------
        One (E, K, entries) array per result.
        """
        return self.called(function, np.arange(len(self)), tau, x, u, *more)

    def called(
        self, function: ca.Function, some: Index, tau: Array, x: Array, u: Array, *more: Array
    ) -> list[Array]:
        """Do as `call_nodes` for ``some`` of the elements, which the tables are of."""
        count, nodes = len(some), len(tau)
        flat = [v.reshape(count * nodes, v.shape[-1]) if v.ndim == 3 else v for v in (x, u, *more)]
        where = np.repeat(some, nodes)
        found = self.call(function, where, np.tile(tau, count), *flat)
        return [v.reshape(count, nodes, v.shape[1]) for v in found]


def number_of(nlp: NLP, experiment: int | str) -> int:
    """Number of an experiment given by name or number.

    Raises
    ------
    InputError
        There is none.
    """
    names = [part.name for part in nlp.layout.experiments]
    if isinstance(experiment, str):
        if experiment not in names:
            raise InputError(
                f"the goal names experiment {experiment!r}; there are: {listed(names)}."
            )
        return names.index(experiment)
    if not 0 <= experiment < len(names):
        raise InputError(f"the goal names experiment {experiment}; there are {len(names)}.")
    return experiment
