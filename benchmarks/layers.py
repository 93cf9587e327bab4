"""Layers where they pay: objective and validation over refinements, against fixed depths at equal work.

    OMP_NUM_THREADS=1 python benchmarks/layers.py                # four data sets, four trainers, five seeds
    python benchmarks/layers.py --seeds 1 --samples 100 --trainer lbfgs --data spiral2d     # seconds
    python benchmarks/layers.py --effectivity                    # the estimate against a converged fine network
    python benchmarks/layers.py --where                          # does it matter which layer is bisected?

By default, for each data set and trainer, over seeds of data and first weights, with the models' T = 5 and
penalty 1e-4: refinement from two layers, its halves fitted and only networks accepted that are no worse than
their parent; the same as it is usually published, halves with copied weights and every network accepted;
and networks of fixed depth, each trained until it has used the *work of that seed's
refinement*.  Work counts the layers that all samples pass, forward and backward, rejected trainings and the
fitting of halves included, in thousands.  J is that of the last network; validation loss and accuracy are those of
the weights of least validation loss.  "J fell" and "loss fell" count the runs in which no cycle is above the one
before.  "above" is by how much the validation loss is above that of the refined network: the 95 % interval (Student's t)
of the mean difference over the seeds, in per cent of the refined networks' mean; a star where it does not hold zero.

``--effectivity`` trains networks of 4, 8, 16 and 32 layers until ∇J is 1e-5, width 3, T = 2, penalty 0.003, where
they approximate a flow, and one of 64 from the last of them, against which the estimates are.  A run at whose
optimum no input counts (J = log 2) has no discretization error, one in which the slope of J is still above 1e-4 after
3000 iterations is no optimum: both are left out, and counted.

``--where`` compares fixed depths, uniform doubling and refinement by each indicator, all with copied weights and
every network accepted, and two controls that bisect one layer per cycle without an estimate: at random, or the
longest.  Fixed depths train 500 iterations there, the others 100 per network; a third set of samples, which
chooses nothing, is the test.

Runs of the first two are kept as they end, in ``results/layers.csv`` and ``results/layers_effectivity.csv``, and not made
again; the tables of all that the files hold go beside them, for ``docs/papers/2601.07397.md``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

import collocode as cc
from _layers_where import DEPTHS, USUAL, where
from collocode.layered import LayeredProblem, train
from collocode.solvers.threads import one_blas_thread
from growth import versus
from models import donut1d, donut2d, spiral2d, squares2d

DATA = {"donut1d": donut1d, "spiral2d": spiral2d, "donut2d": donut2d, "squares2d": squares2d}
TRAINERS = ("armijo", "barzilai-borwein", "lbfgs", "ipopt")
REFINED: dict[str, dict[str, Any]] = {"refined": {}, "copied": USUAL}
SETTING = ["trainer", "samples", "iterations"]
RESULTS = Path(__file__).parent / "results" / "layers.csv"


def problem(name: str, samples: int, layers: int, seed: int) -> LayeredProblem:
    made = DATA[name].problem(samples=samples, layers=layers, data_seed=seed)
    other = DATA[name].problem(samples=samples, layers=layers, data_seed=1000 + seed)
    return replace(made, test=other.validation)


class Kept:
    """Runs in a file, each written when it ends; what is there is not made again."""

    def __init__(self, path: Path, keys: list[str]) -> None:
        self.path, self.keys = path, keys
        self.runs = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=keys)

    def find(self, key: dict[str, Any]) -> dict[str, Any] | None:
        same = (self.runs[self.keys] == pd.Series(key)[self.keys]).all(axis=1)
        return self.runs[same].iloc[0].to_dict() if same.any() else None

    def add(self, row: dict[str, Any]) -> None:
        new = pd.DataFrame([row])
        self.runs = new if self.runs.empty else pd.concat([self.runs, new], ignore_index=True)
        self.runs.to_csv(self.path, index=False, float_format="%.6g")


# ---- objective and validation over refinements ---------------------------------------------------


def refined_course(
    p: LayeredProblem, trainer: str, seed: int, iterations: int, **how: Any
) -> dict[str, Any]:
    """One refinement from the problem's network to sixteen layers."""
    began = time.process_time()
    found = cc.refine_layers(
        p, trainer, iterations=iterations, seed=seed, max_layers=16, stall=None, **how
    )
    seconds, last = time.process_time() - began, found.cycles[-1]
    own = [c for c in found.cycles if not c.stuck]
    values = [[c.estimate.value for c in own], [c.training.least_loss for c in own]]
    fell = [bool((np.diff(v) <= 0.0).all()) for v in values]
    return {
        "layers": last.layers,
        "objective": last.estimate.value,
        "loss": min(values[1]),
        "accuracy": min(own, key=lambda c: c.training.least_loss).score,
        "work": found.work / 1e3,
        "seconds": seconds,
        "J fell": fell[0],
        "loss fell": fell[1],
        "rejected": sum(len(c.rejected) for c in found.cycles),
    }


def fixed_course(p: LayeredProblem, trainer: str, seed: int, work: float) -> dict[str, Any]:
    """Train one depth until it has used the work."""
    layers, began = p.network.layers, time.process_time()
    most = max(1, int(1e3 * work / (2 * layers)))  # an iteration takes two passes at least
    with one_blas_thread():
        done = train(
            p.objective,
            trainer,
            validation=p.validation,
            iterations=most,
            tolerance=1e-4,
            seed=seed,
        )
    seconds, h = time.process_time() - began, done.history
    used = (h["evaluations"] + h["gradients"]) * layers / 1e3
    if trainer != "ipopt":  # whose history knows validation at the end only
        h = h[used <= work]
    best = h.loc[h["validation_loss"].idxmin()]
    return {
        "layers": layers,
        "objective": float(h["objective"].iloc[-1]),
        "loss": float(best["validation_loss"]),
        "accuracy": float(best["validation"]),
        "work": float(used.loc[h.index].max()),
        "seconds": seconds,
    }


def courses(
    kept: Kept,
    names: list[str],
    trainers: list[str],
    seeds: range,
    samples: int,
    iterations: int,
    depths: list[int],
) -> None:
    """Make the runs that are not yet there."""
    for seed in seeds:
        for trainer in trainers:
            for name in names:
                key = {"data": name, "trainer": trainer, "samples": samples}
                key |= {"iterations": iterations, "seed": seed}
                refined = None
                for method in (*REFINED, *(f"fixed, {depth}" for depth in depths)):
                    row = kept.find(key | {"method": method})
                    if row is None:
                        layers = 2 if method in REFINED else int(method.split()[-1])
                        p = problem(name, samples, layers, seed)
                        if method in REFINED:
                            made = refined_course(p, trainer, seed, iterations, **REFINED[method])
                        else:
                            made = fixed_course(p, trainer, seed, refined["work"])
                        row = key | {"method": method} | made
                        kept.add(row)
                    refined = refined or row


def spread(values: Iterable[float], digits: int = 3) -> str:
    v = np.array(list(values))
    return f"{v.mean():.{digits}f} ± {v.std(ddof=1) if len(v) > 1 else 0.0:.{digits}f}"


def table(runs: pd.DataFrame) -> str:
    """One trainer's runs in Markdown, the rows of a data set one below the other."""
    lines = [
        "| | layers | J | validation loss | above | accuracy | J fell | loss fell | rejected | work | CPU s |",
        "|---" * 11 + "|",
    ]
    for (name, method), own in runs.groupby(["data", "method"], sort=False):
        first = runs[(runs["data"] == name) & (runs["method"] == "refined")].set_index("seed")
        counts = [""] * 3
        if method in REFINED:
            counts = [f"{int(own[k].sum())} of {len(own)}" for k in ("J fell", "loss fell")]
            counts.append(f"{own['rejected'].mean():.1f}")
        cells = [
            f"{name}, {method}",
            spread(own["layers"], 1),
            spread(own["objective"]),
            spread(own["loss"]),
            "" if method == "refined" else versus(first["loss"], own.set_index("seed")["loss"]),
            spread(own["accuracy"]),
            *counts,
            f"{own['work'].mean():.1f}",
            f"{own['seconds'].mean():.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def report(runs: pd.DataFrame) -> str:
    """The tables of all trainers."""
    parts = []
    runs = runs.sort_values("data", key=lambda names: names.map(list(DATA).index), kind="stable")
    for (trainer, samples, iterations), own in runs.groupby(SETTING):
        told = (
            f"{samples} samples, {iterations} iterations a network, {own['seed'].nunique()} seeds"
        )
        parts.append(f"**{trainer}** ({told})\n\n{table(own)}")
    return "\n\n".join(parts)


# ---- the estimate --------------------------------------------------------------------------------


def effectivities(kept: Kept, names: list[str], seeds: range, samples: int) -> None:
    """Make the runs that are not yet there: all layers bisected, converged, against 64 layers."""
    for seed in seeds:
        for name in names:
            key = {"data": name, "samples": samples, "seed": seed}
            if kept.find(key) is not None:
                continue
            smooth = {"width": 3, "depth": 2.0, "penalty": 0.003}
            p = DATA[name].problem(samples=samples, layers=4, data_seed=seed, **smooth)
            how: dict[str, Any] = {
                "rule": "uniform",
                "max_layers": 32,
                "stall": None,
                "accept": "all",
            }
            done = cc.refine_layers(
                p, "lbfgs", iterations=3000, seed=seed, reference=64, tolerance=1e-5, **how
            )
            found = {str(c.layers): c.estimate.effectivity(done.exact(c)) for c in done.cycles}
            slope = max(c.estimate.stationarity for c in done.cycles)
            kept.add(key | {"J": done.reference, "slope": slope} | found)


def effectivity_table(runs: pd.DataFrame) -> str:
    """Effectivity by layers in Markdown."""
    lines = [
        "| data | 4 layers | 8 | 16 | 32 | slope of J at most | seeds | left out |",
        "|---" * 8 + "|",
    ]
    for name, own in runs.groupby("data", sort=False):
        used = own[(own["J"] <= 0.69) & (own["slope"] <= 1e-4)]
        cells = [spread(used[n], 2) for n in ("4", "8", "16", "32")]
        slope, out = used["slope"].max(), len(own) - len(used)
        lines.append(f"| {name} | {' | '.join(cells)} | {slope:.1e} | {len(used)} | {out} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, 100 samples")
    parser.add_argument("--seeds", type=int, help="5; with --where 8")
    parser.add_argument("--samples", type=int, help="100; with --where 1000")
    parser.add_argument("--trainer", default="", help="of " + ", ".join(TRAINERS))
    parser.add_argument("--data", default=",".join(DATA), help="of " + ", ".join(DATA))
    parser.add_argument("--iterations", type=int, default=40, help="of every network")
    parser.add_argument("--depths", default="2,4,8,16", help="fixed ones")
    parser.add_argument("--effectivity", action="store_true")
    parser.add_argument("--where", action="store_true")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--results", type=Path, help="the file that runs are kept in")
    chosen = parser.parse_args()
    names = chosen.data.split(",")
    seeds = range(chosen.seeds or (1 if chosen.quick else 8 if chosen.where else 5))
    samples = chosen.samples or (100 if chosen.quick or not chosen.where else 1000)
    if chosen.where:
        few = (2, 8, 20) if chosen.quick else DEPTHS
        where(problem, names, chosen.trainer or "lbfgs", seeds, samples, few)
        return
    if chosen.effectivity:
        path = chosen.results or RESULTS.with_name("layers_effectivity.csv")
        kept = Kept(path, ["data", "samples", "seed"])
        if not chosen.table:
            effectivities(kept, names, seeds, samples)
        text = effectivity_table(kept.runs)
    else:
        path = chosen.results or RESULTS
        kept = Kept(path, ["data", *SETTING, "seed", "method"])
        trainers = chosen.trainer.split(",") if chosen.trainer else list(TRAINERS)
        depths = [int(depth) for depth in chosen.depths.split(",")]
        if not chosen.table:
            courses(kept, names, trainers, seeds, samples, chosen.iterations, depths)
        text = report(kept.runs)
    print(text)
    path.with_suffix(".md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
