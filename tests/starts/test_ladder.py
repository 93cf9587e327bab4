"""The ladder: which candidate is used, what is passed over, and that no fit ends where it began."""

from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc
from collocode.starts.ladder import merit, merit_of_means, why_not
from collocode.starts.strategies import smoothed
from collocode.transcription.nlp import StartRecord
from tests.problems import van_der_pol_data, van_der_pol_neural
from tests.waiting import press_ctrl_c


def made(field, initial, t):
    return solve_ivp(field, (0.0, t[-1]), initial, t_eval=t, rtol=1e-10, atol=1e-12).y.T


def parameters(**starts):
    return [cc.Parameter(name, start, 1e-3, 50.0) for name, start in starts.items()]


def noisy(values, sigma, seed=0):
    return values + sigma * np.random.default_rng(seed).standard_normal(values.shape)


# ---- right-hand sides and outputs that have no value everywhere ---------------------------------


def logarithm():
    """ln of a state is measured, its initial value known."""
    t = np.linspace(0.1, 3.0, 20)
    data = cc.Experiment(t, np.log(5.0) - 0.8 * t, ("l",), start=0.0, initial={"c": 5.0})
    model = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=parameters(k=2.0))
    return cc.Problem(model, data, states=("c",), observe=lambda x, u, p: [ca.log(x.c)]), 0.8


def logarithm_from_nowhere():
    """The same, and nothing is known of the initial value."""
    problem, k = logarithm()
    return replace(problem, experiments=(replace(problem.experiments[0], initial={}),)), k


def share():
    """B/(A + B), which is 0/0 for states of zero."""
    t = np.linspace(0.2, 4.0, 20)
    run = made(lambda t, y: [-0.9 * y[0], 0.9 * y[0] - 0.4 * y[1]], [1.0, 0.0], t)
    data = cc.Experiment(
        t, run[:, 1] / run.sum(axis=1), ("s",), start=0.0, initial={"A": 1.0, "B": 0.0}
    )
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.A, p.k * x.A - p.m * x.B],
        parameters=parameters(k=2.0, m=1.0),
    )
    observe = lambda x, u, p: [x.B / (x.A + x.B)]  # noqa: E731
    return cc.Problem(model, data, states=("A", "B"), observe=observe), 0.9


def quotient():
    """1/V with a volume that is not measured."""
    t = np.linspace(0.0, 5.0, 30)
    run = made(lambda t, y: [-0.7 * y[0] / y[1], 0.2], [2.0, 1.0], t)
    data = cc.Experiment(t, run[:, 0], ("c",), initial={"c": 2.0, "V": 1.0})
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c / x.V, 0.2], parameters=parameters(k=2.0)
    )
    return cc.Problem(model, data, states=("c", "V")), 0.7


def quotient_from_nowhere():
    """The same, and the volume at the start is not known: only k/V(0) is told, so V is bounded."""
    problem, _ = quotient()
    run = replace(problem.experiments[0], initial={"c": 2.0})
    return replace(problem, experiments=(run,), bounds={"V": (-9.0, 9.0)}), None


def root():
    """Torricelli: noise takes the low level below zero, where a root has no value."""
    t = np.linspace(0.0, 8.0, 60)
    run = made(lambda t, y: [0.05 - 0.5 * np.sqrt(y[0])], [1.0], t)
    data = cc.Experiment(t, noisy(run[:, 0], 0.02), ("h",))
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [0.05 - p.k * ca.sqrt(x.h)], parameters=parameters(k=2.0)
    )
    return cc.Problem(model, data), 0.5


def power():
    """A power that is no whole number of what noise makes negative."""
    t = np.linspace(0.0, 20.0, 60)
    data = cc.Experiment(t, noisy((1.0 + 0.4 * t) ** -2.0, 0.02, 3), ("c",), initial={"c": 1.0})
    model = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c**1.5], parameters=parameters(k=2.0))
    return cc.Problem(model, data), 0.8


def arrhenius():
    """exp(-E/T) with a temperature that is neither measured nor known at the start."""
    t = np.linspace(0.0, 5.0, 30)
    run = made(
        lambda t, y: [-np.exp(1000.0 * (1 / 300.0 - 1 / y[1])) * y[0], 0.5 * (320.0 - y[1])],
        [1.0, 300.0],
        t,
    )
    data = cc.Experiment(t, run[:, 0], ("c",), initial={"T": cc.weighted(310.0, 20.0)})
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [
            -p.k * ca.exp(1000.0 * (1 / 300.0 - 1 / x.T)) * x.c,
            0.5 * (320.0 - x.T),
        ],
        parameters=parameters(k=3.0),
    )
    return cc.Problem(model, data, states=("c", "T"), scaling={"T": 300.0}), 1.0


def arrhenius_from_nowhere():
    problem, _ = arrhenius()
    run = replace(problem.experiments[0], initial={})
    return replace(problem, experiments=(run,), bounds={"T": (0.0, 1000.0)}), None


PARTIAL = (
    logarithm,
    logarithm_from_nowhere,
    share,
    quotient,
    quotient_from_nowhere,
    root,
    power,
    arrhenius,
    arrhenius_from_nowhere,
)


@pytest.mark.parametrize("make", PARTIAL, ids=lambda make: make.__name__)
def test_a_default_fit_of_what_has_no_value_everywhere(make):
    problem, k = make()
    solution = cc.fit(problem, mesh=None)
    assert solution.success
    assert solution.result.iterations > 0
    score = np.mean([score.simulated for score in solution.score()])
    assert score < 1e-3
    if k is not None:
        assert solution.parameters["k"] == pytest.approx(k, rel=0.1)


@pytest.mark.parametrize("make", PARTIAL, ids=lambda make: make.__name__)
def test_the_chosen_start_evaluates(make):
    nlp = cc.start_from(cc.discretize(make()[0]))
    assert why_not(nlp, nlp.start) == ""
    assert nlp.start_record.name not in nlp.start_record.passed


def test_what_cannot_be_evaluated_is_named():
    nlp = cc.discretize(quotient()[0], mesh=4)
    assert "is not finite there" in why_not(nlp, np.zeros(nlp.columns))
    nlp = cc.discretize(share()[0], mesh=4)
    assert why_not(nlp, np.zeros(nlp.columns)) == "the misfit is not finite there"
    nlp = cc.discretize(root()[0], mesh=4)
    assert "has no derivative there" in why_not(nlp, np.zeros(nlp.columns))


def test_a_start_on_a_bound_is_judged_where_ipopt_begins():
    nlp = cc.discretize(replace(root()[0], bounds={"h": (0.0, 2.0)}), mesh=4)
    assert why_not(nlp, np.zeros(nlp.columns)) == ""


def test_explicit_starts_stay_what_they_are():
    problem, _ = quotient_from_nowhere()
    nlp = cc.start_from(cc.discretize(problem), "smoothing")
    assert nlp.start_record == StartRecord(name="smoothing")
    assert why_not(nlp, nlp.start)


# ---- the rule by which candidates are compared --------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "degree"),
    [
        ("radau", 3),
        ("gauss", 2),
        ("lobatto", 3),
        ("explicit_euler", None),
        ("implicit_euler", None),
    ],
)
def test_the_merit_is_the_misfit_of_the_integral(scheme, degree):
    """x' = k t: one sweep of Picard's iteration is the scheme's solution, from any states."""
    t = np.linspace(0.0, 2.0, 9)
    data = cc.Experiment(t, np.exp(t), ("x",), initial={"x": 1.0})
    model = cc.Dynamics(lambda t, x, u, p, nn: [p.k * t], parameters=[cc.Parameter("k", 2.0)])
    nlp = cc.discretize(cc.Problem(model, data), scheme, degree, 8)
    x = nlp.start.copy()
    fixed = nlp.layout.experiments[0].states[0]
    x += np.random.default_rng(0).standard_normal(nlp.columns)
    x[nlp.layout.shared], x[fixed] = 2.0, 1.0
    solved = cc.fit(replace(nlp.problem, dynamics=held(model, 2.0)), scheme, degree, 8)
    assert merit(nlp, x) == pytest.approx(solved.result.objective, rel=1e-6)


def held(model, value):
    return replace(model, parameters=[cc.Parameter("k", value, value, value)])


def test_the_merit_of_a_simulated_start_is_its_misfit():
    problem, _ = quotient()
    nlp = cc.start_from(cc.discretize(problem), "simulate")
    assert merit(nlp, nlp.start) == pytest.approx(nlp.objective(nlp.start), rel=1e-3)


def decaying(samples, start, sigma=0.02):
    t = np.linspace(0.0, 8.0, samples)
    values = np.column_stack(
        [np.exp(-0.1 * t) * np.cos(2.0 * t), -np.exp(-0.1 * t) * np.sin(2.0 * t)]
    )
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [p.w * x.b - 0.1 * x.a, -p.w * x.a - 0.1 * x.b],
        parameters=[cc.Parameter("w", start, 0.0, 20.0)],
    )
    initial = {"a": 1.0, "b": 0.0}
    return cc.Problem(model, cc.Experiment(t, noisy(values, sigma), ("a", "b"), initial=initial))


def test_good_guesses_and_few_data_start_by_simulation():
    record = cc.start_from(cc.discretize(decaying(8, 2.1))).start_record
    assert record.name == "simulate"
    assert record.merits["simulate"] < record.merits["gradient_matching"]


def test_poor_guesses_and_many_data_start_by_gradient_matching():
    record = cc.start_from(cc.discretize(decaying(120, 7.0))).start_record
    assert record.name == "gradient_matching"
    assert record.merits["gradient_matching"] < record.merits["simulate"]
    solution = cc.fit(decaying(120, 7.0), mesh=None)
    assert solution.parameters["w"] == pytest.approx(2.0, rel=0.01)


def test_a_stiff_model_is_not_simulated_for_one_sweep_that_runs_away():
    """Van der Pol, mu = 20: neither candidate is better than the means, so the data's states count."""
    t = np.linspace(0.0, 40.0, 200)
    run = made(lambda t, y: [y[1], 20.0 * (1 - y[0] ** 2) * y[1] - y[0]], [2.0, 0.0], t)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [x.b, p.mu * (1.0 - x.a**2) * x.b - x.a],
        parameters=[cc.Parameter("mu", 5.0, 0.0, 100.0)],
    )
    problem = cc.Problem(model, cc.Experiment(t, run, ("a", "b")))
    nlp = cc.start_from(cc.discretize(problem))
    assert nlp.start_record.name == "gradient_matching"
    assert nlp.start_record.merits["gradient_matching"] <= merit_of_means(nlp)


def test_without_initial_values_there_is_nothing_to_simulate_from():
    record = cc.start_from(cc.discretize(van_der_pol_neural(), mesh=8)).start_record
    assert record.name == "gradient_matching"
    assert record.passed == {"simulate": "y1(0) of experiment 'experiment' is not known"}
    record = cc.start_from(cc.discretize(quotient_from_nowhere()[0])).start_record
    assert record.passed["simulate"] == "V(0) of experiment 'experiment' is not known"


def test_measured_states_are_guesses_of_their_first_values_unless_a_network_is_random():
    problem = decaying(8, 2.1)
    free = replace(problem, experiments=(replace(problem.experiments[0], initial={}),))
    assert cc.start_from(cc.discretize(free)).start_record.name == "simulate"


# ---- outputs that are functions of the states ---------------------------------------------------


def test_states_are_found_from_outputs_that_determine_them():
    t = np.linspace(0.0, 4.0, 40)
    a, b = np.exp(-0.5 * t), 2.0 + np.sin(t)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.a, nn(x.b)],
        networks={"f": cc.MLP((1, 2, 1))},
        parameters=parameters(k=1.0),
    )
    data = cc.Experiment(
        t, np.column_stack([np.log(a), a + b]), ("l", "s"), initial={"a": 1.0, "b": 2.0}
    )
    problem = cc.Problem(
        model,
        data,
        states=("a", "b"),
        observe=lambda x, u, p: [ca.log(x.a), x.a + x.b],
        regularisation=cc.L2(),
    )
    nlp = cc.discretize(problem)
    part = nlp.layout.experiments[0]
    found = smoothed(nlp, nlp.start)[part.states]
    np.testing.assert_allclose(found[:, 0], np.exp(-0.5 * part.times), atol=0.02)
    np.testing.assert_allclose(found[:, 1], 2.0 + np.sin(part.times), atol=0.02)


def test_what_outputs_leave_open_stays_at_its_known_value():
    nlp = cc.discretize(share()[0])
    part = nlp.layout.experiments[0]
    states = smoothed(nlp, nlp.start)[part.states]
    shares = states[:, 1] / states.sum(axis=1)
    curve = nlp.problem.smoothers(nlp.problem.experiments[0])["s"]
    np.testing.assert_allclose(shares[1:], curve(part.times[1:]), atol=1e-3)
    assert (states[0] == [1.0, 0.0]).all()  # which is known


def test_unmeasured_states_begin_at_their_known_values():
    nlp = cc.discretize(quotient()[0])
    for strategy in ("smoothing", "gradient_matching"):
        states = cc.start_from(nlp, strategy).start[nlp.layout.experiments[0].states]
        np.testing.assert_array_equal(states[:, 1], 1.0)


# ---- one rung more ------------------------------------------------------------------------------


def predators_unseen():
    t = np.linspace(0.0, 25.0, 150)
    run = made(lambda t, y: [y[0] * (1.0 - 0.5 * y[1]), -y[1] * (0.8 - 0.4 * y[0])], [3.0, 1.0], t)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [x.a * (p.r - p.b * x.b), -x.b * (p.d - p.e * x.a)],
        parameters=[
            cc.Parameter(n, s, 0.0, 5.0) for n, s in zip("rbde", (0.5, 1, 0.5, 1), strict=True)
        ],
    )
    data = cc.Experiment(t, noisy(run[:, 0], 0.05 * run[:, 0].std(), 1), ("a",))
    return cc.Problem(model, data, states=("a", "b"))


def test_a_fit_that_explains_nothing_is_tried_again_from_a_growing_horizon(monkeypatch):
    problem = predators_unseen()
    monkeypatch.setattr("collocode.identify.fallbacks.can_shoot", lambda nlp: False)
    poor = cc.fit(problem, start="smoothing", mesh=None)
    assert poor.result.objective > 0.5  # converged, to the mean
    assert poor.start_record.name == "smoothing"
    solution = cc.fit(problem, mesh=None)
    assert solution.success
    assert solution.start_record.name == "horizon"
    assert "the fit from there ended with" in solution.start_record.passed["smoothing"]
    assert solution.parameters["d"] == pytest.approx(0.8, rel=0.1)
    assert solution.result.objective < 0.01


def test_a_limit_that_the_caller_sets_is_kept(monkeypatch):
    from collocode.starts import strategies

    grown = []
    monkeypatch.setattr(strategies, "grow_horizon", lambda *given: grown.append(given))
    solution = cc.fit(van_der_pol_neural(), options={"max_iter": 2}, mesh=None)
    assert solution.result.termination is cc.Termination.ITERATION_LIMIT
    assert not grown


# ---- the record and Ctrl-C ----------------------------------------------------------------------


def test_the_record_is_saved_and_comes_back(tmp_path):
    solution = cc.fit(decaying(20, 2.5), mesh=8)
    assert solution.start_record.name in ("simulate", "gradient_matching")
    assert set(solution.start_record.merits) == {"simulate", "gradient_matching"}
    solution.save(tmp_path / "fit.npz")
    assert cc.load(tmp_path / "fit.npz").start_record == solution.start_record


def test_every_start_has_a_record():
    nlp = cc.discretize(decaying(20, 2.5), mesh=8)
    first = cc.solve(cc.start_from(nlp, "smoothing"))
    assert cc.start_from(nlp, first).start_record.name == "a solution"
    assert cc.start_from(nlp, nlp.start).start_record.name == "given values"
    assert cc.solve(nlp).start_record is None
    assert cc.solve(nlp, warm=first).start_record == first.start_record
    assert cc.start_from(nlp).with_start(nlp.start).start_record is None


def test_ctrl_c_while_the_horizon_grows(monkeypatch):
    problem = van_der_pol_neural(van_der_pol_data(n=30))
    press_ctrl_c(monkeypatch, 2)
    solution = cc.fit(problem, start="horizon", mesh=None)
    assert solution.result.termination is cc.Termination.INTERRUPTED
    assert solution.start_record.interrupted
    assert np.isfinite(solution.result.x).all()


def test_ctrl_c_on_the_last_rung_keeps_the_better_of_both(monkeypatch):
    press_ctrl_c(monkeypatch, 2, solve=2)
    solution = cc.fit(predators_unseen(), mesh=None)
    assert solution.result.termination is cc.Termination.INTERRUPTED
    assert solution.result.violation < 1e-6  # that of the first fit, which had converged


def test_ctrl_c_while_candidates_are_made(monkeypatch):
    from collocode.starts import strategies

    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(strategies, "match_gradients", interrupted)
    solution = cc.fit(decaying(20, 2.5), mesh=8)
    assert solution.result.termination is cc.Termination.INTERRUPTED
    assert solution.start_record.name == "simulate"


def test_one_candidate_is_enough_when_the_time_is_over(monkeypatch):
    from collocode.solvers.interrupt import Interrupt
    from collocode.starts import strategies

    monkeypatch.setattr(strategies, "match_gradients", pytest.fail)
    nlp = cc.discretize(decaying(20, 2.5), mesh=8)
    with Interrupt(1e-9):
        begun = strategies.start_from(nlp)
    assert begun.start_record.interrupted
    assert list(begun.start_record.merits) == ["simulate"]
