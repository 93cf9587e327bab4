r"""How good are fits of which nothing is said, neither mesh nor λ?  Ten systems, ten seeds each.

    python benchmarks/defaults.py                                # the defaults, beside the old ones
    python benchmarks/defaults.py --methods evidence,discrepancy,validation,fixed,old --seeds 10
    python benchmarks/defaults.py --systems fronts,gap --seeds 3 --json out.json
    python benchmarks/defaults.py --cost                          # what the choices cost

A seed draws the noise and the network's first weights.  The score is the learnt model's own simulation
against the data, in units of the noise's variance, known here because it was put in: 1 is as good as
the true equations, and up to 1.5 counts as right.  Beside it stands the same against the clean truth,
in the same units, where nothing that overfits looks good.

============== ==========================================================================
evidence       ``fit(problem)`` as it is: λ by evidence, mesh="auto"
discrepancy    λ by the discrepancy principle: the misfit is what the smoothed data say
               the noise is (Morozov 1966), mesh="auto"
validation     λ by `sweep`: the last quarter held out, mesh="auto"
fixed          λ = 1e-4, mesh="auto"
old            λ = 1e-4, equal elements: the defaults until version 0.3
============== ==========================================================================
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

import collocode as cc

Field = Callable[..., Any]
RIGHT = 1.5  # noise variances
METHODS = ("evidence", "discrepancy", "validation", "fixed", "old")


@dataclass(frozen=True, kw_only=True)
class System:
    """What is identified.

    Attributes
    ----------
    truth : ``f(t, y, u)`` of the true right-hand side.
    model : makes the dynamics.
    begins : initial states, one a run.
    times : of the samples.
    noise : share of an output's standard deviation.
    states : names; ``measured`` are the numbers of those that are.
    inputs : (breakpoints, values) of a held input by name.
    """

    truth: Field
    model: Callable[[], cc.Dynamics]
    begins: tuple[tuple[float, ...], ...]
    times: np.ndarray
    noise: float
    states: tuple[str, ...] = ("x", "y")
    measured: tuple[int, ...] = (0, 1)
    inputs: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def clean(self) -> list[np.ndarray]:
        """True states of every run at the samples, integrated from jump to jump of the inputs."""
        jumps = [at for at, _ in self.inputs.values()]
        cuts = np.unique(np.concatenate([self.times[[0, -1]], *jumps]))
        found = []
        for begin in self.begins:
            state, rows = np.array(begin), []
            for start, end in pairwise(cuts):
                u = {
                    n: v[np.searchsorted(at, start, "right") - 1]
                    for n, (at, v) in self.inputs.items()
                }
                last = end == cuts[-1]
                here = self.times[
                    (self.times >= start) & ((self.times <= end) if last else (self.times < end))
                ]
                run = solve_ivp(
                    lambda t, y, u=u: self.truth(t, y, **u),
                    (start, end),
                    state,
                    "LSODA",
                    dense_output=True,
                    rtol=1e-9,
                    atol=1e-10,
                )
                rows.append(run.sol(here).T)
                state = run.y[:, -1]
            found.append(np.vstack(rows))
        return found

    def problem(self, seed: int, **more: Any) -> tuple[cc.Problem, list[np.ndarray], np.ndarray]:
        """The problem, its clean outputs and the standard deviations of the noise."""
        clean = [states[:, self.measured] for states in self.clean()]
        sigma = self.noise * np.vstack(clean).std(axis=0)
        rng = np.random.default_rng(1000 + seed)
        outputs = tuple(self.states[i] for i in self.measured)
        signals = {n: cc.Signal(at, v, "zoh") for n, (at, v) in self.inputs.items()}
        runs = [
            cc.Experiment(
                self.times,
                y + sigma * rng.standard_normal(y.shape),
                outputs,
                inputs=signals,
                name=f"run {k}",
            )
            for k, y in enumerate(clean)
        ]
        return cc.Problem(self.model(), runs, states=self.states, **more), clean, sigma


def van_der_pol(mu: float) -> Field:
    """A limit cycle, with steep fronts for large mu."""
    return lambda t, y: [y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]]


def predator_and_prey(t: float, y: Any) -> Any:
    """Lotka and Volterra."""
    return [y[0] * (1 - 0.5 * y[1]), -y[1] * (0.8 - 0.4 * y[0])]


def brusselator(t: float, y: Any) -> Any:
    """A chemical oscillator."""
    return [1 + y[0] ** 2 * y[1] - 3.2 * y[0], 2.2 * y[0] - y[0] ** 2 * y[1]]


def fitzhugh_nagumo(t: float, y: Any, u: float) -> Any:
    """A nerve under a current that is switched."""
    return [3 * (y[0] - y[0] ** 3 / 3 + y[1] + u), -(y[0] - 0.7 + 0.8 * y[1]) / 3]


def tank(t: float, y: Any, q: float) -> Any:
    """Two tanks in a row, fed by a pump."""
    x, y = np.maximum(y, 0.0)
    return [q - 0.6 * np.sqrt(x), 0.6 * np.sqrt(x) - 0.5 * np.sqrt(y)]


def pendulum(t: float, y: Any) -> Any:
    """A damped pendulum."""
    return [y[1], -0.15 * y[1] - 2.0 * np.sin(y[0])]


def two_wells(t: float, y: Any) -> Any:
    """Duffing's damped oscillator between two wells."""
    return [y[1], y[0] - y[0] ** 3 - 0.2 * y[1]]


def monod(t: float, y: Any) -> Any:
    """Cells that grow on a substrate, which ends suddenly."""
    growth = 0.6 * y[1] / (0.3 + y[1]) * y[0]
    return [growth, -2.0 * growth]


def whole(*sizes: int) -> Callable[[], cc.Dynamics]:
    """The whole right-hand side is a network."""
    return lambda: cc.NeuralODE(cc.MLP(sizes))


def driven(*sizes: int, inputs: tuple[str, ...]) -> Callable[[], cc.Dynamics]:
    """The same of states and inputs."""
    return lambda: cc.NeuralODE(cc.MLP(sizes), inputs=inputs)


def unknown_force() -> cc.Dynamics:
    """x' = y is known, the force is not."""
    return cc.Dynamics(
        lambda t, x, u, p, nn: {"x": x.y, "y": nn.force(x.x, x.y)},
        networks={"force": cc.MLP((2, 10, 1))},
    )


def unknown_rate() -> cc.Dynamics:
    """The yield is wanted and the rate of growth is not known."""
    return cc.Dynamics(
        lambda t, x, u, p, nn: {
            "x": nn.rate(x.y) * x.x,
            "y": -p.need * nn.rate(x.y) * x.x,
        },
        networks={"rate": cc.MLP((1, 8, 1))},
        parameters=[cc.Parameter("need", 1.0, 0.1, 10.0)],
    )


def _gap() -> np.ndarray:
    rng = np.random.default_rng(11)
    return np.sort(np.r_[0.0, rng.uniform(0, 8, 60), rng.uniform(14, 24.9, 60), 25.0])


_T = np.linspace
SYSTEMS = {
    "cycle": System(
        truth=van_der_pol(1.0),
        model=whole(2, 16, 2),
        begins=((1.0, 0.0),),
        times=_T(0, 20, 200),
        noise=0.1,
    ),
    "precise": System(
        truth=van_der_pol(1.0),
        model=whole(2, 16, 2),
        begins=((1.0, 0.0),),
        times=_T(0, 20, 150),
        noise=0.01,
    ),
    "fronts": System(
        truth=van_der_pol(4.0),
        model=whole(2, 16, 2),
        begins=((1.0, 0.0),),
        times=_T(0, 25, 200),
        noise=0.05,
    ),
    "gap": System(
        truth=predator_and_prey,
        model=whole(2, 16, 2),
        begins=((3.0, 1.0),),
        times=_gap(),
        noise=0.05,
    ),
    "chemical": System(
        truth=brusselator,
        model=whole(2, 16, 2),
        begins=((1.0, 1.0),),
        times=_T(0, 25, 150),
        noise=0.03,
    ),
    "nerve": System(
        truth=fitzhugh_nagumo,
        model=driven(3, 16, 2, inputs=("u",)),
        begins=((-1.0, 1.0), (1.5, 0.0)),
        times=_T(0, 20, 160),
        noise=0.05,
        inputs={"u": (np.array([0.0, 7.0, 13.0, 20.0]), np.array([-0.4, 0.0, -0.6, -0.6]))},
    ),
    "tanks": System(
        truth=tank,
        model=driven(3, 10, 2, inputs=("q",)),
        begins=((0.5, 0.3),),
        times=_T(0, 40, 120),
        noise=0.03,
        inputs={
            "q": (
                np.array([0.0, 8.0, 16.0, 22.0, 32.0, 40.0]),
                np.array([0.9, 0.3, 0.7, 1.1, 0.5, 0.5]),
            )
        },
    ),
    "unmeasured": System(
        truth=pendulum,
        model=unknown_force,
        begins=((1.5, 0.0), (-0.7, 1.0)),
        times=_T(0, 15, 100),
        noise=0.03,
        measured=(0,),
    ),
    "wells": System(
        truth=two_wells,
        model=whole(2, 16, 2),
        begins=((1.6, 0.0), (-1.8, 0.3), (0.3, -0.2)),
        times=_T(0, 12, 80),
        noise=0.04,
    ),
    "growth": System(
        truth=monod,
        model=unknown_rate,
        begins=((0.05, 2.0), (0.3, 1.5)),
        times=_T(0, 10, 40),
        noise=0.04,
    ),
}


class Counter:
    """Solves and iterations of a fit, seen from outside."""

    def __init__(self) -> None:
        self.solves = self.iterations = 0

    def __call__(self, progress: Any) -> None:
        """Count; a solve begins with iteration 0."""
        self.solves += progress.iteration == 0
        self.iterations += progress.iteration > 0


def fitted(method: str, problem: cc.Problem, seed: int, count: Counter) -> cc.Solution:
    """Fit by a method."""
    how: dict[str, Any] = {"seed": seed, "on_iteration": count}
    if method == "old":
        return cc.fit(replace(problem, regularisation=cc.L2(1e-4)), mesh=None, **how)
    if method == "fixed":
        return cc.fit(replace(problem, regularisation=cc.L2(1e-4)), mesh="auto", **how)
    if method == "evidence":
        return cc.fit(replace(problem, regularisation=cc.Evidence()), mesh="auto", **how)
    if method == "validation":
        values = tuple(np.logspace(-2, -8, 7))
        return cc.sweep(problem, values=values, mesh="auto", **how).solution
    return by_discrepancy(problem, how)


def by_discrepancy(problem: cc.Problem, how: dict[str, Any]) -> cc.Solution:
    """Largest λ of a falling sequence at which the misfit is no more than the noise's variance."""
    wanted = np.mean([(problem.smoothed_noise[n] / problem.sigma[n]) ** 2 for n in problem.outputs])
    how, start = dict(how), "auto"
    for strength in np.logspace(-2, -9, 15):
        given = replace(problem, regularisation=cc.L2(float(strength)))
        solution = cc.fit(given, mesh="auto", start=start, **how)
        if not solution.success:
            continue
        start = solution
        if problem_misfit(solution) <= wanted:
            break
    return solution


def problem_misfit(solution: cc.Solution) -> float:
    """Mean square of the residuals, in units of the outputs' spreads."""
    nlp = solution.nlp
    predicted, _ = nlp.predictions(solution.result.x)
    blocks = nlp.parameters
    return float(
        (blocks["weights"] * ((predicted - blocks["measurements"]) / blocks["sigma"]) ** 2).sum()
    )


def run(system: str, method: str, seed: int) -> dict[str, Any]:
    """One fit and its scores."""
    problem, clean, sigma = SYSTEMS[system].problem(seed)
    count, began = Counter(), time.process_time()
    row: dict[str, Any] = {"system": system, "method": method, "seed": seed}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solution = fitted(method, problem, seed, count)
    except cc.CollocodeError as error:
        return {**row, "data": np.inf, "truth": np.inf, "status": str(error), "findings": ["error"]}
    row["cpu"] = time.process_time() - began
    apart, away = [], []
    for k, (experiment, y) in enumerate(zip(problem.experiments, clean, strict=True)):
        simulated = solution.predict(experiment.times, k)
        apart.append(((simulated - experiment.values) / sigma) ** 2)
        away.append(((simulated - y) / sigma) ** 2)
    data, truth = float(np.mean(np.vstack(apart))), float(np.mean(np.vstack(away)))
    report = cc.report(solution)
    return {
        **row,
        "data": data if np.isfinite(data) else np.inf,
        "truth": truth if np.isfinite(truth) else np.inf,
        "status": solution.status,
        "solves": count.solves,
        "iterations": count.iterations,
        "strength": float(solution.nlp.parameters["regularisation"][0]),
        "elements": solution.nlp.elements,
        "mesh": "" if solution.meshing is None else solution.meshing.status,
        "penalty": str(solution.penalty),
        "findings": [f.code for f in report.findings if f.severity != "note"],
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default="evidence,old")
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    for system in args.systems.split(","):
        for seed in range(args.first, args.first + args.seeds):
            for method in args.methods.split(","):
                row = run(system, method, seed)
                rows.append(row)
                print(
                    f"{system:11} {method:11} {seed:2d} data {row['data']:8.3g} truth {row['truth']:8.3g} "
                    f"λ {row.get('strength', 0):7.1e} el {row.get('elements', 0):4d} "
                    f"solves {row.get('solves', 0):3d} it {row.get('iterations', 0):5d} "
                    f"cpu {row.get('cpu', 0):6.2f} {row['status'][:30]} | {row.get('mesh')} | "
                    f"{row.get('penalty')} | {','.join(row['findings'])}",
                    flush=True,
                )
                if args.json:
                    args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
