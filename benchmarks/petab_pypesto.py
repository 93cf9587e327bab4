"""What pyPESTO with AMICI and Fides takes for the problems of `benchmarks/petab.py`.

    python -m venv peers && . peers/bin/activate
    pip install swig pypesto[petab,amici] fides      # needs a C++ compiler, cmake and a BLAS
    python benchmarks/petab_pypesto.py FOLDER [--starts 10] [--only Boehm]

AMICI makes and compiles a C++ program for every model ("build"), whose gradients by sensitivities Fides
climbs by, from the nominal parameters and from random points within the bounds.  Times are CPU seconds, with
those of the compiler; with ``BLAS_LIBS=-lopenblas`` in the environment models find OpenBLAS.  Objectives
include priors.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.remove(str(Path(__file__).parent))  # its petab.py is not the package


def main() -> None:
    """Print a line for every problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--starts", type=int, default=10, help="random ones")
    parser.add_argument("--only", default="", help="part of a problem's name")
    parser.add_argument("--models", type=Path, default=Path("amici_models"), help="compiled ones")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    paths = [p for p in sorted(asked.folder.glob("*/*.yaml")) if asked.only in p.parent.name]
    lines = [
        line(path, asked.starts, asked.models) for path in paths
    ]  # the compiler talks meanwhile
    print(f"{'problem':26} {'build s':>8} {'nominal':>12} {'fit':>12} {'s':>7}  starts: least, s")
    print("\n".join(lines))


def line(path: Path, starts: int, models: Path) -> str:
    """Compile, fit from the nominal parameters and from random ones."""
    try:
        import petab.v1
        import pypesto.optimize
        import pypesto.petab
    except ImportError as error:
        raise SystemExit(f"{error.name} is missing; see the first lines of this file.") from None
    name = path.parent.name
    began = spent()
    given = petab.v1.Problem.from_yaml(path)
    folder = models / name
    maker = pypesto.petab.PetabImporter(given, model_name=f"model_{name}", output_folder=folder)
    problem = maker.create_problem()
    text = f"{name:26} {spent() - began:8.1f}"
    value = problem.objective(np.array(given.x_nominal_free_scaled))
    optimizer = pypesto.optimize.FidesOptimizer(verbose=0, options={"maxiter": 1000})

    def climb(number: int) -> tuple[float, float]:
        np.random.seed(number)  # noqa: NPY002  pyPESTO draws from NumPy's own generator
        began = spent()
        found = pypesto.optimize.minimize(
            problem, optimizer=optimizer, n_starts=1, ids=[str(number)], progress_bar=False
        )
        return float(found.optimize_result[0].fval), spent() - began

    problem.set_x_guesses(np.array(given.x_nominal_scaled)[None, :])
    fit, seconds = climb(0)
    text += f" {value:12.4f} {fit:12.4f} {seconds:7.2f}"
    problem.set_x_guesses(np.empty((0, problem.dim_full)))
    climbs = [climb(number) for number in range(1, starts + 1)]
    if climbs:
        least = min(value for value, _ in climbs)
        text += f"  {least:.4f}, {sum(seconds for _, seconds in climbs):.0f}"
    return text


def spent() -> float:
    """CPU seconds of this process and of those that it waited for."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
