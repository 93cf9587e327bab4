"""What holds unknowns back: the ridge of the weights, and the priors."""

from __future__ import annotations

import casadi as ca
import numpy as np

from ..model.activations import CASADI
from ..model.problem import Problem
from ..model.varying import penalty_matrix
from ..numerics import Array, Index
from .layout import Layout
from .squares import Squares
from .term import DataFunction, MappedTerm, ParameterBlocks, data_function, times


def ridge(problem: Problem, layout: Layout, blocks: ParameterBlocks) -> list[MappedTerm]:
    r"""λ θᵀMθ: λ ‖θ‖², and λ/T ∫‖θ(t)‖² dt for weights that vary in time."""
    if not len(layout.weights):
        return []
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
        value, symbols, known = strength * a * unknowns[-1], strength, np.empty((len(factors), 0))
        if (factors != 1.0).any():
            value, symbols, known = (
                factor * value,
                ca.vertcat(factor, strength),
                factors[:, None],
            )
        own = (unknowns, columns[:, : unknowns.numel()])
        told = data_function(blocks, [known], ["regularisation"])
        squares = None if name != "ridge" else _ridge_squares(own[1], factors, told)
        terms.append(MappedTerm.build(name, value, own, data=(symbols, told), squares=squares))
    return terms


def _ridge_squares(columns: Index, factors: Array, told: DataFunction) -> Squares:
    """Of single weights, each times its factor and λ."""

    def weights(p: ca.MX) -> ca.MX:
        strength = told.entries(p, 1)[0]
        ones = (factors == 1.0).all()
        return strength if ones else times(ca.MX(factors.tolist()), strength)

    return Squares(columns=columns, factors=np.ones(columns.shape), weights=weights)


def prior_columns(layout: Layout) -> Index:
    """Columns that may carry a quadratic prior: `known_ends`, all parameters, weights."""
    own = [e.parameters for e in layout.experiments]
    return np.concatenate([layout.ends, *own, layout.shared, layout.weights])


def prior(layout: Layout, blocks: ParameterBlocks) -> list[MappedTerm]:
    """weight · (v − mean)² for every column that may carry a prior."""
    columns = prior_columns(layout)
    if not len(columns):
        return []
    v, mean, weight = ca.SX.sym("v"), ca.SX.sym("mean"), ca.SX.sym("weight")
    told = data_function(blocks, [], ["prior_mean", "prior_weight"])
    data = (ca.vertcat(mean, weight), told)
    value = weight * (v - mean) ** 2
    squares = Squares(
        columns=columns[:, None],
        factors=np.ones((len(columns), 1)),
        weights=lambda p: told.entries(p, 1),
        targets=lambda p: told.entries(p, 0),
    )
    return [MappedTerm.build("prior", value, (v, columns[:, None]), data=data, squares=squares)]


def parameter_priors(problem: Problem, layout: Layout, blocks: ParameterBlocks) -> list[MappedTerm]:
    r"""-(2/M) log π of every parameter that has a prior, in units of the mean of squares."""
    terms, share = [], ca.SX.sym("share")
    for parameter in (q for q in problem.all_parameters if q.prior is not None):
        z = ca.SX.sym("z")
        p = parameter.natural(z, CASADI)
        assert parameter.prior is not None
        value = 2.0 * share * parameter.prior.cost(p, z, CASADI, soft=True)
        own = layout.columns_of(parameter.name)
        name = f"prior.{parameter.name}"
        data = (share, data_function(blocks, [], [name]))
        terms.append(MappedTerm.build(name, value, (z, own[:, None]), data=data))
    return terms


def prior_shares(problem: Problem, layout: Layout) -> dict[str, Array]:
    """By what every parameter's -log π counts, 1/M, one number a column."""
    priors = [q.name for q in problem.all_parameters if q.prior is not None]
    share = 1.0 / max(1, problem.n_measurements)
    return {f"prior.{n}": np.full(len(layout.columns_of(n)), share) for n in priors}
