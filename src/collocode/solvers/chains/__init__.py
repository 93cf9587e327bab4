r"""A linear solver for programs that are chains of elements with a shared border, inside stock Ipopt.

Ipopt's augmented matrix is block-tridiagonal with a border if the program is one of elements that share weights or free
times (`collocode.transcription.structure`).  A wide border, of weights: `places` numbers the elements, `blocks` sorts the matrix' entries.
A few chains are a `part`, which condenses inequalities and takes rows and inner columns out (`elimination`, by NumPy
in `plain` or by the kernels of `compiled`);
`factor` works on the parts side by side (by kernels all `together`), and `top` factorises what is left of all, about the border.
A narrow border, as of controls that are decided: `fronts`, one small matrix an element.
`session` refines every solution against the matrix that Ipopt gave (`refined`) and lets MUMPS (`mumps`) take
over where that does not succeed; `hook` is the way into Ipopt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import kernels
from ...transcription.program import Program
from ...transcription.structure import ChainStructure
from ..options import BARE, DEFAULTS
from . import hook
from .factor import MANY
from .session import Session

# columns × border² from which on they are faster than MUMPS (benchmarks/iterations.py --options linear_solver=mumps);
# below, Python's own time per factorisation is what counts, of which there is more without kernels
_LEAST_WORK, _LEAST_WORK_OF_PLAIN = 4e5, 1e6
_MOST_BYTES = 1.5e9
_WIDEST_FRONT = 400  # rows


def session_for(program: Program, options: Mapping[str, Any]) -> Session | None:
    """What Ipopt's matrices of a program go to, or None if that is MUMPS.

    They go to chains if ``linear_solver`` says so; if it says nothing, no option of MUMPS's own asks for that
    and the program is one that chains are faster for: a border of many columns that most rows touch, or windows that
    decide, with a narrow one and elements that are not too large.
    """
    wanted = options.get("linear_solver")
    if wanted not in (None, "chains") or program.make_structure is None:
        return None
    decides = options.items() >= BARE.items()
    # a border that most rows touch: what the pattern refutes needs no structure
    sparse = 2 * program.functions.nonzeros < MANY * program.rows
    if wanted is None and sparse and not (decides and kernels.library() is not None):
        return None
    structure = program.structure
    if structure is None or not hook.available():
        return None
    ours = {**DEFAULTS, **BARE} if decides else DEFAULTS
    asks = any(k.startswith("mumps_") and v != ours.get(k) for k, v in options.items())
    exact = program.functions.exact and options.get("hessian_approximation", "exact") == "exact"
    if wanted is None and (asks or not exact):
        return None
    border = structure.border
    n = int((program.lower[border] < program.upper[border]).sum())  # IPOPT leaves fixed ones out
    narrow = decides and n < MANY and kernels.library() is not None
    if wanted is None and not (_fronts_pay(structure, n) if narrow else _pays(program, n)):
        return None
    return Session(narrow=narrow)


def _pays(program: Program, border: int) -> bool:
    """Whether there is enough work about a wide border, and memory for it."""
    assert program.structure is not None
    width = border + 2 * program.structure.chains[0].links.shape[1]
    least = _LEAST_WORK_OF_PLAIN if kernels.library() is None else _LEAST_WORK
    return (
        border >= MANY
        and program.columns * border**2 >= least
        and 5 * 8 * program.columns * width <= _MOST_BYTES
        and 2 * program.functions.nonzeros >= program.rows * border
    )


def _fronts_pay(structure: ChainStructure, border: int) -> bool:
    """Whether the fronts of a narrow border are small enough to be dense."""
    return all(
        2 * c.links.shape[1] + c.inner.shape[1] + c.rows.shape[1] + border <= _WIDEST_FRONT
        for c in structure.chains
    )
