"""What evaluating networks by layers changes: building an NLP, and one J and one Hessian of it.

    OMP_NUM_THREADS=1 python benchmarks/networks.py               # one and two hidden layers, exponents
    OMP_NUM_THREADS=1 python benchmarks/networks.py --fit 64,64   # a whole fit of (2, 64, 64, 2)
    OMP_NUM_THREADS=1 python benchmarks/networks.py --growth      # 1-30-30-1 in a bioreactor, three runs

The Van der Pol record of ``benchmarks/chains.py`` with 200 samples and 66 elements of three stages.
Beside it the graph: the same terms, every network written out in scalars and differentiated by CasADi
(up to ``--most`` weights).  CPU time; the best of several evaluations, each at another point.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
from scipy.integrate import solve_ivp

import collocode as cc
from chains import problem
from collocode.transcription import assembly

SIZES = ((4,), (8,), (16,), (32,), (64,), (128,), (8, 8), (16, 16), (32, 32), (64, 64))
clock = time.process_time


def problem_of(hidden: tuple[int, ...], samples: int = 200) -> cc.Problem:
    """The benchmark's record with another network."""
    return replace(problem(2, 4, samples), dynamics=cc.NeuralODE(cc.MLP((2, *hidden, 2))))


def built(hidden: tuple[int, ...], layers: bool) -> tuple[cc.NLP, float]:
    """The NLP either way, and the seconds that building it and its functions took."""
    assembly.LEAST_WEIGHTS = 0 if layers else 10**9
    data = problem_of(hidden)
    began = clock()
    nlp = cc.discretize(data, "radau", 3, mesh=66)
    nlp.scaled().functions.for_solver()
    return nlp, clock() - began


def evaluations(nlp: cc.NLP) -> tuple[float, float]:
    """Milliseconds of J and of the Hessian, as IPOPT calls them: in memory of its own, no conversion."""
    view, rng = nlp.scaled(), np.random.default_rng(0)
    points = [view.start + 0.1 * rng.normal(size=view.columns) for _ in range(4)]
    p, one, lam = view.p.copy(), np.ones(1), rng.normal(size=view.rows)
    found = []
    _, jacobian, hessian = view.functions.for_solver()
    for function, more in ((jacobian, ()), (hessian, (one, lam))):
        buffer, run = function.buffer()
        out = np.empty(function.nnz_out(function.n_out() - 1))
        buffer.set_res(function.n_out() - 1, memoryview(out))
        for i, value in enumerate((p, *more), start=1):
            buffer.set_arg(i, memoryview(value))
        spent = []
        for x in 3 * points:
            buffer.set_arg(0, memoryview(x))
            began = clock()
            run()
            spent.append(1e3 * (clock() - began))
        found.append(min(spent))
    return found[0], found[1]


def table(most: int) -> None:
    """Print a line a network, and how the times grow with the weights."""
    print(f"{'network':>16s} {'weights':>8s}   by layers: build s, J ms, H ms   graph: the same")
    rows: dict[tuple[str, int], list[list[float]]] = {}
    for hidden in SIZES:
        weights, line = cc.MLP((2, *hidden, 2)).n_weights, ""
        for layers in (True, False):
            if not layers and weights > most:
                continue
            nlp, seconds = built(hidden, layers)
            numbers = [weights, seconds, *evaluations(nlp)]
            line += f"   {seconds:10.2f} {numbers[2]:7.2f} {numbers[3]:8.2f}"
            rows.setdefault(("layers" if layers else "graph", len(hidden)), []).append(numbers)
        print(f"{(2, *hidden, 2)!s:>16s} {weights:8d}{line}", flush=True)
    for (name, depth), found in rows.items():
        logs = np.log(np.array(found)[-3:])
        slopes = [np.polyfit(logs[:, 0], logs[:, k], 1)[0] for k in (1, 2, 3)]
        words = ", ".join(f"{w} {s:.1f}" for w, s in zip(("build", "J", "H"), slopes, strict=True))
        print(f"{name}, {depth} hidden: exponents of the weights, last three sizes: {words}")


def reactor() -> cc.Problem:
    """Growth in a chemostat, its rate a network of the substrate with 1021 weights, from three runs."""
    t, runs = np.linspace(0.0, 12.0, 40), []
    for number, first in enumerate(([0.1, 4.0], [0.6, 1.0], [1.5, 0.2])):

        def truth(t: float, y: np.ndarray) -> list[float]:
            growth = 0.8 * y[1] / (0.5 + y[1] + 0.1 * y[1] ** 2) * y[0]
            return [growth - 0.25 * y[0], 0.25 * (4.0 - y[1]) - 2.0 * growth]

        exact = solve_ivp(truth, (0.0, 12.0), first, t_eval=t, rtol=1e-8, atol=1e-8)
        noise = 0.02 * np.random.default_rng(number).standard_normal((40, 2))
        runs.append(cc.Experiment(t, exact.y.T + noise, ("x", "s"), name=f"run {number}"))

    def rhs(t, x, u, p, nn):  # type: ignore[no-untyped-def]
        growth = nn.rate(x.s) * x.x
        return [growth - 0.25 * x.x, 0.25 * (4.0 - x.s) - p.k * growth]

    rate = cc.MLP((1, 30, 30, 1), shift=(2.0,), scale=(2.0,))
    dynamics = cc.Dynamics(rhs, {"rate": rate}, [cc.Parameter("k", 1.5)])
    return cc.Problem(dynamics, runs, regularisation=cc.L2(1e-5))


def fit(data: cc.Problem, elements: int, seed: int) -> None:
    """Build, start and solve one fit; print where the time goes."""
    began = clock()
    nlp = cc.discretize(data, "radau", 3, mesh=elements)
    seconds, began = clock() - began, clock()
    nlp = cc.start_from(nlp, seed=seed)
    started = clock()
    result = cc.make_solver(nlp).solve(nlp)
    weights = len(nlp.layout.weights)
    print(
        f"{weights} weights: build {seconds:.2f} s, start {started - began:.2f} s, solve "
        f"{clock() - started:.2f} s, {result.iterations} iterations, {result.termination.value}, "
        f"{result.objective:.8g} ({result.linear_solver})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=700, help="weights of a graph")
    parser.add_argument("--fit", help="hidden units, say 64,64")
    parser.add_argument("--growth", action="store_true", help="fit the bioreactor")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.fit:
        hidden = tuple(int(n) for n in arguments.fit.split(","))
        fit(problem_of(hidden), 66, arguments.seed)
    elif arguments.growth:
        fit(reactor(), 13, arguments.seed)
    else:
        table(arguments.most)


if __name__ == "__main__":
    main()
