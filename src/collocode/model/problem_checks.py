"""What a `Problem` refuses: names that are nothing, data that are none, bindings that cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Protocol

import numpy as np

from ..checks import apart, as_number, check_named, counted
from ..errors import InputError
from ..numerics import Mask
from ..numerics.bases import Basis
from .experiment import Experiment
from .losses import L2, Evidence, Loss
from .parameters import Parameter
from .sizes import Sized
from .window import check_shared


class Checked(Sized, Protocol):
    """A `Problem`, as far as its checks look at it."""

    @property
    def dynamics(self) -> Any:
        """The right-hand side."""

    @property
    def loss(self) -> Any:
        """What a measurement costs."""

    @property
    def regularisation(self) -> Any:
        """That of the weights."""

    @property
    def costs(self) -> Any:
        """Of what is decided."""

    @property
    def constraints(self) -> Any:
        """Of every kind."""

    @property
    def links(self) -> Any:
        """Between windows."""

    @property
    def test(self) -> Sequence[Experiment]:
        """Held-out experiments."""

    @property
    def lasting(self) -> Sequence[str]:
        """Names of the states that may go over from window to window."""

    @property
    def bases(self) -> tuple[Basis, ...]:
        """Of what varies in time."""

    @property
    def varies_in_time(self) -> bool:
        """Whether anything does."""

    def knows_noise_of(self, experiment: Experiment) -> Mask:
        """Tell of which outputs the noise is known."""

    def noise_name(self, output: str) -> str:
        """Name of the parameter that is an output's σ, where nobody gives it another."""


def check_parameters(problem: Checked) -> None:
    """Refuse what parameters= of experiments and priors cannot say."""
    names = [q.name for q in problem.all_parameters]
    repeated = {n for n in names if names.count(n) > 1}
    if repeated:
        raise InputError(f"parameter {repeated.pop()!r} is defined twice; rename one.")
    known = {q.name: q for q in problem.all_parameters}
    weighed = next((q.name for q in problem.all_parameters if q.prior is not None), None)
    if weighed is not None and not all(
        problem.knows_noise_of(e).all() for e in problem.experiments
    ):
        raise InputError(
            f"the prior of parameter {weighed!r} has to be weighed against the data, whose noise "
            "nobody tells; give sigma= to the loss or the experiments, or estimate it by Normal()."
        )
    for e in (*problem.experiments, *problem.test):
        for name, given in e.parameters.items():
            wanted = (name, given) if isinstance(given, str) else (name,)
            check_named(f"parameters= of experiment {e.name!r}", wanted, "parameter", known)
            value = known[given] if isinstance(given, str) else given
            _check_binding(e, known[name], value, held_out=e in problem.test)
        if e.steady is not None:
            _check_steady(problem, e, known)


def _check_steady(problem: Checked, experiment: Experiment, known: Mapping[str, Parameter]) -> None:
    """Refuse steady starts of what has none."""
    where, steady = f"steady= of experiment {experiment.name!r}", experiment.steady
    assert steady is not None
    if problem.varies_in_time or problem.algebraics:
        raise InputError(
            f"{where}: a model with algebraic variables, or with parameters or weights that vary in "
            "time, has no steady state here; give the initial states."
        )
    told = [n for given in steady.parameters.items() for n in given if isinstance(n, str)]
    for what, names, there in (
        ("input", steady.inputs, problem.inputs),
        ("parameter", told, known),
    ):
        check_named(where, names, what, there)
    for name, given in steady.parameters.items():
        _check_binding(experiment, known[name], known[given] if isinstance(given, str) else given)


def check_names(problem: Checked) -> None:
    """Refuse names that are nothing, or two things."""
    if problem.observe is None:
        unknown = [n for n in problem.outputs if n not in (*problem.states, *problem.algebraics)]
        if unknown:
            raise InputError(
                f"measured column {unknown[0]!r} is no state ({', '.join(problem.states)}); "
                "rename it, leave it out, or give observe=."
            )
    every = (*problem.states, *problem.algebraics)
    for what, names, known in (
        ("bounds=", problem.bounds, every),
        ("scaling=", problem.scaling, every),
        *(
            (f"{what}= of experiment {e.name!r}", getattr(e, what), known)
            for e in (*problem.experiments, *problem.test)
            for what, known in (
                ("initial", problem.states),
                ("final", problem.states),
                ("guess", every),
            )
        ),
    ):
        check_named(what, names, "state", known)
    for name, size in problem.scaling.items():
        as_number(size, f"scaling[{name!r}]")
    kinds = {"a state": problem.states, "an input": problem.inputs}
    kinds["an algebraic variable"] = tuple(problem.algebraics)
    for (one, names), (other, more) in combinations(kinds.items(), 2):
        for name in names:
            if name in more:  # tables have one column of a name
                raise InputError(f"{name!r} is the name of {one} and of {other}; rename one.")
    for experiment in (*problem.experiments, *problem.test):
        there = {*experiment.inputs, *experiment.controls}
        missing = [n for n in problem.inputs if n not in there]
        if missing:
            stray = sorted(there - {*problem.inputs})
            where = f"inputs of experiment {experiment.name!r}"
            check_named(where, stray, "input of the first experiment", problem.inputs)
            raise InputError(f"experiment {experiment.name!r} has no input {missing[0]!r}; add it.")


def check_decisions(problem: Checked) -> None:
    """Refuse costs, constraints and links of windows that are not there."""
    names = [e.name for e in problem.experiments]
    for cost in problem.costs:
        check_named(f"cost {cost.name!r}", cost.windows, "window", names)
    for held in problem.constraints:
        windows = getattr(held, "windows", ())
        check_named(f"constraint {held.name!r}", windows, "window", names)
    for link in problem.links:
        link.check(dict(zip(names, problem.experiments, strict=True)), problem.lasting)
    check_shared(problem.experiments, problem.inputs)
    labels = [cost.name for cost in problem.costs]
    repeated = {n for n in labels if labels.count(n) > 1}
    if repeated:
        raise InputError(f"two costs are called {repeated.pop()!r}; give them name=.")
    if problem.varies_in_time and any(e.is_free for e in problem.experiments):
        raise InputError(
            "parameters or weights that vary in time have an interval of given times, so no window "
            "may have free ones; fix the times."
        )


def check_measured(problem: Checked) -> None:
    """Refuse outputs and experiments without data."""
    for column, name in enumerate(problem.outputs):
        if not any(np.isfinite(e.values[:, column]).any() for e in problem.experiments):
            raise InputError(
                f"output {name!r} has no finite value in any experiment (all NaN or of weight 0); "
                "leave the column out if the state is not measured."
            )
    for experiment in (e for e in problem.experiments if e.measures):
        count = int(np.isfinite(experiment.values).any(axis=1).sum())
        if count < min(2, experiment.samples):
            raise InputError(
                f"experiment {experiment.name!r} has {counted(count, 'time')} with a finite value; "
                "at least 2 are needed."
            )


def check_loss_kinds(problem: Checked) -> None:
    """Refuse a loss that is none, and a regularisation that no problem has."""
    if not isinstance(problem.loss, Loss):
        raise InputError(
            f"loss={problem.loss!r} is no loss; give LeastSquares(), Huber(...), Normal(...) or "
            "another likelihood."
        )
    if not isinstance(problem.regularisation, L2 | Evidence):
        raise InputError(
            "a problem is regularised by L2 or Evidence; L1 has kinks and goes to "
            "admm(regularisation=...)."
        )


def check_distinct(experiments: Sequence[Experiment]) -> None:
    """Refuse two experiments of one name."""
    names = [e.name for e in experiments]
    repeated = {n for n in names if names.count(n) > 1}
    if repeated:
        raise InputError(f"two experiments are called {repeated.pop()!r}; rename one.")


def check_loss(problem: Checked) -> None:
    """Refuse a loss that says something of what is no output, or nothing of one."""
    check_named(
        f"loss={type(problem.loss).__name__}(...)", problem.loss.named, "output", problem.outputs
    )
    for name in problem.outputs:
        problem.loss.sigma_of(name, 1.0)


def check_likelihood(problem: Checked) -> None:
    """Refuse data that a likelihood cannot take."""
    if not problem.loss.likelihood:
        if any(e.censored is not None for e in problem.experiments):
            raise InputError(
                f"censored data need a likelihood, not {problem.loss!r}; give loss=Normal() or LogNormal()."
            )
        return
    if problem.dynamics.networks and isinstance(problem.regularisation, Evidence):
        raise InputError(
            f"the evidence that chooses λ is derived for squares, not for {problem.loss!r}; give "
            "regularisation=L2(1e-4), say, or loss=LeastSquares(sigma)."
        )
    for e in problem.experiments:
        if e.weights is not None and (np.isfinite(e.values) & (e.weights != 1.0)).any():
            raise InputError(
                f"experiment {e.name!r} has weights, which a likelihood would take for numbers of equal data "
                "and not for their accuracy; give sigma= of the experiment, or loss=LeastSquares()."
            )
    for name in problem.outputs:
        loss = problem.loss.of(name)
        for e in problem.experiments:
            column = e.values[:, problem.outputs.index(name)]
            wrong = np.isfinite(column) & ~loss.takes(column)
            if wrong.any():
                raise InputError(
                    f"experiment {e.name!r}: {name!r} is {column[wrong][0]:g} at t = "
                    f"{e.times[wrong][0]:.12g}, which {type(loss).__name__} cannot be; leave it out "
                    "(NaN), or take another likelihood."
                )


def check_bases(problem: Checked) -> None:
    """Refuse experiments that a basis does not cover."""
    for basis in problem.bases:
        start, end = basis.interval
        slack = 1e-9 * (end - start)
        for experiment in (*problem.experiments, *problem.test):
            first, last = experiment.start, experiment.end
            assert first is not None and last is not None
            if first < start - slack or last > end + slack:
                told = apart(start, end, first, last, digits=12)
                raise InputError(
                    f"{basis!r} covers [{told[0]}, {told[1]}], but experiment "
                    f"{experiment.name!r} runs over [{told[2]}, {told[3]}]; "
                    "give the basis an interval that covers every experiment."
                )


def _check_binding(
    experiment: Experiment,
    parameter: Parameter,
    given: Parameter | float,
    held_out: bool = False,
) -> None:
    """Refuse what a parameter cannot be in an experiment; a held-out one may be given its own."""
    where = f"parameter {parameter.name!r} in experiment {experiment.name!r}"
    if parameter.basis is not None or (parameter.per_experiment and not held_out):
        raise InputError(
            f"{where} cannot be bound, since it varies in time or is each experiment's own; leave it out of "
            "parameters=."
        )
    if not isinstance(given, Parameter):
        if not np.isfinite(parameter.decided(given)):
            raise InputError(
                f"{where} is {given:g}, which has no {parameter.scale}; give it the linear scale."
            )
    elif given.basis is not None or given.per_experiment or given.scale != parameter.scale:
        raise InputError(
            f"{where} is bound to {given.name!r}, which has to be constant, shared and of its scale, "
            f"{parameter.scale!r}."
        )
