"""Exported models that bring their decided inputs along."""

import re

import casadi as ca
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc
from collocode.export.profiles import powers


def planned(kind, scheme="radau"):
    return cc.fit(
        cc.Problem(
            cc.Dynamics(lambda t, x, u, p, nn: [u.feed - x.level * u.leak]),
            cc.Window(
                end=2.0,
                controls={"feed": cc.Control(0.0, 2.0, kind=kind)},
                inputs={"leak": cc.Signal([0.0, 1.0], [1.0, 0.5], "zoh")},
                initial={"level": 0.2},
            ),
            states=("level",),
            costs=cc.Lagrange(lambda t, x, u, p, nn: (x.level - 0.8) ** 2 + 0.01 * u.feed**2),
            name="Tank",
        ),
        scheme,
        mesh=4,
    )


@pytest.mark.parametrize(
    "signal",
    [
        cc.Signal([0.0, 1.0, 2.5], [1.0, -2.0, 3.0], "zoh"),
        cc.Signal([0.0, 1.0, 2.5], [1.0, -2.0, 3.0], "linear"),
        cc.Signal([0.0, 1.0, 2.5, 3.0], [1.0, -2.0, 3.0, 0.0], "spline"),
        cc.Signal([0.1, 0.9, 1.3, 2.7], [1.0, 2.0, 0.0, -1.0], "polynomial", [0.0, 1.0, 3.0]),
        cc.Signal([0.0], [4.0]),
    ],
    ids=lambda s: s.kind,
)
def test_powers_are_the_signal(signal):
    points, table = powers(signal)
    for t in np.linspace(points[0], points[-1], 41, endpoint=False):
        k = np.clip(np.searchsorted(points, t, side="right") - 1, 0, len(table) - 1)
        s = (t - points[k]) / (points[k + 1] - points[k])
        assert np.polyval(table[k], s) == pytest.approx(float(signal(t)[0]), abs=1e-12)


@pytest.mark.parametrize("kind", ["stages", "constant", "linear"])
def test_a_planned_function_simulates_as_it_stands(kind):
    solution = planned(kind)
    functions = cc.planned_functions(solution)
    part = solution.trajectories[0]
    for t in (0.0, 0.3, 1.1, 1.999, 5.0):
        u = np.asarray(functions["inputs"](t)).ravel()
        expected = [part.experiment.inputs[n](t)[0] for n in solution.model.inputs]
        np.testing.assert_allclose(u, expected, atol=1e-12)
    x = part.states[0]
    for a, b in zip(part.mesh.points[:-1], part.mesh.points[1:], strict=True):
        inside = (a + 1e-12, b - 1e-12)  # a jump belongs to one side only
        run = solve_ivp(
            lambda t, y: np.asarray(functions["planned"](t, y)).ravel(), inside, x, rtol=1e-10
        )
        x = run.y[:, -1]
    np.testing.assert_allclose(x, part.states[-1], atol=1e-5)


def test_a_modelica_model_has_the_profile_inside():
    solution = planned("stages")
    text = cc.modelica_text(solution)
    assert "input Real" in text  # of the function alone
    assert re.findall(r"^  input Real", text, flags=re.M) == []
    assert "  feed = profile(time, feed_points, feed_powers);" in text
    (points,) = re.findall(r"feed_points\[\d+\] = (\{.*\});", text)
    (table,) = re.findall(r"feed_powers\[\d+, \d+\] = (\{.*\});", text)
    points, table = (np.array(eval(v.translate({123: 91, 125: 93}))) for v in (points, table))
    t, k = 0.7, 1
    assert points[k] <= t < points[k + 1]
    value = 0.0
    for c in table[k]:
        value = value * (t - points[k]) / (points[k + 1] - points[k]) + c
    assert value == pytest.approx(solution.control("feed", [t])[0], abs=1e-12)


def test_the_command_line_writes_it(tmp_path):
    from typer.testing import CliRunner

    from collocode.cli.main import app

    planned("constant").save(tmp_path / "plan.npz")
    target = tmp_path / "plan.casadi"
    answer = CliRunner().invoke(app, ["export", str(tmp_path / "plan.npz"), "--to", str(target)])
    assert answer.exit_code == 0, answer.output
    found = cc.load_functions(target)
    assert set(found) == {"rhs", "inputs", "planned"}
    assert isinstance(found["planned"](0.0, 0.2), ca.DM)


def test_what_has_no_profile_is_refused():
    t = np.linspace(0.0, 1.0, 5)
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    fitted = cc.fit(cc.Problem(decay, cc.Experiment(t, np.exp(-t), ("c",))), mesh=4)
    with pytest.raises(cc.InputError, match="has no inputs; export its right-hand side"):
        cc.planned_functions(fitted)
    nodes = np.linspace(0.0, 1.0, 12)
    high = cc.Signal(nodes, np.sin(nodes), "polynomial", [0.0, 1.0])
    with pytest.raises(cc.InputError, match="polynomial of degree 11"):
        powers(high, "feed")
