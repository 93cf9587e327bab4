"""The unknowns of a fit that are free to move, and derivatives along them, the states following."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from ..model.varying import penalty_root
from ..numerics import Array, Index
from ..transcription.nlp import NLP
from ..transcription.regularisation import prior_columns
from ..transcription.windows import ExperimentLayout


def free_columns(nlp: NLP, parts: Sequence[ExperimentLayout], links: bool) -> Index:
    """(d,) columns of what is free to move: initial states, parameters, weights, decisions, junctions."""
    layout = nlp.layout
    candidates = np.concatenate(
        [
            *(part.free_initial for part in parts),
            *(part.parameters for part in parts),
            layout.shared,
            layout.weights,
            np.unique(np.concatenate([part.decisions for part in parts])),
            *(link.columns for link in layout.links if links),
        ]
    ).astype(int)
    return candidates[nlp.lower[candidates] < nlp.upper[candidates]]


def along_free(
    nlp: NLP,
    x: Array,
    tangent: Array,
    free: Index,
    by_columns: sparse.csr_matrix,
    by_spread: sparse.csr_matrix | None,
    counts: Sequence[int],
) -> tuple[Array, Array | None, Array, Array]:
    """Derivatives along the free unknowns, the states following them.

    Parameters
    ----------
    by_columns, by_spread : (data, columns) derivatives of predictions and of their σ, if a model says these.
    counts : samples of every experiment.

    Returns
    -------
    (data, d) of predictions and of their σ, (priors, d) of the priors' root, and (columns, d) of all columns; the
    last is empty where nothing is decided.
    """
    decides, outputs = nlp.problem.decides, len(nlp.problem.outputs)
    priors = prior_root(nlp, x, nlp.problem.n_measurements)
    J: list[Array] = []
    S: list[Array] = []
    prior = priors[:, free].toarray()
    moving = np.zeros((nlp.columns if decides else 0, len(free)))
    if decides:
        moving[free, np.arange(len(free))] = 1.0
    first = 0
    for (part, Z), count in zip(sensitivities(nlp, x, free, tangent), counts, strict=True):
        here = slice(first * outputs, (first + count) * outputs)
        dependent = part.dependent
        for table, found in ((by_columns, J), (by_spread, S)):
            if table is not None:
                rows = table[here]
                found.append(rows[:, dependent] @ Z + rows[:, free].toarray())
        prior += priors[:, dependent] @ Z
        if decides:
            moving[dependent] += Z
        first += count
    return np.vstack(J), np.vstack(S) if S else None, prior, moving


def penalty_along(nlp: NLP, free: Index) -> Array:
    """(weights, d) root of the penalty's matrix, without λ."""
    root = penalty_root(nlp.problem.weight_blocks).tocsc()
    penalty = np.zeros((root.shape[0], len(free)))
    at = {column: j for j, column in enumerate(nlp.layout.weights.tolist())}
    mine = [(j, at[c]) for j, c in enumerate(free.tolist()) if c in at]
    if mine:
        here, there = np.array(mine).T
        penalty[:, here] = root[:, there].toarray()
    return penalty


def sensitivities(
    nlp: NLP, x: Array, free: Index, tangent: Array, only: int | None = None
) -> Iterator[tuple[ExperimentLayout, Array]]:
    """Every experiment with the (dependent nodes, free) derivative of its states."""
    jacobian, other = (nlp.functions.jacobian(at, nlp.p)[1].sparse() for at in (x, tangent))
    jacobian = exchanged(jacobian, other, nlp.layout.weights)
    for number, part in enumerate(nlp.layout.experiments):
        if only is not None and number != only:
            continue
        rows = jacobian[part.equations].tocsc()
        dependent = part.dependent
        seen = np.isin(free, np.flatnonzero(np.diff(rows.indptr)))
        Z = np.zeros((len(dependent), len(free)))
        Z[:, seen] = -sparse.linalg.splu(rows[:, dependent]).solve(rows[:, free[seen]].toarray())
        yield part, Z


def exchanged(matrix: sparse.csc_matrix, other: sparse.csc_matrix, columns: Index) -> Any:
    """``matrix`` by rows, with the columns ``columns`` of ``other``, of the same sparsity."""
    here = np.zeros(matrix.shape[1], dtype=bool)
    here[columns] = True
    matrix, other = sparse.csc_array(matrix), sparse.csc_array(other)
    mine = np.repeat(here, np.diff(matrix.indptr))
    matrix.data = np.where(mine, other.data, matrix.data)
    return matrix.tocsr()


def prior_root(nlp: NLP, x: Array, total: int) -> sparse.csc_array:
    """(priors, columns) root of the priors' curvature, in units of one half of the sum of squares."""
    columns, weights = prior_columns(nlp.layout), nlp.parameters["prior_weight"]
    there = np.flatnonzero(weights > 0.0)
    where, data = [columns[there]], [np.sqrt(total * weights[there])]
    for q in nlp.problem.all_parameters:
        if q.prior is not None:
            mine = nlp.layout.columns_of(q.name)
            bends = [q.prior.curvature(q.natural(z), z, q.slope(z)) for z in x[mine].tolist()]
            data.append(np.sqrt(bends))
            where.append(mine)
    picked = np.concatenate(where)
    shape = (len(picked), nlp.columns)
    return sparse.csc_array((np.concatenate(data), (np.arange(len(picked)), picked)), shape=shape)
