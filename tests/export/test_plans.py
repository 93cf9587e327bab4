"""Plans that are exported are run again, in C, CasADi and a reader of Modelica, and compared with simulations."""

import subprocess

import casadi as ca
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app
from tests.export.test_modelica_events import simulated


def two_phases():
    """A mass that burns and is dropped, then coasts under another control; a parameter differs by window."""
    burn = cc.Dynamics(
        lambda t, x, u, p, nn: {"h": x.v, "v": u.push / x.m - p.drag * x.v, "m": -0.2 * u.push},
        parameters=[cc.Parameter("drag", 0.1)],
    )
    coast = cc.Dynamics(
        lambda t, x, u, p, nn: {"h": x.v, "v": u.push - p.drag * x.v**2, "m": 0.0},
        parameters=[cc.Parameter("drag", 0.1)],
    )
    steered = {"controls": {"push": cc.Control(0.0, 2.0, start=1.0)}}
    windows = [
        cc.Window(
            name="burn", end=1.0, end_bounds=(0.5, 1.5), initial={"h": 0.0, "v": 0.0, "m": 1.0},
            parameters={"drag": 0.1}, **steered,
        ),
        cc.Window(
            name="coast", start=1.0, end=2.0, start_bounds=(0.5, 1.5), final={"h": 1.0},
            parameters={"drag": 0.3}, controls={"push": cc.Control(-1.0, 1.0, kind="constant")},
        ),
    ]  # fmt: skip
    return cc.Problem(
        cc.Phases({"burn": burn, "coast": coast}),
        windows,
        states=("h", "v", "m"),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.push**2 + 0.1),
        links=[cc.Link("burn", "coast", jump={"m": lambda t, x, u, p, nn: x.m - 0.3})],
        name="stages",
    )


@pytest.fixture(scope="module")
def staged():
    return cc.fit(two_phases(), mesh=4)


def along(solution):
    """Times and states of simulations, window after window."""
    found = []
    for part in solution.trajectories:
        model = solution.model.with_parameters(part.parameters)
        inputs = part.experiment.inputs
        run = cc.simulate(model, part.states[0], part.times, inputs, rtol=1e-11, atol=1e-12)
        found.append((part.times, run.states))
    return found


def compiled(functions, folder):
    """The functions as gcc makes them of C."""
    cc.write_c(functions, folder / "plan.c")
    library = folder / "plan.so"
    command = ["cc", "-O2", "-fPIC", "-shared", "plan.c", "-o", str(library), "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    return {name: ca.external(name, str(library)) for name in functions}


def loaded(functions, folder):
    cc.save_functions(functions, folder / "plan.casadi")
    return cc.load_functions(folder / "plan.casadi")


def integrated(planned, x, times, breaks):
    """(N, states) of a planned function, which is restarted at ``breaks``."""
    inner = sorted(b for b in breaks if times[0] < b < times[-1])
    found, at = [np.array([x])], x
    for a, b in zip([times[0], *inner], [*inner, times[-1]], strict=True):
        wanted = times[(times > a) & (times <= b)]
        inside = (a + 1e-13 * (b - a), b - 1e-13 * (b - a))  # a jump belongs to one side only
        run = solve_ivp(
            lambda t, y: np.asarray(planned(t, y)).ravel(), inside, at, "DOP853",
            rtol=1e-11, atol=1e-13, dense_output=True,
        )  # fmt: skip
        found.append(run.sol(wanted).T if len(wanted) else np.empty((0, len(x))))
        at = run.y[:, -1]
    return np.vstack(found)


@pytest.mark.parametrize("way", [compiled, loaded])
def test_functions_of_several_windows_do_what_the_plan_does(staged, tmp_path, way):
    assert staged.success
    functions = way(cc.planned_functions(staged), tmp_path)
    times, begun = (np.asarray(v) for v in functions["windows"]().values())
    truth = along(staged)
    np.testing.assert_allclose(times.ravel(), [t[0] for t, _ in truth], rtol=1e-14)
    for k, (part, (t, states)) in enumerate(zip(staged.trajectories, truth, strict=True)):
        found = integrated(functions["planned"], begun[:, k], t, part.mesh.points)
        np.testing.assert_allclose(found, states, rtol=1e-8, atol=1e-8)
    assert abs(truth[1][1][0, 2] - (truth[0][1][-1, 2] - 0.3)) < 1e-6  # the mass that is dropped


def test_a_modelica_model_of_several_windows_does_what_the_plan_does(staged, tmp_path):
    staged.save(tmp_path / "plan.npz")
    text = cc.modelica_text(staged)
    assert cc.modelica_text(cc.load(tmp_path / "plan.npz")) == text
    truth = along(staged)
    between = staged.trajectories[1].mesh.start
    assert f"when time >= {float(between)!r} then\n    reinit(m, " in text
    assert "reinit(h" not in text  # goes over as it is
    assert "drag = if time < " in text
    breaks = [*staged.trajectories[0].mesh.points, *staged.trajectories[1].mesh.points]
    times = np.concatenate([truth[0][0][:-1], truth[1][0]])
    found = simulated(text, times, {}, rtol=1e-11, breaks=breaks)
    before = times < between
    np.testing.assert_allclose(found[before], truth[0][1][:-1], rtol=1e-8, atol=1e-8)
    # the junctions of the program hold to its tolerance, and the reader goes over them by itself
    np.testing.assert_allclose(found[times > between], truth[1][1][1:], rtol=1e-7, atol=1e-7)


def test_one_window_of_several(staged):
    functions = cc.planned_functions(staged, "coast")
    part = staged.trajectories[1]
    assert set(functions) == {"inputs", "planned"}
    t = np.linspace(part.mesh.start, part.mesh.end, 7)[:-1]
    found = [float(functions["inputs"](v)[0]) for v in t]
    np.testing.assert_allclose(found, part.experiment.inputs[staged.model.inputs[0]](t), atol=1e-12)
    text = cc.modelica_text(staged, experiment="coast")
    assert f"StartTime = {float(part.mesh.start)!r}" in text
    assert "reinit" not in text


def beside(count=2):
    windows = [
        cc.Window(
            name=f"case {k}", end=1.0, controls={"u": cc.Control(-1.0, 1.0)}, initial={"x": 0.5 * k}
        )
        for k in range(count)
    ]
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.u - x.x]),
        windows,
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: (x.x - 0.3) ** 2 + u.u**2),
    )


def test_windows_at_the_same_time_are_refused_or_chosen(tmp_path):
    solution = cc.fit(beside(), mesh=3)
    sentence = "'case 0' and 'case 1' are not one after the other"
    for export in (cc.planned_functions, cc.modelica_text):
        with pytest.raises(cc.InputError, match=sentence):
            export(solution)
    solution.save(tmp_path / "plan.npz")
    for ending in (".mo", ".c", ".casadi"):
        target = ["export", str(tmp_path / "plan.npz"), "--to", str(tmp_path / f"plan{ending}")]
        refused = CliRunner().invoke(app, target)
        assert refused.exit_code != 0
        assert "choose one by" in " ".join(refused.output.split())
        answer = CliRunner().invoke(app, [*target, "--window", "case 1"])
        assert answer.exit_code == 0, answer.output
    assert "x(start = 0.5, fixed = true)" in (tmp_path / "plan.mo").read_text()


def test_parameters_that_differ_by_experiment_are_not_taken_for_the_first(tmp_path):
    t = np.linspace(0.0, 2.0, 9)
    runs = [cc.Experiment(t, np.exp(-k * t), ("c",), name=f"k {k:g}") for k in (0.5, 1.0)]
    decay = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c],
        parameters=[cc.Parameter("k", 0.7, per_experiment=True)],
    )
    cc.fit(cc.Problem(decay, runs), mesh=6).save(tmp_path / "fit.npz")
    command = ["export", str(tmp_path / "fit.npz"), "--to", str(tmp_path / "rhs.casadi")]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code != 0
    assert "choose one of them by --window" in " ".join(refused.output.split())
    assert CliRunner().invoke(app, [*command, "--window", "k 1"]).exit_code == 0
    rhs = cc.load_functions(tmp_path / "rhs.casadi")["rhs"]
    assert float(rhs(0.0, 1.0, [])) == pytest.approx(-1.0, rel=1e-4)


T = np.linspace(0.0, 4.0, 17)


def fitted(rhs=lambda t, x, u, p, nn: [-p.k * x.c], values=None, given=(), **run):
    dynamics = cc.Dynamics(rhs, parameters=[cc.Parameter("k", 0.7, 1e-2, 5.0)])
    more, values = dict(given), np.exp(-0.5 * T) if values is None else values
    experiment = cc.Experiment(T, values, ("c",), **{"initial": {"c": 1.0}, **run})
    return cc.fit(cc.Problem(dynamics, experiment, **more), mesh=8)


def with_events():
    events = [cc.Dose(1.0, 0.5, to="c"), cc.Dose(2.0, 0.4, to="c", duration=0.5)]
    return fitted(events=[*events, cc.Dilution(3.0, 0.5, of="c")])


def with_a_dead_time():
    sent = cc.Signal([0.0, 1.0, 2.0], [0.0, 1.0, 0.3], "zoh")
    return fitted(
        lambda t, x, u, p, nn: [p.k * (u.v - x.c)],
        given={"delays": {"v": "lag"}, "parameters": [cc.Parameter("lag", 0.5, 0.1, 1.0)]},
        inputs={"v": sent},
    )


def from_rest():
    step = cc.Signal([0.0, 1e-4], [1.0, 2.0], "linear")
    return fitted(
        lambda t, x, u, p, nn: [u.v - p.k * x.c],
        4.0 - 2.0 * np.exp(-0.5 * T),
        inputs={"v": step}, initial={}, steady=cc.Steady(inputs={"v": 1.0}),
    )  # fmt: skip


@pytest.mark.parametrize("make", [with_events, with_a_dead_time, from_rest])
def test_what_acts_in_a_run_is_in_its_functions(make, tmp_path):
    solution = make()
    part, model = solution.trajectories[0], solution.model
    signals = model.acting(part.experiment.inputs).values()
    turns = np.concatenate([turn for s in signals for turn in (s.jumps, s.onsets, s.ends)])
    functions = loaded(cc.planned_functions(solution), tmp_path)
    found = integrated(functions["planned"], part.states[0], part.times, np.unique(turns))
    run = cc.simulate(
        model, part.states[0], part.times, part.experiment.inputs, rtol=1e-11, atol=1e-12
    )
    np.testing.assert_allclose(found, run.states, rtol=1e-8, atol=1e-8)


def test_the_plan_beside_data_is_what_is_exported():
    """Learnt from a run, planned for a window: no signal of the run is taken for the plan."""
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [u.u - p.k * x.c], parameters=[cc.Parameter("k", 0.7)]
    )
    idle = cc.Signal([0.0], [0.0], "zoh")
    run = cc.Experiment(T, np.exp(-0.5 * T), ("c",), name="run", inputs={"u": idle})
    plan = cc.Window(
        name="plan", end=1.0, controls={"u": cc.Control(0.0, 2.0, start=1.0)}, initial={"c": 0.0},
        final={"c": 0.5},
    )  # fmt: skip
    effort = cc.Lagrange(lambda t, x, u, p, nn: u.u**2, windows="plan")
    solution = cc.fit(cc.Problem(dynamics, [run, plan], costs=effort), mesh=6)
    planned = solution.trajectories[1]
    u = cc.planned_functions(solution)["inputs"](0.3)
    assert float(u) == pytest.approx(planned.experiment.inputs["u"](0.3)[0], abs=1e-12)
    assert float(u) > 0.1
    assert "StopTime = 1.0" in cc.modelica_text(solution)


def test_a_modelica_model_of_windows_with_events_is_refused():
    windows = [
        cc.Window(name="a", end=1.0, controls={"u": cc.Control(-1.0, 1.0)}, initial={"x": 0.0},
                  events=[cc.Dose(0.5, 0.2, to="x")]),
        cc.Window(name="b", start=1.0, end=2.0, controls={"u": cc.Control(-1.0, 1.0)}),
    ]  # fmt: skip
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.u - x.x]),
        windows,
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: (x.x - 0.3) ** 2 + u.u**2),
        links=[cc.Link("a", "b")],
    )
    solution = cc.fit(problem, mesh=4)
    with pytest.raises(cc.InputError, match="several windows does not have events in 'a'; choose"):
        cc.modelica_text(solution)
    assert "reinit(x, (pre(x) + 0.2));" in cc.modelica_text(solution, experiment="a")
