r"""A linear solver for programs that are chains of elements with a shared border, inside stock Ipopt.

Ipopt's augmented matrix is block-tridiagonal with a dense border if the program is one of elements
that share weights (`collocode.transcription.structure`).  `places` numbers them, `blocks` sorts the matrix' entries.  A few
chains are a `part`, which condenses inequalities and takes rows and inner columns out (`elimination`, by NumPy
in `plain` or by the kernels of `compiled`);
`factor` works on the parts side by side, and `top` factorises what is left of all, about the border.
`session` refines every solution against the matrix that Ipopt gave and lets MUMPS (`mumps`) take
over where that does not succeed; `hook` is the way into Ipopt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...transcription.program import Program
from . import hook
from .factor import MANY

# Measured: below, MUMPS is about as fast and Python's own time per factorisation is what counts
_LEAST_WORK = 3e6
_MOST_BYTES = 1.5e9


def uses_chains(program: Program, options: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    """Whether Ipopt's matrices of a program go to chains.

    They do if ``linear_solver`` says so; if it says nothing, no option of MUMPS's own asks for that
    and the program is one that chains are faster for: a border of many columns that most rows touch.
    """
    wanted = options.get("linear_solver")
    if wanted not in (None, "chains") or program.make_structure is None:
        return False
    # a border that most rows touch: what the pattern refutes needs no structure
    entries = 2 * program.functions.jacobian.nnz_out(1)
    if wanted is None and entries < MANY * program.rows:
        return False
    if program.structure is None or not hook.available():
        return False
    if wanted is not None:
        return True
    asks = any(k.startswith("mumps_") and v != defaults.get(k) for k, v in options.items())
    exact = program.functions.exact and options.get("hessian_approximation", "exact") == "exact"
    if asks or not exact:
        return False
    structure = program.structure
    border = structure.border
    n = int((program.lower[border] < program.upper[border]).sum())  # IPOPT leaves fixed ones out
    width = n + 2 * structure.chains[0].links.shape[1]
    return (
        n >= MANY
        and program.columns * n**2 >= _LEAST_WORK
        and 5 * 8 * program.columns * width <= _MOST_BYTES
        and entries >= program.rows * n
    )
