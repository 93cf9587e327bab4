"""The mesh that a fit chooses: from the data, by several goals, to a limit, with a word at its end."""

from __future__ import annotations

import signal
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import curve_fit, least_squares

import collocode as cc
from collocode.adapt.automesh import refine_mesh
from collocode.adapt.fineness import Limits, judge, noise_of, simulated_gap
from collocode.adapt.first_mesh import first_meshes
from collocode.adapt.gap import estimate_gap

HOW = ("casadi", None, True)


def decay(times: np.ndarray, noise: float = 0.02, **more: object) -> cc.Problem:
    y = np.exp(-times) + noise * np.random.default_rng(0).standard_normal(times.size)
    model = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 0.5)])
    initial = {"c": 1.0}
    return cc.Problem(model, cc.Experiment(times, y, outputs=("c",), initial=initial), **more)  # type: ignore[arg-type]


def driven(kind: str, signal_times: np.ndarray, values: np.ndarray) -> cc.Problem:
    t = np.linspace(0.0, 10.0, 31)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c + u.q], parameters=[cc.Parameter("k", 1.0)]
    )
    q = cc.Signal(signal_times, values, kind)
    return cc.Problem(model, cc.Experiment(t, np.cos(t), outputs=("c",), inputs={"q": q}))


# ---- the first mesh ------------------------------------------------------------------------------


def test_the_first_mesh_lies_at_the_samples_and_cuts_a_gap() -> None:
    t = np.array([0.0, 0.25, 0.57, 1.12, 2.02, 3.82, 5.1, 7.03, 9.05, 12.12, 24.37])
    (mesh,) = first_meshes(decay(t), cc.scheme("radau"))
    assert np.isin(t, mesh.points).all()
    assert mesh.steps.max() <= 1.5 * 24.37 / 10


def test_missing_samples_make_no_elements() -> None:
    t = np.linspace(0.0, 10.0, 201)
    problem = decay(t)
    values = problem.experiments[0].values.copy()
    values[5:150] = np.nan
    gap = replace(problem, experiments=replace(problem.experiments[0], values=values))
    (mesh,) = first_meshes(gap, cc.scheme("radau"))
    assert mesh.elements < first_meshes(problem, cc.scheme("radau"))[0].elements / 2


@pytest.mark.parametrize(
    ("kind", "times", "values", "expected"),
    [
        ("zoh", [0.0, 3.21], [0.0, 1.0], [3.21]),
        ("linear", [0.0, 3.21, 10.0], [0.0, 1.0, 0.0], [3.21]),
        ("linear", [0.0, 3.21, 10.0], [0.0, 0.321, 1.0], []),  # straight: no kink
        ("spline", [0.0, 3.21, 6.0, 10.0], [0.0, 1.0, 0.0, 1.0], []),
    ],
)
def test_jumps_and_kinks_of_inputs_are_mesh_points(kind, times, values, expected) -> None:
    problem = driven(kind, np.array(times), np.array(values))
    (mesh,) = first_meshes(problem, cc.scheme("radau"))
    for time in expected:
        assert time in mesh.points
    assert (3.21 in mesh.points) == (3.21 in expected)


def test_a_noisy_input_does_not_make_an_element_of_every_sample() -> None:
    t = np.linspace(0.0, 10.0, 1001)
    problem = driven("linear", t, np.random.default_rng(0).standard_normal(t.size))
    (mesh,) = first_meshes(problem, cc.scheme("radau"))
    assert mesh.elements <= 2 * 10 + 1


def test_a_global_scheme_keeps_one_element() -> None:
    problem = decay(np.linspace(0.0, 40.0, 41))
    solution = cc.fit(problem, "chebyshev", 8, mesh="auto")
    assert solution.meshing is not None
    assert solution.meshing.elements == (1,)
    assert not solution.meshing.success
    assert solution.meshing.message == "chebyshev stays one element; raise its degree"


# ---- the gap -------------------------------------------------------------------------------------


@pytest.mark.parametrize("elements", [3, 5, 10])
def test_the_estimated_gap_is_that_of_the_integrator(elements: int) -> None:
    t = np.linspace(0.0, 10.0, 41)
    q = cc.Signal([0.0, 3.0, 10.0], [0.0, 1.0, 0.2])
    y = np.exp(-0.7 * t) + 0.01 * np.random.default_rng(0).standard_normal(t.size)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c + 0.3 * u.q],
        parameters=[cc.Parameter("k", 0.5, 0.0, 5.0)],
    )
    data = cc.Experiment(t, y, outputs=("c",), initial={"c": 1.0}, inputs={"q": q})
    twice = cc.Experiment(t, y**2 + y, outputs=("o",), initial={"c": 1.0}, inputs={"q": q})
    observed = cc.Problem(model, twice, states=("c",), observe=lambda x, u, p: [x.c * x.c + x.c])
    for problem in (cc.Problem(model, data), observed):
        solution = cc.fit(problem, mesh=elements, deterministic=True)
        noise, _ = noise_of(solution)
        estimate = estimate_gap(solution, noise)
        assert estimate.error == pytest.approx(simulated_gap(solution, noise) ** 2, rel=0.15)


def test_the_noise_is_the_residuals_or_a_smaller_sigma() -> None:
    t = np.linspace(0.0, 5.0, 41)
    unknown = noise_of(cc.fit(decay(t), mesh=10))[0]
    assert unknown == pytest.approx(0.02, rel=0.3)
    large, small = (
        noise_of(cc.fit(decay(t, loss=cc.LeastSquares(sigma)), mesh=10))[0] for sigma in (1.0, 1e-3)
    )
    np.testing.assert_allclose(large, unknown, rtol=1e-4)
    np.testing.assert_allclose(small, 1e-3)


# ---- fits against SciPy and closed forms ---------------------------------------------------------


def test_a_decay_to_forty_time_constants_is_refined_where_it_happens_and_joined_elsewhere() -> None:
    t = np.linspace(0.0, 40.0, 41)
    problem = decay(t)
    y = problem.experiments[0].values[:, 0]
    best, covariance = curve_fit(lambda t, k: np.exp(-k * t), t, y)
    found = cc.fit(problem, mesh="auto", deterministic=True)
    record, mesh = found.meshing, found.trajectories[0].mesh
    assert record is not None
    assert record.success
    assert record.meshes == len(record.iterations) == len(record.gaps) >= 2
    assert abs(found.parameters["k"] - best[0]) < 0.02 * np.sqrt(covariance[0, 0])
    assert mesh.steps.min() < mesh.steps.max() / 4
    assert mesh.points[np.argmin(mesh.steps)] < 4.0
    # a mesh that is given is taken as it is
    equal = cc.fit(problem, mesh=13, deterministic=True)
    assert (equal.meshing, equal.trajectories[0].mesh.elements) == (None, 13)


def test_the_shares_are_those_that_the_intervals_show() -> None:
    found = cc.fit(decay(np.linspace(0.0, 40.0, 41)), mesh=13, deterministic=True)
    share = cc.uncertainty(found).intervals().loc["k", "mesh_share"]
    assert abs(share) > 0.1
    assert share == pytest.approx(judge(found, Limits()).shares["k"], rel=0.2)
    fine = cc.fit(found.nlp.problem, mesh=200, deterministic=True)  # type: ignore[union-attr]
    right = (fine.parameters["k"] - found.parameters["k"]) / cc.uncertainty(found).std()[0]
    assert share == pytest.approx(right, rel=0.3)


def test_oscillations_between_samples_are_found_by_a_start_anew() -> None:
    """Ten elements for eight periods lead astray; begun anew on the next mesh, the fit comes home."""
    t, k = np.linspace(0.0, 60.0, 31), np.array([1.0, 0.5, 0.8, 0.4])

    def field(t, y, k):
        return [y[0] * (k[0] - k[1] * y[1]), -y[1] * (k[2] - k[3] * y[0])]

    def run(k):
        answer = solve_ivp(field, (0, 60), [3.0, 1.0], "LSODA", t, args=(k,), rtol=1e-9, atol=1e-9)
        return answer.y.T

    clean = run(k)
    y = clean + 0.02 * clean.std(0) * np.random.default_rng(0).standard_normal(clean.shape)
    best = least_squares(lambda k: (run(k) - y).ravel(), 0.95 * k, diff_step=1e-5)
    names = ("a", "b", "c", "d")
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [x.x * (p.a - p.b * x.y), -x.y * (p.c - p.d * x.x)],
        parameters=[cc.Parameter(n, 0.9 * v, 0.0) for n, v in zip(names, k, strict=True)],
    )
    data = cc.Experiment(t, y, outputs=("x", "y"), initial={"x": 3.0, "y": 1.0})
    found = cc.fit(cc.Problem(model, data), mesh="auto", start="gradient_matching")
    assert found.meshing is not None
    assert found.meshing.gaps[0] > 1.0 > 0.3 > found.meshing.gap
    std = cc.uncertainty(found).intervals()["std"]
    off = (np.array(list(found.parameters.values())) - best.x) / std.to_numpy()
    assert np.abs(off).max() < 0.1


def test_a_front_that_the_first_mesh_steps_over_is_resolved() -> None:
    """Flame: from 0.005 to 1 within a hundredth of the record, and where depends on the parameters."""
    t = np.linspace(0.0, 400.0, 41)

    def run(p):
        field = lambda t, x: p[0] * x**2 - p[1] * x**3  # noqa: E731
        return solve_ivp(field, (0, 400), [0.005], "LSODA", t, rtol=1e-9, atol=1e-11).y[0]

    y = run([1.0, 1.0]) + 0.01 * np.random.default_rng(0).standard_normal(t.size)
    best = least_squares(lambda p: run(p) - y, [1.0, 1.0], diff_step=1e-5).x
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [p.a * x.x**2 - p.b * x.x**3],
        parameters=[cc.Parameter("a", 0.8, 0.0), cc.Parameter("b", 0.9, 0.0)],
    )
    data = cc.Experiment(t, y, outputs=("x",), initial={"x": 0.005})
    found = cc.fit(cc.Problem(model, data), mesh="auto")
    std = cc.uncertainty(found).intervals()["std"].to_numpy()
    assert found.meshing is not None
    assert found.meshing.success
    assert np.abs((np.array(list(found.parameters.values())) - best) / std).max() < 0.1


def test_states_that_undershoot_their_bound_on_a_coarse_mesh_do_not_drive_the_estimate() -> None:
    """A fast reaction to zero: on three elements nodes lie on the bound and k is far off."""
    t = np.linspace(0.0, 10.0, 31)
    y = np.exp(-8.0 * t) + 0.01 * np.random.default_rng(0).standard_normal(t.size)
    best, covariance = curve_fit(lambda t, k: np.exp(-k * t), t, y, 5.0)
    model = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 3.0)])
    data = cc.Experiment(t, y, outputs=("c",), initial={"c": 1.0})
    problem = cc.Problem(model, data, bounds={"c": (0.0, 2.0)})
    std = np.sqrt(covariance[0, 0])
    assert abs(cc.fit(problem, mesh=3).parameters["k"] - best[0]) > std
    assert abs(cc.fit(problem, mesh="auto").parameters["k"] - best[0]) < 0.1 * std


# ---- what a problem may have ---------------------------------------------------------------------


def test_several_experiments_with_own_parameters_inputs_constraints_and_test_data() -> None:
    rng, runs = np.random.default_rng(1), []
    for name, k, end, samples in (("a", 0.7, 8.0, 17), ("b", 1.9, 30.0, 31)):
        t = np.linspace(0.0, end, samples)
        q = cc.Signal([0.0, 0.37 * end], [0.0, 1.0], "zoh")
        clean = solve_ivp(
            lambda t, x, k=k, q=q: -k * x + 0.5 * q(t),
            *((0.0, end), [1.0], "LSODA", t),
            rtol=1e-10,
            atol=1e-12,
            max_step=0.05,
        ).y.T
        y = clean + 0.01 * rng.standard_normal(clean.shape)
        run = cc.Experiment(t, y, outputs=("c",), inputs={"q": q}, initial={"c": 1.0}, name=name)
        runs.append(run)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c + p.gain * u.q],
        parameters=[cc.Parameter("k", 1.0, 0.0, per_experiment=True), cc.Parameter("gain", 1.0)],
    )
    held = cc.PathConstraint("positive", lambda t, x, u, p, nn: x.c, -1.0, 5.0)
    later = replace(runs[0], name="later", parameters={"k": 0.7})
    problem = cc.Problem(model, runs, constraints=[held], test=[later])
    found = cc.fit(problem, mesh="auto")
    assert found.success
    assert found.meshing is not None
    assert found.meshing.success
    assert set(found.meshing.shares) == {"k[a]", "k[b]", "gain"}
    assert max(map(abs, found.meshing.shares.values())) <= 0.1
    for part in found.trajectories:
        jumps = part.experiment.jumps
        assert np.isin(jumps, part.mesh.points).all()
    table = cc.uncertainty(found).intervals()
    assert (np.abs(table["estimate"] - [0.7, 1.9, 0.5]) < 4.0 * table["std"]).all()
    assert (table["mesh_share"].abs() <= 0.1).all()


def test_a_network_beside_a_parameter_and_weights_in_time() -> None:
    t = np.linspace(0.0, 20.0, 101)
    clean = solve_ivp(
        lambda t, x: [x[1], 3.0 * (1.0 - x[0] ** 2) * x[1] - x[0]],
        *((0.0, 20.0), [1.0, 0.0], "LSODA", t),
        rtol=1e-10,
        atol=1e-10,
    ).y.T
    y = clean + 0.05 * np.random.default_rng(2).standard_normal(clean.shape)
    data = cc.Experiment(t, y, outputs=("x", "v"))
    net = cc.MLP((2, 8, 1))
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, nn.damping(x.x, x.v) - p.w * x.x],
        networks={"damping": net},
        parameters=[cc.Parameter("w", 0.8, 0.0)],
    )
    found = cc.fit(cc.Problem(model, data, regularisation=cc.L2(1e-5)), mesh="auto")
    assert found.meshing is not None
    assert found.meshing.success
    assert found.meshing.meshes > 1
    assert found.gap() < 0.05
    varying = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, p.mu * (1.0 - x.x**2) * x.v - x.x],
        parameters=[cc.Parameter("mu", 2.0, basis=cc.PiecewiseConstant(np.linspace(0.0, 20.0, 4)))],
    )
    found = cc.fit(cc.Problem(varying, data), mesh="auto")
    assert found.meshing is not None
    assert found.meshing.success
    assert len(found.meshing.shares) == 3
    assert np.isin(np.linspace(0.0, 20.0, 4)[1:-1], found.trajectories[0].mesh.points).all()


# ---- how it ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "termination", "message"),
    [
        ({"elements": 14}, cc.Termination.SIZE_LIMIT, "element budget used up"),
        ({"cycles": 1}, cc.Termination.ITERATION_LIMIT, "cycle limit"),
        ({"seconds": 1e-9}, cc.Termination.TIME_LIMIT, "time limit"),
    ],
)
def test_a_budget_that_ends_first_is_named(budget, termination, message) -> None:
    found = cc.fit(decay(np.linspace(0.0, 200.0, 41)), mesh=cc.AutoMesh(**budget))
    assert found.success
    assert found.meshing is not None
    assert not found.meshing.success
    assert found.meshing.termination is termination
    assert found.meshing.status == message
    assert message in str(found.meshing)


def test_an_unsolved_first_mesh_is_no_reason_for_others() -> None:
    found = cc.fit(decay(np.linspace(0.0, 40.0, 41)), mesh="auto", options={"max_iter": 1})
    assert not found.success
    assert found.meshing is not None
    assert found.meshing.status == "not solved on the first mesh: iteration limit"


def test_an_interrupt_on_a_later_mesh_keeps_the_solution_before() -> None:
    problem, solves = decay(np.linspace(0.0, 40.0, 41)), []
    first = cc.fit(problem, mesh=13, deterministic=True)

    def stop(progress: object) -> None:
        solves.append(progress)
        signal.raise_signal(signal.SIGINT)

    found = refine_mesh(first, cc.AutoMesh(), HOW, lambda nlp: nlp, stop)
    assert solves
    assert found.parameters == first.parameters
    assert found.success
    assert found.meshing is not None
    assert found.meshing.termination is cc.Termination.INTERRUPTED
    assert found.meshing.elements == (13,)


def test_a_second_round_goes_on_with_the_record() -> None:
    problem = decay(np.linspace(0.0, 40.0, 41))
    rough = cc.fit(problem, mesh=cc.AutoMesh(cycles=1), deterministic=True)
    again = refine_mesh(rough, cc.AutoMesh(), HOW, lambda nlp: nlp)
    assert again.meshing is not None
    assert rough.meshing is not None
    assert again.meshing.success
    assert again.meshing.elements[0] == rough.meshing.elements[0]
    assert again.meshing.meshes == len(again.meshing.gaps) == len(again.meshing.iterations) >= 2
    once = cc.fit(problem, mesh="auto", deterministic=True)
    assert again.parameters["k"] == pytest.approx(once.parameters["k"], rel=1e-6)


def test_the_record_is_saved_with_the_solution(tmp_path) -> None:
    found = cc.fit(decay(np.linspace(0.0, 40.0, 41)), mesh="auto")
    found.save(tmp_path / "fit.npz")
    record = cc.load(tmp_path / "fit.npz").meshing
    assert found.meshing is not None
    assert record is not None
    assert record.to_dict() == found.meshing.to_dict()
    assert repr(record) == repr(found.meshing)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cc.AutoMesh(share=0.0), "share of an AutoMesh must be positive, not 0.0"),
        (lambda: cc.AutoMesh(elements=-3), "elements of an AutoMesh must be positive, not -3"),
        (lambda: cc.AutoMesh(seconds=float("nan")), "seconds of an AutoMesh"),
        (lambda: cc.fit(decay(np.linspace(0, 1, 9)), mesh="fine"), "unknown mesh 'fine'"),
    ],
)
def test_what_makes_no_mesh_is_refused_by_name(make, message) -> None:
    with pytest.raises(cc.InputError, match=message):
        make()
