"""discopt's notebook problem, a batch reactor with a network for its rate, by discopt and by this package.

    OMP_NUM_THREADS=1 python benchmarks/neural_dae.py                       # this package alone
    OMP_NUM_THREADS=1 python benchmarks/neural_dae.py --discopt /path/to/python --out docs/figures/neural_dae.md

    dcA/dt = -r(cA), dcB/dt = r(cA), r a network; 15 noisy samples a run, 20 elements of two Radau stages,
    least squares of both + 1e-4 |weights|², 0 <= c <= 1.5, known initial states

The two sizes of the notebook: 19 weights (1-6-1, tanh) and one run; 1021 weights (1-30-30-1, softplus) and
three runs that begin at 1, 0.8 and 0.6.  ``--discopt`` names a Python interpreter that has discopt, which
does the same in a process of its own, as its notebook does.  CPU time of building and solving, imports left
out; the objective is the same function for both, so that it can be compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

import collocode as cc
from peers.common import import_collocode

END, RIDGE, NOISE = 2.0, 1e-4, 0.01
SIZES = (([1, 6, 1], "tanh", (1.0,)), ([1, 30, 30, 1], "softplus", (1.0, 0.8, 0.6)))
PEER = Path(__file__).parent / "peers" / "discopt_dae.py"


def run_from(number: int, first: float) -> dict[str, Any]:
    """One run's samples, by the notebook's recipe and random numbers."""
    rng, t = np.random.default_rng(number), np.linspace(0.05, END, 15)

    def truth(t: float, y: np.ndarray) -> list[float]:
        rate = 1.5 * y[0] ** 2 / (0.3 + y[0])
        return [-rate, rate]

    exact = solve_ivp(truth, (0.0, END), [first, 0.0], t_eval=t, rtol=1e-10, atol=1e-12).y
    a, b = (y + NOISE * rng.standard_normal(15) for y in exact)
    return {"t": t.tolist(), "cA": a.tolist(), "cB": b.tolist(), "first": first}


def task(sizes: list[int], activation: str, firsts: tuple[float, ...], seed: int) -> dict[str, Any]:
    """A problem as numbers and words alone."""
    return {
        "sizes": sizes,
        "activation": activation,
        "runs": [run_from(k, first) for k, first in enumerate(firsts)],
        "end": END,
        "ridge": RIDGE,
        "seed": seed,
    }


def problem(given: dict[str, Any]) -> cc.Problem:
    """The same for this package; its misfit is a mean, so that the ridge is divided likewise."""

    def rhs(t, x, u, p, nn):  # type: ignore[no-untyped-def]
        rate = nn.rate(x.cA)
        return [-rate, rate]

    network = cc.MLP(tuple(given["sizes"]), given["activation"])
    runs = [
        cc.Experiment(
            r["t"],
            np.column_stack([r["cA"], r["cB"]]),
            ("cA", "cB"),
            initial={"cA": r["first"], "cB": 0.0},
            sigma=1.0,
            start=0.0,
            end=END,
            name=f"run {number}",
        )
        for number, r in enumerate(given["runs"])
    ]
    return cc.Problem(
        cc.Dynamics(rhs, {"rate": network}),
        runs,
        bounds={"cA": (0.0, 1.5), "cB": (0.0, 1.5)},
        regularisation=cc.L2(RIDGE / measured(given)),
    )


def measured(given: dict[str, Any]) -> int:
    """Number of measurements."""
    return sum(2 * len(r["t"]) for r in given["runs"])


def ours(given: dict[str, Any]) -> dict[str, Any]:
    """Build and fit once; CPU seconds."""
    began = time.process_time()
    data = problem(given)
    nlp = cc.discretize(data, "radau", 2, mesh=20)
    built = time.process_time()
    nlp = cc.start_from(nlp, seed=given["seed"])
    result = cc.make_solver(nlp).solve(nlp)
    return {
        "system": f"collocode ({result.linear_solver})",
        "build": built - began,
        "solve": time.process_time() - built,
        "iterations": result.iterations,
        "status": result.termination.value,
        "objective": result.objective * measured(given),
    }


def theirs(python: str, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What discopt makes of them, all in one process."""
    text = "".join(json.dumps(given) + "\n" for given in tasks)
    done = subprocess.run(
        [python, str(PEER)], input=text, stdout=subprocess.PIPE, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--discopt", help="a Python interpreter that has discopt")
    parser.add_argument("--seeds", default="0", help="of the weights' start")
    parser.add_argument("--out", type=Path, help="where to write the table")
    arguments = parser.parse_args()
    tasks = [task(*size, int(seed)) for size in SIZES for seed in arguments.seeds.split(",")]
    import_collocode()
    columns = [[ours(given) for given in tasks]]
    if arguments.discopt:
        columns.append(theirs(arguments.discopt, tasks))
    lines = [
        "| weights | start | by | build, s | start and solve, s | iterations | status | objective |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for given, *found in zip(tasks, *columns, strict=True):
        count = cc.MLP(tuple(given["sizes"])).n_weights
        lines += [
            f"| {count} | {given['seed']} | {r['system']} | {r['build']:.2f} | {r['solve']:.2f} | "
            f"{r['iterations']} | {r['status']} | {r['objective']:.4e} |"
            for r in found
        ]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
