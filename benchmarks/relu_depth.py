"""Networks to optimize over: first points, depth, other solvers, and training at equal test error.

    python benchmarks/relu_depth.py --quick                       # some two minutes
    python benchmarks/relu_depth.py --docs                        # three seeds, half an hour on a core
    python benchmarks/relu_depth.py --parts incumbents,solvers

Four tables on surrogates of the peaks function (``models/relu/peaks.py``), 12 units a layer:

* *incumbents*: the point that the local search returns, before any branch and bound, against the best
  of a grid of 1001 x 1001 points and against the proved optimum, for depths 1 to 6;
* *depth*: mean big-M and undecided units by interval arithmetic, linear and mixed-integer programs
  for depths 1 to 6, and a figure;
* *solvers*: HiGHS beside SCIP (``pip install pyscipopt``) on the same encodings, one thread each;
* *training*: measures at five layers, each with the largest of its strengths (the benchmark's times 1,
  1/3, 1/10, 1/30) whose median test error stays within 10 % of plain training's.

Times are CPU times of the process; those of solvers are their own, without the bounds.
"""

from __future__ import annotations

import argparse
import os
import runpy
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from _relu_tables import MEASURES, as_markdown, geometric

ROOT = Path(__file__).parents[1]
PARTS = ("incumbents", "depth", "solvers", "training")
DEPTHS = (1, 2, 3, 4, 5, 6)
WIDTH = 12
STRENGTHS = (1.0, 1 / 3, 1 / 10, 1 / 30)
GRID = 1001


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for one solve")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for one set of bounds")
    parser.add_argument("--quick", action="store_true", help="one seed, depths 1 to 3")
    parser.add_argument("--docs", action="store_true", help="the figure goes to docs/img too")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args()
    args.parts = args.parts.split(",")
    if unknown := [part for part in args.parts if part not in PARTS]:
        parser.error(f"unknown parts {unknown}: choose from {', '.join(PARTS)}")
    args.depths = DEPTHS[:3] if args.quick else DEPTHS
    args.seeds = 1 if args.quick else args.seeds
    return args


def trained(depth: int, seed: int, **measure: float):
    """A surrogate of the peaks function, its training and its test error in percent."""
    from collocode import relu

    asked = runpy.run_path(str(ROOT / "models" / "relu" / "peaks.py"))["surrogate"](WIDTH, depth)
    training = relu.TrainingSettings(seed=seed, **measure)
    asked = replace(asked, training=training)
    drawn = asked.draw(seed)
    made = asked.train(drawn)
    missed = made.network(drawn.x_test) - np.reshape(drawn.y_test, (len(drawn.x_test), -1))
    return asked, made.network, 100.0 * float(np.sqrt((missed**2).mean()) / np.std(drawn.y_test))


def incumbents(nets: dict, args: argparse.Namespace) -> pd.DataFrame:
    """The local search against a fine grid and the proved optimum."""
    from collocode import relu
    from collocode.relu.constraints import as_linear
    from collocode.relu.local_search import local_search
    from collocode.relu.problem import OptimizationProblem

    rows = []
    for (depth, _), (asked, network, _) in nets.items():
        problem = OptimizationProblem(
            network=network,
            box=np.asarray(asked.box, dtype=float),
            linear=as_linear(network, None),
            cost=np.array([0.0, 0.0, -1.0]),
            sense=1,
        )
        began = time.process_time()
        core = local_search(problem.core())
        seconds = time.process_time() - began
        found = float(network(network.input_shift + network.input_scale * core)[0])
        axes = [np.linspace(*side, GRID) for side in problem.box]
        grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
        most = max(float(network(part).max()) for part in np.array_split(grid, 20))
        proved = relu.maximize(network, asked.box, time_limit=args.limit)
        rows.append(
            {
                "depth": depth,
                "ms": 1e3 * seconds,
                "grid better by": max(0.0, most - found),
                "proved": proved.success,
                "below the optimum by": max(0.0, proved.value - found),
            }
        )
    table = pd.DataFrame(rows).groupby("depth")
    return table.agg(
        **{
            "networks": ("ms", "size"),
            "median ms": ("ms", "median"),
            "grid better by at most": ("grid better by", "max"),
            "below the optimum by at most": ("below the optimum by", "max"),
            "optima proved": ("proved", "sum"),
        }
    ).reset_index()


def depth_rows(nets: dict, args: argparse.Namespace) -> pd.DataFrame:
    """Bounds by depth."""
    from collocode.relu import proved_bounds

    rows = []
    for (depth, seed), (asked, network, _) in nets.items():
        for kind in ("interval", "lp", "mip"):
            began = time.process_time()
            budget = args.budget if kind == "mip" else None
            known = proved_bounds(network, asked.box, kind, time_budget=budget)
            states = np.concatenate(known.stable(network))
            rows.append(
                {
                    "depth": depth,
                    "seed": seed,
                    "bounds": kind,
                    "big-M": float(np.mean(known.big_m(network))),
                    "undecided": int((states == 0).sum()),
                    "s": time.process_time() - began,
                    "complete": known.complete,
                }
            )
    return pd.DataFrame(rows)


def depth_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Medians over seeds, the bound sets side by side."""
    lines = []
    for depth, group in rows.groupby("depth"):
        line = {"depth": depth, "units": depth * WIDTH}
        parts = {kind: part for kind, part in group.groupby("bounds", sort=False)}
        for name in ("big-M", "undecided", "s"):
            line |= {f"{name}, {kind}": part[name].median() for kind, part in parts.items()}
        line["mip complete"] = f"{parts['mip']['complete'].sum()}/{len(parts['mip'])}"
        lines.append(line)
    return pd.DataFrame(lines)


def depth_figure(rows: pd.DataFrame, paths: list[Path]) -> None:
    """Mean big-M by depth."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown, axes = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    for kind, colour, mark in (
        ("interval", "#222222", "o"),
        ("lp", "#0072B2", "s"),
        ("mip", "#D55E00", "^"),
    ):
        part = rows[rows["bounds"] == kind].groupby("depth")["big-M"]
        middle = part.median()
        axes.plot(middle.index, middle, color=colour, marker=mark, label=kind)
        axes.fill_between(middle.index, part.min(), part.max(), color=colour, alpha=0.15, lw=0)
    axes.set(yscale="log", xlabel="hidden layers", ylabel="mean big-M (scaled output)")
    axes.set_yticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
    axes.tick_params(axis="y", which="minor", labelleft=False)
    axes.legend(frameon=False, title="bounds")
    for path in paths:
        shown.savefig(path, dpi=150)


def solvers(nets: dict, args: argparse.Namespace) -> pd.DataFrame:
    """HiGHS and SCIP on the same encodings."""
    from collocode import relu

    lines = []
    for depth in sorted({d for d, _ in nets if d <= 5}):
        for kind in ("lp", "mip"):
            line: dict[str, object] = {"depth": depth, "bounds": kind}
            values: dict[str, list[float]] = {}
            for name, options in (
                ("highs", {"threads": 1, "mip_rel_gap": 1e-4}),
                ("scip", {"limits/gap": 1e-4, "parallel/maxnthreads": 1}),
            ):
                times, nodes, done = [], [], 0
                for (d, _), (asked, network, _) in nets.items():
                    if d != depth:
                        continue
                    found = relu.maximize(
                        network, asked.box, bounds=kind, solver=name, time_limit=args.limit,
                        time_budget=args.budget, root=False, options=options,
                    )  # fmt: skip
                    times.append(found.seconds)
                    nodes.append(found.nodes)
                    done += found.success
                    values.setdefault(name, []).append(found.value)
                line |= {
                    f"{name} s": geometric(pd.Series(times)),
                    f"{name} nodes": "–" if min(nodes) < 0 else f"{np.median(nodes):.0f}",
                    f"{name} proved": f"{done}/{len(times)}",
                }
            ours, theirs = (np.array(v) for v in values.values())
            line["largest difference"] = float(np.abs(ours - theirs).max())
            lines.append(line)
    return pd.DataFrame(lines)


def training(args: argparse.Namespace) -> pd.DataFrame:
    """Measures at five layers, at a test error within 10 % of plain training's."""
    from collocode import relu

    depth, lines, plain = (3 if args.quick else 5), [], 0.0
    for measure, settings in MEASURES.items():
        for strength in (1.0,) if measure in ("none", "clip") else STRENGTHS:
            given = {k: v * strength for k, v in settings.items()}
            made = [trained(depth, seed, **given) for seed in range(args.seeds)]
            error = float(np.median([m[2] for m in made]))
            plain = error if measure == "none" else plain
            if error <= 1.1 * plain:
                break
        searches = []
        for asked, network, _ in made:
            began = time.process_time()
            found = relu.maximize(
                network, asked.box, bounds="lp", time_limit=args.limit,
                encoding="clipped" if measure == "clip" else "bigm",
                options={"threads": 1, "mip_rel_gap": 1e-4},
            )  # fmt: skip
            searches.append((time.process_time() - began, found))
        lines.append(
            {
                "training": measure,
                "strength": ", ".join(f"{v:.2g}" for v in given.values()) or "–",
                "error %": error,
                "within 10 %": "yes" if error <= 1.1 * plain else "no",
                "big-M": float(
                    np.median([np.mean(f.summary.big_m or (0.0,)) for _, f in searches])
                ),
                "binaries": float(np.median([f.summary.binaries for _, f in searches])),
                "nodes": float(np.median([f.nodes for _, f in searches])),
                "s": geometric(pd.Series([s for s, _ in searches])),
                "proved": f"{sum(f.success for _, f in searches)}/{len(searches)}",
            }
        )
    return pd.DataFrame(lines)


def main() -> None:
    """Run the parts; tables to the terminal and to results/relu_depth.md."""
    args = parse()
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    args.out.mkdir(parents=True, exist_ok=True)
    needed = set(args.parts) & {"incumbents", "depth", "solvers"}
    cases = [(depth, seed) for depth in args.depths for seed in range(args.seeds)] if needed else []
    nets = {case: trained(*case) for case in cases}
    text = [
        f"*`benchmarks/relu_depth.py`, {args.seeds} seed{'s' * (args.seeds > 1)}, {WIDTH} units a layer.*",
        "",
    ]

    def add(title: str, table: pd.DataFrame) -> None:
        text.extend([f"**{title}**", "", as_markdown(table), ""])
        print(f"\n{title}\n{table.to_string(index=False)}", flush=True)
        (args.out / "relu_depth.md").write_text("\n".join(text) + "\n", encoding="utf-8")

    if "incumbents" in args.parts:
        add("The first point, before branch and bound", incumbents(nets, args))
    if "depth" in args.parts:
        rows = depth_rows(nets, args)
        add("Big-M and undecided units by depth (medians)", depth_table(rows))
        pictures = [args.out / "relu_depth.png"]
        if args.docs:
            pictures.append(ROOT / "docs" / "img" / "relu_depth.png")
        depth_figure(rows, pictures)
    if "solvers" in args.parts:
        add(
            "HiGHS and SCIP on the same encodings (geometric means of seconds)", solvers(nets, args)
        )
    if "training" in args.parts:
        add("Training measures at a test error within 10 % of plain training's", training(args))


if __name__ == "__main__":
    main()
