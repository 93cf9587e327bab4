"""Starts of problems whose weights or parameters vary in time."""

import numpy as np
import pytest

import collocode as cc

END = 6.0
INTERVAL = (0.0, END)
KNOTS = tuple(np.linspace(0.0, END, 4))
T = np.linspace(0.0, END, 121)


def rate(t):
    """The true c(t): a polynomial of degree 2."""
    return 0.2 + 0.1 * t - 0.015 * t**2


def decays(basis, outputs=("y",)) -> cc.Problem:
    """y' = -c(t) y from exact data, c = 0.2 + t/10 - 0.015 t²."""
    y = np.exp(-(0.2 * T + 0.05 * T**2 - 0.005 * T**3))
    c = cc.Parameter("c", 0.5, basis=basis)
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [-p.c * x.y], parameters=[c]),
        cc.Experiment(T, y, outputs),
    )


def learns(basis, regularisation=1e-4) -> cc.Problem:
    """The same by a network that varies in time."""
    network = cc.MLP((1, 3, 1)) if basis is None else cc.TimeVarying(cc.MLP((1, 3, 1)), basis)
    known = decays(None)
    return cc.Problem(
        cc.NeuralODE(network), known.experiments, regularisation=cc.L2(regularisation)
    )


@pytest.mark.parametrize("name", ["legendre", "monomial", "chebyshev", "bspline"])
def test_gradient_matching_finds_what_is_linear_in_the_coefficients(name):
    basis = cc.basis(name, 2, INTERVAL, pieces=3)
    nlp = cc.start_from(cc.discretize(decays(basis)))
    found = basis.values(T) @ nlp.start[nlp.layout.shared]
    assert np.abs(found - rate(T)).max() < 2e-2


@pytest.mark.parametrize("name", cc.basis_names())
def test_gradient_matching_fits_weights_of_every_basis(name):
    problem = learns(cc.basis(name, 2, INTERVAL, pieces=3))
    matched = cc.start_from(cc.discretize(problem))
    plain = cc.start_from(cc.discretize(problem), "smoothing")
    assert (
        np.abs(matched.constraints(matched.start)).max()
        < 0.1 * np.abs(plain.constraints(plain.start)).max()
    )


def test_many_pieces_are_fitted_by_a_sparse_least_squares(monkeypatch):
    from collocode.starts import gradient_matching

    nlp = cc.discretize(learns(cc.basis("layers", 0, INTERVAL, pieces=5), 1e-6))
    dense = cc.start_from(nlp).start
    monkeypatch.setattr(gradient_matching, "_MOST_DENSE", 10)
    thin = cc.start_from(nlp).start
    for x in (dense, thin):
        assert np.abs(nlp.constraints(x)).max() < 5e-3
    assert not np.array_equal(dense, thin)  # two solvers of one problem


@pytest.mark.parametrize("name", ["legendre", "layers", "bspline"])
def test_growing_horizon_reaches_pieces_that_the_first_windows_do_not_see(name):
    solution = cc.fit(learns(cc.basis(name, 2, INTERVAL, pieces=4), 1e-6), start="horizon")
    assert solution.success
    assert solution.gap() < 1e-3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, cc.Legendre(2, INTERVAL)),
        (cc.Legendre(1, INTERVAL), cc.Legendre(3, INTERVAL)),
        (cc.Legendre(2, INTERVAL), cc.BSpline(KNOTS, 2)),
        (cc.PiecewiseConstant(KNOTS), cc.PiecewiseConstant(cc.Mesh(KNOTS).bisect([1]))),
    ],
    ids=repr,
)
@pytest.mark.parametrize("make", [decays, learns])
def test_a_solution_starts_a_richer_problem_with_the_same_function(make, old, new):
    coarse = cc.fit(make(old))
    nlp = cc.discretize(make(new), mesh=coarse.trajectories[0].mesh.with_points(new.breaks))
    fine = cc.start_from(nlp, coarse)
    # the same function of time meets the same equations; only its mean square is written otherwise
    assert np.abs(fine.constraints(fine.start)).max() < 1e-4
    assert fine.objective(fine.start) == pytest.approx(coarse.result.objective, rel=1e-3)
    again = cc.solve(fine)
    assert again.success
    assert again.result.objective <= coarse.result.objective * (1 + 1e-6)


def test_what_does_not_contain_the_solution_is_refused():
    coarse = cc.fit(decays(cc.Legendre(2, INTERVAL)))
    for other, message in (
        (cc.Legendre(1, INTERVAL), "parameter 'c': .*P2 is not among them"),
        (None, "parameter 'c' varies in time"),
    ):
        with pytest.raises(cc.InputError, match=message):
            cc.start_from(cc.discretize(decays(other)), coarse)
    with pytest.raises(cc.InputError, match=r"network 'nn': .* cannot be prolonged"):
        cc.start_from(
            cc.discretize(learns(cc.BSpline(KNOTS, 1))), cc.fit(learns(cc.Legendre(2, INTERVAL)))
        )
