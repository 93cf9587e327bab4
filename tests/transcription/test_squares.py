"""Sums of squares of what is linear give what their graphs give: values, derivatives and patterns."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

import collocode as cc
from collocode.transcription.assembly import assemble
from tests.transcription.random_problems import cases


def by_graph(nlp: cc.NLP) -> cc.NLP:
    terms = [replace(term, squares=None) for term in nlp.terms]
    return replace(nlp, functions=assemble(terms, nlp.linear, len(nlp.p)))


def derivatives(nlp: cc.NLP, scaled: bool) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    view = nlp.scaled() if scaled else nlp
    x, lam = rng.normal(size=nlp.columns), rng.normal(size=nlp.rows)
    f, gradient = view.functions.gradient(x, nlp.p)
    hessian = view.functions.hessian(x, nlp.p, 0.7, lam)
    rows, columns = hessian.sparsity().get_triplet()
    return [np.asarray(v) for v in (f, gradient, hessian.nonzeros(), rows, columns)]


def agree(nlp: cc.NLP) -> None:
    for scaled in (False, True):
        pairs = zip(derivatives(nlp, scaled), derivatives(by_graph(nlp), scaled), strict=True)
        for ours, graph in pairs:
            np.testing.assert_allclose(ours, graph, rtol=1e-12, atol=1e-12 * abs(graph).max())


def squares(nlp: cc.NLP) -> set[str]:
    return {term.name for term in nlp.terms if term.squares is not None}


@settings(max_examples=8)
@given(cases())
def test_random_problems(case):
    agree(case.nlp())


@pytest.mark.parametrize("varies", [False, True])
def test_missing_values_weights_priors_and_weights_in_time(varies):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(20, 2))
    values[3, 1] = values[7] = np.nan
    t = np.sort(rng.uniform(0.0, 2.0, 20))
    runs = [
        cc.Experiment(t, values, ("b", "c"), name="long", weights=rng.uniform(0.5, 2.0, (20, 2))),
        cc.Experiment(t[:9], values[:9], ("b", "c"), name="short", initial={"a": 0.2}),
    ]
    network = cc.MLP((3, 4, 3))
    if varies:
        network = cc.TimeVarying(network, cc.Legendre(2, (0.0, 2.0)))
    problem = cc.Problem(
        cc.NeuralODE(network),
        runs,
        states=("a", "b", "c"),
        regularisation=cc.L2(0.1),
        loss=cc.LeastSquares(0.3),
    )
    nlp = cc.discretize(problem, mesh=4)
    prior = {"prior_mean": rng.normal(size=len(nlp.parameters["prior_mean"]))}
    prior["prior_weight"] = rng.uniform(size=len(prior["prior_mean"]))
    assert squares(nlp) >= {"misfit", "ridge", "prior"}
    agree(nlp.with_parameters(**prior))


def test_only_squares_of_states_are_taken_for_such():
    t = np.linspace(0.0, 1.0, 9)
    data = cc.Experiment(t, np.exp(-t), ("x",))
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.x], parameters=[cc.Parameter("k", 1.0)])
    for more, found in (
        ({}, True),
        ({"loss": cc.Huber(1.0, 0.1)}, False),
        ({"loss": cc.Normal(0.1)}, False),
        ({"states": ("x",), "observe": lambda x, u, p: [x.x]}, False),
    ):
        nlp = cc.discretize(cc.Problem(decay, data, **more), mesh=3)
        assert ("misfit" in squares(nlp)) is found
