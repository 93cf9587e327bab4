"""A nonlinear program of one's own: each term written once and mapped over an index set."""

import numpy as np

import collocode as cc

n = 200
s = np.linspace(0.0, 1.0, n + 1)
builder = cc.ProgramBuilder("hanging chain")
y = builder.variable("y", n + 1, start=1 + 2 * s - 4 * s * (1 - s))  # heights of the joints
length = builder.parameter("length", 4.0)  # to be changed between solves
y[0].fix(1.0)
y[n].fix(3.0)


def link(a, b):  # of the chain, from height a to height b
    return np.sqrt(1.0 / n**2 + (b - a) ** 2)


k = np.arange(n)
builder.minimize(lambda a, b: (a + b) / 2 * link(a, b), y[k], y[k + 1])
whole = builder.constraint("length_of_chain", lambda wanted: -wanted, length, equals=0.0)
whole.add(link, y[k], y[k + 1], at=0)
program = builder.build()

solver = cc.make_solver(program)
for metres in (4.0, 3.0):
    solution = cc.solve_with(solver, program.with_parameters(length=metres))
    print(
        f"length {metres:.0f}: {solution.status}, lowest point {solution['y'].min():.3f}, "
        f"energy {solution.objective:.4f}, multiplier {solution.dual('length_of_chain')[0]:.3f}"
    )
