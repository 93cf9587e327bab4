"""How many elements does a parameter need: everywhere, and only where its error comes from?"""

import numpy as np
from scipy.integrate import solve_ivp

import collocode as cc

t = np.linspace(0.0, 25.0, 201)
run = solve_ivp(
    lambda t, y: [y[1], 8.0 * (1.0 - y[0] ** 2) * y[1] - y[0]],
    (0, 25),
    [2, 0],
    "LSODA",
    t,
    rtol=1e-10,
)
noisy = run.y.T + 0.1 * np.random.default_rng(0).standard_normal((201, 2))
relaxation = cc.Dynamics(
    lambda t, y, u, p, nn: [y.y2, p.mu * (1.0 - y.y1**2) * y.y2 - y.y1],
    parameters=[cc.Parameter("mu", start=6.0, lower=0.0, upper=20.0)],
)
problem = cc.Problem(relaxation, cc.Experiment(t, noisy, outputs=("y1", "y2")))

found = cc.refine(problem, tol=1e-3, goal="parameter:mu", mesh=60, compare=True)
for name, run in (("adaptive", found), ("uniform", found.uniform)):
    sizes = " ".join(str(cycle.elements) for cycle in run.cycles)
    print(f"{name}: {run.status}, mu = {run.estimate.value:.3f} on {sizes} elements")
steps = np.diff(found.estimate.meshes[0])
print(f"longest element {steps.max():.3f}, shortest {steps.min():.3f}")
