"""What the linear solver for chains changes: the same fit with it and with MUMPS, in CPU time.

    OMP_NUM_THREADS=1 python benchmarks/chains.py                    # the small cases
    OMP_NUM_THREADS=1 python benchmarks/chains.py --cases vdp-1000-7,six --seeds 0,1,2
    OMP_NUM_THREADS=1 python benchmarks/chains.py --scaling          # N = 1000 … 20 000, exponents
    OMP_NUM_THREADS=1 python benchmarks/chains.py --experiments      # 25 … 200 experiments on two cores

Mesh, λ and start are the same for both, so that nothing else enters; MUMPS is what ran before there
were chains.  Long Van der Pol records [0, 15 N / 200] with N/3 elements of three stages or N/12 of
seven, 162 weights; three coupled oscillators (six states, 422 weights); five (ten states, 346
weights).  Each line is one seed of the weights: CPU seconds, iterations, status, objective.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp

import collocode as cc

CASES = {
    # name: states, hidden units, samples, stages, elements
    "vdp-200-3": (2, 32, 200, 3, 66),
    "vdp-1000-3": (2, 32, 1000, 3, 333),
    "vdp-1000-7": (2, 32, 1000, 7, 83),
    "vdp-4000-7": (2, 32, 4000, 7, 333),
    "six": (6, 32, 200, 3, 66),
    "ten": (10, 16, 200, 3, 66),
}


def oscillators(count: int) -> Callable[[float, np.ndarray], list[float]]:
    """Van der Pol oscillators in a ring; one of them is the benchmark's own."""

    def rhs(t: float, y: np.ndarray) -> list[float]:
        out = []
        for k in range(count):
            a, b = y[2 * k], y[2 * k + 1]
            coupling = 0.2 * (y[(2 * k + 2) % (2 * count)] - a)
            mu = 1.0 if count == 1 else 0.6 + 0.3 * k
            out += [b, mu * (1.0 - a * a) * b - a + coupling]
        return out

    return rhs


def problem(states: int, hidden: int | tuple[int, ...], samples: int) -> cc.Problem:
    """Noisy samples of the oscillators, to be fitted by one hidden layer or several."""
    end = 15.0 * samples / 200
    t = np.linspace(0.0, end, samples)
    first = np.resize([0.0, 1.0, 1.0, 0.0, 0.5, -1.0], states)
    exact = solve_ivp(oscillators(states // 2), (0.0, end), first, t_eval=t, rtol=1e-8, atol=1e-8)
    noisy = exact.y.T + 0.1 * np.random.default_rng(0).standard_normal((samples, states))
    names = tuple(f"y{k}" for k in range(states))
    network = cc.NeuralODE(cc.MLP((states, *np.atleast_1d(hidden), states)))
    strength = cc.L2(3e-5 * 200 / samples)
    return cc.Problem(network, cc.Experiment(t, noisy, names), regularisation=strength)


def run(case: tuple[int, ...], seed: int, names: list[str], most: float) -> dict[str, float]:
    """Fit once with each linear solver; print a line each and return CPU seconds."""
    states, hidden, samples, stages, elements = case
    data = problem(states, hidden, samples)
    clock = time.process_time
    began = clock()
    nlp = cc.discretize(data, "radau", stages, mesh=elements)
    built = clock()
    nlp = cc.start_from(nlp, seed=seed)
    started = clock()
    print(f"  seed {seed}: build {built - began:.2f} s, start {started - built:.2f} s")
    spent = {}
    for name in names:
        began = clock()
        options = {"linear_solver": name, "max_cpu_time": most}
        result = cc.make_solver(nlp, options=options).solve(nlp)
        spent[name] = clock() - began
        print(
            f"    {name:7s} {spent[name]:8.2f} s  {result.iterations:4d} iterations  "
            f"{result.termination.value}, {result.objective:.8g}  ({result.linear_solver})",
            flush=True,
        )
    return spent


def scaling(seed: int) -> None:
    """CPU time per iteration and memory as the record grows."""
    sizes, times = (1000, 2000, 4000, 8000, 20000), []
    for samples in sizes:
        data = problem(2, 32, samples)
        nlp = cc.start_from(cc.discretize(data, "radau", 7, mesh=samples // 12), seed=seed)
        began = time.process_time()
        result = cc.make_solver(nlp, options={"linear_solver": "chains"}).solve(nlp)
        times.append((time.process_time() - began) / result.iterations)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"N {samples:6d}: {times[-1] * 1e3:8.1f} ms an iteration, {result.iterations} iterations, "
            f"{result.termination.value}, peak memory {memory:.0f} MB",
            flush=True,
        )
    slope = np.polyfit(np.log(sizes), np.log(times), 1)[0]
    print(f"time per iteration grows like N^{slope:.2f}")


def many(count: int) -> cc.Problem:
    """Experiments of 50 samples each, from initial states all over the limit cycle."""
    rng, t = np.random.default_rng(0), np.linspace(0.0, 4.0, 50)
    runs = []
    for k in range(count):
        first = rng.uniform(-2.0, 2.0, 2)
        exact = solve_ivp(oscillators(1), (0.0, 4.0), first, t_eval=t, rtol=1e-8, atol=1e-8).y.T
        noisy = exact + 0.05 * rng.standard_normal(exact.shape)
        runs.append(cc.Experiment(t, noisy, ("y1", "y2"), name=f"run {k}"))
    return cc.Problem(cc.NeuralODE(cc.MLP((2, 16, 2))), runs, regularisation=cc.L2(1e-6))


def experiments(few: int = 2, more: int = 12, runs: int = 3) -> None:
    """Time on the clock an iteration, with one thread and with two in turn, and what of it two do not share.

    That means something on a quiet machine only.  What IPOPT and CasADi do between the program's functions and the
    linear solver is done by one thread; so is a part of both of these.
    """
    counts, times = (25, 50, 100, 200), []
    for count in counts:
        nlp = cc.start_from(cc.discretize(many(count), "radau", 3, mesh=16))
        _solved(nlp, few, 2)  # whatever is done once
        found: dict[int, list[np.ndarray]] = {1: [], 2: []}
        results = {}
        for _ in range(runs):
            for threads in (1, 2):
                short, results[threads] = (_solved(nlp, most, threads) for most in (few, more))
                steps = results[threads].iterations - short.iterations
                found[threads].append((_parts(results[threads]) - _parts(short)) / steps * 1e3)
        one, two = (np.median(found[threads], axis=0) for threads in (1, 2))
        names = ("x", "lam_g", "lam_x")
        same = all(np.array_equal(*(getattr(results[k], n) for k in (1, 2))) for n in names)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        times.append(one.sum())
        print(
            f"{count:4d} experiments: {one.sum():6.1f} ms an iteration on the clock, with two threads "
            f"{two.sum():6.1f} ms, {one.sum() / two.sum():.2f} times as fast; peak memory {memory:.0f} MB\n"
            f"    functions {one[0]:.1f} and {two[0]:.1f} ms, linear solver {one[1]:.1f} and {two[1]:.1f}, the "
            f"rest {one[2]:.1f} and {two[2]:.1f}: without that rest shared, no more than "
            f"{one.sum() / (one[2] + 0.5 * (one[0] + one[1])):.2f} times as fast\n"
            f"    {results[2].linear_solver}, the same iterates: {same}",
            flush=True,
        )
    slope = np.polyfit(np.log(counts), np.log(times), 1)[0]
    print(f"time per iteration grows like experiments^{slope:.2f}")


def _parts(result: cc.SolverResult) -> np.ndarray:
    """Seconds on the clock of a solve: the program's functions, the linear solver, the rest."""
    functions, solver = result.timings["derivatives"], result.timings["linear solver"]
    return np.array([functions, solver, result.timings["solve"] - functions - solver])


def _solved(nlp: cc.NLP, most: int, threads: int) -> cc.SolverResult:
    options = {"max_iter": most, "threads": threads, "linear_solver": "chains"}
    return cc.make_solver(nlp, options=options).solve(nlp)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="vdp-200-3,vdp-1000-3")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--solvers", default="mumps,chains")
    parser.add_argument("--most", type=float, default=400.0, help="CPU seconds of one solve")
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--experiments", action="store_true")
    arguments = parser.parse_args()
    if arguments.experiments:
        experiments()
        return
    seeds, names = [int(k) for k in arguments.seeds.split(",")], arguments.solvers.split(",")
    if arguments.scaling:
        scaling(seeds[0])
        return
    for label in arguments.cases.split(","):
        print(label)
        ratios = []
        for seed in seeds:
            spent = run(CASES[label], seed, names, arguments.most)
            ratios.append(spent[names[0]] / spent[names[-1]])
        print(
            f"  {names[0]} / {names[-1]}, CPU time of build and solve: median {np.median(ratios):.2f}"
        )


if __name__ == "__main__":
    main()
