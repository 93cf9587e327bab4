"""Bands of states, algebraic variables and outputs: against fits of data that were moved."""

import casadi as ca
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import solve_ivp

import collocode as cc
from tests.identify.moved_data import by_moved_data

NOISE = 0.005
T = np.linspace(0.0, 2.0, 8)
AT = np.array([0.3, 1.1, 1.9])


def valve(flow):
    """A tank whose outflow is measured: one state, one algebraic variable."""
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: {"h": -x.q},
        parameters=[cc.Parameter("k", 1.0, lower=0.0)],
        algebraics={"q": 0.5},
        residuals=lambda t, x, u, p, nn: {"valve": x.q - p.k * ca.sqrt(x.h)},
    )
    return cc.Problem(
        dynamics, cc.Experiment(T, flow, ("q",)), states=("h",), loss=cc.LeastSquares(NOISE)
    )


def gauged(values):
    """An output of state, input and parameter."""
    inputs = {"u": cc.Signal([0.0, 2.0], [0.0, 1.0])}
    run = cc.Experiment(T, values, ("y",), inputs=inputs, initial={"x": 1.0})
    return cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: [-p.k * x.x + 0.1 * u.u], parameters=[cc.Parameter("k", 0.7)]
        ),
        run,
        states=("x",),
        observe=lambda x, u, p: [p.k * x.x**2 + 0.3 * u.u],
        loss=cc.LeastSquares(NOISE),
    )


def width(trust, of):
    low, high = trust.band(AT, of=of)
    return 0.5 * (high - low)[:, 0] / 1.959964


def test_algebraic_variables_have_bands():
    values = 0.7 * (1.0 - 0.35 * T) + NOISE * np.random.default_rng(0).standard_normal(8)
    fitted = cc.fit(valve(values), mesh=4, options={"tol": 1e-12})
    trust = cc.uncertainty(fitted)
    read = lambda s: np.array([s.states(AT)[:, 0], s.algebraics(AT)[:, 0]])  # noqa: E731
    h, q = by_moved_data(fitted, read, NOISE, 1e-5)
    np.testing.assert_allclose(width(trust, "states"), h, rtol=2e-3)
    np.testing.assert_allclose(width(trust, "algebraics"), q, rtol=2e-3)
    np.testing.assert_allclose(width(trust, "outputs"), q, rtol=2e-3)
    low, high = trust.band(AT, of="algebraics", noise=True)
    wider = 1.959964 * np.hypot(q, NOISE)
    np.testing.assert_allclose(0.5 * (high - low)[:, 0], wider, rtol=2e-3)
    assert "Algebraic variables" in cc.report(fitted).to_markdown()


def test_outputs_have_bands_by_the_chain_rule():
    x = solve_ivp(lambda t, x: -0.7 * x + 0.05 * t, (0.0, 2.0), [1.0], t_eval=T, rtol=1e-9).y[0]
    values = 0.7 * x**2 + 0.15 * T + NOISE * np.random.default_rng(0).standard_normal(8)
    fitted = cc.fit(gauged(values), mesh=4, options={"tol": 1e-12})
    trust = cc.uncertainty(fitted)
    expected = by_moved_data(fitted, lambda s: s.fitted(AT)[:, 0], NOISE, 1e-5)
    np.testing.assert_allclose(width(trust, "outputs"), expected, rtol=0.02)


def test_outputs_that_are_states_have_their_bands():
    """With a network in the right-hand side."""
    t = np.linspace(0.0, 2.0, 21)
    values = np.exp(-0.7 * t) + NOISE * np.random.default_rng(0).standard_normal(21)
    learnt = cc.Dynamics(lambda t, x, u, p, nn: [nn(x.x)], networks={"f": cc.MLP((1, 3, 1))})
    problem = cc.Problem(learnt, cc.Experiment(t, values, ("x",)), regularisation=cc.L2(1e-5))
    trust = cc.uncertainty(cc.fit(problem, mesh=5))
    np.testing.assert_allclose(width(trust, "outputs"), width(trust, "states"), rtol=1e-9)


def test_what_has_no_band_is_refused():
    values = 0.7 * (1.0 - 0.35 * T) + NOISE * np.random.default_rng(0).standard_normal(8)
    trust = cc.uncertainty(cc.fit(valve(values), mesh=4))
    with pytest.raises(cc.InputError, match="of 'residuals'"):
        trust.band(AT, of="residuals")


def test_a_prediction_band_is_as_wide_as_the_noise_is_there():
    t = np.linspace(0.0, 10.0, 21)
    y = 3.0 * np.exp(-0.4 * t + 0.1 * np.random.default_rng(0).standard_normal(21))
    decay = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c],
        parameters=[cc.Parameter("k", 0.3, scale="log"), cc.Parameter("A", 2.0, scale="log")],
    )
    run = cc.Experiment(t, y, ("c",), initial={"c": "A"})
    solution = cc.fit(cc.Problem(decay, run, loss=cc.LogNormal()))
    # the logarithm is a straight line with normal noise
    X, at = np.column_stack([np.ones(21), -t]), np.array([[1.0, -0.5], [1.0, -9.0]])
    line, squares, *_ = np.linalg.lstsq(X, np.log(y), rcond=None)
    variance = squares[0] / 19.0
    own = np.einsum("ij,jk,ik->i", at, np.linalg.inv(X.T @ X), at)
    width = stats.t.ppf(0.975, 19) * np.exp(at @ line) * np.sqrt(variance * (1.0 + own))
    low, high = cc.uncertainty(solution).band([0.5, 9.0], of="outputs", noise=True)
    np.testing.assert_allclose(0.5 * (high - low)[:, 0], width, rtol=0.01)


# ---- who tells a band ----------------------------------------------------------------------------


def decays(a, b=None, t=T, **options):
    """Two tanks that do not know of each other, or the first of them alone."""
    names, values = ("a",), [a]
    if b is not None:
        names, values = ("a", "b"), [a, b]
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p[j] * x[j] for j in range(len(names))],
        parameters=[cc.Parameter(f"k_{name}", 1.0) for name in names],
    )
    run = cc.Experiment(t, np.column_stack(values), names)
    return cc.uncertainty(
        cc.fit(cc.Problem(dynamics, run, **options), mesh=4, options={"tol": 1e-11})
    )


def noisy(seed, rate=0.7):
    return np.exp(-rate * T) + NOISE * np.random.default_rng(seed).standard_normal(len(T))


@pytest.mark.parametrize("noise", [False, True])
def test_a_band_is_that_of_the_data_that_tell_it(noise):
    """Three data of b have one degree of freedom, whose t is 12.7; a has its own."""
    b = noisy(1)
    b[1:-2] = np.nan
    alone = np.ravel(decays(noisy(0)).band(AT, noise=noise))
    beside = np.array(decays(noisy(0), b).band(AT, noise=noise))[:, :, 0]
    np.testing.assert_allclose(beside.ravel(), alone, rtol=1e-5)


def test_a_likelihood_predicts_as_widely_as_least_squares_do():
    squares, likely = (decays(noisy(0), loss=loss) for loss in (cc.LeastSquares(), cc.Normal()))
    np.testing.assert_allclose(likely.band(AT, noise=True), squares.band(AT, noise=True), rtol=1e-5)


def test_what_nothing_determines_has_an_infinite_band():
    """The size of a state that is only seen through a gain, and its integral."""
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: {"x": -p.k * x.x, "sum": x.x},
        parameters=[cc.Parameter("k", 1.0), cc.Parameter("gain", 1.0, 0.1, 10.0)],
    )
    run = cc.Experiment(T, noisy(0), ("y",))
    problem = cc.Problem(dynamics, run, states=("x", "sum"), observe=lambda x, u, p: [p.gain * x.x])
    trust = cc.uncertainty(cc.fit(problem, mesh=4))
    assert np.isposinf(trust.band(AT)[1]).all()
    assert np.isneginf(trust.band(AT)[0]).all()
    np.testing.assert_allclose(
        trust.band(AT, of="outputs"), decays(noisy(0)).band(AT), rtol=1e-3, atol=1e-4
    )
