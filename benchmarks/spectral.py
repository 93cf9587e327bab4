"""Global spectral grids against elements: the Van der Pol fit of arXiv 2502.15642 on both.

    OMP_NUM_THREADS=1 python benchmarks/spectral.py --seeds 3

One record of 200 noisy samples, a network [2, 32, 2], the same start and regularisation; only the grid differs.  Times are CPU
seconds of problem, start and solve; errors are mean squares of simulations against the clean truth, "train" from the
fitted initial state over the data, "test" after them.  Medians over the seeds of the start.  The table goes to
``results/spectral.md``, which a page shows.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

import collocode as cc
from models import van_der_pol

RESULTS = Path(__file__).parent / "results" / "spectral.md"
GRIDS = [
    ("radau", 3, None),
    ("radau", 7, 16),
    ("chebyshev", 100, 1),
    ("chebyshev", 200, 1),
    ("legendre_radau", 100, 1),
    ("legendre_gauss", 100, 1),
    ("legendre_radau", 20, 5),
]


def fitted(scheme: str, degree: int, elements: int | None, seed: int) -> list[float]:
    """Iterations, seconds an iteration, seconds, train and test error."""
    began = time.process_time()
    problem = van_der_pol.problem(regularisation=1e-4)
    solution = cc.fit(problem, scheme, degree, mesh=elements, seed=seed)
    seconds = time.process_time() - began
    train, test = solution.score()
    count = solution.result.iterations
    return [count, seconds / max(1, count), seconds, train.truth, test.truth]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    lines = [
        "| grid | points | iterations | CPU s an iteration | CPU s | train MSE | test MSE |",
        "|---|---|---|---|---|---|---|",
    ]
    for scheme, degree, elements in GRIDS:
        runs = np.array([fitted(scheme, degree, elements, seed) for seed in range(seeds)])
        count, each, total, train, test = np.median(runs, axis=0)
        shape = "66 × 3, by default" if elements is None else f"{elements} × {degree}"
        lines.append(
            f"| {scheme} | {shape} | {count:.0f} | {each:.3f} | {total:.1f} | {train:.1e} | {test:.1e} |"
        )
        print(lines[-1], flush=True)
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
