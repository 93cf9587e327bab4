"""SBML models mean what the specification says: closed forms, and refusals in one sentence."""

import sys

import numpy as np
import pytest

import collocode as cc
from collocode.imports import mathml as formulas

from .conftest import decay, problem, sbml, species

T = np.array([0.0, 0.5, 1.0, 3.0])


def near(value):
    return pytest.approx(value, rel=1e-6, abs=1e-9)


def test_amounts_and_concentrations(predicted):
    a, b, rate = predicted(decay(), ["A", "B", "r"], T)
    assert a == near(3.0 * np.exp(-0.5 * T))
    assert b == near(1.0 + 2.0 * 2.0 * 3.0 * (1.0 - np.exp(-0.5 * T)))
    assert rate == near(0.5 * 2.0 * a)


def test_a_concentration_is_diluted_as_its_compartment_grows(predicted):
    body = (
        '<listOfCompartments><compartment id="V" size="2" constant="false"/></listOfCompartments>'
        f"<listOfSpecies>{species('A', 'V', amount=6)}</listOfSpecies>"
        '<listOfRules><rateRule variable="V">{{0.3 * V}}</rateRule></listOfRules>'
    )
    a, v = predicted(body, ["A", "V"], T)
    assert v == near(2.0 * np.exp(0.3 * T))
    assert a == near(3.0 * np.exp(-0.3 * T))


def test_a_volume_given_by_a_rule_dilutes_too(predicted):
    body = (
        '<listOfCompartments><compartment id="V" size="1" constant="false"/></listOfCompartments>'
        f"<listOfSpecies>{species('A', 'V', concentration=3)}</listOfSpecies>"
        '<listOfRules><assignmentRule variable="V">{{2 + time}}</assignmentRule></listOfRules>'
    )
    (a,) = predicted(body, ["A"], T)
    assert a == near(3.0 * 2.0 / (2.0 + T))


def test_conversion_factor_boundary_species_and_function(predicted):
    body = (
        '<listOfFunctionDefinitions><functionDefinition id="twice">{{lambda(z, 2 * z)}}'
        "</functionDefinition></listOfFunctionDefinitions>"
        '<listOfCompartments><compartment id="V" size="1" constant="true"/></listOfCompartments>'
        "<listOfSpecies>"
        '<species id="A" compartment="V" initialConcentration="1" hasOnlySubstanceUnits="false" '
        'boundaryCondition="false" constant="false" conversionFactor="f"/>'
        f"{species('S', 'V', concentration=4, boundary=True)}</listOfSpecies>"
        '<listOfParameters><parameter id="f" value="10" constant="true"/></listOfParameters>'
        '<listOfReactions><reaction id="r" reversible="false"><listOfReactants>'
        '<speciesReference species="S" stoichiometry="1" constant="true"/></listOfReactants>'
        '<listOfProducts><speciesReference species="A" stoichiometry="1" constant="true"/></listOfProducts>'
        '<kineticLaw>{{twice(k) * S}}<listOfLocalParameters><localParameter id="k" value="0.1"/>'
        "</listOfLocalParameters></kineticLaw></reaction></listOfReactions>"
    )
    a, s = predicted(body, ["A", "S"], T)
    assert s == near(np.full(4, 4.0))
    assert a == near(1.0 + 10.0 * 0.8 * T)


def test_initial_assignments_in_any_order(predicted):
    body = (
        '<listOfParameters><parameter id="x" constant="false"/><parameter id="a" constant="true"/>'
        '<parameter id="b" value="3" constant="true"/></listOfParameters>'
        '<listOfInitialAssignments><initialAssignment symbol="x">{{a * a}}</initialAssignment>'
        '<initialAssignment symbol="a">{{b + 1}}</initialAssignment></listOfInitialAssignments>'
        '<listOfRules><rateRule variable="x">{{-a}}</rateRule></listOfRules>'
    )
    (x,) = predicted(body, ["x"], T)
    assert x == near(16.0 - 4.0 * T)


RATE = '<listOfParameters><parameter id="x" value="{}" constant="false"/></listOfParameters>'


def test_piecewise_in_time(predicted):
    body = RATE.format(0) + (
        '<listOfRules><rateRule variable="x">{{piecewise(1, time &lt; 0.75, 2, time &lt; 2, 0)}}'
        "</rateRule></listOfRules>"
    ).replace("&lt;", "<")
    (x,) = predicted(body, ["x"], T)
    assert x == near([0.0, 0.5, 0.75 + 2 * 0.25, 0.75 + 2 * 1.25])


EVENT = (
    '<listOfEvents><event id="dose" useValuesFromTriggerTime="true"><trigger initialValue="{}" '
    'persistent="true">{{{{{}}}}}</trigger><listOfEventAssignments><eventAssignment variable="x">'
    "{{{{{}}}}}</eventAssignment></listOfEventAssignments></event></listOfEvents>"
)
FALL = '<listOfRules><rateRule variable="x">{{-x}}</rateRule></listOfRules>'


def test_an_event_at_a_known_time(predicted):
    body = RATE.format(2) + FALL + EVENT.format("true", "time >= 0.75", "x + 5")
    (x,) = predicted(body, ["x"], T)
    late = 2.0 * np.exp(-T) + 5.0 * np.exp(-(T - 0.75)) * (T >= 0.75)
    assert x == near(late)


def test_an_event_by_a_state_fires_again_and_again(predicted):
    body = RATE.format(1) + '<listOfRules><rateRule variable="x">{{-1}}</rateRule></listOfRules>'
    (x,) = predicted(body + EVENT.format("true", "x < 0.4", "1"), ["x"], [0.1, 0.7, 1.0, 1.5])
    assert x == pytest.approx([0.9, 0.9, 0.6, 0.7], abs=1e-6)


def test_an_event_that_is_true_at_the_start_fires_only_if_it_was_false_before(predicted, tmp_path):
    for flag, first in (("true", 2.0), ("false", 7.0)):
        (x,) = predicted(RATE.format(2) + FALL + EVENT.format(flag, "time >= 0", "x + 5"), ["x"], T)
        assert x == near(first * np.exp(-T))


def together(*events):
    """Events at time 1, each of (what it sets, to what, more attributes, priority, persistent)."""
    return "".join(
        f'<event id="e{k}" useValuesFromTriggerTime="{late}"><trigger initialValue="true" '
        f'persistent="{persistent}">{{{{{trigger}}}}}</trigger>'
        f"<priority>{{{{{priority}}}}}</priority><listOfEventAssignments>"
        f'<eventAssignment variable="{target}">{{{{{value}}}}}</eventAssignment>'
        "</listOfEventAssignments></event>"
        for k, (trigger, target, value, late, priority, persistent) in enumerate(events)
    )


PAIR = (
    '<listOfParameters><parameter id="x" value="1" constant="false"/>'
    '<parameter id="y" value="10" constant="false"/></listOfParameters>'
)


@pytest.mark.parametrize(
    ("events", "after"),
    [
        # both take what was there when they were triggered: an exchange
        (
            [
                ("time >= 1", "x", "y", "true", 0, "true"),
                ("time >= 1", "y", "x", "true", 0, "true"),
            ],
            (10, 1),
        ),
        # the second takes what the first has left
        (
            [
                ("time >= 1", "x", "y", "true", 0, "true"),
                ("time >= 1", "y", "x + 1", "false", 0, "true"),
            ],
            (10, 11),
        ),
        # the one of higher priority is first
        (
            [
                ("time >= 1", "x", "y", "false", 1, "true"),
                ("time >= 1", "y", "x + 1", "false", 2, "true"),
            ],
            (2, 2),
        ),
        # what the first does takes the second's trigger away, which matters unless that is persistent
        (
            [
                ("time >= 1", "x", "5", "true", 2, "true"),
                ("time >= 1 && x < 3", "y", "0", "true", 1, "false"),
            ],
            (5, 10),
        ),
        (
            [
                ("time >= 1", "x", "5", "true", 2, "true"),
                ("time >= 1 && x < 3", "y", "0", "true", 1, "true"),
            ],
            (5, 0),
        ),
    ],
)
def test_events_at_the_same_time(predicted, events, after):
    body = PAIR + f"<listOfEvents>{together(*events)}</listOfEvents>"
    found = predicted(body, ["x", "y"], [0.5, 1.5])
    assert found.tolist() == [[1.0, after[0]], [10.0, after[1]]]


def test_a_state_that_stays_tiny_beside_large_ones_is_as_accurate(predicted):
    # as in models that count molecules of one kind and measure concentrations of another
    body = (
        '<listOfParameters><parameter id="x" value="4e7" constant="false"/>'
        '<parameter id="y" value="0" constant="false"/><parameter id="z" value="0" constant="false"/>'
        '</listOfParameters><listOfRules><rateRule variable="x">{{-1e-3 * x}}</rateRule>'
        '<rateRule variable="y">{{1e-14 * x - y}}</rateRule><rateRule variable="z">{{y - 0.5 * z}}</rateRule>'
        "</listOfRules>"
    )
    # the same in units in which all are of one size
    same = body.replace("4e7", "4").replace("1e-14", "1")
    formulas, times = ["y * 1e7", "z * 1e7"], [0.5, 2.0, 10.0, 60.0]
    tiny, alike = predicted(body, formulas, times), predicted(same, ["y", "z"], times)
    assert tiny == pytest.approx(alike, rel=1e-6)
    by_hand = 4.0 / (1.0 - 1e-3) * (np.exp(-1e-3 * np.array(times)) - np.exp(-np.array(times)))
    assert tiny[0] == pytest.approx(by_hand, rel=1e-6)


def test_a_large_network_is_integrated_with_sparse_derivatives(predicted):
    count = 160  # a chain, whose states are Poisson's probabilities
    ids = [f"x{k}" for k in range(count)]
    parameters = "".join(
        f'<parameter id="{n}" value="{int(n == "x0")}" constant="false"/>' for n in ids
    )
    rules = "".join(
        f'<rateRule variable="{n}">{{{{{"" if n == "x0" else f"x{k - 1}"} - {n}}}}}</rateRule>'
        for k, n in enumerate(ids)
    )
    body = f"<listOfParameters>{parameters}</listOfParameters><listOfRules>{rules}</listOfRules>"
    x0, x3 = predicted(body, ["x0", "x3"], [1.0, 4.0])
    t = np.array([1.0, 4.0])
    assert x0 == near(np.exp(-t))
    assert x3 == near(t**3 / 6.0 * np.exp(-t))


@pytest.mark.parametrize("used", [False, True])
def test_a_required_package_matters_if_something_is_of_it(tmp_path, used):
    space = "http://www.sbml.org/sbml/level3/version1/comp/version1"
    text = sbml(decay()).replace(
        ' level="3"', f' xmlns:comp="{space}" comp:required="true" level="3"', 1
    )
    port = '<comp:listOfPorts><comp:port comp:id="p" comp:idRef="k"/></comp:listOfPorts></model>'
    path = tmp_path / "model.xml"
    path.write_text(text.replace("</model>", port) if used else text)
    if not used:
        assert cc.read_sbml(path).states == ("A", "B")
        return
    with pytest.raises(cc.InputError, match="package 'comp' is not supported; flatten"):
        cc.read_sbml(path)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            decay("<listOfRules><algebraicRule>{{k - 1}}</algebraicRule></listOfRules>"),
            "algebraicRule",
        ),
        (
            RATE.format(1)
            + '<listOfRules><rateRule variable="x">{{delay(x, 1)}}</rateRule></listOfRules>',
            "rateRule of 'x' uses 'delay'",
        ),
        (
            RATE.format(1)
            + '<listOfRules><rateRule variable="x">{{y + 1}}</rateRule></listOfRules>',
            "'y', which is not defined",
        ),
        (
            RATE.format(1)
            + '<listOfRules><rateRule variable="x">{{hidden(x)}}</rateRule></listOfRules>',
            "calls 'hidden', which is not defined",
        ),
        (
            RATE.format(1)
            + '<listOfRules><rateRule variable="x">{{factorial(x)}}</rateRule></listOfRules>',
            "uses 'factorial'",
        ),
        (
            '<listOfParameters><parameter id="a" constant="false"/><parameter id="b" constant="false"/>'
            '</listOfParameters><listOfRules><assignmentRule variable="a">{{b}}</assignmentRule>'
            '<assignmentRule variable="b">{{a}}</assignmentRule></listOfRules>',
            "circle",
        ),
        (
            RATE.format(1)
            + EVENT.format("true", "x < 0", "0").replace(
                "<listOfEventAssignments>", "<delay>{{1}}</delay><listOfEventAssignments>"
            ),
            "event 'dose' has a delay",
        ),
    ],
)
def test_what_is_not_supported_is_named(tmp_path, body, words):
    path = tmp_path / "model.xml"
    path.write_text(sbml(body))
    with pytest.raises(cc.InputError) as error:
        cc.read_sbml(path)
    assert words in str(error.value).replace("Circle", "circle")
    assert "\n" not in str(error.value)


BOMB = '<!DOCTYPE sbml [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no xml",
        "<sbml/>",
        sbml(decay())[:400],
        sbml(decay()).replace("<sbml", BOMB + "<sbml", 1),
        sbml(decay()).replace('level="3"', 'level="x"'),
        sbml("<a>" * 5000 + "</a>" * 5000),
        sbml(decay()).replace("UTF-8", "UTF-16"),
        sbml(decay()).replace('stoichiometry="2"', 'stoichiometry="two"'),
        sbml(decay()).replace('compartment="V"', 'compartment="W"'),
    ],
)
def test_damaged_and_hostile_files_are_refused_in_one_sentence(tmp_path, text):
    path = tmp_path / "model.xml"
    path.write_text(text)
    with pytest.raises(cc.CollocodeError) as error:
        cc.read_sbml(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_functions_that_call_each_other_twice_over_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(formulas, "MOST_NODES", 2000)
    definitions = '<functionDefinition id="f0">{{lambda(z, z + 1)}}</functionDefinition>' + "".join(
        f'<functionDefinition id="f{k}">{{{{lambda(z, f{k - 1}(z) + f{k - 1}(z))}}}}</functionDefinition>'
        for k in range(1, 40)
    )
    body = f"<listOfFunctionDefinitions>{definitions}</listOfFunctionDefinitions>" + RATE.format(1)
    path = tmp_path / "model.xml"
    path.write_text(
        sbml(body + '<listOfRules><rateRule variable="x">{{f39(x)}}</rateRule></listOfRules>')
    )
    with pytest.raises(cc.InputError, match="more than 2000 operations"):
        cc.read_sbml(path)


def test_without_libsbml_a_sentence_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "libsbml", None)
    with pytest.raises(cc.MissingDependency, match=r"pip install 'collocode\[petab\]'"):
        cc.read_sbml(tmp_path / "model.xml")


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os').system('id')",
        "A.__class__",
        "lambda(x,x)",
        "eval(A)",
        "A+",
        "(" * 400 + "A" + ")" * 400,
        "A+" * 12000 + "A",
        "exp(A;B)",
        "A=1",
    ],
)
def test_formulas_are_never_executed(tmp_path, formula):
    path = problem(tmp_path, sbml(decay()), [f"o {formula.replace(' ', '')} 1"], ["o c1 1 1"])
    with pytest.raises(cc.InputError) as error:
        cc.simulate_petab(cc.read_petab(path))
    assert "\n" not in str(error.value)
