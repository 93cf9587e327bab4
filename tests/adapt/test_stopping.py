"""When an estimate is believed: a table of what must not be, one condition at a time."""

from __future__ import annotations

import numpy as np
import pytest

import collocode as cc
from collocode.adapt.estimate import Estimate
from collocode.adapt.goals import ObjectiveValue, ParameterValue
from collocode.adapt.refinement import MeshCycle, Refinement
from collocode.adapt.stopping import decide

TOL = 1e-3


def estimate(*indicators, value=2.0, stationary=True, unconverged=0):
    return Estimate(
        goal="",
        value=value,
        parts={"state": TOL * np.array(indicators)},
        meshes=(np.linspace(0.0, 1.0, len(indicators) + 1),),
        stationarity=0.0,
        stationary=stationary,
        unconverged=unconverged,
        seconds=0.0,
    )


def cycle(*indicators, guard=None, termination=cc.Termination.CONVERGED, **how):
    return MeshCycle(
        estimate=estimate(*indicators, **how),
        guard=guard,
        termination=termination,
        iterations=1,
        unknowns=9,
        objective=1.0,
    )


@pytest.mark.parametrize(
    ("cycles", "believed"),
    [
        # the first mesh, which nothing agrees with yet: only if no luck in the signs is needed
        ([cycle(0.4, -0.4)], True),
        ([cycle(0.9, -0.9)], False),
        ([cycle(0.2, 0.9)], False),
        # a second one: its corrected value is the first one's, to the tolerance
        ([cycle(4.0, -1.0), cycle(0.9, -0.9, value=2.0 + 2.2 * TOL)], True),
        ([cycle(4.0, -1.0), cycle(0.9, -0.9, value=2.0 + 1.8 * TOL)], False),
        ([cycle(4.0, -1.0), cycle(0.9, -0.9, value=2.0 + 4.2 * TOL)], False),
        ([cycle(4.0, -1.0), cycle(0.45, 0.45, value=2.0 + 3.8 * TOL)], False),
        # ... of a solution
        ([cycle(4.0, -4.0, stationary=False), cycle(0.4, -0.4)], False),
        ([cycle(4.0, -4.0), cycle(0.4, -0.4, stationary=False)], False),
        # ... with every element solved again, and the fit itself standing
        ([cycle(4.0, -4.0), cycle(0.4, -0.4, unconverged=1)], False),
        ([cycle(4.0, -4.0), cycle(0.4, -0.4, guard=estimate(9.0, 9.0))], False),
        # ... with indicators that do not just cancel
        ([cycle(4.0, -4.0), cycle(2.4, -2.4)], True),
        ([cycle(4.0, -4.0), cycle(2.6, -2.6)], False),
    ],
)
def test_what_is_believed(cycles, believed):
    answer = decide(cycles, ObjectiveValue(), TOL)
    assert (answer is not None and answer.termination is cc.Termination.CONVERGED) == believed
    assert believed or answer is None  # the others go on


def test_other_ends():
    goal = ParameterValue("k")
    assert decide([cycle(0.0, 0.0)], goal, TOL) is None  # at its bound: no estimate at all
    assert decide([cycle(0.0, 0.0)], ObjectiveValue(), TOL) is not None
    nothing = decide([cycle(np.nan, 0.0)], goal, TOL)
    assert nothing is not None
    assert nothing.termination is cc.Termination.ERROR
    stopped = decide([cycle(0.1, 0.1, termination=cc.Termination.INTERRUPTED)], goal, TOL)
    assert stopped is not None
    assert stopped.termination is cc.Termination.INTERRUPTED
    # four times the elements and Σ|η| where it was: rounding
    many = [cycle(5.0, 5.0), cycle(*8 * [9.0 / 8])]
    stalled = decide(many, goal, TOL)
    assert stalled is not None
    assert stalled.termination is cc.Termination.STALLED
    assert decide([cycle(5.0, 5.0), cycle(*8 * [7.0 / 8])], goal, TOL) is None
    assert decide([cycle(5.0, 5.0), cycle(*7 * [9.0 / 7])], goal, TOL) is None


def test_the_numbers_of_an_estimate():
    e = estimate(3.0, -1.0, value=1.0)
    assert e.error == pytest.approx(2.0 * TOL)
    assert e.magnitude == pytest.approx(4.0 * TOL)
    assert e.corrected == pytest.approx(1.0 + 2.0 * TOL)
    assert e.effectivity(1.0 + 4.0 * TOL) == pytest.approx(0.5)
    assert e.effectivity(1.0 - TOL) == pytest.approx(-2.0)
    assert np.isnan(e.effectivity(1.0))


def test_errors_in_the_table_are_against_the_corrected_value_of_the_most_accurate_mesh():
    cycles = (cycle(4.0, -1.0), cycle(0.5, 0.25, value=2.004), cycle(5.0, 1.0, value=2.002))
    table = Refinement(
        termination=cc.Termination.CONVERGED, cycles=cycles, tol=TOL, rule="dorfler"
    ).table()
    exact = 2.004 + 0.75 * TOL
    np.testing.assert_allclose(table["error"], [exact - 2.0, np.nan, exact - 2.002])
    np.testing.assert_allclose(
        table["effectivity"], [3.0 * TOL / (exact - 2.0), np.nan, 6.0 * TOL / (exact - 2.002)]
    )
