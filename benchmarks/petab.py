"""The estimation problems of a PEtab collection: -log L at the nominal parameters, fits, multistarts.

    python benchmarks/petab.py FOLDER [--starts 50] [--only Boehm]

FOLDER holds a folder for every problem, such as those of Benchmark-Models-PEtab (BSD-3-Clause).  All
values are -log L without priors, of simulations; a start counts as a hit if its fit comes within 0.1 of
that from the nominal point, or below.  Times are CPU seconds, those of starts their wall time.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np

import collocode as cc

# By the petab package from the collection's own simulated data, but for the last three: by
# simulation here, of which libRoadRunner 2.10 gives the same to 1e-5.  Zheng's simulated data are a copy
# of its measurements, which would give -308.33.
PUBLISHED = {
    "Boehm_JProteomeRes2014": 138.2220,
    "Bertozzi_PNAS2020": 158.8643,
    "Borghans_BiophysChem1997": -83.3237,
    "Brannmark_JBC2010": 141.8889,
    "Bruno_JExpBot2016": -46.6882,
    "Elowitz_Nature2000": -63.2028,
    "Fiedler_BMCSystBiol2016": -58.5839,
    "Perelson_Science1996": 432.0385,
    "Rahman_MBS2016": 21.1535,
    "SalazarCavazos_MBoC2020": 367.1876,
    "Schwen_PONE2014": 943.9993,
    "Zheng_PNAS2012": -278.3335,
    "Liu_IFACPapersOnLine2025": 723.3575,
    "Oliveira_NatCommun2021": 9623396.5,
}
_HIT = 0.1


def main() -> None:
    """Print a line for every problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--starts", type=int, default=0, help="of a multistart, the nominal one first"
    )
    parser.add_argument("--only", default="", help="part of a problem's name")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'problem':26} {'published':>12} {'nominal':>12} {'fit':>12} {'CPU s':>7}  multistart")
    for path in sorted(asked.folder.glob("*/*.yaml")):
        if asked.only in path.parent.name:
            print(line(path, asked.starts), flush=True)


def line(path: Path, starts: int) -> str:
    """Read, simulate and fit one problem."""
    name = path.parent.name
    petab = cc.read_petab(path)
    nominal = cc.simulate_petab(petab).nllh
    text = f"{name:26} {PUBLISHED.get(name, np.nan):12.4f} {nominal:12.4f}"
    try:
        problem = cc.from_petab(petab)
    except cc.InputError as error:
        return f"{text}  no fit: {error}"
    began = time.process_time()
    solution = cc.fit(problem)
    spent = time.process_time() - began
    best = simulated(petab, solution)
    text += f" {best:12.4f} {spent:7.2f}"
    if starts < 2:
        return text
    began = time.process_time()
    found = cc.multistart(problem, range(1, starts))
    spent = time.process_time() - began
    values = np.array([simulated(petab, s) for s in found.solutions])
    hits = np.array(found.seeds)[values <= best + _HIT].tolist()
    text += f"  best {values.min():.4f}, {len(hits)} hits of {starts - 1}, {spent:.0f} s"
    if hits:
        upto = float(found.table.loc[: hits[0], "seconds"].sum())
        text += f", first seed {hits[0]} after {upto:.1f} s"
    return text


def simulated(petab: cc.PetabProblem, solution: cc.Solution) -> float:
    """-log L of a fit's parameters by simulation."""
    values = {q.id: solution.parameters[q.id] for q in petab.estimated}
    return cc.simulate_petab(petab, values).nllh


if __name__ == "__main__":
    main()
