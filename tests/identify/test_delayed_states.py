"""States of the past, by known and estimated delays, against closed forms and SciPy by the method of steps."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate

import collocode as cc
from collocode import Delay, Dynamics, Experiment, Parameter, Problem, Signal
from models import hutchinson

T = np.linspace(0.0, 3.0, 13)


def straight(t):
    """x' = -x(t - 1) after a past of one, by integration from step to step."""
    return 1.0 - t + np.maximum(t - 1.0, 0.0) ** 2 / 2.0 - np.maximum(t - 2.0, 0.0) ** 3 / 6.0


def linear(delay=1.0, *more, history=1.0, y=None, times=T, **given):
    run = Experiment(
        times,
        straight(times) if y is None else y,
        ("x",),
        initial={"x": 1.0},
        history={} if history is None else {"x": history},
    )
    rates = Dynamics(
        lambda t, x, u, p, nn: {"x": -p.k * x.late},
        parameters=[Parameter("k", 1.3, 0.1, 5.0), *more],
    )
    return Problem(rates, run, delays={"late": Delay(delay, of="x")}, **given)


def test_a_known_delay_is_the_closed_form_to_rounding_since_kinks_are_points_of_the_mesh():
    solution = cc.fit(linear(), mesh=4)
    assert solution.parameters["k"] == pytest.approx(1.0, abs=1e-9)
    t = np.linspace(0.0, 3.0, 50)
    np.testing.assert_allclose(solution.states(t)[:, 0], straight(t), atol=1e-9)
    np.testing.assert_allclose(solution.simulate(times=t).states[:, 0], straight(t), atol=1e-7)
    assert {1.0, 2.0} <= set(solution.trajectories[0].mesh.points.tolist())


def test_an_estimated_delay_is_found_from_either_side_of_many_elements():
    for start in (0.3, 2.2):
        solution = cc.fit(linear("tau", Parameter("tau", start, 0.1, 2.5)), mesh=24)
        found = solution.parameters
        assert found["tau"] == pytest.approx(1.0, abs=2e-4)
        assert found["k"] == pytest.approx(1.0, abs=2e-4)
        assert solution.gap() < 1e-3


def test_derivatives_by_an_estimated_delay_are_exact_in_every_element():
    nlp = cc.discretize(linear("tau", Parameter("tau", 0.9, 0.1, 2.5)), mesh=6)
    rng = np.random.default_rng(0)
    x = nlp.start + 0.1 * rng.standard_normal(nlp.columns)
    column = int(nlp.layout.columns_of("tau")[0])
    for tau in (0.37, 0.9, 1.63):
        x[column] = tau
        slope = nlp.functions.jacobian(x, nlp.p)[1].sparse().toarray()[:, column]
        h = np.zeros_like(x)
        h[column] = 1e-6
        finite = (nlp.constraints(x + h) - nlp.constraints(x - h)) / 2e-6
        np.testing.assert_allclose(slope, finite, atol=1e-7)
        assert np.abs(slope).max() > 0.05


def stepped(past, delays, times, k=1.0):
    """x' = -k (x(t - d1) + x(t - d2)) / 2 by SciPy, from one breaking point to the next."""
    edges = np.unique([a * delays[0] + b * delays[1] for a in range(9) for b in range(9)])
    edges = np.append(edges[edges < times[-1]], times[-1])
    pieces, x = [], 1.0

    def value(t, middle):
        if t < 0.0 or middle < 0.0:
            return past(min(t, -1e-15))
        return pieces[min(np.searchsorted(edges[1:], t), len(pieces) - 1)](t)[0]

    found = np.full(len(times), x)
    for left, right in itertools.pairwise(edges):
        half = 0.5 * (left + right)
        run = integrate.solve_ivp(
            lambda t, y, m=half: [-k * sum(value(t - d, m - d) for d in delays) / 2.0],
            (left, right),
            [x],
            rtol=1e-9,
            atol=1e-11,
            dense_output=True,
            max_step=min(delays),
        )
        pieces.append(run.sol)
        inside = (times > left) & (times <= right)
        found[inside] = [run.sol(t)[0] for t in times[inside]]
        x = run.y[0, -1]
    return found


SAMPLES = np.linspace(-1.0, 0.0, 5)
WAVE = np.array([0.3, 1.0, 0.2, 0.8, 1.4])


@pytest.mark.parametrize(
    ("given", "past"),
    [
        (None, lambda t: 1.0),
        (0.5, lambda t: 0.5),
        ("h", lambda t: 0.4),
        (lambda t, p: p.h + np.sin(t), lambda t: 0.4 + np.sin(t)),
        (Signal(SAMPLES, WAVE), lambda t: np.interp(t, SAMPLES, WAVE)),
        (Signal(SAMPLES, WAVE, "zoh"), lambda t: Signal(SAMPLES, WAVE, "zoh")(t)[0]),
        (Signal(SAMPLES, WAVE, "spline"), lambda t: Signal(SAMPLES, WAVE, "spline")(t)[0]),
    ],
    ids=["initial", "number", "parameter", "function", "linear", "held", "spline"],
)
def test_histories_and_several_delays_are_those_of_scipy(given, past):
    times, delays = np.linspace(0.0, 2.0, 9), (0.5, 0.75)
    truth = stepped(past, delays, times)
    run = Experiment(
        times, truth, ("x",), initial={"x": 1.0}, history={} if given is None else {"x": given}
    )
    rates = Dynamics(
        lambda t, x, u, p, nn: {"x": -p.k * (x.late + x.later) / 2.0 + 0.0 * p.h},
        parameters=[Parameter("k", 1.0, 1.0, 1.0), Parameter("h", 0.4, 0.4, 0.4)],
    )
    delayed = {"late": Delay(0.5, of="x"), "later": Delay(0.75, of="x")}
    solution = cc.fit(Problem(rates, run, delays=delayed), mesh=32)
    np.testing.assert_allclose(solution.states(times)[:, 0], truth, atol=1e-5)
    np.testing.assert_allclose(solution.simulate().states[:, 0], truth, atol=1e-6)


def test_hutchinsons_delay_is_recovered_with_the_estimate_and_error_of_scipy():
    problem = hutchinson.problem(days=40.0)
    solution = cc.fit(problem)
    y = np.log(problem.experiments[0].values[:, 0])
    times = problem.experiments[0].times

    def missed(v):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in zip(("RATE", "CAPACITY", "DELAY", "FIRST"), v, strict=True):
                patch.setattr(hutchinson, name, float(value))
            return np.log(hutchinson.population(times)) - y

    here = np.array(
        [*(solution.parameters[n] for n in ("r", "K", "tau")), solution.states(0.0)[0, 0]]
    )
    steps = 1e-4 * np.diag(here)
    J = np.column_stack([(missed(here + h) - missed(here - h)) / (2.0 * h.sum()) for h in steps])
    rest = missed(here)
    more = np.linalg.lstsq(J, -rest)[0]  # what a step of Gauss and Newton would still change
    covariance = np.linalg.inv(J.T @ J) * (rest @ rest) / (len(y) - 4)
    table = cc.uncertainty(solution).intervals()
    for j, name in enumerate(("r", "K", "tau")):
        std = np.sqrt(covariance[j, j])
        assert abs(more[j]) < 0.02 * std
        assert table["std"][name] == pytest.approx(std, rel=0.05)
    assert table["lower"]["tau"] < hutchinson.DELAY < table["upper"]["tau"]
    assert solution.gap() < 1e-4


def test_delays_are_kept_in_files_and_simulated_from_other_pasts(tmp_path):
    solution = cc.fit(linear("tau", Parameter("tau", 0.8, 0.1, 2.5)), mesh=12)
    solution.save(tmp_path / "fit.npz")
    again = cc.load(tmp_path / "fit.npz")
    np.testing.assert_array_equal(again.predict(T), solution.predict(T))
    model = again.model.with_values({"k": 1.0, "tau": 1.0})
    rest = cc.simulate(model, [1.0], [0.0, 1.0], history={"x": 0.0})
    assert rest.states[-1, 0] == pytest.approx(1.0, abs=1e-9)
    late = cc.simulate(model, [1.0], [0.0, 1.0], history={"x": Signal([-1.0, 0.0], [0.0, 1.0])})
    assert late.states[-1, 0] == pytest.approx(0.5, abs=1e-7)


def test_error_estimates_know_of_the_delay():
    fine = cc.solve(cc.discretize(linear(0.9, y=np.exp(-T)), mesh=30))
    coarse = cc.solve(cc.discretize(linear(0.9, y=np.exp(-T)), "implicit_euler", mesh=2))
    moved = fine.parameters["k"] - coarse.parameters["k"]
    from collocode.adapt.fineness import errors_of

    found, _ = errors_of(coarse)["k"]
    assert found.error == pytest.approx(moved, rel=0.5)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: linear(np.nan), "a delay must be finite and not negative"),
        (lambda: linear("tau"), "delayed by 'tau', which is no parameter"),
        (lambda: linear("tau", Parameter("tau", 1.0)), "how far back to look"),
        (lambda: linear("tau", Parameter("tau", 1.0, -1.0, 2.0)), "how far back to look"),
        (lambda: linear(history="past"), "is 'past', which is no parameter"),
        (lambda: linear(history=[1.0]), "is a finite number, a Signal, a function"),
        (lambda: linear(history=np.nan), "is a finite number, a Signal, a function"),
        (lambda: cc.discretize(linear(history=lambda t, p: [t, t])), "returned 2 values"),
        (
            lambda: replace(linear(), delays={"late": Delay(1.0, of="y")}),
            "names 'y', which is no state",
        ),
        (lambda: replace(linear(), delays={"x": Delay(1.0, of="x")}), "needs a name of its own"),
        (lambda: replace(linear(), delays={}), "which no delay looks at"),
        (
            lambda: cc.discretize(replace(linear(), observe=lambda x, u, p: [x.late])),
            "an output depends on the delayed state 'late'",
        ),
        (lambda: cc.split(linear(), 0.2), "hold out whole experiments"),
        (lambda: cc.admm(linear(), 2), "look across windows in time"),
        (
            lambda: cc.simulate(
                cc.solve(cc.discretize(linear(), mesh=3)), [1.0], T, history={"y": 1.0}
            ),
            "which is no state that a delay of the model looks at",
        ),
        (
            lambda: cc.solve(cc.discretize(linear(), mesh=3)).model.rhs(0.0, [1.0]),
            "it is not a right-hand side of the present state",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(make, sentence):
    with pytest.raises(cc.InputError, match=sentence):
        make()
