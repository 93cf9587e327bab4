"""What is decided, as the user writes it down: one sentence for every wrong input."""

import numpy as np
import pytest

import collocode as cc
from models.control import bryson_denham, double_integrator

T = np.linspace(0.0, 1.0, 11)
DATA = {"times": T, "values": np.exp(-T), "outputs": ("x",)}


def integrator(**window):
    """x' = u on [0, 1], at the least ∫u²."""
    given = {"end": 1.0, "controls": {"u": cc.Control()}, "initial": {"x": 0.0}} | window
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.u]),
        cc.Window(**given),
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.u**2),
    )


def problem_with(**changes):
    given = {"dynamics": cc.Dynamics(lambda t, x, u, p, nn: [u.u])}
    given["experiments"] = cc.Window(end=1.0, controls={"u": cc.Control(-1.0, 1.0)})
    return cc.discretize(cc.Problem(**{**given, "states": ("x",), **changes}), mesh=3)


def lagrange(function=lambda t, x, u, p, nn: u.u**2, **changes):
    return cc.Lagrange(function, **changes)


WRONG = {
    "a window without end": (
        lambda: cc.Window(),
        "window 'window' has no end; give Window\\(end=...\\), a guess if it is free.",
    ),
    "an end before the start": (
        lambda: cc.Window(start=2.0, end=1.0),
        "runs from 2 to 1; give finite start < end.",
    ),
    "a free end without lower bound": (
        lambda: cc.Window(end=1.0, end_bounds=(-np.inf, 5.0)),
        "may shrink to nothing \\(its end may be -inf, its start 0\\); raise the lower bound",
    ),
    "a guess outside its bounds": (
        lambda: cc.Window(end=9.0, end_bounds=(0.1, 5.0)),
        "has end = 9 for a guess, outside its bounds \\[0.1, 5\\]",
    ),
    "an input both given and decided": (
        lambda: integrator(inputs={"u": cc.Signal([0.0], [1.0])}),
        "input 'u' is both given and decided",
    ),
    "a signal of given times in a free window": (
        lambda: cc.Window(
            end=1.0, end_bounds=(0.1, 2.0), inputs={"d": cc.Signal([0.0, 1.0], [0.0, 1.0])}
        ),
        "has free times, but input 'd' is a signal of given times",
    ),
    "no control": (
        lambda: cc.Window(end=1.0, controls={"u": 3.0}),
        "controls\\['u'\\] of window 'window' takes a Control, not a float",
    ),
    "crossed bounds of a control": (
        lambda: cc.Control(1.0, -1.0),
        "the bounds of a control cross \\(1 > -1\\)",
    ),
    "a start of a control outside": (
        lambda: cc.Control(0.0, 1.0, start=2.0),
        "a control starts at 2, outside its bounds \\[0, 1\\]",
    ),
    "an unknown kind of control": (
        lambda: cc.Control(kind="cubic"),
        "unknown kind of control 'cubic'; choose from 'stages', 'constant', 'linear', or a Basis.",
    ),
    "rate bounds of a jumping control": (
        lambda: cc.Control(rate=(-1.0, 1.0)),
        "rate= bounds the slope of a control of kind 'linear', PiecewiseConstant or BSpline of degree 1, "
        "not 'stages'",
    ),
    "an output that sees an input nobody measured": (
        lambda: cc.discretize(
            cc.Problem(
                cc.Dynamics(lambda t, x, u, p, nn: [u.u]),
                cc.Experiment(**{**DATA, "outputs": ("y",)}, controls={"u": cc.Control()}),
                states=("x",),
                observe=lambda x, u, p: [x.x + u.u],
            )
        ),
        "an output of experiment 'experiment' depends on control 'u'",
    ),
    "free times of data": (
        lambda: cc.Experiment(**DATA, end_bounds=(1.0, 2.0)),
        "so it cannot have a free end",
    ),
    "states without names": (
        lambda: problem_with(states=()),
        "nothing is measured, so the states have no names; give states=.",
    ),
    "a cost that is a number": (
        lambda: cc.Mayer(1.0),
        "Mayer needs a function of \\(t, x, u, p, nn\\), not 1.0",
    ),
    "a cost that is a function": (
        lambda: problem_with(costs=[lambda t, x, u, p, nn: x.x]),
        "Problem\\(costs=...\\) takes a Cost, not a function; wrap it: Lagrange\\(function\\) or Mayer",
    ),
    "a cost of an unknown state": (
        lambda: problem_with(costs=lagrange(lambda t, x, u, p, nn: x.y)),
        "there is no state 'y'; there are: x.",
    ),
    "a cost of several values": (
        lambda: problem_with(costs=lagrange(lambda t, x, u, p, nn: [x.x, u.u])),
        "cost 'Lagrange' returned 2 values, but 1 are needed.",
    ),
    "a cost of an unknown window": (
        lambda: problem_with(costs=lagrange(windows=("descent",))),
        "cost 'Lagrange' names 'descent', which is no window; there are: window.",
    ),
    "a constraint in an unknown window": (
        lambda: problem_with(
            constraints=[
                cc.PathConstraint("low", lambda t, x, u, p, nn: x.x, 0.0, 1.0, windows="descent")
            ]
        ),
        "constraint 'low' names 'descent', which is no window; there are: window.",
    ),
    "two costs of one name": (
        lambda: problem_with(costs=[lagrange(), lagrange()]),
        "two costs are called 'Lagrange'; give them name=.",
    ),
    "a cost with a weight that is none": (
        lambda: np.nan * lagrange(),
        "the weight of a Lagrange cost must be finite, not nan.",
    ),
    "a Mayer cost in the middle": (
        lambda: cc.Mayer(lambda t, x, u, p, nn: t, at="middle"),
        "a Mayer cost is taken at 'start' or 'end', not at 'middle'.",
    ),
    "a constraint at nowhere": (
        lambda: cc.PathConstraint("c", lambda t, x, u, p, nn: x.x, at="middle"),
        "path constraint 'c' is held at 'middle'; choose 'path', 'start' or 'end'.",
    ),
    "a control without bounds under a linear cost": (
        lambda: problem_with(
            experiments=cc.Window(end=1.0, controls={"u": cc.Control()}),
            costs=lagrange(lambda t, x, u, p, nn: u.u),
        ),
        "control 'u' of window 'window' has no bounds, and right-hand side and costs are linear in it",
    ),
    "a control that costs nothing at a stage": (
        lambda: cc.discretize(integrator(), "chebyshev", 4, mesh=2),
        "control 'u' is free at every stage, but scheme 'chebyshev' of degree 4 gives stage 4 no weight",
    ),
    "an event in a window of free times": (
        lambda: cc.Window(end=2.0, end_bounds=(1.5, 3.0), events=[cc.Dose(1.0, 1.0, to="x")]),
        "window 'window' has free times, but an event at a given one; end the window where",
    ),
    "a state and a control of one name": (
        lambda: cc.Problem(
            cc.Dynamics(lambda t, x, u, p, nn: [u.x]),
            cc.Window(end=1.0, controls={"x": cc.Control()}),
            states=("x",),
        ),
        "'x' is the name of a state and of an input; rename one.",
    ),
    "a delay of what is decided": (
        lambda: problem_with(delays={"u": 0.5}),
        "window 'window' decides 'u', which a delay cannot move",
    ),
    "a final state outside its bounds": (
        lambda: problem_with(
            experiments=cc.Window(end=1.0, controls={"u": cc.Control(-1.0, 1.0)}, final={"x": 3.0}),
            bounds={"x": (0.0, 2.0)},
        ),
        "fixes the last x = 3, outside its bounds \\[0, 2\\]; the problem is infeasible.",
    ),
    "a final value of no state": (
        lambda: integrator(final={"y": 1.0}),
        "final= of experiment 'window' names 'y', which is no state; there are: x.",
    ),
    "an input that nobody gives or decides": (
        lambda: problem_with(
            experiments=[
                cc.Window(end=1.0, controls={"u": cc.Control(-1.0, 1.0)}, name="a"),
                cc.Window(end=1.0, name="b"),
            ]
        ),
        "experiment 'b' has no input 'u'; add it.",
    ),
    "weights in time over free times": (
        lambda: cc.Problem(
            cc.Dynamics(
                lambda t, x, u, p, nn: [p.k],
                parameters=[cc.Parameter("k", 1.0, basis=cc.Legendre(1, (0.0, 2.0)))],
            ),
            cc.Window(end=1.0, end_bounds=(0.5, 2.0)),
            states=("x",),
        ),
        "vary in time have an interval of given times, so no window may have free ones",
    ),
    "a bound that is text": (
        lambda: cc.Control("-1"),
        "lower of Control must be a number, not '-1'.",
    ),
    "a rate that is one number": (
        lambda: cc.Control(kind="linear", rate=1.0),
        "rate= of a Control takes two numbers \\(lower, upper\\), not 1.0.",
    ),
    "moves of a polynomial": (
        lambda: cc.Control(moves=1.0),
        "moves= charges the steps of a PiecewiseConstant or a BSpline of degree 1, not 'stages'",
    ),
    "a shared polynomial": (
        lambda: cc.Control(shared=True),
        "windows share a control that is a Basis, whatever their meshes, not 'stages'",
    ),
    "bounds of a cubic spline": (
        lambda: cc.Control(0.0, 1.0, kind=cc.BSpline((0.0, 1.0), 3)),
        "are not those of its coefficients; leave them out and hold it by a PathConstraint",
    ),
    "a basis that is too short": (
        lambda: problem_with(
            experiments=cc.Window(
                end=2.0, controls={"u": cc.Control(-1.0, 1.0, kind=cc.PiecewiseConstant((0, 1)))}
            )
        ),
        "but window 'window' runs over \\[0, 2\\]; give the basis an interval that covers it.",
    ),
    "one shared control given twice": (
        lambda: problem_with(
            experiments=[
                cc.Window(
                    name=name,
                    end=1.0,
                    controls={
                        "u": cc.Control(0.0, top, kind=cc.PiecewiseConstant((0, 1)), shared=True)
                    },
                )
                for name, top in (("a", 1.0), ("b", 2.0))
            ]
        ),
        "windows 'a' and 'b' share control 'u', but give it differently; give both the same",
    ),
    "a weight that is text": (
        lambda: lagrange(weight="2"),
        "weight of Lagrange must be a number, not '2'.",
    ),
    "a cost times text": (
        lambda: lagrange() * "2",
        "a cost is weighed by a number, not by '2'.",
    ),
    "a window of a cost that is a number": (
        lambda: lagrange(windows=2),
        "windows= of a Lagrange cost takes names, not 2.",
    ),
    "an end that is text": (
        lambda: cc.Window(end="1"),
        "end of Window must be a number or None, not '1'.",
    ),
    "controls in a list": (
        lambda: cc.Window(end=1.0, controls=[cc.Control()]),
        "controls of Window must be a dict, not",
    ),
    "end bounds that are one number": (
        lambda: cc.Window(end=1.0, end_bounds=2.0),
        "end_bounds= of window 'window' takes two numbers \\(lower, upper\\), not 2.0.",
    ),
    "a guess that is text": (
        lambda: cc.Window(end=1.0, guess={"x": "0"}),
        "guess\\['x'\\] of window 'window' takes a Signal or a float",
    ),
    "an input that is a number": (
        lambda: cc.Window(end=1.0, inputs={"d": 3.0}),
        "inputs\\['d'\\] of window 'window' takes a Signal, not a float",
    ),
    "a link of numbers": (lambda: cc.Link(0, 1), "before of Link must be a text, not 0."),
    "a jump that is a number": (
        lambda: cc.Link("a", "b", jump={"x": 0.5}),
        "the jump of 'x' in link 'a to b' is a function of \\(t, x, u, p, nn\\), not 0.5.",
    ),
    "a link of windows that there are not": (
        lambda: problem_with(links=cc.Link("a", "b")),
        "link 'a to b' names 'a', which is no window; there are: window.",
    ),
    "costs that are a number": (
        lambda: problem_with(costs=3),
        "Problem\\(costs=...\\) takes a Cost, not an int",
    ),
    "bounds of a state that are one number": (
        lambda: problem_with(bounds={"x": 1.0}),
        "bounds= of state 'x' takes two numbers \\(lower, upper\\), not 1.0.",
    ),
    "an input that was not decided": (
        lambda: cc.fit(integrator(), mesh=2).control("v", [0.0]),
        "there is no input 'v'; there are: u.",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_one_sentence_for(what):
    call, sentence = WRONG[what]
    with pytest.raises(cc.InputError, match=sentence) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "question",
    [cc.uncertainty, cc.bootstrap, lambda s: cc.start_from(s.nlp, "horizon")],
)
def test_what_is_about_data_alone_says_so(question):
    with pytest.raises(cc.InputError, match=r"'Bryson-Denham' has no data|about fits of data, but"):
        question(cc.fit(bryson_denham.problem(), mesh=3))


@pytest.mark.parametrize(
    "question",
    [cc.admm, cc.split, lambda problem: cc.sweep(problem, "regularisation", [1e-3, 1e-4])],
)
def test_algorithms_on_data_alone_say_so(question):
    with pytest.raises(cc.InputError, match=r"'Double integrator' has no data|about fits of data"):
        question(double_integrator.problem())


def test_several_seeds_find_the_same_plan():
    found = cc.multistart(double_integrator.problem(), seeds=2, mesh=4)
    assert found.best.costs["time"] == pytest.approx(2.0, abs=1e-6)
    assert found.table["simulated"].isna().all()


@pytest.mark.parametrize(
    ("goal", "sentence"),
    [
        (
            "state:x@0.5",
            "decides, so only its objective's error is estimated, not that of x at 0.5",
        ),
        ("simulated", "only its objective's error is estimated, not that of simulated misfit"),
    ],
)
def test_errors_of_other_goals_are_refused_by_name(goal, sentence):
    with pytest.raises(cc.InputError, match=sentence):
        cc.estimate_error(cc.fit(bryson_denham.problem(), mesh=3), goal)
    with pytest.raises(cc.InputError, match=sentence):
        cc.refine(bryson_denham.problem(), goal=goal)


def test_ends_that_no_control_reaches_are_a_finding():
    far = cc.Window(
        end=1.0, controls={"u": cc.Control(-1.0, 1.0)}, initial={"x": 0.0}, final={"x": 5.0}
    )
    problem = cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: [u.u]), far, states=("x",))
    with pytest.warns(cc.CollocodeWarning, match="locally infeasible"):
        found = cc.fit(problem, mesh=3)
    (finding,) = cc.findings(found)
    assert finding.code == "not-solved"


def test_costs_are_weighed_and_negated():
    cost = cc.Lagrange(lambda t, x, u, p, nn: u.u**2, name="effort")
    assert (-(0.5 * cost) * 4.0).weight == -2.0
    assert (2.0 * cost).name == "effort"


def test_a_window_is_shown_with_its_freedom():
    window = double_integrator.problem().experiments[0]
    assert repr(window) == "Window('window', controls=('a',), [0, 1 (free)])"


def test_typical_sizes_come_from_the_ends():
    problem = double_integrator.problem(distance=1000.0)
    assert problem.state_scale.tolist() == [1024.0, 1.0]
