"""Where does the next layer pay? Train, estimate, bisect, train on."""

import collocode as cc
from collocode import layered

samples, validation = layered.spiral2d(n=500, seed=0)
network = layered.LayeredNetwork(inputs=2, outputs=1, width=2, mesh=cc.Mesh.uniform(0, 5, 2))
problem = layered.LayeredProblem(
    network,
    samples,
    layered.LogisticLoss(),
    layered.Regularisation(1e-3, 1e-3),
    validation=validation,
)

found = cc.refine_layers(problem, max_layers=8, compare=True)
print(f"chosen by validation: accuracy {found.best.score:.2f}")
for name, run in (("adaptive", found), ("uniform", found.uniform)):
    print(f"{name}: begins with {run.cycles[0].layers} layers, at most {run.cycles[-1].layers}")

# the estimate alone, for a network that was trained otherwise
trained = layered.train(problem.objective, "lbfgs", validation=validation, iterations=100)
estimate = cc.estimate_layers(problem.objective, trained.theta)
print(f"{len(estimate.indicators)} indicators of error, {len(estimate.freedom)} of freedom")
