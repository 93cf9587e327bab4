"""Does it pay to scale the states by the data's curvature?  Iterations, CPU time and optimum, paired.

    OMP_NUM_THREADS=1 python benchmarks/state_scaling.py                     # all cases, ten seeds
    OMP_NUM_THREADS=1 python benchmarks/state_scaling.py --cases fhn,vdp-1000-3 --seeds 3

IPOPT's inertia correction adds a multiple of the identity in scaled variables.  A state's own curvature
by the misfit is 2/M in units of its scale, with M measurements, far below that multiple, so that the
correction holds the states and not the weights.  With ``column_scale`` of the states √(M/2) times as
large (a power of two) that curvature is one.  Mesh, λ and start are the same for both; every line has the
medians over the seeds of iterations and CPU seconds, and on how many seeds the scaled fit's optimum is
lower or higher by more than one per cent.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.integrate import solve_ivp

import collocode as cc
from chains import CASES as RECORDS
from chains import problem as record

Rhs = Callable[[float, np.ndarray], list[float]]


def neural(
    rhs: Rhs, start: list[float], end: float, samples: int, noise: float, hidden: int = 16
) -> cc.Problem:
    """A neural ODE and its noisy record."""
    t = np.linspace(0.0, end, samples)
    exact = solve_ivp(rhs, (0.0, end), start, t_eval=t, rtol=1e-9, atol=1e-9).y.T
    noisy = exact + noise * exact.std(axis=0) * np.random.default_rng(1).standard_normal(
        exact.shape
    )
    names = tuple(f"y{k}" for k in range(len(start)))
    network = cc.NeuralODE(cc.MLP((len(start), hidden, len(start))))
    return cc.Problem(network, cc.Experiment(t, noisy, names), regularisation=cc.L2(1e-5))


def forced(samples: int) -> cc.Problem:
    """A linear oscillator of unknown force, driven by a known input, and its record."""
    t = np.linspace(0.0, 0.1 * samples, samples)
    signal = cc.Signal(t, np.cos(t), "linear")
    exact = solve_ivp(
        lambda s, y: [y[1], -y[0] - 0.3 * y[1] - y[0] ** 3 + np.cos(s)],
        (0.0, t[-1]),
        [1.0, 0.0],
        t_eval=t,
        rtol=1e-9,
    ).y.T
    noisy = exact + 0.05 * np.random.default_rng(2).standard_normal(exact.shape)
    data = cc.Experiment(t, noisy, ("x", "v"), inputs={"u": signal})
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, nn.force(x.x, x.v) + u.u],
        networks={"force": cc.MLP((2, 12, 1))},
    )
    return cc.Problem(model, data, states=("x", "v"), regularisation=cc.L2(1e-5))


def fitzhugh_nagumo(t: float, y: np.ndarray) -> list[float]:
    return [3.0 * (y[0] - y[0] ** 3 / 3.0 + y[1]), -(y[0] - 0.2 + 0.2 * y[1]) / 3.0]


def lotka_volterra(t: float, y: np.ndarray) -> list[float]:
    return [1.5 * y[0] - y[0] * y[1], y[0] * y[1] - 3.0 * y[1]]


CASES: dict[str, tuple[Callable[[], cc.Problem], int, int]] = {
    # name: problem, stages, elements
    "lv": (lambda: neural(lotka_volterra, [1.0, 1.0], 6.0, 60, 0.05), 3, 30),
    "lv-long": (lambda: neural(lotka_volterra, [1.0, 1.0], 60.0, 600, 0.05), 3, 300),
    "fhn": (lambda: neural(fitzhugh_nagumo, [-1.0, 1.0], 20.0, 200, 0.05), 3, 120),
    "fhn-long": (lambda: neural(fitzhugh_nagumo, [-1.0, 1.0], 100.0, 1000, 0.05), 3, 600),
    "forced": (lambda: forced(200), 3, 60),
    "forced-long": (lambda: forced(1000), 3, 300),
    **{
        name: (lambda case=case: record(*case[:3]), case[3], case[4])
        for name, case in RECORDS.items()
        if name.startswith("vdp")
    },
}


def rescaled(nlp: cc.NLP) -> cc.NLP:
    """The program with its states √(M/2) times as large in scale."""
    scale = nlp.column_scale.copy()
    factor = np.exp2(np.round(0.5 * np.log2(nlp.problem.n_measurements / 2)))
    for part in nlp.layout.experiments:
        scale[part.states] *= factor
    return replace(nlp, column_scale=scale)


def compare(name: str, seeds: int, solvers: list[str], most: float) -> None:
    """Print one line for each linear solver."""
    make, stages, elements = CASES[name]
    nlp = cc.discretize(make(), "radau", stages, mesh=elements)
    starts = [cc.start_from(nlp, seed=seed) for seed in range(seeds)]
    for solver in solvers:
        found = []
        for begun in starts:
            for program in (begun, rescaled(begun)):
                options = {"linear_solver": solver, "max_cpu_time": most}
                began = time.process_time()
                result = cc.make_solver(program, options=options).solve(program)
                spent = time.process_time() - began
                found.append((result.iterations, spent, result.objective, result.success))
        table = np.array(found, dtype=float).reshape(seeds, 2, 4)
        its, cpu = np.median(table[:, :, 0], axis=0), np.median(table[:, :, 1], axis=0)
        solved = table[:, :, 3].sum(axis=0).astype(int)
        both = table[:, :, 3].all(axis=1)
        change = (table[both, 1, 2] - table[both, 0, 2]) / np.abs(table[both, 0, 2])
        ratio = np.exp(np.mean(np.log(table[:, 0, 1] / table[:, 1, 1])))
        print(
            f"| {name} | `{solver}` | {its[0]:.0f} → {its[1]:.0f} | {cpu[0]:.2f} → {cpu[1]:.2f} | "
            f"{ratio:.2f} | {solved[0]} → {solved[1]} of {seeds} | "
            f"{(change < -0.01).sum()} lower, {(change > 0.01).sum()} higher |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="lv,fhn,forced,vdp-200-3,lv-long,fhn-long,forced-long")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--solvers", default="mumps,chains")
    parser.add_argument("--most", type=float, default=60.0, help="CPU seconds of one solve")
    arguments = parser.parse_args()
    print("| case | linear solver | iterations | CPU s | ratio | solved | objective |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.cases.split(","):
        compare(name, arguments.seeds, arguments.solvers.split(","), arguments.most)


if __name__ == "__main__":
    main()
