"""Data with holes: fine where something was measured, refused by name where nothing was."""

from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode.coordination.executors import InProcess
from collocode.results.status import Termination

from .faulty import Case, oscillators


def with_holes(where):
    problem = oscillators()
    experiments = list(problem.experiments)
    values = experiments[1].values.copy()
    where(values)
    experiments[1] = replace(experiments[1], values=values)
    return replace(problem, experiments=experiments)


def some(values):
    values[3:9, 0] = np.nan
    values[12, :] = np.nan


def velocity(values):
    values[:, 1] = np.nan


@pytest.mark.parametrize("holes", [some, velocity])
def test_nan_is_missing_and_no_trouble(holes, undisturbed):
    case = Case.of(with_holes(holes))
    state, termination, warnings = case.run(case.open(InProcess()), 12)
    assert (termination, warnings) == (Termination.ITERATION_LIMIT, [])
    assert all(not row.rescued for row in state.history)
    assert state.history[-1].primal < 0.1 * state.history[0].primal
    assert np.isfinite(state.best[0])
    if holes is some:  # the data that are there say what they said
        lost = np.abs(state.consensus.z[0] - undisturbed.consensus.z[0])
        assert lost < 0.2 * np.abs(undisturbed.consensus.z[0])


def test_windows_without_any_value_are_refused_by_name():
    def rest(values):
        values[8:] = np.nan

    problem = with_holes(rest)
    with pytest.raises(cc.InputError, match=r"run 1.* fewer|too unevenly spread"):
        cc.admm(
            replace(problem, experiments=problem.experiments[1:2]),
            9,
            settings=cc.FitSettings(mesh=18),
        )


def test_an_experiment_without_any_value_is_refused_by_name():
    def everything(values):
        values[:] = np.nan

    with pytest.raises(cc.InputError, match="experiment 'run 1' has 0 times with a finite value"):
        with_holes(everything)


def test_an_output_that_a_batch_lacks_is_refused_where_it_cannot_be_left_out():
    problem = with_holes(velocity)
    observed = replace(problem, observe=lambda x, u, p: [x.x, x.v], states=("x", "v"))
    with pytest.raises(cc.InputError, match="batch 'run 1' has no finite value of output 'v'"):
        cc.admm(observed, 4, settings=cc.FitSettings(mesh=8, start="interpolate"))
