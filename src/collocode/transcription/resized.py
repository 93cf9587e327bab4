r"""Scales of a program by a point that shows its first ones to be far off.

What is decided may be a million times as large as what was known of it before: a time whose guess was
one second, a speed between two rests.  The tolerances of a solver are then worth much more, or much less,
than they should be.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..model.sizes import untold
from ..model.typical import with_given_sizes
from ..numerics import Array, Index
from .nlp import NLP
from .scales import COSTS, moved_costs, places, power_of_two, scale_rows, scales_of

LARGER, SMALLER = 1024.0, 1.0 / 32.0  # times the size that was taken
_SMALL = 1e-6, 1.0 / 128.0  # moves of a scaled objective that IPOPT's tolerances hide; less is zero


def sizes_at(nlp: NLP, x: Array) -> dict[str, tuple[float, float]]:
    """Return sizes at a point and sizes taken, by state, control and time (``x:``, ``u:``, ``t:window``)."""
    found: dict[str, list[Index]] = {}
    parts = nlp.layout.experiments
    for part in parts:
        for i, state in enumerate(nlp.problem.states):
            found.setdefault(f"x:{state}", []).append(part.states[:, i])
        for name, decided in part.decided.items():
            kind = "u" if name in nlp.problem.inputs else "x"
            found.setdefault(f"{kind}:{name}", []).append(decided.columns.ravel())
        if len(part.free_times):
            found[f"t:{part.name}"] = [part.free_times]
    columns = {name: np.concatenate(numbers) for name, numbers in found.items()}
    return {
        name: (float(np.abs(x[at]).max()), float(nlp.column_scale[at[0]]))
        for name, at in columns.items()
        if name[2:] not in nlp.problem.lags
    }


def off_scale(nlp: NLP, x: Array) -> dict[str, tuple[float, float]]:
    """Return those of `sizes_at` that are off by more than a factor; what is zero tells nothing."""
    sizes = sizes_at(nlp, x)
    return {
        n: (size, taken)
        for n, (size, taken) in sizes.items()
        if np.isfinite(size) and size and not taken * SMALLER <= size <= taken * LARGER
    }


def resized(nlp: NLP, x: Array, solved: bool = True) -> NLP | None:
    """Return a program with scales by a point, begun there; None where its own are good.

    Sizes that bounds, ends or the user tell are only enlarged.  A fit of data has a second program only
    where the first was not ``solved``, for its states that were not measured; its misfit is of a good size.
    """
    problem, fits = nlp.problem, nlp.problem.n_measurements > 0
    if not np.isfinite(x).all() or (solved if fits else not problem.costs):
        return None
    off = {
        n: pair
        for n, pair in off_scale(nlp, x).items()
        if fits or pair[0] > pair[1] or n in problem.balanced or n.startswith("t:")
    }
    if fits:  # where one is off all are taken anew
        found = sizes_at(nlp, x)
        unknown = untold(problem) if off else []
        off = {n: found[n] for n in unknown if n in found and found[n][0] > 0.0}
        if not off:
            return None
    if not off and nlp.objective_scale == 1.0:
        return None
    weight = nlp.objective_scale
    moved = 0.0 if fits else float(moved_costs(nlp.terms, nlp.parameters, [x], np.abs(x))[0])
    small = _SMALL[0] < nlp.objective_scale * moved < _SMALL[1]
    if not off and not small:
        return None
    columns, rows = nlp.column_scale, nlp.row_scale
    row_size, column_size = nlp.row_size, nlp.column_size
    if off:
        sized = with_given_sizes(problem, {n: size for n, (size, _) in off.items()})
        columns, rows = scales_of(sized, nlp.layout)
        for part in nlp.layout.experiments:
            if f"t:{part.name}" in off:
                columns[part.free_times] = power_of_two(off[f"t:{part.name}"][0])
        looked_at = places(x, nlp.lower, nlp.upper, columns)
        bounds = nlp.row_lower, nlp.row_upper
        scale_rows(nlp.terms, nlp.parameters, looked_at, columns, rows, bounds)
        row_size, column_size = 1.0 / rows, columns
    if moved > 0.0:
        weight = 1.0 if COSTS[0] <= moved <= COSTS[1] else 1.0 / power_of_two(moved)
    return replace(
        nlp.with_start(np.clip(x, nlp.lower, nlp.upper)),
        column_scale=columns,
        row_scale=rows,
        objective_scale=weight,
        column_size=column_size,
        row_size=row_size,
    )
