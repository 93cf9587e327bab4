"""Records are made of numbers, texts, functions and dicts: anything else is refused by the field's name."""

import dataclasses
import re

import numpy as np
import pytest

import collocode as cc
from collocode import errors, layered, relu

# how each is made properly, so that one argument after the other can be spoilt
MADE = {
    cc.L1: {},
    cc.L2: {},
    cc.Evidence: {},
    cc.Huber: {"delta": 1.0},
    cc.PseudoHuber: {"delta": 1.0},
    cc.Parameter: {"name": "k", "start": 1.0},
    cc.PathConstraint: {"name": "c", "function": lambda t, x, u, p, nn: 0.0},
    cc.PointConstraint: {"name": "c", "function": lambda x: 0.0, "points": [[1.0]]},
    cc.AutoMesh: {},
    cc.ADMMRules: {},
    cc.Partition: {"batches": 2},
    cc.InProcess: {},
    cc.ProcessPool: {},
    cc.DaskCluster: {},
    layered.Adam: {},
    layered.GaussNewton: {},
    layered.SteepestDescent: {},
    relu.OptimizationSettings: {},
    relu.TrainingSettings: {},
}
KINDS = {"float", "int", "str", "bool", "None"}
WRONG = [object(), [1.0, 2.0], np.array([1.0, 2.0]), {"a": 1}, 1j, "a text"]


def fields():
    """Fields of simple kinds, and what is none of them."""
    found = []
    for kind in MADE:
        for field in dataclasses.fields(kind):
            parts = set(str(field.type).replace(" ", "").split("|"))
            if field.init and parts <= KINDS:
                wrong = [w for w in WRONG if not (isinstance(w, str) and "str" in parts)]
                found.append(
                    pytest.param(kind, field.name, wrong, id=f"{kind.__name__}-{field.name}")
                )
    return found


@pytest.mark.parametrize(("kind", "name", "wrong"), fields())
def test_a_field_of_another_kind_is_refused_by_its_name(kind, name, wrong):
    for value in wrong:
        with pytest.raises(cc.InputError, match=name):
            kind(**{**MADE[kind], name: value})


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.__name__)
def test_numbers_of_numpy_are_numbers(kind):
    """Whatever is a number by default may be one of NumPy's, also an array without dimensions."""
    for field in dataclasses.fields(kind):
        default = MADE[kind].get(field.name, field.default)
        if field.init and type(default) in (int, float):
            for made in (
                type(default),
                np.float64 if type(default) is float else np.int64,
                np.array,
            ):
                kind(**{**MADE[kind], field.name: made(default)})


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cc.LeastSquares(sigma="x"), "sigma of all must be positive and finite, not 'x'"),
        (lambda: cc.LeastSquares(sigma={"y": "x"}), "sigma of y must be positive"),
        (lambda: cc.Signal([0, 1], "ab"), "values of an input cannot be read as numbers"),
        (lambda: cc.Signal("ab", [0, 1]), "times of an input cannot be read as numbers"),
        (lambda: cc.Mesh("a"), "points of a mesh cannot be read as numbers"),
        (lambda: cc.MLP("ab"), "positive integer widths, such as (2, 32, 2), not 'ab'"),
        (lambda: cc.MLP((2, 2.5, 1)), "positive integer widths"),
    ],
)  # fmt: skip
def test_what_is_no_field_of_a_simple_kind(call, says):
    with pytest.raises(cc.InputError, match=re.escape(says)):
        call()


def test_unions_are_split_outside_of_brackets():
    found = errors._alternatives("float | Mapping[str, int | None] | None")
    assert found == ["float", "Mapping[str,int|None]", "None"]
