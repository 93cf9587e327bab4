"""Whether every problem of a PEtab collection is read and simulated right: -log L at the nominal parameters.

    python benchmarks/petab_collection.py FOLDER [--only Boehm] [--seconds 300]

FOLDER holds a folder for every problem, such as those of Benchmark-Models-PEtab (BSD-3-Clause).  The
reference is what the petab package (``pip install petab``) makes of the simulated data that lie beside most
problems; without the package that column is empty.  Every problem has a process and a time limit of its own;
times are CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    import collocode as cc
    from collocode.numerics import Array

_RUN = ["preequilibrationConditionId", "simulationConditionId"]
_HEAD = f"{'problem':36} {'states':>6} {'est.':>4} {'runs':>4} {'data':>5} {'here':>15} {'reference':>15} {'difference':>10} {'read s':>7} {'sim. s':>7}"


def main() -> None:
    """Print a line for every problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="part of a problem's name")
    parser.add_argument("--seconds", type=float, default=300.0, help="limit for one problem")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measured(asked.one)))
        return
    print(_HEAD)
    for folder in sorted(p for p in asked.folder.iterdir() if asked.only in p.name):
        sources = [y for y in sorted(folder.glob("*.yaml")) if not y.name.startswith("petab_test")]
        if sources:
            print(
                line(folder.name, in_process(asked.folder, sources[0], asked.seconds)), flush=True
            )


def in_process(folder: Path, source: Path, seconds: float) -> dict[str, Any]:
    """What a fresh process finds out about a problem."""
    command = [sys.executable, __file__, str(folder), "--one", str(source)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return {"words": f"not done within {seconds:g} s"}
    if done.returncode:
        return {"words": done.stderr.strip().splitlines()[-1][:300]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def line(name: str, found: dict[str, Any]) -> str:
    """A problem's line."""
    if "here" not in found:
        return f"{name:36} {found['words']}"
    here, reference = found["here"], found["reference"]
    known = reference is not None
    apart = f"{abs(here - reference) / abs(reference):10.1e}" if known else f"{'':10}"
    told = f"{reference:15.5f}" if known else f"{'':15}"
    counts = "{states:6} {estimated:4} {runs:4} {data:5}".format(**found)
    return f"{name:36} {counts} {here:15.5f} {told} {apart} {found['reading']:7.2f} {found['simulating']:7.2f}"


def measured(source: Path) -> dict[str, Any]:
    """Read and simulate a problem."""
    import collocode as cc

    read, simulate = cc.read_petab, cc.simulate_petab  # which imports what they need
    warnings.simplefilter("ignore")
    began = time.process_time()
    try:
        petab = read(source)
        middle = time.process_time()
        found = simulate(petab)
    except (cc.InputError, cc.FileError) as error:
        return {"words": str(error)}
    done = time.process_time()
    return {
        "states": len(petab.model.states),
        "estimated": len(petab.estimated),
        "runs": len(petab.conditions),
        "data": len(found.rows),
        "here": found.nllh,
        "reading": middle - began,
        "simulating": done - middle,
        "reference": reference_of(source, found),
    }


def reference_of(source: Path, found: cc.Predicted) -> float | None:
    """-log L of the simulated data beside a problem, by the petab package; None without one of both.

    Where noise depends on states, which petab does not evaluate, it is that of the simulation here.
    """
    import numpy as np
    import pandas as pd
    import yaml

    simulated = sorted(source.parent.glob("simulat*.tsv"))
    sys.path = [
        p for p in sys.path if Path(p) != Path(__file__).parent
    ]  # where petab.py is another
    try:
        import petab.v1 as petab
    except ImportError:
        return None
    if not simulated:
        return None
    logging.disable(logging.CRITICAL)
    content = yaml.safe_load(source.read_text())
    files, named = content["problems"][0], content["parameter_file"]
    folder, parameters = source.parent, [named] if isinstance(named, str) else named
    measured = pd.concat(
        [petab.get_measurement_df(str(folder / f)) for f in files["measurement_files"]],
        ignore_index=True,
    )
    values = aligned(measured, petab.get_simulation_df(str(simulated[0])))
    measured["row"] = range(len(measured))
    values = pd.DataFrame({"row": range(len(values)), "simulation": values})
    observables = pd.concat(
        [petab.get_observable_df(str(folder / f)) for f in files["observable_files"]]
    )
    table = petab.get_parameter_df([str(folder / f) for f in parameters])
    total = 0.0
    for k in range(0, len(measured), 300):  # it looks every row up in the whole table
        part = slice(k, k + 300)
        try:
            total -= petab.calculate_llh([measured[part]], [values[part]], [observables], table)
        except ValueError:
            order = measured.groupby([c for c in _RUN if c in measured], sort=False, dropna=False)
            rows = np.concatenate([part.index for _, part in order])  # as the simulation has them
            return replace(found, h=values["simulation"].to_numpy()[rows]).nllh
    return float(total)


def aligned(measured: pd.DataFrame, simulated: pd.DataFrame) -> Array:
    """Simulated values by row of the measurements.

    By observable, conditions and time, and by parameters where both name them; some ids go on behind two
    underscores.  Row by row where conditions or observables have other ids.
    """
    keys = ["observableId", *_RUN, "time", "observableParameters"]
    keys = [k for k in keys if k in simulated and set(simulated[k]) <= set(measured[k])]
    if "observableId" not in keys:
        ids = [i.split("__")[0] for i in simulated["observableId"]]
        simulated, keys = simulated.assign(observableId=ids), ["observableId", *keys]
    if not {"simulationConditionId", "time"} <= {*keys}:
        assert (measured["time"] == simulated["time"]).all()
        return simulated["simulation"].to_numpy()
    values = simulated.drop_duplicates(keys)[[*keys, "simulation"]]
    return measured[keys].merge(values, on=keys, how="left")["simulation"].to_numpy()


if __name__ == "__main__":
    main()
