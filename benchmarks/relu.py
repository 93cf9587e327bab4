"""Optimize over trained ReLU networks: encodings, bounds, scaling and training, in one table.

    python benchmarks/relu.py --quick        # half a minute: one seed, small networks, two measures
    python benchmarks/relu.py --docs         # the whole table: 3 problems, 2 sizes, 5 seeds

The three problems are of our own choice: the model files in ``models/relu`` (peaks function, 2
inputs; Ackley's function, 4; this toolkit's stirred tank with a temperature limit, 3).  Crossed are

* every problem, size, training measure and seed with the bound sets interval, lp and split (big-M,
  without scaling; for clipped networks the encoding ``clipped``);
* every problem, size and seed without a measure with scaling (neuron, layer) under interval and lp
  and with the encoding ``partition``; with clipping also the encoding ``bigm``.

HiGHS has one thread and a time limit; what reaches it counts with the limit as its time, so ratios
are then lower bounds.  ``--jobs`` networks are worked on at the same time, each in a process of its
own.  The rows go to a CSV, the summary to Markdown and a figure.
"""

from __future__ import annotations

import argparse
import os
import runpy
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from _relu_tables import GAP, MEASURES, SIZES, figure, markdown

ROOT = Path(__file__).parents[1]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, small networks, 3 measures")
    parser.add_argument("--problems", default=",".join(SIZES))
    parser.add_argument("--measures", default=",".join(MEASURES))
    parser.add_argument("--sizes", default="small,large")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for one solve")
    parser.add_argument("--jobs", type=int, default=2, help="networks worked on at the same time")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--docs", action="store_true", help="the figure goes to docs/img too")
    args = parser.parse_args()
    if args.quick:
        args.measures, args.sizes, args.seeds = "none,big-M,clip", "small", 1
    for name, known in (("problems", SIZES), ("measures", MEASURES), ("sizes", ("small", "large"))):
        given = getattr(args, name).split(",")
        if unknown := [g for g in given if g not in known]:
            parser.error(f"unknown {name} {unknown}: choose from {', '.join(known)}")
        setattr(args, name, given)
    return args


# -- one network, in its own process --------------------------------------------------------------


def cases(measure: str) -> list[tuple[str, str, str | None]]:
    """Encoding, bounds and scaling that are tried on a network."""
    usual = "clipped" if measure == "clip" else "bigm"
    found = [(usual, kind, None) for kind in ("interval", "lp", "split")]
    if measure == "none":
        found += [("bigm", kind, per) for kind in ("interval", "lp") for per in ("neuron", "layer")]
        found.append(("partition", "lp", None))
    if measure == "clip":
        found.append(("bigm", "lp", None))
    return found


def work(problem: str, size: str, measure: str, seed: int, limit: float) -> list[dict]:
    """Train one network and optimize over it in all ways; return one row per way."""
    from collocode import relu

    asked = runpy.run_path(str(ROOT / "models" / "relu" / f"{problem}.py"))["surrogate"]()
    hidden = SIZES[problem][size == "large"]
    training = relu.TrainingSettings(seed=seed, **MEASURES[measure])
    asked = replace(asked, hidden=hidden, training=training)
    drawn = asked.draw(seed)
    trained = asked.train(drawn)
    network, box = trained.network, asked.box
    known = {"data": (drawn.x_test, drawn.y_test), "seed": seed}
    told = relu.analyse(network, box, bounds=("interval", "lp"), solve=False, **known)
    key = {"problem": problem, "size": size, "measure": measure, "seed": seed}
    about = {
        "hidden": "x".join(str(n) for n in hidden),
        "training_s": trained.seconds,
        "error": max(told.error.relative),
        "zero_weights": float(np.mean(np.concatenate([W.ravel() == 0 for W in network.weights]))),
        "regions_sampled": told.regions.sampled,
        "regions_segment": told.regions.segment,
        "regions_planar": told.regions.planar,
    }
    excess = {fact.kind: fact.excess for fact in told.facts}
    search = relu.maximize if asked.sense == "maximize" else relu.minimize
    rows = []
    for encoding, kind, scaling in cases(measure):
        found = search(
            network,
            box,
            asked.constraints,
            objective=asked.objective,
            encoding=encoding,
            bounds=kind,
            scaling=scaling,
            time_limit=limit,
            options={"threads": 1, "mip_rel_gap": GAP},
        )
        rows.append(
            key
            | about
            | {
                "encoding": encoding,
                "bounds": kind,
                "scaling": scaling or "none",
                "stable": 1.0 - found.summary.units["undecided"] / network.units,
                "big_m": float(np.mean(found.summary.big_m or (0.0,))),
                "excess": excess.get(kind),
                "binaries": found.summary.binaries,
                "root_bound": found.root_bound,
                "root_gap": found.root_gap,
                "nodes": found.nodes,
                "solver_s": found.seconds,
                "tightening_s": found.tightening_seconds,
                "total_s": found.seconds + found.tightening_seconds,
                "solved": found.success,
                "value": found.value,
                "bound": found.bound,
                "embedded_error": found.embedded_error,
            }
        )
    return rows


def run(args: argparse.Namespace) -> pd.DataFrame:
    """All networks; progress on the terminal, the rows so far in the CSV."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    tasks = [  # the long ones first, so that no core waits at the end
        (problem, size, measure, seed, args.limit)
        for size in sorted(args.sizes)
        for measure in args.measures
        for problem in args.problems
        for seed in range(args.seeds)
    ]
    began, rows = time.perf_counter(), []
    args.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(work, *task): task for task in tasks}
        for count, future in enumerate(as_completed(futures), 1):
            rows += future.result()
            print(
                f"{time.perf_counter() - began:6.0f} s  {count}/{len(tasks)}  "
                f"{' '.join(str(v) for v in futures[future][:4])}",
                flush=True,
            )
            pd.DataFrame(rows).to_csv(args.out / "relu.csv", index=False)
    print(f"all in {time.perf_counter() - began:.0f} s")
    order = ["problem", "size", "measure", "seed", "encoding", "bounds", "scaling"]
    return pd.DataFrame(rows).sort_values(order, ignore_index=True)


def main() -> None:
    """Run, then write CSV, Markdown and figure."""
    args = parse()
    rows = run(args)
    rows.to_csv(args.out / "relu.csv", index=False)
    text = markdown(rows, args)
    (args.out / "relu.md").write_text(text + "\n", encoding="utf-8")
    figure(rows, args.out / "relu.png")
    if args.docs:
        figure(rows, ROOT / "docs" / "img" / "relu_benchmark.png")
    print(f"\n{text}\nwrote {args.out}/relu.csv, relu.md, relu.png")


if __name__ == "__main__":
    main()
