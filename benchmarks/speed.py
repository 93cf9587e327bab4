"""What a fit costs, beside an earlier commit: the same cases, one after the other, CPU time.

    OMP_NUM_THREADS=1 python benchmarks/speed.py                          # against the commit before chains
    OMP_NUM_THREADS=1 python benchmarks/speed.py --cases vdp-200-3,six --repeats 5 --against HEAD~20
    OMP_NUM_THREADS=1 python benchmarks/speed.py --cases command,figures  # `collocode solve` as a process

The earlier commit is checked out beside the working copy (`git worktree`), and both run these very
cases by their own package, each run in a fresh process, in turns.  Mesh and λ are pinned, and so is the
point that IPOPT starts from: the earlier commit's own, which both are given; the time of finding a start
is that of each.  A case counts build + start + solve, of the process's CPU time; imports do not count,
but for ``command`` and ``figures``, which are whole processes of a package that is compiled to bytecode, as
`pip install` leaves it.  Repeats take the seeds 0, 1, ….
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from chains import CASES as RECORDS
from chains import many, problem
from peers.common import import_collocode

ROOT = Path(__file__).resolve().parents[1]
BEFORE = "5b017ef"  # the last commit whose fits all went to MUMPS
PROCESSES = ("command", "figures")
EXPERIMENTS = {"experiments-50": 50, "experiments-200": 200}
CASES = (*RECORDS, "vdp-20000-7", "dense-1000", "wide", *EXPERIMENTS, *PROCESSES)
USUAL = "vdp-200-3,vdp-1000-3,vdp-1000-7,six,dense-1000,command,figures"


def made(case: str) -> tuple[Any, int, Any]:
    """Problem, stages and mesh of a case."""
    import collocode as cc

    if case in RECORDS:
        states, hidden, samples, stages, elements = RECORDS[case]
        return problem(states, hidden, samples), stages, elements
    if case == "vdp-20000-7":
        return problem(2, 32, 20000), 7, 1666
    if case == "wide":
        return problem(2, (64, 64), 200), 3, 66
    if case in EXPERIMENTS:
        return many(EXPERIMENTS[case]), 3, 16
    from peers.common import load_data  # the record of benchmarks/van_der_pol.py

    data = load_data(1000)
    network = cc.NeuralODE(cc.MLP((2, 32, 2)))
    told = cc.Experiment(data.t, data.y, ("y1", "y2"))
    return cc.Problem(network, told, regularisation=cc.L2(6e-6)), 7, 83


def work(case: str, seed: int, start: Path, most: float) -> dict[str, Any]:
    """Run a case here; the start is read from a file, or written to it if there is none."""
    import collocode as cc

    import_collocode()
    data, stages, elements = made(case)
    clock = [time.process_time()]

    def split() -> float:
        clock.append(time.process_time())
        return clock[-1] - clock[-2]

    nlp = cc.discretize(data, "radau", stages, mesh=elements)
    row: dict[str, Any] = {"build": split()}
    begun = cc.start_from(nlp, seed=seed)
    row["start"] = split()
    if start.exists():
        begun = nlp.with_start(np.load(start))
    else:
        np.save(start, begun.start)
    split()
    solver = cc.make_solver(begun, options={"max_cpu_time": most})
    result = solver.solve(begun)
    row["solve"] = split()
    row["total"] = row["build"] + row["start"] + row["solve"]
    row |= {"iterations": result.iterations, "status": result.status.value}
    row["objective"] = result.objective
    row["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return row


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The tree of a commit, beside this one for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def launch(tree: Path, case: str, seed: int, start: Path, most: float) -> dict[str, Any]:
    """Run a case by the package of a tree, in a fresh process."""
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "MPLBACKEND": "Agg"}
    command = [sys.executable, "-W", "ignore"]
    if case in PROCESSES:
        plots = [] if case == "figures" else ["--no-plots"]
        command += ["-m", "collocode", "solve", str(tree / "models" / "van_der_pol.py")]
        command += ["--out", str(start.parent / f"{tree.name}-{case}"), *plots]
    else:
        command += [__file__, "--worker", case, "--seeds", str(seed), "--start", str(start)]
        command += ["--most", str(most)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode:
        return {"total": np.nan, "status": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    if case in PROCESSES:
        return {"total": spent, "status": "done"}
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def line(case: str, rows: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """One row of the table: medians, and the median of the runs' ratios."""
    cells = [case]
    for which in (0, 1):
        mine = [pair[which] for pair in rows]
        parts = [f"{median(row['total'] for row in mine):.2f}"]
        if "iterations" in mine[0]:
            parts.append(f"({median(row['iterations'] for row in mine):.0f} it.)")
        parts += sorted({row["status"] for row in mine} - {"done", "optimal"})
        cells.append(" ".join(parts))
    cells.append(f"{median(old['total'] / new['total'] for old, new in rows):.1f}")
    pairs = [(old.get("objective", np.nan), new.get("objective", np.nan)) for old, new in rows]
    apart = [(new - old) / abs(old) for old, new in pairs if np.isfinite([old, new]).all()]
    cells.append(", ".join(f"{change:+.1e}" for change in apart))
    cells.append(f"{max(new.get('megabytes', 0.0) for _, new in rows):.0f}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", default=BEFORE, help="a commit")
    parser.add_argument("--cases", default=USUAL, help=f"of {', '.join(CASES)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--most", type=float, default=400.0, help="CPU seconds of one solve")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--seeds", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        row = work(arguments.worker, arguments.seeds, arguments.start, arguments.most)
        print(json.dumps(row))
        return
    print("| case | before, CPU s | now, CPU s | ratio | objective, now/before − 1 | MB |")
    print("|---|---|---|---|---|---|")
    with checkout(arguments.against) as tree:
        for case in arguments.cases.split(","):
            if case in PROCESSES:
                compiled = [str(t / name) for t in (tree, ROOT) for name in ("src", "models")]
                subprocess.run([sys.executable, "-m", "compileall", "-q", *compiled], check=True)
            rows = []
            for seed in range(arguments.repeats):
                start = tree.parent / f"{case}-{seed}.npy"
                pair = [launch(t, case, seed, start, arguments.most) for t in (tree, ROOT)]
                rows.append((pair[0], pair[1]))
            print(line(case, rows), flush=True)


if __name__ == "__main__":
    main()
