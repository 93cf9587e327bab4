"""Draw docs/img/van_der_pol.png: what 200 noisy samples tell of a vector field.

The fit is that of models/van_der_pol.py with its default settings.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import collocode as cc
from collocode.results.integrate import integrate

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "img" / "van_der_pol.png"
INK, MUTED, BLUE, ORANGE = "#1f2328", "#6b7280", "#0072B2", "#D55E00"
SETTINGS = {
    "font.size": 10,
    "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
}


def true_field(x, y):
    return y, (1.0 - x**2) * y - x


def over_time(axes, solution) -> None:
    train, test = solution.trajectories[0].experiment, solution.test[0]
    t = np.linspace(0.0, 30.0, 900)
    learnt = solution.simulate(times=t).states
    truth = solution.truth
    clean = integrate(lambda s, x: truth.rhs(s, x, ()), truth.initial_of(train.name), t).states
    for i, (ax, name) in enumerate(zip(axes, ("$y_1$", "$y_2$"), strict=True)):
        ax.axvspan(15.0, 30.0, color="#f6f3ec", linewidth=0, zorder=0)
        ax.plot(train.times, train.values[:, i], "o", color="#9aa3af", markersize=2.6,
                markeredgewidth=0, label="data, σ = 0.1")  # fmt: skip
        ax.plot(t, learnt[:, i], color=ORANGE, linewidth=2.2, label="learnt model, simulated")
        ax.plot(t, clean[:, i], color=INK, linewidth=0.9, linestyle=(0, (2, 2)), label="truth")
        ax.set_ylabel(name, rotation=0, labelpad=9)
        ax.set_xlim(0.0, 30.0)
        ax.set_ylim(*np.array([-1.12, 1.12]) * np.abs(train.values[:, i]).max())
    axes[0].tick_params(labelbottom=False)
    axes[0].text(0.15, 1.03, "train", transform=axes[0].get_xaxis_transform(), color=MUTED)
    axes[0].text(15.15, 1.03, "never seen", transform=axes[0].get_xaxis_transform(), color=MUTED)
    axes[1].set_xlabel("time")
    assert test.start == 15.0


def phase(ax, solution) -> None:
    x, y = np.linspace(-3.0, 3.0, 61), np.linspace(-3.6, 3.6, 61)
    X, Y = np.meshgrid(x, y)
    ax.streamplot(x, y, *true_field(X, Y), color="#cfd4da", density=1.25, linewidth=0.9,
                  arrowstyle="-", zorder=1)  # fmt: skip
    train = solution.trajectories[0].experiment
    ax.plot(*train.values.T, "o", color="#9aa3af", markersize=2.6, markeredgewidth=0, zorder=2)
    gx, gy = np.meshgrid(np.linspace(-2.75, 2.75, 14), np.linspace(-3.3, 3.3, 14))
    field = solution.model.rhs(0.0, np.column_stack([gx.ravel(), gy.ravel()]))
    field = field / np.array([6.0, 7.2])
    field /= np.linalg.norm(field, axis=1, keepdims=True)
    ax.quiver(gx.ravel(), gy.ravel(), *field.T, color=BLUE, pivot="mid", scale=24, width=0.0042,
              zorder=3)  # fmt: skip
    path = solution.simulate(times=np.linspace(0.0, 30.0, 1500)).states
    ax.plot(*path.T, color=ORANGE, linewidth=2.2, zorder=4)
    ax.plot([], [], color="#b6bcc4", linewidth=1.4, label="true field")
    ax.plot([], [], color=BLUE, marker=r"$\rightarrow$", markersize=12, linestyle="none",
            label="learnt field")  # fmt: skip
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(y[0], y[-1])
    ax.set_xlabel("$y_1$")
    ax.set_ylabel("$y_2$", rotation=0, labelpad=9)


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from models.van_der_pol import problem

    solution = cc.fit(problem())
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(11.4, 4.6), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=[1.5, 1])
        axes = left.subplots(2, 1, sharex=True)
        over_time(axes, solution)
        left.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        portrait = right.subplots()
        phase(portrait, solution)
        right.legend(*portrait.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        figure.savefig(TARGET, dpi=150, metadata={"Software": "collocode"})
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
