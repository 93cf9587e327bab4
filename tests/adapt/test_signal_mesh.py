"""First meshes of long records: as fine as what smoothing leaves of the data."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

import collocode as cc
from collocode.adapt.first_mesh import elements_by_samples, first_meshes

RADAU = cc.scheme("radau")


def waves(count: int, periods: float, noise: float, unit: float = 1.0, size: float = 1.0, **more):
    """A sampled sine; the equations do not matter for a first mesh."""
    t = np.linspace(0.0, periods, count)
    y = np.sin(2 * np.pi * t) + noise * np.random.default_rng(0).standard_normal(count)
    inputs = {k: cc.Signal(unit * t, v) for k, v in more.items()}
    data = cc.Experiment(unit * t, size * y, outputs=("a",), inputs=inputs)
    model = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.a], parameters=[cc.Parameter("k", 1.0)])
    return cc.Problem(model, data)


def test_a_long_record_begins_with_what_it_shows() -> None:
    smooth, wiggly = (waves(20_000, periods, 0.1) for periods in (3.0, 100.0))
    few, many = (first_meshes(p, RADAU)[0].elements for p in (smooth, wiggly))
    assert few == 200
    assert 400 < many < 3000
    assert elements_by_samples(wiggly, RADAU) == 6666


def test_units_do_not_matter_for_it() -> None:
    counts = {
        first_meshes(waves(5000, 40.0, 0.02, unit, size), RADAU)[0].elements
        for unit, size in ((1.0, 1.0), (1e-6, 1e5), (3600.0, 1e-9))
    }
    assert len(counts) == 1


def test_data_without_noise_are_followed_closely() -> None:
    mesh = first_meshes(waves(20_000, 10.0, 0.0), RADAU)[0]
    at = mesh.points[:-1, None] + mesh.steps[:, None] * RADAU.nodes
    halves = 0.5 * (RADAU.nodes[1:] + RADAU.nodes[:-1])
    truth = np.sin(2 * np.pi * (mesh.points[:-1, None] + mesh.steps[:, None] * halves))
    off = np.sin(2 * np.pi * at) @ RADAU.interpolation(halves).T - truth
    assert np.sqrt((off**2).mean()) < 1e-5


def test_an_input_that_jumps_about_is_followed_as_well() -> None:
    wild = np.random.default_rng(1).standard_normal(6000)
    problem = waves(6000, 3.0, 0.1, q=wild)
    assert first_meshes(problem, RADAU)[0].elements >= elements_by_samples(problem, RADAU)
    calm = waves(6000, 3.0, 0.1, q=np.linspace(0.0, 1.0, 6000))
    assert first_meshes(calm, RADAU)[0].elements == 200


def test_a_transient_that_smoothing_misses_gets_elements() -> None:
    """Half of the samples are in the first thousandth of the record, between two knots of the smoother."""
    early, late = np.linspace(0.0, 0.01, 2001)[:-1], np.linspace(0.01, 100.0, 2000)
    t = np.concatenate([early, late])
    y = np.where(t < 0.01, np.sin(2 * np.pi * t * 2000), 0.0) + np.exp(-t / 30.0)
    y += 0.02 * np.random.default_rng(0).standard_normal(t.size)
    model = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.a], parameters=[cc.Parameter("k", 1.0)])
    problem = cc.Problem(model, cc.Experiment(t, y, outputs=("a",)))
    (mesh,) = first_meshes(problem, RADAU)
    assert mesh.elements < elements_by_samples(problem, RADAU)
    assert (mesh.points < 0.01).sum() > 150  # half of 200 without looking at what smoothing leaves


def test_gaps_and_several_records_have_meshes_of_their_own() -> None:
    t = np.linspace(0.0, 10.0, 3001)
    rng = np.random.default_rng(0)
    runs = [
        cc.Experiment(t, np.cos(w * t) + 0.1 * rng.standard_normal(t.size), ("a",), name=f"run {w}")
        for w in (1.0, 150.0)
    ]
    runs.append(cc.Experiment(t[:31], np.cos(t[:31]), ("a",), name="short"))
    model = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.a], parameters=[cc.Parameter("k", 1.0)])
    slow, fast, short = (m.elements for m in first_meshes(cc.Problem(model, runs), RADAU))
    assert slow < fast
    assert short == 10


def test_a_fit_of_many_samples_is_least_squares_on_the_solution() -> None:
    t = np.linspace(0.0, 5.0, 30_001)
    y = np.exp(-0.7 * t) + 0.05 * np.random.default_rng(3).standard_normal(t.size)
    model = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    data = cc.Experiment(t, y, outputs=("c",), initial={"c": cc.fixed(1.0)})
    solution = cc.fit(cc.Problem(model, data))
    (k,), cov = curve_fit(lambda t, k: np.exp(-k * t), t, y, 1.0)
    std = float(np.sqrt(cov[0, 0]))
    assert solution.parameters["k"] == pytest.approx(k, abs=0.01 * std)
    assert cc.uncertainty(solution).std()[0] == pytest.approx(std, rel=1e-3)
    assert solution.meshing is not None
    assert str(solution.meshing).startswith(
        "fine enough (200 elements; one stage a sample would make 10000), gap"
    )
