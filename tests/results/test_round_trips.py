"""Fits of every kind say the same of themselves after a file as before it, and are exported as the same text."""

import inspect
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pandas as pd
import pytest

import collocode as cc
from models.control import bryson_denham, double_integrator
from models.dae import pendulum
from tests.problems import driven, van_der_pol_data, van_der_pol_neural

T = np.linspace(0.0, 3.0, 13)
NOISE = 0.03 * np.cos(9.0 * T)
COUNTS = np.round(40.0 * np.exp(-0.7 * T))


def decay(loss=None, values=None, **given):
    rate = cc.Parameter("k", 0.5, 1e-3, 10.0, scale="log10")
    y = 2.0 * np.exp(-0.7 * T) + NOISE if values is None else values
    run = cc.Experiment(T, y, ("c",), **given)
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[rate])
    return cc.Problem(dynamics, run, **({} if loss is None else {"loss": loss}))


def two_runs():
    rate = cc.Parameter("k", 1.0, per_experiment=True)
    runs = [
        cc.Experiment(T, 2.0 * np.exp(-k * T) + NOISE, ("c",), name=f"run {k}") for k in (0.7, 1.4)
    ]
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[rate])
    problem = cc.Problem(dynamics, runs)
    return replace(problem, test=[replace(runs[0], name="again", parameters={"k": 0.7})])


def per_output():
    rate = cc.Parameter("k", 0.5, 1e-2, 10.0)
    values = np.stack([2.0 * np.exp(-0.7 * T) + NOISE, COUNTS], axis=1)
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[rate]),
        cc.Experiment(T, values, ("a", "n")),
        states=("c",),
        observe=lambda x, u, p: [x.c, 20.0 * x.c],
        loss={"a": cc.Normal(), "n": cc.Poisson()},
    )


def dosed():
    """Two doses, the second at a time that is estimated."""
    late = [np.where(s > T, 0.0, np.exp(s - T)) for s in (1.0, 2.0)]
    parameters = [cc.Parameter("k", 0.5, 0.01, 10.0), cc.Parameter("when", 1.9, 1.5, 2.4)]
    doses = [cc.Dose(1.0, 1.0, to="c"), cc.Dose("when", 1.0, to="c")]
    run = cc.Experiment(T, sum(late) + NOISE, ("c",), initial={"c": 0.0}, events=doses)
    return cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=parameters), run)


def delayed():
    parameters = [cc.Parameter("k", 0.5, 0.01, 10.0), cc.Parameter("tau", 0.3, 0.05, 1.0)]
    run = cc.Experiment(T, 2.0 * np.exp(-0.5 * T) + NOISE, ("c",), history={"c": 2.0})
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.late], parameters=parameters)
    return cc.Problem(dynamics, run, delays={"late": cc.Delay("tau", of="c")})


def varying():
    network = cc.TimeVarying(cc.MLP((1, 2, 1)), cc.basis("legendre", 2, (0.0, 3.0)))
    return cc.Problem(cc.NeuralODE(network), cc.Experiment(T, np.exp(-0.2 * T * T), ("c",)))


def varying_parameter():
    k = cc.Parameter("k", 0.5, basis=cc.basis("bspline", 2, (0.0, 3.0), pieces=3))
    run = cc.Experiment(T, np.exp(-0.2 * T * T), ("c",))
    return cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[k]), run)


PROBLEMS = {
    "squares": lambda: decay(),
    "squares, σ by output": lambda: decay(cc.LeastSquares({"c": 0.03})),
    "σ by datum": lambda: decay(sigma=np.linspace(0.02, 0.05, 13)),
    "weights": lambda: decay(weights=np.linspace(1.0, 2.0, 13)),
    "Huber": lambda: decay(cc.Huber(1.3, 0.03)),
    "pseudo-Huber": lambda: decay(cc.PseudoHuber(1.3)),
    "normal": lambda: decay(cc.Normal()),
    "lognormal": lambda: decay(cc.LogNormal(base="10")),
    "Laplace": lambda: decay(cc.Laplace()),
    "Student": lambda: decay(cc.Student(freedom=3.0)),
    "Poisson": lambda: decay(cc.Poisson(), COUNTS),
    "negative binomial": lambda: decay(cc.NegativeBinomial(0.1), COUNTS),
    "censored": lambda: decay(cc.Normal(0.03), censored=np.where(T > 2.5, -1.0, 0.0)[:, None]),
    "a loss per output": per_output,
    "two runs": two_runs,
    "inputs": driven,
    "doses": dosed,
    "delay": delayed,
    "network": lambda: van_der_pol_neural(van_der_pol_data(n=20, sigma=0.05), sizes=(2, 3, 2)),
    "weights in time": varying,
    "a parameter in time": varying_parameter,
    "index 2 or 3": pendulum.problem,
    "control": double_integrator.problem,
    "control with a path constraint": bryson_denham.problem,
}
LEFT_OUT = ("nlp", "program", "problem", "truth", "notes")  # functions are not in a file


def outcome(call):
    """What a call gives, or the sentence that refuses it; another exception is a fault."""
    try:
        return call()
    except cc.CollocodeError as error:
        return str(error)


IN_THE_MODEL = ("loss.sigma",)  # σ of a likelihood is one of its functions


def told(solution, folder):
    """Everything that a solution says, by what was asked."""
    run, kind = solution.trajectories[0].experiment.name, type(solution)
    times = np.linspace(*solution.trajectories[0].mesh.points[[0, -1]], 7)
    found = {
        name: outcome(lambda name=name: getattr(solution, name))
        for name in dir(kind)
        if not name.startswith("_") and name not in LEFT_OUT and not callable(getattr(kind, name))
    }
    for name in ("score", "sigma", "deviations", "gap", "to_frame", "columns", "simulate"):
        found[name] = outcome(getattr(solution, name))
    for name in ("states", "algebraics", "fitted", "predict"):
        found[name] = outcome(lambda name=name: getattr(solution, name)(times))
    for name in solution.trajectories[0].controls:
        found[f"control {name}"] = solution.control(name, times)
    for function in (cc.residuals, cc.whiteness):
        found[function.__name__] = outcome(lambda function=function: function(solution))
    found["Modelica"] = outcome(lambda: cc.modelica_text(solution, experiment=run))
    functions = {
        "C": lambda: {"rhs": solution.model.trained_function()},
        "C of a plan": lambda: dict(cc.planned_functions(solution, run)),
    }
    for name, make in functions.items():
        found[name] = outcome(lambda make=make: text_of(cc.write_c, make(), folder / "x.c"))
    for name in solution.model.networks:
        network = outcome(lambda name=name: solution.network(name))
        if not isinstance(network, str):
            found[f"ONNX of {name}"] = text_of(cc.write_onnx, network, folder / "x.onnx")
    return found


def text_of(write, value, path):
    write(value, path)
    return path.read_bytes()


def differences(one, other, place):
    """Where two values differ, in names of their parts."""
    if one is None or other is None:
        return [] if one is other else [place]
    if isinstance(one, np.ndarray):
        same = isinstance(other, np.ndarray) and np.array_equal(one, other, equal_nan=True)
        return [] if same else [place]
    if isinstance(one, pd.DataFrame):
        return [] if one.equals(other) else [place]
    if type(one) is not type(other):
        return [place]
    if inspect.isroutine(one):
        return []
    if is_dataclass(one):
        names = [f.name for f in fields(one) if f.name not in LEFT_OUT]
        parts = [(getattr(one, n), getattr(other, n), n) for n in names]
    elif isinstance(one, dict) or hasattr(one, "items"):
        if list(one) != list(other):
            return [place]
        parts = [(one[key], other[key], key) for key in one]
    elif isinstance(one, list | tuple):
        if len(one) != len(other):
            return [place]
        parts = [(a, b, k) for k, (a, b) in enumerate(zip(one, other, strict=True))]
    else:
        return [] if one == other or one != one else [place]
    found = [where for a, b, name in parts for where in differences(a, b, f"{place}.{name}")]
    return [where for where in found if where not in IN_THE_MODEL]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_fit_from_a_file_says_what_it_said_before(name, tmp_path):
    solution = cc.fit(PROBLEMS[name](), mesh=4, options={"max_iter": 60})
    solution.save(tmp_path / "fit.npz")
    again = cc.load(tmp_path / "fit.npz")
    before, after = told(solution, tmp_path), told(again, tmp_path)
    assert before.keys() == after.keys()
    assert [d for key in before for d in differences(before[key], after[key], key)] == []
    again.save(tmp_path / "again.npz")
    twice = told(cc.load(tmp_path / "again.npz"), tmp_path)
    assert [d for key in before for d in differences(before[key], twice[key], key)] == []


@pytest.mark.filterwarnings("ignore")
def test_a_fit_through_its_data_has_no_other_finding_after_a_file(tmp_path):
    """Rounding is never white, and nobody shall be told that the model misses something."""
    solution = cc.fit(driven())
    solution.save(tmp_path / "fit.npz")
    codes = {f.code for f in cc.findings(cc.load(tmp_path / "fit.npz"))}
    assert "noise-free" in {f.code for f in cc.findings(solution)}
    assert "not-white" not in codes
