"""Dicts by name, of the whole public interface: a name that is nothing is refused, and the nearest one is told.

`TAKES` has every public argument that is a dict by name; `OWN` those whose names are the caller's to choose, or
that nobody fills by hand.  An argument that is in neither makes a test fail.
"""

import inspect
import re

import numpy as np
import pytest

import collocode as cc
from collocode import layered, relu

T = np.linspace(0.0, 2.0, 9)
STATES = ("prey", "fox")


def rhs(t, x, u, p, nn):
    return [p.growth * x.prey + u.food, -p.growth * x.fox]


def run(name="north", **given):
    values = np.column_stack([1.0 + T, 2.0 - 0.5 * T])
    given = {"inputs": {"food": cc.Signal([0.0], [0.0], "zoh")}, **given}
    return cc.Experiment(T, values, STATES, name=name, **given)


def problem(experiment=None, function=rhs, **given):
    dynamics = cc.Dynamics(function, parameters=[cc.Parameter("growth", 0.1)])
    return cc.Problem(dynamics, experiment or run(), **given)


def window(name="burn", **given):
    given = {"controls": {"food": cc.Control(-1.0, 1.0)}, **given}
    return cc.Window(end=2.0, name=name, **given)


def planned(windows=None, **given):
    goal = cc.Mayer(lambda t, x, u, p, nn: x.prey**2)
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [u.food, -x.fox])
    return cc.Problem(dynamics, windows or window(), states=STATES, costs=goal, **given)


@pytest.fixture(scope="module")
def fit():
    return cc.fit(problem(), mesh=3)


@pytest.fixture(scope="module")
def horizon():
    return cc.RecedingHorizon(planned(), mesh=3)


def simulated(fit, **inputs):
    return fit.simulate(inputs={k: cc.Signal([0.0], [1.0], "zoh") for k in inputs})


NOISE = cc.Normal(0.1)
# by argument: how it is given one name, (name, fit, horizon) -> anything, and the name that is meant
TAKES = {
    "Experiment.weights": (lambda n, *_: run(weights={n: 1.0}), "prey"),
    "Experiment.sigma": (lambda n, *_: run(sigma={n: 0.1}), "prey"),
    "Experiment.censored": (lambda n, *_: run(censored={n: 1.0}), "prey"),
    "Experiment.inputs": (
        lambda n, *_: problem([run(), run("south", inputs={n: cc.Signal([0.0], [0.0], "zoh")})]),
        "food",
    ),
    "Experiment.initial": (lambda n, *_: problem(run(initial={n: 1.0})), "prey"),
    "Experiment.initial of test": (
        lambda n, *_: problem(test=run("south", initial={n: 1.0})),
        "prey",
    ),
    "Experiment.history": (
        lambda n, *_: problem(run(history={n: 1.0}), delays={"late": cc.Delay(0.1, of="prey")}),
        "prey",
    ),
    "Experiment.parameters": (lambda n, *_: problem(run(parameters={n: 1.0})), "growth"),
    "Experiment.parameters, what they are": (
        lambda n, *_: problem(run(parameters={"growth": n})),
        "growth",
    ),
    "Experiment.controls": (
        lambda n, *_: planned([window(), window("coast", controls={n: cc.Control(0.0, 1.0)})]),
        "food",
    ),
    "Experiment.final": (lambda n, *_: problem(run(final={n: 1.0})), "prey"),
    "Experiment.guess": (lambda n, *_: planned(window(guess={n: 1.0})), "prey"),
    "Steady.inputs": (
        lambda n, *_: problem(run(steady=cc.Steady(inputs={n: 0.0}))),
        "food",
    ),
    "Steady.parameters": (
        lambda n, *_: problem(run(steady=cc.Steady(parameters={n: 0.0}))),
        "growth",
    ),
    "Reset.to": (lambda n, *_: problem(run(events=[cc.Reset(1.0, {n: 0.0})])), "prey"),
    "Link.jump": (
        lambda n, *_: planned(
            [window(), window("coast")],
            links=cc.Link("burn", "coast", time=False, jump={n: lambda t, x, u, p, nn: 0.0}),
        ),
        "prey",
    ),
    "Phases.dynamics": (
        lambda n, *_: cc.Problem(
            cc.Phases({n: cc.Dynamics(lambda t, x, u, p, nn: [u.food])}), window(), states=("prey",)
        ),
        "burn",
    ),
    "Problem.delays": (lambda n, *_: problem(delays={n: 0.1}), "food"),
    "Problem.calibration": (lambda n, *_: problem(calibration={n: cc.Calibration()}), "prey"),
    "Problem.bounds": (lambda n, *_: problem(bounds={n: (0.0, 1.0)}), "prey"),
    "Problem.scaling": (lambda n, *_: problem(scaling={n: 1.0}), "prey"),
    "Problem.loss": (lambda n, *_: problem(loss={"prey": NOISE, "fox": NOISE, n: NOISE}), "prey"),
    **{
        f"{kind.__name__}.sigma": (
            lambda n, *_, kind=kind, more=more: problem(
                loss=kind(**more, sigma={"prey": 0.1, "fox": 0.1, n: 0.1})
            ),
            "prey",
        )
        for kind, more in {
            cc.LeastSquares: {},
            cc.Huber: {"delta": 1.0},
            cc.PseudoHuber: {"delta": 1.0},
            cc.Normal: {},
            cc.LogNormal: {},
            cc.Laplace: {},
            cc.Student: {},
            cc.NegativeBinomial: {},
        }.items()
    },
    "Truth.initial": (
        lambda n, *_: problem(truth=cc.Truth(lambda t, x, u: x, {n: (1.0, 2.0)})),
        "north",
    ),
    "Solution.simulate.inputs": (lambda n, fit, _: simulated(fit, **{n: 1.0}), "food"),
    "simulate.inputs": (
        lambda n, fit, _: cc.simulate(fit, [1.0, 1.0], T, {n: cc.Signal([0.0], [0.0], "zoh")}),
        "food",
    ),
    "simulate.history": (
        lambda n, *_: cc.simulate(
            cc.fit(problem(delays={"late": cc.Delay(0.5, of="prey")}), mesh=2),
            *([1.0, 1.0], T, {"food": cc.Signal([0.0], [0.0], "zoh")}),
            history={n: 1.0},
        ),
        "prey",
    ),
    "TrainedModel.with_values.values": (
        lambda n, fit, _: fit.model.with_values({n: 1.0}),
        "growth",
    ),
    "minus_log_likelihood.parameters": (
        lambda n, *_: cc.minus_log_likelihood(
            problem(run(initial={"prey": 1.0, "fox": 2.0}), loss=NOISE), {n: 1.0}
        ),
        "growth",
    ),
    "RecedingHorizon.plan.state": (
        lambda n, _, horizon: horizon.plan({"prey": 1.0, "fox": 1.0, n: 1.0}),
        "prey",
    ),
    "RecedingHorizon.run.state": (
        lambda n, _, horizon: horizon.run({"prey": 1.0, "fox": 1.0, n: 1.0}, 1),
        "prey",
    ),
    "RecedingHorizon.setpoints": (
        lambda n, *_: cc.RecedingHorizon(planned(), mesh=3, setpoints={n: 1.0}),
        "prey",
    ),
    **{
        f"{name}.options": (call, "max_iter")
        for name, call in {
            "fit": lambda n, *_: cc.fit(problem(), mesh=3, options={n: 1}),
            "solve": lambda n, fit, _: cc.solve(fit.nlp, options={n: 1}),
            "make_solver": lambda n, fit, _: cc.make_solver(fit.nlp, options={n: 1}),
            "multistart": lambda n, *_: cc.multistart(problem(), 2, mesh=3, options={n: 1}),
            "refine": lambda n, *_: cc.refine(problem(), mesh=3, options={n: 1}),
            "RecedingHorizon": lambda n, *_: cc.RecedingHorizon(planned(), options={n: 1}),
            "FitSettings": lambda n, *_: cc.admm(
                problem([run(), run("south")]), 2, settings=cc.FitSettings(options={n: 1})
            ),
        }.items()
    },
}
# why a name cannot be wrong there
OWN = {
    "a name that the caller gives": {
        "Dynamics.networks", "Dynamics.algebraics", "implicit.networks", "implicit.algebraics",
        "save_functions.functions", "write_c.functions", "scenarios.values",
    },
    "columns, which the table has or has not: tests/model/test_table.py": {
        "from_frame.inputs", "from_frame.initial",
    },
    "PEtab's, with tests of their own": {
        "simulate_petab.parameters", "write_petab_parameters.found", "SbmlModel.start.overrides",
    },
    "of a base class, and of what has none": {"Likelihood.sigma", "Poisson.sigma"},
    "AMPL's options, which go into a file": {"solve_nl.options"},
    "HiGHS refuses them: tests/relu": {"OptimizationSettings.options"},
    "checked against the fields: tests/relu": {"OptimizationSettings.changed.changes"},
    "keys of PyTorch": {"ReluNetwork.from_torch_state.state"},
    "IPOPT's, refused as those of solve": {"Simultaneous.options"},
    "of a checkpoint": {"sweep.conditions"},
}  # fmt: skip
# made by the library, told to whoever reads them
RECORDS = (
    "ADMMResult", "ClosedLoop", "Estimate", "LayerEstimate", "Meshing", "NLP", "NlModel", "Program", "Report",
    "Solution", "SolverResult", "TrainedModel", "Trajectory", "Uncertainty", "SbmlModel", "Activation",
    "EncodingSummary", "Training",
)  # fmt: skip
# what the library itself fills
INNER = {
    "Dynamics.normalised.ranges", "NeuralODE.normalised.ranges", "Phases.normalised.ranges",
    "Experiment.placed", "Window.placed", "Experiment.resolved.inputs", "Experiment.resolved.history",
    "Experiment.with_events.placed", "Likelihood.naming.names", "Likelihood.with_sigma.sigma",
    "Loss.with_sigma.sigma", "Link.check.windows", "Meshing.from_dict.tree", "Problem.moved.values",
    "TrainedModel.acting.given", "sweep.on_value", "Adam.run.memory", "GaussNewton.run.memory",
    "LBFGS.run.memory", "Simultaneous.run.memory", "SteepestDescent.run.memory",
}  # fmt: skip


def dicts():
    """Public arguments that are annotated as dicts by name."""
    found = {}
    for module in (cc, layered, relu):
        for label in sorted(n for n in dir(module) if not n.startswith("_")):
            thing = getattr(module, label)
            if inspect.isclass(thing):
                methods = {k: getattr(v, "__func__", v) for k, v in vars(thing).items()}
                parts = {f"{label}.{k}": v for k, v in methods.items() if k[0] != "_"}
                calls = {label: thing, **{k: v for k, v in parts.items() if inspect.isfunction(v)}}
            else:
                calls = {label: thing} if inspect.isfunction(thing) else {}
            for name, call in calls.items():
                try:
                    given = inspect.signature(call).parameters
                except (TypeError, ValueError):
                    continue
                for argument in given.values():
                    if re.search(r"\b(Mapping|dict)\[|\bSigma\b", str(argument.annotation)):
                        found[f"{name}.{argument.name}"] = call
    return found


def test_no_dict_by_name_is_forgotten():
    told = set(TAKES) | INNER | {name for names in OWN.values() for name in names}
    told |= {name.replace("Experiment.", "Window.") for name in told}
    for name in dicts():
        record = name.count(".") == 1 and name.split(".")[0] in RECORDS
        assert record or name in told, f"{name} takes names: join TAKES, or say in OWN why not"


@pytest.mark.parametrize("what", TAKES)
def test_an_unknown_name_is_refused_and_the_nearest_told(what, fit, horizon):
    call, meant = TAKES[what]
    wrong = meant[:-1] + meant[-1] * 2  # preyy
    with pytest.raises(cc.InputError) as caught:
        call(wrong, fit, horizon)
    said = str(caught.value)
    assert f"did you mean {meant!r}?" in said
    assert repr(wrong) in said
    assert "\n" not in said


def test_a_true_initial_state_is_one_of_all_states():
    for wrong in ((1.0,), (1.0, 2.0, 3.0), 1.0, {"north": (1.0,)}):
        with pytest.raises(cc.InputError, match=r"initial= of Truth.*shape.*prey, fox"):
            problem(truth=cc.Truth(lambda t, x, u: x, wrong))


def test_a_sigma_that_is_missing_is_told_before_anything_is_solved():
    with pytest.raises(cc.InputError, match="no sigma for output 'fox'"):
        problem(loss=cc.LeastSquares({"prey": 0.1}))
