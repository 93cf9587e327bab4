"""Single shooting against SciPy's least squares over SciPy's integrators, and the fits that need it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

import collocode as cc
from collocode.adapt.first_mesh import meshes_along
from collocode.starts import search
from collocode.starts.ladder import merit_of_noise
from collocode.starts.shooting import can_shoot, shoot, simulated_misfit
from tests.problems import van_der_pol_neural


def run(field, initial, t):
    return solve_ivp(field, (t[0], t[-1]), initial, "LSODA", t, rtol=1e-10, atol=1e-12).y.T


def noisy(values, share=0.02):
    rng = np.random.default_rng(0)
    return values + share * values.std(0) * rng.standard_normal(values.shape)


def michaelis(V=1.0, K=1.0, bounds=None, **known):
    """Substrate that is used up within a third of the record: a corner in every run."""
    t = np.linspace(0.0, 30.0, 21)
    data = noisy(run(lambda t, y: -y / (0.1 + y), [10.0], t))
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.V * x.s / (p.K + x.s)],
        parameters=[cc.Parameter("V", V, 1e-6, 1e6), cc.Parameter("K", K, 1e-6, 1e6)],
    )
    experiment = cc.Experiment(t, data, outputs=("s",), initial=known or {"s": 10.0})
    return cc.Problem(model, experiment, bounds=bounds or {}), t, data


def best_michaelis(t, data):
    def missed(q):
        return (run(lambda t, y: -q[0] * y / (q[1] + y), [10.0], t) - data).ravel()

    return least_squares(missed, [1.0, 0.2], x_scale=[1.0, 0.2], diff_step=1e-5)


def relaxation():
    """Van der Pol, mu = 5, a sample a second, from a guess of 1: the right basin is 4.3 to 5.7."""
    t = np.linspace(0.0, 25.0, 26)
    data = noisy(run(lambda t, y: [y[1], 5.0 * (1 - y[0] ** 2) * y[1] - y[0]], [2.0, 0.0], t), 0.03)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: {"x": x.v, "v": p.mu * (1 - x.x**2) * x.v - x.x},
        parameters=[cc.Parameter("mu", 1.0, 0.0, 100.0)],
    )
    experiment = cc.Experiment(t, data, outputs=("x", "v"), initial={"x": 2.0, "v": 0.0})
    return cc.Problem(model, experiment), t, data


@pytest.mark.parametrize("start", [{"V": 0.5}, {}, {"V": 2.0, "K": 5.0}], ids=str)
def test_shooting_finds_what_scipy_finds(start):
    problem, t, data = michaelis(**start)
    nlp = cc.start_from(cc.discretize(problem, mesh=40), "shooting")
    best = best_michaelis(t, data)
    assert nlp.start[nlp.layout.shared] == pytest.approx(best.x, rel=1e-3)
    scale = data.std() ** 2 * data.size
    assert simulated_misfit(nlp, nlp.start) == pytest.approx(2 * best.cost / scale, rel=1e-4)


@pytest.mark.parametrize("bounds", [{}, {"s": (0.0, np.inf)}], ids=["free", "bounded"])
@pytest.mark.parametrize("start", [{"V": 0.5}, {"V": 2.0, "K": 5.0}], ids=str)
def test_a_corner_is_fitted_from_any_of_these_starts(start, bounds):
    problem, t, data = michaelis(**start, bounds=bounds)
    best = best_michaelis(t, data)
    errors = np.sqrt(
        np.diag(np.linalg.inv(best.jac.T @ best.jac)) * 2 * best.cost / (data.size - 2)
    )
    solution = cc.fit(problem, mesh="auto")
    found = np.array([solution.parameters[name] for name in ("V", "K")])
    assert np.abs((found - best.x) / errors).max() <= 0.1


def test_a_narrow_basin_is_found_by_scattering_and_solved_on_a_mesh_that_follows():
    problem, t, data = relaxation()

    def missed(q):
        field = lambda t, y: [y[1], q[0] * (1 - y[0] ** 2) * y[1] - y[0]]  # noqa: E731
        return ((run(field, [2.0, 0.0], t) - data) / data.std(0)).ravel()

    best = least_squares(missed, [5.0], diff_step=1e-5)
    solution = cc.fit(problem, mesh="auto")
    assert solution.start_record.name == "shooting"
    assert solution.parameters["mu"] == pytest.approx(best.x[0], abs=1e-4)


def test_states_that_decay_to_their_bound_leave_the_program_feasible():
    t = np.concatenate([np.linspace(0.0, 1.0, 6), [5.0, 20.0, 60.0, 150.0]])
    k = {"k1": 8.0, "k2": 0.6, "k3": 0.03}

    def field(t, y):
        return [-8.0 * y[0], 8.0 * y[0] - 0.6 * y[1], 0.6 * y[1] - 0.03 * y[2]]

    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k1 * x.a, p.k1 * x.a - p.k2 * x.b, p.k2 * x.b - p.k3 * x.c],
        parameters=[cc.Parameter(name, 1.0, 1e-6, 1e6) for name in k],
    )
    known = {"a": 1.0, "b": 0.0, "c": 0.0}
    data = cc.Experiment(t, run(field, [1.0, 0.0, 0.0], t)[:, [0, 2]], ("a", "c"), initial=known)
    bounds = dict.fromkeys(known, (0.0, np.inf))
    solution = cc.fit(cc.Problem(model, data, states=tuple(known), bounds=bounds), mesh="auto")
    assert solution.success
    assert dict(solution.parameters) == pytest.approx(k, rel=2e-3)


def test_the_mesh_along_a_simulation_is_fine_where_it_bends():
    problem, _, _ = relaxation()
    nlp = cc.start_from(cc.discretize(problem, mesh=10), "simulate")
    x = nlp.start.copy()
    x[nlp.layout.shared] = 5.0
    (mesh,) = meshes_along(nlp, x)
    assert mesh.elements > 40
    assert mesh.steps.max() >= 8.0 * mesh.steps.min()
    finer = cc.discretize(problem, mesh=mesh)
    part, fit = finer.layout.experiments[0], np.linspace(0.0, 25.0, 400)
    begun = finer.start.copy()
    begun[part.states] = run(
        lambda t, y: [y[1], 5.0 * (1 - y[0] ** 2) * y[1] - y[0]], [2.0, 0.0], part.times
    )
    element, tau = mesh.locate(fit)
    nodes = begun[part.states][part.element_nodes()[element]]
    between = np.einsum("qj,qji->qi", finer.scheme.interpolation(tau), nodes)
    truth = run(lambda t, y: [y[1], 5.0 * (1 - y[0] ** 2) * y[1] - y[0]], [2.0, 0.0], fit)
    assert np.abs((between - truth) / problem.state_scale).max() < 3e-3


def test_networks_many_unknowns_and_nothing_unknown_are_not_shot_at():
    assert not can_shoot(cc.discretize(van_der_pol_neural(), mesh=6))
    many = [cc.Parameter(f"a{i}", 0.1) for i in range(21)]
    t = np.linspace(0.0, 1.0, 5)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-sum(p[i] for i in range(21)) * x[0]], parameters=many
    )
    nlp = cc.discretize(cc.Problem(model, cc.Experiment(t, np.exp(-t), ("y",))), mesh=4)
    assert not can_shoot(nlp)
    with pytest.raises(cc.InputError, match=r"at most 20 unknown .* start from 'auto'"):
        cc.start_from(nlp, "shooting")


def test_functions_that_evaluate_nowhere_are_said_as_ever():
    t = np.linspace(0.0, 4.0, 20)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * (x.c - 5.0) ** 0.5], parameters=[cc.Parameter("k", 1.0)]
    )
    problem = cc.Problem(model, cc.Experiment(t, np.exp(-t), outputs=("c",)))
    assert "could not be evaluated" in str(cc.fit(problem, mesh=None).status)


def test_priors_of_initial_states_are_among_the_residuals():
    problem, _, _ = michaelis(s=cc.weighted(10.0, 0.01))
    nlp = cc.discretize(problem, mesh=60)
    x = nlp.start.copy()
    x[nlp.layout.shared] = [1.0, 0.1]
    x[nlp.layout.experiments[0].states] = 10.0
    pulled = x.copy()
    pulled[nlp.layout.experiments[0].states[0]] = 10.02
    free = replace(problem.experiments[0], initial={"s": cc.free()})
    without = cc.discretize(replace(problem, experiments=(free,)), mesh=60)
    extra = simulated_misfit(nlp, pulled) - simulated_misfit(without, pulled)
    assert extra == pytest.approx(2.0**2 / 21, rel=1e-6)


def test_far_from_precise_data_the_misfit_is_what_it_is():
    """Thousands of sigma away, as a guess may well be: a cut there would leave no slope."""
    problem, t, data = michaelis()
    nlp = cc.discretize(replace(problem, loss=cc.LeastSquares(1e-4)), mesh=40)
    for V in (0.3, 0.5):
        x = nlp.start.copy()
        x[nlp.layout.shared] = [V, 1.0]
        far = run(lambda t, y, V=V: -V * y / (1.0 + y), [10.0], t) - data
        right = float((far**2).sum()) / 1e-8 / data.size
        assert simulated_misfit(nlp, x) == pytest.approx(right, rel=1e-5)


def test_a_budget_of_evaluations_ends_with_the_best_so_far(monkeypatch):
    problem, _, _ = michaelis(V=2.0, K=5.0)
    nlp = cc.discretize(problem, mesh=20)
    monkeypatch.setattr(search, "_MOST_EVALUATIONS", 2000)
    found = shoot(nlp, nlp.start)
    assert simulated_misfit(nlp, found) < simulated_misfit(nlp, nlp.start)
    assert simulated_misfit(nlp, nlp.start) > 4.0 * merit_of_noise(nlp)


def test_ctrl_c_while_shooting_leaves_the_ladders_start(monkeypatch):
    def pressed(*given, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("collocode.starts.strategies.shoot", pressed)
    problem, _, _ = michaelis()
    begun = cc.start_from(cc.discretize(problem, mesh=20), "shooting")
    assert begun.start_record.interrupted
    assert np.isfinite(begun.start).all()
