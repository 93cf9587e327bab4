import casadi as ca
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collocode import InputError, Signal
from collocode.numerics import numbers

TIMES = np.array([0.0, 1.0, 2.5, 4.0])
VALUES = np.array([1.0, 3.0, 3.0, -2.0])


def test_zero_order_hold_jumps_from_left_to_right():
    hold = Signal(TIMES, VALUES, "zoh")
    np.testing.assert_array_equal(hold([0.5, 1.0, 2.0, 3.9, 4.0]), [1.0, 3.0, 3.0, 3.0, -2.0])
    np.testing.assert_array_equal(hold([1.0, 4.0], left=True), [1.0, 3.0])
    np.testing.assert_array_equal(hold([1.0, 1.0], left=np.array([True, False])), [1.0, 3.0])
    np.testing.assert_array_equal(hold.jumps, [1.0, 4.0])  # at 2.5 nothing changes


def test_a_jump_reached_up_to_rounding_is_reached():
    hold = Signal([0.0, 0.1 + 0.2, 1.0], [0.0, 1.0, 2.0], "zoh")
    assert hold([0.3])[0] == 1.0
    assert hold([0.1 + 0.2 + 1e-16], left=True)[0] == 0.0


def test_linear_and_spline_pass_through_the_samples():
    for kind in ("linear", "spline"):
        signal = Signal(TIMES, VALUES, kind)
        np.testing.assert_allclose(signal(TIMES), VALUES, atol=1e-14)
        assert len(signal.jumps) == 0
    np.testing.assert_allclose(Signal(TIMES, VALUES, "linear")([0.25, 3.25]), [1.5, 0.5])


@given(st.integers(0, 1000))
def test_a_spline_reproduces_cubics(seed):
    cubic = np.polynomial.Polynomial(np.random.default_rng(seed).normal(size=4))
    t = np.linspace(0.0, 2.0, 7)
    fine = np.linspace(0.0, 2.0, 50)
    np.testing.assert_allclose(Signal(t, cubic(t), "spline")(fine), cubic(fine), atol=1e-10)


@pytest.mark.parametrize("kind", ["zoh", "linear", "spline"])
def test_constant_outside_the_samples(kind):
    signal = Signal(TIMES, VALUES, kind)
    np.testing.assert_allclose(signal([-5.0, 0.0, 4.0, 9.0]), [1.0, 1.0, -2.0, -2.0], atol=1e-14)


@pytest.mark.parametrize("kind", ["zoh", "linear", "spline"])
def test_short_signals_work(kind):
    np.testing.assert_array_equal(Signal([1.0], [5.0], kind)([0.0, 1.0, 2.0]), 5.0)
    assert Signal([0.0, 1.0], [0.0, 2.0], kind)([0.5])[0] in (0.0, 1.0)


def test_a_polynomial_per_piece_jumps_between_pieces():
    """t² on [0, 1], then 3 − t on [1, 3], through three samples each."""
    times = [0.2, 0.5, 0.9, 1.4, 2.0, 2.8]
    signal = Signal(times, [0.04, 0.25, 0.81, 1.6, 1.0, 0.2], "polynomial", [0.0, 1.0, 3.0])
    np.testing.assert_allclose(signal([0.0, 0.3, 0.999]), [0.0, 0.09, 0.998001], atol=1e-12)
    np.testing.assert_allclose(signal([1.0, 1.0], left=np.array([True, False])), [1.0, 2.0])
    np.testing.assert_allclose(signal([1.5, 3.0, 9.0]), [1.5, 0.0, 0.0], atol=1e-12)
    np.testing.assert_array_equal(signal.jumps, [1.0])
    at, change = signal.kinks
    np.testing.assert_array_equal(at[-2:], [1.0, 3.0])
    np.testing.assert_allclose(change[-2:], [3.0, 1.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0, 1.0], [1.0, 2.0], "cubic"), "unknown input kind 'cubic'; choose from zoh"),
        (([0.0, 1.0], [1.0]), "two rows of one length"),
        (([], []), "two rows of one length"),
        (([0.0, 1.0], [1.0, np.nan]), "NaN or infinite"),
        (([0.0, np.inf], [1.0, 2.0]), "NaN or infinite"),
        (([1.0, 0.0], [1.0, 2.0]), "increase strictly"),
        (([0.0, 0.0], [1.0, 2.0]), "drop duplicates"),
        (([0.5], [1.0], "polynomial"), "and no other, has points="),
        (([0.5], [1.0], "zoh", [0.0, 1.0]), "and no other, has points="),
        (([0.5], [1.0], "polynomial", [1.0, 0.0]), "must increase, with equally many samples"),
        (([0.1, 0.2, 1.5], [1.0] * 3, "polynomial", [0.0, 1.0, 2.0]), "equally many samples"),
        (([0.1, 0.2], [1.0] * 2, "polynomial", [0.0, 1.0, 2.0]), "lies outside its piece"),
    ],
)
def test_bad_signals_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Signal(*arguments)


@pytest.mark.parametrize("kind", ["zoh", "linear", "spline"])
@pytest.mark.parametrize("symbol", [ca.SX.sym("t"), [ca.SX.sym("t"), 0.5]], ids=["one", "row"])
def test_symbols_are_refused(kind, symbol):
    with pytest.raises(InputError, match=r"inputs= of the Experiment and write u\.name"):
        Signal(TIMES, VALUES, kind)(symbol)


def test_numbers_in_a_row_of_objects_are_numbers():
    assert Signal(TIMES, VALUES)(np.array([0.0, 1], dtype=object)).tolist() == [1.0, 3.0]


def test_a_signal_sets_in_where_it_begins_to_vary_faster():
    pulse = Signal([0.0, 4.0, 4.01, 4.02, 9.0], [0.0, 0.0, 5.0, 0.0, 0.0])
    np.testing.assert_array_equal(pulse.onsets, [4.0])
    grid = np.linspace(0.0, 10.0, 101)
    once = Signal(grid, np.where(grid == grid[40], 1.0, 0.0))
    np.testing.assert_array_equal(once.onsets, grid[39:40])
    assert len(Signal(grid, np.cos(grid)).onsets) <= 1
    assert len(Signal(grid, np.cos(grid), "spline").onsets) <= 1
    assert len(Signal(grid, np.cos(grid), "zoh").onsets) == 0


def test_what_numpy_would_turn_into_ticks_or_half_numbers_is_refused():
    """Dates become counts of whatever unit pandas chose, complex numbers lose a part, masks are forgotten."""
    import pandas as pd

    days = pd.date_range("2024-01-01", periods=3)
    for dates in (
        days,
        days.to_series(),
        days.tz_localize("UTC"),
        days - days[0],
        list(days.values),
    ):
        with pytest.raises(InputError, match="hours since the first"):
            numbers(dates, "times")
    with pytest.raises(InputError, match="complex"):
        numbers(np.array([1j]), "values")
    masked = np.ma.masked_equal([1, -999, 3], -999)
    np.testing.assert_array_equal(numbers(masked, "values"), [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(numbers(pd.Series([1, None], dtype="Int64"), "v"), [1.0, np.nan])
