"""Every public function with every public thing that is not its own: done as meant, or one sentence.

`ACCEPTED` says what each function takes; all else has to be refused in words that name the function
(or its argument) and what was given.
"""

import inspect
import os
import re

import numpy as np
import pandas as pd
import pytest

import collocode as cc
from collocode import layered, plots, relu
from tests.problems import decay

pytest.importorskip("pyomo.environ")

PROGRAMS = (
    "nlp",
    "program",
    "file",
    "fit",
    "network fit",
    "solution",
)  # a solution has its program
FITS = ("fit", "network fit")
FROM_FILE = "saved fit"


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """One of each kind, in a folder of their own."""
    folder = tmp_path_factory.mktemp("types")
    os.chdir(folder)
    problem = decay()
    nlp = cc.discretize(problem, mesh=3)
    fit = cc.fit(problem, mesh=3)
    mlp = cc.MLP((1, 2, 1))
    black_box = cc.Problem(cc.NeuralODE(mlp), problem.experiments[0], regularisation=cc.L2())
    network_fit = cc.fit(black_box, mesh=3, options={"max_iter": 5})
    builder = cc.ProgramBuilder("distance")
    builder.minimize(lambda x: (x - 2.0) ** 2, builder.variable("x", start=1.0))
    program = builder.build()
    file = cc.read_nl(cc.write_nl(nlp, "decay").path)
    fit.save("fit.npz")
    return {
        "problem": problem,
        "nlp": nlp,
        "program": program,
        "builder": builder,
        "file": file,
        "result": cc.solve_nl(file),
        "fit": fit,
        "network fit": network_fit,
        FROM_FILE: cc.load("fit.npz"),
        "solution": cc.solve(program),
        "experiment": problem.experiments[0],
        "experiments": list(problem.experiments),
        "dynamics": problem.dynamics,
        "mlp": mlp,
        "network": cc.TrainedNetwork(mlp, mlp.initial_weights(0)),
        "model": fit.model,
        "multistart": cc.multistart(black_box, 2, mesh=3, options={"max_iter": 3}),
        "a path": "decay.nl",
        "None": None,
        "a number": 3,
        "an array": np.ones(3),
        "a dict": {"a": 1},
        "a class": cc.Problem,
    }


# how to call each with one thing, and what it takes; ACCEPTED things that take long are not tried
CALLS = {
    "solve": (lambda v, _: cc.solve(v), ("nlp", "program", "file")),
    "make_solver": (lambda v, _: cc.make_solver(v), ("nlp", "program", "file")),
    "solve_with": (
        lambda v, t: cc.solve_with(cc.make_solver(t["nlp"]), v),
        ("nlp", "program", "file"),
    ),
    "warm=": (lambda v, t: cc.solve(t["nlp"], warm=v), (*FITS, FROM_FILE, "solution", "None")),
    "fit": (lambda v, _: cc.fit(v, mesh=None), ("problem",)),
    "split": (lambda v, _: cc.split(v), ("problem",)),
    "discretize": (lambda v, _: cc.discretize(v), ("problem",)),
    "multistart": (lambda v, _: cc.multistart(v, mesh=None), ("problem",)),
    "sweep": (lambda v, _: cc.sweep(v), ("problem",)),
    "admm": (lambda v, _: cc.admm(v), ("problem",)),
    "refine": (lambda v, _: cc.refine(v), ("problem",)),
    "start_from": (lambda v, _: cc.start_from(v), ("nlp",)),
    "write_nl": (lambda v, _: cc.write_nl(v, "out"), PROGRAMS),
    "to_pyomo": (lambda v, _: cc.to_pyomo(v), PROGRAMS),
    "write_pyomo": (lambda v, _: cc.write_pyomo(v, "out.gms"), PROGRAMS),
    "nlp_functions": (lambda v, _: cc.nlp_functions(v), PROGRAMS),
    "values=": (
        lambda v, t: cc.to_pyomo(t["nlp"], v),
        (*FITS, FROM_FILE, "solution", "a path"),
    ),
    "write_onnx": (lambda v, _: cc.write_onnx(v, "out.onnx"), ("network", "network fit")),
    "save_weights": (lambda v, _: cc.save_weights(v, "out"), ("network", "network fit")),
    "modelica_text": (lambda v, _: cc.modelica_text(v), (*FITS, FROM_FILE)),
    "write_modelica": (lambda v, _: cc.write_modelica(v, "out.mo"), (*FITS, FROM_FILE)),
    "diagnose": (lambda v, _: cc.diagnose(v), (*FITS, "solution")),
    "uncertainty": (lambda v, _: cc.uncertainty(v), FITS),
    "bootstrap": (lambda v, _: cc.bootstrap(v, 2), FITS),
    "costates": (lambda v, _: cc.costates(v), FITS),
    "estimate_error": (lambda v, _: cc.estimate_error(v), FITS),
    "residuals": (lambda v, _: cc.residuals(v), (*FITS, FROM_FILE)),
    "whiteness": (lambda v, _: cc.whiteness(v), (*FITS, FROM_FILE)),
    "simulate": (
        lambda v, _: cc.simulate(v, [1.0], [0.0, 1.0]),
        (*FITS, FROM_FILE, "model"),
    ),
    "report": (
        lambda v, _: cc.report(v),
        (*FITS, FROM_FILE, "solution", "result", "multistart"),
    ),
    "solve_nl": (lambda v, _: cc.solve_nl(v), ("file", "a path")),
    "write_solution": (lambda v, t: cc.write_solution(v, t["result"]), ("file",)),
    "write_solution ": (lambda v, t: cc.write_solution(t["file"], v), ("result",)),
    "load_from_pyomo": (lambda v, t: cc.load_from_pyomo(t["nlp"], v), ()),
    "write_c": (lambda v, _: cc.write_c(v, "out.c"), ()),
    "save_functions": (lambda v, _: cc.save_functions(v, "out"), ()),
    "from_frame": (lambda v, _: cc.from_frame(v), ()),
    "read_nl": (lambda v, _: cc.read_nl(v), ("a path",)),
    "read_csv": (lambda v, _: cc.read_csv(v), ()),
    "read_table": (lambda v, _: cc.read_table(v), ()),
    "read_onnx": (lambda v, _: cc.read_onnx(v), ()),
    "load": (lambda v, _: cc.load(v), ()),
    "load_weights": (lambda v, _: cc.load_weights(v), ()),
    "load_functions": (lambda v, _: cc.load_functions(v), ()),
    "load_growth": (lambda v, _: cc.load_growth(v), ()),
    "save_growth": (lambda v, _: cc.save_growth(v, "out"), ()),
    "grow": (lambda v, _: cc.grow(v), ()),
    "refine_layers": (lambda v, _: cc.refine_layers(v), ()),
    "estimate_layers": (lambda v, _: cc.estimate_layers(v, np.ones(3)), ()),
    "topological_derivative": (lambda v, _: cc.topological_derivative(v, np.ones(3)), ()),
    "train": (lambda v, _: layered.train(v), ()),
    "layered_program": (lambda v, _: layered.layered_program(v, np.ones(3)), ()),
    "predict": (lambda v, _: layered.predict(v, np.ones(3), np.ones((2, 1))), ()),
    "Objective": (lambda v, t: layered.Objective(v, t["experiment"]), ()),
    "Problem(dynamics": (lambda v, t: cc.Problem(v, t["experiment"]), ("dynamics",)),
    "Problem(experiments": (
        lambda v, t: cc.Problem(t["dynamics"], v),
        ("experiment", "experiments"),
    ),
    "NeuralODE": (lambda v, _: cc.NeuralODE(v), ("mlp",)),
    "TrainedNetwork": (lambda v, _: cc.TrainedNetwork(v, np.ones(7)), ("mlp",)),
}
SLOW = ("multistart", "sweep", "admm", "refine", "fit")
UNTYPED = ("a path",)  # a text may be a path or a name: what is wrong with it is another matter


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_what_is_given_is_taken_as_meant_or_refused_in_a_sentence(name, things):
    call, accepted = CALLS[name]
    assert set(accepted) <= set(things)
    for what, value in things.items():
        if what in accepted:
            if name not in SLOW and not (name == "values=" and what in ("a path", "solution")):
                _tried(call, value, things)
            continue
        with pytest.raises(cc.CollocodeError) as caught:
            call(value, things)
        said = str(caught.value)
        assert "\n" not in said
        assert said.endswith(".")
        if what not in UNTYPED:
            assert len(said) < 400


def _tried(call, value, things):
    """It works, or says what else is wrong; a fit of five iterations need not be solved."""
    said = ""
    try:
        call(value, things)
    except cc.CollocodeError as error:
        said = str(error)
    assert not re.search(r"takes an? \w+", said)


@pytest.mark.parametrize(
    ("name", "what", "message"),
    [
        ("solve", "problem", "solve takes a Program, not a Problem; pass discretize(problem)."),
        ("solve", "fit", "solve takes a Program, not a Solution; pass solution.nlp."),
        ("solve", "builder", "solve takes a Program, not a ProgramBuilder; pass builder.build()."),
        ("fit", "experiment", "not an Experiment; pass Problem(dynamics, experiment)."),
        ("discretize", "experiment", "not an Experiment; pass Problem(dynamics, experiment)."),
        ("fit", "nlp", "fit takes a Problem, not an NLP; pass nlp.problem."),
        (
            "to_pyomo",
            "problem",
            "to_pyomo takes a Program, not a Problem; pass discretize(problem).",
        ),
        ("write_onnx", "mlp", "not an MLP; pass TrainedNetwork(network, weights)."),
        ("write_onnx", "fit", "this model has no networks, only physical parameters."),
        ("diagnose", "nlp", "takes a Solution or a ProgramSolution, not an NLP; pass solve(nlp)."),
        ("uncertainty", "nlp", "uncertainty takes a Solution, not an NLP; pass solve(nlp)."),
        ("uncertainty", "multistart", "not a Multistart; pass result.best."),
        ("uncertainty", "a path", "uncertainty takes a Solution, not a str; pass load(path)."),
        ("write_nl", FROM_FILE, "was loaded from a file and has no equations; discretize"),
        ("solve", "None", "solve takes a Program, not None; discretize(problem) makes one"),
        (
            "fit",
            "a class",
            "fit takes a Problem, not the class Problem; make one: Problem(dynamics, experiments).",
        ),
        ("load", "fit", "load takes a path or a str, not a Solution; solution.save(path)"),
    ],
)
def test_the_sentence_says_what_to_pass(name, what, message, things):
    with pytest.raises(cc.InputError, match=re.escape(message)):
        CALLS[name][0](things[what], things)


def test_a_solution_is_exported_as_its_program_at_its_point(things):
    fit = things["fit"]
    np.testing.assert_array_equal(cc.nlp_functions(fit)["nlp_data"]()["x0"], fit.result.x[:, None])
    for given in (fit, things["solution"]):
        export = cc.to_pyomo(given)
        values = [v.value for v in export.variables]
        np.testing.assert_allclose(values, given.result.x)
    model = cc.read_nl(cc.write_nl(fit, "fit").path)
    assert model.multipliers is not None  # it starts where the fit ended
    np.testing.assert_allclose(
        cc.jax_rhs(fit)(0.0, [2.0]) if _jax() else fit.model.trained_function()(0.0, 2.0, []),
        [-2.0 * fit.parameters["k"]],
        rtol=1e-6,
    )


def test_a_solution_has_the_network_that_is_written(things):
    fit = things["network fit"]
    cc.write_onnx(fit, "net.onnx")
    cc.save_weights(fit.model, "net")
    np.testing.assert_allclose(cc.load_weights("net.npz").weights, fit.model.theta)
    np.testing.assert_allclose(cc.read_onnx("net.onnx")([0.3]), fit.network()([0.3]))


def _jax():
    try:
        import jax  # noqa: F401
    except ImportError:
        return False
    return True


NONSENSE = {"None": None, "a number": 3, "a dict": {"a": 1}, "an object": object()}
MADE = (layered.donut1d, layered.donut2d, layered.spiral2d, layered.squares2d)
# what some do take
TAKEN = {
    **dict.fromkeys((cc.fixed, cc.weighted, *MADE), "a number"),
    **dict.fromkeys((cc.from_frame, relu.train, layered.relative_error), "a frame"),
}


def functions():
    """Every public function, with how much it has to be given; all that it can be given where that is nothing."""
    for module in (cc, layered, relu, plots):
        for name in sorted(n for n in dir(module) if not n.startswith("_")):
            function = getattr(module, name)
            if inspect.isfunction(function) and name != "kinds_checked":
                given = inspect.signature(function).parameters.values()
                given = [p for p in given if p.kind is p.POSITIONAL_OR_KEYWORD]
                needed = [p for p in given if p.default is p.empty] or given
                if needed:
                    label = f"{module.__name__}.{name}".removeprefix("collocode.")
                    yield pytest.param(function, len(needed), id=label)


@pytest.mark.parametrize(("function", "count"), list(functions()))
def test_nonsense_is_refused_with_a_remedy(function, count, tmp_path, monkeypatch):
    """Whatever stands for all arguments that are needed."""
    monkeypatch.chdir(tmp_path)
    things = {**NONSENSE, "a frame": pd.DataFrame({"t": [0.0, 1.0]})}
    for what, value in things.items():
        if TAKEN.get(function) == what:
            continue
        with pytest.raises(cc.CollocodeError) as caught:
            function(*[value] * count)
        said = str(caught.value)
        assert "\n" not in said
        assert said.endswith(".")
        if re.search(r" takes an? [A-Z]", said):
            assert "; " in said  # what to do instead
    assert not list(tmp_path.iterdir())
