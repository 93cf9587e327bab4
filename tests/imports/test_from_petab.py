"""PEtab problems as fits: published optima, the same likelihood as by simulation, what a fit refuses."""

from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import collocode as cc
from collocode.identify.starting_points import CANDIDATES, hopeless, starting_points

from .conftest import decay, problem, sbml, species

BOEHM = Path(__file__).parents[2] / "models/data/Boehm_JProteomeRes2014/Boehm_JProteomeRes2014.yaml"


@pytest.fixture(scope="module")
def boehm():
    return cc.read_petab(BOEHM)


def test_names_are_those_of_the_files(boehm):
    made = cc.from_petab(boehm)
    assert made.states == boehm.model.states
    assert made.outputs == ("pSTAT5A_rel", "pSTAT5B_rel", "rSTAT5A_rel")
    assert [q.name for q in made.all_parameters] == [q.id for q in boehm.estimated]
    assert {q.scale for q in made.all_parameters} == {"log10"}


def test_the_fit_from_the_nominal_point_reaches_the_published_likelihood(boehm):
    solution = cc.fit(cc.from_petab(BOEHM))
    assert solution.success
    found = {q.id: solution.parameters[q.id] for q in boehm.estimated}
    assert cc.simulate_petab(boehm, found).nllh <= 138.2220 + 1e-3
    assert solution.result.interface == "scoring"


def test_likelihood_and_problem_agree_across_conditions_overrides_and_replicates(tmp_path):
    path = problem(
        tmp_path,
        sbml(decay()),
        [
            "observableId observableFormula noiseFormula observableTransformation",
            "a observableParameter1_a*A noiseParameter1_a+0.1*A log10",
            "b B noiseParameter1_b lin",
        ],
        [
            "observableId simulationConditionId measurement time observableParameters noiseParameters",
            "a c1 2.5 1 scale sd",
            "a c1 2.6 1 scale sd",
            "a c2 1.9 2 1.5 sd",
            "b c2 4 1 - 0.3",
            "b c2 5 2 - 0.4",
        ],
        ["scale log10 0.1 10 1.2 1", "sd log10 0.01 10 0.2 1", "fast log10 0.1 10 0.7 1"],
        ["conditionId k A", "c1 fast 2", "c2 0.3 3"],
    )
    petab = cc.read_petab(path)
    made = cloudpickle.loads(cloudpickle.dumps(cc.from_petab(petab)))
    values = {"scale": 1.7, "sd": 0.15, "fast": 0.9}
    by_petab = cc.simulate_petab(petab, values).nllh
    assert cc.minus_log_likelihood(made, values) == pytest.approx(by_petab, rel=1e-6)


@pytest.mark.parametrize("otherwise", ["", ", at &lt;= time"], ids=["otherwise", "two pieces"])
def test_a_piecewise_input_becomes_a_signal_that_jumps(tmp_path, otherwise):
    rate = (
        (
            '<listOfParameters><parameter id="x" value="1" constant="false"/>'
            '<parameter id="at" value="0" constant="true"/></listOfParameters><listOfRules>'
            '<rateRule variable="x">{{piecewise(k, time &lt; at, 2 * kOTHERWISE) * x}}</rateRule></listOfRules>'
        )
        .replace("OTHERWISE", otherwise)
        .replace("&lt;", "<")
        .replace("k", "0.3")
    )
    path = problem(
        tmp_path,
        sbml(rate),
        ["o x s"],
        ["o c1 1 1", "o c1 1.5 3"],
        ["s log10 0.1 10 0.5 1"],
        ["conditionId at", "c1 2"],
    )
    made = cc.from_petab(path)
    (run,) = made.experiments
    assert run.jumps.tolist() == [2.0]
    by_hand = np.exp(0.3), np.exp(0.6 + 0.6)
    wanted = sum(0.5 * ((y - h) / 0.5) ** 2 for y, h in zip((1, 1.5), by_hand, strict=True))
    wanted += 2 * (np.log(0.5) + 0.5 * np.log(2 * np.pi))
    assert cc.minus_log_likelihood(made) == pytest.approx(wanted, rel=1e-6)


TURNOVER = (
    '<listOfParameters><parameter id="x" value="1" constant="false"/><parameter id="y" value="0" '
    'constant="false"/><parameter id="b" value="1" constant="true"/><parameter id="d" value="1" '
    'constant="true"/></listOfParameters><listOfRules><rateRule variable="x">{{b - d * x}}</rateRule>'
    '<rateRule variable="y">{{x - 2 * d * y}}</rateRule></listOfRules>'
)


@pytest.mark.parametrize("anew", [False, True])
def test_a_pre_equilibration_is_where_the_fit_begins_but_for_what_is_set_anew(tmp_path, anew):
    path = problem(
        tmp_path,
        sbml(TURNOVER),
        ["x x s", "y y s"],
        [
            "observableId preequilibrationConditionId simulationConditionId measurement time",
            *(f"{o} rest run {v} {t}" for o, v, t in (("x", 3, 0), ("y", 1, 0), ("y", 2, 0.7))),
        ],
        ["s log10 0.1 10 0.5 1", "d log10 0.1 10 0.8 1"],
        ["conditionId b y", "rest 2.4 -", f"run 0.8 {4 if anew else 'NaN'}"],
    )
    petab = cc.read_petab(path)
    x0, d, t = 3.0, 0.8, 0.7  # x rests at b/d, y at x/2d
    y0 = 4.0 if anew else x0 / (2 * d)
    y = 1.0 / (2 * d) + 2.0 / d * np.exp(-d * t)
    y += (y0 - 1.0 / (2 * d) - 2.0 / d) * np.exp(-2 * d * t)
    wanted = sum(0.5 * ((a - b) / 0.5) ** 2 for a, b in ((3, x0), (1, y0), (2, y)))
    wanted += 3 * (np.log(0.5) + 0.5 * np.log(2 * np.pi))
    assert cc.simulate_petab(petab).nllh == pytest.approx(wanted, rel=1e-7)
    made = cc.from_petab(petab)
    assert cc.minus_log_likelihood(made) == pytest.approx(wanted, rel=1e-6)
    assert cc.minus_log_likelihood(made, {"d": 1.1}) == pytest.approx(
        cc.simulate_petab(petab, {"d": 1.1}).nllh, rel=1e-6
    )


def dosed(armed=True, trigger="time >= at"):
    assignments = "".join(
        f'<eventAssignment variable="{v}">{{{{{f}}}}}</eventAssignment>'
        for v, f in (("x", "x + dose"), ("y", "0.25 * y + b"), ("z", "2 * b"))
    )
    return (
        '<listOfParameters><parameter id="x" value="1" constant="false"/><parameter id="y" value="8" '
        'constant="false"/><parameter id="z" value="3" constant="false"/><parameter id="b" value="0.5" '
        'constant="true"/><parameter id="at" value="1" constant="true"/><parameter id="dose" value="2" '
        'constant="true"/></listOfParameters><listOfRules><rateRule variable="x">{{-0.3 * x}}</rateRule>'
        '<rateRule variable="y">{{-0.1 * y}}</rateRule></listOfRules><listOfEvents><event id="e" '
        f'useValuesFromTriggerTime="true"><trigger initialValue="{str(not armed).lower()}" '
        f'persistent="true">{{{{{trigger}}}}}</trigger><listOfEventAssignments>{assignments}'
        "</listOfEventAssignments></event></listOfEvents>"
    )


@pytest.mark.parametrize("at", [0.0, 1.0, 5.0])
def test_events_at_known_times_are_in_the_fit(tmp_path, at):
    times = (0.5, 1.0, 2.0)
    path = problem(
        tmp_path,
        sbml(dosed()),
        ["x x s", "y y s", "z z s"],
        [f"{o} c1 1 {t}" for o in "xyz" for t in times],
        ["s log10 0.1 10 0.5 1", "b log10 0.01 10 0.4 1"],
        ["conditionId dose at", f"c1 3 {at}"],
    )
    petab, t = cc.read_petab(path), np.array(times)
    on = t >= at  # a datum at the time of an event comes after it
    x = np.exp(-0.3 * t) + np.where(on, 3.0 * np.exp(-0.3 * (t - at)), 0.0)
    y = np.where(
        on, (2.0 * np.exp(-0.1 * at) + 0.4) * np.exp(-0.1 * (t - at)), 8.0 * np.exp(-0.1 * t)
    )
    z = np.where(on, 0.8, 3.0)
    np.testing.assert_allclose(cc.simulate_petab(petab).h, [*x, *y, *z], rtol=1e-7)
    wanted = sum(0.5 * ((1.0 - h) / 0.5) ** 2 for h in (*x, *y, *z))
    wanted += 9 * (np.log(0.5) + 0.5 * np.log(2 * np.pi))
    assert cc.minus_log_likelihood(cc.from_petab(petab)) == pytest.approx(wanted, rel=1e-5)


def test_events_whose_time_depends_on_states_are_left_out_aloud(tmp_path):
    path = problem(
        tmp_path,
        sbml(dosed(trigger="x < 0.5")),
        ["x x s"],
        ["x c1 1 1", "x c1 1 2"],
        ["s log10 0.1 10 0.5 1"],
    )
    with pytest.warns(cc.CollocodeWarning, match="leaves out event 'e'"):
        cc.from_petab(path)


def test_a_measurement_at_infinity_is_of_the_steady_state(tmp_path):
    path = problem(
        tmp_path,
        sbml(TURNOVER),
        ["x x s", "y y s"],
        [f"{o} {c} 1 {t}" for o in "xy" for c, t in (("c1", 0.5), ("c1", "inf"), ("c2", "inf"))],
        ["s log10 0.1 10 0.5 1", "d log10 0.01 10 0.8 1"],
        ["conditionId b", "c1 2", "c2 6"],
    )
    petab = cc.read_petab(path)
    for d in (0.8, 0.1):
        x, y = 2.0 / d, 1.0 / d**2
        h = [cc.simulate_petab(petab, {"d": d}).h[k] for k in (1, 3, 4, 5)]
        np.testing.assert_allclose(h, [x, y, 3 * x, 3 * y], rtol=1e-7)
    made = cc.from_petab(petab)
    for d in (0.8, 0.1):
        wanted = cc.simulate_petab(petab, {"d": d}).nllh
        assert cc.minus_log_likelihood(made, {"d": d}) == pytest.approx(wanted, rel=1e-6)


def test_observables_may_depend_on_time(tmp_path):
    path = problem(
        tmp_path,
        sbml(TURNOVER),
        ["x x*exp(-k*time) s*(1+time)"],
        ["x c1 0.6 1", "x c1 0.4 2"],
        ["s log10 0.1 10 0.5 1", "k log10 0.01 10 0.3 1"],
    )
    petab = cc.read_petab(path)
    made = cc.from_petab(petab)
    sigma = np.array([1.0, 1.5])
    r = (np.array([0.6, 0.4]) - np.exp([-0.3, -0.6])) / sigma
    wanted = float(np.sum(0.5 * r**2 + np.log(sigma) + 0.5 * np.log(2 * np.pi)))
    assert cc.simulate_petab(petab).nllh == pytest.approx(wanted, rel=1e-7)
    assert cc.minus_log_likelihood(made) == pytest.approx(wanted, rel=1e-6)


def test_what_a_fit_cannot_have_is_named(tmp_path):
    header = (
        "observableId observableFormula noiseFormula observableTransformation noiseDistribution"
    )
    folder = tmp_path / "laplace"
    folder.mkdir()
    path = problem(
        folder, sbml(decay()), [header, "o A s log laplace"], ["o c1 1 1"], ["s log10 0.1 10 0.5 1"]
    )
    with pytest.raises(cc.InputError, match="Laplace noise on a logarithm"):
        cc.from_petab(path)
    path = problem(tmp_path, sbml(dosed()), ["x x s"], ["x c1 1 inf"], ["s log10 0.1 10 0.5 1"])
    with pytest.raises(cc.InputError, match="infinity beside event 'e'"):
        cc.simulate_petab(cc.read_petab(path))


def test_a_multistart_scatters_the_parameters_and_finds_the_optimum_of_boehm(boehm):
    made = cc.from_petab(boehm)
    found = cc.multistart(made, [0, 1, 5])
    assert found.best.result.objective * 24 == pytest.approx(138.222, abs=1e-2)
    assert list(found.table.index) == [0, 1, 5]
    assert found.table["objective"].nunique() > 1  # other starts, other optima


def test_scattered_starts_lie_between_the_bounds_one_in_every_layer(boehm):
    made = cc.from_petab(boehm)
    points = starting_points(made, range(11))
    assert points[0] == [{}]
    assert [len(candidates) for candidates in points[1:]] == [1, CANDIDATES] * 5
    k = np.sort([np.log10(p["k_phos"]) for candidates in points[1:] for p in candidates])
    assert len(np.unique(np.floor(CANDIDATES * (k + 5.0)))) == 5 * (1 + CANDIDATES)


def test_a_climb_that_falls_behind_is_given_up():
    give_up = hopeless(best=10.0)
    slow = [100.0 - 0.01 * k for k in range(41)]
    assert give_up(slow)
    assert not give_up(slow[:35])  # a plateau may end after thirty iterations, as Oliveira's do
    assert not give_up([100.0 - 1.0 * k for k in range(41)])
    assert not hopeless(best=95.0)(slow)


def test_a_model_in_which_nothing_changes_is_fitted_too(tmp_path):
    still = (
        '<listOfCompartments><compartment id="V" size="1" constant="true"/></listOfCompartments>'
        f"<listOfSpecies>{species('A', 'V', concentration=3)}</listOfSpecies>"
        '<listOfParameters><parameter id="k" value="0.5" constant="true"/></listOfParameters>'
    )
    path = problem(
        tmp_path, sbml(still), ["a k*A 0.1"], ["a c1 1.5 0", "a c1 1.4 1"], ["k lin 0.01 10 0.5 1"]
    )
    solution = cc.fit(cc.from_petab(path))
    assert solution.parameters["k"] == pytest.approx((1.5 + 1.4) / 2 / 3, rel=1e-6)
