"""Other optima of few samples, against closed forms and SciPy: found, told, and not looked for where all is clear."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

import collocode as cc
from collocode.errors import quietly
from collocode.identify import fallbacks
from collocode.starts import optima as module
from collocode.starts.optima import Optimum, ScatteredOptima, can_search, equal_to, is_open, optima
from collocode.starts.search import Search
from tests.problems import decay, van_der_pol_neural
from tests.starts.test_shooting import michaelis


def spring(per_period, k=9.0, start=1.0, periods=4, sigma=0.03, upper=30.0):
    """A spring let go at 1 and seen a few times a period: x = cos(√k t)."""
    step = 2.0 * np.pi / np.sqrt(k) / per_period
    t = step * np.arange(round(periods * per_period) + 1)
    x = np.cos(np.sqrt(k) * t) + sigma * np.random.default_rng(2).standard_normal(len(t))
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, -p.k * x.x], parameters=[cc.Parameter("k", start, 0.0, upper)]
    )
    fixed = {"x": cc.fixed(1.0), "v": cc.fixed(0.0)}
    data = cc.Experiment(t, x, outputs=("x",), initial=fixed)
    return cc.Problem(model, data, states=("x", "v")), t, x


def told(solution):
    return [f for f in cc.findings(solution) if f.code == "another-optimum"]


def tablet():
    """Absorbed and eliminated by rates that may be exchanged, if the volume is, too: Bateman's function."""
    t = np.linspace(1.0, 12.0, 12)
    ka, ke, V = 2.0, 0.3, 0.5
    c = V * ka / (ka - ke) * (np.exp(-ke * t) - np.exp(-ka * t))
    c = c * (1.0 + 0.02 * np.random.default_rng(0).standard_normal(12))
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.ka * x.gut, p.V * p.ka * x.gut - p.ke * x.blood],
        parameters=[
            cc.Parameter(n, s, 0.0, 10.0) for n, s in (("ka", 1.0), ("ke", 0.5), ("V", 1.0))
        ],
    )
    fixed = {"gut": cc.fixed(1.0), "blood": cc.fixed(0.0)}
    data = cc.Experiment(t, c, outputs=("blood",), start=0.0, initial=fixed)
    return cc.Problem(model, data, states=("gut", "blood"))


def test_a_wave_of_few_samples_is_one_of_two_frequencies_and_that_is_told(tmp_path):
    problem, t, x = spring(2.7)
    with pytest.warns(cc.CollocodeWarning, match=r"do not tell k = .* from k = "):
        solution = cc.fit(problem)
    found = [solution.parameters["k"], *(r["k"] for r in solution.start_record.rivals)]

    def missed(k):
        return np.cos(np.sqrt(k[0]) * t) - x

    alias = (2.0 * np.pi / (t[1] - t[0]) - 3.0) ** 2
    best = [least_squares(missed, [k]).x[0] for k in (9.0, alias)]
    assert np.sort(found) == pytest.approx(best, rel=1e-3)
    assert told(solution)[0].lever is cc.Lever.DATA
    solution.save(tmp_path / "fit.npz")
    again = cc.load(tmp_path / "fit.npz")
    assert again.start_record.rivals[0]["k"] == solution.start_record.rivals[0]["k"]


def test_a_bound_that_leaves_the_other_frequency_out_settles_it():
    solution = cc.fit(spring(2.7, upper=15.0)[0])
    assert solution.parameters["k"] == pytest.approx(9.0, rel=1e-2)
    assert not told(solution)


def test_rates_that_may_be_exchanged_are_told():
    with quietly():
        solution = cc.fit(tablet())
    p, (rival,) = solution.parameters, solution.start_record.rivals
    assert rival["ka"] == pytest.approx(p["ke"], rel=1e-2)
    assert rival["ke"] == pytest.approx(p["ka"], rel=1e-2)
    assert rival["V"] * rival["ka"] == pytest.approx(p["V"] * p["ka"], rel=1e-2)


def test_a_poor_start_finds_what_scipy_finds_from_the_truth():
    """Damped, three samples a period: from k = 1 a fit alone ends at another frequency."""
    t = np.linspace(0.0, 12.0, 18)

    def run(k, c):
        w = np.sqrt(k - c**2 / 4.0)
        return np.exp(-c * t / 2.0) * (np.cos(w * t) + c / (2.0 * w) * np.sin(w * t))

    x = run(9.0, 0.15) + 0.05 * np.random.default_rng(0).standard_normal(18)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, -p.k * x.x - p.c * x.v],
        parameters=[cc.Parameter("k", 1.0, 0.0, 20.0), cc.Parameter("c", 1.0, 0.0, 5.0)],
    )
    fixed = {"x": cc.fixed(1.0), "v": cc.fixed(0.0)}
    data = cc.Experiment(t, x, outputs=("x",), initial=fixed)
    solution = cc.fit(cc.Problem(model, data, states=("x", "v")))
    best = least_squares(lambda q: run(*q) - x, [9.0, 0.15])
    assert [solution.parameters[n] for n in "kc"] == pytest.approx(best.x, rel=5e-3)


def test_nothing_is_looked_for_where_the_noise_is_what_is_left(monkeypatch):
    """Samples that resolve the curve, residuals that are noise; a σ that is given; exact data; networks."""

    def never(*given):
        raise AssertionError("points were scattered")

    monkeypatch.setattr(ScatteredOptima, "about", never)
    t = np.linspace(0.0, 3.0, 21)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0, 0.0)]
    )
    for sigma, given in ((0.05, None), (0.01, None), (0.05, 0.05), (0.0, None)):
        c = np.exp(-0.7 * t) + sigma * np.random.default_rng(1).standard_normal(21)
        data = cc.Experiment(t, c, outputs=("c",), sigma=given)
        cc.fit(cc.Problem(model, data))
    assert not can_search(cc.discretize(van_der_pol_neural(), mesh=6))


def test_a_curved_valley_is_no_other_optimum():
    """Of a substrate that is never saturated only V/K is known, over decades of both."""
    t = np.linspace(0.0, 3.0, 8)
    s = 0.01 * np.exp(-t) * (1.0 + 0.05 * np.random.default_rng(0).standard_normal(8))
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.V * x.s / (p.K + x.s)],
        parameters=[cc.Parameter("V", 1.0, 1e-3, 1e3), cc.Parameter("K", 1.0, 1e-3, 1e3)],
    )
    with quietly():
        solution = cc.fit(cc.Problem(model, cc.Experiment(t, s, outputs=("s",))))
    assert not solution.start_record.rivals


def test_an_optimum_in_the_same_basin_is_not_equal_but_the_same():
    problem, _, _ = spring(2.7)
    nlp = cc.start_from(cc.discretize(problem, mesh=20), "simulate")
    x = nlp.start.copy()
    x[nlp.layout.shared] = 9.0
    near = x.copy()
    near[nlp.layout.shared] = 9.001
    assert equal_to(nlp, Optimum(x=x, misfit=0.01), [Optimum(x=near, misfit=0.01)]) == []
    assert is_open(nlp, x)  # since the other frequency would pass as well


def test_the_search_is_left_out_where_simulations_are_dear():
    problem, _, _ = michaelis()
    assert can_search(cc.discretize(problem, mesh=6))
    late = cc.Dynamics(
        lambda t, x, u, p, nn: {"c": -p.k * x.late},
        parameters=[cc.Parameter("k", 1.0)],
    )
    t = np.linspace(0.0, 2.0, 9)
    data = cc.Experiment(t, solve_ivp(lambda t, y: -y, (0, 2), [1.0], t_eval=t).y[0], ("c",))
    assert not can_search(
        cc.discretize(cc.Problem(late, data, delays={"late": cc.Delay(0.5, of="c")}), mesh=6)
    )


def test_a_likelihood_looks_for_other_optima_as_well():
    """The size of its noise, estimated, is no number that the search has to find: the other frequency is told."""
    problem, t, _ = spring(2.7)
    problem = replace(problem, loss=cc.Normal())
    with pytest.warns(cc.CollocodeWarning, match=r"do not tell k = .* from k = "):
        solution = cc.fit(problem)
    assert (
        Search.of(solution.nlp).parameters.tolist() == solution.nlp.layout.columns_of("k").tolist()
    )
    alias = (2.0 * np.pi / (t[1] - t[0]) - 3.0) ** 2
    (rival,) = solution.start_record.rivals
    assert sorted([solution.parameters["k"], *rival.values()]) == pytest.approx(
        [9.0, alias], rel=0.01
    )
    assert solution.parameters["sigma_x"] == pytest.approx(0.03, rel=0.5)


@pytest.mark.slow
def test_initial_states_have_basins_of_their_own():
    """Where a relaxation oscillation begins decides when it jumps: 16 samples of four jumps, noise of 7 %."""

    def rates(t, x, mu):
        return [x[1], mu * (1 - x[0] ** 2) * x[1] - x[0]]

    def simulated(z):
        return solve_ivp(
            rates, (0.0, 20.0), z[1:], "LSODA", t, args=(z[0],), rtol=1e-8, atol=1e-9
        ).y.T

    t = np.linspace(0.0, 20.0, 16)
    clean = simulated([5.0, 2.0, 0.0])
    y = clean + 0.07 * clean.std(0) * np.random.default_rng(0).standard_normal(clean.shape)
    best = least_squares(lambda z: ((simulated(z) - y) / y.std(0)).ravel(), [5.0, 2.0, 0.0])
    model = cc.Dynamics(
        lambda t, x, u, p, nn: rates(t, [x.a, x.b], p.mu),
        parameters=[cc.Parameter("mu", 1.0, 0.0, 20.0)],
    )
    with quietly():
        solution = cc.fit(cc.Problem(model, cc.Experiment(t, y, ("a", "b"))))
    assert solution.parameters["mu"] == pytest.approx(best.x[0], rel=1e-3)


def test_a_search_that_found_no_time_leaves_the_fit_as_it_is(monkeypatch):
    fitted = cc.fit(decay(), mesh=4)
    for name, value in (("can_search", True), ("is_open", True), ("optima", [])):
        monkeypatch.setattr(fallbacks, name, lambda *_, value=value: value)
    found = fallbacks.best_of_optima(fitted.nlp, fitted, lambda *_: None)
    assert found.result is fitted.result
    assert found.start_record.rivals == ()


def spent_on(nlp, monkeypatch):
    """Fits that a search runs, by the gain that ends them, and evaluations of the right-hand side."""
    gains, searches, fitted = [], set(), Search.fitted

    def counted(self, x, share=1.0, gain=1e-8):
        gains.append(gain)
        searches.add(self)
        return fitted(self, x, share, gain)

    with monkeypatch.context() as patch:
        patch.setattr(Search, "fitted", counted)
        patch.setattr(Search, "__hash__", object.__hash__)
        found = optima(nlp, nlp.start)
    return found, gains, max(s.total for s in searches)


def test_a_search_ends_when_its_evaluations_are_used_up(monkeypatch):
    _, gains, whole = spent_on(cc.discretize(spring(2.7)[0], mesh=20), monkeypatch)
    monkeypatch.setattr(module, "_MOST_EVALUATIONS", whole // 10)
    found, fewer, spent = spent_on(cc.discretize(spring(2.7)[0], mesh=20), monkeypatch)
    assert found
    assert spent < whole / 2
    assert len(fewer) < len(gains) / 2


def test_what_lies_in_the_basin_of_an_optimum_is_not_fitted_to_its_end_again(monkeypatch):
    # a valley along which 30 % of noise leaves k within 5 % for a thousandth of the misfit
    t = np.linspace(0.3, 4.0, 10)
    y = 2.0 * np.exp(-0.7 * t) + 0.3 * np.random.default_rng(0).standard_normal(10)
    parameters = [cc.Parameter("k", 3.0, 0.0, 20.0), cc.Parameter("a", 1.0, -5.0, 5.0)]
    model = cc.Dynamics(lambda t, x, u, p, nn: [p.a - p.k * x.x], parameters=parameters)
    nlp = cc.discretize(cc.Problem(model, cc.Experiment(t, y, ("x",))), mesh=20)
    (found,), gains, _ = spent_on(nlp, monkeypatch)

    def missed(v):
        k, a, x = v
        return a / k + (x - a / k) * np.exp(-k * (t - t[0])) - y

    best = least_squares(missed, [0.7, 0.0, 2.0])
    columns = Search.of(nlp).columns
    assert found.x[columns] == pytest.approx(best.x, rel=1e-2)
    assert gains.count(1e-8) == 1  # one to its end, of eight points that are fitted roughly


def test_a_basin_ends_where_slopes_no_longer_foretell_the_misfit():
    nlp = cc.discretize(spring(2.7)[0], mesh=20)
    k, search, best = nlp.layout.columns_of("k")[0], Search.of(nlp), optima(nlp, nlp.start)[0]
    basin = module._Basin.of(search, best)
    near, far = best.x.copy(), best.x.copy()
    near[k] *= 1.002
    far[k] *= 1.6
    assert basin.holds(Optimum(x=near, misfit=search.misfit(near)))
    assert not basin.holds(Optimum(x=far, misfit=search.misfit(far)))
    assert not basin.holds(Optimum(x=near, misfit=0.5 * best.misfit))
