"""Draw docs/img/layout.svg: one element with its nodes, and the pattern of a small NLP's Jacobian."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import collocode as cc

BLUE, ORANGE, GREEN, INK, MUTED = "#0072B2", "#D55E00", "#009E73", "#222222", "#6b6b6b"
TARGET = Path(__file__).parents[1] / "img" / "layout.svg"


def elements(ax) -> None:
    scheme, mesh = cc.scheme("radau", 3), cc.Mesh([0.0, 0.8, 2.15, 2.9])
    curve = lambda t: np.sin(1.6 * t) + 0.25 * t  # noqa: E731
    for e, (start, h) in enumerate(zip(mesh.points, mesh.steps, strict=False)):
        t = np.linspace(start, start + h, 60)
        ax.plot(t, curve(t), color=BLUE, linewidth=2)
        nodes = start + h * scheme.nodes
        for k in (1, 2, 3):
            ax.plot(
                [nodes[k]] * 2, [-1.35, curve(nodes[k])], color="#d9d9d9", linewidth=1, zorder=0
            )
            slope = (curve(nodes[k] + 1e-4) - curve(nodes[k] - 1e-4)) / 2e-4
            d = 0.09 / np.hypot(1, slope)
            ax.plot(
                [nodes[k] - d, nodes[k] + d],
                curve(nodes[k]) + slope * np.array([-d, d]),
                color=ORANGE,
                linewidth=3,
                zorder=3,
            )
            ax.plot(nodes[k], curve(nodes[k]), "o", color=ORANGE, markersize=6, zorder=4)
            if e == 1:
                place = (nodes[k], curve(nodes[k]))
                ax.annotate(f"$X_{{1,{k}}}$", place, (5, 7), textcoords="offset points")
        ax.annotate(f"element {e}", (start + h / 2, -1.62), ha="center", color=MUTED)
    ax.plot(0, curve(0), "o", color=ORANGE, markersize=6, zorder=4)
    for point in mesh.points:
        ax.axvline(point, color=INK, linewidth=1.2, zorder=0)
    rng = np.random.default_rng(4)
    times = np.array([0.1, 0.38, 0.62, 0.99, 1.4, 1.62, 2.02, 2.3, 2.52, 2.75])
    data = curve(times) + 0.12 * rng.standard_normal(len(times))
    ax.plot(times, data, "x", color=MUTED, markersize=6)
    line = {"arrowstyle": "-", "linewidth": 1, "shrinkB": 5}
    ax.annotate(
        "data, wherever\nthey were taken", (times[4], data[4]), (1.0, -0.45), color=MUTED,
        arrowprops={**line, "color": MUTED},
    )  # fmt: skip
    stage = mesh.points[1] + mesh.steps[1] * scheme.nodes[2]
    ax.annotate(
        r"here  $\dot x_h = f(x_h)$", (stage, curve(stage)), (2.2, 1.45), color=ORANGE,
        arrowprops={**line, "color": ORANGE},
    )  # fmt: skip
    ax.annotate("$X_{0,3}=X_{1,0}$, shared", (0.8, curve(0.8)), (-8, 12), ha="right",
                textcoords="offset points")  # fmt: skip
    ax.set_xlim(-0.06, 2.96)
    ax.set_ylim(-1.75, 1.85)
    ax.set_yticks([])
    ax.set_xlabel("t")
    ax.set_title("three elements, Radau with three stages", loc="left", color=INK)


def pattern(ax) -> None:
    t = np.linspace(0.0, 1.0, 5)
    data = cc.Experiment(t, np.column_stack([t, t]), outputs=("y1", "y2"))
    nlp = cc.discretize(cc.Problem(cc.NeuralODE(cc.MLP((2, 3, 2))), data), "radau", 3, mesh=4)
    jacobian = nlp.functions.jacobian.sparsity_out(1)
    rows, columns = jacobian.get_triplet()
    rows, columns = np.array(rows), np.array(columns)
    weights = columns >= nlp.layout.weights[0]
    look = {"marker": "s", "linestyle": "none", "markersize": 3.1}
    ax.plot(columns[~weights], rows[~weights], color=BLUE, **look)
    ax.plot(columns[weights], rows[weights], color=GREEN, **look)
    ax.set_xlim(-1, nlp.columns)
    ax.set_ylim(nlp.rows, -1)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    first = nlp.layout.weights[0]
    ax.annotate("states, element by element", (first / 2, nlp.rows + 2.6), ha="center",
                color=BLUE, annotation_clip=False)  # fmt: skip
    ax.annotate("weights", ((first + nlp.columns) / 2, nlp.rows + 2.6), ha="center",
                color=GREEN, annotation_clip=False)  # fmt: skip
    ax.spines.bottom.set_visible(False)
    ax.set_title("Jacobian of the collocation rows", loc="left", color=INK)


if __name__ == "__main__":
    settings = {
        "font.size": 10, "axes.titlesize": 10.5, "axes.spines.top": False,
        "axes.spines.right": False, "axes.spines.left": False, "svg.hashsalt": "collocode",
        "svg.fonttype": "path",
    }  # fmt: skip
    with mpl.rc_context(settings):
        figure = Figure(figsize=(10.4, 3.9), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
        elements(left)
        pattern(right)
        figure.savefig(TARGET, metadata={"Date": None, "Creator": "collocode"})
    print(f"wrote {TARGET}")
