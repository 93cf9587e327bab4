"""The same problem in other units has the same optimum, whatever was told of its sizes."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

import collocode as cc
from collocode.model.typical import with_sizes
from tests.transcription import test_closed_forms as by_hand
from tests.units import Units

OPTIMA = next(mark.args[1] for mark in by_hand.test_the_optimum_is_the_one_by_hand.pytestmark)


def least_time(distance, guess, most=1.0):
    """From rest to rest under a push of at most so much: 2 sqrt(distance / most)."""
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": x.v, "v": u.a}),
        cc.Window(
            end=guess,
            end_bounds=(1e-9 * guess, np.inf),
            controls={"a": cc.Control(-most, most)},
            initial={"x": 0.0, "v": 0.0},
            final={"x": distance, "v": 0.0},
        ),
        states=("x", "v"),
        costs=cc.Mayer(lambda t, x, u, p, nn: t, name="time"),
    )


def farthest(energy):
    """The farthest that a push of ∫u² ≤ E brings in a unit of time: sqrt(E/3)."""
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": x.v, "v": u.a}),
        cc.Window(end=1.0, controls={"a": cc.Control()}, initial={"x": 0.0, "v": 0.0}),
        states=("x", "v"),
        costs=-cc.Mayer(lambda t, x, u, p, nn: x.x),
        constraints=[cc.IntegralConstraint("E", lambda t, x, u, p, nn: u.a**2, upper=energy)],
    )


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("make", "optimum"), OPTIMA)
def test_optima_by_hand_in_units_that_are_drawn(make, optimum, seed):
    """Free times, jumps, phases, integrals, rates, parameters, scenarios, algebraic variables."""
    made = make()
    units = Units.drawn(made, np.random.default_rng(seed))
    if make is by_hand.moves:
        units = replace(units, time=1.0)  # its cost jumps at a stage, which rounding would move
    nlp = cc.discretize(units.of(made), mesh=8)
    solution = cc.solve_with(cc.make_solver(nlp), nlp)
    assert solution.success
    assert solution.result.objective == pytest.approx(units.costs * optimum, rel=1e-6)


# Goddard's rocket, a bang-bang control, a path constraint, an integral, a cycloid in free time, phases
MODELS = {"rocket": 20, "double_integrator": 12, "bryson_denham": 12, "dido": 10, "brachistochrone": 8, "lifeguard": 4}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_models_in_units_that_are_drawn(name):
    problem, rng = import_module(f"models.control.{name}").problem(), np.random.default_rng(5)
    told = [problem, replace(problem, scaling={})]  # what the model says of sizes is not needed
    usual = cc.fit(problem, mesh=MODELS[name])
    for given in told:
        units = Units.drawn(given, rng)
        found = cc.fit(units.of(given), mesh=MODELS[name])
        assert found.success
        assert found.result.objective / units.costs == pytest.approx(
            usual.result.objective, rel=1e-6
        )
        assert "loose-cost" not in [f.code for f in cc.findings(found)]


@pytest.mark.parametrize("power", [-12, -6, 6, 12])
def test_a_push_of_a_million_million(power):
    """With a good guess of the time, and with one that is a million times too long."""
    distance = 10.0**power
    exact = 2.0 * np.sqrt(distance)
    for guess in (1.3 * exact, *([1.0] if power < 0 else [])):
        found = cc.fit(least_time(distance, guess), mesh=12)
        assert found.success
        assert found.result.objective == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("energy", [3e-12, 3.0, 3e12])
def test_an_integral_of_a_million_million(energy):
    """Its bound alone tells sizes of control and states, and what a violation by 3 is worth."""
    found = cc.fit(farthest(energy), mesh=6)
    assert found.success
    assert -found.result.objective == pytest.approx(np.sqrt(energy / 3.0), rel=1e-7)
    assert found.result.violation <= 1e-6 * energy


def test_sizes_come_from_the_equations():
    """x' = v over T, v' = a: v = x/T, between that and aT; nothing else is told."""
    sized = with_sizes(least_time(1e6, 1e3, most=4.0))
    np.testing.assert_allclose(sized.state_scale, [2.0**20, 2.0**11])
    control = with_sizes(farthest(3e12)).experiments[0].controls["a"]
    assert 1e6 < control.size < 1e7
    assert control.told == 0.0


def test_what_is_told_stays():
    problem = replace(least_time(1e6, 1e3), scaling={"v": 0.25})
    assert with_sizes(problem) is problem
    typical = cc.Control(typical=50.0)
    assert typical.size == 50.0


@pytest.mark.parametrize(("size", "time"), [(1e-9, 1.0), (1e9, 3.15576e7), (1e-9, 3.15576e7)])
def test_fits_of_tiny_and_huge_states_in_seconds_and_years(size, time):
    """A decay chain of which the second state is measured, rates per year."""
    t = np.linspace(0.0, 4.0, 21)
    b = 2.0 * (np.exp(-0.5 * t) - np.exp(-t))  # a' = −a, b' = a − b/2
    rates = [cc.Parameter("k", 0.3, 1e-3, 10.0), cc.Parameter("l", 1.0, 1e-3, 10.0)]
    chain = cc.Dynamics(
        lambda t, x, u, p, nn: {"a": -p.k * x.a, "b": p.k * x.a - p.l * x.b}, parameters=rates
    )
    problem = cc.Problem(
        chain, cc.Experiment(t, b, ("b",), initial={"a": 1.0, "b": 0.0}), states=("a", "b")
    )
    units = Units(x={"a": size, "b": size}, time=time)
    found = cc.fit(units.of(problem))
    assert found.success
    rates = dict(zip(found.model.parameter_names, found.trajectories[0].parameters, strict=True))
    assert rates["k"] == pytest.approx(1.0, rel=1e-4)
    assert rates["l"] == pytest.approx(0.5, rel=1e-4)


def test_a_cost_that_is_zero_in_the_end_is_not_blindly_believed():
    """Scaled to nothing, the solver stops where it starts, at a cost of zero."""
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": u.u}),
        cc.Window(end=1.0, controls={"u": cc.Control(-1.0, 1.0)}, initial={"x": 0.0}),
        states=("x",),
        costs=-cc.Mayer(lambda t, x, u, p, nn: x.x),
    )
    nlp = replace(cc.discretize(problem, mesh=4), objective_scale=1e-15)
    found = cc.solve(nlp)
    if abs(found.result.objective + 1.0) > 1e-6:
        assert "loose-cost" in [f.code for f in cc.findings(found)]


def test_the_remedy_names_what_is_off():
    found = cc.fit(
        least_time(1e6, 1.0), mesh=12, options={"max_iter": 12, "linear_solver": "mumps"}
    )
    assert not found.success
    remedy = cc.diagnose(found).remedy
    assert "v is 1 to 1e+06 by the equations" in remedy
    assert "guess times" in remedy
    (finding,) = cc.findings(found)
    assert "v is 1 to 1e+06" in finding.remedy
