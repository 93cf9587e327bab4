r"""What costs beside the data hold: their curvature and slope at a solution, by the program's unknowns.

A problem that learns and decides minimises misfit plus costs, by one set of unknowns.  Where both meet (a
shared parameter, an input that nobody measured) the costs hold the estimate too, by

.. math:: W=\nabla^2\Bigl(\sum\text{costs}+\lambda^Tg_{\text{windows}}\Bigr),

whose multipliers λ are those of the windows without data, where only costs pull; beside data, whose own
curvature is Gauss and Newton's, the constraints are taken as they are linearised.  W is no
information: it makes an estimate move less with the data, and bears no noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from ..numerics import Array
from ..transcription.assembly import assemble
from ..transcription.costs import costs, moves
from ..transcription.decided import groups_of
from ..transcription.nlp import NLP


def cost_curvature(
    nlp: NLP, x: Array, lam_g: Array, numbers: Sequence[int]
) -> tuple[sparse.csr_array, Array]:
    """Return W, symmetric, and the costs' gradient, of some experiments and windows.

    Parameters
    ----------
    x, lam_g : the solution's point and multipliers.
    numbers : of the experiments and windows whose costs count.
    """
    problem, layout, blocks = nlp.problem, nlp.layout, nlp.parameters
    terms = [
        term
        for group in groups_of(problem)
        for term in costs(problem, layout, nlp.scheme, blocks, group, numbers)
    ]
    terms += moves(problem, layout, blocks, numbers)
    terms = [term for term in terms if term.scatter is None and term.points]
    upper, gradient = sparse.csr_array((nlp.columns, nlp.columns)), np.zeros(nlp.columns)
    if terms:
        none = sparse.csr_matrix((nlp.rows, nlp.columns))
        functions = assemble(terms, none, len(nlp.p))
        still = np.zeros(nlp.rows)
        upper = upper + sparse.csr_array(functions.hessian(x, nlp.p, 1.0, still).sparse())
        gradient = np.asarray(functions.gradient(x, nlp.p)[1], dtype=float).ravel()
    weights = lam_g.copy()
    for number, part in enumerate(layout.experiments):
        if number not in numbers or problem.experiments[number].measures:
            rows = [part.equations, part.path_rows.ravel(), part.boundary_rows]
            weights[np.concatenate(rows).astype(int)] = 0.0
    if weights.any():
        upper = upper + sparse.csr_array(nlp.functions.hessian(x, nlp.p, 0.0, weights).sparse())
    upper = sparse.triu(upper)
    return sparse.csr_array(upper + sparse.triu(upper, 1).T), gradient
