"""Small SBML models and PEtab problems written by hand."""

import re

import pytest

libsbml = pytest.importorskip("libsbml")


def mathml(formula):
    """The <math> element of an infix formula."""
    tree = libsbml.parseL3Formula(formula)
    assert tree is not None, formula
    return libsbml.writeMathMLToString(tree).split("?>", 1)[1]


def sbml(body, level=3, version=2):
    """A document; ``{{formula}}`` in the body becomes MathML."""
    text = re.sub(r"\{\{(.*?)\}\}", lambda found: mathml(found[1]), body)
    space = f"http://www.sbml.org/sbml/level{level}/version{version}" + (
        "/core" if level > 2 else ""
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><sbml xmlns="{space}" level="{level}" '
        f'version="{version}"><model id="m">{text}</model></sbml>'
    )


SPECIES = (
    '<species id="{}" compartment="{}" {} hasOnlySubstanceUnits="{}" boundaryCondition="{}" '
    'constant="false"/>'
)


def species(id, compartment, substance=False, boundary=False, **start):
    ((kind, value),) = start.items()
    start = f'initial{kind.capitalize()}="{value}"'
    flags = str(substance).lower(), str(boundary).lower()
    return SPECIES.format(id, compartment, start, *flags)


def decay(more="", species_more="", volume=2.0):
    """A -> B by k A V: A is a concentration, B an amount."""
    return (
        f'<listOfCompartments><compartment id="V" size="{volume}" constant="true"/></listOfCompartments>'
        f"<listOfSpecies>{species('A', 'V', concentration=3)}"
        f"{species('B', 'V', amount=1, substance=True)}{species_more}</listOfSpecies>"
        '<listOfParameters><parameter id="k" value="0.5" constant="true"/></listOfParameters>'
        f"{more}"
        '<listOfReactions><reaction id="r" reversible="false"><listOfReactants>'
        '<speciesReference species="A" stoichiometry="1" constant="true"/></listOfReactants>'
        '<listOfProducts><speciesReference species="B" stoichiometry="2" constant="true"/></listOfProducts>'
        "<kineticLaw>{{k * A * V}}</kineticLaw></reaction></listOfReactions>"
    )


def problem(
    folder, model, observables, measurements, parameters=(), conditions=("conditionId", "c1")
):
    """Write a PEtab problem; rows are strings with columns separated by spaces."""
    (folder / "model.xml").write_text(model)
    tables = {
        "parameters": [
            "parameterId parameterScale lowerBound upperBound nominalValue estimate",
            *parameters,
        ],
        "conditions": list(conditions),
        "observables": observables
        if observables[0].startswith("observableId")
        else ["observableId observableFormula noiseFormula", *observables],
        "measurements": measurements
        if measurements[0].startswith("observableId")
        else ["observableId simulationConditionId measurement time", *measurements],
    }
    for name, rows in tables.items():
        text = "\n".join("\t".join("" if f == "-" else f for f in r.split(" ")) for r in rows)
        (folder / f"{name}.tsv").write_text(text + "\n")
    (folder / "problem.yaml").write_text(
        "format_version: 1\nparameter_file: parameters.tsv\nproblems:\n"
        "- sbml_files: [model.xml]\n  condition_files: [conditions.tsv]\n"
        "  observable_files: [observables.tsv]\n  measurement_files: [measurements.tsv]\n"
    )
    return folder / "problem.yaml"


@pytest.fixture
def predicted(tmp_path):
    """Predictions of formulas at times, by an SBML body."""
    import collocode as cc

    def of(body, formulas, times, level=3, version=2, **more):
        observables = [f"o{k} {f.replace(' ', '')} 1" for k, f in enumerate(formulas)]
        rows = [f"o{k} c1 1 {t}" for k in range(len(formulas)) for t in times]
        path = problem(tmp_path, sbml(body, level, version), observables, rows, **more)
        found = cc.simulate_petab(cc.read_petab(path))
        assert found.complete
        return found.h.reshape(len(formulas), len(times))

    return of
