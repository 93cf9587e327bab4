"""Scales of a fit whose unmeasured states turn out to have other sizes than were taken for them."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc
from collocode.transcription.resized import resized

SIZES = {"b": 1e-4, "c": 2e-3}


def chain(scaling=None):
    """a -> b -> c, of which a alone is measured; b is short-lived."""
    t = np.linspace(0.0, 2.0, 11)
    data = cc.Experiment(t, np.exp(-t), ("a",), initial={"a": 1.0, "b": 0.0, "c": 0.0})
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.a, p.k * x.a - 30.0 * x.b, 30.0 * x.b],
        parameters=[cc.Parameter("k", 0.5)],
    )
    problem = cc.Problem(dynamics, data, states=("a", "b", "c"), scaling=scaling or {})
    return cc.discretize(problem, mesh=4)


def reached(nlp):
    """A point at which b and c have sizes of their own."""
    x = nlp.start.copy()
    part = nlp.layout.experiments[0]
    for name, size in SIZES.items():
        x[part.states[:, nlp.problem.states.index(name)]] = size * np.linspace(0.0, 1.0, 13)
    return x


def test_a_fit_that_failed_is_scaled_by_where_it_ended():
    nlp = chain()
    again = resized(nlp, reached(nlp), solved=False)
    part = nlp.layout.experiments[0]
    for name, size in SIZES.items():
        scale = again.column_scale[part.states[1, nlp.problem.states.index(name)]]
        assert size / 2.0 <= scale <= size * 2.0
    measured = part.states[:, 0]
    np.testing.assert_array_equal(again.column_scale[measured], nlp.column_scale[measured])
    assert again.objective_scale == nlp.objective_scale
    np.testing.assert_array_equal(again.start, reached(nlp))


def test_a_fit_that_was_solved_or_whose_sizes_were_told_keeps_its_scales():
    nlp = chain()
    assert resized(nlp, reached(nlp), solved=True) is None
    told = chain(SIZES)
    assert resized(told, reached(told), solved=False) is None


K = [0.35, 26.6, 0.123e5, 0.86e-3, 0.82e-3, 0.15e5, 0.13e-3, 0.24e5, 0.165e5, 0.9e4, 0.22e-1, 0.12e5, 1.88,
     0.163e5, 0.48e7, 0.35e-3, 0.175e-1, 0.1e9, 0.444e12, 0.124e4, 2.1, 5.78, 0.474e-1, 0.178e4, 3.12]  # fmt: skip


def pollution(y, k):
    """Verwer's reactions of 20 species, SIAM J. Sci. Comput. 15 (1994) 1243; of the IVP test set."""
    educts = (
        [0], [1, 3], [4, 1], [6], [6], [6, 5], [8], [8, 5], [10, 1], [10, 0], [12], [9, 1], [13], [0, 5],
        [2], [3], [3], [15], [15], [16, 5], [18], [18], [0, 3], [18, 0], [19],
    )  # fmt: skip
    r = [rate * np.prod([y[i] for i in used]) for rate, used in zip(k, educts, strict=True)]
    return [
        -r[0] - r[9] - r[13] - r[22] - r[23] + r[1] + r[2] + r[8] + r[10] + r[11] + r[21] + r[24],
        -r[1] - r[2] - r[8] - r[11] + r[0] + r[20],
        -r[14] + r[0] + r[16] + r[18] + r[21],
        -r[1] - r[15] - r[16] - r[22] + r[14],
        -r[2] + 2 * r[3] + r[5] + r[6] + r[12] + r[19],
        -r[5] - r[7] - r[13] - r[19] + r[2] + 2 * r[17],
        -r[3] - r[4] - r[5] + r[12],
        r[3] + r[4] + r[5] + r[6],
        -r[6] - r[7],
        -r[11] + r[6] + r[8],
        -r[8] - r[9] + r[7] + r[10],
        r[8],
        -r[10] + r[9],
        -r[12] + r[11],
        r[13],
        -r[17] - r[18] + r[15],
        -r[19],
        r[19],
        -r[20] - r[21] - r[23] + r[22] + r[24],
        -r[24] + r[23],
    ]


@pytest.mark.slow
def test_traces_of_1e_minus_17_beside_shares_of_one_are_fitted():
    """Six of 20 species measured, two rates unknown.

    Right is what SciPy's least_squares makes of these data over its Radau at 1e-9, from the same start.
    """
    first = np.zeros(20)
    first[[1, 3, 6, 7, 8, 16]] = 0.2, 0.04, 0.1, 0.3, 0.01, 0.007
    t, seen = np.linspace(1.0, 60.0, 60), [0, 1, 3, 6, 8, 13]

    def simulated(logarithms):
        k = [*np.exp(logarithms), *K[2:]]
        tight = {"rtol": 1e-9, "atol": 1e-14}
        run = solve_ivp(lambda t, y: pollution(y, k), (0, 60), first, "Radau", t, **tight)
        return run.y[seen].T

    clean = simulated(np.log(K[:2]))
    sigma = 0.02 * clean.std(0)
    y = clean + sigma * np.random.default_rng(2).standard_normal(clean.shape)
    names = [f"c{i + 1}" for i in range(20)]
    outputs = [names[i] for i in seen]
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: pollution([x[n] for n in names], [p.k1, p.k2, *K[2:]]),
        parameters=[
            cc.Parameter("k1", 1.0, 1e-3, 1e3, scale="log"),
            cc.Parameter("k2", 10.0, 1e-3, 1e5, scale="log"),
        ],
    )
    initial = dict(zip(names, first.tolist(), strict=True))
    data = cc.Experiment(t, y, outputs, start=0.0, initial=initial)
    loss = cc.LeastSquares(dict(zip(outputs, sigma.tolist(), strict=True)))
    fitted = cc.fit(cc.Problem(dynamics, data, states=names, loss=loss))
    assert fitted.success
    found = [fitted.parameters["k1"], fitted.parameters["k2"]]
    np.testing.assert_allclose(found, [0.34935415, 26.55848383], rtol=1e-3)
