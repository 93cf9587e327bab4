"""One rate for all batches, but every sensor has an offset of its own."""

import numpy as np

import collocode as cc

rng = np.random.default_rng(1)
offsets = {"monday": 0.3, "tuesday": -0.2, "friday": 0.0}
batches = []
for number, (day, offset) in enumerate(offsets.items()):
    t = np.linspace(0.0, 3.0 + number, 25)
    concentration = (1.0 + 0.5 * number) * np.exp(-0.7 * t)
    measured = concentration + offset + 0.02 * rng.standard_normal(25)
    batches.append(cc.Experiment(t, measured, outputs=("signal",), name=day))

problem = cc.Problem(
    cc.Dynamics(
        lambda t, x, u, p, nn: {"c": -p.k * x.c},
        parameters=[
            cc.Parameter("k", 1.0, 0.0, 10.0, unit="1/h"),
            cc.Parameter("offset", 0.0, -1.0, 1.0, per_experiment=True),
        ],
    ),
    batches,
    states=("c",),
    observe=lambda x, u, p: {"signal": x.c + p.offset},
)
solution = cc.fit(problem)
print(solution.status)
print(cc.uncertainty(solution).intervals()[["estimate", "lower", "upper"]].round(2).to_string())
