"""Make ``cstr.csv`` and ``cstr_test.csv``: an exothermic stirred tank under coolant steps.

    c' = (c_f - c) q/V - r(c, T)
    T' = (T_f - T) q/V + h r(c, T) + a (T_c - T),   r = k0 exp(-E/(R T)) c

Figures of Seborg, Edgar and Mellichamp, *Process Dynamics and Control*: q/V = 1 /min, c_f = 1 mol/l,
T_f = 350 K, k0 = 7.2e10 /min, E/R = 8750 K; but with h = 150 K l/mol and a = 10 /min (instead of
209 and 2.1) the jacket is large enough for the tank not to run away.  Integrated by DOP853
at a tolerance of 1e-11, restarted at every step of the coolant.  Two runs of 20 min are for
training, one is for testing; samples every 0.1 min.  The temperature's noise has sigma = 0.3 K.
The concentration's has sigma = 0.01 mol/l; it is measured every 0.5 min only, and not at all for
7 min of the run ``up`` (the analyser failed).  Noise of ``numpy.random.default_rng(4)``.  Run it
from anywhere; it writes the files beside itself, always the same bytes.
"""

import itertools
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

FEED_C, FEED_T, K0, E_R, HEAT, COOLING = 1.0, 350.0, 7.2e10, 8750.0, 150.0, 10.0
END, STEP, SIGMA_C, SIGMA_T, SEED = 20.0, 0.1, 0.01, 0.3, 4
# run: initial state (mol/l, K); coolant temperatures (K) and the times (min) from which they hold
RUNS = {
    "up": ((0.9, 330.0), [0.0, 4.0, 8.0, 12.0, 16.0], [324.0, 334.0, 342.0, 336.0, 346.0]),
    "down": ((0.3, 365.0), [0.0, 5.0, 10.0, 15.0], [348.0, 338.0, 344.0, 330.0]),
    "unseen": ((0.6, 340.0), [0.0, 3.0, 9.0, 14.0], [340.0, 332.0, 345.0, 335.0]),
}
FILES = {"cstr.csv": ("up", "down"), "cstr_test.csv": ("unseen",)}
GAP = {"up": (9.0, 16.0)}


def rate(c, T):
    return K0 * np.exp(-E_R / T) * c


def tank(t, y, coolant):
    c, T = y
    r = rate(c, T)
    return [FEED_C - c - r, FEED_T - T + HEAT * r + COOLING * (coolant - T)]


def run(initial, times, coolants, grid):
    """States at ``grid``, integrated from step to step."""
    found, y = [], np.array(initial)
    edges = [*times, END + 1.0]
    for (left, right), coolant in zip(itertools.pairwise(edges), coolants, strict=True):
        inside = grid[(grid >= left - 1e-9) & (grid < right - 1e-9)]
        path = solve_ivp(
            tank,
            (left, right),
            y,
            "DOP853",
            [*inside, right],
            args=(coolant,),
            rtol=1e-11,
            atol=1e-11,
        )
        found.append(path.y.T[:-1])
        y = path.y[:, -1]
    return np.vstack(found)


def main() -> None:
    rng = np.random.default_rng(SEED)
    grid = np.round(np.arange(0.0, END + 0.5 * STEP, STEP), 10)
    for name, labels in FILES.items():
        lines = ["run,t,Tc,c,T"]
        for label in labels:
            initial, times, coolants = RUNS[label]
            y = run(initial, times, coolants, grid)
            c = y[:, 0] + SIGMA_C * rng.standard_normal(len(grid))
            T = y[:, 1] + SIGMA_T * rng.standard_normal(len(grid))
            low, high = GAP.get(label, (np.inf, np.inf))
            for k, t in enumerate(grid):
                coolant = coolants[int(np.searchsorted(times, t + 1e-9)) - 1]
                shown = "" if k % 5 or low <= t <= high else f"{c[k]:.5f}"
                lines.append(f"{label},{t:.10g},{coolant:g},{shown},{T[k]:.4f}")
        target = Path(__file__).with_name(name)
        target.write_text("\n".join(lines) + "\n")
        print(f"wrote {target.name} ({len(lines) - 1} rows)")


if __name__ == "__main__":
    main()
