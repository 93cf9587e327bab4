"""Measures and sizes of ``relu.py``, and how its rows become tables, text and a figure."""

from __future__ import annotations

import argparse
import os
import platform
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

MEASURES = {
    "none": {},
    "L1": {"l1": 1e-4},
    "L2": {"l2": 1e-4},
    "dropout": {"dropout": 0.01},
    "big-M": {"big_m": 3e-3},
    "unstable": {"unstable": 5e-2},
    "clip": {"clip": 1.0},
}
SIZES = {  # hidden widths of the smaller and the larger network
    "peaks": ((16, 16), (12,) * 5),
    "reactor": ((16, 16), (12,) * 5),
    "ackley": ((16, 16), (14,) * 5),
}
BOUNDS = ("interval", "lp", "split")
GAP = 1e-4  # relative, of HiGHS
COLOURS = ("#222222", "#0072B2", "#56B4E9", "#D55E00", "#009E73", "#E69F00", "#CC79A7")


def geometric(values: pd.Series) -> float:
    """Geometric mean."""
    return float(np.exp(np.mean(np.log(values))))


def paired(rows: pd.DataFrame, one: dict, other: dict) -> pd.Series:
    """Total times of way ``one`` over those of way ``other``, network by network."""
    keys = ["problem", "size", "measure", "seed"]

    def chosen(way: dict) -> pd.Series:
        mask = np.logical_and.reduce([rows[name] == value for name, value in way.items()])
        return rows[mask].set_index(keys)["total_s"]

    ratio = (chosen(one) / chosen(other)).dropna()
    return ratio


def usual(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of every network's own encoding without scaling."""
    own = np.where(rows["measure"] == "clip", "clipped", "bigm")
    return rows[(rows["encoding"] == own) & (rows["scaling"] == "none")]


def measures_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a problem, size and measure: what training did, under both bound sets."""
    lines = []
    ours = usual(rows)
    for key, group in ours.groupby(["size", "problem", "measure"], sort=False):
        line = dict(zip(("size", "problem", "training"), key, strict=True))
        nets = group[group["bounds"] == "lp"]
        line["error %"] = 100 * nets["error"].median()
        line["regions along a segment"] = nets["regions_segment"].median()
        parts = {kind: group[group["bounds"] == kind] for kind in BOUNDS}
        for kind in BOUNDS[:2]:
            line[f"big-M, {kind}"] = parts[kind]["big_m"].median()
        for kind, part in parts.items():
            line[f"stable %, {kind}"] = 100 * part["stable"].mean()
        for kind, part in parts.items():
            line[f"nodes, {kind}"] = part["nodes"].median()
        for kind, part in parts.items():
            line[f"s, {kind}"] = geometric(part["total_s"])
        for kind in BOUNDS[1:]:
            ratio = paired(group, {"bounds": "interval"}, {"bounds": kind})
            line[f"interval / {kind}"] = geometric(ratio)
        lines.append(line)
    table = pd.DataFrame(lines)
    order = {name: k for k, name in enumerate([*SIZES, *MEASURES, "small", "large"])}
    return table.sort_values(
        ["size", "problem", "training"], key=lambda s: s.map(order), ignore_index=True
    )


def ways_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Every encoding, bound set and scaling against big-M on interval bounds (clip: clipped)."""
    lines = []
    for size, group in rows.groupby("size", sort=False):
        for measure, base in (("none", "bigm"), ("clip", "clipped")):
            part = group[group["measure"] == measure]
            start = {"encoding": base, "bounds": "interval", "scaling": "none"}
            for way, runs in part.groupby(["encoding", "bounds", "scaling"]):
                names = dict(zip(("encoding", "bounds", "scaling"), way, strict=True))
                ratio = paired(part, start, names)
                lines.append(
                    {"size": size, "networks": "clipped" if measure == "clip" else "plain"}
                    | names
                    | {
                        "nodes": runs["nodes"].median(),
                        "root gap %": 100 * runs["root_gap"].median(),
                        "s": geometric(runs["total_s"]),
                        "speed-up": geometric(ratio),
                        "range": f"{ratio.min():.2g}–{ratio.max():.2g}",
                        "solved": f"{runs['solved'].sum()}/{len(runs)}",
                    }
                )
    table = pd.DataFrame(lines)
    order = {name: k for k, name in enumerate(["small", "large", "plain", "clipped", "none"])}
    return table.sort_values(
        ["size", "networks"], key=lambda s: s.map(order), kind="stable", ignore_index=True
    )


def gains_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What a training measure gains over none, and at what price in error."""
    keys = ["problem", "seed"]
    lines = []
    for (size, kind), group in usual(rows).groupby(["size", "bounds"], sort=False):
        base = group[group["measure"] == "none"].set_index(keys)
        for measure, runs in group[group["measure"] != "none"].groupby("measure", sort=False):
            part = runs.set_index(keys)
            both = base.loc[base.index.intersection(part.index)]
            if not len(both):
                continue
            part = part.loc[both.index]
            speed = both["total_s"] / part["total_s"]
            lines.append(
                {
                    "size": size,
                    "bounds": kind,
                    "training": measure,
                    "speed-up": geometric(speed),
                    "networks faster": f"{(speed > 1.0).sum()}/{len(speed)}",
                    "error ratio": geometric(part["error"] / both["error"]),
                    "nodes ratio": geometric((part["nodes"] + 1) / (both["nodes"] + 1)),
                }
            )
    if not lines:
        return pd.DataFrame()
    order = {name: k for k, name in enumerate([*MEASURES, "small", "large", *BOUNDS])}
    return pd.DataFrame(lines).sort_values(
        ["size", "bounds", "training"], key=lambda s: s.map(order), ignore_index=True
    )


def checks(rows: pd.DataFrame) -> list[str]:
    """What must hold whatever the machine: equal optima, equal roots, exact encodings."""
    keys = ["problem", "size", "measure", "seed"]
    done = rows[rows["solved"]].groupby(keys)["value"]
    spread = ((done.max() - done.min()) / done.max().abs().clip(lower=1.0)).max()
    # split bounds depend on the first point found, interval and LP bounds on the network alone
    fixed = (rows["encoding"] == "bigm") & (rows["bounds"] != "split")
    roots = rows[fixed].groupby([*keys, "bounds"])["root_bound"]
    scaled = ((roots.max() - roots.min()) / roots.max().abs().clip(lower=1.0)).max()
    return [
        f"Proved optima of one network under all ways agree to {spread:.0e} (the solver's gap is "
        f"{GAP:g}).",
        f"LP values at the root before and after scaling agree to {scaled:.0e}.",
        f"Encoded and evaluated outputs agree to {rows['embedded_error'].max():.0e}.",
    ]


def markdown(rows: pd.DataFrame, args: argparse.Namespace) -> str:
    """The text that docs/background/relu.md includes."""
    import highspy

    solver = ".".join(
        str(getattr(highspy, f"HIGHS_VERSION_{part}")) for part in ("MAJOR", "MINOR", "PATCH")
    )
    ours = usual(rows)
    parts = [
        f"*{date.today():%d %B %Y}, {platform.machine()} with {os.cpu_count()} cores, HiGHS {solver} "
        f"on one thread, {args.jobs} at a time; {args.seeds} seed{'s' * (args.seeds > 1)}, limit "
        f"{args.limit:g} s a solve{', **--quick**' * args.quick}. Problems, sizes and strengths are "
        f"our own choice: {', '.join(f'{m} {next(iter(v.values())):g}' for m, v in MEASURES.items() if v)}.*",
        "",
    ]
    for size in sorted(set(rows["size"]), key=["small", "large"].index):
        some = ours[ours["size"] == size]
        for label, part in (
            ("all trainings", some),
            ("no measure", some[some["measure"] == "none"]),
        ):
            ratios = [paired(part, {"bounds": "interval"}, {"bounds": k}) for k in BOUNDS[1:]]
            if len(ratios[0]):
                capped = int((~part[part["bounds"] == "interval"]["solved"]).sum())
                parts.append(
                    f"- {size.capitalize()} networks, {label}: LP bounds are "
                    f"**{geometric(ratios[0]):.2f} times** as fast as interval bounds, split bounds "
                    f"**{geometric(ratios[1]):.1f} times** (geometric means over {len(ratios[0])} "
                    f"networks, tightening included; {capped} interval solves hit the limit)."
                )
    parts += [*(f"- {line}" for line in checks(rows)), ""]
    for title, table in (
        ("Encodings, bounds and scaling (speed-up over interval bounds)", ways_table(rows)),
        ("Training measures against none", gains_table(rows)),
        ("Every problem: medians over seeds, geometric means of seconds", measures_table(rows)),
    ):
        if len(table):
            parts += [f"**{title}**", "", as_markdown(table), ""]
    return "\n".join(parts)


def as_markdown(table: pd.DataFrame) -> str:
    """A table in Markdown, three digits."""
    lines = [f"| {' | '.join(table.columns)} |", f"|{'---|' * len(table.columns)}"]
    for row in table.itertuples(index=False):
        cells = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def figure(rows: pd.DataFrame, path: Path) -> None:
    """Total time of every network against that with interval bounds, and error against time."""
    from matplotlib.figure import Figure

    colours = dict(zip(MEASURES, COLOURS, strict=True))
    ours = usual(rows)
    drawing = Figure(figsize=(13.5, 4.6), layout="constrained")
    *pair, right = drawing.subplots(1, 3)
    keys = ["problem", "size", "measure", "seed"]
    both = ours.pivot_table(index=keys, columns="bounds", values=["total_s", "error"]).dropna()
    seconds, error = both["total_s"], 100 * both["error"]["lp"]
    large = both.index.get_level_values("size") == "large"
    for measure, colour in colours.items():
        own = both.index.get_level_values("measure") == measure
        for mask, look in ((own & large, {"s": 26}), (own & ~large, {"s": 9, "alpha": 0.6})):
            look |= {"color": colour, "linewidths": 0}
            for ax, kind in zip(pair, BOUNDS[1:], strict=True):
                ax.scatter(seconds["interval"][mask], seconds[kind][mask], **look)
            label = measure if own.any() and look["s"] == 26 else None
            right.scatter(error[mask], seconds["lp"][mask], label=label, **look)
    low, high = seconds.to_numpy().min() * 0.8, seconds.to_numpy().max() * 1.2
    for ax, kind in zip(pair, BOUNDS[1:], strict=True):
        for factor, style in ((1.0, "-"), (3.0, "--"), (30.0, ":")):
            text = "equal" if factor == 1.0 else f"{factor:g} times as fast"
            ends = np.array([max(low, factor * low), high])
            ax.plot(ends, ends / factor, style, color="#9a9a9a", lw=0.8, label=text)
        ax.set(xlabel="s with interval bounds", ylabel=f"s with {kind} bounds, their time included")
    pair[0].legend(frameon=False, fontsize=8)
    right.set(xlabel="surrogate error, % of the standard deviation", ylabel="s with lp bounds")
    right.legend(frameon=False, fontsize=8, ncols=2, title="training (large dots: larger network)")
    for ax in (*pair, right):
        ax.set(xscale="log", yscale="log")
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#ececec")
        ax.set_axisbelow(True)
    drawing.savefig(path, dpi=110)
