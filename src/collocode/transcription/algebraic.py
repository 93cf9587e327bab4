"""Starts of algebraic variables, and scales of algebraic equations."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import casadi as ca
import numpy as np

from ..model.experiment import Experiment
from ..model.problem import Problem
from ..numerics import Array
from ..numerics.signals import Signal
from .layout import Layout
from .term import MappedTerm, ParameterBlocks
from .windows import ExperimentLayout


def guess_algebraics(
    problem: Problem, experiment: Experiment, part: ExperimentLayout, start: Array
) -> None:
    """Put measurements, the experiment's guesses or the variables' own into ``start``."""
    for name, usual in problem.algebraics.items():
        decided = part.decided[name]
        times, guess = decided.times(part.mesh), experiment.guess.get(name, usual)
        if isinstance(guess, Signal):
            start[decided.columns] = guess(times.ravel()).reshape(times.shape)
            continue
        start[decided.columns] = guess
        if problem.observe is None and name in problem.outputs:
            values = experiment.values[:, problem.outputs.index(name)]
            known = np.isfinite(values)
            if known.any():
                start[decided.columns] = np.interp(times, experiment.times[known], values[known])


def scale_algebraic(
    layout: Layout,
    terms: Sequence[MappedTerm],
    blocks: ParameterBlocks,
    x: Array,
    column_scale: Array,
    row_scale: Array,
) -> None:
    """Scale algebraic equations, in place, so that a scaled unknown moves them by about one.

    By each equation's largest scaled derivative, in the median over its stages; a power of two.
    """
    p = np.concatenate([np.ravel(block) for block in blocks.values()])
    for term in (term for term in terms if term.name == "algebraic"):
        function, own, shared = term.first_derivatives
        arguments = (
            x[term.own_columns].T,
            ca.repmat(ca.DM(x[term.shared_columns]), 1, term.points),
        )
        values = function.map(term.points)(*arguments, term.data_function(p))
        count, largest = term.value.numel(), np.zeros((term.points, term.value.numel()))
        columns = (term.own_columns[:, own.columns], None)
        for pattern, found, where in zip((own, shared), values, columns, strict=True):
            if where is None:  # their symbols come behind the own ones
                at = term.shared_columns[pattern.columns - term.own.numel()]
                where = np.broadcast_to(at, (term.points, len(pattern)))
            sizes = np.abs(np.asarray(found, dtype=float).T) * column_scale[where]
            for k in range(count):
                here = pattern.rows == k
                if here.any():
                    largest[:, k] = np.fmax(largest[:, k], sizes[:, here].max(axis=1))
        largest[~np.isfinite(largest) | (largest == 0.0)] = np.nan
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a median of nothing
            usual = np.exp2(-np.round(np.log2(np.nanmedian(largest, axis=0))))
        usual[~np.isfinite(usual)] = 1.0
        assert term.scatter is not None
        rows = np.asarray(term.scatter.indices).reshape(term.points, count)
        row_scale[rows] = usual
