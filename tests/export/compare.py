"""One NLP in several forms: values and derivatives of all of them at one point."""

import casadi as ca
import numpy as np
from scipy import sparse


def values(nlp, x, lam, sigma=0.7):
    """f, grad f, g, J and H (full) of an NLP or of a read .nl file; J and H are sparse."""
    f = nlp.functions
    upper = ca.DM(f.hessian(x, nlp.p, sigma, lam)).sparse()
    return (
        nlp.objective(x),
        np.array(f.gradient(x, nlp.p)[1]).ravel(),
        nlp.constraints(x),
        ca.DM(f.jacobian(x, nlp.p)[1]).sparse(),
        upper + upper.T - sparse.diags_array(upper.diagonal()),
    )


def margins(nlp, g):
    """What is left to the row bounds; unlike g itself it knows no constants moved across."""
    return g - nlp.row_lower, nlp.row_upper - g


def assert_same(nlp, file, model, x, lam, tolerance=1e-9):
    """Compare an NLP with what was read from the .nl file that was written of it."""
    columns, rows = file.columns, file.rows
    multipliers = np.zeros(nlp.rows)
    multipliers[rows] = lam[rows]
    f, grad, g, J, H = values(nlp, x, multipliers)
    f2, grad2, g2, J2, H2 = values(model, x[columns], lam[rows])
    close(f2, f, tolerance)
    close(grad2, grad[columns], tolerance)
    close_everywhere(J2, J.tocsr()[rows][:, columns], tolerance)
    close_everywhere(H2, H.tocsr()[columns][:, columns], tolerance)
    for ours, theirs in zip(margins(nlp, g), margins(model, g2), strict=True):
        close(theirs, ours[rows], tolerance)
    np.testing.assert_array_equal(model.lower, nlp.lower[columns])
    np.testing.assert_array_equal(model.upper, nlp.upper[columns])


def close_everywhere(actual, desired, tolerance):
    """Compare sparse matrices where either has an entry."""
    either = (abs(actual).tocsr() + abs(desired).tocsr()).tocoo()
    at = either.row, either.col
    close(*(np.asarray(m.tocsr()[at]).ravel() for m in (actual, desired)), tolerance)


def close(actual, desired, tolerance):
    desired = np.asarray(desired)
    finite = np.abs(desired[np.isfinite(desired)])
    np.testing.assert_allclose(
        actual, desired, rtol=tolerance, atol=tolerance * max(1.0, finite.max(initial=0.0))
    )
