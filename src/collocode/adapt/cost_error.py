r"""The cost's error of a problem that decides: dual-weighted residuals, and a finer solution where they end.

.. math:: J-J_h\approx\sum_e\Bigl(\delta L_e+\rho_{u,e}\Bigr)

with :math:`\delta L_e` of `defects`, what an exact scheme would change under the discrete controls, and
:math:`\rho_{u,e}` of `control_error`, what free controls gain on top of it.  Constraints at nodes and times
that are free have no part of their own: the Lagrangian is stationary in them.

At a switch, along a singular arc, and where a bound of a state, a path constraint or a slope is active, the optimal control is
not smooth or not determined by H; no expansion about the discrete one holds.  These irregular elements
are cut, into eight pieces where they border on regular ones and into four elsewhere, the problem is
solved once more, and the cost's change :math:`J_f-J_h` counts, less what interior points leave of the
bounds: there the error falls with the second power of the step at least.  Of the finer solution the sum
above, over its regular elements, is added; what is not explained by the regular elements is the irregular
ones' ``structure``, shared by the change of the Hamiltonian under the finer controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..numerics import Array, Index, Mask
from ..numerics.scheme import lagrange_matrix
from ..results.solution import Solution
from ..solvers.solve import make_solver
from ..transcription.discretize import discretize
from .control_error import control_error, decided_inputs
from .costates import costates_of
from .defects import Defects
from .duals import active_rows, free_columns
from .elements import Elements
from .prolong import prolong
from .reconstruction import reconstruct
from .running import Running

_INSIDE, _BESIDE = 4, 8  # pieces of an irregular element, for the finer solution
_TIGHT = 1e-10  # its tolerance


class CostError(NamedTuple):
    """(E,) parts by name, and the number of elements that could not be solved again."""

    parts: dict[str, Array]
    unconverged: int


class _Regular(NamedTuple):
    """(E,) halves of the state equation's part, the control's part; irregular elements."""

    linear: Array
    whole: Array
    control: Array
    irregular: Mask
    unconverged: int

    @property
    def total(self) -> float:
        return float((0.5 * (self.linear + self.whole) + self.control).sum())


def cost_error(solution: Solution, elements: Elements) -> CostError:
    """Estimate the objective's error of a problem that decides.

    The structure is nan where the solution is none, or the finer one that it asks for was not found.
    """
    known = _regular(solution, elements)
    structure = np.zeros(len(elements))
    if known.irregular.any():
        structure = _structure(solution, elements, known)
    parts = {
        "state": 0.5 * known.linear,
        "adjoint": 0.5 * known.whole,
        "control": known.control,
        "structure": structure,
    }
    return CostError(parts, known.unconverged)


def compared_error(solution: Solution) -> dict[str, Array]:
    r"""(E,) parts of the objective's error by a finer solution alone, :math:`J_f-J_h` with every element in four.

    Above index 1 :math:`\partial g/\partial z` is singular, so that no equation in the states alone could be
    reconstructed and weighed element by element.  The difference is shared by how much the states move
    within each element; it is nan where the finer solution was not found.
    """
    nlp = solution.nlp
    assert nlp is not None
    parts = nlp.layout.experiments
    count = sum(part.mesh.elements for part in parts)
    nothing = np.zeros(count)
    pieces = [np.full(part.mesh.elements, _INSIDE) for part in parts]
    finer = _solved_finer(solution, pieces) if solution.success else None
    if finer is None:
        return {"state": nothing, "structure": np.full(count, np.nan)}
    shares = []
    for number, part in enumerate(parts):
        old, new = solution.trajectories[number], finer.trajectories[number]
        share = (old.times - old.mesh.start) / (old.mesh.end - old.mesh.start)
        times = new.mesh.start + share * (new.mesh.end - new.mesh.start)
        moved = (finer.states(times, number) - old.states) / nlp.problem.state_scale
        nodes = moved[part.element_nodes()]
        shares.append(np.abs(nodes - nodes[:, :1]).max(axis=(1, 2)))
    share = np.concatenate(shares)
    share = share if share.sum() > 0.0 else np.ones(count)
    change = at_bounds(finer) - at_bounds(solution)
    return {"state": nothing, "structure": np.asarray(change * share / share.sum())}


def _regular(solution: Solution, elements: Elements) -> _Regular:
    better = reconstruct(elements)
    defects, weights = Defects(better), solution.result.lam_g[elements.rows]
    control, irregular = control_error(better, solution.result)
    return _Regular(
        linear=defects.linear().lagrangian(weights),
        whole=defects.full().lagrangian(weights),
        control=control,
        irregular=irregular,
        unconverged=int((~better.converged).sum()),
    )


def _structure(solution: Solution, elements: Elements, known: _Regular) -> Array:
    """(E,) what irregular elements add; nan where that is not known."""
    irregular = known.irregular
    finer = _finer(solution, elements, irregular) if solution.success else None
    if finer is None or finer.nlp is None:
        return np.where(irregular, np.nan, 0.0)
    beyond = _regular(finer, Elements.of(finer.nlp, finer.result.x))
    change = at_bounds(finer) - at_bounds(solution) + beyond.total
    share = np.where(irregular, _moved(solution, finer, elements), 0.0)
    if not share.sum() > 0.0:
        share = irregular.astype(float)
    return np.asarray((change - known.total) * share / share.sum())


def _finer(solution: Solution, elements: Elements, irregular: Mask) -> Solution | None:
    """Solve once more with the irregular elements cut; None where that fails."""
    pieces = []
    for odd in np.split(irregular, elements.first[1:-1]):
        inside = np.concatenate([odd[1:], [True]]) & np.concatenate([[True], odd[:-1]])
        pieces.append(np.where(odd, np.where(inside, _INSIDE, _BESIDE), 1))
    return _solved_finer(solution, pieces)


def _solved_finer(solution: Solution, pieces: Sequence[Index]) -> Solution | None:
    """Solve once more with every element cut into so many; None where that fails."""
    nlp = solution.nlp
    assert nlp is not None
    meshes = [part.mesh for part in nlp.layout.experiments]
    finer = [mesh.divide(count) for mesh, count in zip(meshes, pieces, strict=True)]
    begun, warm = prolong(solution, discretize(nlp.problem, nlp.scheme, mesh=finer))
    # a barrier that stops at the usual tolerance costs as much as the differences looked for
    result = make_solver(begun, options={"tol": _TIGHT}).solve(begun, warm)
    if not result.success:
        result = make_solver(begun).solve(begun)
    return Solution.of(begun, result) if result.success else None


def at_bounds(solution: Solution) -> float:
    """Objective as it were with everything that is held exactly at its bound: interior points stop short."""
    nlp, result = solution.nlp, solution.result
    assert nlp is not None
    value = result.objective
    held = ~free_columns(nlp, result), active_rows(nlp, result)
    for active, at, multipliers, lower, upper in (
        (held[0], result.x, result.lam_x, nlp.lower, nlp.upper),
        (held[1], nlp.constraints(result.x), result.lam_g, nlp.row_lower, nlp.row_upper),
    ):
        bound = np.where(multipliers < 0.0, lower, upper)
        known = active & np.isfinite(bound)
        value += float(multipliers[known] @ (at - bound)[known])
    return value


def _moved(solution: Solution, finer: Solution, e: Elements) -> Array:
    """(E,) integral of the change of H under the finer solution's controls."""
    tau, weights = np.polynomial.legendre.leggauss(16)
    tau, weights = 0.5 * (tau + 1.0), 0.5 * weights
    stages = e.nlp.scheme.nodes[list(e.nlp.scheme.stages)]
    _, at_stages, _ = costates_of(e, solution.result.lam_g)
    z = np.einsum("kj,ejx->ekx", lagrange_matrix(stages, tau), at_stages)
    x = np.einsum("kj,ejx->ekx", e.nlp.scheme.interpolation(tau), e.states)
    before = e.inputs(tau)
    after, times = before.copy(), e.times(tau)
    for number, names in enumerate(decided_inputs(e.nlp)):
        here = slice(e.first[number], e.first[number + 1])
        old, new = solution.trajectories[number].mesh, finer.trajectories[number].mesh
        share = (times[here] - old.start) / (old.end - old.start)
        moved = new.start + share * (new.end - new.start)
        for name in names:
            signal = finer.trajectories[number].experiment.inputs[name]
            k = e.nlp.problem.inputs.index(name)
            after[here, :, k] = signal(moved.ravel()).reshape(moved.shape)
    running = Running(e)
    values = [running.hamiltonian(tau, x, u, z)[0] for u in (before, after)]
    return np.asarray(e.step * (np.abs(values[1] - values[0]) @ weights))
