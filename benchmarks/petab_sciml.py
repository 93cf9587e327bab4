"""The problems of PEtab-SciML's test suite against its own solutions, at the nominal values.

    python benchmarks/petab_sciml.py FOLDER

FOLDER is ``test_cases/sciml_problem_import`` of https://github.com/PEtab-dev/petab_sciml_testsuite.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

import collocode as cc


def log_prior(q: object) -> float:
    """Log density of a parameter's prior at its nominal value, uniform or normal."""
    if q.prior is None:
        return 0.0
    kind, (a, b) = q.prior
    if kind == "uniform":
        return -math.log(b - a)
    return -0.5 * ((q.nominal - a) / b) ** 2 - math.log(b) - 0.5 * math.log(2.0 * math.pi)


def look(folder: Path) -> str:
    """One problem in a line."""
    try:
        problem = cc.read_petab(folder / "petab" / "problem.yaml")
    except cc.InputError as error:
        return f"refused: {error}"
    told = yaml.safe_load((folder / "solutions.yaml").read_text())
    found = cc.simulate_petab(problem)
    known = found.table.rename(columns={"simulationConditionId": "experimentId"})
    reference = pd.read_csv(folder / "simulations.tsv", sep="\t")
    both = reference.merge(
        known, on=["observableId", "experimentId", "time"], suffixes=("", "_here")
    )
    off = np.abs(both["simulation"] - both["simulation_here"]).max()
    value = -found.nllh
    if "log_posterior" in told:
        value += sum(map(log_prior, problem.estimated))
    wanted = told.get("llh", told.get("log_posterior"))
    return (
        f"{len(problem.estimated):4} parameters, simulation off by {off:.0e}, log L {value:.6f}, "
        f"off by {abs(value - wanted):.0e}"
    )


if __name__ == "__main__":
    for case in sorted(Path(sys.argv[1]).iterdir()):
        if (case / "petab").is_dir():
            print(case.name, look(case), flush=True)
