"""PEtab 2: the same numbers as version 1's tables give, and what only version 2 says."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app

from .conftest import decay, problem, sbml, species

TABLES = {
    "parameter": ["parameterId lowerBound upperBound nominalValue estimate", "k 0.01 10 0.3 true"],
    "condition": ["conditionId targetId targetValue", "strong k 2", "much A 7", "strong A 4"],
    "experiment": ["experimentId time conditionId", "e 0 strong", "f 0 much"],
    "observable": [
        "observableId observableFormula noiseFormula noiseDistribution observablePlaceholders noisePlaceholders",
        "a scale*A s log-normal scale s",
    ],
    "measurement": [
        "experimentId observableId measurement time observableParameters noiseParameters",
        "e a 1.5 1 2 0.1",
        "f a 4 1 1 0.2",
        "- a 2 1 1 0.2",
    ],
}


def write(folder, model=None, version="2.0.0", **changed):
    """Write a problem of version 2; rows are strings with columns separated by spaces."""
    (folder / "model.xml").write_text(model or sbml(decay()))
    files = []
    for name, rows in {**TABLES, **changed}.items():
        text = "\n".join("\t".join("" if f == "-" else f for f in r.split(" ")) for r in rows)
        (folder / f"{name}.tsv").write_text(text + "\n")
        files.append(f"{name}_files: [{name}.tsv]")
    (folder / "problem.yaml").write_text(
        f"format_version: {version}\nmodel_files: {{m: {{location: model.xml, language: sbml}}}}\n"
        "extensions: {}\n" + "\n".join(files)
    )
    return folder / "problem.yaml"


def test_experiments_placeholders_and_distributions(tmp_path):
    found = cc.simulate_petab(cc.read_petab(write(tmp_path)))
    h = np.array([2 * 4 * np.exp(-2.0), 7 * np.exp(-0.3), 3 * np.exp(-0.3)])
    assert found.h == pytest.approx(h, rel=1e-7)
    y, s = np.array([1.5, 4.0, 2.0]), np.array([0.1, 0.2, 0.2])
    assert found.nllh == pytest.approx(-stats.lognorm.logpdf(y, s, scale=h).sum(), rel=1e-6)


def test_targets_are_set_to_formulas(tmp_path):
    changes = ["conditionId targetId targetValue", "strong A 2*k+1", "much k k^2"]
    found = cc.simulate_petab(cc.read_petab(write(tmp_path, condition=changes)), {"k": 0.5})
    h = [2 * 2 * np.exp(-0.5), 3 * np.exp(-0.25), 3 * np.exp(-0.5)]
    assert found.h == pytest.approx(h, rel=1e-7)


GROWS = (
    '<listOfCompartments><compartment id="V" size="1" constant="true"/></listOfCompartments>'
    f"<listOfSpecies>{species('A', 'V', concentration=0)}</listOfSpecies>"
    '<listOfParameters><parameter id="u" value="1" constant="true"/>'
    '<parameter id="k" value="1" constant="true"/></listOfParameters>'
    '<listOfReactions><reaction id="r" reversible="true"><listOfProducts>'
    '<speciesReference species="A" stoichiometry="1" constant="true"/></listOfProducts>'
    "<kineticLaw>{{u - k * A}}</kineticLaw></reaction></listOfReactions>"
)


def test_what_a_pre_equilibration_sets_holds_on_in_version_2(tmp_path):
    path = write(
        tmp_path,
        sbml(GROWS),
        parameter=TABLES["parameter"][:1],
        condition=["conditionId targetId targetValue", "rest u 3", "rest k 2", "go k 1"],
        experiment=["experimentId time conditionId", "e -inf rest", "e 0 go"],
        observable=["observableId observableFormula noiseFormula", "a A 1"],
        measurement=["experimentId observableId measurement time", "e a 1 0", "e a 1 1"],
    )
    found = cc.simulate_petab(cc.read_petab(path))
    assert found.h == pytest.approx([1.5, 3.0 - 1.5 * np.exp(-1.0)], rel=1e-7)
    # in version 1 a condition sets all that differs from the model
    (tmp_path / "one").mkdir()
    path = problem(
        tmp_path / "one",
        sbml(GROWS),
        ["a A 1"],
        [
            "observableId preequilibrationConditionId simulationConditionId measurement time",
            "a rest go 1 0",
            "a rest go 1 1",
        ],
        conditions=["conditionId u k", "rest 3 2", "go 1 1"],
    )
    found = cc.simulate_petab(cc.read_petab(path))
    assert found.h == pytest.approx([1.5, 1.0 + 0.5 * np.exp(-1.0)], rel=1e-7)


@pytest.mark.parametrize(
    ("row", "scale", "prior"),
    [
        ("k 0.01 10 0.3 true - -", "log10", None),
        ("k 1 10 3 true - -", "lin", None),
        ("k 0 10 0.3 true - -", "lin", None),
        ("k 0 10 0.3 true normal 1;2", "lin", ("normal", (1.0, 2.0))),
        ("k 0 10 0.3 true log-normal 0;2", "log10", ("logNormal", (0.0, 2.0))),
        ("k 0.01 10 0.3 true log-uniform 0.1;10", "log10", ("parameterScaleUniform", (-1.0, 1.0))),
    ],
)
def test_scales_and_priors(tmp_path, row, scale, prior):
    head = (
        "parameterId lowerBound upperBound nominalValue estimate priorDistribution priorParameters"
    )
    (k,) = cc.read_petab(write(tmp_path, parameter=[head, row])).estimated
    assert (k.scale, k.prior, k.starts) == (scale, prior, prior)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"experiment": ["experimentId time conditionId", "e 0 strong", "e 5 much", "f 0 much"]},
            "experiment 'e' has a period from time 5",
        ),
        ({"experiment": ["experimentId time conditionId", "e 0 weak", "f 0 much"]}, "'weak'"),
        ({"experiment": ["experimentId time conditionId", "f 0 much"]}, "'e'"),
        ({"mapping": ["petabEntityId modelEntityId", "kk k"]}, "calls 'k' of the model 'kk'"),
        (
            {"parameter": ["parameterId lowerBound upperBound nominalValue estimate", "k 0 1 1 1"]},
            "estimate of parameter 'k'",
        ),
        (
            {
                "parameter": [
                    TABLES["parameter"][0] + " priorDistribution priorParameters",
                    "k 0.1 1 1 true gamma 1;2",
                ]
            },
            "priorDistribution of parameter 'k'",
        ),
        (
            {
                "parameter": [
                    TABLES["parameter"][0] + " priorDistribution priorParameters",
                    "k 0.1 1 1 true log-uniform 0;2",
                ]
            },
            "log-uniform takes positive ones",
        ),
        (
            {"observable": [TABLES["observable"][0], "a scale*A s log10-normal scale s"]},
            "noiseDistribution of 'a'",
        ),
        (
            {"observable": [TABLES["observable"][0], "a scale*A s - scale;more s"]},
            "observableParameters of 'a' are 1, but it has 2 placeholders",
        ),
        (
            {"condition": ["conditionId targetId targetValue", "strong k nothing", "much A 7"]},
            "nothing",
        ),
        ({"condition": ["conditionId targetId targetValue", "strong q 1", "much A 7"]}, "'q'"),
    ],
)
def test_what_does_not_fit_together_is_named(tmp_path, changed, words):
    path = write(tmp_path, **changed)
    with pytest.raises(cc.InputError) as error:
        cc.simulate_petab(cc.read_petab(path))
    assert words in str(error.value)


def test_models_in_other_languages_are_refused(tmp_path):
    path = write(tmp_path)
    path.write_text(path.read_text().replace("language: sbml", "language: bngl"))
    with pytest.raises(cc.InputError, match="a model in 'bngl'"):
        cc.read_petab(path)


def test_solve_takes_it_and_writes_a_table_of_the_same_version(tmp_path):
    rows = [f"- a {value} {t} 1 0.1" for t, value in ((0, 3.0), (1, 2.22), (2, 1.65), (3, 1.22))]
    path, out = write(tmp_path, measurement=[TABLES["measurement"][0], *rows]), tmp_path / "out"
    run = CliRunner().invoke(app, ["solve", str(path), "--out", str(out), "--no-plots"])
    assert run.exit_code == 0, run.output
    table = pd.read_csv(out / "petab_parameters.tsv", sep="\t", dtype=str)
    assert table.columns.tolist() == TABLES["parameter"][0].split(" ")
    assert float(table["nominalValue"][0]) == pytest.approx(0.3, abs=0.005)
    assert table["estimate"].tolist() == ["true"]
    (tmp_path / "parameter.tsv").write_text((out / "petab_parameters.tsv").read_text())
    assert cc.simulate_petab(cc.read_petab(path)).h[1] == pytest.approx(3 * np.exp(-0.3), rel=0.01)
