"""The same problem on other meshes and by other schemes."""

import numpy as np

import collocode as cc

t = np.linspace(0.0, 5.0, 51)
data = cc.Experiment(t, np.exp(-2.0 * t) + np.sin(t), outputs=("y",))
decay = cc.Dynamics(
    lambda t, x, u, p, nn: [-p.k * (x.y - np.sin(t)) + np.cos(t)],
    parameters=[cc.Parameter("k", start=1.0)],
)
problem = cc.Problem(decay, data)

fine_where_it_is_fast = cc.Mesh(np.concatenate([np.linspace(0, 1, 9), np.linspace(1.5, 5, 8)]))
for scheme, mesh in [
    ("implicit_euler", 50),
    ("trapezoid", 50),
    (cc.scheme("gauss", degree=2), 25),
    (cc.scheme("radau", degree=3), fine_where_it_is_fast),
    ("chebyshev", 1),
]:
    solution = cc.fit(problem, scheme, mesh=mesh)
    error = abs(solution.parameters["k"] - 2.0)
    used = solution.scheme
    print(f"{used.name:15} order {used.order:3}, {solution.nlp.columns:3} unknowns: {error:.0e}")
