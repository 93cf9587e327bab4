"""Building and solving plain NLPs beside Pyomo and CasADi's Opti.

    python benchmarks/nlp.py                          # 2 500 and 10 000 variables
    python benchmarks/nlp.py --sizes 2500 --peers ours,opti_vectors
    python benchmarks/nlp.py --build 100000           # ours alone: the seven problems of COPS

Two problems of COPS, a chain (equations along an index) and torsion (a grid).  Build is what comes
before the solver starts: the model, its derivatives or its ``.nl`` file, the solver object; times are
CPU times, children included.  All runs have fresh processes, one thread, and IPOPT with MUMPS; Pyomo
goes through its ``.nl`` writer and pounce, its way to an interior-point solver that wheels bring.

``opti`` writes constraints entry by entry, as the tutorials do; ``opti_vectors`` writes whole vectors,
which is the strongest form.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

PEERS = ("ours", "opti_vectors", "opti", "pyomo")


def ours(name: str, n: int) -> Callable[[], float]:
    import collocode as cc
    from models.nlp import chain, torsion

    program = (chain if name == "chain" else torsion).problem(n)
    solver = cc.make_solver(program)
    return lambda: cc.solve_with(solver, program).objective


def chain_opti(n: int, vectors: bool):
    import casadi as ca

    opti, h, s = ca.Opti(), 1.0 / n, np.linspace(0.0, 1.0, n + 1)
    x, u = opti.variable(n + 1), opti.variable(n + 1)
    opti.set_initial(x, 8 * s * (s / 2 - 0.25) + 1)
    opti.set_initial(u, 8 * (s - 0.25))
    opti.subject_to(x[0] == 1)
    opti.subject_to(x[n] == 3)
    if vectors:
        root = ca.sqrt(1 + u**2)
        opti.subject_to(x[1:] - x[:-1] - h / 2 * (u[1:] + u[:-1]) == 0)
        opti.subject_to(h / 2 * ca.sum1(root[1:] + root[:-1]) == 4)
        opti.minimize(h / 2 * ca.sum1((x * root)[1:] + (x * root)[:-1]))
        return opti
    energy = length = 0
    for k in range(n):
        first, second = ca.sqrt(1 + u[k] ** 2), ca.sqrt(1 + u[k + 1] ** 2)
        opti.subject_to(x[k + 1] - x[k] - h / 2 * (u[k + 1] + u[k]) == 0)
        energy += h / 2 * (x[k] * first + x[k + 1] * second)
        length += h / 2 * (first + second)
    opti.subject_to(length == 4)
    opti.minimize(energy)
    return opti


def distance_of(n: int) -> np.ndarray:
    edge = np.minimum(np.arange(n + 2), np.arange(n + 2)[::-1]) / (n + 1)
    return np.minimum(edge[:, None], edge[None, :])


def torsion_opti(n: int, vectors: bool):
    import casadi as ca

    opti, h, D = ca.Opti(), 1.0 / (n + 1), distance_of(n)
    v = opti.variable(n + 2, n + 2)
    opti.set_initial(v, D)
    if vectors:
        opti.subject_to(opti.bounded(ca.vec(-D), ca.vec(v), ca.vec(D)))
        a, b, c, d = v[:-1, :-1], v[1:, :-1], v[:-1, 1:], v[1:, 1:]

        def energy(here, along, across):
            gradient = ca.sumsqr(along - here) / h**2 + ca.sumsqr(across - here) / h**2
            return h * h / 2 * (gradient / 2 - 5 / 3 * ca.sum2(ca.sum1(here + along + across)))

        opti.minimize(energy(a, b, c) + energy(d, c, b))
        return opti
    total = 0
    for i in range(n + 2):
        for j in range(n + 2):
            opti.subject_to(opti.bounded(-D[i, j], v[i, j], D[i, j]))
    for i in range(n + 1):
        for j in range(n + 1):
            corners = (
                (v[i, j], v[i + 1, j], v[i, j + 1]),
                (v[i + 1, j + 1], v[i, j + 1], v[i + 1, j]),
            )
            for here, along, across in corners:
                gradient = ((along - here) / h) ** 2 + ((across - here) / h) ** 2
                total += h * h / 2 * (gradient / 2 - 5 / 3 * (here + along + across))
    opti.minimize(total)
    return opti


def through_opti(name: str, n: int, vectors: bool) -> Callable[[], float]:
    opti = (chain_opti if name == "chain" else torsion_opti)(n, vectors)
    opti.solver("ipopt", {"print_time": False}, {"print_level": 0, "sb": "yes"})
    # a function of no arguments: Opti derives and initialises when it is made, not when it is run
    solve = opti.to_function("solve", [], [opti.f])
    return lambda: float(solve()["o0"])


def through_pyomo(name: str, n: int) -> Callable[[], float]:
    import pyomo.environ as pyo

    from collocode.solvers.nl_file import find_solver

    model = pyo.ConcreteModel()
    if name == "chain":
        h = 1.0 / n
        model.x = pyo.Var(range(n + 1), initialize=lambda m, k: 8 * k * h * (k * h / 2 - 0.25) + 1)
        model.u = pyo.Var(range(n + 1), initialize=lambda m, k: 8 * (k * h - 0.25))
        model.x[0].fix(1.0)
        model.x[n].fix(3.0)
        model.slope = pyo.Constraint(
            range(n),
            rule=lambda m, k: m.x[k + 1] - m.x[k] - h / 2 * (m.u[k + 1] + m.u[k]) == 0,
        )
        root = [pyo.sqrt(1 + model.u[k] ** 2) for k in range(n + 1)]
        model.length = pyo.Constraint(
            expr=pyo.quicksum(h / 2 * (root[k] + root[k + 1]) for k in range(n)) == 4
        )
        model.energy = pyo.Objective(
            expr=pyo.quicksum(
                h / 2 * (model.x[k] * root[k] + model.x[k + 1] * root[k + 1]) for k in range(n)
            )
        )
    else:
        h, D = 1.0 / (n + 1), distance_of(n).tolist()
        model.v = pyo.Var(
            range(n + 2), range(n + 2), initialize=lambda m, i, j: D[i][j],
            bounds=lambda m, i, j: (-D[i][j], D[i][j]),
        )  # fmt: skip
        v = model.v

        def energy(here, along, across):
            gradient = ((along - here) / h) ** 2 + ((across - here) / h) ** 2
            return h * h / 2 * (gradient / 2 - 5 / 3 * (here + along + across))

        model.energy = pyo.Objective(
            expr=pyo.quicksum(
                energy(v[i, j], v[i + 1, j], v[i, j + 1])
                + energy(v[i + 1, j + 1], v[i, j + 1], v[i + 1, j])
                for i in range(n + 1)
                for j in range(n + 1)
            )
        )
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "model.nl")
    model.write(path, format="nl")
    pounce = find_solver("pounce")

    def solve() -> float:
        done = subprocess.run([pounce, path, "-AMPL"], capture_output=True, text=True, check=True)
        return float(re.findall(r"Objective\D*:\s*(\S+)", done.stdout)[-1].split()[-1])

    return solve


def run(peer: str, name: str, n: int) -> Callable[[], float]:
    if peer == "ours":
        return ours(name, n)
    if peer == "pyomo":
        return through_pyomo(name, n)
    return through_opti(name, n, peer == "opti_vectors")


def cpu() -> float:
    usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def worker(peer: str, name: str, n: int) -> dict[str, float]:
    run(peer, name, 3)()  # imports and plugins are not what is measured
    began = cpu()
    solve = run(peer, name, n)
    built = cpu()
    objective = solve()
    return {"build": built - began, "solve": cpu() - built, "objective": objective}


def measured(peer: str, name: str, n: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--worker", f"{peer},{name},{n}"]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command, capture_output=True, text=True, check=True,
        env={**os.environ, **threads, "PYTHONPATH": path},
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def build_all(variables: int) -> None:
    """CPU seconds to build our seven problems at about so many variables."""
    from importlib import import_module

    sizes = {
        "chain": variables // 2, "camshape": variables, "bearing": int(variables**0.5) - 2,
        "torsion": int(variables**0.5) - 2, "minimal_surface": int(variables**0.5) - 2,
        "elec": 200, "polygon": 200,
    }  # fmt: skip
    print(f"{'problem':16} {'variables':>9} {'constraints':>11} {'build s':>8}")
    for name, n in sizes.items():
        module = import_module(f"models.nlp.{name}")
        module.problem(10)
        began = time.process_time()
        program = module.problem(n)
        spent = time.process_time() - began
        print(f"{name:16} {program.columns:9} {program.rows:11} {spent:8.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="2500,10000", help="numbers of variables, about")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--build", type=int, metavar="VARIABLES")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        peer, name, n = arguments.worker.split(",")
        print(json.dumps(worker(peer, name, int(n))))
        return
    if arguments.build:
        sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        build_all(arguments.build)
        return
    print(f"{'problem':8} {'variables':>9} {'peer':13} {'build s':>8} {'x ours':>7} {'solve s':>8} "
          f"{'x ours':>7}  objective")  # fmt: skip
    for variables in (int(v) for v in arguments.sizes.split(",")):
        for name in ("chain", "torsion"):
            n = variables // 2 if name == "chain" else int(variables**0.5) - 2
            base: tuple[float, float] | None = None
            for peer in arguments.peers.split(","):
                runs = [measured(peer, name, n) for _ in range(arguments.repeats)]
                build, solve = (float(np.median([r[k] for r in runs])) for k in ("build", "solve"))
                base = base or (build, solve)
                print(
                    f"{name:8} {variables:9} {peer:13} {build:8.2f} {build / base[0]:7.1f} "
                    f"{solve:8.2f} {solve / base[1]:7.1f}  {runs[0]['objective']:.6g}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
