"""BLAS libraries keep to one thread while the package computes, and are given back after it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import threadpoolctl

import collocode as cc
from collocode.solvers import processes, wheel


def _most() -> int:
    return max(
        [
            lib["num_threads"]
            for lib in threadpoolctl.threadpool_info()
            if lib["user_api"] == "blas"
        ],
        default=1,
    )


def test_a_fit_is_computed_by_one_thread_and_the_users_number_comes_back():
    t = np.linspace(0.0, 2.0, 21)
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    problem = cc.Problem(decay, cc.Experiment(t, np.exp(-0.7 * t), outputs=("c",)))
    seen = []
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = _most()
        cc.fit(problem, mesh=10, on_iteration=lambda state: seen.append(_most()))
        after = _most()
    assert seen
    assert set(seen) == {1}
    assert after == before


def test_the_blas_that_ipopt_has_loaded_is_the_one_that_is_limited():
    code = """
import casadi, threadpoolctl
casadi.load_nlpsol("ipopt")
from collocode.solvers.threads import one_blas_thread
with one_blas_thread():
    told = threadpoolctl.threadpool_info()
print([lib["num_threads"] for lib in told if lib["internal_api"] == "casadi-openblas"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([1] * len(wheel.libraries("casadi-tp-openblas")[:1]))


@pytest.mark.parametrize("said", [{}, {"OMP_NUM_THREADS": "4"}])
def test_the_command_line_asks_for_one_thread_where_the_user_said_nothing(monkeypatch, said):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    for name in names:
        monkeypatch.setenv(name, "")  # what the function sets is undone by monkeypatch
        monkeypatch.delenv(name)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    processes.prefer_one_thread()
    found = {name: processes.os.environ.get(name) for name in names}
    assert found == ((said and {**dict.fromkeys(names), **said}) or dict.fromkeys(names, "1"))
    for name in names:
        processes.os.environ.pop(name, None)
