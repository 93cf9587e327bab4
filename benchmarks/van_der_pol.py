"""Identify the Van der Pol oscillator with every peer and print one table.

    python benchmarks/van_der_pol.py                                # all peers, N = 200, 3 repeats
    python benchmarks/van_der_pol.py --samples 200,1000 --peers ours,pyomo --json out.json
    python benchmarks/van_der_pol.py --samples 1000 --build-only --peers ours,flat

Each run is a fresh Python process, so that nobody profits from another's warm caches; repeats go
round the peers rather than peer by peer, so that a busy spell of the machine hits all alike.  Times
are medians with the range in brackets; compilation counts as build, imports do not count.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from statistics import median

from peers import common

PEERS = {  # key on the command line: module
    "ours": "ours",
    "flat": "flat_casadi",
    "pyomo": "pyomo_nl",
    "adam": "diffrax_adam",
    "lsq": "diffrax_least_squares",
    "mapped": "mapped_casadi",
}
COLLOCATION = ("ours", "flat", "pyomo", "mapped")
LETTERS = {"a": "flat", "b": "pyomo", "c": "adam", "d": "lsq", "e": "mapped"}


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--peers",
        default=",".join(PEERS),
        help=f"comma-separated, of {', '.join(PEERS)} "
        f"(or {', '.join(f'{k} = {v}' for k, v in LETTERS.items())})",
    )
    parser.add_argument("--samples", default="200", help="numbers of samples, e.g. 200,1000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="seed of the starting weights")
    parser.add_argument("--vary-seed", action="store_true", help="repeat r uses seed + r")
    parser.add_argument("--threads", type=int, default=1, help="threads for BLAS and OpenMP")
    parser.add_argument(
        "--regularisation", type=float, help="for the collocation peers; default: their own"
    )
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one run")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds instead of wall time")
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("--json", type=Path, help="write every single run to this file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.peers = [LETTERS.get(p, p) for p in args.peers.split(",")]
    if unknown := [p for p in args.peers if p not in PEERS]:
        parser.error(f"unknown peers {unknown}: choose from {list(PEERS)}")
    args.samples = [int(n) for n in args.samples.split(",")]
    return args


# -- one run, in its own process ------------------------------------------------------------------


def work(args: argparse.Namespace) -> dict:
    """Run one peer here and score it."""
    peer, samples, seed, build_only = args.worker, args.samples[0], args.seed, args.build_only
    chosen = args.regularisation is not None and peer in COLLOCATION
    settings = {"regularisation": args.regularisation} if chosen else {}
    module = importlib.import_module(f"peers.{PEERS[peer]}")
    common.Stopwatch.cpu = args.cpu
    data = common.load_data(samples)
    result = module.run(data, seed, build_only=build_only, **settings)
    record = {"name": result.name, "build": result.build_s, "detail": result.detail}
    if not build_only:
        record |= {"solve": result.solve_s, "total": result.build_s + result.solve_s}
        record |= common.score(result, data)
    return record


def launch(peer: str, samples: int, seed: int, args: argparse.Namespace) -> dict:
    """Run one peer in a fresh process; a failure is a record with an ``error``."""
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", peer]
    command += ["--samples", str(samples), "--seed", str(seed)]
    command += ["--build-only"] * args.build_only + ["--cpu"] * args.cpu
    if args.regularisation is not None:
        command += ["--regularisation", str(args.regularisation)]
    threads = str(args.threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, threads)
    key = {"peer": peer, "samples": samples, "seed": seed}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=args.timeout
        )
    except subprocess.TimeoutExpired:
        return key | {"error": f"no result within {args.timeout:g} s"}
    if done.returncode:
        return key | {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return key | json.loads(done.stdout.splitlines()[-1])


# -- the table ------------------------------------------------------------------------------------


def spread(values: list[float]) -> str:
    """Median with the range, ``1.23 [1.20-1.40]``."""
    if len(values) == 1:
        return f"{values[0]:.3g}"
    return f"{median(values):.3g} [{min(values):.3g}-{max(values):.3g}]"


def show(records: list[dict], samples: int, build_only: bool) -> None:
    """One table for one number of samples."""
    from rich.console import Console
    from rich.table import Table

    times = ["build"] if build_only else ["build", "solve", "total"]
    errors = [] if build_only else ["train_fitted", "train_true", "test"]
    table = Table(title=f"Van der Pol identification, {samples} samples")
    heads = {
        "train_fitted": "train MSE\nfitted y(0)",
        "train_true": "train MSE\ntrue y(0)",
        "test": "test MSE",
    }
    for head in ["system", *(f"{t} s" for t in times), f"{times[-1]}\n/ ours"]:
        table.add_column(head)
    for head in [*(heads[e] for e in errors), "last run"]:
        table.add_column(head)

    here = [r for r in records if r["samples"] == samples]
    ours = [r[times[-1]] for r in here if r["peer"] == "ours" and "error" not in r]
    for peer in dict.fromkeys(r["peer"] for r in here):
        runs = [r for r in here if r["peer"] == peer and "error" not in r]
        failed = [r["error"] for r in here if r["peer"] == peer and "error" in r]
        if not runs:
            blank = [""] * (len(times) + 1 + len(errors))
            table.add_row(peer, *blank, f"failed: {failed[-1]}")
            continue
        ratio = median([r[times[-1]] for r in runs]) / median(ours) if ours else None
        table.add_row(
            runs[-1]["name"],
            *(spread([r[t] for r in runs]) for t in times),
            f"{ratio:.1f}" if ratio else "",
            *(f"{median([r[e] for r in runs]):.2e}" for e in errors),
            runs[-1]["detail"] + (f" ({len(failed)} failed)" if failed else ""),
        )
    width = None if sys.stdout.isatty() else 200
    Console(width=width).print(table)


def main() -> None:
    """Run everything, print the tables, write the file."""
    args = parse()
    if args.worker:
        print(json.dumps(work(args)))
        return
    records = []
    for samples in args.samples:
        for repeat in range(args.repeats):
            for peer in args.peers:
                seed = args.seed + repeat * args.vary_seed
                record = launch(peer, samples, seed, args)
                records.append(record)
                brief = record.get("error") or f"{record.get('total', record['build']):.2f} s"
                print(f"N={samples} {peer}: {brief}", file=sys.stderr, flush=True)
        show(records, samples, args.build_only)
    if args.json:
        machine = {"machine": platform.platform(), "cpus": os.cpu_count(), "load": os.getloadavg()}
        args.json.write_text(json.dumps(machine | {"runs": records}, indent=1) + "\n")


if __name__ == "__main__":
    main()
