"""Covariances against closed forms, coverage by simulation, and what must not get an interval."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import curve_fit, least_squares
from scipy.stats import chi2
from scipy.stats import t as student

import collocode as cc
from tests.problems import decay

T = np.linspace(0.0, 2.0, 21)


def line(y, t=T, **options):
    """ẋ = k: ordinary least squares of a straight line."""
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k + 0.0 * x.x], parameters=[cc.Parameter("k", 1.0)]
    )
    return cc.Problem(dynamics, cc.Experiment(t, y, ("x",), name="run"), **options)


def noisy_decay(seed, sigma=0.05, **options):
    """The decay of `tests.problems` with noise; k = 0.7, c(0) = 1."""
    problem = decay(**options)
    data = problem.experiments[0]
    noise = sigma * np.random.default_rng(seed).standard_normal(data.values.shape)
    return replace(problem, experiments=(replace(data, values=data.values + noise),))


def refits(sets, sigma=0.05):
    """Solutions of decays that differ in their noise; one NLP and one solver for all."""
    nlp = cc.start_from(cc.discretize(noisy_decay(0)), "gradient_matching")
    solver, rng = cc.make_solver(nlp), np.random.default_rng(1)
    clean = np.exp(-0.7 * T)[:, None]
    for _ in range(sets):
        data = clean + sigma * rng.standard_normal(clean.shape)
        yield cc.solve_with(solver, nlp.with_parameters(measurements=data))


@pytest.fixture
def without_mesh_share(monkeypatch):
    """The share of the mesh in an interval, which costs more than a solve, is not what many sets of data are for."""
    module = importlib.import_module("collocode.identify.intervals")
    monkeypatch.setattr(module, "_mesh_errors", lambda solution, names: np.full(len(names), np.nan))


# ---- closed forms --------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [cc.LeastSquares(), cc.LeastSquares(0.3)])
def test_covariance_of_a_straight_line_is_that_of_ordinary_least_squares(loss):
    y = 0.5 + 2.0 * T + 0.1 * np.random.default_rng(0).standard_normal(21)
    trust = cc.uncertainty(cc.fit(line(y, loss=loss), mesh=None))
    A = np.column_stack([np.ones_like(T), T])
    found, (rss,), *_ = np.linalg.lstsq(A, y, rcond=None)
    expected = rss / (21 - 2) * np.linalg.inv(A.T @ A)
    k = trust.names.index("k")
    order = [1 - k, k]  # x(0), then k
    assert trust.values[order] == pytest.approx(found, rel=1e-6)
    np.testing.assert_allclose(trust.covariance[np.ix_(order, order)], expected, rtol=1e-6)
    assert trust.freedom == pytest.approx(19.0, abs=1e-6)
    assert trust.noise["x"] == pytest.approx(np.sqrt(rss / 19.0))
    row, half = trust.intervals(0.9).loc["k"], student.ppf(0.95, 19) * np.sqrt(expected[1, 1])
    assert (row["lower"], row["upper"]) == pytest.approx(
        (found[1] - half, found[1] + half), rel=1e-6
    )
    # pointwise band of a regression line: half = t √(aᵀ C a)
    low, high = trust.band(T)
    half = student.ppf(0.975, 19) * np.sqrt(np.einsum("ij,jk,ik->i", A, expected, A))
    np.testing.assert_allclose(0.5 * (high - low)[:, 0], half, rtol=1e-5)
    low, high = trust.band(T, noise=True)
    half = student.ppf(0.975, 19) * np.sqrt(np.einsum("ij,jk,ik->i", A, expected, A) + rss / 19.0)
    np.testing.assert_allclose(0.5 * (high - low)[:, 0], half, rtol=1e-5)


@pytest.mark.parametrize("loss", [cc.Huber(1.345, 0.1), cc.PseudoHuber(1.345, 0.1)])
def test_a_robust_straight_line_has_the_sandwich_of_m_estimators(loss):
    """C = E ψ² / (E ψ')² (AᵀA)⁻¹, by sums over the residuals of SciPy's own fit."""
    rng, n = np.random.default_rng(0), 80
    t = np.linspace(0.0, 2.0, n)
    y = 0.5 + 2.0 * t + 0.1 * rng.standard_normal(n) + 1.0 * (rng.uniform(size=n) < 0.1)
    trust = cc.uncertainty(cc.fit(line(y, t, loss=loss), options={"tol": 1e-11}, mesh=None))
    A = np.column_stack([np.ones(n), t])
    scipys = "huber" if isinstance(loss, cc.Huber) else "soft_l1"
    found = least_squares(
        lambda v: A @ v - y, [0.5, 2.0], loss=scipys, f_scale=0.1345, xtol=1e-15, gtol=1e-15
    ).x
    r = (A @ found - y) / 0.1
    if isinstance(loss, cc.Huber):
        psi, bend = np.clip(r, -1.345, 1.345), np.abs(r) <= 1.345
    else:
        psi, bend = r / np.sqrt(1 + (r / 1.345) ** 2), (1 + (r / 1.345) ** 2) ** -1.5
    factor = 0.01 * (psi @ psi) / (n - 2) / bend.mean() ** 2
    k = trust.names.index("k")
    order = [1 - k, k]
    np.testing.assert_allclose(trust.values[order], found, atol=1e-6)
    expected = factor * np.linalg.inv(A.T @ A)
    np.testing.assert_allclose(trust.covariance[np.ix_(order, order)], expected, rtol=1e-4)
    assert trust.freedom == pytest.approx(n - 2.0, abs=1e-6)


@pytest.mark.parametrize("loss", [cc.Huber(1.345, 0.05), cc.PseudoHuber(1.345, 0.05)])
def test_robust_intervals_cover_and_are_shorter_under_outliers(loss, without_mesh_share):
    """150 sets with a tenth of outliers of ten times the noise: spread and coverage are as claimed."""
    nlp = cc.start_from(cc.discretize(noisy_decay(0, loss=loss)), "gradient_matching")
    plain = cc.start_from(cc.discretize(noisy_decay(0)), "gradient_matching")
    solvers, rng = (cc.make_solver(nlp), cc.make_solver(plain)), np.random.default_rng(1)
    clean, estimates, claimed, covered, squares = np.exp(-0.7 * T)[:, None], [], [], 0, []
    for _ in range(150):
        size = np.where(rng.uniform(size=clean.shape) < 0.1, 0.5, 0.05)
        data = clean + size * rng.standard_normal(clean.shape)
        trust = cc.uncertainty(cc.solve_with(solvers[0], nlp.with_parameters(measurements=data)))
        row = trust.intervals().loc["k"]
        estimates.append(row["estimate"])
        claimed.append(row["std"])
        covered += row["lower"] < 0.7 < row["upper"]
        other = cc.solve_with(solvers[1], plain.with_parameters(measurements=data))
        squares.append(other.parameters["k"])
    assert 0.8 < np.sqrt(np.mean(np.square(claimed))) / np.std(estimates) < 1.25
    assert 0.88 * 150 <= covered <= 0.99 * 150
    assert np.std(estimates) < 0.6 * np.std(squares)


def test_no_interval_where_nearly_all_are_outliers():
    t = np.linspace(0.0, 2.0, 7)
    y = 0.5 + 2.0 * t + 0.1 * np.array([0.0, 1.0, -1.2, 1.5, -0.9, 1.1, 0.0])
    solution = cc.fit(line(y, t, loss=cc.Huber(0.2, 0.1)), mesh=None)
    with pytest.raises(cc.InputError, match=r"all but \d of 7 measurements for outliers, too few"):
        cc.uncertainty(solution)


def test_a_prior_of_the_initial_state_adds_its_information():
    y = 0.5 + 2.0 * T + 0.1 * np.random.default_rng(0).standard_normal(21)
    free = cc.uncertainty(cc.fit(line(y, loss=cc.LeastSquares(0.1)), mesh=None))
    problem = line(y, loss=cc.LeastSquares(0.1))
    data = replace(problem.experiments[0], initial={"x": cc.weighted(0.5, 0.01)})
    known = cc.uncertainty(cc.fit(replace(problem, experiments=(data,)), mesh=None))
    assert known.intervals().loc["k", "std"] < 0.7 * free.intervals().loc["k", "std"]


def test_samples_that_are_missing_or_of_weight_zero_are_no_information():
    y = 0.5 + 2.0 * T + 0.1 * np.random.default_rng(0).standard_normal(21)
    gaps, weights = y.copy(), np.ones(21)
    gaps[5:9], weights[5:9] = np.nan, 0.0
    with_gaps = cc.uncertainty(cc.fit(line(gaps), mesh=None))
    problem = line(y)
    weighted = replace(problem.experiments[0], weights=weights[:, None])
    with_weights = cc.uncertainty(cc.fit(replace(problem, experiments=(weighted,)), mesh=None))
    assert with_gaps.freedom == pytest.approx(15.0, abs=1e-6)
    assert with_weights.freedom == pytest.approx(15.0, abs=1e-6)
    np.testing.assert_allclose(with_gaps.covariance, with_weights.covariance, rtol=1e-4)


def test_units_of_a_state_do_not_matter():
    small, large = (
        cc.uncertainty(cc.fit(line(scale * (0.5 + 2.0 * T + 0.1 * np.sin(9.0 * T))), mesh=None))
        for scale in (1.0, 1e6)
    )
    np.testing.assert_allclose(large.covariance, 1e12 * small.covariance, rtol=1e-4)


# ---- coverage ------------------------------------------------------------------------------------


def inside(sets):
    hits = []
    for solution in refits(sets):
        assert solution.success
        row = cc.uncertainty(solution).intervals().loc["k"]
        hits.append(row["lower"] < 0.7 < row["upper"])
    return np.mean(hits)


def test_the_true_parameter_is_mostly_inside(without_mesh_share):
    assert 0.85 <= inside(40) <= 1.0


@pytest.mark.slow
def test_the_true_parameter_is_inside_in_90_to_99_percent_of_200_data_sets(without_mesh_share):
    assert 0.90 <= inside(200) <= 0.99


def test_bands_contain_the_truth_about_as_often_as_they_promise():
    times = np.array([0.0, 0.7, 1.3, 2.0])
    hits, wide = [], []
    for solution in refits(60):
        trust = cc.uncertainty(solution)
        low, high = trust.band(times, level=0.8)
        hits.append((low[:, 0] < np.exp(-0.7 * times)) & (np.exp(-0.7 * times) < high[:, 0]))
        low, high = trust.band(times, level=0.8, noise=True)
        wide.append(high - low)
    assert 0.68 <= np.mean(hits) <= 0.92
    assert np.mean(wide) > 2.0 * 1.28 * 0.045  # not narrower than the noise itself


def test_the_linearised_interval_agrees_with_the_bootstrap():
    solution = cc.fit(noisy_decay(3), mesh=None)
    linear = cc.uncertainty(solution).intervals().loc["k"]
    again = cc.bootstrap(solution, refits=150, seed=1)
    assert again.failed == 0
    resampled = again.intervals().loc["k"]
    assert resampled["std"] == pytest.approx(linear["std"], rel=0.2)
    assert resampled["estimate"] == pytest.approx(linear["estimate"], abs=0.5 * linear["std"])
    width = linear["upper"] - linear["lower"]
    assert resampled["upper"] - resampled["lower"] == pytest.approx(width, rel=0.25)


# ---- what has no interval ------------------------------------------------------------------------


def test_a_product_of_parameters_is_named_as_not_identifiable():
    problem = noisy_decay(0)
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * p.q * x.c + p.m],
        parameters=[
            cc.Parameter("k", 1.0, 0.0, 10.0),
            cc.Parameter("q", 1.0, 0.0, 10.0),
            cc.Parameter("m", 0.1),
        ],
    )
    trust = cc.uncertainty(cc.fit(replace(problem, dynamics=dynamics), mesh=None))
    assert set(trust.not_identifiable) == {"k", "q"}
    table = trust.intervals()
    assert np.isinf(table.loc[["k", "q"], "std"]).all()
    assert (table.loc[["k", "q"], "note"] == "not identifiable").all()
    assert np.isfinite(table.loc["m", "std"])
    # what the data do tell, the product, keeps its band
    low, high = trust.band(T)
    assert (high - low).max() < 0.5


def test_a_parameter_at_its_bound_gets_no_variance_and_lends_none():
    problem = noisy_decay(0)
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c + p.m],
        parameters=[cc.Parameter("k", 1.0, 0.0, 10.0), cc.Parameter("m", 0.4, 0.4, 1.0)],
    )
    solution = cc.fit(replace(problem, dynamics=dynamics), mesh=None)
    assert solution.parameters["m"] == pytest.approx(0.4, abs=1e-5)
    trust = cc.uncertainty(solution)
    assert trust.at_bound == ("m",)
    row = trust.intervals().loc["m"]
    assert row["note"] == "at its bound"
    assert np.isnan(row["lower"])
    # the same as with the parameter known
    known = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c + 0.4], parameters=[cc.Parameter("k", 1.0, 0.0, 10.0)]
    )
    alone = cc.uncertainty(cc.fit(replace(problem, dynamics=known), mesh=None))
    assert trust.intervals().loc["k", "std"] == pytest.approx(
        alone.intervals().loc["k", "std"], rel=1e-3
    )


def test_an_active_state_bound_is_projected_out():
    y = 0.5 + 2.0 * T + 0.1 * np.random.default_rng(0).standard_normal(21)
    trust = cc.uncertainty(cc.fit(line(y, bounds={"x": (-10.0, 4.0)}), mesh=None))
    low, high = trust.band([0.0, 2.0])
    assert (high - low)[1, 0] < 1e-4  # x(2) is held at 4
    # what is left is a line through (2, 4): var k = σ² / Σ (2 − t)²
    rest = trust.noise["x"] ** 2 / np.sum((2.0 - T) ** 2)
    assert trust.intervals().loc["k", "std"] ** 2 == pytest.approx(rest, rel=1e-4)
    assert trust.freedom == pytest.approx(20.0, abs=1e-3)


def test_a_state_that_is_small_is_not_at_its_bound():
    """B in A → B starts at its bound 0 and stays below 1e-6 for the first element."""
    rng = np.random.default_rng(0)
    clean = np.column_stack([np.exp(-0.7 * T), 1.0 - np.exp(-0.7 * T)])
    data = cc.Experiment(
        T, clean + 0.02 * rng.standard_normal(clean.shape), ("a", "b"), initial={"a": 1.0, "b": 0.0}
    )
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.a, p.k * x.a], parameters=[cc.Parameter("k", 1.0)]
    )
    mesh = cc.Mesh(np.append([0.0, 1e-7], T[1:]))
    stds = [
        cc.uncertainty(cc.fit(cc.Problem(dynamics, data, bounds=bounds), mesh=mesh))
        .intervals()
        .loc["k", "std"]
        for bounds in ({}, {"b": (0.0, 2.0)})
    ]
    assert stds[1] == pytest.approx(stds[0], rel=1e-3)


def test_parameters_of_an_experiment_have_intervals_of_their_own():
    rng = np.random.default_rng(0)
    runs = [
        cc.Experiment(T, np.exp(-k * T) + 0.02 * rng.standard_normal(21), ("c",), name=name)
        for k, name in ((0.7, "cold"), (1.4, "warm"))
    ]
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c],
        parameters=[cc.Parameter("k", 1.0, per_experiment=True)],
    )
    table = cc.uncertainty(cc.fit(cc.Problem(dynamics, runs), mesh=None)).intervals()
    assert list(table.index) == ["k[cold]", "k[warm]"]
    assert table.loc["k[cold]", "lower"] < 0.7 < table.loc["k[cold]", "upper"]
    assert table.loc["k[warm]", "lower"] < 1.4 < table.loc["k[warm]", "upper"]


# ---- bounds, by their multipliers ---------------------------------------------------------------


def decay_of(y, t, **options):
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 0.5, 0.0, 10.0)]
    )
    extra = {k: options.pop(k) for k in ("weights", "sigma", "initial") if k in options}
    return cc.Problem(model, cc.Experiment(t, y, ("c",), **extra), **options)


def test_a_state_that_decays_to_its_bound_is_not_held_by_it():
    t = np.linspace(0.0, 40.0, 41)
    y = np.exp(-t) + 0.02 * np.random.default_rng(0).standard_normal(t.size)
    _, covariance = curve_fit(lambda t, k: np.exp(-k * t), t, y)
    problem = decay_of(y, t, initial={"c": 1.0}, bounds={"c": (0.0, np.inf)})
    trust = cc.uncertainty(cc.fit(problem, mesh=80))
    row = trust.intervals().loc["k"]
    assert row["std"] == pytest.approx(np.sqrt(covariance[0, 0]), rel=0.03)
    assert row["note"] == ""
    assert (trust.at_bound, trust.moved) == ((), {})


def test_a_bound_within_the_noise_leaves_the_width_that_is_without_it():
    """k beside m ≥ 0.2 is as uncertain as with m free, since m may well be larger."""
    problem = noisy_decay(0)

    def of(*bounds):
        dynamics = cc.Dynamics(
            lambda t, x, u, p, nn: [-p.k * x.c + p.m],
            parameters=[cc.Parameter("k", 1.0, 0.0, 10.0), cc.Parameter("m", 0.2, *bounds)],
        )
        return cc.uncertainty(cc.fit(replace(problem, dynamics=dynamics), mesh=None))

    bounded, free = of(0.2, 1.0), of()
    assert bounded.intervals().loc["m", "estimate"] == pytest.approx(0.2, abs=1e-6)
    assert free.intervals().loc["m", "estimate"] < 0.1
    assert bounded.at_bound == ()
    for name in ("k", "m"):
        std = free.intervals().loc[name, "std"]
        assert bounded.intervals().loc[name, "std"] == pytest.approx(std, rel=0.25)


def test_bounds_of_states_that_drive_an_estimate_are_named():
    """A node that undershoots its bound on a coarse mesh may hold a rate; it is said, not given ± 0."""
    t = np.linspace(0.0, 10.0, 41)
    y = np.exp(-8.0 * t) + 0.01 * np.random.default_rng(0).standard_normal(41)
    problem = decay_of(y, t, initial={"c": 1.0}, bounds={"c": (0.0, 2.0)})
    coarse = cc.uncertainty(cc.fit(problem, "gauss", 2, mesh=3))
    row = coarse.intervals().loc["k"]
    assert row["note"] == "held by bounds of c"
    assert np.isnan([row["std"], row["lower"], row["upper"]]).all()
    assert coarse.moved["k"] != 0.0
    fine = cc.uncertainty(cc.fit(problem, "radau", 3, mesh=60))
    assert fine.intervals().loc["k", "note"] == ""
    assert fine.moved == {}


# ---- noise ---------------------------------------------------------------------------------------


def test_the_accuracy_of_every_sample_counts():
    rng, t = np.random.default_rng(3), np.linspace(0.0, 4.0, 41)
    sigma = np.where(np.arange(41) % 2 == 0, 0.01, 0.3)
    y = np.exp(-0.7 * t) + sigma * rng.standard_normal(41)
    known, scaled = (
        np.sqrt(
            curve_fit(
                lambda t, k, c: c * np.exp(-k * t), t, y, [1.0, 1.0], sigma, absolute_sigma=given
            )[1][0, 0]
        )
        for given in (True, False)
    )
    for std, options in (
        (known, {"weights": 1.0 / sigma[:, None] ** 2, "loss": cc.LeastSquares(1.0)}),
        (known, {"sigma": sigma}),
        (scaled, {"weights": 1.0 / sigma[:, None] ** 2}),  # only ratios are known
    ):
        trust = cc.uncertainty(cc.fit(decay_of(y, t, **options), mesh=None))
        assert trust.intervals().loc["k", "std"] == pytest.approx(std, rel=0.01)


def test_a_given_sigma_is_believed_unless_the_residuals_refute_it():
    rng, t = np.random.default_rng(0), np.linspace(0.0, 4.0, 41)
    y = np.exp(-0.7 * t) + 0.05 * rng.standard_normal(41)
    free = cc.uncertainty(cc.fit(decay_of(y, t), mesh=None)).intervals().loc["k", "std"]
    for sigma, ratio in ((0.04, 0.04 / 0.05), (0.06, 0.06 / 0.05), (0.001, 1.0), (1.0, 1.0)):
        trust = cc.uncertainty(cc.fit(decay_of(y, t, sigma=sigma), mesh=None))
        width = ratio * free if ratio == 1.0 else ratio * free * 0.05 / trust.noise["c"]
        assert trust.intervals().loc["k", "std"] == pytest.approx(width, rel=1e-3)
        assert trust.noise["c"] == pytest.approx(0.05, rel=0.2)
        assert (trust.refuted == {}) == (ratio != 1.0)
    assert trust.refuted["c"] == pytest.approx(trust.noise["c"], rel=1e-3)


def two_runs(seed):
    rng, t = np.random.default_rng(seed), np.linspace(0.0, 2.0, 31)
    runs = [
        cc.Experiment(
            t,
            np.column_stack([c0 * np.exp(-0.7 * t), np.exp(-0.5 * t)])
            + [s, 0.02] * rng.standard_normal((31, 2)),
            ("a", "b"),
            name=name,
        )
        for name, c0, s in (("fine", 1.0, 0.01), ("rough", 2.0, 0.2))
    ]
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.a, -p.q * x.b],
        parameters=[cc.Parameter("k", 1.0), cc.Parameter("q", 1.0)],
    )
    return cc.Problem(model, runs)


def test_runs_of_different_noise_are_told_apart_and_equal_ones_pooled():
    trust = cc.uncertainty(cc.fit(two_runs(2), mesh=8))
    assert 0.005 < trust.deviations[0, 0] < 0.03  # what the rough run does to k is in it
    assert trust.deviations[1, 0] == pytest.approx(0.2, rel=0.3)
    assert trust.deviations[0, 1] == trust.deviations[1, 1]
    assert trust.deviations[0, 1] == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize("loss", [cc.LeastSquares(), cc.Huber(1.345)])
def test_as_many_data_as_unknowns_tell_nothing_of_their_noise(loss):
    """Residuals of zero are not a noise of zero: no interval, no band, no bootstrap."""
    two = cc.Problem(decay().dynamics, cc.Experiment([0.0, 1.0], [20.0, 11.0], ("c",)), loss=loss)
    solution = cc.fit(two)
    trust = cc.uncertainty(solution)
    assert trust.saturated == ("c",)
    assert np.isnan(trust.noise["c"])
    table = trust.intervals()
    assert np.isinf(table["std"]).all()
    assert set(table["note"]) == {"as many unknowns as data of c; give sigma"}
    assert np.isinf(trust.band([0.5])).all()
    with pytest.raises(cc.InputError, match="nothing tells the noise of c"):
        cc.bootstrap(solution)


@pytest.mark.parametrize("loss", [cc.LeastSquares(0.1), cc.Normal(0.1)])
def test_a_given_sigma_serves_as_many_data_as_unknowns(loss):
    """k = ln 20/11 ± σ √(20⁻² + 11⁻²)."""
    two = cc.Problem(decay().dynamics, cc.Experiment([0.0, 1.0], [20.0, 11.0], ("c",)), loss=loss)
    trust = cc.uncertainty(cc.fit(two))
    assert trust.saturated == trust.not_identifiable == ()
    assert trust.refuted == {}
    std = trust.intervals().loc["k", "std"]
    assert std == pytest.approx(0.1 * np.hypot(1.0 / 20.0, 1.0 / 11.0), rel=1e-4)


@pytest.mark.parametrize("name", ["sigma_c", "spread"])
def test_the_interval_of_sigma_makes_the_lost_freedom_good(name):
    """It is that of χ² of the residuals, of which two degrees of freedom are gone; not around √(RSS/n)."""
    t = np.linspace(0.0, 3.0, 8)
    y = 2.0 * np.exp(-0.7 * t) + 0.05 * np.random.default_rng(0).standard_normal(8)
    own = [cc.Parameter("spread", 0.1, scale="log")]
    given = (
        {"loss": cc.Normal("spread"), "parameters": own}
        if name == "spread"
        else {"loss": cc.Normal()}
    )
    problem = cc.Problem(decay().dynamics, cc.Experiment(t, y, ("c",)), **given)
    row = cc.uncertainty(cc.fit(problem)).intervals().loc[name]
    best, *_ = curve_fit(lambda t, k, a: a * np.exp(-k * t), t, y, [0.7, 2.0])
    squares = np.sum((best[1] * np.exp(-best[0] * t) - y) ** 2)
    assert row["estimate"] == pytest.approx(np.sqrt(squares / 8.0), rel=1e-4)
    ends = np.sqrt(squares / chi2.ppf([0.975, 0.025], 6))
    assert row[["lower", "upper"]].tolist() == pytest.approx(ends.tolist(), rel=1e-3)


def test_one_output_without_freedom_takes_nothing_from_another():
    b = np.full(21, np.nan)
    b[[0, -1]] = 3.0, 1.0
    a = noisy_decay(0).experiments[0].values[:, 0]
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.a, -p.m * x.b],
        parameters=[cc.Parameter("k", 1.0), cc.Parameter("m", 1.0)],
    )
    both = cc.Problem(model, cc.Experiment(T, np.column_stack([a, b]), ("a", "b")))
    table = cc.uncertainty(cc.fit(both)).intervals()
    alone = cc.uncertainty(cc.fit(noisy_decay(0))).intervals()
    assert table.loc["k", "std"] == pytest.approx(alone.loc["k", "std"], rel=1e-3)
    assert np.isinf(table.loc["m", "std"])


# ---- parameters beside networks ------------------------------------------------------------------


@pytest.mark.parametrize("strength", [1.0, 1e-3, 1e-5])
def test_a_parameter_that_a_network_can_imitate_is_named_at_any_strength(strength):
    t = np.linspace(0.0, 4.0, 60)
    y = np.exp(-0.7 * t) + 0.02 * np.random.default_rng(0).standard_normal(t.size)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: {"c": -p.k * x.c - nn(x.c), "d": -p.q * x.d},
        networks={"loss": cc.MLP((1, 6, 1))},
        parameters=[cc.Parameter("k", 1.0, 0.0, 10.0), cc.Parameter("q", 1.0)],
    )
    data = cc.Experiment(t, np.column_stack([y, y]), ("c", "d"))
    trust = cc.uncertainty(
        cc.fit(cc.Problem(model, data, regularisation=cc.L2(strength)), mesh=None)
    )
    assert set(trust.not_identifiable) == {"k"}
    table = trust.intervals()
    assert table.loc["k", "note"].startswith("not identifiable")
    assert table.loc["k", "std"] > 10.0 * table.loc["q", "std"]
    assert table.loc["q", "note"] == ""


def spring(seed, strength):
    """A hard spring whose force is learnt beside damping 0.2 and factor 1, 0.5 % noise."""
    t = np.linspace(0.0, 12.0, 120)
    rhs = lambda t, y: [y[1], -y[0] - 2 * y[0] ** 3 - 0.2 * y[1]]  # noqa: E731
    y = solve_ivp(rhs, (0, 12), [1.5, 0.0], t_eval=t, rtol=1e-10).y.T
    model = cc.Dynamics(
        lambda t, x, u, p, nn: {"x": p.m * x.v, "v": nn(x.x) - p.c * x.v},
        networks={"force": cc.MLP((1, 8, 1))},
        parameters=[cc.Parameter("c", 1.0, 0.0, 5.0), cc.Parameter("m", 0.7, 0.0, 5.0)],
    )
    noisy = y + 0.005 * y.std(0) * np.random.default_rng(seed).standard_normal(y.shape)
    data = cc.Experiment(t, noisy, ("x", "v"))
    return cc.Problem(model, data, regularisation=cc.L2(strength))


@pytest.mark.parametrize("strength", [1e-4, 1e-6])
def test_the_bias_of_the_penalty_is_inside_the_interval(strength):
    inside = []
    for seed in range(3):
        rows = cc.uncertainty(cc.fit(spring(seed, strength), mesh=60)).intervals()
        inside += [rows.lower[n] <= v <= rows.upper[n] for n, v in (("c", 0.2), ("m", 1.0))]
        assert rows["std"].max() < 0.02
        assert (rows["note"] == "").all()
    assert sum(inside) >= 5


def pendulum(initial, seed, name):
    t = np.linspace(0.0, 12.0, 100)
    rhs = lambda t, y: [y[1], -np.sin(y[0]) - 0.1 * y[1]]  # noqa: E731
    y = solve_ivp(rhs, (0, 12), initial, t_eval=t, rtol=1e-11, atol=1e-12).y.T
    noisy = y + 0.02 * np.random.default_rng(seed).standard_normal(y.shape)
    return cc.Experiment(t, noisy, ("angle", "speed"), name=name)


def test_a_run_near_a_saddle_takes_nothing_from_the_others():
    model = cc.Dynamics(
        lambda t, x, u, p, nn: {"angle": x.speed, "speed": nn(x.angle) - p.c * x.speed},
        networks={"torque": cc.MLP((1, 8, 1))},
        parameters=[cc.Parameter("c", 0.5, 0.0, 5.0)],
    )
    swing, linger = pendulum([1.0, 0.0], 0, "swing"), pendulum([0.0, 2.20374], 1, "near the top")
    problem = cc.Problem(model, [swing, linger], regularisation=cc.L2(1e-6))
    trust = cc.uncertainty(cc.fit(problem, mesh=60))
    assert trust.not_identifiable == ()
    row = trust.intervals().loc["c"]
    assert row["lower"] < 0.1 < row["upper"]
    assert row["std"] < 0.003


# ---- coverage, over 200 data sets each -----------------------------------------------------------


def share_inside(problems, truth, sets=200):
    """Share of data sets whose interval holds every true value; one NLP and solver for all."""
    nlp = solver = None
    inside = {name: 0 for name in truth}
    for seed in range(sets):
        problem = problems(seed)
        made = cc.start_from(cc.discretize(problem, mesh=30, like=nlp))
        solver = solver or cc.make_solver(made)
        nlp = nlp or made
        solution = cc.solve_with(solver, made)
        assert solution.success
        rows = cc.uncertainty(solution).intervals()
        for name, value in truth.items():
            inside[name] += rows.lower[name] <= value <= rows.upper[name]
    return {name: count / sets for name, count in inside.items()}


def small_initial_state(seed):
    """Logistic growth from c(0) = 0.01, measured with noise 0.03: at half of the sets the bound is hit."""
    t = np.linspace(0.0, 8.0, 25)
    y = 0.01 * np.exp(1.2 * t) / (1.0 + 0.01 * (np.exp(1.2 * t) - 1.0))
    y = y + 0.03 * np.random.default_rng(seed).standard_normal(25)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [p.r * x.c * (1.0 - x.c)], parameters=[cc.Parameter("r", 1.0, 0, 9)]
    )
    return cc.Problem(model, cc.Experiment(t, y, ("c",)), bounds={"c": (0.0, 2.0)})


def decaying_bounded_state(seed):
    t = np.linspace(0.0, 20.0, 41)
    y = np.exp(-t) + 0.02 * np.random.default_rng(seed).standard_normal(41)
    return decay_of(y, t, initial={"c": 1.0}, bounds={"c": (0.0, np.inf)})


def beside_a_network(seed):
    rng, t = np.random.default_rng(seed), np.linspace(0.0, 10.0, 60)
    rhs = lambda t, y: [y[1], -y[0] - 0.5 * y[0] ** 3 - 0.2 * y[1]]  # noqa: E731
    y = solve_ivp(rhs, (0, 10), [1.5, 0.0], t_eval=t, rtol=1e-9).y.T
    model = cc.Dynamics(
        lambda t, x, u, p, nn: {"x": x.v, "v": nn(x.x) - p.c * x.v},
        networks={"force": cc.MLP((1, 5, 1))},
        parameters=[cc.Parameter("c", 0.5, 0.0, 5.0)],
    )
    data = cc.Experiment(t, y + 0.03 * rng.standard_normal(y.shape), ("x", "v"))
    return cc.Problem(model, data, regularisation=cc.L2(1e-4), scaling={"x": 1.6, "v": 2.0})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problems", "truth"),
    [
        (small_initial_state, {"r": 1.2}),
        (decaying_bounded_state, {"k": 1.0}),
        (two_runs, {"k": 0.7, "q": 0.5}),
        (beside_a_network, {"c": 0.2}),
    ],
)
def test_intervals_cover_in_90_to_99_percent_of_200_data_sets(problems, truth):
    for share in share_inside(problems, truth).values():
        assert 0.90 <= share <= 0.99


# ---- bad input -----------------------------------------------------------------------------------


def test_bad_input():
    solution = cc.fit(noisy_decay(0), mesh=None)
    trust = cc.uncertainty(solution)
    for asked in (trust.intervals, trust.profile, trust.profiled_level):
        with pytest.raises(cc.InputError, match=r"confidence level .* not at 95.0"):
            asked(level=95.0)
        with pytest.raises(cc.InputError, match=r"confidence level .* not at 'k'"):
            asked("k")
        with pytest.raises(cc.InputError, match="no free quantity 'z'"):
            asked(names=["z"])
    with pytest.raises(cc.InputError, match="confidence level"):
        trust.band([0.0, 1.0], level=95.0)
    with pytest.raises(cc.InputError, match="'z'"):
        trust.intervals(names=["z"])
    with pytest.raises(cc.InputError, match="at least 2 refits"):
        cc.bootstrap(solution, refits=1)
    with pytest.raises(cc.InputError, match="only an optimum"):
        cc.uncertainty(cc.fit(noisy_decay(0), options={"max_iter": 1}, mesh=None))
    with pytest.raises(cc.InputError, match="outside the mesh"):
        trust.band([3.0])


def test_a_loaded_solution_has_no_covariance(tmp_path):
    solution = cc.fit(noisy_decay(0), mesh=None)
    solution.save(tmp_path / "fit.npz")
    with pytest.raises(cc.InputError, match="no NLP"):
        cc.uncertainty(cc.load(tmp_path / "fit.npz"))


def test_correlations_are_covariances_over_both_deviations():
    """Of a straight line with known start, dx/dt = a + b t: two coefficients of least squares."""
    y = 1.0 + T + 0.3 * T**2 + 0.1 * np.random.default_rng(3).standard_normal(21)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [p.a + p.b * t + 0.0 * x.x],
        parameters=[cc.Parameter("a", 0.5), cc.Parameter("b", 0.5)],
    )
    data = cc.Experiment(T, y, ("x",), initial={"x": 1.0})
    found = cc.uncertainty(cc.fit(cc.Problem(model, data), mesh=None)).correlation()
    A = np.column_stack([T, 0.5 * T**2])
    C = np.linalg.inv(A.T @ A)
    expected = C / np.sqrt(np.outer(np.diag(C), np.diag(C)))
    np.testing.assert_allclose(found.loc[["a", "b"], ["a", "b"]], expected, rtol=1e-6)
