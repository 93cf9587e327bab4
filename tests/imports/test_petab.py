"""PEtab problems: likelihoods against SciPy's densities, conditions, steady states, damaged files."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import collocode as cc

from .conftest import decay, problem, sbml, species

BOEHM = Path(__file__).parents[2] / "models/data/Boehm_JProteomeRes2014"


def test_the_published_likelihood_of_boehm():
    boehm = cc.read_petab(BOEHM / "Boehm_JProteomeRes2014.yaml")
    found = cc.simulate_petab(boehm)
    # the collection's own simulated data give 138.2220 with the petab package
    assert found.complete
    assert found.nllh == pytest.approx(138.2220, rel=1e-5)
    assert list(found.table.columns)[-1] == "simulation"
    assert len(found.table) == 48
    worse = cc.simulate_petab(boehm, {"sd_pSTAT5A_rel": 10.0})
    assert worse.nllh > found.nllh + 1.0


HEADER = "observableId observableFormula noiseFormula observableTransformation noiseDistribution"
DENSITIES = {
    ("lin", "normal"): lambda y, h, s: stats.norm(h, s).logpdf(y),
    ("log", "normal"): lambda y, h, s: stats.lognorm(s, scale=h).logpdf(y),
    ("log10", "normal"): lambda y, h, s: stats.lognorm(s * np.log(10), scale=h).logpdf(y),
    ("lin", "laplace"): lambda y, h, s: stats.laplace(h, s).logpdf(y),
    ("log", "laplace"): lambda y, h, s: stats.loglaplace(1 / s, scale=h).logpdf(y),
    ("log10", "laplace"): lambda y, h, s: stats.loglaplace(1 / (s * np.log(10)), scale=h).logpdf(y),
}


@pytest.mark.parametrize("kind", DENSITIES, ids="-".join)
def test_likelihoods_are_scipys(tmp_path, kind):
    path = problem(
        tmp_path,
        sbml(decay()),
        [HEADER, f"o scale*A+observableParameter1_o 0.1+noiseParameter1_o*o {' '.join(kind)}"],
        [
            "observableId simulationConditionId measurement time observableParameters noiseParameters",
            "o c1 2.5 1 0.25 0.2",
            "o c1 1.9 2 0.5 rel",
        ],
        ["scale log10 0.1 10 1.5 1", "rel lin - - 0.3 0"],
    )
    found = cc.simulate_petab(cc.read_petab(path))
    h = 1.5 * 3.0 * np.exp(-0.5 * np.array([1.0, 2.0])) + [0.25, 0.5]
    s = 0.1 + np.array([0.2, 0.3]) * h
    assert found.h == pytest.approx(h, rel=1e-7)
    assert found.nllh == pytest.approx(-DENSITIES[kind](np.array([2.5, 1.9]), h, s).sum(), rel=1e-6)


def test_conditions_set_constants_initial_values_and_parameters(tmp_path):
    path = problem(
        tmp_path,
        sbml(decay()),
        ["a A 1", "b B 1"],
        ["a c1 1 1", "b c2 1 2", "a c2 1 1"],
        ["fast log10 0.1 10 2 1", "k log10 0.1 10 0.25 1"],
        ["conditionId k A V", "c1 fast - 2", "c2 k 7 5"],
    )
    found = cc.simulate_petab(cc.read_petab(path), {"fast": 3.0})
    by_hand = [3.0 * np.exp(-3.0), 1.0 + 2.0 * 5.0 * 7.0 * (1 - np.exp(-0.5)), 7.0 * np.exp(-0.25)]
    assert found.h == pytest.approx(by_hand, rel=1e-7)


TURNOVER = (
    '<listOfCompartments><compartment id="V" size="1" constant="true"/></listOfCompartments>'
    f"<listOfSpecies>{species('A', 'V', concentration=2)}{species('B', 'V', concentration=1)}"
    f"{species('C', 'V', concentration=5)}</listOfSpecies>"
    '<listOfParameters><parameter id="u" value="0" constant="true"/></listOfParameters>'
    '<listOfReactions><reaction id="r" reversible="true"><listOfReactants>'
    '<speciesReference species="A" stoichiometry="1" constant="true"/></listOfReactants>'
    '<listOfProducts><speciesReference species="B" stoichiometry="1" constant="true"/></listOfProducts>'
    "<kineticLaw>{{u * A - 3 * B}}</kineticLaw></reaction></listOfReactions>"
)


def test_a_pre_equilibration_starts_from_the_steady_state_and_keeps_totals(tmp_path):
    path = problem(
        tmp_path,
        sbml(TURNOVER),
        ["a A 1", "b B 1", "c C 1"],
        [
            "observableId preequilibrationConditionId simulationConditionId measurement time",
            *(f"{name} rest go 1 {t}" for name in "abc" for t in (0, 1)),
        ],
        conditions=["conditionId u C", "rest 6 8", "go 3 NaN"],
    )
    found = cc.simulate_petab(cc.read_petab(path))
    # rest: 6 A = 3 B with A + B = 3; then A relaxes to 1.5 with rate 6
    a = 1.5 - 0.5 * np.exp(-6.0 * np.array([0.0, 1.0]))
    assert found.h == pytest.approx([*a, *(3.0 - a), 8.0, 8.0], rel=1e-6)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("problem.yaml", "format_version: 1", "format_version: 7", "format '7'"),
        ("problem.yaml", "model.xml", "http://a.b/model.xml", "download it first"),
        ("problem.yaml", "conditions.tsv", "nowhere.tsv", "there is no file"),
        ("problem.yaml", "problems:", "problems: [", "not a PEtab problem"),
        (
            "problem.yaml",
            "format_version: 1",
            "!!python/object/apply:os.system [id]: 1",
            "not a PEtab",
        ),
        ("parameters.tsv", "log10", "log7", "parameterScale"),
        ("parameters.tsv", "0.1", "ten", "lowerBound of parameter 'k' is no number"),
        ("parameters.tsv", "0.1", "20", "cross"),
        ("parameters.tsv", "0.1", "-1", "log10 scale"),
        ("parameters.tsv", "k\t", "k k\t", "is no id"),
        ("parameters.tsv", "k\t", "kk\t", "parameter 'kk' of the parameter table occurs neither"),
        ("observables.tsv", "observableFormula", "formula", "no column 'observableFormula'"),
        ("observables.tsv", "A", "A+nothing", "'nothing', which is not defined"),
        ("measurements.tsv", "c1", "c9", "no row 'c9'"),
        ("measurements.tsv", "\t1\t", "\tinf\t", "is inf"),
        ("measurements.tsv", "\t2\n", "\t-2\n", "must be 0 or later"),
        (
            "conditions.tsv",
            "conditionId",
            "conditionId\tq",
            "no compartment, species or parameter 'q'",
        ),
    ],
)
def test_damaged_tables_are_refused_in_one_sentence(tmp_path, file, old, new, words):
    path = problem(tmp_path, sbml(decay()), ["o A 1"], ["o c1 1 2"], ["k log10 0.1 10 0.5 1"])
    if file == "conditions.tsv":
        (tmp_path / file).write_text("conditionId\tq\nc1\t1\n")
    else:
        text = (tmp_path / file).read_text()
        assert old in text
        (tmp_path / file).write_text(text.replace(old, new, 1))
    with pytest.raises(cc.CollocodeError) as error:
        cc.simulate_petab(cc.read_petab(path))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
