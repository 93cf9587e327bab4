"""discopt's own way to train a neural DAE: a script for an interpreter that has discopt.

Reads problems as JSON from standard input and prints a line of JSON for each; `benchmarks/neural_dae.py`
runs it.  What is called and with which settings is that of discopt's notebook ``neural_dae.ipynb``.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import discopt.modeling as dm
import numpy as np
from discopt.dae import Trajectory, fit_trajectories
from discopt.ml import TrainableNetwork, train


def run(task: dict) -> dict:
    """Build and train once; CPU seconds."""
    began = time.process_time()
    model = dm.Model("neural_dae")
    net = TrainableNetwork(model, task["sizes"], activation=task["activation"], name="rate")

    def rhs(t, states, algebraics, controls):  # type: ignore[no-untyped-def]
        rate = net(states["cA"])
        return {"cA": -rate, "cB": rate}

    runs = [
        Trajectory(
            t_data=np.array(r["t"]),
            y_data={"cA": np.array(r["cA"]), "cB": np.array(r["cB"])},
            initial={"cA": r["first"], "cB": 0.0},
        )
        for r in task["runs"]
    ]
    bounds = [(name, {"bounds": (0.0, 1.5)}) for name in ("cA", "cB")]
    fit = fit_trajectories(
        model, trajectories=runs, states=bounds, rhs=rhs, t_span=(0.0, task["end"]), nfe=20, ncp=2
    )
    model.minimize(fit.least_squares() + task["ridge"] * net.l2_penalty())
    start = fit.warm_start() | net.initial_values(seed=task["seed"])
    built = time.process_time()
    result = train(model, initial_solution=start, options={"max_iter": 3000, "tol": 1e-8})
    return {
        "system": f"discopt {version('discopt')}",
        "build": built - began,
        "solve": time.process_time() - built,
        "iterations": int(result.iterations),
        "status": result.status.name.lower(),
        "objective": float(result.objective),
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
