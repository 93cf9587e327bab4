"""Doses, dilutions and resets against closed forms, in simulation and in fits."""

import numpy as np
import pytest
from scipy import stats

import collocode as cc
from collocode import Dilution, Dose, Dynamics, Experiment, Parameter, Problem, Reset

KA, KE, V = 1.2, 0.25, 20.0
TIMES = np.array([0.25, 0.5, 1, 2, 4, 8, 12, 12.5, 13, 16, 20, 24, 24.5, 30, 36])
DOSES = cc.doses([0.0, 6.0, 12.0, 24.0], [100.0, np.nan, 100.0, 50.0], to="depot")


def closed(t, events=DOSES):
    """Bateman's function of every dose; a datum at the time of a dose is taken before it."""
    late = [np.maximum(t - event.time, 0.0) for event in events]
    sizes = [event.amount / V * KA / (KA - KE) for event in events]
    return sum(
        size * (np.exp(-KE * tau) - np.exp(-KA * tau))
        for size, tau in zip(sizes, late, strict=True)
    )


def oral(*events, y=None, **given):
    rates = Dynamics(
        lambda t, x, u, p, nn: {
            "depot": -p.ka * x.depot,
            "central": p.ka * x.depot - p.ke * x.central,
        },
        parameters=[Parameter("ka", KA, scale="log"), Parameter("ke", KE, scale="log")],
    )
    run = Experiment(
        TIMES,
        closed(TIMES) if y is None else y,
        ("c",),
        start=0.0,
        initial={"depot": 0.0, "central": 0.0},
        events=events or DOSES,
    )
    return Problem(
        rates,
        run,
        states=("depot", "central"),
        parameters=[Parameter("V", V, scale="log")],
        observe=lambda x, u, p: [x.central / p.V],
        loss=cc.LogNormal(0.05),
        **given,
    )


def test_bolus_doses_are_simulated_as_the_closed_form_has_them():
    y = closed(TIMES) * np.exp(0.05 * np.random.default_rng(0).standard_normal(15))
    expected = -stats.lognorm(0.05, scale=closed(TIMES)).logpdf(y).sum()
    assert cc.minus_log_likelihood(oral(y=y)) == pytest.approx(expected, rel=1e-5)


def test_a_fit_across_doses_finds_the_rates_and_its_gap_is_small(tmp_path):
    solution = cc.fit(oral())
    found = np.array([*solution.parameters.values()])
    np.testing.assert_allclose(found, [KA, KE, V], rtol=2e-3)
    assert solution.gap() < 0.1 * 0.05 * closed(TIMES).max()  # a tenth of the noise
    depot = solution.simulate(times=[11.999, 12.001]).states[:, 0]
    assert depot[1] - depot[0] == pytest.approx(100.0, rel=2e-3)
    solution.save(tmp_path / "fit.npz")
    np.testing.assert_allclose(
        cc.load(tmp_path / "fit.npz").predict(TIMES), solution.predict(TIMES)
    )


def test_a_mesh_of_ones_own_steps_over_no_event():
    """Between its points a dose would be lost: c' = -c/2 from 1, with 1 more at 1.03."""
    times = np.linspace(0.0, 4.0, 9)
    late = np.maximum(times - 1.03, 0.0)
    data = np.exp(-0.5 * times) + np.where(late > 0.0, np.exp(-0.5 * late), 0.0)
    rates = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 0.3, 0.01, 3)])
    run = Experiment(times, data, ("c",), initial={"c": 1.0}, events=[cc.Dose(1.03, 1.0, to="c")])
    solution = cc.fit(Problem(rates, run), mesh=cc.Mesh.uniform(0.0, 4.0, 16))
    assert solution.parameters["k"] == pytest.approx(0.5, rel=1e-5)
    assert solution.gap() < 1e-5


def decay(*events, state0=8.0, extra=()):
    times = np.linspace(0.0, 4.0, 9)
    rates = Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c],
        parameters=[Parameter("k", 0.5, 0.5, 0.5), Parameter("v", 3.0), *extra],
    )
    data = np.ones((9, 1))
    run = Experiment(times, data, ("c",), initial={"c": state0}, events=events)
    return Problem(rates, run, loss=cc.Normal(1.0))


def simulated(problem, times):
    nlp = cc.discretize(problem, mesh=4)
    solution = cc.solve(nlp.with_start(nlp.start))
    return solution, solution.simulate(times=times).states[:, 0]


@pytest.mark.parametrize(
    ("event", "after"),
    [
        (Dilution(2.0, 0.1, of="c"), lambda before: 0.1 * before),
        (Reset(2.0, {"c": 5.0}), lambda before: 5.0),
        (Reset(2.0, {"c": "v"}), None),
        (Reset(2.0, {"c": lambda x, u, p: 2.0 * p.v}), None),
        (Dose(2.0, -1.0, to="c"), lambda before: before - 1.0),
    ],
)
def test_states_jump_in_collocation_as_in_simulation(event, after):
    solution, states = simulated(decay(event), [2.0 - 1e-5, 2.0 + 1e-5])
    if after is None:
        scale = 1.0 if event.to["c"] == "v" else 2.0
        expected = scale * solution.parameters["v"]
    else:
        expected = after(states[0])
    assert states[1] == pytest.approx(expected, rel=1e-4)
    assert solution.states([2.0 + 1e-5])[0, 0] == pytest.approx(states[1], rel=1e-3)
    assert solution.gap() < 1e-4


@pytest.mark.parametrize(
    ("events", "after"),
    [
        ([Reset(3.0, {"c": 0.0}), Dose(3.0, 5.0, to="c")], lambda c: 5.0),
        ([Dose(3.0, 5.0, to="c"), Reset(3.0, {"c": 0.0})], lambda c: 0.0),
        ([Dilution(3.0, 0.2, of=("c",)), Dose(3.0, 4.0, to="c")], lambda c: 0.2 * c + 4.0),
        ([Dose(3.0, 4.0, to="c"), Dilution(3.0, 0.2, of=("c",))], lambda c: 0.2 * (c + 4.0)),
        (
            [Dilution(0.1 * 3 + 2.7, 0.5, of=("c",)), Dose(3.0, 4.0, to="c")],
            lambda c: 0.5 * c + 4.0,
        ),
        ([Reset(3.0, {"c": 7.0}), Reset(3.0, {"c": 1.0})], lambda c: 1.0),
        (
            [Dose(3.0, 4.0, to="c"), Dose(3.0, 2.0, to="c"), Dilution(3.0, 0.5, of=("c",))],
            lambda c: 0.5 * (c + 6.0),
        ),
        (cc.events_from_frame({"time": [3.0], "amt": [5.0], "evid": [4]}, ("c",)), lambda c: 5.0),
    ],
)
def test_events_at_the_same_time_act_one_after_the_other(events, after):
    solution, states = simulated(decay(*events), [3.0, 3.0 + 1e-5])
    assert states[1] == pytest.approx(after(states[0]), rel=1e-4, abs=1e-4)
    assert solution.states([3.0 + 1e-5])[0, 0] == pytest.approx(states[1], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("epoch", [1e6, 1.7e9])
def test_events_are_as_large_wherever_time_is_counted_from(epoch):
    times = epoch + np.linspace(0.0, 20.0, 11)
    rate = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 0.1, 0.1, 0.1)])
    events = [
        Dose(epoch + 3.0, 4.0, to="c"),
        Dilution(epoch + 7.0, 0.5, of="c"),
        Reset(epoch + 11.0, {"c": 6.0}),
        Dose(epoch + 15.0, 2.0, to="c", duration=1.0),
    ]
    run = Experiment(times, np.ones(11), ("c",), initial={"c": 8.0}, events=events)
    solution = cc.solve(cc.discretize(Problem(rate, run), mesh=40))
    at = np.array([0.0, 5.0, 9.0, 13.0, 20.0])
    infused = 20.0 * -np.expm1(-0.1) * np.exp(-0.4)
    clean = np.array(
        [8.0, 8.0 + 4.0 * np.exp(0.3), 4.0 + 2.0 * np.exp(0.3), 6.0 * np.exp(1.1), 0.0]
    )
    clean = clean * np.exp(-0.1 * at)
    clean[-1] = 6.0 * np.exp(-0.9) + infused
    np.testing.assert_allclose(solution.simulate(times=epoch + at).states[:, 0], clean, rtol=2e-5)
    np.testing.assert_allclose(solution.states(epoch + at)[:, 0], clean, rtol=2e-5)


def test_a_run_begins_with_a_dose_before_its_first_sample():
    times = np.array([0.5, 1.0, 2.0, 3.0])
    rate = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 0.3)])
    for dose, clean in (
        (Dose(0.0, 5.0, to="c"), 5.0 * np.exp(-0.5 * times)),
        (Dose(-1.0, 5.0, to="c"), 5.0 * np.exp(-0.5 * (times + 1.0))),
        (Dose(0.0, 5.0, to="c", duration=0.2), np.expm1(0.1) * 50.0 * np.exp(-0.5 * times)),
    ):
        run = Experiment(times, clean, ("c",), initial={"c": 0.0}, events=[dose])
        assert run.start == dose.time
        solution = cc.fit(Problem(rate, run))
        assert solution.parameters["k"] == pytest.approx(0.5, rel=1e-4)
    with pytest.raises(cc.InputError, match=r"the dose at 0 comes before its start, 0\.5"):
        Experiment(times, clean, ("c",), start=0.5, events=[Dose(0.0, 5.0, to="c")])
    parts = cc.split(Problem(rate, run), 0.3)  # one sample is held out
    assert parts.experiments[0].start == 0.0
    assert (parts.test[0].events, parts.test[0].samples) == ((), 1)
    assert cc.fit(parts).score()[1].simulated < 1e-8


def test_an_infusion_is_a_rate_while_it_lasts():
    solution, states = simulated(decay(Dose(1.0, 6.0, to="c", duration=2.0)), [1.0, 3.0])
    k = solution.parameters["k"]
    steady = 3.0 / k
    assert states[1] == pytest.approx(steady + (states[0] - steady) * np.exp(-2.0 * k), rel=1e-6)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Dose(np.nan, 1.0, to="c"), "a dose needs a finite time"),
        (lambda: Dilution(0.0, 0.0, of="c"), "a positive factor"),
        (lambda: Reset(np.inf, {"c": 1.0}), "a reset needs a finite time"),
        (lambda: decay(Dose(1.0, 1.0, to="d")), "names 'd', which is no state"),
        (lambda: decay("dose"), "events= of experiment"),
        (
            lambda: cc.discretize(decay(Reset(1.0, {"c": lambda x, u, p: x.c - 0.2}))),
            "write what is added as a Dose",
        ),
    ],
)
def test_wrong_events_are_refused_in_a_sentence(make, sentence):
    with pytest.raises(cc.InputError, match=sentence):
        make()


def test_a_table_of_pharmacometrics_is_read_by_its_conventions():
    import pandas as pd

    table = pd.DataFrame(
        {
            "ID": 1,
            "TIME": [0.0, 1.0, 4.0, 30.0, 40.0, 41.0],
            "AMT": [100.0, np.nan, 60.0, 0.0, 50.0, 7.0],
            "RATE": [0, 0, 20.0, 0, 0, 0],
            "EVID": [1, 0, 1, 3, 4, 2],
            "CMT": [1, 2, 2, 1, "depot", 1],
            "ADDL": [2, 0, 0, 0, 0, 0],
            "II": [12.0, 0, 0, 0, 0, 0],
            "DV": [np.nan, 3.0, np.nan, np.nan, np.nan, np.nan],
        }
    )
    zero = {"depot": 0.0, "central": 0.0}
    assert cc.events_from_frame(table, ("depot", "central")) == (
        *(Dose(12.0 * k, 100.0, to="depot") for k in range(3)),
        Dose(4.0, 60.0, to="central", duration=3.0),
        Reset(30.0, zero),
        Reset(40.0, zero),
        Dose(40.0, 50.0, to="depot"),
    )
    told = {"time": ["0", "2"], "amt": ["6", "."], "cmt": ["2", "."], "tinf": ["3", "."]}
    assert cc.events_from_frame(told, ("c", "d")) == (Dose(0.0, 6.0, to="d", duration=3.0),)
    plain = {"time": [0.0, 2.0], "amt": [5.0, 0.0]}
    assert cc.events_from_frame(plain, ("c",)) == (Dose(0.0, 5.0, to="c"),)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"amt": None}, "has columns time and amt"),
        ({"evid": [7, 0]}, "evid is 7 in row 1"),
        ({"rate": [-2, 0]}, "that is modelled"),
        ({"addl": [2, 0]}, "2 doses more, one every 0"),
        ({"cmt": [3, 1]}, "cmt is 3 in row 1"),
        ({"cmt": ["gut", 1]}, "cmt is 'gut' in row 1"),
        ({"ss": [1, 0]}, "doses at steady state"),
        ({"cmt": [1.5, 1]}, r"cmt is 1\.5 in row 1"),
        ({"id": [1, 2]}, "of one subject, but column id has 1, 2"),
        ({"TIME": [0.0, 1.0]}, "two columns called 'time'"),
        ({"time": [2.0, 0.0]}, "time goes back in row 2"),
        ({"evid": [0, 0]}, "row 1 is an observation, evid 0, with an amount of 5"),
        ({"rate": [0.0, 3.0], "evid": [1, 1]}, "row 2 has amt 0, rate 3"),
        ({"rate": [5.0, 0.0], "dur": [3.0, 0.0]}, "a duration of 3, which do not agree"),
        ({"addl": [2, 0], "ii": [12, 0], "evid": [1, 3]}, "resets at 2, but .* until 24"),
        ({"amt": ["a", "b"]}, "column amt cannot be read as numbers"),
        ({"rate": [1.0]}, "column rate has 1 row"),
    ],
)
def test_a_table_of_events_that_has_no_meaning_here_is_refused(change, sentence):
    table = {"time": [0.0, 2.0], "amt": [5.0, 0.0], **change}
    table = {name: column for name, column in table.items() if column is not None}
    with pytest.raises(cc.InputError, match=sentence):
        cc.events_from_frame(table, ("c", "d"))
    with pytest.raises(cc.InputError, match="a data frame or a dict"):
        cc.events_from_frame(3, ("c",))
