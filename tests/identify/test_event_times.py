"""Events at estimated times against closed forms, their least squares by SciPy, and finite differences."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

import collocode as cc
from collocode import Dilution, Dose, Dynamics, Experiment, Parameter, Problem, Reset, Switch

K, AT, AMOUNT = 0.5, 3.7, 6.0
T = np.linspace(0.0, 10.0, 41)
LEVEL = 2.0 / K - np.exp(-K * AT)


def dosed(t, k=K, at=AT, first=2.0):
    return first * np.exp(-k * t) + np.where(t > at, AMOUNT * np.exp(-k * (t - at)), 0.0)


def problem(y, *events, at=(5.0, 1.0, 8.0), rate=lambda x, u, p: -p.k * x.c, more=(), **given):
    run = Experiment(T, y, ("c",), events=events or [Dose("T", AMOUNT, to="c")])
    parameters = [Parameter("k", 0.4, 0.05, 3.0), Parameter("T", *at)]
    dynamics = Dynamics(lambda t, x, u, p, nn: {"c": rate(x, u, p)}, parameters=parameters)
    return Problem(dynamics, run, parameters=more, **given)


@pytest.mark.parametrize("loss", [cc.LeastSquares(), cc.Normal()])
@pytest.mark.parametrize("start", [2.0, 5.0])
def test_the_time_of_a_bolus_and_its_error_are_those_of_least_squares_by_scipy(start, loss):
    y = dosed(T) + 0.05 * np.random.default_rng(0).standard_normal(41)
    best = optimize.least_squares(lambda v: dosed(T, *v) - y, [K, AT, 2.0], diff_step=1e-6)
    std = np.sqrt(np.diag(np.linalg.inv(best.jac.T @ best.jac)) * 2.0 * best.cost / 38.0)
    solution = cc.fit(problem(y, at=(start, 1.0, 8.0), loss=loss))
    table = cc.uncertainty(solution).intervals()
    for j, name in enumerate(("k", "T")):
        assert table["estimate"][name] == pytest.approx(best.x[j], abs=0.01 * std[j])
        assert table["std"][name] == pytest.approx(std[j], rel=0.01)
    assert solution.gap() < 1e-4
    times = np.array([table["estimate"]["T"] - 1e-4, table["estimate"]["T"] + 1e-4])
    for states in (solution.states(times), solution.simulate(times=times).states):
        assert np.diff(states[:, 0])[0] == pytest.approx(AMOUNT, rel=1e-3)


@pytest.mark.parametrize(
    ("event", "rate", "truth"),
    [
        (
            Switch("T", "on"),
            lambda x, u, p: 0.5 + 1.5 * u.on - p.k * x.c,
            lambda t: np.where(
                t < AT,
                0.5 / K + (3.0 - 0.5 / K) * np.exp(-K * t),
                2.0 / K
                + (0.5 / K + (3.0 - 0.5 / K) * np.exp(-K * AT) - 2.0 / K) * np.exp(-K * (t - AT)),
            ),
        ),
        (
            Dilution("T", 0.2, of="c"),
            lambda x, u, p: 2.0 - p.k * x.c,
            lambda t: (
                2.0 / K
                + np.where(t > AT, (0.2 * LEVEL - 2.0 / K) * np.exp(-K * (t - AT)), 0.0)
                + np.where(t > AT, 0.0, -np.exp(-K * t))
            ),
        ),
        (
            Reset("T", {"c": 5.0}),
            lambda x, u, p: -p.k * x.c,
            lambda t: np.where(t > AT, 5.0 * np.exp(-K * (t - AT)), 3.0 * np.exp(-K * t)),
        ),
        (
            Dose("T", 4.0, to="c", duration=1.0),
            lambda x, u, p: -p.k * x.c,
            lambda t: (
                3.0 * np.exp(-K * t)
                + 4.0
                / K
                * (1.0 - np.exp(-K * np.clip(t - AT, 0.0, 1.0)))
                * np.exp(-K * np.maximum(t - AT - 1.0, 0.0))
            ),
        ),
    ],
    ids=["switch", "dilution", "reset", "infusion"],
)
def test_every_kind_of_event_is_found_where_it_was(event, rate, truth):
    solution = cc.fit(problem(truth(T), event, rate=rate, at=(4.5, 2.0, 6.0)))
    assert solution.parameters["T"] == pytest.approx(AT, abs=2e-3)
    assert solution.parameters["k"] == pytest.approx(K, abs=1e-3)
    np.testing.assert_allclose(solution.predict(T), truth(T)[:, None], atol=5e-3)


@pytest.mark.parametrize("start", [1.5, 3.0, 3.5])
def test_the_time_of_a_bolus_is_found_from_between_other_samples(start):
    times = np.arange(0.0, 6.1, 0.25)

    def curve(k, at):
        return 5.0 * np.exp(-k * times) + 3.0 * np.exp(-k * (times - at)) * (times > 2.1)

    y = curve(K, 2.1) + 0.03 * np.random.default_rng(0).standard_normal(len(times))
    run = Experiment(times, y, ("c",), initial={"c": 5.0}, events=[Dose("T", 3.0, to="c")])
    rate = Dynamics(
        lambda t, x, u, p, nn: {"c": -p.k * x.c},
        parameters=[Parameter("k", 0.4, 0.05, 3.0), Parameter("T", start, 1.0, 4.0)],
    )
    found = cc.fit(Problem(rate, run, loss=cc.Normal()))
    best = optimize.least_squares(lambda v: curve(*v) - y, [K, 2.1])
    assert [found.parameters[n] for n in ("k", "T")] == pytest.approx(best.x.tolist(), rel=1e-3)
    assert found.parameters["sigma_c"] == pytest.approx(0.03, rel=0.4)


def test_an_end_is_held_out_before_or_behind_an_unknown_time_but_not_across():
    whole = problem(dosed(T), at=(4.0, 2.0, 6.0))
    parts = cc.split(whole, 0.3)
    assert [e.placed for e in parts.experiments] == [{"T": 4.0}]
    assert not parts.test[0].placed
    solution = cc.fit(parts)
    assert [score.simulated < 1e-8 for score in solution.score()] == [True, True]
    early = cc.split(problem(dosed(T, at=8.9), at=(8.8, 8.5, 9.5)), 0.2)
    assert not early.experiments[0].placed
    assert early.test[0].placed
    with pytest.raises(cc.InputError, match="both sides of the cut at 5"):
        cc.split(whole, 0.5)


def test_events_at_one_unknown_time_act_one_after_the_other():
    late = np.maximum(T - AT, 0.0)
    y = np.where(T > AT, 5.0 * np.exp(-K * late), 2.0 * np.exp(-K * T))
    events = [Reset("T", {"c": 0.0}), Dose("T", 5.0, to="c")]
    found = cc.fit(problem(y, *events, at=(3.0, 1.0, 8.0))).parameters
    assert found["T"] == pytest.approx(AT, abs=1e-3)
    assert found["k"] == pytest.approx(K, rel=1e-4)


def test_derivatives_by_the_time_are_exact_wherever_it_is():
    nlp = cc.discretize(problem(dosed(T)), mesh=8)
    x = nlp.start + 0.1 * np.random.default_rng(0).standard_normal(nlp.columns)
    column = int(nlp.layout.columns_of("T")[0])
    for at in (2.03, 5.03, 6.89):
        x[column] = at
        h = np.zeros_like(x)
        h[column] = 1e-6
        slope = nlp.functions.jacobian(x, nlp.p)[1].sparse().toarray()[:, column]
        finite = (nlp.constraints(x + h) - nlp.constraints(x - h)) / 2e-6
        np.testing.assert_allclose(slope, finite, atol=1e-6)
        change = (nlp.objective(x + h) - nlp.objective(x - h)) / 2e-6
        assert nlp.gradient(x)[column] == pytest.approx(change, rel=1e-5, abs=1e-9)


def stepped(t, at):
    before = np.exp(-K * np.minimum(t, at))
    return np.where(t > at, 4.0 + (before - 4.0) * np.exp(-K * (t - at)), before)


def test_runs_have_times_of_their_own_and_others_go_without_an_event():
    rng, ats = np.random.default_rng(0), (3.0, 5.0, np.inf)
    runs = [
        Experiment(
            T,
            stepped(T, at) + 0.02 * rng.standard_normal(41),
            ("c",),
            name=f"run {n}",
            events=[Switch("T", "on")] if at < np.inf else [],
        )
        for n, at in enumerate(ats)
    ]
    rates = Dynamics(
        lambda t, x, u, p, nn: [4.0 * p.k * u.on - p.k * x.c],
        parameters=[Parameter("k", 0.4), Parameter("T", 4.2, 1.0, 8.0, per_experiment=True)],
    )
    solution = cc.fit(Problem(rates, runs))
    table = cc.uncertainty(solution).intervals()
    for name, at in (("T[run 0]", 3.0), ("T[run 1]", 5.0), ("k", K)):
        assert abs(table["estimate"][name] - at) < 3.0 * table["std"][name]
    assert table["std"]["T[run 0]"] < 0.03
    assert max(solution.gap(n) for n in range(3)) < 1e-3


def test_bands_know_that_the_time_is_uncertain():
    y = dosed(T) + 0.05 * np.random.default_rng(0).standard_normal(41)
    solution = cc.fit(problem(y))
    found = np.array([*solution.parameters.values(), solution.states(0.0)[0, 0]])
    at = np.append(T, found[1] + 0.3)

    def slopes(t):
        h = 1e-6 * np.diag(found)
        return np.column_stack(
            [(dosed(t, *(found + r)) - dosed(t, *(found - r))) / (2.0 * r.sum()) for r in h]
        )

    J, rest = slopes(T), dosed(T, *found) - y
    covariance = np.linalg.inv(J.T @ J) * (rest @ rest) / 38.0
    std = np.sqrt((slopes(at[-1:]) @ covariance @ slopes(at[-1:]).T)[0, 0])
    lower, upper = cc.uncertainty(solution).band(at[-1:])
    assert 0.5 * (upper - lower)[0, 0] == pytest.approx(2.024 * std, rel=0.02)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: problem(T, Dose("S", 1.0, to="c")), "'S' of an event .* is no parameter"),
        (lambda: problem(T, at=(5.0,)), "say between which times it lies"),
        (lambda: problem(T, at=(5.0, 1.0, 12.0)), "has to stay within its experiment"),
        (
            lambda: problem(
                T,
                Dose("T", 1.0, to="c"),
                Dose("S", 1.0, to="c"),
                more=[Parameter("S", 5.0, 4.0, 6.0)],
            ),
            "of events overlap",
        ),
        (
            lambda: cc.discretize(problem(T), mesh=cc.Mesh.uniform(0.0, 10.0, 5)),
            "give a number of elements, or a Mesh with_points",
        ),
        (
            lambda: cc.discretize(
                problem(T, Switch("T", "on"), observe=lambda x, u, p: [x.c * u.on], states=("c",))
            ),
            "which jumps at an estimated time",
        ),
        (
            lambda: replace(
                problem(T),
                experiments=[
                    replace(problem(T).experiments[0], inputs={"v": cc.Signal(T, np.sin(T))})
                ],
            ),
            "varies where the time 'T'",
        ),
        (
            lambda: replace(problem(T), delays={"late": cc.Delay(1.0, of="c")}),
            "cannot be estimated beside",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(make, sentence):
    with pytest.raises(cc.InputError, match=sentence):
        make()


def test_runs_have_jumps_at_times_of_their_own():
    times, rng = np.arange(0.0, 6.1, 0.25), np.random.default_rng(1)
    runs = [
        Experiment(
            times,
            5.0 * np.exp(-K * times)
            + np.where(times > at, 3.0 * np.exp(-K * (times - at)), 0.0)
            + 0.03 * rng.standard_normal(len(times)),
            ("c",),
            initial={"c": 5.0},
            name=f"run {at}",
            events=[Dose("T", 3.0, to="c")],
        )
        for at in (1.9, 3.3)
    ]
    rate = Dynamics(
        lambda t, x, u, p, nn: {"c": -p.k * x.c},
        parameters=[
            Parameter("k", 0.4, 0.05, 3.0),
            Parameter("T", 2.6, 1.0, 4.0, per_experiment=True),
        ],
    )
    table = cc.uncertainty(cc.fit(Problem(rate, runs))).intervals()
    for at in (1.9, 3.3):
        row = table.loc[f"T[run {at}]"]
        assert abs(row["estimate"] - at) < 4.0 * row["std"] < 0.1
