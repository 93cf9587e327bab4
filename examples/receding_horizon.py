"""A stirred tank under predictive control: planned with a learnt rate, answered by the true one."""

import sys
from pathlib import Path

import numpy as np

import collocode as cc

sys.path.append(str(Path(__file__).parents[1]))
from models.control import cstr_setpoint as tank

learnt, true = tank.problem(), tank.problem(learnt=False)  # the rate is trained here
horizon = cc.RecedingHorizon(learnt, sample=0.25)  # the program and its solver: once
for name, plant in (("as learnt", None), ("true", true)):
    loop = horizon.run(tank.START, moves=20, plant=plant)
    c, T = loop.states.T
    print(
        f"plant {name:9}  c(2) = {c[8]:.3f}, c(5) = {c[-1]:.3f} mol/l, T at most {T.max():.1f} K, "
        f"{loop.iterations[0]} iterations, then {max(loop.iterations[1:])} and less"
    )

coolant = loop.control("Tc", np.arange(0.0, 2.0, 0.25))
print("coolant, K:", *coolant.round(1))
