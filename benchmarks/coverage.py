"""How often intervals hold what made the data: simulated records of models with a closed form.

    python benchmarks/coverage.py [--sets 400] [case ...]

Every case makes data sets by a model of which the truth is known, fits each of them and counts how often the interval
of 95 % holds the true number: of parameters, of a likelihood's σ, of bands. With 400 sets the share is known to
1.1 % (one standard deviation) where it is 95 %. Straight lines are there since their intervals are Student's
exactly; the other models are decays, whose estimates are nearly linear in data of little noise.
"""

from __future__ import annotations

import argparse
import importlib
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import lambertw

import collocode as cc

Rng = np.random.Generator
CASES: dict[str, Callable[[Rng], dict[str, bool]]] = {}
FEW: dict[str, int] = {}  # sets of cases that refit every set many times


def case(name: str, sets: int | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def kept(make: Callable[..., Any]) -> Callable[..., Any]:
        CASES[name] = make
        if sets:
            FEW[name] = sets
        return make

    return kept


def lines(*names: str, shared: bool = False) -> cc.Dynamics:
    """ẋ = k for every output, of a slope of its own or one for all."""
    slopes = ["k"] if shared else [f"k_{name}" for name in names]

    def rhs(t: Any, x: Any, u: Any, p: Any, nn: Any) -> list[Any]:
        k = [getattr(p, slopes[0] if shared else f"k_{n}") for n in names]
        return [k_ + 0.0 * getattr(x, n) for k_, n in zip(k, names, strict=True)]

    return cc.Dynamics(rhs, parameters=[cc.Parameter(s, 1.0) for s in slopes])


def decay(per_experiment: bool = False) -> cc.Dynamics:
    k = cc.Parameter("k", 1.0, 0.0, 20.0, per_experiment=per_experiment)
    return cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[k])


def judged(problem: cc.Problem, truth: Mapping[str, float]) -> dict[str, bool]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solution = cc.fit(problem, mesh=4, start="gradient_matching")
        if not solution.success:
            return {"fits that failed": True}
        table = cc.uncertainty(solution).intervals(names=list(truth))
    return {n: bool(table["lower"][n] <= v <= table["upper"][n]) for n, v in truth.items()}


def line_of(rng: Rng, count: int, loss: Any, sigma: float = 0.1, **options: Any) -> cc.Problem:
    t = np.linspace(0.0, 1.0, count)
    y = 0.5 + 2.0 * t + sigma * rng.standard_normal(count)
    return cc.Problem(lines("x"), cc.Experiment(t, y, ("x",), **options), loss=loss)


def decay_of(rng: Rng, count: int, loss: Any, sigma: float = 0.03, **options: Any) -> cc.Problem:
    t = np.linspace(0.0, 2.0, count)
    y = np.exp(-0.7 * t) + sigma * rng.standard_normal(count)
    return cc.Problem(decay(), cc.Experiment(t, y, ("c",), **options), loss=loss)


def two(
    rng: Rng, counts: tuple[int, int], noise: tuple[float, float], loss: Any, shared: bool = True
) -> cc.Problem:
    """Two lines of different noise, of which the second is measured at some of the times only."""
    t = np.linspace(0.0, 1.0, max(counts))
    y = np.column_stack([0.5 + 2.0 * t, 1.0 + 2.0 * t]) + noise * rng.standard_normal((len(t), 2))
    for j, count in enumerate(counts):
        kept = np.round(np.linspace(0, len(t) - 1, count)).astype(int)
        y[~np.isin(np.arange(len(t)), kept), j] = np.nan
    return cc.Problem(lines("a", "b", shared=shared), cc.Experiment(t, y, ("a", "b")), loss=loss)


def runs(
    rng: Rng, noise: tuple[float, ...], loss: Any, count: int = 10, own: bool = False
) -> cc.Problem:
    t = np.linspace(0.0, 2.0, count)
    data = [
        cc.Experiment(t, np.exp(-0.7 * t) + s * rng.standard_normal(count), ("c",), name=f"r{k}")
        for k, s in enumerate(noise)
    ]
    return cc.Problem(decay(own), data, loss=loss)


LS, OWN = cc.LeastSquares(), {"k_a": 2.0, "k_b": 2.0}
SIGMAS = {"sigma_a": 0.02, "sigma_b": 0.1}
for n in (4, 10, 30):
    CASES[f"line, {n} data, squares"] = lambda r, n=n: judged(line_of(r, n, LS), {"k_x": 2.0})
    CASES[f"line, {n} data, Normal"] = lambda r, n=n: judged(
        line_of(r, n, cc.Normal()), {"k_x": 2.0, "sigma_x": 0.1}
    )
    CASES[f"decay, {n} data, squares"] = lambda r, n=n: judged(decay_of(r, n, LS), {"k": 0.7})
CASES["decay from a known state, 6 data, squares"] = lambda r: judged(
    decay_of(r, 6, LS, initial={"c": cc.fixed(1.0)}), {"k": 0.7}
)
CASES["decay from a known state, 6 data, Normal"] = lambda r: judged(
    decay_of(r, 6, cc.Normal(), initial={"c": cc.fixed(1.0)}), {"k": 0.7, "sigma_c": 0.03}
)
CASES["two outputs, noise 1:5, one slope, squares"] = lambda r: judged(
    two(r, (10, 10), (0.02, 0.1), LS), {"k": 2.0}
)
CASES["two outputs, noise 1:5, one slope, Normal"] = lambda r: judged(
    two(r, (10, 10), (0.02, 0.1), cc.Normal()), {"k": 2.0, **SIGMAS}
)
CASES["two outputs, noise 1:1, one slope, Normal"] = lambda r: judged(
    two(r, (10, 10), (0.1, 0.1), cc.Normal()), {"k": 2.0}
)
CASES["two outputs, own slopes, 10 and 10 data, Normal"] = lambda r: judged(
    two(r, (10, 10), (0.02, 0.1), cc.Normal(), False), {**OWN, **SIGMAS}
)
CASES["two outputs, own slopes, 40 and 5 data, Normal"] = lambda r: judged(
    two(r, (40, 5), (0.02, 0.1), cc.Normal(), False), {**OWN, **SIGMAS}
)
CASES["two outputs, own slopes, 40 and 5 data, squares"] = lambda r: judged(
    two(r, (40, 5), (0.02, 0.1), LS, False), OWN
)
CASES["two outputs, one σ for both, Normal"] = lambda r: judged(
    cc.Problem(
        (q := two(r, (8, 8), (0.1, 0.1), LS, False)).dynamics,
        q.experiments,
        loss=cc.Normal("s"),
        parameters=[cc.Parameter("s", 0.2, 1e-4, 10.0, scale="log")],
    ),
    {**OWN, "s": 0.1},
)
CASES["two outputs, one Huber each"] = lambda r: judged(
    two(r, (15, 15), (0.02, 0.1), cc.Huber(1.345), False), OWN
)
CASES["three runs, noise 1:1:5, one k, Normal by run"] = lambda r: judged(
    runs(r, (0.02, 0.02, 0.1), cc.Normal(per_experiment=True)), {"k": 0.7}
)
CASES["three runs, noise 1:1:5, one k, Normal"] = lambda r: judged(
    runs(r, (0.02, 0.02, 0.1), cc.Normal()), {"k": 0.7}
)
CASES["three runs, noise 1:1:5, own k, Normal by run"] = lambda r: judged(
    runs(r, (0.02, 0.02, 0.1), cc.Normal(per_experiment=True), own=True),
    {"k[r0]": 0.7, "k[r2]": 0.7},
)
for noise in ((0.02, 0.02, 0.1), (0.02, 0.02, 0.04), (0.03, 0.03, 0.03)):
    told = ":".join(f"{s / noise[0]:g}" for s in noise)
    CASES[f"three runs, noise {told}, own k, squares"] = lambda r, noise=noise: judged(
        runs(r, noise, LS, own=True), {"k[r0]": 0.7, "k[r2]": 0.7}
    )
    CASES[f"three runs, noise {told}, one k, squares"] = lambda r, noise=noise: judged(
        runs(r, noise, LS), {"k": 0.7}
    )
for number, count, last in (("ten", 4, 1.0), ("ten", 4, 3.0), ("ten", 8, 2.0), ("five", 6, 3.0)):
    CASES[f"{number} runs of {count} data, the last {last:g} times as rough, own k, squares"] = (
        lambda r, quiet={"ten": 9, "five": 4}[number], count=count, last=last: judged(
            runs(r, (0.02,) * quiet + (0.02 * last,), LS, count, own=True),
            {"k[r0]": 0.7, f"k[r{quiet}]": 0.7},
        )
    )


@case("one run of 12, initial state by a prior")
def _(rng: Rng) -> dict[str, bool]:
    guess = 1.0 + 0.05 * rng.standard_normal()
    return judged(decay_of(rng, 12, LS, 0.05, initial={"c": cc.weighted(guess, 0.05)}), {"k": 0.7})


@case("given σ of every datum, 1:10")
def _(rng: Rng) -> dict[str, bool]:
    t, sigma = np.linspace(0.0, 1.0, 8), np.where(np.arange(8) % 2, 0.02, 0.2)
    y = 0.5 + 2.0 * t + sigma * rng.standard_normal(8)
    return judged(
        cc.Problem(lines("x"), cc.Experiment(t, y, ("x",), sigma=sigma[:, None]), loss=LS),
        {"k_x": 2.0},
    )


@case("weights of 1/σ², squares")
def _(rng: Rng) -> dict[str, bool]:
    t, sigma = np.linspace(0.0, 1.0, 8), np.where(np.arange(8) % 2, 0.02, 0.2)
    y = 0.5 + 2.0 * t + sigma * rng.standard_normal(8)
    w = (0.02 / sigma[:, None]) ** 2
    return judged(
        cc.Problem(lines("x"), cc.Experiment(t, y, ("x",), weights=w), loss=LS), {"k_x": 2.0}
    )


def proportional(rng: Rng, count: int, floor: float, share: float, **loss: Any) -> cc.Problem:
    t = np.linspace(0.0, 2.0, count)
    mean = 10.0 * np.exp(-0.7 * t)
    y = mean + (floor + share * mean) * rng.standard_normal(count)
    return cc.Problem(decay(), cc.Experiment(t, y, ("c",)), **loss)


def size(name: str, start: float) -> cc.Parameter:
    return cc.Parameter(name, start, 1e-5, 100.0, scale="log")


CASES["noise b h, 10 data"] = lambda r: judged(
    proportional(r, 10, 0.0, 0.05, loss=cc.Normal((0.0, "b")), parameters=[size("b", 0.1)]),
    {"k": 0.7, "b": 0.05},
)
CASES["noise a + b h, 20 data"] = lambda r: judged(
    proportional(
        r, 20, 0.1, 0.05, loss=cc.Normal(("a", "b")), parameters=[size("a", 0.2), size("b", 0.1)]
    ),
    {"k": 0.7},
)
CASES["noise of the logarithm, 8 data"] = lambda r: judged(
    cc.Problem(
        decay(),
        cc.Experiment(
            t := np.linspace(0.0, 2.0, 8), np.exp(-0.7 * t + 0.1 * r.standard_normal(8)), ("c",)
        ),
        loss=cc.LogNormal(),
    ),
    {"k": 0.7, "sigma_c": 0.1},
)


@case("Student's noise, 15 data")
def _(rng: Rng) -> dict[str, bool]:
    t = np.linspace(0.0, 1.0, 15)
    y = 0.5 + 2.0 * t + 0.1 * rng.standard_t(4, 15)
    return judged(
        cc.Problem(lines("x"), cc.Experiment(t, y, ("x",)), loss=cc.Student()),
        {"k_x": 2.0, "sigma_x": 0.1},
    )


for n in (8, 15, 30, 100):

    @case(f"Laplace's noise, {n} data")
    def _(rng: Rng, n: int = n) -> dict[str, bool]:
        t = np.linspace(0.0, 1.0, n)
        y = 0.5 + 2.0 * t + rng.laplace(0.0, 0.1, n)
        return judged(
            cc.Problem(lines("x"), cc.Experiment(t, y, ("x",)), loss=cc.Laplace()),
            {"k_x": 2.0, "sigma_x": 0.1},
        )


@case("counts, 10 data, Poisson")
def _(rng: Rng) -> dict[str, bool]:
    t = np.linspace(0.0, 2.0, 10)
    y = rng.poisson(50.0 * np.exp(-0.7 * t)).astype(float)
    return judged(cc.Problem(decay(), cc.Experiment(t, y, ("c",)), loss=cc.Poisson()), {"k": 0.7})


def censored(rng: Rng, count: int, limit: float) -> dict[str, bool]:
    t = np.linspace(0.0, 3.0, count)
    y = 20.0 * np.exp(-0.7 * t) + rng.standard_normal(count)
    below = y < limit
    data = cc.Experiment(
        t, np.where(below, limit, y), ("c",), censored=np.where(below, -1.0, 0.0)[:, None]
    )
    return judged(cc.Problem(decay(), data, loss=cc.Normal()), {"k": 0.7, "sigma_c": 1.0})


for n, limit in ((10, 4.0), (10, 8.0), (20, 4.0), (40, 6.0)):
    CASES[f"censored below {limit:g} of 20, {n} data"] = lambda r, n=n, limit=limit: censored(
        r, n, limit
    )
CASES["Huber, 8 data, normal noise"] = lambda r: judged(
    line_of(r, 8, cc.Huber(1.345)), {"k_x": 2.0}
)
CASES["Huber, 20 data, normal noise"] = lambda r: judged(
    line_of(r, 20, cc.Huber(1.345)), {"k_x": 2.0}
)


def in_bands(problem: cc.Problem, truth: Any, draws: Any) -> dict[str, bool]:
    """At one random time: the state within its band, a new datum of every output within that with noise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trust = cc.uncertainty(cc.fit(problem, mesh=4, start="gradient_matching"))
    t, found = 0.37, {}
    for noise, value in ((False, truth(t)), (True, draws(t))):
        low, high = trust.band([t], noise=noise, of="outputs")
        for j, name in enumerate(problem.outputs):
            told = f"{'new datum' if noise else 'band'} of {name}"
            found[told] = bool(low[0, j] <= value[j] <= high[0, j])
    return found


for name, loss in (("squares", LS), ("Normal", cc.Normal())):
    CASES[f"bands of two outputs, 40 and 5 data, {name}"] = lambda r, loss=loss: in_bands(
        two(r, (40, 5), (0.02, 0.1), loss, False),
        lambda t: (0.5 + 2.0 * t, 1.0 + 2.0 * t),
        lambda t: (0.5 + 2.0 * t, 1.0 + 2.0 * t) + np.array((0.02, 0.1)) * r.standard_normal(2),
    )


@case("k at its bound of 0, truth 0, 10 data")
def _(rng: Rng) -> dict[str, bool]:
    t = np.linspace(0.0, 2.0, 10)
    y = 1.0 + 0.03 * rng.standard_normal(10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solution = cc.fit(
            cc.Problem(decay(), cc.Experiment(t, y, ("c",))), mesh=4, start="gradient_matching"
        )
        row = cc.uncertainty(solution).intervals().loc["k"]
    told = row["note"] == "at its bound"
    return {"k, or at its bound": bool(told or row["lower"] <= 0.0 <= row["upper"])}


for n, loss, name in ((6, LS, "squares"), (15, LS, "squares"), (8, cc.Normal(), "Normal")):

    @case(f"bootstrap of a line, {n} data, {name}", 200)
    def _(rng: Rng, n: int = n, loss: Any = loss) -> dict[str, bool]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solution = cc.fit(line_of(rng, n, loss), mesh=4, start="gradient_matching")
            row = (
                cc.bootstrap(solution, refits=100, seed=int(rng.integers(1 << 30)))
                .intervals()
                .loc["k_x"]
            )
        return {"k_x": bool(row["lower"] <= 2.0 <= row["upper"])}


def bending(problem: cc.Problem, truth: Mapping[str, float]) -> dict[str, bool]:
    """The linearised intervals beside the profile's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solution = cc.fit(problem, mesh=8)
        if not solution.success:
            return {"fits that failed": True}
        trust, found = cc.uncertainty(solution), {}
        for told, table in (("", trust.intervals()), (" by profile", trust.profile())):
            for name, value in truth.items():
                low, high = table.loc[name, ["lower", "upper"]]
                found[name + told] = bool(low <= value <= high)
    return found


@case("a noisy decay, 5 data", 150)
def _(rng: Rng) -> dict[str, bool]:
    return bending(decay_of(rng, 5, LS, 0.15), {"k": 0.7})


for noise in (0.03, 0.1):

    @case(f"Michaelis and Menten, 8 data, noise {noise:g} of 2", 150)
    def _(rng: Rng, noise: float = noise) -> dict[str, bool]:
        t = np.linspace(0.0, 6.0, 8)
        exact = 0.5 * lambertw(4.0 * np.exp(4.0 - 2.0 * t)).real  # V = 1, K = 1/2, from 2
        sizes = [cc.Parameter("V", 1.5, 1e-3, 50.0), cc.Parameter("K", 1.0, 1e-3, 50.0)]
        law = cc.Dynamics(lambda t, x, u, p, nn: [-p.V * x.S / (p.K + x.S)], parameters=sizes)
        y = exact + noise * rng.standard_normal(8)
        run = cc.Experiment(t, y, ("S",), initial={"S": cc.fixed(2.0)})
        return bending(cc.Problem(law, run), {"V": 1.0, "K": 0.5})


@case("Poisson's law of counts that scatter more, 15 data", 150)
def _(rng: Rng) -> dict[str, bool]:
    t = np.linspace(0.0, 2.0, 15)
    y = rng.poisson(50.0 * np.exp(-0.7 * t) * rng.gamma(5.0, 0.2, 15)).astype(float)
    return judged(cc.Problem(decay(), cc.Experiment(t, y, ("c",)), loss=cc.Poisson()), {"k": 0.7})


@case("correlated noise, 0.6, 30 data", 150)
def _(rng: Rng) -> dict[str, bool]:
    noise = 0.1 * rng.standard_normal(30)
    for i in range(1, 30):
        noise[i] = 0.6 * noise[i - 1] + 0.8 * noise[i]
    t = np.linspace(0.0, 1.0, 30)
    run = cc.Experiment(t, 0.5 + 2.0 * t + noise, ("x",))
    return judged(cc.Problem(lines("x"), run, loss=LS), {"k_x": 2.0})


def main() -> None:
    """Print a line a case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=400)
    parser.add_argument("words", nargs="*")
    given = parser.parse_args()
    module = importlib.import_module("collocode.identify.intervals")
    # it costs more than a fit, and is not what is counted
    module._mesh_errors = lambda solution, names: np.full(len(names), np.nan)  # type: ignore[attr-defined]
    for name, one in CASES.items():
        if given.words and not any(word in name for word in given.words):
            continue
        counts: dict[str, list[bool]] = {}
        sets, began = min(given.sets, FEW.get(name, given.sets)), time.process_time()
        for seed in range(sets):
            for key, hit in one(np.random.default_rng(seed)).items():
                counts.setdefault(key, []).append(hit)
        failed = len(counts.pop("fits that failed", []))
        told = ", ".join(f"{key} {100 * np.mean(hits):.1f} %" for key, hits in counts.items())
        failed_too = f", {failed} fits failed" if failed else ""
        seconds = time.process_time() - began
        print(f"{name:52} {told}{failed_too}  ({sets} sets, {seconds:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
