"""Growing convolution and attention networks: the topological derivative against its controls.

    pip install -e '.[bench,learn,test]'
    python benchmarks/growth_blocks.py                    # MNIST, ten seeds
    python benchmarks/growth_blocks.py --images digits --seeds 3

Images as tokens of 4 x 4 pixels (of 2 x 2, digits) with 12 channels, behind one attention and one token block: twenty epochs
of Adam, one block more or none, ten epochs more.  600 images of MNIST train, 600 test; of digits 70 and 30 %.

    topological   the best place of a kind, with the best directions, epsilon by a line search
    random        any place, a random direction, epsilon by a line search
    net2deeper    any place, the identity with a little noise

"above" is by how much loss and test error are above those of the topological derivative: the 95 % interval of the mean
difference over the seeds, in per cent of the topological derivative's mean.  Runs go to ``results/growth_blocks.csv``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pandas as pd

from collocode import layered
from collocode.layered.equinox_blocks import StreamNetwork, stream_network
from collocode.layered.growth.stream_training import train_stream
from collocode.layered.growth.topological_blocks import (
    BlockScores,
    block_scores,
    insert_block,
    put_block,
)
from growth import versus
from models import mnist

RESULTS = Path(__file__).parent / "results" / "growth_blocks.csv"
KINDS = ("token", "attention", "convolution")
METHODS = ("topological", "random", "net2deeper")


def images(name: str, seed: int) -> tuple[layered.Samples, layered.Samples, int, int]:
    """Training and test samples, pixels along a side, and along a side of a token."""
    if name == "digits":
        return (*layered.dataset("digits", seed=seed), 8, 2)
    train, test, _ = layered.Samples(*mnist.images()).split(600, 600, seed=seed)
    return train, test, 28, 4


def drawn(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random unit rows."""
    rows = rng.standard_normal(shape)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def extended(
    network: StreamNetwork,
    samples: layered.Samples,
    scores: BlockScores,
    kind: str,
    method: str,
    rng: np.random.Generator,
) -> StreamNetwork:
    """The network with one block more."""
    rows = np.flatnonzero(scores.table["kind"] == kind)
    if method == "topological":
        row = int(rows[scores.table["score"][rows].argmax()])
        done = insert_block(network, samples, scores, row)
        assert done is not None
        return done.network
    row = int(rng.choice(rows))
    direction = drawn(scores.weights[row].shape, rng)
    place = int(scores.table["position"][row])
    if method == "random":
        weights = list(scores.weights)
        weights[row] = direction
        done = insert_block(network, samples, replace(scores, weights=tuple(weights)), row)
        if done is not None:
            return done.network
    return put_block(network, place, kind, 1e-2 * direction)


def runs(name: str, seed: int) -> list[dict[str, object]]:
    """All methods of one seed."""
    samples, test, side, patch = images(name, seed)
    first = stream_network(side, 10, 12, ("attention", "token"), patch=patch, seed=seed)
    first, _ = train_stream(first, samples, seed=seed, epochs=20)
    scores = block_scores(first, samples.take(range(256)), KINDS)
    rng = np.random.default_rng(seed)
    starts = {("none", "topological"): first}
    for kind in KINDS:
        for method in METHODS:
            starts[kind, method] = extended(first, samples, scores, kind, method, rng)
    found = []
    for (kind, method), network in starts.items():
        _, history = train_stream(network, samples, test, seed=seed + 100, epochs=10)
        last, row = history.iloc[-1], {"images": name, "seed": seed, "kind": kind, "method": method}
        soon = {"soon": history["loss"].iloc[0]}
        found.append({**row, **soon, "loss": last["loss"], "error": 1.0 - last["validation"]})
    return found


def table(results: pd.DataFrame, name: str) -> str:
    """Losses and errors as a table in Markdown."""
    lines = [
        f"\n**{name}** ({results['seed'].nunique()} seeds)\n",
        "| new block | loss after one epoch | above | loss after ten | above | test error | above |",
        "|---|---|---|---|---|---|---|",
    ]
    for (kind, method), own in results.groupby(["kind", "method"], sort=False):
        best = (results["kind"] == kind) & (results["method"] == "topological")
        cells = [kind if kind == "none" else f"{kind}, {method}"]
        for column in ("soon", "loss", "error"):
            values, first = own.set_index("seed")[column], results[best].set_index("seed")[column]
            cells.append(f"{values.mean():.4g} ± {values.std():.2g}")
            cells.append("" if method == "topological" else versus(first, values))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", default="mnist", choices=("mnist", "digits"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="run nothing")
    asked = parser.parse_args()
    done = pd.read_csv(asked.results) if asked.results.exists() else pd.DataFrame({"images": []})
    for seed in [] if asked.table else range(asked.seeds):
        own = done[done["images"] == asked.images]
        if len(own) and seed in set(own["seed"]):
            continue
        done = pd.concat([done, pd.DataFrame(runs(asked.images, seed))], ignore_index=True)
        done.to_csv(asked.results, index=False, float_format="%.6g")
    print(table(done[done["images"] == asked.images], asked.images))


if __name__ == "__main__":
    main()
