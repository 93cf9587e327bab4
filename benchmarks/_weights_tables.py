"""Tables and the figure of ``weights_in_time.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from collocode.plots import save_figure, style

KEYS = ("data", "trainer", "basis", "seed")
POLYNOMIALS = ("monomial 3 on [0, T]", "monomial 3 on [0, 1]", "Legendre 3")


def report(runs: pd.DataFrame, history: pd.DataFrame, references: dict, gap: pd.DataFrame) -> str:
    """All tables in Markdown."""
    parts = []
    for name, (affine, stored) in references.items():
        own = runs[runs["data"] == name]
        parts.append(f"### {name}\n\n{summary(own)}\n")
        line = f"Affine least squares: {affine['test']:.4f} ({affine['frobenius']:.4f})."
        parts.append(
            line + (f" Stored runs of the public code: {', '.join(stored)}." if stored else "")
        )
        parts.append(evaluations_to_target(own, history[history["data"] == name]))
        parts.append(against_adam(own, history[history["data"] == name]))
        parts.append(at_equal_work(own, history[history["data"] == name]))
    parts.append("### Gradients: optimize-then-discretize against discretize-then-optimize\n")
    parts.append(markdown(gap.map(lambda v: f"{v:.1e}" if v < 1 else f"{v:.0f}")))
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(runs: pd.DataFrame) -> str:
    """A row a trainer and basis: means and spreads over the seeds."""
    rows = []
    for (trainer, label), group in runs.groupby(["trainer", "basis"], sort=False):
        test = group["test"]
        rows.append(
            {
                "trainer": trainer,
                "basis": label,
                "weights in time / all": f"{group['weights in time'].iloc[0]} / {group['weights'].iloc[0]}",
                "cond. Gram": f"{group['condition'].iloc[0]:.1e}",
                "validation": f"{group['validation'].mean():.4f}",
                "test ± spread": f"{test.mean():.4f} ± {test.std(ddof=0):.4f}",
                "worst": f"{test.max():.4f}",
                "Frobenius": f"{group['frobenius'].mean():.4f}",
                "CPU s": f"{group['seconds'].mean():.1f}",
                "passes": f"{group['evaluations'].mean():.0f}",
                "right-hand sides": f"{group['right-hand sides'].mean():.0f}",
                "failed": f"{group['failed'].sum()} of {len(group)}",
            }
        )
    return markdown(pd.DataFrame(rows))


def evaluations_to_target(runs: pd.DataFrame, history: pd.DataFrame) -> str:
    """Passes until the validation error that Legendre and a rival both reach, seed by seed."""
    rows = []
    for trainer in runs["trainer"].unique():
        own = history[history["trainer"] == trainer]
        for rival in (*POLYNOMIALS[:2], "none"):
            pair = own[own["basis"].isin([rival, "Legendre 3"])]
            if pair["basis"].nunique() < 2:
                continue
            needed = []
            for _, group in pair.groupby("seed"):
                if group["basis"].nunique() < 2:  # not yet made
                    continue
                target = group.groupby("basis")["validation"].min().max()
                needed.append([_passes(group, label, target) for label in (rival, "Legendre 3")])
            if not needed:
                continue
            theirs, legendre = np.array(needed).T
            rows.append(
                {
                    "trainer": trainer,
                    "rival": rival,
                    "its passes": f"{theirs.mean():.0f}",
                    "Legendre 3": f"{legendre.mean():.0f}",
                    "ratio (geometric mean)": f"{np.exp(np.log(theirs / legendre).mean()):.2f}",
                    "Legendre first": f"{(legendre < theirs).sum()} of {len(needed)}",
                }
            )
    title = (
        "Passes until the validation error that both reach, Legendre 3 and a rival, seed by seed "
        "(means):"
    )
    return f"{title}\n\n{markdown(pd.DataFrame(rows))}" if rows else ""


def _passes(group: pd.DataFrame, label: str, target: float) -> float:
    run = group[group["basis"] == label]
    return float(run.loc[run["validation"] <= target, "evaluations"].iloc[0])


def at_equal_work(runs: pd.DataFrame, history: pd.DataFrame) -> str:
    """Validation errors of both orders, L-BFGS and Legendre 3, at the right-hand sides that both have used."""

    def best(trainer: str, seed: int, work: float) -> float:
        run = history[(history["trainer"] == trainer) & (history["basis"] == "Legendre 3")]
        run = run[(run["seed"] == seed) & (run["rhs"] <= work)]
        return float(run["validation"].min())

    lines = []
    own = runs[runs["basis"] == "Legendre 3"]
    total = own.set_index(["trainer", "seed"])["right-hand sides"]
    for trainer in [name for name in own["trainer"].unique() if "OTD" in name]:
        pairs = []
        for seed in own.loc[own["trainer"] == trainer, "seed"]:
            if ("lbfgs", seed) not in total.index:
                continue
            work = min(total["lbfgs", seed], total[trainer, seed])
            pairs.append((best("lbfgs", seed, work), best(trainer, seed, work), work))
        if pairs:
            layers, equation, work = np.array(pairs).T
            lines.append(
                f"At {work.mean():.0f} right-hand sides each ({len(pairs)} seeds): validation error "
                f"{layers.mean():.4f} ± {layers.std():.4f} of layers, {equation.mean():.4f} ± "
                f"{equation.std():.4f} of {trainer}."
            )
    return " ".join(lines)


def against_adam(runs: pd.DataFrame, history: pd.DataFrame) -> str:
    """Time of Gauss-Newton to the loss at which Adam ends, seed by seed, Legendre of order 3."""
    lines = []
    for label in ("Legendre 3", "Legendre 3, batches of 50"):
        adam = runs[(runs["trainer"] == "adam") & (runs["basis"] == label)]
        newton = history[
            (history["trainer"] == "gauss-newton") & (history["basis"] == "Legendre 3")
        ]
        shares = []
        for _, run in adam.iterrows():
            own = newton[newton["seed"] == run["seed"]]
            reached = own[own["objective"] <= run["objective"]]
            shares.append(
                float(reached["cpu"].iloc[0] / run["seconds"]) if len(reached) else float("inf")
            )
        if shares:
            how = "in minibatches" if "batches" in label else "with all samples"
            lines.append(
                f"Gauss-Newton reaches the loss at which Adam {how} ends in "
                f"{', '.join(f'{100 * s:.1f} %' for s in shares)} of Adam's time, seed by seed."
            )
    return " ".join(lines)


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(map(str, table.columns))} |", "|---" * len(table.columns) + "|"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in table.itertuples(index=False)]
    return "\n".join(lines)


@style.styled
def _drawn(runs: pd.DataFrame, history: pd.DataFrame, references: dict) -> object:
    names = list(references)
    figure = style.new_figure(9.6, 3.6 * len(names))
    axes = figure.subplots(len(names), 2, squeeze=False)
    for (left, right), name in zip(axes, names, strict=True):
        own = runs[(runs["data"] == name) & (runs["trainer"] == "gauss-newton")]
        labels = list(own["basis"].unique())
        for i, label in enumerate(labels):
            test = own.loc[own["basis"] == label, "test"]
            left.plot(np.full(len(test), i), test, color=style.BLUE, marker="o", linestyle="none")
            left.plot([i - 0.3, i + 0.3], [test.mean()] * 2, color=style.INK)
        left.axhline(references[name][0]["test"], color=style.MUTED, linestyle=":")
        left.set_xticks(range(len(labels)), labels, rotation=25, ha="right", fontsize=8)
        left.set_yscale("log")
        left.set_title(f"{name}: test error, Gauss-Newton; dotted: affine", fontsize=9)
        colours = dict(
            zip(
                ("gauss-newton", "lbfgs", "adam"),
                (style.BLUE, style.GREEN, style.ORANGE),
                strict=True,
            )
        )
        for trainer, colour in colours.items():
            for label, dash in zip(POLYNOMIALS, (":", "--", "-"), strict=True):
                part = history[
                    (history["data"] == name)
                    & (history["trainer"] == trainer)
                    & (history["basis"] == label)
                ]
                for seed, run in part.groupby("seed"):
                    text = f"{trainer}, {label}" if seed == 0 else None
                    right.plot(
                        run["cpu"], run["validation"], dash, color=colour, linewidth=0.9, label=text
                    )
        right.set_xscale("log")
        right.set_yscale("log")
        right.set_xlabel("processor time (s)")
        right.set_title(f"{name}: validation error", fontsize=9)
    handles, texts = axes[0][1].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def figure(runs: pd.DataFrame, history: pd.DataFrame, references: dict, path: Path) -> None:
    """Errors of all seeds by basis; validation error over time by trainer."""
    save_figure(_drawn(runs, history, references), path)
