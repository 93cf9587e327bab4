"""A ReLU network inside a dynamic optimization: rounded for IPOPT, and exact by HiGHS on a short horizon."""

import numpy as np
import pyomo.environ as pyo

import collocode as cc
from collocode import relu

# inflow over valve position: a dead band, then a slope of 1, from .6 on of 3 (as a network may have learnt it)
valve = relu.ReluNetwork(([[1.0], [1.0]], [[1.0, 2.0]]), ([-0.2, -0.6], [0.0]))
STEPS, H, OUT, TARGET = 8, 0.25, 0.5, 1.0  # the level x' = valve(u) - OUT x, from 0 to TARGET


def rounded(width):
    """Least opening of the valve, the integral of u, with the network rounded by a width."""
    return cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: {"x": relu.smoothed(valve, [u.u], width)[0] - OUT * x.x}
        ),
        cc.Window(
            end=STEPS * H,
            controls={"u": cc.Control(0.0, 1.0, start=0.5)},
            initial={"x": 0.0},
            final={"x": TARGET},
        ),
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.u, name="opening"),
    )


def exact():
    """The same by explicit Euler steps as a mixed-integer program, and its proved optimum."""
    model = pyo.ConcreteModel()
    model.u = pyo.Var(range(STEPS), bounds=(0.0, 1.0))
    model.x = pyo.Var(range(STEPS + 1), bounds=(0.0, 2.0))
    model.first, model.last = (
        pyo.Constraint(expr=model.x[k] == v) for k, v in ((0, 0.0), (STEPS, TARGET))
    )
    inflow = [relu.embed(model, valve, [model.u[k]]).outputs[0] for k in range(STEPS)]
    model.step = pyo.Constraint(
        range(STEPS),
        rule=lambda m, k: m.x[k + 1] == m.x[k] + H * (inflow[k] - OUT * m.x[k]),
    )
    model.cost = pyo.Objective(expr=H * sum(model.u[k] for k in range(STEPS)))
    pyo.SolverFactory("highs").solve(model)
    return np.array([model.u[k].value for k in range(STEPS)]), pyo.value(model.cost)


positions, best = exact()
print(f"exact: {best:.4f}, the valve is open in {(positions > 1e-6).sum()} of {STEPS} steps")
for width in (0.3, 0.1, 0.01):
    found = cc.fit(rounded(width), "explicit_euler", mesh=STEPS)
    print(f"rounded by {width}: {found.costs['opening']:.4f}, {found.status}")
