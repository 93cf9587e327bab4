"""Train a ReLU network on samples of a function, and find its largest value, proved."""

import numpy as np

from collocode import relu


def hills(x):
    return np.sin(2 * x[:, 0]) * np.cos(x[:, 1]) + 0.3 * x[:, 0]


box = [(-2.0, 2.0), (-1.5, 1.5)]
asked = relu.Surrogate(
    box,
    hills,
    hidden=(10, 10),
    training=relu.TrainingSettings(epochs=300, big_m=1e-3),  # small big-Ms: little to search
    samples=1500,
)
drawn = asked.draw()
network = asked.train(drawn).network
told = relu.analyse(network, box, data=(drawn.x_test, drawn.y_test))
print(f"test error: {told.error.relative[0]:.3f} of the standard deviation")

# the largest value where x0 + x1 is at most 1
found = relu.maximize(network, box, constraints=([[1.0, 1.0]], -np.inf, 1.0))
print(found.status.value, "value of the network:", round(found.value, 2))
print("the function there:", hills(found.x[None]).round(2))

# tighter bounds, smaller big-Ms; split bounds leave out where the optimum cannot be
interval, lp, split = told.facts
print("mean big-M, lp over interval:", round(lp.big_m_mean / interval.big_m_mean, 2))
print("undecided units:", interval.undecided, lp.undecided, split.undecided)
