"""Optimal control beside rockit, do-mpc, Pyomo.DAE and CasADi's Opti: build and solve, and a step of NMPC.

    python benchmarks/control.py                              # six problems, N = 100 and 1000
    python benchmarks/control.py --sizes 100 --peers ours,rockit
    python benchmarks/control.py --nmpc                       # the stirred tank, step by step

All have N elements of Radau IIA of degree 3, controls that are constant in each, the same starts, IPOPT
(pounce for Pyomo) with MUMPS and a tolerance of 1e-8.  Build is what comes before the solver starts: the
model, its derivatives or its ``.nl`` file, the solver object; times are CPU seconds, children included, in
fresh processes of one thread, after a run with three elements.  A run ends after ``--most`` CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import warnings
from typing import Any

import numpy as np


def cpu() -> float:
    usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def worker(peer: str, name: str, n: int) -> dict[str, float]:
    from peers.control import PEERS
    from peers.control_problems import TASKS

    make, task = PEERS[peer], TASKS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make(TASKS["catalyst"], 3)()  # imports and plugins are not what is measured
        began = cpu()
        solve = make(task, n)
        built = cpu()
        print(json.dumps({"build": built - began}), flush=True)  # what is left if time runs out
        answer = solve()
        ended = cpu()
    cost, seconds = answer if isinstance(answer, tuple) else (answer, ended - built)
    return {"build": ended - began - seconds, "solve": seconds, "cost": cost}


def measured(*words: str, most: int) -> dict[str, Any]:
    """What a fresh process measures in ``most`` CPU seconds; why not more, if it cannot."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--worker", ",".join(words)],
        capture_output=True, text=True, env={**os.environ, **threads, "PYTHONPATH": path},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (most, most)),
    )  # fmt: skip
    found = json.loads((done.stdout.strip().splitlines() or ["{}"])[-1])
    if done.returncode < 0:
        what = f"built in {found['build']:.3f} s, not solved" if found else "not built"
        return {"failed": f"{what} within {most} s", **found}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:60]}
    return found


def table(sizes: list[int], peers: list[str], names: list[str], repeats: int, most: int) -> None:
    ratios: dict[tuple[int, str], list[tuple[float, float]]] = {}
    print(f"{'problem':14} {'N':>5} {'peer':9} {'build s':>8} {'x ours':>7} {'solve s':>8} {'x ours':>7} "
          f"{'total':>8} {'x ours':>7}  cost")  # fmt: skip
    for n in sizes:
        for name in names:
            base = None
            for peer in peers:
                runs = [measured(peer, name, str(n), most=most) for _ in range(repeats)]
                if any("failed" in run for run in runs):
                    why = next(run["failed"] for run in runs if "failed" in run)
                    print(f"{name:14} {n:5} {peer:9} {why}", flush=True)
                    continue
                build, solve = (float(np.median([r[k] for r in runs])) for k in ("build", "solve"))
                base = base or (build, solve)
                whole = (build + solve) / sum(base)
                ratios.setdefault((n, peer), []).append((build / base[0], whole))
                print(
                    f"{name:14} {n:5} {peer:9} {build:8.3f} {build / base[0]:7.1f} {solve:8.3f} "
                    f"{solve / base[1]:7.1f} {build + solve:8.3f} {whole:7.1f}  {runs[0]['cost']:.8g}",
                    flush=True,
                )
    print("\ngeometric means over the problems that a peer solved: build and total, x ours")
    for (n, peer), pairs in ratios.items():
        build, whole = np.exp(np.log(pairs).mean(axis=0))
        print(f"{n:5} {peer:9} {build:7.1f} {whole:7.1f}  ({len(pairs)} problems)")


def main() -> None:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from peers.control import PEERS
    from peers.control_problems import TASKS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="100,1000", help="numbers of elements")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--problems", default=",".join(TASKS))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--most", type=int, default=300, help="CPU seconds for a run of a peer")
    parser.add_argument(
        "--nmpc", action="store_true", help="a loop of 40 steps of the stirred tank"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        peer, name, n = arguments.worker.split(",")
        print(json.dumps(worker(peer, name, int(n))))
    elif arguments.nmpc:
        from peers.control_loop import compare

        compare()
    else:
        sizes = [int(n) for n in arguments.sizes.split(",")]
        peers, names = arguments.peers.split(","), arguments.problems.split(",")
        table(sizes, peers, names, arguments.repeats, arguments.most)


if __name__ == "__main__":
    main()
