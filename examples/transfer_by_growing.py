"""A network trained on one device, carried over to another of which there are few data: new layers only."""

import numpy as np

import collocode as cc
from collocode import layered


def response(samples, wear, seed):
    """Torque over angle, current and temperature; wear bends the characteristic."""
    X = np.random.default_rng(seed).uniform(-1.0, 1.0, (samples, 3))
    torque = 2.0 + X[:, 1] * np.sin(3.0 * X[:, 0]) + np.cos(2.0 * X[:, 0] + X[:, 2])
    return layered.Samples(X, (torque + wear * torque**2)[:, None])


def device(samples, validation, wear, seed):
    data, check = response(samples, wear, seed), response(validation, wear, seed + 1)
    ridge = layered.Regularisation(1e-5, 1e-5)
    return layered.LayeredProblem(first, data, regularisation=ridge, validation=check)


block = layered.ResidualBlock("silu_tanh")
first = layered.LayeredNetwork(3, 1, 6, cc.Mesh.uniform(0, 1, 1), block=block, lift="opening")
new, worn = device(300, 100, 0.0, seed=1), device(40, 20, 0.2, seed=3)
trained = cc.grow(new, max_layers=3, iterations=60)
kept = ("opening", "coefficients")
carried = cc.grow(worn, max_layers=5, iterations=40, start=trained.best, freeze=kept)
alone = cc.grow(worn, max_layers=5, iterations=40)

print("unchanged:", " and ".join(kept), "of the new device's network")
test, names = response(400, 0.2, 5), ("as it was", "the few samples alone", "carried over")
for name, growth in zip(names, (trained, alone, carried), strict=True):
    error = worn.with_network(growth.network).objective.score(growth.theta, test)
    print(f"{name}: {error:.2f}")
