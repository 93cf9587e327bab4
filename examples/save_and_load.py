"""A saved fit is data: load it elsewhere, simulate it, take the weights out."""

from pathlib import Path

import numpy as np

import collocode as cc

DATA = Path(__file__).parents[1] / "models" / "data"
problem = cc.Problem(
    cc.NeuralODE(cc.MLP((2, 8, 2))),
    cc.read_csv(DATA / "harmonic_oscillator.csv", time="t", outputs=["x", "v"]),
    regularisation=cc.L2(3e-4),
)
cc.fit(problem).save("oscillator.npz")

solution = cc.load("oscillator.npz")  # nothing in the file is executed
run = cc.simulate(solution.model, initial=[1.0, 0.0], times=np.linspace(0.0, 2 * np.pi, 5))
print("a quarter turn:", run.states[1].round(1) + 0.0)

network = solution.network()
(W1, b1), (W2, b2) = network.network.matrices(network.weights)
print("layers:", W1.shape, b1.shape, W2.shape, b2.shape)
print(solution.to_frame().columns.tolist())
