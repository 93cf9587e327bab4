"""A ReLU network inside a dynamic optimization: exact by HiGHS on a short horizon, rounded for IPOPT."""

import pyomo.environ as pyo

import collocode as cc
from collocode import relu

# inflow over valve position, as a network may have learnt it: a dead band, then slopes of 1 and 3
valve = relu.ReluNetwork(([[1.0], [1.0]], [[1.0, 2.0]]), ([-0.2, -0.6], [0.0]))
steps, h, leak, target = 8, 0.25, 0.5, 1.0  # the level x' = valve(u) - leak x, with little opening

exact = pyo.ConcreteModel()
exact.u = pyo.Var(range(steps), bounds=(0, 1))
exact.x = pyo.Var(range(steps + 1), bounds=(0, 2))
inflow = [relu.embed(exact, valve, [exact.u[k]]).outputs[0] for k in range(steps)]
exact.ends = pyo.Constraint([0, steps], rule=lambda m, k: m.x[k] == (target if k else 0.0))
exact.euler = pyo.Constraint(
    range(steps), rule=lambda m, k: m.x[k + 1] == m.x[k] + h * (inflow[k] - leak * m.x[k])
)
exact.cost = pyo.Objective(expr=h * sum(exact.u[k] for k in range(steps)))
pyo.SolverFactory("highs").solve(exact)
print(f"exact: {pyo.value(exact.cost):.4f}")

control = cc.Control(0.0, 1.0, start=0.5)
for width in (0.3, 0.1, 0.01):
    rounded = cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn, w=width: {"x": relu.smoothed(valve, [u.u], w)[0] - leak * x.x}
        ),
        cc.Window(end=steps * h, controls={"u": control}, initial={"x": 0}, final={"x": target}),
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.u, name="opening"),
    )
    found = cc.fit(rounded, "explicit_euler", mesh=steps)
    print(f"rounded by {width}: {found.costs['opening']:.4f}, {found.status}")
