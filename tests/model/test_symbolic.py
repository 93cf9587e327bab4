"""What a right-hand side may do with symbols, and that every way of losing one is refused by name."""

import math

import casadi as ca
import numpy as np
import pytest
from scipy import interpolate

import collocode as cc

TIMES = np.linspace(0.0, 6.0, 61)
LEVELS = np.where(TIMES < 2.0, 1.0, 3.0)


def tank(rhs, h=None, **options):
    """A tank whose right-hand side is f(t, x, p), with parameter k."""
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [rhs(t, x, p)], parameters=[cc.Parameter("k", 2.0, 0.1, 10.0)]
    )
    values = np.exp(-TIMES) if h is None else h
    return cc.Problem(dynamics, cc.Experiment(TIMES, values, outputs=("h",)), **options)


@pytest.mark.parametrize("kind", ["zoh", "linear", "spline"])
def test_a_signal_called_with_the_time_is_refused_by_the_remedy(kind):
    signal = cc.Signal(TIMES, LEVELS, kind)
    with pytest.raises(cc.InputError, match="list the signal in inputs="):
        cc.discretize(tank(lambda t, x, p: signal(t) - p.k * x.h))


LOST = {
    "a spline of SciPy": lambda t, x, p: interpolate.CubicSpline(TIMES, LEVELS)(t) - p.k * x.h,
    "pchip": lambda t, x, p: interpolate.PchipInterpolator(TIMES, LEVELS)(t) - p.k * x.h,
    "a table": lambda t, x, p: LEVELS[min(60, np.searchsorted(TIMES, float(t)))] - p.k * x.h,
    "an index": lambda t, x, p: LEVELS[int(t)] - p.k * x.h,
    # NaN does not come through a comparison, so that no constant of the result shows it
    "a hidden NaN": lambda t, x, p: (1.0 if float(t) < 2.0 else 3.0) - p.k * x.h,
}


@pytest.mark.parametrize("name", LOST)
def test_a_time_that_becomes_a_number_is_named(name):
    with pytest.raises(cc.InputError, match=r"makes a number of time, .*inputs= of the Experiment"):
        cc.discretize(tank(LOST[name]))


def test_an_old_interpolator_is_refused_by_the_remedy():
    held = interpolate.interp1d(TIMES, LEVELS, "previous")
    with pytest.raises(cc.InputError, match="inputs= for a signal"):
        cc.discretize(tank(lambda t, x, p: held(t) - p.k * x.h))


def test_math_functions_name_the_state_that_they_lose():
    with pytest.raises(cc.InputError, match=r"makes a number of state 'h', .*numpy or casadi"):
        cc.discretize(tank(lambda t, x, p: -p.k * math.exp(x.h)))


def test_where_a_formula_is_not_defined_it_may_be_nan():
    """That of a branch is left for the solver, which says where it meets it; any other is refused."""
    positive = tank(lambda t, x, p: ca.if_else(x.h > 0, -p.k * x.h, math.nan))
    assert cc.fit(positive).parameters["k"] == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(cc.InputError, match="contains NaN"):
        cc.discretize(tank(lambda t, x, p: ca.if_else(x.h > 0, -p.k, 0.0) + x.h * math.nan))


@pytest.mark.parametrize(
    ("rhs", "names"),
    [
        (lambda t, x, p: 1.0 if p.k > 1.0 else -x.h, "parameter 'k'"),
        (lambda t, x, p: 1.0 if x.h > p.k else -x.h, "parameter 'k' and state 'h'"),
        (lambda t, x, p: -p.k * max(x.h, 0.0), "state 'h'"),
        (lambda t, x, p: -p.k * x.h if 1.0 < t < 2.0 else 0.0, "time"),
    ],
)
def test_an_if_is_named_as_the_reason(rhs, names):
    with pytest.raises(cc.InputError, match=f"truth of a condition on {names} .*if_else"):
        cc.discretize(tank(rhs))


def test_what_is_lost_in_outputs_and_constraints_is_named():
    problem = tank(lambda t, x, p: -p.k * x.h, observe=lambda x, u, p: [float(x.h)], states=("h",))
    with pytest.raises(cc.InputError, match="observe makes a number of state 'h'"):
        cc.discretize(problem)
    path = cc.PathConstraint("low", lambda t, x, u, p, nn: max(x.h, p.k), upper=5.0)
    with pytest.raises(cc.InputError, match="path constraint 'low' asks for the truth"):
        cc.discretize(tank(lambda t, x, p: -p.k * x.h, constraints=[path]))


def test_numpy_interpolates_symbols_rightly():
    """np.interp becomes straight lines with their own slopes, of time or of a state."""
    steps = np.interp(TIMES, [0.0, 2.0, 6.0], [1.0, 3.0, 0.0])
    signal = cc.Signal([0.0, 2.0, 6.0], [1.0, 3.0, 0.0])
    data = cc.Experiment(TIMES, np.exp(-TIMES) + 0.1 * steps, ("h",), inputs={"q": signal})
    given = cc.Dynamics(
        lambda t, x, u, p, nn: [u.q - p.k * x.h], parameters=[cc.Parameter("k", 2.0, 0.1, 10.0)]
    )
    expected = cc.fit(cc.Problem(given, data), mesh=None).parameters["k"]
    called = tank(
        lambda t, x, p: np.interp(t, [0.0, 2.0, 6.0], [1.0, 3.0, 0.0]) - p.k * x.h, data.values
    )
    assert cc.fit(called, mesh=None).parameters["k"] == pytest.approx(expected, rel=1e-6)


def test_casadi_keeps_its_conversions():
    before = (ca.SX.__float__, ca.SX.__int__, ca.SX.__bool__)
    with pytest.raises(cc.InputError):
        cc.discretize(tank(LOST["an index"]))
    assert (ca.SX.__float__, ca.SX.__int__, ca.SX.__bool__) == before
    cc.discretize(tank(lambda t, x, p: -p.k * x.h * float(ca.SX(2.0))))  # a constant has a value


SWITCHES = {
    "if_else": lambda t, x, p: ca.if_else(t > p.k, 1.0, 3.0) - x.h,
    "where": lambda t, x, p: np.where(x.h > p.k, 0.0, -x.h),
    "sign": lambda t, x, p: -np.sign(x.h - p.k),
    "floor": lambda t, x, p: -np.floor(p.k) * x.h,
}


@pytest.mark.parametrize("name", SWITCHES)
def test_a_parameter_without_a_derivative_is_refused(name):
    with pytest.raises(cc.InputError, match=r"'k' enters only through a condition .*smooth switch"):
        cc.discretize(tank(SWITCHES[name]))


def test_a_parameter_beside_its_switch_or_held_is_not_refused():
    cc.discretize(tank(lambda t, x, p: ca.if_else(x.h > p.k, p.k, 1.0) - x.h))
    cc.discretize(tank(lambda t, x, p: ca.if_else(x.h > 0.5, 1.0, 2.0) - p.k * x.h))
    held = cc.Dynamics(
        lambda t, x, u, p, nn: [ca.if_else(t > p.k, 1.0, 3.0) - x.h],
        parameters=[cc.Parameter("k", 2.0, 2.0, 2.0)],
    )
    cc.discretize(cc.Problem(held, cc.Experiment(TIMES, np.exp(-TIMES), outputs=("h",))))
