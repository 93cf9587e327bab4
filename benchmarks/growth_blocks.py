"""Growing convolution and attention networks: the topological derivative against its controls.

    pip install -e '.[bench,learn,test]'
    python benchmarks/growth_blocks.py                            # MNIST, 600 images, ten seeds
    python benchmarks/growth_blocks.py --train 200 --seeds 3      # fewer
    python benchmarks/growth_blocks.py --images digits --seeds 3
    python benchmarks/growth_blocks.py --epochs 100 50 --seeds 5  # until they are trained

Images as tokens of 4 x 4 pixels (of 2 x 2, digits) with 12 channels, behind one attention and one token block: twenty epochs
of Adam, one block more or none, ten epochs more (or ``--epochs``).  600 images of MNIST train (or ``--train``), 600 others test; of digits 70
and 30 %.

    topological   the best place of a kind, with the best directions, epsilon by a line search
    random        any place, a random direction, epsilon by a line search
    net2deeper    any place, the identity with a little noise
    forward       a random block at the end, all before it frozen, the read-out trained
    scratch       the block at any place from the beginning, for as many epochs as both together

"above" is by how much loss and test error are above those of the topological derivative: the 95 % interval of the mean
difference over the seeds, in per cent of the topological derivative's mean; a star where it does not hold zero.  Runs go to
``results/growth_blocks.csv`` as they end, those that are there are not made again, and the tables of all to
``results/growth_blocks.md``, which ``docs/background/growing.md`` shows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
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
METHODS = ("topological", "random", "net2deeper", "forward", "scratch")
FIRST = ("attention", "token")
EPOCHS = [20, 10]  # before the new block, and with it


class OnlyLast(StreamNetwork):
    """A network of which the last block and the read-out are trained."""

    def __call__(self, X: jax.Array) -> jax.Array:
        x = self.embed(X)
        for block in self.blocks[:-1]:
            x = block(x)
        return self.read(self.blocks[-1](jax.lax.stop_gradient(x)))

    @classmethod
    def of(cls, network: StreamNetwork) -> OnlyLast:
        return cls(**{field.name: getattr(network, field.name) for field in fields(network)})


def images(name: str, train: int, seed: int) -> tuple[layered.Samples, layered.Samples, int, int]:
    """Training and test samples, pixels along a side, and along a side of a token."""
    if name == "digits":
        return (*layered.dataset("digits", seed=seed), 8, 2)
    own, test, _ = layered.Samples(*mnist.images()).split(train, 600, seed=seed)
    return own, test, 28, 4


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
    if method == "forward":
        last = rows[scores.table["position"][rows].argmax()]
        end = drawn(scores.weights[last].shape, rng)
        return OnlyLast.of(put_block(network, len(network.blocks), kind, end))
    if method == "random":
        weights = list(scores.weights)
        weights[row] = direction
        done = insert_block(network, samples, replace(scores, weights=tuple(weights)), row)
        if done is not None:
            return done.network
    return put_block(network, place, kind, 1e-2 * direction)


def runs(
    name: str, train: int, seed: int, epochs: list[int], known: set[tuple[str, str]]
) -> Iterator[dict[str, object]]:
    """The methods of one seed, but for those that are known."""
    samples, test, side, patch = images(name, train, seed)

    def fresh(blocks: tuple[str, ...]) -> StreamNetwork:
        return stream_network(side, 10, 12, blocks, patch=patch, seed=seed)

    before, after = epochs
    first, _ = train_stream(fresh(FIRST), samples, seed=seed, epochs=before)
    scores = block_scores(first, samples.take(range(min(256, len(samples)))), KINDS)
    rng = np.random.default_rng(seed)
    starts = {("none", "longer"): first}
    for kind in KINDS:
        for method in METHODS:
            if method == "scratch":
                place = int(rng.integers(len(FIRST) + 1))
                starts[kind, method] = fresh((*FIRST[:place], kind, *FIRST[place:]))
            else:
                starts[kind, method] = extended(first, samples, scores, kind, method, rng)
    best = str(scores.table["kind"][scores.table["score"].argmax()])
    for kind, method in [pair for pair in starts if pair not in known]:
        whole = method == "scratch"
        passes = before + after if whole else after
        network = starts[kind, method]
        _, history = train_stream(network, samples, test, seed=seed + 100, epochs=passes)
        last = history.iloc[-1]
        row = {"images": name, "train": train, "epochs": f"{before} + {after}", "seed": seed}
        row |= {"kind": kind, "method": method}
        row |= {"picked": best, "soon": np.nan if whole else history["loss"].iloc[0]}
        yield row | {"loss": last["loss"], "error": 1.0 - last["validation"]}


def table(results: pd.DataFrame) -> str:
    """Losses and errors of one set of images as a table in Markdown."""
    name, train, epochs = results[["images", "train", "epochs"]].iloc[0]
    seeds = results.groupby("seed")["picked"].first()
    picked = ", ".join(f"{kind} {count}" for kind, count in seeds.value_counts().items())
    lines = [
        f"**{name}, {train} images, {epochs} epochs** ({len(seeds)} seeds; kind with the highest score: {picked})\n",
        "| new block | loss after one epoch | above | loss at the end | above | test error | above |",
        "|---|---|---|---|---|---|---|",
    ]
    for (kind, method), own in results.groupby(["kind", "method"], sort=False):
        best = (results["kind"] == kind) & (results["method"] == "topological")
        cells = [kind if kind == "none" else f"{kind}, {method}"]
        for column in ("soon", "loss", "error"):
            values, first = own.set_index("seed")[column], results[best].set_index("seed")[column]
            known = values.notna().all()
            cells.append(f"{values.mean():.4g} ± {values.std():.2g}" if known else "")
            compared = known and kind != "none" and method != "topological"
            cells.append(versus(first, values) if compared else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", default="mnist", choices=("mnist", "digits"))
    parser.add_argument("--train", type=int, default=600, help="images of MNIST that train")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument(
        "--epochs", type=int, nargs=2, default=EPOCHS, help="before the new block, and with it"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="run nothing")
    asked = parser.parse_args()
    train = asked.train if asked.images == "mnist" else 1257  # of digits 70 %
    epochs = "{} + {}".format(*asked.epochs)
    columns = ["images", "train", "epochs", "seed", "kind", "method"]
    done = pd.read_csv(asked.results) if asked.results.exists() else pd.DataFrame(columns=columns)
    for seed in [] if asked.table else range(asked.seeds):
        key = {"images": asked.images, "train": train, "epochs": epochs, "seed": seed}
        there = (done[list(key)] == pd.Series(key)).all(axis=1)
        known = set(done.loc[there, ["kind", "method"]].itertuples(index=False, name=None))
        if len(known) == 1 + len(KINDS) * len(METHODS):
            continue
        for row in runs(asked.images, train, seed, asked.epochs, known):
            new = pd.DataFrame([row])
            done = new if done.empty else pd.concat([done, new], ignore_index=True)
            done.to_csv(asked.results, index=False, float_format="%.6g")
    text = "\n\n".join(
        table(own) for _, own in done.groupby(["images", "train", "epochs"], sort=False)
    )
    asked.results.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
