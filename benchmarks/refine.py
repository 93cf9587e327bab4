"""Adaptive against uniform meshes: elements, unknowns and total time for a given error of a goal.

    python benchmarks/refine.py                  # all tables, about a minute
    python benchmarks/refine.py --repeats 5

The problem is ``models/van_der_pol_stiff.py``: a relaxation oscillation, mu = 8, whose parameter and
initial state are estimated from 201 noisy samples; and the same with the damping as a network.
Every run begins with the same first mesh and start and goes on until the *estimated* error of the
goal is below the tolerance; the *true* error is against a mesh of 1600 elements of order 9.  Total time is
that of all meshes: building, start, solving, estimating.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import collocode as cc
from models import van_der_pol_stiff

GOALS = {"parameter:mu": 1e-4, "objective": 1e-7, "state:y1@25": 1e-4, "simulated": 1e-6}
RULES = {
    "dorfler 0.9": ("dorfler", 0.9),
    "dorfler 0.5": ("dorfler", 0.5),
    "uniform": ("uniform", 0.9),
}


def measured(problem: cc.Problem, repeats: int, *args: object, **how: object) -> tuple:
    """The refinement, and the median of its total time."""
    runs = [cc.refine(problem, *args, **how) for _ in range(repeats)]
    return runs[0], statistics.median(run.seconds for run in runs)


def row(label: str, found: cc.MeshRefinement, seconds: float, exact: float | None) -> None:
    last = found.cycles[-1]
    true = "" if exact is None else f"{exact - last.estimate.value:10.1e}"
    share = sum(c.estimate.seconds for c in found.cycles) / found.seconds
    print(
        f"{label:26} {last.elements:8} {last.unknowns:8} {len(found.cycles):6} "
        f"{last.estimate.error:10.1e} {true:>10} {seconds:8.2f} {100 * share:9.0f} %  {found.status}"
    )


def head(title: str) -> None:
    print(f"\n{title}")
    print(
        f"{'':26} {'elements':>8} {'unknowns':>8} {'meshes':>6} {'estimate':>10} {'true':>10} "
        f"{'total s':>8} {'estimates':>11}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    problem = van_der_pol_stiff.problem()
    cc.fit(problem, mesh=60)  # loads IPOPT
    fine = cc.fit(problem, degree=5, mesh=1600, options={"tol": 1e-11})
    for goal, tol in GOALS.items():
        exact = None if goal == "simulated" else cc.estimate_error(fine, goal).value
        head(f"{goal} to {tol:g}, Radau IIA with three stages, 60 elements at first")
        for label, (rule, theta) in RULES.items():
            how = {"mesh": 60, "rule": rule, "theta": theta, "max_elements": 8000}
            row(label, *measured(problem, repeats, tol, goal, **how), exact)
    exact = cc.estimate_error(fine, "parameter:mu").value
    head("parameter:mu to 1e-4, by the number of stages")
    for degree, mesh in ((2, 80), (3, 60), (4, 40), (5, 30), (7, 20)):
        for rule in ("dorfler", "uniform"):
            how = {"mesh": mesh, "degree": degree, "rule": rule, "max_elements": 8000}
            found = measured(problem, repeats, 1e-4, "parameter:mu", **how)
            row(f"{degree} stages, {rule}", *found, exact)
    head("damping by a network (37 weights), objective to 1e-6")
    network = van_der_pol_stiff.problem(hidden=12)
    for rule in ("dorfler", "uniform"):
        found = measured(network, repeats, 1e-6, "objective", mesh=60, rule=rule)
        row(rule, *found, None)


if __name__ == "__main__":
    main()
