"""Model predictive control of the stirred tank by us and by do-mpc: the same model, cost, bounds, samples
and tolerance; each is called with the states of one closed loop, so that both solve the same problems.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp

from peers.control_problems import TASKS

STEPS, MOVES, SAMPLE, DEGREE = 40, 20, 0.25, 2  # of the loop; the window: moves, min
Controller = Callable[[np.ndarray], float]
Steps = list[tuple[float, int, float]]  # CPU s, iterations, coolant


def tank(state: np.ndarray, coolant: float, seed: int) -> np.ndarray:
    """The tank a sample later; the feed is disturbed from sample to sample."""
    feed = 350.0 + np.random.default_rng(seed).normal(0.0, 2.0)

    def rates(t, y):
        r = 7.2e10 * np.exp(-8750.0 / y[1]) * y[0]
        return [1.0 - y[0] - r, feed - y[1] + 150.0 * r + 10.0 * (coolant - y[1])]

    return solve_ivp(rates, (0.0, SAMPLE), state, rtol=1e-9, atol=1e-9).y[:, -1]


def ours() -> Controller:
    import casadi as ca

    import collocode as cc

    task = TASKS["stirred tank"]
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: task.rates(ca, x, u)),
        cc.Window(
            end=MOVES * SAMPLE,
            controls={"Tc": cc.Control(320.0, 360.0, kind="constant")},
            guess={"c": 0.5, "T": 345.0},
        ),
        states=("c", "T"),
        bounds={name: (v.lower, v.upper) for name, v in task.states.items()},
        scaling={"T": 256.0},
        costs=cc.Lagrange(lambda t, x, u, p, nn: task.integrand(ca, x, u)),
    )
    horizon = cc.RecedingHorizon(problem, sample=SAMPLE, degree=DEGREE)
    plans: list[cc.Solution] = []

    def step(state: np.ndarray) -> tuple[int, float]:
        plan = horizon.plan(state, previous=plans[-1] if plans else None)
        if not plan.success:
            raise RuntimeError(plan.status)
        plans.append(plan)
        return plan.result.iterations, float(plan.control("Tc", [0.0])[0])

    return step


def do_mpc() -> Controller:
    """Its stage costs are sums over samples, which is as good a cost here; all else is the same."""
    import casadi as ca
    import do_mpc as dm

    task, model = TASKS["stirred tank"], dm.model.Model("continuous")
    for name in task.states:
        model.set_variable("_x", name)
    model.set_variable("_u", "Tc")
    for name, rate in zip(task.states, task.rates(ca, _At(model.x), _At(model.u)), strict=True):
        model.set_rhs(name, rate)
    model.setup()
    mpc = dm.controller.MPC(model)
    settings = mpc.settings
    settings.n_horizon, settings.t_step, settings.n_robust = MOVES, SAMPLE, 0
    settings.collocation_deg, settings.collocation_type = DEGREE, "radau"
    settings.store_full_solution = False
    settings.nlpsol_opts = {
        "print_time": False, "ipopt.print_level": 0, "ipopt.sb": "yes", "ipopt.tol": 1e-8,
    }  # fmt: skip
    cost = task.integrand(ca, _At(model.x), _At(model.u))
    mpc.set_objective(lterm=cost, mterm=ca.SX(0))
    mpc.set_rterm(Tc=0.0)
    for name, v in task.states.items():
        mpc.bounds["lower", "_x", name], mpc.bounds["upper", "_x", name] = v.lower, v.upper
    mpc.bounds["lower", "_u", "Tc"], mpc.bounds["upper", "_u", "Tc"] = 320.0, 360.0
    mpc.scaling["_x", "T"], mpc.scaling["_u", "Tc"] = 256.0, 256.0
    mpc.setup()
    mpc.u0 = np.array([340.0])
    begun = []

    def step(state: np.ndarray) -> tuple[int, float]:
        if not begun:
            mpc.x0 = state
            mpc.set_initial_guess()
            begun.append(True)
        coolant = float(mpc.make_step(state.reshape(-1, 1))[0, 0])
        return mpc.solver_stats["iter_count"], coolant

    return step


class _At:
    """Attributes in place of do-mpc's indices."""

    def __init__(self, vector) -> None:
        self._vector = vector

    def __getattr__(self, name: str):
        return self._vector[name]


def compare(loops: int = 5) -> None:
    """Print medians over the steps of some loops, which go round the two."""
    warnings.simplefilter("ignore")
    state, states = np.array([0.7, 335.0]), []
    guide = ours()
    for k in range(STEPS):
        states.append(state)
        state = tank(state, guide(state)[1], k)
    found: dict[str, list[Steps]] = {"ours": [], "do_mpc": []}
    for _ in range(loops):
        for name, make in (("ours", ours), ("do_mpc", do_mpc)):
            controller, steps = make(), []
            for at in states:
                began = time.process_time()
                iterations, coolant = controller(at)
                steps.append((time.process_time() - began, iterations, coolant))
            found[name].append(steps)
    print(
        "NMPC of the stirred tank: 20 moves of 15 s, Radau of degree 2, tolerance 1e-8; CPU ms a step"
    )
    for name, loop in found.items():
        table = np.array(loop)  # (loops, steps, 3)
        ms = 1e3 * np.median(table[:, :, 0], axis=0)
        print(
            f"{name:7} median {np.median(ms):6.2f}, mean {ms.mean():6.2f}, largest {ms.max():6.2f}; "
            f"iterations {table[0, :, 1].mean():.1f}; coolant at last {table[0, -1, 2]:.3f} K"
        )
    ratio = [np.median(np.array(found[n])[:, :, 0], axis=0) for n in ("do_mpc", "ours")]
    print(
        f"do-mpc / ours: {np.exp(np.log(ratio[0] / ratio[1]).mean()):.2f} (geometric mean over steps)"
    )
