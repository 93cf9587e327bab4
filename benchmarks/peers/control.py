"""The systems that ``benchmarks/control.py`` compares: each builds a task on N elements of Radau IIA of
degree 3 with controls constant in each, and returns how to solve it, which returns the cost.

Where a system integrates costs by another rule than the scheme's, the integral is a state.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from peers.control_problems import Task

DEGREE, TOLERANCE, MOST = 3, 1e-8, 1000
IPOPT = {"tol": TOLERANCE, "max_iter": MOST, "print_level": 0, "sb": "yes"}
Solve = Callable[[], float | tuple[float, float]]  # the cost; CPU s of the solver, if it builds too


def ours(task: Task, n: int) -> Solve:
    import casadi as ca

    import collocode as cc

    names = tuple(task.states)
    costs: list[Any] = []
    if task.integrand is not None:
        integrand = task.integrand
        costs.append(cc.Lagrange(lambda t, x, u, p, nn: integrand(ca, x, u)))
    if task.final is not None:
        final = task.final
        costs.append(cc.Mayer(lambda t, x, u, p, nn: final(x, t)))
    window = cc.Window(
        end=task.end,
        end_bounds=task.free,
        controls={
            name: cc.Control(low, high, start=start, kind="constant")
            for name, (low, high, start) in task.controls.items()
        },
        initial={s: v.first for s, v in task.states.items() if v.first is not None},
        final={s: v.last for s, v in task.states.items() if v.last is not None},
        guess={s: cc.Signal([0.0, task.end], v.line) for s, v in task.states.items()},
    )
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: task.rates(ca, x, u)),
        window,
        states=names,
        bounds={s: (v.lower, v.upper) for s, v in task.states.items()},
        scaling={s: v.size for s, v in task.states.items()},
        costs=costs,
    )
    nlp = cc.discretize(problem, degree=DEGREE, mesh=n)
    solver = cc.make_solver(nlp, options={"tol": TOLERANCE, "max_iter": MOST})
    return lambda: checked(cc.solve_with(solver, nlp))


def checked(solution: Any) -> float:
    """The cost; a solution that is none says so instead of counting."""
    if not solution.success:
        raise RuntimeError(solution.status)
    return float(solution.result.objective)


def rates_of(task: Task) -> tuple[Any, Any]:
    """Rates and integrand as CasADi functions of the vectors x and u."""
    import casadi as ca

    x, u = ca.SX.sym("x", len(task.states)), ca.SX.sym("u", len(task.controls))
    xs, us = named(task.states, ca.vertsplit(x)), named(task.controls, ca.vertsplit(u))
    integrand = task.integrand(ca, xs, us) if task.integrand else ca.SX(0)
    f = ca.Function("f", [x, u], [ca.vertcat(*task.rates(ca, xs, us))])
    return f, ca.Function("L", [x, u], [integrand])


def named(names: Any, values: Any) -> SimpleNamespace:
    return SimpleNamespace(**dict(zip(names, values, strict=True)))


def radau() -> tuple[np.ndarray, np.ndarray]:
    """(degree, degree + 1) derivatives of the Lagrange polynomials at the stages, and the weights."""
    import casadi as ca

    tau = ca.collocation_points(DEGREE, "radau")
    C, _, B = ca.collocation_coeff(tau)
    return np.array(C).T, np.array(B).ravel()


def opti_loop(task: Task, n: int) -> Solve:
    """CasADi's Opti as its tutorials write collocation: element by element."""
    import casadi as ca

    opti, (f, integrand), (C, B) = ca.Opti(), rates_of(task), radau()
    nx, nu = len(task.states), len(task.controls)
    t = opti.variable() if task.free else task.end
    h, cost = t / n, 0
    lines = np.array([np.linspace(*v.line, n * DEGREE + 1) for v in task.states.values()])
    bounds = [[v.lower for v in task.states.values()], [v.upper for v in task.states.values()]]
    limits = [[v[k] for v in task.controls.values()] for k in range(3)]
    if task.free:
        opti.subject_to(opti.bounded(task.free[0], t, task.free[1]))
        opti.set_initial(t, task.end)

    def state(number: int) -> Any:
        made = opti.variable(nx)
        opti.set_initial(made, lines[:, number])
        opti.subject_to(opti.bounded(bounds[0], made, bounds[1]))
        return made

    here = first = state(0)
    for e in range(n):
        u = opti.variable(nu)
        opti.set_initial(u, limits[2])
        opti.subject_to(opti.bounded(limits[0], u, limits[1]))
        stages = [here, *(state(e * DEGREE + j) for j in range(1, DEGREE + 1))]
        for k in range(DEGREE):
            slope = sum(C[k, j] * stages[j] for j in range(DEGREE + 1))
            opti.subject_to(slope == h * f(stages[k + 1], u))
            cost += h * B[k] * integrand(stages[k + 1], u)
        here = stages[-1]
    fix_ends(opti, task, first, here)
    final = task.final(named(task.states, ca.vertsplit(here)), t) if task.final else 0
    opti.minimize(cost + final)
    return through_opti(opti)


def opti_map(task: Task, n: int) -> Solve:
    """Opti in its strongest form: whole matrices, and one map over all stages."""
    import casadi as ca

    opti, (f, integrand), (C, B) = ca.Opti(), rates_of(task), radau()
    x, u = opti.variable(len(task.states), n * DEGREE + 1), opti.variable(len(task.controls), n)
    t = opti.variable() if task.free else task.end
    h, stages = t / n, n * DEGREE
    if task.free:
        opti.subject_to(opti.bounded(task.free[0], t, task.free[1]))
        opti.set_initial(t, task.end)
    opti.set_initial(x, np.array([np.linspace(*v.line, stages + 1) for v in task.states.values()]))
    for j, v in enumerate(task.states.values()):
        opti.subject_to(opti.bounded(v.lower, x[j, :], v.upper))
    for j, (low, high, start) in enumerate(task.controls.values()):
        opti.set_initial(u[j, :], start)
        opti.subject_to(opti.bounded(low, u[j, :], high))
    held = u[:, np.repeat(np.arange(n), DEGREE).tolist()]
    slopes = f.map(stages)(x[:, 1:], held)
    for k in range(DEGREE):
        slope = sum(C[k, j] * x[:, j : stages - DEGREE + j + 1 : DEGREE] for j in range(DEGREE + 1))
        opti.subject_to(ca.vec(slope - h * slopes[:, k::DEGREE]) == 0)
    fix_ends(opti, task, x[:, 0], x[:, -1])
    cost = h * ca.dot(integrand.map(stages)(x[:, 1:], held), ca.DM(np.tile(B, n)).T)
    final = task.final(named(task.states, ca.vertsplit(x[:, -1])), t) if task.final else 0
    opti.minimize(cost + final)
    return through_opti(opti)


def fix_ends(opti: Any, task: Task, first: Any, last: Any) -> None:
    for j, v in enumerate(task.states.values()):
        if v.first is not None:
            opti.subject_to(first[j] == v.first)
        if v.last is not None:
            opti.subject_to(last[j] == v.last)


def through_opti(opti: Any) -> Solve:
    opti.solver("ipopt", {"print_time": False, "error_on_fail": True}, IPOPT)
    # a function of no arguments: Opti derives and initialises when it is made, not when it is run
    solve = opti.to_function("solve", [], [opti.f])
    return lambda: float(solve()["o0"])


def rockit(task: Task, n: int) -> Solve:
    import casadi as ca
    from rockit import DirectCollocation, FreeTime, Ocp

    ocp = Ocp(t0=0.0, T=FreeTime(task.end) if task.free else task.end)
    xs = {name: ocp.state(scale=v.size) for name, v in task.states.items()}
    us = {name: ocp.control() for name in task.controls}
    x, u = SimpleNamespace(**xs), SimpleNamespace(**us)
    for symbol, rate in zip(xs.values(), task.rates(ca, x, u), strict=True):
        ocp.set_der(symbol, rate)
    for name, v in task.states.items():
        if v.first is not None:
            ocp.subject_to(ocp.at_t0(xs[name]) == v.first)
        if v.last is not None:
            ocp.subject_to(ocp.at_tf(xs[name]) == v.last)
        if np.isfinite([v.lower, v.upper]).any():
            ocp.subject_to(v.lower <= (xs[name] <= v.upper), grid="integrator_roots")
        first, last = v.line
        ocp.set_initial(xs[name], first + (last - first) * ocp.t / task.end)
    for name, (low, high, start) in task.controls.items():
        ocp.subject_to(low <= (us[name] <= high))
        ocp.set_initial(us[name], start)
    if task.free:
        ocp.subject_to(task.free[0] <= (task.free[1] >= ocp.T))
    if task.integrand is not None:
        ocp.add_objective(ocp.integral(task.integrand(ca, x, u)))
    if task.final is not None:
        last = SimpleNamespace(**{name: ocp.at_tf(s) for name, s in xs.items()})
        ocp.add_objective(task.final(last, ocp.T))
    options = {"print_time": False, "record_time": True, "error_on_fail": True}
    ocp.solver("ipopt", {**options, **{f"ipopt.{k}": v for k, v in IPOPT.items()}})
    ocp.method(DirectCollocation(N=n, M=1, degree=DEGREE, scheme="radau"))
    ocp.transcribe()

    def solve() -> tuple[float, float]:
        found = ocp.solve()  # which derives first
        return float(found.value(ocp.objective)), found.stats["t_proc_total"]

    return solve


def do_mpc(task: Task, n: int) -> Solve:
    """do-mpc; its stage costs are sums over samples, so an integral is a state, and its times are fixed."""
    if task.free:
        raise NotImplementedError("no free times")
    import casadi as ca
    import do_mpc as dm

    model = dm.model.Model("continuous")
    xs = {name: model.set_variable("_x", name) for name in task.states}
    us = {name: model.set_variable("_u", name) for name in task.controls}
    x, u = SimpleNamespace(**xs), SimpleNamespace(**us)
    for name, rate in zip(xs, task.rates(ca, x, u), strict=True):
        model.set_rhs(name, rate)
    if task.integrand is not None:
        model.set_variable("_x", "cost")
        model.set_rhs("cost", task.integrand(ca, x, u))
    model.setup()
    last = SimpleNamespace(**{name: model.x[name] for name in xs})
    cost = model.x["cost"] if task.integrand else task.final(last, task.end)
    mpc = dm.controller.MPC(model)
    settings = mpc.settings
    settings.n_horizon, settings.t_step, settings.n_robust = n, task.end / n, 0
    settings.collocation_deg, settings.collocation_type = DEGREE, "radau"
    settings.store_full_solution = False
    settings.nlpsol_opts = {"print_time": False, **{f"ipopt.{k}": v for k, v in IPOPT.items()}}
    mpc.set_objective(lterm=ca.DM(0), mterm=cost)
    mpc.set_rterm(**dict.fromkeys(us, 0.0))
    for name, v in task.states.items():
        mpc.bounds["lower", "_x", name], mpc.bounds["upper", "_x", name] = v.lower, v.upper
        mpc.scaling["_x", name] = v.size
        if v.last is not None:
            mpc.terminal_bounds["lower", name] = mpc.terminal_bounds["upper", name] = v.last
    for name, (low, high, _) in task.controls.items():
        mpc.bounds["lower", "_u", name], mpc.bounds["upper", "_u", name] = low, high
    mpc.setup()
    first = [v.first for v in task.states.values()] + [0.0] * (task.integrand is not None)
    mpc.x0 = np.array(first)
    mpc.u0 = np.array([start for _, _, start in task.controls.values()])
    mpc.set_initial_guess()
    for name, v in task.states.items():
        points = np.linspace(*v.line, n + 1) / v.size
        for k in range(n + 1):
            for c in range(len(mpc.opt_x_num["_x", k, 0])):
                mpc.opt_x_num["_x", k, 0, c, name] = points[k]

    def solve() -> float:
        mpc.make_step(np.array(first).reshape(-1, 1))
        if not mpc.solver_stats["success"]:
            raise RuntimeError(mpc.solver_stats["return_status"])
        return float(mpc.opt_x_num_unscaled["_x", n, 0, -1, "cost"]) if task.integrand else float(
            task.final(named(task.states, mpc.opt_x_num_unscaled["_x", n, 0, -1].full().ravel()), task.end)
        )  # fmt: skip

    return solve


def pyomo(task: Task, n: int) -> Solve:
    """Pyomo.DAE through its .nl writer and pounce; an integral is a state."""
    import pyomo.dae as dae
    import pyomo.environ as pyo

    from collocode.solvers.nl_file import find_solver

    m = pyo.ConcreteModel()
    m.t = dae.ContinuousSet(bounds=(0.0, 1.0))
    m.T = pyo.Var(bounds=task.free, initialize=task.end)
    if not task.free:
        m.T.fix(task.end)
    xs, us = {}, {}
    for name, v in task.states.items():
        a, b = v.line
        xs[name] = pyo.Var(
            m.t, bounds=(v.lower if np.isfinite(v.lower) else None, v.upper if np.isfinite(v.upper) else None),
            initialize=lambda m, t, a=a, b=b: a + (b - a) * t,
        )  # fmt: skip
        m.add_component(f"x_{name}", xs[name])
    for name, (low, high, start) in task.controls.items():
        us[name] = pyo.Var(m.t, bounds=(low, high), initialize=start)
        m.add_component(f"u_{name}", us[name])

    def at(t: float) -> tuple[Any, Any]:
        return named(xs, [v[t] for v in xs.values()]), named(us, [v[t] for v in us.values()])

    if task.integrand is not None:
        m.x_cost = pyo.Var(m.t, initialize=0.0)
        m.x_cost[0.0].fix(0.0)
    for number, name in enumerate([*xs, *(["cost"] if task.integrand else [])]):
        slope = dae.DerivativeVar(m.component(f"x_{name}"), wrt=m.t)
        m.add_component(f"d_{name}", slope)

        def rule(m: Any, t: float, number: int = number, slope: Any = slope) -> Any:
            if t == 0.0:
                return pyo.Constraint.Skip
            x, u = at(t)
            rates = task.rates(pyo, x, u)
            rate = rates[number] if number < len(rates) else task.integrand(pyo, x, u)
            return slope[t] == m.T * rate

        m.add_component(f"ode_{name}", pyo.Constraint(m.t, rule=rule))
    discretizer = pyo.TransformationFactory("dae.collocation")
    discretizer.apply_to(m, nfe=n, ncp=DEGREE, scheme="LAGRANGE-RADAU")
    for control in us.values():
        discretizer.reduce_collocation_points(m, var=control, ncp=1, contset=m.t)
    for name, v in task.states.items():
        if v.first is not None:
            xs[name][0.0].fix(v.first)
        if v.last is not None:
            xs[name][1.0].fix(v.last)
    cost = m.x_cost[1.0] if task.integrand else task.final(at(1.0)[0], m.T)
    m.objective = pyo.Objective(expr=cost)
    path = os.path.join(tempfile.mkdtemp(), "model.nl")
    m.write(path, format="nl")
    pounce = find_solver("pounce")

    def solve() -> float:
        command = [pounce, path, "-AMPL", f"tol={TOLERANCE}", f"max_iter={MOST}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        if "Optimal" not in done.stdout:
            raise RuntimeError(done.stdout[-300:])
        return float(re.findall(r"Objective\D*:\s*(\S+)", done.stdout)[-1].split()[-1])

    return solve


PEERS: dict[str, Callable[[Task, int], Solve]] = {
    "ours": ours,
    "opti_map": opti_map,
    "opti": opti_loop,
    "rockit": rockit,
    "do_mpc": do_mpc,
    "pyomo": pyomo,
}
