"""The `Solution`: a solved problem as values that outlive the solver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import apart, check_named, check_path, listed
from ..errors import InputError
from ..model.experiment import Experiment
from ..model.losses import LeastSquares, Loss
from ..model.misfit import deviations_of
from ..model.truth import Truth
from ..numerics import Array, numbers
from ..numerics.scheme import Scheme
from ..numerics.signals import Signal
from ..transcription.nlp import NLP, StartRecord
from .fitted import Penalty, Trajectory
from .integrate import Simulation
from .meshing import Meshing
from .model import TrainedModel
from .network import TrainedNetwork
from .resolved import costs_of, held_out_of, trajectories_of
from .score import Score, score_all
from .simulate import simulate
from .status import SolverResult
from .store import SOLUTION, STORED, solution_parts, solution_tree

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, kw_only=True)
class Solution:
    """What a fit, or an optimisation, returns; see the methods.

    Attributes
    ----------
    name : the problem's name.
    result : the solver's answer, with status, history and timings.
    model : the trained right-hand side, as data.
    scheme : the discretization scheme.
    trajectories : one per experiment.
    test : experiments that were not fitted.
    loss : what the fit minimised, with the σ of every output.
    meshing : how the mesh was chosen, where the fit chose it.
    costs : what every cost of the problem adds to the objective.
    truth : the true system, where the problem knew it (not saved).
    nlp : the NLP, unless the solution was loaded from a file.
    own_names : parameters of which every experiment has its own value.
    penalty : the ridge of the weights, as a number; None where it is not known.
    start_record : which start was used, and which were passed over and why; None if the start was
        put into the NLP by hand.
    """

    name: str
    result: SolverResult
    model: TrainedModel
    scheme: Scheme
    trajectories: tuple[Trajectory, ...]
    test: tuple[Experiment, ...] = field(default_factory=tuple)
    truth: Truth | None = None
    nlp: NLP | None = None
    loss: Loss = LeastSquares()
    own_names: tuple[str, ...] = ()
    penalty: Penalty | None = None
    start_record: StartRecord | None = None
    meshing: Meshing | None = None
    costs: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, nlp: NLP, result: SolverResult) -> Solution:
        """Read a solver's point by the NLP's layout; most of it when it is first asked for."""
        problem = nlp.problem
        made = object.__new__(cls)
        known = {
            "name": problem.name,
            "result": result,
            "scheme": nlp.scheme,
            "truth": problem.truth,
            "nlp": nlp,
            "loss": problem.loss.with_sigma(problem.sigma),
            "own_names": nlp.layout.own_names,
            "penalty": Penalty(strength=float(nlp.parameters["regularisation"][0])),
            "start_record": nlp.start_record,
            "meshing": None,
        }
        made.__dict__.update(known)
        return made

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Read what `of` has left; a loop that plans again and again looks at little of it."""
            if name not in _READ or "nlp" not in self.__dict__:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            value = self.__dict__[name] = _READ[name](self.nlp, self.result)
            return value

    @property
    def program(self) -> NLP | None:
        """The NLP, under the name that every kind of solution has for it."""
        return self.nlp

    # ---- how it went -------------------------------------------------------------------------

    @property
    def success(self) -> bool:
        """Whether the solver converged to the requested tolerance."""
        return self.result.success

    @property
    def status(self) -> str:
        """Termination and worth of the point, in words."""
        return self.result.ending

    @property
    def objective(self) -> float:
        """Objective of the NLP at the solver's point."""
        return self.result.objective

    @property
    def iterations(self) -> int:
        """Iterations that the solver took."""
        return self.result.iterations

    def __repr__(self) -> str:
        return (
            f"Solution({self.name!r}, {self.status}, objective={self.result.objective:.6g}, "
            f"iterations={self.result.iterations}, experiments={len(self.trajectories)}, "
            f"parameters={len(self.model.parameter_names)}, weights={len(self.model.theta)})"
        )

    # ---- what was learnt ---------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, float]:
        """Estimated parameters in natural units; an experiment's own are called ``name[experiment]``.

        Of one that varies in time these are the coefficients, ``name.P0`` and so on; `parameter`
        returns its values.
        """
        own = set(self.own_names)
        found: dict[str, float] = {}
        for j, name in enumerate(self.model.parameter_names):
            shown = [p for p in self.trajectories if name not in p.experiment.parameters]
            for part in shown if name in own else shown[:1]:
                label = f"{name}[{part.experiment.name}]" if name in own else name
                found[label] = float(self.model.natural(part.parameters)[j])
        return found

    def parameter(self, name: str, times: ArrayLike, experiment: int | str = 0) -> Array:
        """(N,) values p(t) of a parameter at ``times``, as an experiment sees it."""
        part = self.trajectories[self.index(experiment)]
        return self.model.with_parameters(part.parameters).parameter(name, times)

    def control(self, name: str, times: ArrayLike, experiment: int | str = 0) -> Array:
        """(N,) values u(t) of an input of a window, decided or given, at ``times``.

        Raises
        ------
        InputError
            No such input.
        """
        part = self.trajectories[self.index(experiment)]
        if name not in part.experiment.inputs:
            known = listed(part.experiment.inputs) or "none"
            raise InputError(f"there is no input {name!r}; there are: {known}.")
        return part.experiment.inputs[name](times)

    def network(self, name: str | None = None, t: float | None = None) -> TrainedNetwork:
        """Return a trained network as a plain callable; one that varies, at time ``t``."""
        return self.model.network(name, t)

    def states(self, times: ArrayLike, experiment: int | str = 0) -> Array:
        """(N, states) collocated states at any times inside the mesh, by the interpolant."""
        part = self.trajectories[self.index(experiment)]
        element, tau = part.mesh.locate(times)
        m = self.scheme.intervals
        nodes = part.states[element[:, None] * m + np.arange(m + 1)[None, :]]
        return np.asarray(np.einsum("ij,ijk->ik", self.scheme.interpolation(tau), nodes))

    def algebraics(self, times: ArrayLike, experiment: int | str = 0) -> Array:
        """(N, algebraic variables) at any times inside the mesh; at a jump, behind it."""
        inputs = self.trajectories[self.index(experiment)].experiment.inputs
        t = np.atleast_1d(np.asarray(times, dtype=float))
        found = [inputs[name](t) for name in self.model.algebraics]
        return np.column_stack(found) if found else np.empty((len(t), 0))

    def simulate(
        self,
        experiment: int | str = 0,
        initial: ArrayLike | None = None,
        times: ArrayLike | None = None,
        inputs: Mapping[str, Signal] | None = None,
        **options: Any,
    ) -> Simulation:
        """Integrate the trained model under an experiment's inputs, from its fitted initial state.

        Parameters
        ----------
        experiment : number or name.
        initial : another initial state.
        times : where to report; default the measurement times (and the start of the window), or the
            nodes of a window without data.
        inputs : others than the experiment's, by name.
        options : as for `collocode.simulate`; by default a window without data is integrated by CVODES, which
            restarts at every element, with a tenth of the usual tolerances for that.

        Raises
        ------
        InputError
            A time before the experiment's start, an experiment or input that does not exist.
        """
        part = self.trajectories[self.index(experiment)]
        start = part.times[0]
        usual = part.experiment.times if part.experiment.measures else part.times
        t = usual if times is None else np.atleast_1d(numbers(times, "times of a simulation"))
        if len(t) and t.min() < start:
            told = apart(t.min(), start, digits=12)
            raise InputError(
                f"time {told[0]} lies before the start of experiment {part.experiment.name!r}, "
                f"{told[1]}; ask for later times, or let the experiment begin earlier by start=."
            )
        reported = t if len(t) and t[0] == start else np.append(start, t)
        x = part.states[0] if initial is None else initial
        model = self.model.with_parameters(part.parameters)
        options.setdefault("history", part.experiment.history)
        if model.algebraics:
            options.setdefault("guess", self.algebraics(start, experiment)[0])
        elif not (part.experiment.measures or model.lags or "method" in options):
            options = {
                "method": "CVODES",
                "rtol": 1e-9,
                "atol": float(model.tolerance(1e-11).min()),
                **options,
            }
        check_named("inputs= of a simulation", inputs or (), "input", model.inputs)
        others = tuple(f"{name}." for name in inputs or ())  # what told of dead times
        known = {n: s for n, s in part.experiment.inputs.items() if not n.startswith(others)}
        run = simulate(model, x, reported, {**known, **(inputs or {})}, **options)
        if len(reported) != len(t):
            z = run.algebraics if run.algebraics is None else run.algebraics[1:]
            run = replace(run, times=run.times[1:], states=run.states[1:], algebraics=z)
        return run

    def predict(self, times: ArrayLike, experiment: int | str = 0) -> Array:
        """(N, outputs) outputs of the simulated model at ``times``."""
        number = self.index(experiment)
        part = self.trajectories[number]
        measured = times is part.experiment.times
        run = self.runs[number] if measured else self.simulate(number, times=times)
        return self._observe(run.states, part, run.times, run.algebraics)

    @cached_property
    def runs(self) -> tuple[Simulation, ...]:
        """The trained model simulated at the times of every experiment, once for all who judge it."""
        return tuple(self.simulate(number) for number in range(len(self.trajectories)))

    @cached_property
    def _node_runs(self) -> dict[int, Simulation]:
        return {}

    def _at_nodes(self, experiment: int | str) -> Simulation:
        """The trained model simulated at the nodes of an experiment, once for all who ask."""
        number, runs = self.index(experiment), self._node_runs
        if number not in runs:
            runs[number] = self.simulate(number, times=self.trajectories[number].times)
        return runs[number]

    def fitted(self, times: ArrayLike, experiment: int | str = 0) -> Array:
        """(N, outputs) outputs of the collocated states at ``times``."""
        part = self.trajectories[self.index(experiment)]
        t, z = np.asarray(times, dtype=float), self.algebraics(times, experiment)
        return self._observe(self.states(t, experiment), part, t, z)

    def sigma(self, experiment: int | str = 0, simulated: bool = True) -> Array:
        """(N, outputs) σ of an experiment's data by the loss; NaN where it is not known.

        That of the experiment, where given; else what the loss says, of a likelihood at the simulated or
        collocated states.
        """
        number = self.index(experiment)
        part = self.trajectories[number]
        own = np.full(part.experiment.values.shape, np.nan)
        own = own if part.experiment.sigma is None else np.asarray(part.experiment.sigma)
        t, run = part.experiment.times, self.runs[number]
        states = run.states if simulated else self.states(t, number)
        z = run.algebraics if simulated else self.algebraics(t, number)
        return np.where(np.isnan(own), self._told(number, t, states, z), own)

    def _told(self, number: int, t: Array, states: Array, z: Array | None) -> Array:
        """(N, outputs) σ that the loss says of data at some times, or (1, outputs) where they do not matter."""
        part = self.trajectories[number]
        u = [part.experiment.inputs[name](t) for name in self.model.inputs]
        model = self.model.with_parameters(part.parameters)
        told = model.spread(states, np.column_stack(u) if u else None, t, z)
        if told is None:
            told = np.array([[self.loss.sigma_of(name, np.nan) for name in self.model.outputs]])
        return told

    def deviations(self, experiment: int | str = 0, times: ArrayLike | None = None) -> Array:
        """(N, outputs) standard deviations of an experiment's data about the collocated outputs.

        In the data's units, as the loss has them; NaN where they are not known.  At ``times`` they are those
        of data that the loss alone tells of.
        """
        number = self.index(experiment)
        if times is None:
            t, sigma = self.trajectories[number].experiment.times, self.sigma(experiment, False)
        else:
            t = np.atleast_1d(np.asarray(times, dtype=float))
            sigma = self._told(number, t, self.states(t, number), self.algebraics(t, number))
        return deviations_of(self.loss, self.model.outputs, self.fitted(t, number), sigma)

    def _observe(self, states: Array, part: Trajectory, times: Array, z: Array | None) -> Array:
        u = [part.experiment.inputs[name](times) for name in self.model.inputs]
        model = self.model.with_parameters(part.parameters)
        return model.observe(states, np.column_stack(u) if u else None, times, z)

    def gap(self, experiment: int | str = 0) -> float:
        """Largest difference of collocated and simulated states at the nodes, relative to size.

        Nodes within the instant of an event do not count: what is there, nobody means.

        A good collocation fit that does not re-simulate misleads; this number tells.  It is inf
        if the simulation breaks down.
        """
        number = self.index(experiment)
        part = self.trajectories[number]
        # a window without data is simulated at its nodes anyhow
        known = not part.experiment.measures
        run = self.runs[number] if known else self._at_nodes(number)
        if not run.complete:
            return float("inf")
        size = np.maximum(np.abs(part.states).max(axis=0), 1e-300)
        kept = ~part.experiment.passing(part.times)
        return float((np.abs(run.states - part.states)[kept] / size).max())

    def score(self) -> list[Score]:
        """Errors on every experiment, fitted and test; see `collocode.results.score`."""
        return score_all(self)

    # ---- access and tables -------------------------------------------------------------------

    def index(self, experiment: int | str) -> int:
        """Return the number of an experiment given by number or name.

        Raises
        ------
        InputError
            There is none.
        """
        names = [part.experiment.name for part in self.trajectories]
        if isinstance(experiment, str):
            if experiment not in names:
                raise InputError(
                    f"there is no experiment {experiment!r}; there are: {listed(names)}."
                )
            return names.index(experiment)
        if not -len(names) <= experiment < len(names):
            raise InputError(f"there is no experiment {experiment}; there are {len(names)}.")
        return experiment % len(names)

    def to_frame(self, experiment: int | str = 0) -> pd.DataFrame:
        """Nodes as a table: time, collocated and simulated states, algebraic variables, decided inputs.

        A scheme with a stage at the start of its elements (Lobatto IIIC) has two rows there.
        """
        import pandas as pd

        return pd.DataFrame(self.columns(experiment))

    def columns(self, experiment: int | str = 0) -> dict[str, Array]:
        """The columns of `to_frame` by name."""
        part = self.trajectories[self.index(experiment)]
        run = self._at_nodes(experiment)
        algebraics = self.algebraics(part.times, experiment)
        return {
            "time": part.times,
            **{name: part.states[:, i] for i, name in enumerate(self.model.states)},
            **{f"{name}_simulated": run.states[:, i] for i, name in enumerate(self.model.states)},
            **{name: algebraics[:, i] for i, name in enumerate(self.model.algebraics)},
            **{
                f"{name}_simulated": run.algebraics[:, i]
                for i, name in enumerate(self.model.algebraics)
                if run.algebraics is not None
            },
            **{name: self.control(name, part.times, experiment) for name in part.controls},
        }

    def save(self, path: str | Path) -> None:
        """Write the solution to an ``.npz`` file of plain numbers and text, for `load`.

        Raises
        ------
        FileError
            The folder is missing or cannot be written.
        """
        SOLUTION.write(path, solution_tree(**{name: getattr(self, name) for name in STORED}))


_READ: dict[str, Callable[[NLP, SolverResult], Any]] = {
    "trajectories": trajectories_of,
    "model": lambda nlp, result: TrainedModel.of(nlp, result.x),
    "test": held_out_of,
    "costs": lambda nlp, result: costs_of(nlp, result.x),
}


def load(path: str | Path) -> Solution:
    """Read a solution that `Solution.save` wrote; nothing in it is executed.

    The result simulates, predicts and plots; it has no NLP, so to go on optimising, discretize the
    problem again and pass the solution as the start.

    Raises
    ------
    FileError
        Missing, corrupt or foreign file.
    """
    check_path("load", path)
    return SOLUTION.read(path, lambda tree: Solution(**solution_parts(tree)))
