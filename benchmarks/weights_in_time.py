"""Weights as polynomials in depth: which basis trains best, by which trainer, at what cost?

    python benchmarks/weights_in_time.py                                # our own data, 2 minutes
    python benchmarks/weights_in_time.py --cdr cdr.mat --elm elm.mat --dcr 300    # the study, half an hour
    python benchmarks/weights_in_time.py --dcr 60 --seeds 1 --only leapfrog       # a part of it, seconds
    python benchmarks/weights_in_time.py --quick                        # a look, seconds

Every run is written when it ends, to the folder ``--out``; the same command goes on where it was stopped.

A residual network (trained opening, twelve Euler steps, affine read-out) stands in for a simulation.
Its weights in time are free in every layer, or monomials on [0, T] or [0, 1], or Legendre polynomials;
all start from the same network, constant in time, for each of five seeds.

``--cdr`` is a file with Y (55 × 800) and C (72 × 800): 400/200/200 samples in the file's order, as they
are. ``--elm`` has xall, yall, paramrange and idtrain, idval, idtest: features to [-1, 1] by paramrange,
targets to [0, 1] by the training part.  ``--dcr`` simulates so many samples of
``models/dc_resistivity.py`` to train with, and a third as many for either other part.  Regularisation, T and iterations were chosen once, on the
validation part, with seed 0 and Legendre polynomials of order 3; the weights of every run are those of
least validation loss.  Errors are on the test part: the mean over samples of |error| / |target|, and
beside it the ratio of Frobenius norms.  A run has failed if it ends with infinite values or is no better
than affine least squares.  Times are processor times, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

import _weights_tables as tables

sys.path.insert(0, str(Path(__file__).parents[1]))

import collocode as cc
from collocode import layered
from collocode.layered.continuous import gradient_gap
from collocode.numerics.bases import basis
from models import convection_diffusion_reaction as own
from models import dc_resistivity

LAYERS = 12
GAUSS_NEWTON = {
    "none": ("layers", 0),
    "monomial 3 on [0, T]": ("monomial", 3),
    "monomial 3 on [0, 1]": ("monomial-unit", 3),
    **{f"Legendre {d}": ("legendre", d) for d in (3, 4, 5, 6)},
}
BLOCKS = ("antisymmetric", "leapfrog", "hamiltonian")
FIRST_ORDER = {name: GAUSS_NEWTON[name] for name in list(GAUSS_NEWTON)[:4]}


@dataclass(frozen=True)
class Study:
    """A data set with the settings that were chosen for it."""

    name: str
    parts: tuple[layered.Samples, layered.Samples, layered.Samples]
    penalty: layered.Regularisation
    iterations: int
    rounds: int  # of L-BFGS
    epochs: int = 0  # of Adam; 0 leaves it out
    adjoint_rounds: int = 20  # of L-BFGS, continuous adjoint: half the work of ``rounds`` or more
    rate: float = 1e-2
    width: int = 15
    depth: float = 5.0
    small: int = 0  # a width at which all weights together are fewer than 2000
    stored: tuple[str, ...] = ()  # errors that the public code's stored runs state

    def objective(
        self, kind: str, order: int, width: int | None = None, block: str = "residual"
    ) -> layered.Objective:
        mesh = cc.Mesh.uniform(0.0, self.depth, LAYERS)
        time_basis = basis(kind, order, (0.0, self.depth), points=mesh)
        train = self.parts[0]
        network = layered.LayeredNetwork(
            train.inputs,
            train.Y.shape[1],
            width or self.width,
            mesh,
            time_basis,
            layered.block(block),
            lift="opening",
        )
        return layered.Objective(network, train, regularisation=self.penalty)


def cdr(path: Path) -> Study:
    samples = layered.read_samples(path, "Y", "C", transpose=True)
    parts = layered.split_samples(samples, 400, 200, 200, seed=None)
    penalty = layered.Regularisation(1e-3, 1e-5, 1e-3)
    stored = ("free .0216", "Legendre .0131", "monomial .0215")
    return Study("CDR", parts, penalty, 40, 600, 1500, adjoint_rounds=150, small=9, stored=stored)


def elm(path: Path) -> Study:
    arrays = layered.read_arrays(path)
    rows = (arrays[f"id{part}"] for part in ("train", "val", "test"))
    parts = layered.split_samples(layered.read_samples(path, "xall", "yall"), *rows, first=1)
    ranges = layered.Scaling(*arrays["paramrange"].T)
    penalty = layered.Regularisation(1e-6, 1e-5, 1e-6)
    stored = ("free .2725", "Legendre .249", "monomial .273")
    return Study("ELM", layered.scale_parts(parts, ranges)[0], penalty, 20, 400, stored=stored)


def dcr(samples: int) -> Study:
    problem = dc_resistivity.problem(samples)
    parts = (problem.samples, problem.validation, problem.test)
    penalty = layered.Regularisation(1e-6, 1e-6, 1e-6)
    return Study("DCR", parts, penalty, 40, 400, width=16)


def generated() -> Study:
    problem = own.problem()
    parts = (problem.samples, problem.validation, problem.test)
    return Study("generated", parts, problem.regularisation, 30, 400, 1500, width=10, depth=3.0)


def affine(study: Study) -> dict[str, float]:
    """Errors of affine least squares."""
    columns = [np.column_stack([part.X, np.ones(len(part))]) for part in study.parts]
    W = np.linalg.lstsq(columns[0], study.parts[0].Y, rcond=None)[0]
    return errors([c @ W for c in columns], study)


def errors(outputs: list[np.ndarray], study: Study) -> dict[str, float]:
    found = {
        part: layered.relative_error(u, samples.Y)
        for part, u, samples in zip(
            ("train", "validation", "test"), outputs, study.parts, strict=True
        )
    }
    test = study.parts[2].Y
    return found | {"frobenius": float(np.linalg.norm(outputs[2] - test) / np.linalg.norm(test))}


def measured(
    study: Study, label: str, kind: tuple[str, int], trainer: object, seed: int, how: dict
) -> tuple[dict, pd.DataFrame]:
    """One run: its row of the table, and its history with processor times."""
    how = dict(how)
    objective = study.objective(*kind, how.pop("width", None), how.pop("block", "residual"))
    adjoint = how.pop("adjoint", None)
    if adjoint:
        objective = layered.ContinuousObjective.of(
            objective, rtol=1e-4, atol=1e-6, adjoint_method=adjoint
        )
        objective.gradient(objective.network.initial(seed))  # compiled before the clock starts
        objective = replace(objective, work=type(objective.work)())
    clock: list[float] = []
    spent: list[float] = []
    work = getattr(objective, "work", None)
    began = time.process_time()

    def look(step: layered.Step) -> None:
        clock.append(time.process_time() - began)
        layers = LAYERS * (step.evaluations + step.gradients)
        spent.append(layers if work is None else work.forward + work.backward)

    done = layered.train(
        objective,
        trainer,
        validation=study.parts[1],
        seed=seed,
        tolerance=0.0,
        callback=look,
        **how,
    )
    seconds = time.process_time() - began
    network = objective.network
    found = errors([objective.on(part).evaluate(done.best).outputs for part in study.parts], study)
    passes = LAYERS * (done.evaluations + done.gradients)
    if work is not None:
        passes = work.forward + work.backward
    coefficients = network.slices["coefficients"]
    lost = done.termination.failed or not np.isfinite(found["test"])
    row = {
        "data": study.name,
        "trainer": done.trainer if work is None else f"{done.trainer}, OTD, {adjoint}",
        "basis": label,
        "seed": seed,
        **found,
        "weights in time": coefficients.stop - coefficients.start,
        "weights": network.n_weights,
        "condition": np.linalg.cond(network.time_basis.gram()),
        "iterations": done.iterations,
        "evaluations": done.evaluations,
        "right-hand sides": passes,
        "seconds": seconds,
        "failed": bool(lost or found["test"] >= affine(study)["test"]),
        "objective": done.objective,
        "status": done.status,
    }
    return row, done.history.assign(cpu=clock, rhs=spent, **{k: row[k] for k in tables.KEYS})


def plan(study: Study, share: float) -> list[tuple[str, tuple[str, int], object, dict]]:
    """Label, basis, trainer and limits of every run that is made for each seed."""
    newton = {"iterations": max(3, int(share * study.iterations)), "patience": 15}
    rounds = {"iterations": max(10, int(share * study.rounds)), "patience": 150}
    runs: list = [(label, kind, "gauss-newton", newton) for label, kind in GAUSS_NEWTON.items()]
    legendre = GAUSS_NEWTON["Legendre 3"]
    if study.small:
        label = f"Legendre 3, width {study.small}"
        runs.append((label, legendre, "gauss-newton", newton | {"width": study.small}))
    for block in BLOCKS:
        runs.append((f"Legendre 3, {block}", legendre, "gauss-newton", newton | {"block": block}))
        runs.append((f"none, {block}", ("layers", 0), "gauss-newton", newton | {"block": block}))
    runs += [(label, kind, "lbfgs", rounds) for label, kind in FIRST_ORDER.items()]
    fewer = rounds | {"iterations": max(10, int(share * study.adjoint_rounds))}
    for adjoint in ("continuous", "exact"):
        runs.append(("Legendre 3", legendre, "lbfgs", fewer | {"adjoint": adjoint}))
    if study.epochs:
        epochs = {"iterations": max(10, int(share * study.epochs)), "every": 5}
        adam = layered.Adam(study.rate)
        runs += [(label, kind, adam, epochs) for label, kind in FIRST_ORDER.items()]
        batches = {"iterations": max(3, int(share * study.epochs / 5))}
        runs.append(("Legendre 3, batches of 50", legendre, replace(adam, batch=50), batches))
    return runs


class Kept:
    """Runs that are done, in two files of a folder: a run that is there is not made again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.files = folder / "runs.csv", folder / "history.csv"
        self.runs, self.history = (
            pd.read_csv(file) if file.exists() else pd.DataFrame() for file in self.files
        )

    def row(self, key: tuple) -> dict | None:
        """The row of a run, by data, trainer, basis, seed, samples and share; None if there is none."""
        if self.runs.empty:
            return None
        columns = self.runs[[*tables.KEYS, "samples", "share"]]
        found = self.runs[(columns == pd.Series(key, columns.columns)).all(axis=1)]
        return None if found.empty else found.iloc[0].to_dict()

    def add(self, row: dict, history: pd.DataFrame) -> None:
        """Keep a run; its row is written last, so that half a run is made again."""
        history = history.assign(samples=row["samples"], share=row["share"])
        self.history = pd.concat([self.history, history], ignore_index=True)
        self.runs = pd.concat([self.runs, pd.DataFrame([row])], ignore_index=True)
        self.history.to_csv(self.files[1], index=False)
        self.runs.to_csv(self.files[0], index=False)

    def of(self, asked: list[tuple[str, int, float]]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Runs and histories of some data, their samples and shares."""
        wanted = pd.DataFrame(asked, columns=["data", "samples", "share"])
        return self.runs.merge(wanted), self.history.merge(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cdr", type=Path, help="cdr.mat")
    parser.add_argument("--elm", type=Path, help="elm.mat")
    parser.add_argument("--dcr", type=int, help="simulated samples to train with")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--only",
        action="append",
        help="part of the trainer and basis of what is run; may be repeated",
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the iterations")
    parser.add_argument("--quick", action="store_true", help="one seed, a tenth of the iterations")
    parser.add_argument("--out", type=Path, default=Path("results/weights_in_time"))
    given = parser.parse_args()
    studies = [cdr(given.cdr)] if given.cdr else []
    studies += [elm(given.elm)] if given.elm else []
    studies += [dcr(given.dcr)] if given.dcr else []
    studies = studies or [generated()]
    share, seeds = (0.1, 1) if given.quick else (given.share, given.seeds)
    kept = Kept(given.out)
    for study in studies:
        for label, kind, trainer, how in plan(study, share):
            name = trainer if isinstance(trainer, str) else trainer.name
            adjoint = f", OTD, {how['adjoint']}" if "adjoint" in how else ""
            order = f"OTD {how['adjoint']}" if adjoint else "layers"
            if not any(part in f"{name} {order} {label}" for part in given.only or [""]):
                continue
            for seed in range(seeds):
                key = (study.name, name + adjoint, label, seed, len(study.parts[0]), share)
                row = kept.row(key)
                if row is None:
                    row, history = measured(study, label, kind, trainer, seed, how)
                    kept.add(row | {"samples": key[4], "share": share}, history)
                shown = f"{row['data']} {row['trainer']:16} {label:26} seed {seed}: test {row['test']:.4f}"
                print(f"{shown}, {row['seconds']:.1f} s, {row['status']}", flush=True)
    runs, history = kept.of([(s.name, len(s.parts[0]), share) for s in studies])
    study = studies[0]
    objective = study.objective("legendre", 3)
    gap = gradient_gap(objective, objective.network.initial(0))
    references = {s.name: (affine(s), s.stored) for s in studies}
    text = tables.report(runs, history, references, gap)
    (given.out / "tables.md").write_text(text, encoding="utf-8")
    tables.figure(runs, history, references, given.out / "weights_in_time.png")
    print(f"\n{text}\nwrote {given.out}")


if __name__ == "__main__":
    main()
