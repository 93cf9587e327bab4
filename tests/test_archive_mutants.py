"""Every archive, damaged in every way: it is refused in one sentence, or it is of the right types and works."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import collocode as cc
from collocode.coordination.coordinator import run
from collocode.coordination.executors import InProcess, WorkerError
from collocode.coordination.newton import Newton
from collocode.identify.climbs import Climb, ClimbsFile
from collocode.layered import (
    LayeredNetwork,
    LayeredProblem,
    LogisticLoss,
    load_training,
    spiral2d,
    train,
)
from collocode.layered.growth.grow import grow
from collocode.layered.growth.growth import load_growth, save_growth
from models.control import double_integrator
from tests.coordination.faulty import Case, oscillators
from tests.mutants import kinds, mutants
from tests.problems import driven
from tests.relu.nets import random_network
from tests.results.test_round_trips import dosed


@dataclass(frozen=True)
class Reader:
    """A kind of archive.

    Attributes
    ----------
    path : a good one.
    read : reads one.
    use : does with what was read what its owner does.
    open : the place, or places, of what may be of several types.
    mutants : how many are tried in every run of the tests.
    """

    path: Path
    read: Callable[[Path], Any]
    use: Callable[[Any], Any]
    open: str | tuple[str, ...] = "-"
    mutants: int = 500


def _solution(folder):
    problem = driven()
    data = replace(
        problem.experiments[0], weights=np.ones_like(problem.experiments[0].values), start=0.0
    )
    fitted = cc.fit(replace(problem, experiments=[data], test=[data]), mesh=3)
    fitted.save(folder / "fit.npz")

    def use(solution):
        str(solution), solution.status, solution.parameters
        part = solution.trajectories[0]
        solution.states([part.mesh.start, part.mesh.end])
        solution.save(folder / "again.npz")
        assert cc.load(folder / "again.npz").parameters == solution.parameters

    # a fit has no costs, but a file may tell of some
    return Reader(folder / "fit.npz", cc.load, use, (".result.options", ".costs"))


def _laboratory(folder):
    """With doses at an estimated time, a likelihood whose σ is estimated, and what is held out."""
    problem = replace(dosed(), loss=cc.Student(freedom=3.0))
    cc.fit(problem, mesh=4).save(folder / "doses.npz")

    def use(solution):
        str(solution), solution.status, solution.parameters, solution.deviations()
        solution.save(folder / "again.npz")
        again = cc.load(folder / "again.npz")
        assert again.parameters == solution.parameters

    opened = (".result.options", ".costs", ".trajectories.*.experiment.events.*")
    return Reader(folder / "doses.npz", cc.load, use, opened, mutants=250)


def _decided(folder):
    cc.fit(double_integrator.problem(), mesh=3).save(folder / "decided.npz")

    def use(solution):
        str(solution), solution.costs
        part = solution.trajectories[0]
        for name in part.controls:
            solution.control(name, [part.mesh.start, part.mesh.end])
        solution.save(folder / "again.npz")
        again = cc.load(folder / "again.npz").costs
        np.testing.assert_equal(dict(again), dict(solution.costs))  # NaN of a failed solve, too

    return Reader(folder / "decided.npz", cc.load, use, ".result.options")


def _layered():
    samples, validation = spiral2d(20)
    network = LayeredNetwork(2, 1, 3, cc.Mesh.uniform(0, 1, 2), lift="pad")
    return LayeredProblem(network, samples, LogisticLoss(), validation=validation)


def _training(folder):
    problem = _layered().objective
    train(problem, "barzilai-borwein", iterations=3).save(folder / "training.npz")

    def use(training):
        (
            str(training),
            training.save(folder / "again.npz"),
            training.predict(np.zeros((1, training.network.inputs))),
        )
        network = training.network
        if network.description() == problem.network.description():
            with suppress(cc.CollocodeError):  # what it remembers is the trainer's to check
                train(problem, "barzilai-borwein", iterations=3, resume=training)

    return Reader(folder / "training.npz", load_training, use, ".memory")


def _growth(folder):
    save_growth(grow(_layered(), max_layers=3, iterations=2), folder / "growth.npz")

    def use(growth):
        str(growth), growth.table(), growth.history, growth.scores, growth.success
        growth.training_seconds, growth.scoring_seconds, save_growth(growth, folder / "again.npz")

    return Reader(folder / "growth.npz", load_growth, use)


def _network(folder):
    network = cc.MLP((2, 3, 1)).normalised([0.1, 0.2], [1.0, 2.0], [1.0])
    cc.save_weights(cc.TrainedNetwork(network, network.initial_weights(0)), folder / "network.npz")
    return Reader(folder / "network.npz", cc.load_weights, lambda found: found([0.1, 0.2]))


def _relu_network(folder):
    network = random_network(0, clip=1.0)
    network.save(folder / "relu.npz")
    load = cc.relu.ReluNetwork.load
    return Reader(folder / "relu.npz", load, lambda found: found(np.zeros(found.inputs)))


def _admm(folder):
    case, states = Case.of(oscillators(number=2), 2), []
    session = case.open(InProcess())
    case.run(session, iterations=2, save=states.append)
    file = case.checkpoint(folder / "admm.npz")
    file.write(states[-1])
    again = case.checkpoint(folder / "again.npz")

    def use(state):
        again.write(state)
        str(state.history)

    return Reader(
        file.path, lambda path: replace(file, path=path).read(case.first), use, ".consensus.seen"
    )


def _newton(folder):
    """Of a run whose kink is still blunt and whose states are damped; what is read goes on."""
    problem, made = oscillators(number=2), []
    case, rules = Case.of(problem, 2), cc.NewtonRules(iterations=2)
    whole = case.settings.begun(problem)
    newton = Newton.of(rules, case.variables, case.variables.ridge(case.penalty), case.batches)
    session = case.open(InProcess())
    fresh = newton.start(whole, case.batches)
    run(newton, session, fresh, 2, save=made.append)
    file = case.checkpoint(folder / "newton.npz")
    file.write(replace(made[-1], damping=0.5, rounding=4.0))
    again = case.checkpoint(folder / "again.npz")

    def use(state):
        again.write(state)
        with suppress(WorkerError, cc.InputError):  # told: nothing finite follows from it
            run(newton, session, state, state.iteration + 1)

    return Reader(file.path, lambda path: replace(file, path=path).read(fresh), use, ".filter")


def _loop(folder):
    model = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.feed - x.level]),
        cc.Window(end=1.0, controls={"feed": cc.Control(0.0, 2.0, kind="constant")}),
        states=("level",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: (x.level - 1.0) ** 2 + u.feed**2),
    )
    horizon = cc.RecedingHorizon(model, mesh=4, setpoints={"level": 1.0})
    loop = horizon.run([0.0], moves=3)
    replace(loop, failed=(1,)).save(folder / "loop.npz")

    def use(loop):
        str(loop), loop.gap, loop.iterations, loop.to_frame(), loop.control("feed", loop.times)
        loop.save(folder / "again.npz")
        with suppress(cc.InputError):  # a state that the plant cannot answer from
            horizon.run([0.0], len(loop.plans) + 1, after=loop)
        str(cc.report(loop))

    return Reader(folder / "loop.npz", horizon.load, use, "-", mutants=300)


def _sweep(folder):
    problem, values = driven(), [1e-3, 1e-4]
    how = {"values": values, "mesh": 3}
    cc.sweep(problem, checkpoint=folder / "sweep.json", **how)

    def read(path):
        return cc.sweep(problem, checkpoint=path, **how)

    # what is missing is fitted anew, also from a start that has merits where the checkpoint's has none
    merits = ".solution.nlp.start_record.merits", ".solution.start_record.merits"
    return Reader(folder / "sweep.json", read, str, merits, mutants=150)


def _climbs(folder):
    nothing = np.empty(0)
    climb = Climb(
        meshes=(np.linspace(0.0, 1.0, 3),),
        x=np.arange(4.0),
        value=1.5,
        termination=cc.Termination.CONVERGED,
        history=np.array([2.0, 1.5]),
        seconds=0.1,
    )
    end = cc.Termination.EVALUATION_ERROR
    lost = replace(climb, meshes=(), x=nothing, value=np.inf, termination=end, history=nothing)
    file = ClimbsFile(folder / "climbs.npz", {"problem": "p", "starts": "[1, 2]"})
    file.write({0: climb, 3: lost})
    again = ClimbsFile(folder / "again.npz", {})

    def read(path):
        return {str(seed): climb for seed, climb in replace(file, path=path).read().items()}

    def use(climbs):
        again.write({int(seed): climb for seed, climb in climbs.items()})

    return Reader(file.path, read, use)


MAKERS = (
    _solution,
    _laboratory,
    _decided,
    _training,
    _growth,
    _network,
    _relu_network,
    _admm,
    _newton,
    _loop,
    _sweep,
    _climbs,
)


@pytest.fixture(scope="module", params=MAKERS, ids=lambda make: make.__name__[1:])
def reader(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("archive"))


def judge(reader, count, seed, folder):
    """Read mutants; return how many were refused and how many were good."""
    path = folder / f"mutant{reader.path.suffix}"
    allowed = kinds(reader.read(reader.path))
    refused = good = 0
    for words, data in mutants(reader.path, count, seed):
        path.write_bytes(data)
        try:
            with np.errstate(all="ignore"):  # numbers may be huge
                found = reader.read(path)
        except cc.FileError as error:
            sentence = str(error)
            assert str(path) in sentence, (words, sentence)
            assert sentence.endswith("."), (words, sentence)
            assert "\n" not in sentence, (words, sentence)
            refused += 1
            continue
        foreign = [k for k in kinds(found) - allowed if not k[0].startswith(reader.open)]
        assert not foreign, (words, foreign)
        with np.errstate(all="ignore"):
            reader.use(found)
        good += 1
    return refused, good


def test_mutants_are_refused_in_one_sentence_or_are_right(reader, tmp_path):
    refused, good = judge(reader, reader.mutants, 0, tmp_path)
    assert refused > 0.7 * reader.mutants
    assert good > 10  # so that the judge has something to judge


@pytest.mark.slow
def test_ten_thousand_mutants(reader, tmp_path):
    judge(reader, 20 * reader.mutants, 1, tmp_path)
