r"""Exact ranges of the pre-activations, by mixed-integer programs with a budget.

.. math:: \min\,/\max\ a_{l,j} \quad\text{over}\quad v_0 \in \text{box},\;
          v_k = \min(\max(W_k v_{k-1} + b_k, 0), c_k),\ k < l

The layers before are encoded as they are instead of relaxed, so each range is what the unit reaches,
as far as the budget goes: a program that is cut short still gives the bound of its branch and bound.

Tjeng, Xiao & Tedrake, Evaluating robustness of neural networks with mixed integer programming, ICLR
2019; Grimstad & Andersson, ReLU networks as surrogate models in mixed-integer linear programs, Comput.
Chem. Eng. 131, 2019.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..numerics import Array
from ..solvers.interrupt import interrupted
from .bounds import UNDECIDED, Bounds, core_box
from .constraints import Linear, as_linear
from .encodings import encode
from .highs import load, solve_mip
from .mip import Index, MipArrays
from .network import ReluNetwork
from .tighten import lp_bounds

_BUDGET = 60.0  # seconds, where none is given
_GENEROUS = 4.0  # times an even share of what is left is what one program may take
_TOLERANCE = 1e-6  # HiGHS' feasibility tolerance, relative: bounds are moved out by it


def mip_bounds(
    network: ReluNetwork,
    box: ArrayLike,
    constraints: Any = None,
    time_budget: float | None = None,
    workers: int = 1,
) -> Bounds:
    """Bound all pre-activations by mixed-integer programs, those of `lp_bounds` first.

    Parameters
    ----------
    box, constraints, workers : as for `lp_bounds`.
    time_budget : seconds for both, 60 if None.  When it is over, what is left keeps the bounds of
        the linear programs: valid, and ``complete`` is False.

    Raises
    ------
    InputError, MissingDependency
        As `lp_bounds`.

    Examples
    --------
    >>> network = ReluNetwork(
    ...     ([[1.0], [-1.0]], [[1.0, 1.0]], [[1.0]]), ([0.0, 0.0], [-1.5], [0.0])
    ... )  # max(|x| - 1.5, 0)
    >>> mip_bounds(network, [(-2.0, 2.0)]).lower[1].round(3)
    array([-1.5])
    """
    budget = _BUDGET if time_budget is None else time_budget
    began = time.perf_counter()
    known = lp_bounds(network, box, constraints, time_budget, workers)
    linear = as_linear(network, constraints).on_inputs(network).core(network)
    steps = _Exact(network.core(), core_box(network, box), linear, workers, began + budget)
    return steps.run(known, began)


class _Exact:
    def __init__(
        self, network: ReluNetwork, box: Array, linear: Linear, workers: int, deadline: float
    ) -> None:
        self._network, self._box, self._linear = network, box, linear
        self._workers, self._deadline = workers, deadline

    def run(self, known: Bounds, began: float) -> Bounds:
        """Tighten layer by layer; the first one's ranges are exact already."""
        for layer in range(1, len(known.lower)):
            jobs = self._jobs(known, layer)
            if not len(jobs):
                continue
            arrays, columns = self._program(known, layer)
            later = sum(len(self._jobs(known, k)) for k in range(layer + 1, len(known.lower)))
            low, up, done = self._ranges(arrays, columns, known, layer, jobs, later)
            sides = (
                tuple(new if k == layer else old for k, old in enumerate(olds))
                for olds, new in ((known.lower, low), (known.upper, up))
            )
            lower, upper = sides
            programs, complete = known.programs + 2 * len(jobs), known.complete and done
            known = replace(known, lower=lower, upper=upper, programs=programs, complete=complete)
        return replace(known, kind="mip", seconds=time.perf_counter() - began)

    def _jobs(self, known: Bounds, layer: int) -> Index:
        """Units of a layer that their bounds leave undecided; all outputs."""
        if layer == len(known.lower) - 1:
            return np.arange(len(known.lower[-1]))
        return np.flatnonzero(known.stable(self._network)[layer] == UNDECIDED)

    def _program(self, known: Bounds, layer: int) -> tuple[MipArrays, Index]:
        """The network up to the pre-activations of a layer, and the columns of these."""
        network, end = self._network, layer + 1
        part = ReluNetwork(network.weights[:end], network.biases[:end], clip=network.clip[:layer])
        bounds = replace(known, lower=known.lower[:end], upper=known.upper[:end])
        program, x, columns = encode(part, bounds, self._box, "bigm")
        if len(self._linear.A):
            rows = [(x, self._linear.A[:, : network.inputs])]
            program.add_rows(rows, self._linear.lower, self._linear.upper)
        return program.arrays(), columns

    def _ranges(
        self,
        arrays: MipArrays,
        columns: Index,
        known: Bounds,
        layer: int,
        jobs: Index,
        later: int,
    ) -> tuple[Array, Array, bool]:
        low, up = known.lower[layer].copy(), known.upper[layer].copy()
        left = 2 * (len(jobs) + later)

        def work(number: int) -> tuple[float, bool]:
            unit, sign = jobs[number // 2], 1.0 - 2.0 * (number % 2)
            seconds = self._deadline - time.perf_counter()
            if seconds <= 0.0 or interrupted():
                return -np.inf, False
            share = min(seconds, _GENEROUS * self._workers * seconds / (left - number))
            return _minimum(arrays, int(columns[unit]), sign, share)

        if self._workers == 1:
            found = [work(number) for number in range(2 * len(jobs))]
        else:
            with ThreadPoolExecutor(self._workers) as pool:
                found = list(pool.map(work, range(2 * len(jobs))))
        for unit, (least, _), (most, _) in zip(jobs, found[::2], found[1::2], strict=True):
            low[unit] = min(max(low[unit], least), up[unit])
            up[unit] = max(min(up[unit], -most), low[unit])
        return low, up, all(done for _, done in found)


def _minimum(arrays: MipArrays, column: int, sign: float, seconds: float) -> tuple[float, bool]:
    """Return a lower bound of ``sign``·u_column, and whether it is the minimum."""
    cost = np.zeros(len(arrays.lower))
    cost[column] = sign
    highs = load(arrays, cost, True, {"threads": 1, "mip_rel_gap": 0.0})
    answer = solve_mip(highs, max(seconds, 0.01))
    if not np.isfinite(answer.bound):
        return -np.inf, False
    return answer.bound - _TOLERANCE * (1.0 + abs(answer.bound)), answer.status == "Optimal"
