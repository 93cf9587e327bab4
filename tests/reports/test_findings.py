"""What a report warns of is true: in any units, with many outputs."""

from dataclasses import replace

import casadi as ca
import numpy as np
import pytest

import collocode as cc

T = np.linspace(0.0, 5.0, 30)


def decay(size, k2=(0.0, 5.0), noise=0.02, seed=9):
    """c' = -k c - k2 c² with concentrations of some size; the data know no second term."""
    y = size * (np.exp(-0.5 * T) + noise * np.random.default_rng(seed).standard_normal(30))
    low, up = k2
    rates = [cc.Parameter("k", 1.0, 0.0, 5.0), cc.Parameter("k2", 0.1 / size, low, up / size)]
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c - p.k2 * x.c**2], parameters=rates)
    return cc.fit(cc.Problem(dynamics, cc.Experiment(T, y, ("c",))))


def test_a_stall_over_batches_is_told_as_what_it_is():
    """No batch has failed: there is no step that the filter takes."""
    runs = [cc.Experiment(T, np.exp(-0.5 * T), ("c",), name=name) for name in ("a", "b")]
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    problem = cc.Problem(dynamics, runs, loss=cc.LeastSquares(0.1))
    found = cc.admm(problem, rules=cc.NewtonRules())
    stalled = replace(found, termination=cc.Termination.STALLED, message="no step is taken.")
    told = [f for f in cc.report(stalled).findings if f.code == "batches-stalled"]
    assert len(told) == 1
    assert told[0].text.endswith("no step is better: no step is taken")
    assert "rules=ADMMRules()" in told[0].remedy
    found = cc.admm(problem, rules=cc.ADMMRules(iterations=1))
    failed = replace(found, termination=cc.Termination.STALLED, message="no batch could be solved")
    assert "batches-failed" in [f.code for f in cc.report(failed).findings]


def codes(solution):
    return [finding.code for finding in cc.findings(solution)]


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_a_bound_that_an_estimate_rests_on_is_named_in_any_units(size):
    """SciPy's bounded least squares ends with k2 = 0 as well."""
    assert "at-bound" in codes(decay(size))


def test_small_numbers_are_not_at_a_bound_of_zero():
    t = np.linspace(0.0, 48.0, 25)
    y = 8e-9 * np.exp(-0.05 * t) + 1e-10 * np.random.default_rng(2).standard_normal(25)
    flow = cc.Parameter("flow", 1e-10, lower=0.0)  # mol/(l h), into a volume that loses 5 % an hour
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [p.flow - (0.05 + p.flow / 4e-9) * x.S], parameters=[flow]
    )
    solution = cc.fit(cc.Problem(dynamics, cc.Experiment(t, y + 2e-10 * t / 10, ("S",))))
    estimate, std = cc.uncertainty(solution).intervals().loc["flow", ["estimate", "std"]]
    assert estimate < 1e-6
    assert estimate > 3.0 * std
    assert "at-bound" not in codes(solution)


def test_one_of_many_outputs_may_have_a_small_p_value():
    """Ten series of noise, of which one has p just below 0.05; alone it is told, among ten it is not."""
    t = np.linspace(0.0, 10.0, 101)
    wanted = []
    for seed in range(400):
        y = np.random.default_rng(seed).standard_normal(101)
        r = y - y.mean()
        rho = np.array([r[k:] @ r[:-k] for k in range(1, 11)]) / (r @ r)
        Q = 101 * 103 * np.sum(rho**2 / (101 - np.arange(1, 11)))
        odd = 18.6 < Q < 21.0 and rho[0] > 0.0  # p between 0.02 and 0.046
        if odd if not wanted else Q < 12.0:
            wanted.append(y)
        if len(wanted) == 10:
            break

    def found(count):
        dynamics = cc.Dynamics(lambda t, x, u, p, nn: [0.0 * x[k] for k in range(count)])
        names = tuple(f"x{k}" for k in range(count))
        data = cc.Experiment(t, np.column_stack(wanted[:count]), names)
        return {f.code: f.text for f in cc.findings(cc.fit(cc.Problem(dynamics, data), mesh=5))}

    assert "residuals of x0 are not white" in found(1)["not-white"]
    assert "not-white" not in found(10)


def test_one_datum_and_one_number_leave_no_noise_to_measure_a_gap_by():
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    datum = cc.Experiment([2.0], [0.3], ("c",), start=0.0, initial={"c": 1.0})
    solution = cc.fit(cc.Problem(dynamics, datum))
    assert solution.parameters["k"] == pytest.approx(-np.log(0.3) / 2.0, rel=1e-6)
    assert "large-gap" not in codes(solution)


@pytest.mark.parametrize("zero", [0.0, 273.15])
def test_what_a_control_overshoots_counts_by_its_range(zero):
    """A + A -> B -> C by temperatures of 25 to 125 °C, the same in Kelvin: 12 degrees above the bound."""

    def rates(u):
        kelvin = u.T - zero + 273.15
        return 4000.0 * ca.exp(-2500.0 / kelvin), 620000.0 * ca.exp(-5000.0 / kelvin)

    def rhs(t, x, u, p, nn):
        fast, slow = rates(u)
        return {"a": -fast * x.a**2, "b": fast * x.a**2 - slow * x.b}

    window = cc.Window(
        end=1.0,
        controls={"T": cc.Control(24.85 + zero, 124.85 + zero)},
        initial={"a": 1.0, "b": 0.0},
    )
    cost = cc.Mayer(lambda t, x, u, p, nn: -x.b, name="B")
    problem = cc.Problem(cc.Dynamics(rhs), window, states=("a", "b"), costs=cost)
    assert "control-overshoots" in codes(cc.fit(problem, mesh=30))


@pytest.mark.parametrize(
    ("kind", "last", "told"), [("linear", 3.0, True), ("linear", 9.9, False), ("zoh", 3.0, False)]
)
def test_a_run_that_outlasts_its_table_of_inputs_is_told(kind, last, told):
    """Beyond its samples an input is constant, which is meant of a valve and seldom of the weather."""
    t = np.linspace(0.0, 10.0, 41)
    weather = cc.Signal(np.linspace(0.0, last, 12), np.sin(np.linspace(0.0, last, 12)), kind)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k * (u.w - x.y)], parameters=[cc.Parameter("k", 1.0)]
    )
    y = np.cos(t) + 0.1 * np.random.default_rng(0).standard_normal(41)
    run = cc.Experiment(t, y, ("y",), inputs={"w": weather})
    solution = cc.fit(cc.Problem(model, run), mesh=10, start="smoothing")
    found = [f.text for f in cc.findings(solution) if f.code == "input-ends"]
    assert bool(found) == told
    assert all("(w of 'experiment', from 0 to 3)" in text for text in found)


@pytest.mark.parametrize("learnt", [False, True])
def test_a_fit_from_a_file_says_what_was_not_looked_at_again(tmp_path, learnt):
    t = np.linspace(0.0, 2.0, 12)
    given = (
        {"networks": {"f": cc.MLP((1, 2, 1))}}
        if learnt
        else {"parameters": [cc.Parameter("k", 1.0), cc.Parameter("same", 1.0)]}
    )
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [nn.f(x.c)] if learnt else [-p.k * p.same * x.c], **given
    )
    data = cc.Experiment(t, np.exp(-t) + 0.01 * np.cos(37.0 * t * t), outputs=("c",))
    solution = cc.fit(cc.Problem(model, data), mesh=6)
    solution.save(tmp_path / "fit.npz")
    here, there = (
        {f.code for f in cc.findings(s)} for s in (solution, cc.load(tmp_path / "fit.npz"))
    )
    assert ("not-identifiable" in here, "from-file" in here) == (not learnt, False)
    assert ("from-file" in there) is not learnt  # networks have no intervals to lose


@pytest.mark.parametrize(
    ("size", "noted"), [(1.0, False), (5.0, False), (300.0, True), (1e-4, True)]
)
def test_a_mean_over_outputs_in_other_units_says_whose_it_is(size, noted):
    t = np.linspace(0.0, 2.0, 30)
    wave = 0.01 * np.cos(37.0 * t * t)
    values = np.column_stack([np.exp(-t) + wave, size * (np.exp(-2.0 * t) + wave[::-1])])
    model = cc.Dynamics(
        lambda t, x, u, p, nn: {"c": -p.k * x.c, "h": -p.m * x.h},
        parameters=[cc.Parameter("k", 1.0), cc.Parameter("m", 2.0)],
    )
    solution = cc.fit(cc.Problem(model, cc.Experiment(t, values, outputs=("c", "h"))), mesh=6)
    note = cc.report(solution).tables["scores"].note
    name = "h" if size > 1.0 else "c"
    assert note == (
        f"Means over outputs in their own units: nearly all is of {name}; by output see below."
        if noted
        else ""
    )
