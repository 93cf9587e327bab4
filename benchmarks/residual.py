"""Direct collocation with and without the integrated residual (IRR-DC), in two tables.

    python benchmarks/residual.py                 # both tables, about two minutes of one core
    python benchmarks/residual.py --seeds 5 --skip arcs

*Singular arcs*: Aly and Chan's problem, whose control is -sin t, and Goddard's rocket (1.01283).
*Training*: the Van der Pol network of models/van_der_pol.py, as public re-implementations of arXiv 2502.15642
compare the two, on meshes from too coarse to fine and on one spectral grid.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

import collocode as cc
from models import van_der_pol
from models.control import rocket

WEIGHTS = (0.0, 1e-4, 1e-2)


def singular() -> cc.Problem:
    """Aly and Chan: minimise ½∫(x₂² - x₁²) by |u| ≤ 1; u = -sin t all along."""
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x1": x.x2, "x2": u.u}),
        cc.Window(
            end=np.pi / 2.0,
            controls={"u": cc.Control(-1.0, 1.0)},
            initial={"x1": 0.0, "x2": 1.0},
        ),
        states=("x1", "x2"),
        costs=cc.Lagrange(lambda t, x, u, p, nn: 0.5 * (x.x2**2 - x.x1**2), name="J"),
    )


def free_rocket() -> cc.Problem:
    """Goddard's rocket with the thrust free at the stages."""
    problem = rocket.problem()
    window = problem.experiments[0]
    thrust = replace(window.controls["thrust"], kind="stages")
    return replace(problem, experiments=replace(window, controls={"thrust": thrust}))


def arcs() -> Table:
    """One row a problem, mesh and weight."""
    table = Table("problem", "elements", "w", "iterations", "cost", "control's error", "gap")
    t = np.linspace(0.0, np.pi / 2.0, 1001)
    for elements in (10, 20, 40, 80):
        for weight in (0.0, 1.0, 10.0):
            scheme = cc.scheme("radau", 3, residual=weight)
            found = cc.fit(singular(), scheme, mesh=elements, options={"tol": 1e-11})
            wrong = np.abs(found.control("u", t) + np.sin(t)).max()
            _row(table, "Aly–Chan", elements, weight, found, f"{wrong:.1e}")
    for elements in (60, 120):
        for weight in (0.0, 0.1, 1.0):
            found = cc.fit(free_rocket(), cc.scheme("radau", 3, residual=weight), mesh=elements)
            rings = any(f.code == "control-rings" for f in cc.findings(found))
            _row(table, "rocket", elements, weight, found, "rings" if rings else "calm")
    return table


def _row(
    table: Table, name: str, elements: int, weight: float, found: cc.Solution, error: str
) -> None:
    cost = next(value for key, value in found.costs.items() if key != "integrated residual")
    numbers = f"{found.result.iterations}", f"{cost:.7g}", error, f"{found.gap():.0e}"
    table.add_row(name, str(elements), f"{weight:g}", *numbers)


def training(seeds: int) -> Table:
    """Medians over seeds, a row a scheme, mesh and weight."""
    heads = ("scheme", "elements", "w", "solved", "iterations", "CPU s", "gap")
    table = Table(*heads, "train MSE\nagainst truth", "test MSE\nagainst truth")
    grids = [("radau", 3, n) for n in (15, 25, 40)] + [("chebyshev", 60, 1)]
    for name, degree, elements in grids:
        for weight in WEIGHTS:
            rows = [_trained(name, degree, elements, weight, seed) for seed in range(seeds)]
            solved = int(sum(row[0] for row in rows))
            middle = [median(row[k] for row in rows) for k in range(1, 6)]
            forms = (".0f", ".2g", ".1e", ".2e", ".2e")
            shown = [format(v, form) for v, form in zip(middle, forms, strict=True)]
            table.add_row(
                f"{name} {degree}", str(elements), f"{weight:g}", f"{solved}/{seeds}", *shown
            )
    return table


def _trained(name: str, degree: int, elements: int, weight: float, seed: int) -> list[float]:
    began = time.process_time()
    scheme = cc.scheme(name, degree, residual=weight)
    found = cc.fit(van_der_pol.problem(), scheme, mesh=elements, seed=seed)
    spent = time.process_time() - began
    errors = {score.role: score.truth for score in found.score()}
    return [
        float(found.success),
        found.result.iterations,
        spent,
        found.gap(),
        errors["train"],
        errors["test"],
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--skip", choices=("arcs", "training"))
    args = parser.parse_args()
    warnings.simplefilter("ignore", cc.CollocodeWarning)
    if args.skip != "arcs":
        Console().print(arcs())
    if args.skip != "training":
        Console().print(training(args.seeds))
