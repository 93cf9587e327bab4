"""Model files that solve in milliseconds, for the tests of the command line."""

DECAY = '''
"""Decay with a rate and, if wanted, more that the data do not determine."""
import numpy as np
import collocode as cc

def problem(kind: str = "plain", regularisation: float = 1e-4, slope: float = 0.0):
    """Estimate the rate.

    kind: plain, twins, own, fixed, coloured, nan or contradicted
    """
    rng, t = np.random.default_rng(0), np.linspace(0.0, 2.0, 21)
    runs = [cc.Experiment(t, c * np.exp(-0.7 * t) + 0.01 * rng.standard_normal(21),
                          outputs=("c",), name=name) for c, name in ((1.0, "one"), (2.0, "two"))]
    if kind == "coloured":
        wave = np.exp(-0.7 * t) + 0.1 * np.sin(4.0 * t)
        runs = [runs[1], cc.Experiment(t, wave, outputs=("c",), name="wavy")]
    k = cc.Parameter("k", 1.0, 0.0, 5.0, unit="1/s")
    rhs, parameters, constraints = lambda t, x, u, p, nn: [-p.k * x.c], [k], ()
    if kind == "twins":
        rhs, parameters = lambda t, x, u, p, nn: [-(p.k + p.m) * x.c], [k, cc.Parameter("m", 0.1)]
    if kind == "own":
        parameters = [cc.Parameter("k", 1.0, per_experiment=True)]
    if kind == "fixed":
        rhs = lambda t, x, u, p, nn: [-(p.k + p.m) * x.c]
        parameters = [k, cc.Parameter("m", 0.1, 0.1, 0.1)]
    if kind == "nan":
        rhs = lambda t, x, u, p, nn: [-p.k * (x.c - 5.0) ** 0.5]
    if kind == "contradicted":
        constraints = [cc.PathConstraint("growing", lambda t, x, u, p, nn: p.k, -9.0, -1.0)]
    return cc.Problem(cc.Dynamics(rhs, parameters=parameters), runs, constraints=constraints,
                      regularisation=cc.L2(regularisation), name="Decay")
'''

NETWORK = '''
"""Decay learnt by a small network."""
import numpy as np
import collocode as cc

CALLS = []
DEFAULTS = {"mesh": 6, "options": {"max_iter": 200}}

def problem(hidden: int = 2, activation: str = "tanh"):
    """Learn the decay.

    hidden: units
    """
    CALLS.append(hidden)
    rng, t = np.random.default_rng(0), np.linspace(0.0, 3.0, 31)
    data = cc.Experiment(t, np.exp(-0.7 * t) + 0.01 * rng.standard_normal(31), ("c",), name="run")
    return cc.Problem(cc.NeuralODE(cc.MLP((1, hidden, 1), activation)), data,
                      regularisation=cc.L2(1e-4), name="Learnt decay")
'''
