"""Records are made of numbers, texts, functions and dicts: anything else is refused by the field's name."""

import dataclasses
import re

import numpy as np
import pytest

import collocode as cc
from collocode import kinds, layered, relu

# how each is made properly, so that one argument after the other can be spoilt
MADE = {
    cc.L1: {},
    cc.L2: {},
    cc.Evidence: {},
    cc.Huber: {"delta": 1.0},
    cc.PseudoHuber: {"delta": 1.0},
    cc.Parameter: {"name": "k", "start": 1.0},
    cc.Dose: {"time": 0.0, "amount": 1.0, "to": "c"},
    cc.Switch: {"time": 0.0, "input": "u"},
    cc.Delay: {"by": 1.0},
    cc.Steady: {},
    cc.Prior: {"kind": "normal", "location": 0.0, "width": 1.0},
    cc.Calibration: {},
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


T = np.linspace(0.0, 1.0, 5)


def run(**given):
    return cc.Experiment(T, T, ("c",), **given)


def problem(experiment=None, **given):
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    return cc.Problem(decay, experiment or run(), **given)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cc.Dose([1.0], 1.0, to="c"), "time of Dose must be a number or a text"),
        (lambda: cc.Dose(0.0, 1.0, to="c", duration=-1.0), "a duration that is not negative"),
        (lambda: cc.Dose(0.0, np.nan, to="c"), "a finite time and amount"),
        (lambda: cc.Dilution(0.0, "a", of="c"), "factor of Dilution must be a number"),
        (lambda: cc.Dilution(0.0, 0.5, of=3), "of= of a dilution takes names"),
        (lambda: cc.Reset(0.0, [1.0]), "to of Reset must be a dict"),
        (lambda: cc.Reset(0.0, {"c": np.nan}), "sets 'c' to a finite number"),
        (lambda: cc.Switch(0.0, "u", np.nan), "a switch needs a finite time"),
        (lambda: cc.Steady(inputs={"u": np.nan}), "inputs['u'] of a steady state takes a finite number"),
        (lambda: cc.Steady(parameters={"k": [1.0]}), "parameters['k'] of a steady state takes"),
        (lambda: cc.Prior("normal", np.nan, 1.0), "needs finite numbers"),
        (lambda: cc.weighted("a", 1.0), "an initial state is a number"),
        (lambda: cc.weighted(1.0, "a"), "the std of a weighted initial state must be positive"),
        (lambda: cc.fixed("a"), "an initial state is a number"),
        (lambda: cc.bounded("a", 1.0), "a bounded initial state takes two numbers"),
        (lambda: cc.Poisson(3.0), "Poisson counts have no sigma"),
        (lambda: cc.doses([0.0, 1.0], [1.0, 2.0, 3.0], to="c"), "columns of one length"),
        (lambda: cc.doses(["a"], [1.0], to="c"), "times of doses cannot be read as numbers"),
        (lambda: run(events=3), "events= of experiment 'experiment' takes a Dose"),
        (lambda: run(steady=3), "steady= of experiment 'experiment' takes a Steady"),
        (lambda: run(parameters=3), "parameters of Experiment must be a dict"),
        (lambda: run(parameters={"k": np.nan}), "parameters['k'] of experiment"),
        (lambda: run(initial={"c": [1.0]}), "an initial state is a number"),
        (lambda: run(history=3), "history of Experiment must be a dict"),
        (lambda: run(inputs={"u": 3}), "inputs['u'] of experiment 'experiment' takes a Signal"),
        (lambda: run(instant="a"), "instant of Experiment must be a number"),
        (lambda: run(instant=-1.0), "no event takes less than 0"),
        (lambda: run(points=(np.nan,)), "points= are finite times"),
        (lambda: problem(delays=3), "delays of Problem must be a dict"),
        (lambda: problem(delays={"u": [1.0]}), "by of Delay must be a number or a text"),
        (lambda: problem(calibration=3), "calibration of Problem must be a dict"),
        (lambda: problem(parameters=["a"]), "Problem(parameters=...) takes a Parameter, not a str"),
        (
            lambda: cc.first_order_plus_dead_time(1.0, 2.0),
            "first_order_plus_dead_time(gain=...) takes a Parameter",
        ),
    ],
)  # fmt: skip
def test_what_laboratories_write_is_refused_in_one_sentence(call, says):
    with pytest.raises(cc.InputError, match=re.escape(says)) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_unions_are_split_outside_of_brackets():
    found = kinds.alternatives("float | Mapping[str, int | None] | None")
    assert found == ["float", "Mapping[str,int|None]", "None"]
