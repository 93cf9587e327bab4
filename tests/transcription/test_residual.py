"""The integrated residual between the stages: its value, its derivatives, and what it does to ringing."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app


def singular():
    """Aly and Chan's problem: u is singular all along, u = -sin t, x₁ = sin t, J = 0."""
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x1": x.x2, "x2": u.u}),
        cc.Window(
            end=np.pi / 2.0,
            controls={"u": cc.Control(-1.0, 1.0)},
            initial={"x1": 0.0, "x2": 1.0},
        ),
        states=("x1", "x2"),
        costs=cc.Lagrange(lambda t, x, u, p, nn: 0.5 * (x.x2**2 - x.x1**2), name="J"),
    )


def decay(**more):
    t = np.linspace(0.0, 2.0, 21)
    noise = 0.01 * np.random.default_rng(0).standard_normal(21)
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    return cc.Problem(dynamics, cc.Experiment(t, np.exp(-0.7 * t) + noise, ("c",)), **more)


def by_hand(solution, weight):
    """w ∫ ((ẋ_h - f)/x̄)² dt with the interpolants as NumPy's polynomials, for x' = -k x."""
    part, scheme = solution.trajectories[0], solution.scheme
    points, total = part.mesh.points, 0.0
    for e, (a, b) in enumerate(pairwise(points)):
        x = part.states[e * 3 : e * 3 + 4, 0]
        curve = np.polynomial.Polynomial.fit(a + (b - a) * scheme.nodes, x, 3)
        residual = curve.deriv() + solution.parameters["k"] * curve
        square = (residual**2).integ()
        total += square(b) - square(a)
    return weight * total / solution.nlp.problem.state_scale[0] ** 2


def test_the_term_is_the_integral_of_the_squared_residual():
    found = cc.fit(decay(), cc.scheme("radau", 3, residual=0.5), mesh=2)
    assert found.costs["integrated residual"] == pytest.approx(by_hand(found, 0.5), rel=1e-9)
    assert found.costs["integrated residual"] > 1e-12


def test_free_times_stretch_it():
    """A window twice as long by its guess is the same: r h, not h, is the step."""

    def window(end):
        return cc.Problem(
            cc.Dynamics(lambda t, x, u, p, nn: [-x.x * x.x]),
            cc.Window(end=end, end_bounds=(0.5, 5.0), initial={"x": 1.0}, final={"x": 0.4}),
            states=("x",),
            scaling={"x": 1.0},
            costs=cc.Mayer(lambda t, x, u, p, nn: 1e-3 * t, name="time"),
        )

    charged = cc.scheme("radau", 2, residual=3.0)
    one, other = (cc.fit(window(end), charged, mesh=3) for end in (1.0, 2.0))
    assert one.costs["time"] == pytest.approx(1.5e-3, rel=1e-2)
    assert one.costs["integrated residual"] > 1e-9
    assert one.costs["integrated residual"] == pytest.approx(
        other.costs["integrated residual"], rel=1e-4
    )


@pytest.mark.parametrize("control", [False, True])
def test_derivatives_are_those_of_the_objective(control):
    """By layers for the network, by its graph for the control."""
    t = np.linspace(0.0, 1.0, 8)
    learnt = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [nn(x.x) - x.x], networks={"f": cc.MLP((1, 3, 1))}),
        cc.Experiment(t, np.cos(t), ("x",)),
    )
    problem = singular() if control else learnt
    nlp = cc.discretize(problem, cc.scheme("radau", 2, residual=2.0), mesh=3)
    x = nlp.start + 0.1 * np.random.default_rng(0).standard_normal(nlp.columns)
    direction = np.random.default_rng(1).standard_normal(nlp.columns)
    step = 1e-5
    ahead, behind = (nlp.objective(x + s * step * direction) for s in (1.0, -1.0))
    slope = nlp.gradient(x) @ direction
    assert slope == pytest.approx((ahead - behind) / (2.0 * step), rel=1e-6)
    slopes = [nlp.gradient(x + s * step * direction) for s in (1.0, -1.0)]
    upper = nlp.functions.hessian(x, nlp.p, 1.0, np.zeros(nlp.rows)).sparse().toarray()
    curved = (upper + np.triu(upper, 1).T) @ direction
    np.testing.assert_allclose(curved, (slopes[0] - slopes[1]) / (2.0 * step), atol=1e-4)


def test_the_ringing_along_a_singular_arc_goes_away():
    t = np.linspace(0.0, np.pi / 2.0, 501)
    free, charged = (
        cc.fit(singular(), cc.scheme("radau", 3, residual=w), mesh=20, options={"tol": 1e-11})
        for w in (0.0, 10.0)
    )
    assert np.abs(free.control("u", t) + np.sin(t)).max() > 0.05
    assert np.abs(charged.control("u", t) + np.sin(t)).max() < 2e-3
    assert np.abs(charged.states(t)[:, 0] - np.sin(t)).max() < 2e-6
    assert abs(charged.costs["J"]) < 1e-8
    assert charged.gap() < 1e-6
    assert charged.gap() < 0.1 * free.gap()


def test_it_falls_faster_than_the_error_of_the_scheme():
    """Like h^(2s): it does not spoil the order."""
    values = [
        cc.fit(decay(), cc.scheme("radau", 2, residual=1e-3), mesh=n).costs["integrated residual"]
        for n in (2, 4)
    ]
    assert np.log2(values[0] / values[1]) == pytest.approx(4.0, abs=0.3)


def test_batches_add_up_to_the_whole():
    t = np.linspace(0.0, 3.0, 31)
    learnt = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [nn(np.sin(t))], networks={"f": cc.MLP((1, 1))}),
        cc.Experiment(t, 1.0 - np.cos(t) + 0.1 * np.sin(9.0 * t), ("x",)),
        regularisation=cc.L2(1e-2),
    )
    charged = cc.scheme("radau", 2, residual=0.1)
    whole = cc.fit(learnt, charged, mesh=6, options={"tol": 1e-10})
    parts = cc.admm(
        learnt,
        cc.Partition(2),
        rules=cc.NewtonRules(tolerance=1e-9),
        settings=cc.FitSettings(scheme=charged, mesh=6),
    )
    assert whole.costs["integrated residual"] > 1e-6
    assert parts.solution.result.objective == pytest.approx(whole.result.objective, rel=1e-7)


def test_the_weight_is_kept_in_the_file_and_said_in_the_report(tmp_path):
    found = cc.fit(decay(), cc.scheme("radau", 3, residual=0.5), mesh=3)
    found.save(tmp_path / "s.npz")
    assert cc.load(tmp_path / "s.npz").scheme.residual == 0.5
    assert "integrated residual of weight 0.5" in cc.report(found).to_markdown()


def test_the_command_line_takes_it(tmp_path):
    model = tmp_path / "arc.py"
    model.write_text(
        "import collocode as cc\n\n\ndef problem():\n    return cc.Problem(\n"
        "        cc.Dynamics(lambda t, x, u, p, nn: [u.a - x.x**2]),\n"
        "        cc.Window(end=1.0, controls={'a': cc.Control(0.0, 1.0)}, initial={'x': 0.0}),\n"
        "        states=('x',),\n"
        "        costs=cc.Lagrange(lambda t, x, u, p, nn: (x.x - 0.5) ** 2, name='miss'),\n    )\n"
    )
    arguments = ["solve", str(model), "--elements", "5", "--residual", "0.1", "--scheme", "gauss"]
    answer = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    assert answer.exit_code == 0, answer.output
    assert "integrated residual of weight 0.1" in answer.output


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cc.scheme("radau", 3, residual=-1.0), "is zero or more, not -1"),
        (lambda: cc.scheme("trapezoid", residual=1.0), "take 'radau', 'gauss' or a global scheme"),
        (lambda: replace(cc.scheme("lobatto"), residual=1.0), "does not vanish at its stages"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(cc.InputError, match=message):
        make()
