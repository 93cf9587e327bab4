"""Records without noise: constants, zeros, exact curves.  What they determine, and what nothing can say of it."""

import numpy as np
import pytest

import collocode as cc
from collocode.errors import quietly
from tests.problems import decay

T = np.linspace(0.0, 2.0, 21)
NOISY = np.exp(-0.7 * T) + 0.02 * np.random.default_rng(0).standard_normal(21)


def at_rest(values=None, **options):
    """A state that stays at 1 whatever the rate is."""
    rest = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * (x.c - 1.0)], parameters=[cc.Parameter("k", 1.0, 0.0, 9.0)]
    )
    data = cc.Experiment(T, np.ones(21) if values is None else values, outputs=("c",))
    return cc.Problem(rest, data, **options)


def beside(column, **options):
    """Two decays, the first of which is measured with noise."""
    both = cc.Dynamics(
        lambda t, x, u, p, nn: {"c": -p.k * x.c, "d": -p.m * x.d},
        parameters=[cc.Parameter(name, 1.0, 0.0, 10.0) for name in "km"],
    )
    data = cc.Experiment(T, np.column_stack([NOISY, column]), outputs=("c", "d"))
    return cc.Problem(both, data, **options)


def saturated():
    """As many data as unknowns, which any σ leaves behind."""
    data = cc.Experiment([0.0, 1.0], [20.0, 11.0], ("c",))
    return cc.Problem(decay().dynamics, data, loss=cc.Normal())


def codes(solution):
    return [found.code for found in cc.findings(solution)]


def test_a_rate_that_moves_nothing_is_not_identifiable_and_has_no_interval_of_rounding():
    solution = cc.fit(at_rest())
    assert np.isinf(cc.uncertainty(solution).intervals().loc["k", "std"])
    assert codes(solution) == ["not-identifiable"]


def test_of_exact_data_there_is_an_estimate_and_no_interval():
    solution = cc.fit(decay())
    trust = cc.uncertainty(solution)
    row = trust.intervals().loc["k"]
    assert row["estimate"] == pytest.approx(0.7, abs=1e-6)
    assert row[["std", "lower", "upper", "mesh_share"]].isna().all()
    assert row["note"] == "the data have no noise"
    assert (trust.noise_free, trust.exact[-1]) == (("c",), "k")
    assert "noise-free" in codes(solution)


def test_a_given_sigma_is_the_noise_of_exact_data():
    t = np.linspace(0.0, 2.0, 21)
    data = cc.Experiment(t, np.exp(-0.7 * t), outputs=("c",), sigma=0.1)
    rate = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    solution = cc.fit(cc.Problem(rate, data))
    assert cc.uncertainty(solution).noise_free == ()
    assert "noise-free" not in codes(solution)


@pytest.mark.parametrize("level", [1.0, 1e6, 1e-6])
def test_the_mesh_is_not_refined_for_digits_that_exact_data_do_not_tell(level):
    rate = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    solution = cc.fit(cc.Problem(rate, cc.Experiment(T, np.full(21, level), outputs=("c",))))
    assert solution.parameters["k"] == pytest.approx(0.0, abs=1e-9)  # a constant does not decay
    assert solution.meshing.success
    assert sum(part.mesh.elements for part in solution.trajectories) < 20
    assert codes(solution) == ["noise-free"]


@pytest.mark.parametrize("column", [np.zeros(21), np.full(21, 2.0)], ids=["zeros", "twos"])
def test_beside_a_column_without_noise_the_other_keeps_its_interval(column):
    alone = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    k = cc.uncertainty(cc.fit(cc.Problem(alone, cc.Experiment(T, NOISY, ("c",))))).intervals()
    with quietly():
        table = cc.uncertainty(cc.fit(beside(column))).intervals()
    assert table.loc["k", "std"] == pytest.approx(k.loc["k", "std"], rel=1e-3)
    assert not np.isfinite(table.loc["m", "std"])


@pytest.mark.parametrize(
    ("problem", "output"),
    [
        (at_rest(loss=cc.Normal()), "c"),
        (decay(loss=cc.Normal()), "c"),
        (decay(loss=cc.Laplace()), "c"),
        (saturated(), "c"),
        (beside(np.zeros(21), loss=cc.Normal()), "d"),
        (beside(np.full(21, 2.0), loss=cc.Normal()), "d"),
    ],
    ids=["at rest", "exact", "exact, Laplace", "as many data as unknowns", "zeros", "twos"],
)
def test_a_likelihood_that_has_no_maximum_is_no_optimum(problem, output):
    with pytest.warns(cc.CollocodeWarning, match=f"goes through the data of {output}, so that"):
        solution = cc.fit(problem)
    assert not solution.success
    assert solution.result.termination is cc.Termination.UNBOUNDED
    (found,) = cc.findings(solution)
    assert found.severity is cc.Severity.ERROR
    assert found.remedy.startswith("give the noise, sigma of")


@pytest.mark.parametrize("loss", [None, cc.Normal()], ids=["squares", "likelihood"])
def test_rounded_values_have_the_noise_of_their_last_digit(loss):
    """Counts: their rounding is noise of 1/√12."""
    counts = np.round(20.0 * np.exp(-0.7 * T))
    rate = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    options = {} if loss is None else {"loss": loss}
    solution = cc.fit(cc.Problem(rate, cc.Experiment(T, counts, outputs=("c",)), **options))
    trust = cc.uncertainty(solution)
    assert trust.noise["c"] == pytest.approx(1.0 / np.sqrt(12.0), rel=0.15)
    low, high = trust.intervals().loc["k", ["lower", "upper"]]
    assert low < 0.7 < high
    assert codes(solution) == []
