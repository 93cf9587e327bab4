"""Sentences that are built from numbers: counts with their nouns, and numbers that have to look different."""

import ast
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import collocode as cc
from collocode.checks import apart

SOURCE = Path(cc.__file__).parent
COUNT = re.compile(
    r"len\(.*\)|.*\.shape\[.*\]|.*\.(columns|rows|layers|inputs|outputs|elements|samples|units|size|nodes)"
)
SEVERAL = {
    "_CLASSES",
    "columns",
    "others",
    "loop.plans",
    "times",
}  # the noun follows where there are always many


def uncounted(tree):
    """Counts in f-strings with a plural behind them, whatever the count is."""
    for node in ast.walk(tree):
        for value, text in itertools.pairwise(getattr(node, "values", ())):
            if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                source = ast.unparse(value.value)
                plural = re.match(r" (?!is|was|has|times)[a-z]+s\b", str(text.value))
                if plural and COUNT.fullmatch(source) and value.format_spec is None:
                    yield f"{source}{plural[0]}"


def test_counts_are_told_with_their_noun():
    files = sorted(SOURCE.rglob("*.py"))
    found = [(path.name, one) for path in files for one in uncounted(ast.parse(path.read_text()))]
    assert not [pair for pair in found if not any(f"({name})" in pair[1] for name in SEVERAL)]


def test_the_search_finds_a_plural_that_is_always_one():
    tree = ast.parse("""f'there are {len(x)} columns and {counted(3, "row")}, {x.shape[0]} rows'""")
    assert list(uncounted(tree)) == ["len(x) columns", "x.shape[0] rows"]


@pytest.mark.parametrize(
    "numbers",
    [
        (0.1, 0.1 + 1e-16, 0.3),
        (3.0, np.nextafter(3.0, 0.0)),
        (1.7e9, 1.7e9 + 2.4e-7),
        (np.inf, -np.inf, 0.0),
    ],
)
def test_numbers_that_differ_look_different_and_are_told_exactly_enough(numbers):
    told = apart(*numbers)
    assert len(set(told)) == len(set(numbers))
    assert [float(text) for text in told] == pytest.approx(list(numbers), rel=1e-6)


def test_numbers_that_look_different_stay_short():
    assert apart(1 / 3, 2 / 3, 1 / 3) == ["0.333333", "0.666667", "0.333333"]


T = np.linspace(0.0, 3.0, 10)
DATA = np.exp(-T)[:, None]


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (
            lambda: cc.Experiment(T, DATA, ("x",), end=np.nextafter(3.0, 0.0)),
            r"window \[0\.0, 2\.9999999999999996\] does not cover the measurements \[0\.0, 3\.0\]",
        ),
        (
            lambda: cc.Parameter("k", 1.0, upper=np.nextafter(1.0, 0.0)),
            r"starts at 1, outside its bounds \[-inf, 0\.9999999999999999\]",
        ),
        (
            lambda: cc.Window(start=1.0, end=np.nextafter(1.0, 0.0)),
            r"runs from 1 to 0\.9999999999999999;",
        ),
        (
            lambda: cc.Mesh.uniform(0.0, 1.0, 4).locate(1.0 + 1e-8),
            r"time 1\.00000001 lies outside the mesh \[0, 1\]",
        ),
    ],
    ids=["window", "parameter", "ends", "mesh"],
)
def test_a_refusal_shows_in_what_two_numbers_differ(refused, told):
    with pytest.raises(cc.InputError, match=told):
        refused()
