"""Forms: what fits comes back as it is meant, and what does not is named by its place."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

import numpy as np
import pytest

from collocode.forms import Numbers, fitted, form_of


class Colour(Enum):
    RED = "red"


@dataclass
class Part:
    name: str
    sizes: tuple[int, ...]
    weights: dict[str, float] | None = None
    made: int = field(default=0, init=False)


ROW = Numbers(("n",))
PAIR = {"x": ROW, "y": ROW}
MATRIX = Numbers(("n", 2), finite=True)


@pytest.mark.parametrize(
    ("value", "form", "found"),
    [
        ("a", str, "a"),
        (3, int, 3),
        (3, float, 3.0),
        (True, bool, True),
        (None, None, None),
        (None, (str, None), None),
        ({"any": [1, "a"]}, object, {"any": [1, "a"]}),
        ("RED", Colour, "RED"),
        ("one", Literal["one", "two"], "one"),
        ([1, 2], [float], [1.0, 2.0]),
        ({"a": 1}, {"a": int, "b?": int}, {"a": 1}),
        ({"a": 1, "c": "d"}, {"a": int, "*": str}, {"a": 1, "c": "d"}),
        (
            {"name": "p", "sizes": [1], "weights": {"w": 1}},
            Part,
            {"name": "p", "sizes": [1], "weights": {"w": 1.0}},
        ),
    ],
)
def test_what_fits(value, form, found):
    answer = fitted(value, form)
    assert answer == found
    assert type(answer) is type(found)


@pytest.mark.parametrize(
    ("value", "form", "message"),
    [
        (1, str, "the content is 1 and not text"),
        (True, int, "the content is True and not a whole number"),
        (True, float, "the content is True and not a number"),
        (1.0, int, "the content is 1.0 and not a whole number"),
        (1, bool, "the content is 1 and not true or false"),
        (2**63, int, "the content is too large a number"),
        (10**400, float, "the content is too large a number"),
        ("a", None, "the content is 'a' and not nothing"),
        ([], str, "the content is a list and not text"),
        ("a", [str], "the content is 'a' and not a list"),
        ([["a"]], {"a": str}, "the content is a list and not a mapping"),
        ([{"a": 1}, {"a": "x"}], [{"a": int}], r"1\.a is 'x' and not a whole number"),
        ({}, {"a": {"b": int}}, "'a' is missing"),
        ({"a": {}}, {"a": {"b": int}}, "'a.b' is missing"),
        ({"a": 1, "z": 2}, {"a": int}, "'z' is none of its entries"),
        ({"a": 1, "z": 2}, {"a": int, "*": str}, "z is 2 and not text"),
        (1, (str, None), "the content is 1 and not text"),
        ("BLUE", Colour, "the content is 'BLUE' and not a Colour"),
        (["RED"], Colour, "the content is a list and not a Colour"),
        ("three", Literal["one", "two"], "the content is 'three' and not 'one' or 'two'"),
        ({"name": "p", "sizes": ["1"], "weights": None}, Part, r"sizes\.0 is '1'"),
        ([1.0], ROW, "the content is a list and not an array"),
        (
            {"x": np.zeros(2), "y": np.zeros(3)},
            PAIR,
            r"y does not fit: its shape is \(3,\), not \(2\)",
        ),
        (np.zeros((2, 2)), ROW, "does not fit"),
        (np.zeros((2, 3)), MATRIX, r"its shape is \(2, 3\), not \(2, 2\)"),
        (np.full((1, 2), np.nan), MATRIX, "values that are not finite"),
        (np.zeros(2, "f4"), ROW, "an array of float32 and not of float64"),
        (np.array(["a"]), Numbers(dtype=None), "an array of <U1 and not of numbers"),
    ],
)
def test_what_does_not_fit(value, form, message):
    with pytest.raises(ValueError, match=message):
        fitted(value, form)


def test_lengths_of_one_name_agree_within_a_mapping_and_not_beside_it():
    short, long = ({"x": np.zeros(n), "y": np.zeros(n)} for n in (2, 3))
    fitted([short, long], [PAIR])
    fitted({"one": short, "other": long}, {"*": PAIR})
    fitted({"one": short, "other": long}, {"one": PAIR, "other": PAIR})
    with pytest.raises(ValueError, match=r"deeper\.x does not fit"):
        fitted({"x": np.zeros(2), "deeper": long}, {"x": ROW, "deeper": PAIR})


def test_arrays_of_another_byte_order_are_the_same_numbers():
    assert fitted(np.ones(2, ">f8"), ROW).tolist() == [1.0, 1.0]


def test_a_dataclass_is_a_form_of_its_fields():
    assert form_of(Part) == {"name": str, "sizes": [int], "weights": ({"*": float}, None)}
