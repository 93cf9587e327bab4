"""Collocode itself: mapped derivatives, assembled by index, IPOPT with MUMPS.

The same task as the other peers: two-state Radau IIA collocation, [2, 32, 2] tanh network,
unknown initial state, L2 regularisation.
"""

from __future__ import annotations

import numpy as np

import collocode as cc  # noqa: F401  (used once the body below is filled in)

from .common import Data, PeerResult, Stopwatch, network


def run(
    data: Data,
    seed: int = 0,
    *,
    regularisation: float = 1e-4,
    tol: float = 1e-6,
    max_iter: int = 1000,
    build_only: bool = False,
) -> PeerResult:
    """Discretise (build), solve, hand back the learnt equation and the fitted initial state."""
    watch = Stopwatch()
    # ---- TO BE FILLED IN against the package's public interface ----------------------------
    # problem = cc.Problem(...)            # data, network, regularisation
    # nlp = cc.discretize(problem, ...)    # Radau IIA, len(data.t) // 3 elements, 3 stages
    raise NotImplementedError("benchmarks/peers/ours.py: fill in cc.Problem and cc.discretize")
    build = watch.split()
    if build_only:
        return PeerResult("collocode", build, np.nan, None, None, "build only")
    # solution = cc.solve(nlp, ...)        # start as a peer's, or the package's default start
    theta, y0, detail = ...  # row-major weights as in common.unpack; y(0); iterations, status
    # ------------------------------------------------------------------------------------------
    solve = watch.split()
    return PeerResult("collocode", build, solve, network(theta), y0, detail)
