"""`fit`: discretize, start, solve."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..model.problem import Problem
from ..numerics.scheme import Scheme
from ..results.solution import Solution
from ..solvers.protocol import OnIteration
from ..solvers.solve import solve
from ..starts.strategies import Start, start_from
from ..transcription.discretize import MeshLike, discretize


def fit(
    problem: Problem,
    scheme: Scheme | str = "radau",
    degree: int | None = None,
    mesh: MeshLike = None,
    start: Start = "gradient_matching",
    seed: int = 0,
    interface: str = "casadi",
    options: Mapping[str, Any] | None = None,
    deterministic: bool = False,
    on_iteration: OnIteration | None = None,
) -> Solution:
    """Identify a problem: one call from data to trained model.

    Parameters
    ----------
    problem : what to identify.
    scheme, degree, mesh : as for `discretize`.
    start, seed : as for `start_from`.
    interface, options, deterministic, on_iteration : as for `solve`.

    Returns
    -------
    A `Solution`; look at its ``status`` and ``score()`` before you believe it.

    Examples
    --------
    >>> import numpy as np
    >>> from collocode import Dynamics, Experiment, Parameter, Problem
    >>> t = np.linspace(0.0, 2.0, 21)
    >>> data = Experiment(t, np.exp(-0.7 * t), outputs=("c",))
    >>> decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 1.0)])
    >>> round(fit(Problem(decay, data)).parameters["k"], 6)
    0.7
    """
    first = time.perf_counter()
    nlp = discretize(problem, scheme, degree, mesh)
    began = time.perf_counter()
    nlp = start_from(nlp, start, seed)
    seconds = time.perf_counter() - began
    solution = solve(
        nlp, interface, options, deterministic=deterministic, on_iteration=on_iteration
    )
    timings = {"start": seconds, "total": time.perf_counter() - first}
    return replace(solution, result=solution.result.with_timings(**timings))
