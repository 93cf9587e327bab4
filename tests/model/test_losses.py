"""Losses: the textbooks' forms and derivatives, and fits that minimise what they say."""

import casadi as ca
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

import collocode as cc
from collocode.model.activations import CASADI
from collocode.model.losses import LOSSES
from collocode.model.per_output import describe_loss, described_loss

EVERY = [cc.LeastSquares(), cc.Huber(1.3), cc.PseudoHuber(1.3)]
TEXTBOOK = {
    "LeastSquares": lambda r, d: r**2,
    "Huber": lambda r, d: np.where(np.abs(r) <= d, r**2, 2.0 * d * np.abs(r) - d**2),
    "PseudoHuber": lambda r, d: 2.0 * d**2 * (np.sqrt(1.0 + (r / d) ** 2) - 1.0),
}
POINTS = np.array([-50.0, -2.0, -1.31, -1.29, -0.4, 0.0, 1e-9, 0.3, 1.2, 1.4, 7.0, 1e3])


@pytest.mark.parametrize("loss", EVERY, ids=lambda v: type(v).__name__)
def test_forms_and_derivatives(loss):
    rho = TEXTBOOK[type(loss).__name__]
    delta = getattr(loss, "delta", np.inf)
    np.testing.assert_allclose(loss.rho(POINTS), rho(POINTS, delta), rtol=1e-12, atol=1e-15)
    h = 1e-5
    slope = (rho(POINTS + h, delta) - rho(POINTS - h, delta)) / (2 * h)
    np.testing.assert_allclose(loss.psi(POINTS), slope, rtol=1e-6, atol=1e-8)
    bend = (loss.psi(POINTS + h) - loss.psi(POINTS - h)) / (2 * h)
    np.testing.assert_allclose(loss.psi_slope(POINTS), bend, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(loss.weight(POINTS) * 2.0 * POINTS, loss.psi(POINTS), rtol=1e-14)
    assert loss.weight(np.zeros(1)) == 1.0
    r = ca.SX.sym("r")
    value = loss.rho(r, CASADI)
    forms = [value, ca.gradient(value, r), ca.hessian(value, r)[0]]
    found = [np.asarray(v).ravel() for v in ca.Function("f", [r], forms)(POINTS[None, :])]
    for got, expected in zip(found, (loss.rho, loss.psi, loss.psi_slope), strict=True):
        np.testing.assert_allclose(got, expected(POINTS), rtol=1e-12, atol=1e-14)
    # the jump that the smoothness tells of
    sides = np.array([1.3 - 1e-9, 1.3 + 1e-9])
    assert (np.ptp(loss.psi_slope(sides)) > 1.0) == (loss.smoothness < 2)


@given(st.floats(-100, 100), st.floats(-100, 100), st.floats(0.01, 10), st.sampled_from(EVERY))
def test_costs_by_prediction_measurement_and_sigma(h, y, sigma, loss):
    h, y, sigma = (np.array([v]) for v in (h, y, sigma))
    r = (h - y) / sigma
    np.testing.assert_allclose(loss.cost(h, y, sigma), loss.rho(r))
    np.testing.assert_allclose(loss.slope(h, y, sigma), loss.psi(r) / sigma)
    np.testing.assert_allclose(loss.curvature(h, y, sigma), loss.psi_slope(r) / sigma**2)
    np.testing.assert_allclose(loss.cost(h, y, sigma), loss.cost(y, h, sigma))  # even
    assert loss.cost(h, y, sigma) <= cc.LeastSquares().cost(h, y, sigma) * (1 + 1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_as_plain_values_and_back(name):
    import json

    more = {} if name == "squared" else {"delta": 1.5}
    for sigma in (None, 0.1, {"a": 0.1, "b": 2.0}):
        loss = LOSSES[name](**more, sigma=sigma)
        assert described_loss(json.loads(json.dumps(describe_loss(loss)))) == loss


class Own(cc.LeastSquares):
    pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: describe_loss(Own()), "Own.* cannot be saved; of losses, LeastSquares, Huber"),
        (lambda: cc.Huber(), r"Huber needs its delta, .*; write Huber\(1.345, sigma\) with"),
        (lambda: cc.PseudoHuber(sigma=0.1), "PseudoHuber needs its delta"),
        (lambda: cc.Huber(0.0), "delta of Huber must be positive and finite, not 0.0"),
        (lambda: cc.PseudoHuber(np.inf), "delta of PseudoHuber must be positive"),
        (lambda: cc.Huber(1.0, sigma=-1.0), "sigma of all must be positive"),
        (lambda: cc.Huber(1.0, {"a": 1.0}).sigma_of("b", 1.0), "Huber has no sigma for output 'b'"),
        (lambda: curve(loss="huber"), "loss='huber' is no loss; give LeastSquares"),
    ],
)
def test_bad_losses_are_refused(make, message):
    with pytest.raises(cc.InputError, match=message):
        make()


def test_a_saved_fit_knows_its_loss(tmp_path):
    solution = cc.fit(curve(loss=cc.Huber(1.5)), mesh=4)
    solution.save(tmp_path / "fit.npz")
    loss = cc.load(tmp_path / "fit.npz").loss
    assert loss == solution.loss
    assert loss.delta == 1.5
    assert loss.sigma == pytest.approx({"c": np.std(measured())})


def test_whiteness_after_a_robust_fit_looks_past_outliers():
    """A slow sine in the residuals, drowned by outliers for squares."""
    rng = np.random.default_rng(5)
    t = np.linspace(0.0, 3.0, 120)
    y = 3.0 * np.exp(-0.8 * t) + 0.05 * np.sin(6.0 * t) + 0.05 * rng.standard_normal(120)
    y[rng.choice(120, 12, replace=False)] += 3.0 * rng.choice([-1.0, 1.0], 12)
    data = cc.Experiment(t, y, outputs=("c",), name="run")
    tables = [
        cc.whiteness(cc.fit(cc.Problem(curve().dynamics, data, loss=loss), mesh=8)).iloc[0]
        for loss in (cc.LeastSquares(0.05), cc.Huber(1.345, 0.05))
    ]
    assert tables[0]["p_value"] > 0.05
    assert tables[1]["p_value"] < 1e-4


# ---- fits -----------------------------------------------------------------------------------------

T = np.linspace(0.0, 3.0, 40)


def measured(seed=0):
    """3 exp(-0.8 t) with noise of 0.05 and five outliers on one side."""
    rng = np.random.default_rng(seed)
    y = 3.0 * np.exp(-0.8 * T) + 0.05 * rng.standard_normal(len(T))
    y[rng.choice(len(T), 5, replace=False)] += 1.0
    return y


def curve(y=None, **options):
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    y = measured() if y is None else y
    return cc.Problem(dynamics, cc.Experiment(T, y, outputs=("c",), name="run"), **options)


@pytest.mark.parametrize(("kind", "scipys"), [(cc.Huber, "huber"), (cc.PseudoHuber, "soft_l1")])
def test_the_fit_is_that_of_scipy(kind, scipys):
    y, sigma, delta = measured(), 0.05, 1.345
    reference = least_squares(
        lambda v: v[0] * np.exp(-v[1] * T) - y,
        [3.0, 1.0],
        loss=scipys,
        f_scale=delta * sigma,
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    nlp = cc.start_from(cc.discretize(curve(loss=kind(delta, sigma)), "radau", 5, 8))
    solution = cc.solve(nlp, options={"tol": 1e-11})
    assert solution.success
    found = [solution.trajectories[0].states[0, 0], solution.parameters["k"]]
    np.testing.assert_allclose(found, reference.x, atol=1e-6)
    assert solution.result.objective == pytest.approx(
        2.0 * reference.cost / sigma**2 / len(T), rel=1e-6
    )
    # and not that of least squares, which the outliers pull away
    plain = cc.fit(curve(loss=cc.LeastSquares(sigma)), mesh=None)
    assert abs(plain.parameters["k"] - 0.8) > 3.0 * abs(solution.parameters["k"] - 0.8)


def test_validation_of_a_sweep_is_by_the_loss():
    from collocode.identify.validation import training_error

    y, sigma, delta = measured(), 0.05, 1.345
    problem = curve(y, loss=cc.Huber(delta, sigma))
    solution = cc.fit(problem, mesh=8)
    r = (solution.predict(T)[:, 0] - y) / sigma
    rho = TEXTBOOK["Huber"](r, delta)
    expected = np.mean(rho) * (sigma / np.std(y)) ** 2
    assert training_error(solution, problem) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("interface", ["cyipopt", "pyomo"])
def test_other_interfaces_minimise_the_same(interface):
    nlp = cc.start_from(cc.discretize(curve(loss=cc.Huber(1.345, 0.05)), mesh=8))
    try:
        other = cc.solve(nlp, interface)
    except cc.MissingDependency as absent:
        pytest.skip(str(absent))
    assert other.success
    assert other.result.objective == pytest.approx(cc.solve(nlp).result.objective, rel=1e-7)


def test_admm_minimises_the_same():
    rng = np.random.default_rng(2)
    runs = []
    for name, start in (("a", 3.0), ("b", 1.5)):
        y = start * np.exp(-0.8 * T) + 0.05 * rng.standard_normal(len(T))
        y[rng.choice(len(T), 4, replace=False)] += 1.0
        runs.append(cc.Experiment(T, y, outputs=("c",), name=name))
    dynamics = curve().dynamics
    problem = cc.Problem(dynamics, runs, loss=cc.Huber(1.345, 0.05))
    together = cc.fit(problem, mesh=None)
    found = cc.admm(problem, [["a"], ["b"]])
    assert found.solution.parameters["k"] == pytest.approx(together.parameters["k"], rel=2e-3)
