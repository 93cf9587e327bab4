"""The loop alone, under a method that is neither of its users': pieces that split, merge and rise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from collocode import InputError, Termination
from collocode.adapt.estimate import Estimate
from collocode.adapt.loop import Adapted, Budget, adapt
from collocode.adapt.marking import Marking
from collocode.adapt.refinement import Cycle, Refinement
from collocode.numerics.scheme import lagrange_matrix
from collocode.results.status import Outcome

KEEP, SPLIT, MERGE, RAISE = range(4)
Pieces = tuple[tuple[float, float, int], ...]  # from, to, degree


@dataclass(frozen=True)
class Interpolated:
    """Interpolate √x piecewise; its error per piece decides what happens to the piece.

    A piece at the kink is split, another gets a higher degree; neighbours without error are merged.
    """

    tol: float
    most: int = 100

    def solve(self, discrete: Pieces, seconds: float) -> tuple[Pieces, list[float]]:
        assert seconds > 0.0
        return discrete, [self._error(*piece) for piece in discrete]

    def _error(self, left: float, right: float, degree: int) -> float:
        nodes = 0.5 - 0.5 * np.cos(np.pi * np.arange(degree + 1) / degree)
        tau = np.linspace(0.0, 1.0, 33)
        exact, known = (np.sqrt(left + (right - left) * t) for t in (tau, nodes))
        return float(np.abs(exact - lagrange_matrix(nodes, tau) @ known).max())

    def estimate(self, solved: tuple[Pieces, list[float]], before: Sequence[Cycle]) -> Cycle:
        pieces, errors = solved
        points = np.array([pieces[0][0], *(p[1] for p in pieces)])
        estimate = Estimate(
            goal="root",
            value=sum(errors),
            parts={"interpolation": -np.array(errors)},
            meshes=(points,),
            stationarity=0.0,
            stationary=True,
            seconds=0.0,
        )
        return Cycle(estimate=estimate)

    def decide(self, cycles: Sequence[Cycle]) -> Outcome | None:
        reached = cycles[-1].estimate.magnitude <= self.tol
        return Outcome(termination=Termination.CONVERGED) if reached else None

    def mark(self, cycle: Cycle) -> np.ndarray:
        size, points = np.abs(cycle.estimate.indicators), cycle.estimate.meshes[0]
        actions = np.where(size > 0.1 * self.tol, RAISE, KEEP)
        if points[0] == 0.0 and size[0] > 0.1 * self.tol:
            actions[0] = SPLIT if len(size) < self.most else KEEP
        small = size < 1e-4 * self.tol
        for n in range(1, len(size) - 1, 2):
            if small[n] and small[n + 1]:
                actions[n] = actions[n + 1] = MERGE
        return actions

    def refine(self, solved: tuple[Pieces, list[float]], actions: np.ndarray) -> Pieces:
        found: list[tuple[float, float, int]] = []
        merged = False
        for (left, right, degree), action in zip(solved[0], actions, strict=True):
            if action == SPLIT:
                middle = left + 0.25 * (right - left)
                found += [(left, middle, degree), (middle, right, degree)]
            elif action == MERGE and merged:
                found[-1] = (found[-1][0], right, degree)
            else:
                found.append((left, right, degree + int(action == RAISE)))
            merged = action == MERGE and not merged
        return tuple(found)


def run(method: Interpolated, pieces: Pieces, budget: Budget, **more: object) -> Adapted:
    return adapt(method, method.solve(pieces, 1.0), 0.0, budget, **more)  # type: ignore[arg-type]


def equal(count: int) -> Pieces:
    ends = np.linspace(0.0, 1.0, count + 1)
    return tuple((float(a), float(b), 1) for a, b in pairwise(ends))


def test_pieces_are_split_merged_and_raised_until_the_tolerance() -> None:
    seen: list[Cycle] = []
    done = run(Interpolated(1e-3), equal(2), Budget(100, 60), on_cycle=seen.append)
    assert done.outcome.termination is Termination.CONVERGED
    assert done.outcome.status == "converged"
    assert list(done.cycles) == seen
    pieces, errors = done.solved
    assert sum(errors) <= 1e-3
    assert max(degree for _, _, degree in pieces) > 2
    assert pieces[0][1] < 1e-3
    assert pieces[-1][1] == 1.0
    taken = {int(a) for cycle in done.cycles for a in cycle.actions}
    assert {SPLIT, RAISE} <= taken
    assert len(done.cycles[-1].actions) == 0


def test_a_mesh_that_is_too_fine_is_merged() -> None:
    fine = tuple((a / 64, (a + 1) / 64, 6) for a in range(32, 64))
    done = run(Interpolated(1e-2), ((0.0, 0.5, 4), *fine), Budget(100, 60))
    assert done.outcome.termination is Termination.CONVERGED
    assert MERGE in done.cycles[0].actions
    assert done.cycles[1].elements < done.cycles[0].elements
    (pieces, _) = done.solved
    assert sum(left >= 0.5 for left, _, _ in pieces) < 32
    assert all(one[1] == other[0] for one, other in pairwise(pieces))


@pytest.mark.parametrize(
    ("budget", "most", "termination", "words"),
    [
        (Budget(100, 3), 100, Termination.ITERATION_LIMIT, "cycle limit"),
        (Budget(100, 99, 1e-9), 100, Termination.TIME_LIMIT, "time limit"),
        (Budget(2, 99, unit="piece"), 1, Termination.SIZE_LIMIT, "piece budget used up"),
    ],
)
def test_limits(budget: Budget, most: int, termination: Termination, words: str) -> None:
    done = run(Interpolated(1e-9, most), ((0.0, 1.0, 1),), budget)
    assert (done.outcome.termination, done.outcome.status) == (termination, words)


def test_the_table_measures_against_the_most_accurate_cycle() -> None:
    done = run(Interpolated(1e-3), equal(2), Budget(100, 60))
    found = Refinement(
        termination=done.outcome.termination, cycles=done.cycles, tol=1e-3, rule="own"
    )
    table = found.table()
    assert found.success
    assert found.most_accurate is found.best
    assert list(table["elements"]) == [cycle.elements for cycle in done.cycles]
    assert np.isnan(table["error"].iloc[-1])
    assert table["effectivity"].iloc[0] == pytest.approx(1.0, abs=0.05)
    assert found.with_uniform(found).uniform is found


def test_budgets_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="number of cycles must be positive, not 0"):
        Budget(10, 0)
    with pytest.raises(InputError, match="time limit must be positive"):
        Budget(10, 1, 0.0)
    with pytest.raises(
        InputError, match="the first mesh has 11 pieces, more than the budget of 10"
    ):
        Budget(10, 1, unit="piece").check(11)


def test_bisections_of_several_goals_within_a_budget() -> None:
    first, second = [4.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 9.0]
    marking = Marking("maximum", 0.2)
    assert marking.bisections(first, second, most=20).tolist() == [1, 0, 1, 1]
    assert marking.bisections(first, second, most=6).tolist() == [1, 0, 0, 1]
    assert marking.bisections(first, most=4).tolist() == [0, 0, 0, 0]
    assert marking.bisections([0.0, 0.0], most=9).tolist() == [1, 1]
    assert Marking("uniform").bisections([1.0, 2.0], most=3).tolist() == [0, 0]
