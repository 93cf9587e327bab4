r"""A scaled view of an NLP: solvers work on :math:`\tilde x = x/s`, :math:`\tilde g = r g`.

The record itself stays in the user's units; only the functions handed to a solver are composed
with the (power-of-two) scales, and results are taken back.
"""

from __future__ import annotations

from dataclasses import replace

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from .assembly import Functions
from .nlp import NLP

Array = NDArray[np.float64]


def scaled(nlp: NLP) -> NLP:
    """Return the NLP in scaled variables and rows; the same record if all scales are one."""
    s, r = nlp.column_scale, nlp.row_scale
    if (s == 1.0).all() and (r == 1.0).all():
        return nlp
    functions = nlp.cache("scaled", lambda: _functions(nlp.functions, s, r))
    return replace(
        nlp,
        functions=functions,
        lower=nlp.lower / s,
        upper=nlp.upper / s,
        row_lower=nlp.row_lower * r,
        row_upper=nlp.row_upper * r,
        start=nlp.start / s,
        column_scale=np.ones_like(s),
        row_scale=np.ones_like(r),
    )


def _functions(functions: Functions, s: Array, r: Array) -> Functions:
    column, row = ca.DM(s.tolist()), ca.DM(r.tolist())
    x = ca.MX.sym("x", len(s))
    p = ca.MX.sym("p", functions.objective.size1_in(1))
    sigma, lam = ca.MX.sym("lam_f"), ca.MX.sym("lam_g", len(r))
    f, gradient = functions.gradient(column * x, p)
    g, jacobian = functions.jacobian(column * x, p)
    hessian = functions.hessian(column * x, p, sigma, row * lam)
    scaled_jacobian = jacobian * _outer(row, column, jacobian.sparsity())
    scaled_hessian = hessian * _outer(column, column, hessian.sparsity())
    names = ["x", "p"]
    return Functions(
        ca.Function("nlp_f", [x, p], [functions.objective(column * x, p)], names, ["f"]),
        ca.Function("nlp_grad_f", [x, p], [f, column * gradient], names, ["f", "grad_f_x"]),
        ca.Function("nlp_g", [x, p], [row * functions.constraints(column * x, p)], names, ["g"]),
        ca.Function("nlp_jac_g", [x, p], [row * g, scaled_jacobian], names, ["g", "jac_g_x"]),
        ca.Function(
            "nlp_hess_l",
            [x, p, sigma, lam],
            [scaled_hessian],
            ["x", "p", "lam_f", "lam_g"],
            ["triu_hess_gamma_x_x"],
        ),
    )


def _outer(left: ca.DM, right: ca.DM, pattern: ca.Sparsity) -> ca.DM:
    """Return left rightᵀ on a pattern."""
    return ca.mtimes([ca.diag(left), ca.DM(pattern, 1.0), ca.diag(right)])
