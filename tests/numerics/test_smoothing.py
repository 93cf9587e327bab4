import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collocode import InputError, Smoother


@given(st.floats(-5.0, 5.0), st.floats(-5.0, 5.0), st.integers(8, 60))
def test_a_line_has_no_roughness_and_is_kept(slope, offset, n):
    t = np.linspace(0.0, 3.0, n)
    smooth = Smoother(t, offset + slope * t)
    fine = np.linspace(-1.0, 4.0, 40)  # and goes on as a line outside
    size = 1e-4 * (1.0 + abs(slope) + abs(offset))
    np.testing.assert_allclose(smooth(fine), offset + slope * fine, atol=size)
    np.testing.assert_allclose(smooth.derivative(fine), slope, atol=size)


def test_cross_validation_comes_close_to_the_best_penalty_there_is():
    ratios = []
    t = np.linspace(0.0, 6.0, 120)
    for seed in range(20):
        y = np.sin(t) + 0.2 * np.random.default_rng(seed).normal(size=len(t))
        chosen = np.mean((Smoother(t, y)(t) - np.sin(t)) ** 2)
        tried = [np.mean((Smoother(t, y, p)(t) - np.sin(t)) ** 2) for p in np.logspace(-3, 7, 41)]
        ratios.append(chosen / min(tried))
        assert chosen < 0.3 * 0.2**2  # most of the noise is gone
    assert np.median(ratios) < 1.5
    assert max(ratios) < 6.0  # GCV is known to undersmooth now and then


def test_the_derivative_of_a_noisy_sine_is_a_cosine():
    t = np.linspace(0.0, 6.0, 200)
    y = np.sin(t) + 0.05 * np.random.default_rng(3).normal(size=len(t))
    inside = np.linspace(0.5, 5.5, 100)
    assert np.sqrt(np.mean((Smoother(t, y).derivative(inside) - np.cos(inside)) ** 2)) < 0.1
    exact = Smoother(t, np.sin(t))
    assert np.abs(exact.derivative(inside) - np.cos(inside)).max() < 1e-3


def test_values_and_slopes_fit_together():
    t = np.linspace(0.0, 6.0, 50)
    smooth = Smoother(t, np.sin(t) + 0.1 * np.random.default_rng(0).normal(size=50))
    at, h = np.linspace(-1.0, 7.0, 33), 1e-6
    difference = (smooth(at + h) - smooth(at - h)) / (2.0 * h)
    np.testing.assert_allclose(smooth.derivative(at), difference, atol=1e-6)


def test_missing_values_are_left_out():
    t = np.linspace(0.0, 6.0, 80)
    y = np.sin(t)
    y[::3] = np.nan
    known = np.isfinite(y)
    np.testing.assert_array_equal(Smoother(t, y)(t), Smoother(t[known], y[known])(t))


def test_a_gap_in_the_data_stays_tame():
    t = np.concatenate([np.linspace(0.0, 2.0, 40), np.linspace(5.0, 7.0, 40)])
    y = np.sin(t) + 0.05 * np.random.default_rng(1).normal(size=len(t))
    smooth = Smoother(t, y)
    assert np.abs(smooth(np.linspace(2.0, 5.0, 50))).max() < 3.0
    inside = t[(t < 1.8) | (t > 5.2)]
    assert np.abs(smooth(inside) - np.sin(inside)).max() < 0.2


def test_irregular_times_are_welcome():
    rng = np.random.default_rng(5)
    t = np.sort(rng.uniform(0.0, 6.0, 100))
    y = np.sin(t) + 0.05 * rng.normal(size=100)
    assert np.sqrt(np.mean((Smoother(t, y)(t) - np.sin(t)) ** 2)) < 0.05


@pytest.mark.parametrize("n", range(2, 8))
def test_short_records_are_interpolated_in_the_open(n):
    t = np.arange(n, dtype=float)
    y = np.random.default_rng(n).normal(size=n)
    smooth = Smoother(t, y)
    assert smooth.method == "monotone cubic"
    np.testing.assert_allclose(smooth(t), y, atol=1e-14)
    assert np.ptp(smooth(np.linspace(0, n - 1, 99))) <= np.ptp(y) + 1e-12  # no overshoot


def test_a_single_value_is_a_constant():
    smooth = Smoother([0.0, 1.0, 2.0], [np.nan, 4.0, np.nan])
    assert smooth.method == "constant"
    np.testing.assert_array_equal(smooth([-1.0, 0.0, 9.0]), 4.0)
    np.testing.assert_array_equal(smooth.derivative([0.0, 9.0]), 0.0)


@pytest.mark.parametrize("periods", [4, 400])
def test_a_long_record_is_followed_as_closely_as_a_short_one(periods):
    t = np.linspace(0.0, 2.0 * np.pi * periods, 50 * periods)
    y = np.sin(t) + 0.2 * np.random.default_rng(7).normal(size=len(t))
    smooth = Smoother(t, y)
    assert np.sqrt(np.mean((smooth(t) - np.sin(t)) ** 2)) < 0.4 * 0.2
    left = y - smooth(t)
    assert np.sqrt(left @ left / smooth.freedom) == pytest.approx(0.2, rel=0.2)


def test_degrees_of_freedom_are_those_of_the_dense_hat_matrix():
    t = np.sort(np.random.default_rng(3).uniform(0.0, 6.0, 40))
    y, size = np.sin(3.0 * t), 7.0
    smooth, hat = Smoother(t, y, size), []
    for k in range(len(t)):  # a linear map of the data, but for their mean
        moved = Smoother(t, y + np.eye(len(t))[k] - 1.0 / len(t), size)
        hat.append(moved(t) - smooth(t) + 1.0 / len(t))
    assert smooth.freedom == pytest.approx(len(t) - np.trace(hat), abs=1e-8)


def test_units_do_not_matter():
    t = np.linspace(0.0, 6.0, 60)
    y = np.sin(t) + 0.1 * np.random.default_rng(2).normal(size=60)
    one, other = Smoother(t, y), Smoother(1e6 * t, 1e-3 * y)
    np.testing.assert_allclose(1e-3 * one(t), other(1e6 * t), rtol=1e-6, atol=1e-9)


def test_what_cannot_be_smoothed_is_refused():
    with pytest.raises(InputError, match="all are NaN"):
        Smoother([0.0, 1.0], [np.nan, np.nan])
    with pytest.raises(InputError, match="two rows of one length"):
        Smoother([0.0, 1.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("n", [3, 40])
def test_replicates_pull_together_and_tell_the_noise(n):
    t = np.repeat(np.linspace(0.0, 3.0, n), 5)
    y = np.sin(t) + 0.1 * np.random.default_rng(0).standard_normal(len(t))
    smooth = Smoother(t, y)
    left = y - smooth(t)
    assert np.sqrt(left @ left / smooth.freedom) == pytest.approx(0.1, rel=0.25)
    means = y.reshape(-1, 5).mean(axis=1)
    assert np.abs(smooth(t[::5]) - means).max() < (1e-12 if n == 3 else 0.2)


def test_columns_that_are_smoothed_together_are_what_each_is_alone():
    rng = np.random.default_rng(0)
    t = np.sort(rng.uniform(0.0, 10.0, 120))
    values = np.sin(t[:, None] * [1.0, 3.0, 0.5, 2.0, 1.0]) * [1.0, 1e-6, 1e6, 1.0, 1.0]
    values += 0.1 * np.ptp(values, axis=0) * rng.standard_normal(values.shape)
    values[::7, 2], values[6:, 3], values[:, 4] = np.nan, np.nan, np.nan
    together = Smoother.of_columns(t, values)
    assert together[4] is None
    assert together[3].method == "monotone cubic"
    for smooth, column in zip(together[:4], values.T, strict=False):
        alone = Smoother(t, column)
        assert (smooth.method, smooth.freedom) == (alone.method, alone.freedom)
        np.testing.assert_array_equal(smooth(t), alone(t))
        np.testing.assert_array_equal(smooth.derivative(t), alone.derivative(t))
