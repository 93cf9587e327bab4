"""Where does a network want another layer, and what does that layer bring?"""

import collocode as cc
from collocode import layered

samples, validation = layered.spiral2d(400)
first = layered.LayeredNetwork(
    inputs=2,
    outputs=1,
    width=4,
    mesh=cc.Mesh.uniform(0, 1, 1),
    block=layered.ResidualBlock("silu_tanh"),
    lift="pad",
)
problem = layered.LayeredProblem(
    first,
    samples,
    layered.LogisticLoss(),
    layered.Regularisation(1e-4, 1e-4),
    validation=validation,
    name="Spiral",
)

growth = cc.grow(problem, "topological", max_layers=5, iterations=60)
for cycle in growth.cycles[:-1]:
    accuracy = cycle.training.history["training"].max()
    print(f"layers {cycle.layers}: accuracy {accuracy:.2f}, objective {cycle.extension.before:.3f}")
print(f"{growth.status}; {growth.best.history['validation'].max():.2f} on validation")
