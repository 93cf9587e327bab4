"""SBML and PEtab files that are damaged or hostile: refused in one sentence, whatever is wrong with them."""

import random
import re
import warnings

import pytest

import collocode as cc
from collocode.errors import CollocodeError

from .conftest import decay, problem, sbml

JUNK = (
    "",
    "nan",
    "inf",
    "-1",
    "1e999",
    "x" * 300,
    "__import__('os')",
    "A;B",
    "ü",
    "1,5",
    "\x00",
    "c1",
)


def small(folder):
    return problem(
        folder,
        sbml(decay()),
        ["a observableParameter1_a*A noiseParameter1_a", "b B 0.3"],
        [
            "observableId simulationConditionId measurement time observableParameters noiseParameters",
            "a c1 2.5 1 scale sd",
            "a c2 1.9 2 1.5 sd",
            "b c2 4 1 - -",
        ],
        ["scale log10 0.1 10 1.2 1", "sd log10 0.01 10 0.2 1"],
        ["conditionId k A", "c1 0.2 2", "c2 0.3 3"],
    )


def refused(path):
    """What everything short of a simulation raises, if anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            cc.from_petab(path)
        except CollocodeError as error:
            return str(error)
    return "nothing"


def damaged(text, rng):
    """A file with a field, a line or a piece changed, or cut off."""
    way = rng.randrange(5)
    if way == 0:
        return text[: rng.randrange(len(text))]
    if way == 1:
        fields = re.split(r"([\t\n<>\"= ])", text)
        fields[rng.randrange(len(fields))] = rng.choice(JUNK)
        return "".join(fields)
    lines = text.split("\n")
    place = rng.randrange(len(lines))
    if way == 2:
        del lines[place]
    elif way == 3:
        lines.insert(place, lines[rng.randrange(len(lines))])
    else:
        fields = lines[place].split("\t")
        fields[rng.randrange(len(fields))] = rng.choice(JUNK)
        lines[place] = "\t".join(fields)
    return "\n".join(lines)


@pytest.mark.parametrize(
    "name",
    [
        "problem.yaml",
        "model.xml",
        *(f"{t}.tsv" for t in ("parameters", "conditions", "observables", "measurements")),
    ],
)
def test_damaged_files_are_read_or_refused_in_one_sentence(tmp_path, name):
    path, rng = small(tmp_path), random.Random(name)
    good = (tmp_path / name).read_text()
    for _ in range(15):
        (tmp_path / name).write_text(damaged(good, rng))
        words = refused(path)
        assert words
        assert "\n" not in words
        assert len(words) < 700


@pytest.mark.parametrize("given", [3, None, 1.5, ["problem.yaml"]])
@pytest.mark.parametrize("function", [cc.from_petab, cc.read_petab, cc.read_sbml])
def test_what_is_no_path_is_named(function, given):
    with pytest.raises(cc.InputError, match=r"takes a str.*, not"):
        function(given)


def test_aliases_that_multiply_are_not_followed(tmp_path):
    path = small(tmp_path)
    bomb = 'a: &a ["x", "x"]\n' + "".join(
        f"{chr(98 + k)}: &{chr(98 + k)} [*{chr(97 + k)}, *{chr(97 + k)}]\n" for k in range(24)
    )
    good = path.read_text()
    for key in ("format_version", "parameter_file"):
        path.write_text(bomb + re.sub(f"{key}: .*", f"{key}: *y", good))
        with pytest.raises(cc.InputError):
            cc.read_petab(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "C:\\model.xml", "x" * 300])
def test_files_are_beside_the_problem(tmp_path, name):
    path = small(tmp_path)
    path.write_text(path.read_text().replace("model.xml", name))
    with pytest.raises(cc.InputError, match="relative path"):
        cc.read_petab(path)


def test_a_missing_file_is_named(tmp_path):
    path = small(tmp_path)
    (tmp_path / "model.xml").unlink()
    with pytest.raises(cc.FileError, match=r"model\.xml"):
        cc.read_petab(path)


def test_extensions_and_other_versions_are_refused(tmp_path):
    path = small(tmp_path)
    text = path.read_text()
    path.write_text(text.replace("format_version: 1", "format_version: 3.0.0"))
    with pytest.raises(cc.InputError, match=r"format '3\.0\.0'; versions 1 and 2 are read"):
        cc.read_petab(path)
    path.write_text(
        text.replace(
            "format_version: 1", "format_version: 2.0.0\nextensions:\n  maps:\n    version: 1"
        )
    )
    with pytest.raises(cc.InputError, match="extension 'maps'"):
        cc.read_petab(path)
