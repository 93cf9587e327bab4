"""Optima that are worked out by hand: free times, jumps, phases, integrals, rates, parameters, scenarios."""

import casadi as ca
import numpy as np
import pytest

import collocode as cc


def moved(t, x, u, p, nn):
    return [u.u]


def effort(t, x, u, p, nn):
    return u.u**2


def window(**given):
    free = {"controls": {"u": cc.Control(-50.0, 50.0, kind="constant")}, "initial": {"x": 0.0}}
    return cc.Window(**{"end": 1.0, **free, **given})


def problem(windows, costs, dynamics=None, **given):
    dynamics = cc.Dynamics(moved) if dynamics is None else dynamics
    return cc.Problem(dynamics, windows, states=("x",), costs=costs, **given)


def after(name="b", **given):
    return window(**{"start": 1.0, "end": 2.0, "name": name, "initial": {}, **given})


def free_start():
    """1/(2T) + 4T − 2T², T = 1 − t0: stationary where T²(1−T) = 1/8, at T = 1/2."""
    began = window(start=0.4, start_bounds=(0.2, 0.8), final={"x": 1.0})
    return problem(began, cc.Lagrange(lambda t, x, u, p, nn: u.u**2 / 2.0 + 4.0 * t))


def free_duration():
    """A longest duration of 2 is used, and the start is 1, as its cost wants."""
    moving = window(
        start=0.5,
        end=2.0,
        start_bounds=(-3.0, 3.0),
        end_bounds=(-3.0, 6.0),
        duration_bounds=(1.0, 2.0),
        final={"x": 1.0},
    )
    early = cc.Mayer(lambda t, x, u, p, nn: (t - 1.0) ** 2, at="start")
    return problem(moving, [cc.Lagrange(effort), early])


def integral_and_maximum():
    """x(1) is largest, 2, where u² has the mean 4."""
    held = cc.IntegralConstraint("fuel", effort, upper=4.0)
    return problem(window(), -cc.Mayer(lambda t, x, u, p, nn: x.x), constraints=[held])


def integral_in_free_time():
    """u = 1/T and ∫u² = 1/T ≤ 1."""
    held = cc.IntegralConstraint("fuel", effort, upper=1.0)
    free = window(end=2.0, end_bounds=(0.1, 5.0), final={"x": 1.0})
    return problem(free, cc.Mayer(lambda t, x, u, p, nn: t), constraints=[held])


def jump():
    """a²/t₁ + (1 − 2a)²/(2 − t₁) is at least 1/(4t₁ + 2 − t₁), at the largest t₁, 1.5."""
    doubled = cc.Link("a", "b", jump={"x": lambda t, x, u, p, nn: 2.0 * x.x})
    windows = [
        window(name="a", end_bounds=(0.5, 1.5)),
        after(start_bounds=(0.5, 1.5), final={"x": 1.0}),
    ]
    return problem(windows, cc.Lagrange(effort), links=[doubled])


def medium():
    """Half the speed beyond x = 1: 1/t₁ + 4/t₂ with t₁ + t₂ = 3 is least at t₁ = 1."""
    phases = cc.Phases(
        {"a": cc.Dynamics(moved), "b": cc.Dynamics(lambda t, x, u, p, nn: [0.5 * u.u])}
    )
    windows = [
        window(name="a", end=1.4, end_bounds=(0.2, 2.8), final={"x": 1.0}),
        after(start=1.4, end=3.0, start_bounds=(0.2, 2.8), final={"x": 2.0}),
    ]
    return problem(windows, cc.Lagrange(effort), phases, links=[cc.Link("a", "b")])


def parameter_beside():
    """(2 − p)² + (p − 1)², for a parameter on a logarithmic scale."""
    helped = cc.Dynamics(
        lambda t, x, u, p, nn: [u.u + p.p],
        parameters=[cc.Parameter("p", 0.5, 0.01, 5.0, scale="log")],
    )
    costs = [cc.Lagrange(effort), cc.Mayer(lambda t, x, u, p, nn: (p.p - 1.0) ** 2)]
    return problem(window(final={"x": 2.0}), costs, helped)


def scenarios():
    """(c − 1)² + (2c − 1)² of one control for two gains."""
    shared = cc.Control(-5.0, 5.0, kind=cc.PiecewiseConstant(np.linspace(0, 1, 5)), shared=True)
    windows = [
        window(name=f"gain {a:g}", inputs={"a": cc.Signal([0.0], [a], "zoh")}, controls={"u": shared})
        for a in (1.0, 2.0)
    ]  # fmt: skip
    gained = cc.Dynamics(lambda t, x, u, p, nn: [u.a * u.u])
    return problem(windows, cc.Mayer(lambda t, x, u, p, nn: (x.x - 1.0) ** 2), gained)


def rate_in_free_time():
    """u = t from u(0) = 0 at the largest rate: t²/2 = 1."""
    ramp = cc.Control(0.0, 10.0, kind="linear", rate=(-1.0, 1.0), start=1.0)
    still = cc.PathConstraint("still", lambda t, x, u, p, nn: u.u, 0.0, 0.0, at="start")
    free = window(end=2.0, end_bounds=(0.1, 5.0), final={"x": 1.0}, controls={"u": ramp})
    return problem(free, cc.Mayer(lambda t, x, u, p, nn: t), constraints=[still])


def moves():
    """(c₁ − 1)²/2 + (c₂ + 1)²/2 + (c₂ − c₁)² is least at c₁ = −c₂ = 1/5."""
    held = cc.Control(kind=cc.PiecewiseConstant([0.0, 0.5, 1.0]), moves=1.0)
    wanted = cc.Lagrange(lambda t, x, u, p, nn: (u.u - ca.if_else(t <= 0.5, 1.0, -1.0)) ** 2)
    return problem(window(controls={"u": held}), wanted)


def own_start():
    """(x₀ − 2)² + e⁻²x₀² of a state that decays."""
    costs = [
        cc.Mayer(lambda t, x, u, p, nn: (x.x - 2.0) ** 2, at="start", name="first"),
        cc.Mayer(lambda t, x, u, p, nn: x.x**2, name="last"),
    ]
    return problem(cc.Window(end=1.0), costs, cc.Dynamics(lambda t, x, u, p, nn: [-x.x]))


def algebraic_bound():
    """x' = z = u, z ≤ 1/2: the largest x(1) is 1/2."""
    through = cc.Dynamics(
        lambda t, x, u, p, nn: [x.z],
        algebraics={"z": 0.1},
        residuals=lambda t, x, u, p, nn: [x.z - u.u],
    )
    best = -cc.Mayer(lambda t, x, u, p, nn: x.x)
    return problem(window(), best, through, bounds={"z": (-1.0, 0.5)})


def algebraic_at_the_end():
    """(z − 1)² + ∫u² with z = x, taken at the end: half of the way."""
    through = cc.Dynamics(
        moved, algebraics={"z": 0.1}, residuals=lambda t, x, u, p, nn: [x.z - x.x]
    )
    costs = [cc.Lagrange(effort), cc.Mayer(lambda t, x, u, p, nn: (x.z - 1.0) ** 2)]
    controls = {"u": cc.Control(-50.0, 50.0, kind="stages")}
    return problem(window(controls=controls), costs, through)


@pytest.mark.parametrize(
    ("make", "optimum"),
    [
        (free_start, 2.5),
        (free_duration, 0.5),
        (integral_and_maximum, -2.0),
        (integral_in_free_time, 1.0),
        (jump, 1.0 / 6.5),
        (medium, 3.0),
        (parameter_beside, 0.5),
        (scenarios, 0.2),
        (rate_in_free_time, np.sqrt(2.0)),
        (moves, 0.8),
        (own_start, 4.0 * np.exp(-2.0) / (1.0 + np.exp(-2.0))),
        (algebraic_bound, -0.5),
        (algebraic_at_the_end, 0.5),
    ],
)
def test_the_optimum_is_the_one_by_hand(make, optimum):
    nlp = cc.discretize(make(), mesh=8)
    solution = cc.solve_with(cc.make_solver(nlp), nlp)
    assert solution.success
    np.testing.assert_allclose(solution.result.objective, optimum, rtol=1e-6)


def seen_at(at, scheme, kind="cost"):
    """An algebraic variable z = x that is looked at at one end of a window."""
    through = cc.Dynamics(
        moved, algebraics={"z": 0.1}, residuals=lambda t, x, u, p, nn: [x.z - x.x]
    )
    costs, constraints = [cc.Lagrange(effort)], []
    if kind == "cost":
        costs.append(cc.Mayer(lambda t, x, u, p, nn: (x.z - 1.0) ** 2, at=at))
    else:
        at_end = cc.PathConstraint("end", lambda t, x, u, p, nn: x.z, 1.0, 1.0, at=at)
        constraints.append(at_end)
    known = {"initial": {}, "final": {"x": 0.0}} if at == "start" else {}
    controls = {"u": cc.Control(-50.0, 50.0)}
    made = problem(window(controls=controls, **known), costs, through, constraints=constraints)
    return cc.discretize(made, scheme=scheme, mesh=5)


@pytest.mark.parametrize(
    ("at", "scheme"), [("start", "radau"), ("start", "gauss"), ("end", "gauss")]
)
@pytest.mark.parametrize(("kind", "what"), [("cost", "Mayer cost 'Mayer'"), ("row", "path constraint 'end'")])  # fmt: skip
def test_an_algebraic_variable_is_not_seen_where_no_equation_determines_it(at, scheme, kind, what):
    """Extrapolated from the stages it was driven by the control of one element, to an optimum 4 % too low."""
    expected = f"{what} sees the algebraic variable 'z' at the {at} of a window, where the scheme '{scheme}' has no stage"
    with pytest.raises(cc.InputError, match=expected):
        seen_at(at, scheme, kind)


@pytest.mark.parametrize("at", ["start", "end"])
@pytest.mark.parametrize(("kind", "optimum"), [("cost", 0.5), ("row", 1.0)])
def test_a_scheme_with_a_stage_at_the_end_sees_it_there(at, kind, optimum):
    nlp = seen_at(at, "lobatto", kind)
    assert cc.solve_with(cc.make_solver(nlp), nlp).result.objective == pytest.approx(
        optimum, abs=1e-7
    )
