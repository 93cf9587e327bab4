"""The ridge penalty of the weights, in the norm of their basis in time."""

from __future__ import annotations

import casadi as ca
import numpy as np

from ..model.problem import Problem
from ..model.varying import penalty_matrix
from .data import Blocks, offsets_of, parameter_symbol
from .layout import Layout
from .term import MappedTerm


def ridge(problem: Problem, layout: Layout, blocks: Blocks) -> list[MappedTerm]:
    r"""λ θᵀMθ: λ ‖θ‖², and λ/T ∫‖θ(t)‖² dt for weights that vary in time."""
    p, start = parameter_symbol(blocks), offsets_of(blocks)["regularisation"]
    a, b, strength, factor = (ca.SX.sym(name) for name in ("a", "b", "lambda", "factor"))
    M = penalty_matrix(problem.weight_blocks).tocoo()
    terms = []
    for name, unknowns, chosen in (
        ("ridge", ca.vertcat(a), M.row == M.col),
        ("ridge.pairs", ca.vertcat(a, b), M.row < M.col),
    ):
        factors = M.data[chosen] * unknowns.numel()  # a pair stands in M twice
        if not len(factors):
            continue
        columns = layout.weights[np.column_stack([M.row, M.col])[chosen]]
        value, symbols = strength * a * unknowns[-1], strength
        rows = [ca.repmat(p[start], 1, len(factors))]
        if (factors != 1.0).any():
            value, symbols = factor * value, ca.vertcat(strength, factor)
            rows.append(ca.MX(ca.DM([factors.tolist()])))
        terms.append(
            MappedTerm.build(
                name,
                value,
                (unknowns, columns[:, : unknowns.numel()]),
                (ca.SX(0, 1), np.empty(0, dtype=int)),
                (symbols, ca.Function("data", [p], [ca.vertcat(*rows)])),
            )
        )
    return terms
