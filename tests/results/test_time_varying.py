"""Fits whose weights or parameters vary in time: simulated, saved, exported, trusted."""

import itertools
import re

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc
from models import drifting_oscillator

INTERVAL = (0.0, 30.0)
BASES = [
    cc.Legendre(3, INTERVAL),
    cc.Monomial(3, INTERVAL, unit=True),
    cc.Fourier(1, INTERVAL),
    cc.PiecewiseConstant((0.0, 10.0, 17.0, 30.0)),
    cc.BSpline((0.0, 10.0, 17.0, 30.0), 2),
]
T = np.linspace(0.0, 30.0, 301)


def problem(basis) -> cc.Problem:
    """The drifting oscillator with a network of time-varying weights beside the damping."""
    whole = drifting_oscillator.problem()
    c = cc.Parameter("c", 0.3, basis=basis)
    return cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: {"x": x.v, "v": nn.spring(x.x) - p.c * x.v},
            networks={"spring": cc.TimeVarying(cc.MLP((1, 2, 1)), basis)},
            parameters=[c],
        ),
        whole.experiments,
        states=("x", "v"),
        observe=lambda x, u, p: [x.x, x.v + 0.0 * p.c],
        regularisation=cc.L2(1e-4),
    )


@pytest.fixture(scope="module", params=BASES, ids=repr)
def solved(request):
    nlp = cc.discretize(problem(request.param), mesh=12)
    rng = np.random.default_rng(0)  # any point will do; these are not tests of IPOPT
    start = nlp.start + 0.02 * rng.standard_normal(nlp.columns)
    return request.param, cc.solve(nlp.with_start(start), options={"max_iter": 3})


def test_simulation_is_that_of_the_formula(solved):
    basis, solution = solved
    c = solution.model.parameters
    network = solution.model.networks["spring"]

    def rhs(t, x):
        now = min(max(t, 0.0), 30.0)
        force = network.mlp(x[:1], network.at(now, solution.model.theta))
        return [x[1], force[0] - basis.values(now)[0] @ c * x[1]]

    x0, found = np.array([1.0, 0.0]), []
    edges = np.unique([0.0, *basis.breaks, 30.0])
    for a, b in itertools.pairwise(edges):
        inside = np.nextafter(b, a)
        run = solve_ivp(lambda t, x, e=inside: rhs(min(t, e), x), (a, b), x0, rtol=1e-9, atol=1e-11)
        x0 = run.y[:, -1]
        found.append(x0)
    simulated = cc.simulate(solution.model, [1.0, 0.0], edges)
    np.testing.assert_allclose(simulated.states[1:], found, rtol=1e-5, atol=1e-6)
    for t in (0.0, 11.0, 30.0):
        np.testing.assert_allclose(solution.model.rhs(t, [0.5, 2.0]), rhs(t, np.array([0.5, 2.0])))


def test_values_at_times(solved):
    basis, solution = solved
    expected = basis.values(T) @ solution.model.parameters
    np.testing.assert_allclose(solution.parameter("c", T), expected)
    assert list(solution.parameters) == list(cc.Parameter("c", 0.3, basis=basis).names)
    z = np.array([[0.3], [1.0]])
    network = solution.model.networks["spring"]
    for t in (0.0, 12.0):
        theta = network.at(t, solution.model.theta)
        np.testing.assert_allclose(solution.network(t=t)(z), network.mlp(z.T, theta).T)


def test_times_and_names_that_nobody_knows_are_refused(solved):
    _, solution = solved
    with pytest.raises(cc.InputError, match="time 31 lies outside the interval"):
        solution.simulate("third", times=[21.0, 31.0])
    with pytest.raises(cc.InputError, match="time 31 lies outside the interval"):
        solution.parameter("c", [31.0])
    with pytest.raises(cc.InputError, match=r"no parameter 'd'; there are: c"):
        solution.parameter("d", [1.0])
    with pytest.raises(cc.InputError, match=r"'spring' vary in time; say at which time"):
        solution.network("spring")
    with pytest.raises(cc.InputError, match="observe needs the times t="):
        solution.model.observe([1.0, 0.0])


def test_saved_fits_come_back(solved, tmp_path):
    basis, solution = solved
    solution.save(tmp_path / "fit.npz")
    again = cc.load(tmp_path / "fit.npz")
    assert again.model.bases == {"c": basis}
    assert again.model.networks == solution.model.networks
    np.testing.assert_array_equal(again.simulate(1).states, solution.simulate(1).states)
    np.testing.assert_array_equal(again.parameter("c", T), solution.parameter("c", T))
    nlp = cc.start_from(cc.discretize(problem(basis), mesh=12), again)
    weights = nlp.layout.weights
    np.testing.assert_array_equal(nlp.start[weights], solution.result.x[weights])


def test_exports_compute_the_same(solved, tmp_path):
    _, solution = solved
    nlp = solution.nlp
    cc.write_nl(nlp, tmp_path / "fit.nl")
    read = cc.read_nl(tmp_path / "fit.nl")
    x = dict(zip(nlp.column_names, nlp.start, strict=True))
    assert {"c.P0", "c.s0", "c.one", "c.L0", "c.B0"} & set(x)
    assert len(read.start) == nlp.columns
    text = cc.modelica_text(solution, "Fit")
    assert re.search(r"parameter Real c_\w+ = ", text)
    assert "time" in text
    function = solution.model.trained_function()
    for t in (0.0, 12.5, 30.0):
        expected = solution.model.rhs(t, [0.2, 0.4])
        np.testing.assert_allclose(np.asarray(function(t, [0.2, 0.4], [])).ravel(), expected)


def test_pyomo_sees_the_same_objective(solved):
    pyo = pytest.importorskip("pyomo.environ")
    _, solution = solved
    nlp = solution.nlp
    export = cc.to_pyomo(nlp)
    objective = next(export.model.component_data_objects(pyo.Objective, active=True))
    assert pyo.value(objective) == pytest.approx(nlp.objective(nlp.start), rel=1e-9)


def test_jax_computes_the_same(solved):
    jax = pytest.importorskip("jax")
    _, solution = solved
    rhs = cc.jax_rhs(solution.model)
    for t in (3.0, 25.0):
        found = jax.jit(rhs)(t, np.array([0.2, 0.4]))
        np.testing.assert_allclose(found, solution.model.rhs(t, [0.2, 0.4]), rtol=1e-4)


@pytest.mark.parametrize(
    ("basis", "order", "largest"),
    [("legendre", 3, 0.008), ("legendre", 5, 0.004), ("bspline", 3, 0.004), ("layers", 0, 0.12)],
)
def test_a_drifting_damping_is_recovered(basis, order, largest):
    """Errors are of c, which falls from 0.55 to 0.07; the noise leaves about 0.002."""
    solution = cc.fit(drifting_oscillator.problem(basis=basis, order=order), mesh=None)
    assert solution.success
    error = solution.parameter("c", T) - drifting_oscillator.damping(T)
    assert np.abs(error).max() < largest
    assert solution.parameters["k"] == pytest.approx(4.0, abs=0.005)
    assert max(score.truth for score in solution.score()) < 5e-4


def test_weights_that_do_not_vary_cannot_do_it():
    problem = drifting_oscillator.problem(basis="constant")
    solution = cc.fit(problem, mesh=None, start="gradient_matching")
    assert max(score.truth for score in solution.score()) > 0.05


def test_uncertainty_covers_the_true_damping():
    solution = cc.fit(drifting_oscillator.problem(order=5), mesh=None)
    trust = cc.uncertainty(solution)
    names = cc.Parameter("c", 1.0, basis=cc.Legendre(5, INTERVAL)).names
    index = [trust.names.index(name) for name in names]
    phi = cc.Legendre(5, INTERVAL).values(T)
    band = np.sqrt(np.einsum("ij,jk,ik->i", phi, trust.covariance[np.ix_(index, index)], phi))
    error = np.abs(phi @ trust.values[index] - drifting_oscillator.damping(T))
    assert (error < 2.0 * band).mean() > 0.8
    assert band.max() < 0.015
