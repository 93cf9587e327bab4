"""Time of one Van der Pol fit with each setting of the linear solver; the table of the docs.

Run it on an idle machine with OMP_NUM_THREADS=1; medians of five runs in one process.
"""

import statistics
import sys
import time
from pathlib import Path

import collocode as cc

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "default (chains)": {},
    "`mumps` (METIS)": {"options": {"linear_solver": "mumps"}},
    "`deterministic=True` (AMD)": {"deterministic": True},
    "MUMPS's own choice": {"options": {"mumps_pivot_order": 7, "mumps_permuting_scaling": 7}},
    "`linear_solver=spral`": {"options": {"linear_solver": "spral"}},
}


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from models.van_der_pol import problem

    nlp = cc.start_from(cc.discretize(problem()))
    print("| setting | iterations | solve, s | of it linear solver, s |")
    print("|---|---|---|---|")
    for label, settings in SETTINGS.items():
        runs = []
        for _ in range(5):
            began = time.perf_counter()
            result = cc.solve(nlp, **settings).result
            runs.append((time.perf_counter() - began, result))
        seconds = statistics.median(s for s, _ in runs)
        linear = statistics.median(r.timings.get("linear solver", float("nan")) for _, r in runs)
        print(f"| {label} | {runs[0][1].iterations} | {seconds:.2f} | {linear:.2f} |")


if __name__ == "__main__":
    main()
