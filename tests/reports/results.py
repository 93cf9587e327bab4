"""One small result of every kind that `report` takes, each with what it does not keep."""

from functools import cache

import numpy as np

import collocode as cc
from collocode import layered, relu
from tests.cli.small_models import DECAY, NETWORK
from tests.relu.nets import random_network

SQUARE = "g3 1 1 0\n 1 0 1 0 0\n 0 1\n 0 0\n 0 1 0\n 0 0 0 1\n 0 0 0 0 0\n 0 1\n 0 0\n 0 0 0 0 0\n"
SQUARE += "O0 0\no5\no0\nv0\nn-3\nn2\nx1\n0 1\nb\n3\nk0\nG0 1\n0 0\n"  # min (x - 3)^2


def decay(**settings):
    space = {}
    exec(DECAY, space)
    return space["problem"](**settings)


def learnt():
    space = {}
    exec(NETWORK, space)
    return space["problem"]()


def layers():
    X = np.random.default_rng(0).uniform(-1.0, 1.0, (60, 2))
    samples = layered.Samples(X, np.sin(2.0 * X[:, :1]) * X[:, 1:])
    training, validation, test = samples.split(30, 15)
    block = layered.ResidualBlock("silu_tanh")
    network = layered.LayeredNetwork(2, 1, 3, cc.Mesh.uniform(0, 2, 2), None, block, "pad")
    parts = {"validation": validation, "test": test}
    return layered.LayeredProblem(network, training, **parts, name="Wave", source="made up")


def surrogate():
    def bowl(x):
        return 1.0 - (x**2).sum(axis=1)

    network = random_network(1, (2, 4, 1))
    box = [(-1.0, 1.0), (-1.0, 1.0)]
    return relu.Surrogate(box, bowl, network=network, samples=40, name="Bowl", source="made up")


def program(folder):
    path = folder / "square.nl"
    path.write_text(SQUARE)
    return cc.read_nl(path)


@cache
def result(kind):
    """Return a result, and what `report` takes beside it."""
    if kind == "solution":
        return cc.fit(decay(), mesh=4), None
    if kind == "unsolved":
        return cc.fit(decay(), mesh=4, options={"max_iter": 1}), None
    if kind == "sweep":
        return cc.sweep(learnt(), values=[1e-2, 1e-4], mesh=4), None
    if kind == "multistart":
        return cc.multistart(learnt(), 2, mesh=4), None
    if kind == "refinement":
        return cc.refine(
            decay(), 1e-5, "parameter:k", scheme="trapezoid", mesh=3, compare=True
        ), None
    if kind == "admm":
        return cc.admm(
            decay(), 2, settings=cc.FitSettings(mesh=4), rules=cc.ADMMRules(rho=0.01, iterations=4)
        ), None
    problem = layers()
    if kind == "training":
        return layered.train(
            problem.objective, iterations=5, validation=problem.validation
        ), problem
    if kind == "layers":
        return cc.refine_layers(problem, max_cycles=2, iterations=5, compare=True), None
    if kind == "growth":
        return cc.grow(problem, max_layers=3, iterations=5), problem
    if kind == "relu":
        asked = surrogate()
        return relu.maximize(asked.network, asked.box), asked
    if kind == "simulation":
        solution = result("solution")[0]
        return solution.simulate(), solution
    raise KeyError(kind)


KINDS = (
    *("solution", "unsolved", "sweep", "multistart", "refinement", "admm", "training"),
    *("layers", "growth", "relu", "simulation"),
)
