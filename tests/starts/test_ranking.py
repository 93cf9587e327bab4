r"""What ranks optima of a likelihood: its value at the noises that are best for them, not noises told before a fit."""

import numpy as np
import pytest

import collocode as cc
from collocode.starts.optima import equal_to, is_better, worth_of
from collocode.starts.search import Search

PROFILES = {  # 2/M times -log L at the best σ, but for what the data alone say
    "Normal": (cc.Normal, lambda r: 2 * len(r) * 0.5 * np.log(np.mean(r**2))),
    "Laplace": (cc.Laplace, lambda r: 2 * len(r) * np.log(np.mean(np.abs(r)))),
}


def aliases(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A turning point seen at hardly uneven times, one coordinate a hundred times better than the other."""
    rng, count = np.random.default_rng(seed), 24
    t = np.linspace(0.0, 17.0, count)
    t[1:-1] += 0.03 * 17.0 / count * rng.standard_normal(count - 2)
    clean = turning(12.0, t := np.sort(t))
    return t, clean + np.array([0.015, 1.5]) * rng.standard_normal(clean.shape)


def turning(k: float, t: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(np.sqrt(k) * t), -np.sin(np.sqrt(k) * t)], axis=1)


def nlp_of(loss: cc.Normal | cc.Laplace, runs: dict[str, tuple[np.ndarray, np.ndarray]]) -> cc.NLP:
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [x.w * p.k**0.5, -(p.k**0.5) * x.x],
        parameters=[cc.Parameter("k", 2.0, 0.1, 250.0)],
    )
    given = {"x": cc.fixed(1.0), "w": cc.fixed(0.0)}
    data = [cc.Experiment(t, y, ("x", "w"), initial=given, name=n) for n, (t, y) in runs.items()]
    return cc.discretize(cc.Problem(model, data, loss=loss), mesh=10)


def at(nlp: cc.NLP, k: float) -> np.ndarray:
    x = nlp.start.copy()
    x[Search.of(nlp).columns] = k
    return x


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("own", [False, True])
def test_optima_are_ranked_by_the_profile_of_their_likelihood(name: str, own: bool) -> None:
    runs = {"one": aliases(10), "two": aliases(11)}
    loss, profile = PROFILES[name]
    nlp = nlp_of(loss(per_experiment=own), runs)
    expected = []
    for k in (12.0, 60.0):
        left = [turning(k, t) - y for t, y in runs.values()]
        groups = left if own else [np.vstack(left)]
        expected.append(sum(profile(g[:, j]) for g in groups for j in range(2)) / (2 * 2 * 24))
    found = [worth_of(nlp, at(nlp, k)).misfit for k in (12.0, 60.0)]
    assert found[1] - found[0] == pytest.approx(expected[1] - expected[0], rel=1e-4)


@pytest.mark.parametrize("seed", [4, 10, 12])
def test_an_alias_that_only_the_worse_output_prefers_is_neither_better_nor_equal(seed: int) -> None:
    nlp = nlp_of(cc.Normal(), {"run": aliases(seed)})
    right, alias = worth_of(nlp, at(nlp, 12.0)), worth_of(nlp, at(nlp, 143.2))
    rough = Search.of(nlp)
    assert rough.misfit(right.x) > rough.misfit(alias.x)  # by noises that smoothing tells
    assert is_better(nlp, right, alias.misfit)
    assert not is_better(nlp, alias, right.misfit)
    assert not equal_to(nlp, right, [alias])


def test_fits_that_are_weighed_find_the_most_likely_numbers() -> None:
    """Brute force over the rate, of the sum of n log RSS over both outputs."""
    t, y = aliases(10)
    nlp = nlp_of(cc.Normal(), {"run": (t, y)})
    rates = np.linspace(11.8, 12.2, 4001)
    left = np.array([np.log(((turning(k, t) - y) ** 2).sum(axis=0)).sum() for k in rates])
    x, _ = Search.of(nlp).weighed(at(nlp, 12.1))
    assert x[Search.of(nlp).columns][0] == pytest.approx(rates[left.argmin()], abs=2e-4)
