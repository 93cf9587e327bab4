"""Growing depth by the topological derivative against growing width by gromo, at equal work.

    pip install -e '.[bench,test]'
    pip install torch gromo                           # PyTorch's CPU wheel serves
    OMP_NUM_THREADS=1 python benchmarks/growth_gromo.py
    python benchmarks/growth_gromo.py --tune          # what gromo's settings were chosen from, on a seed of its own
    python benchmarks/growth_gromo.py --table         # what the file has, nothing run

gromo (https://github.com/growingnet/gromo) adds neurons to the layers of a PyTorch network: the optimal ones of first
order and a natural gradient step of the old weights, both scaled by a line search (Verbockhaven et al., TMLR 2024).

    topological      layers of ours, as in growth.py; and the same with gromo's activation, where ours has it
    scratch          all layers of ours at once
    gromo            neurons by gromo's optimal updates, in every hidden layer; how often is tuned too
    gromo random     neurons of gromo's random initialisation instead, with the same line search
    gromo scratch    the final width at once

Problem, split, loss, ridge penalty, optimiser (SciPy's L-BFGS-B with 20 steps in memory), line search of a growth and the
choice of the weights by validation are the same.  A hidden width is chosen so that the numbers of weights are next to those
of ours, first and last.  gromo gets the gradient passes that the topological derivative took on the same seed, those for
scores and statistics included; forward passes of line searches are counted for neither.  Columns as in growth.py.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import pandas as pd

from growth import ACTIVATIONS as OURS
from growth import PROBLEMS, versus
from growth import run as run_ours

try:
    from _growth_gromo import ACTIVATIONS, Fit, Settings, deep
except ImportError as error:
    if error.name not in ("torch", "gromo"):
        raise
    print(f"{error.name} is missing, so nothing is compared; run: pip install torch gromo")
    raise SystemExit(0) from error

RESULTS = Path(__file__).parent / "results" / "growth_gromo.csv"
TUNED_ON = 100  # a seed that is not in the tables
KEY = ["problem", "method", "seed"]
COLUMNS = [*KEY, "objective", "error", "weights", "passes"]
SAME = "topological, same activation"
METHODS = ("topological", SAME, "scratch", "gromo", "gromo random", "gromo scratch")
CHOSEN = {
    "heat-inversion": Settings(),
    "vorticity": Settings("MLP", 1, "swish", "TINY"),
    "mnist": Settings("MLP", 1, "gelu", growths=1),
    "diabetes": Settings("residual", 2, "selu", growths=8),
}


def run_gromo(name: str, settings: Settings, seed: int, passes: int) -> dict[str, object]:
    """Train and widen; one row of the table of results."""
    make, _, layers = PROBLEMS[name]
    problem = make(seed, "silu_tanh")
    first, final = (settings.width(problem, n) for n in (1, layers))
    scratch = settings.update == "scratch"
    fit = Fit(settings.build(problem, final if scratch else first, seed), problem)
    growths = 0 if scratch else settings.growths or layers - 1
    for turn in range(1, growths + 1):
        fit.train(round(passes * turn / (growths + 1)))
        width = round(first + (final - first) * turn / growths)
        for place in range(settings.hidden):
            while (have := fit.model._growable_layers[place].in_features) < width:
                fit.widen(place, width - have, settings.update)
    fit.train(passes)
    return {
        "objective": fit.objective(),
        "error": fit.error,
        "validation": fit.least,
        "weights": len(fit.weights()),
        "passes": fit.passes,
    }


def known(path: Path) -> pd.DataFrame:
    """Runs that a file has."""
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=COLUMNS)


def tune(name: str) -> None:
    """Print the validation loss of many settings on one seed."""
    passes = PROBLEMS[name][1] * PROBLEMS[name][2]
    tried = {}

    def attempt(settings: Settings) -> None:
        if settings not in tried:
            tried[settings] = run_gromo(name, settings, TUNED_ON, passes)
            print(f"{name}: {tried[settings]['validation']:.4g} with {settings}", flush=True)

    def best() -> Settings:
        return min(tried, key=lambda s: tried[s]["validation"])

    for kind, hidden in (("MLP", 1), ("MLP", 2), ("MLP", 3), ("residual", 1), ("residual", 2)):
        attempt(Settings(kind, hidden))
    for activation in ACTIVATIONS:
        attempt(replace(best(), activation=activation))
    for update in ("TINY", "GradMax"):
        attempt(replace(best(), update=update))
    for growths in (1, 2, 8):
        attempt(replace(best(), growths=growths))
    print(f"{name}: least with {best()}")


def run_depth(name: str, method: str, activation: str, seed: int) -> dict[str, object]:
    """A row of ours: that of `growth.py`'s file, run where it has none."""
    kept, (make, _, layers) = known(RESULTS.with_name("growth.csv")), PROBLEMS[name]
    key = {"problem": name, "activation": activation, "method": method, "seed": seed}
    found = kept[(kept[list(key)] == pd.Series(key)).all(axis=1)] if len(kept) else kept
    row = found.iloc[0].to_dict() if len(found) else run_ours(*key.values(), factor=1.0)
    scores = layers - 1 if method == "topological" else 0
    weights = deep(make(seed, activation), layers).n_weights
    return {**row, "passes": int(row["evaluations"]) + scores, "weights": weights}


def run(name: str, method: str, seed: int, passes: int | None) -> dict[str, object]:
    """One run; None passes for the first, which says how many the others get."""
    chosen = CHOSEN[name]
    if method.startswith("gromo"):
        assert passes is not None
        update = method.removeprefix("gromo").strip() or chosen.update
        row = run_gromo(name, replace(chosen, update=update), seed, passes)
    else:
        activation = chosen.activation if method == SAME else "silu_tanh"
        row = run_depth(name, method.split(",")[0], activation, seed)
    return {**row, "problem": name, "method": method, "seed": seed}


def table(results: pd.DataFrame, name: str) -> str:
    """One problem as a table in Markdown."""
    rows = results[results["problem"] == name]
    first = rows[rows["method"] == "topological"].set_index("seed")
    chosen = CHOSEN[name]
    network = f"{chosen.kind}, {chosen.hidden} hidden" + (" blocks" if chosen.kind != "MLP" else "")
    lines = [
        f"\n**{name}** (gromo: {network}, {chosen.activation}, {chosen.update} update, "
        f"growths: {chosen.growths or PROBLEMS[name][2] - 1})\n",
        "| | seeds | weights | passes | objective | above | test error | above |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        own = rows[rows["method"] == method].set_index("seed")
        if len(own) < 2:
            continue
        cells = [
            method,
            f"{len(own)}",
            f"{own['weights'].mean():.0f}",
            f"{own['passes'].mean():.0f}",
        ]
        for column in ("objective", "error"):
            cells.append(f"{own[column].mean():.4g} ± {own[column].std():.2g}")
            cells.append("" if method == "topological" else versus(first[column], own[column]))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", default=",".join(CHOSEN))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where runs are kept")
    parser.add_argument("--tune", action="store_true", help="try settings on a seed of its own")
    parser.add_argument("--table", action="store_true", help="run nothing")
    asked = parser.parse_args()
    names, done = asked.problems.split(","), known(asked.results)
    for name in names if asked.tune else []:
        tune(name)
    for name in [] if asked.tune or asked.table else names:
        methods = [m for m in METHODS if m != SAME or CHOSEN[name].activation in OURS]
        for seed in range(asked.seeds):
            here = done[(done["problem"] == name) & (done["seed"] == seed)]
            rows = {row["method"]: row for row in here.to_dict("records")}
            for method in methods:
                if method not in rows:
                    passes = int(rows["topological"]["passes"]) if rows else None
                    rows[method] = run(name, method, seed, passes)
                    done = pd.concat([done, pd.DataFrame([rows[method]])[COLUMNS]])
                    done.to_csv(asked.results, index=False, float_format="%.6g")
    if not asked.tune:
        text = "\n".join(table(done, name) for name in CHOSEN if name in set(done["problem"]))
        print(text)
        asked.results.with_suffix(".md").write_text(text.strip() + "\n")


if __name__ == "__main__":
    main()
