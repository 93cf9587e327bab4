"""Small fits with active bounds, fixed states and path constraints, for the solver interfaces."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from collocode.model.dynamics import Dynamics, NeuralODE
from collocode.model.experiment import Experiment
from collocode.model.initial import fixed
from collocode.model.losses import L2
from collocode.model.network import MLP
from collocode.model.parameters import Parameter
from collocode.model.problem import PathConstraint, Problem
from collocode.solvers.solve import solve
from collocode.transcription.discretize import discretize

TIGHT = {"tol": 1e-10}


def available(interface):
    """Skip where the interface's package is missing."""
    packages = {"cyipopt": ["cyipopt"], "pyomo": ["pyomo", "pounce"]}
    for package in packages.get(interface, []):
        pytest.importorskip(package)
    return interface


def van_der_pol(samples=60, name="experiment", seed=0, **kwargs):
    times = np.linspace(0.0, 4.5, samples)

    def rhs(t, y):
        return [y[1], (1.0 - y[0] ** 2) * y[1] - y[0]]

    truth = solve_ivp(rhs, (0.0, times[-1]), [0.0, 1.0], t_eval=times, rtol=1e-9).y.T
    noise = 0.1 * np.random.default_rng(seed).standard_normal(truth.shape)
    return Experiment(times, truth + noise, ("y1", "y2"), name=name, **kwargs)


def black_box():
    return Problem(NeuralODE(MLP((2, 8, 2))), van_der_pol(), regularisation=L2(1e-3))


def grey_box():
    """The damping's bound, 0.8, is active: the truth is 1."""

    def rhs(t, x, u, p, nn):
        return [x.y2, p.mu * (1.0 - x.y1**2) * x.y2 - x.y1 + nn.g(x.y1)]

    dynamics = Dynamics(rhs, {"g": MLP((1, 4, 1))}, [Parameter("mu", 0.5, 0.0, 0.8)])
    return Problem(dynamics, van_der_pol(), regularisation=L2(1e-3))


def fixed_start():
    experiment = van_der_pol(initial={"y1": fixed(0.0), "y2": fixed(1.0)})
    return Problem(NeuralODE(MLP((2, 8, 2))), experiment, regularisation=L2(1e-3))


def capped():
    """Two experiments with parameters of their own and names that are no Python names."""

    def rhs(t, x, u, p, nn):
        return {"y1": x.y2, "y2": p.mu * (1.0 - x.y1**2) * x.y2 - p.k * x.y1}

    parameters = [Parameter("mu", 0.5), Parameter("k", 2.0, per_experiment=True)]
    return Problem(
        Dynamics(rhs, parameters=parameters),
        [van_der_pol(40, "run 1"), van_der_pol(30, "run-2", seed=1)],
        constraints=[
            PathConstraint("cap on y1", lambda t, x, u, p, nn: x.y1, upper=1.2),
            PathConstraint("disc", lambda t, x, u, p, nn: x.y1**2 + x.y2**2, upper=20.0),
        ],
        bounds={"y2": (-3.0, 3.0)},
    )


PROBLEMS = {f.__name__: f for f in (black_box, grey_box, fixed_start, capped)}


class Solved:
    """NLPs and their solutions through CasADi, made when first asked for."""

    def __init__(self):
        self._made = {}

    def __call__(self, name):
        if name not in self._made:
            nlp = discretize(PROBLEMS[name]())
            self._made[name] = nlp, solve(nlp, options=TIGHT).result
        return self._made[name]
