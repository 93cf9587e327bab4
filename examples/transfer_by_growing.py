"""A network trained on one device, carried over to another of which there are few data: new layers only."""

import numpy as np

import collocode as cc
from collocode import layered


def response(samples, wear, seed):
    """Torque over angle, current and temperature; wear bends the characteristic."""
    X = np.random.default_rng(seed).uniform(-1.0, 1.0, (samples, 3))
    angle, current, heat = X.T
    torque = 2.0 + current * np.sin(3.0 * angle) + np.cos(2.0 * angle + heat)
    return layered.Samples(X, (torque + wear * torque**2)[:, None])


def problem(network, samples, validation):
    ridge = layered.Regularisation(1e-5, 1e-5)
    return layered.LayeredProblem(network, samples, regularisation=ridge, validation=validation)


block = layered.ResidualBlock("silu_tanh")
first = layered.LayeredNetwork(3, 1, 6, cc.Mesh.uniform(0, 1, 1), block=block, lift="opening")

# the new device: 300 samples; the worn one: 40 to train with, 20 to choose the depth
new = cc.grow(
    problem(first, response(300, 0.0, 1), response(100, 0.0, 2)), max_layers=3, iterations=60
)
few, some, test = response(40, 0.2, 3), response(20, 0.2, 4), response(400, 0.2, 5)
worn = problem(first, few, some)
kept = ("opening", "coefficients")
carried = cc.grow(worn, max_layers=5, iterations=40, start=new.best, freeze=kept)
alone = cc.grow(worn, max_layers=5, iterations=40)


def error(network, theta):
    return worn.with_network(network).objective.score(theta, test)


print("unchanged:", " and ".join(kept), "of the new device's network")
print(f"as it was: {error(new.network, new.theta):.2f}")
print(f"the few samples alone: {error(alone.network, alone.theta):.2f}")
print(f"carried over: {error(carried.network, carried.theta):.2f}")
