"""Scales and offsets of outputs: the joint optimum and its errors by SciPy, profiled and not."""

import numpy as np
import pytest
from scipy import optimize

import collocode as cc
from collocode import Calibration, Dynamics, Experiment, Parameter, Problem

T = np.linspace(0.0, 6.0, 31)
K, UNITS, ZERO = (0.9, 0.35), (420.0, 95.0), (12.0, 3.0)


def middle(k, t=T):
    """B of A -> B -> C from one of A."""
    return k[0] / (k[0] - k[1]) * (np.exp(-k[1] * t) - np.exp(-k[0] * t))


def data(run):
    rng = np.random.default_rng(run)
    return UNITS[run] * middle(K) + ZERO[run] + 0.01 * UNITS[run] * rng.standard_normal(31)


def series(runs=1, loss=None, **given):
    rates = Dynamics(
        lambda t, x, u, p, nn: {"A": -p.k1 * x.A, "B": p.k1 * x.A - p.k2 * x.B},
        parameters=[Parameter("k1", 0.5, 0.01, 10.0), Parameter("k2", 0.6, 0.01, 10.0)],
    )
    made = [
        Experiment(
            T, data(n), ("B",), name=f"run {n}", initial={"A": 1.0, "B": 0.0}, sigma=0.01 * UNITS[n]
        )
        for n in range(runs)
    ]
    how = Calibration(offset=True, per_experiment=runs > 1)
    return Problem(
        rates,
        made,
        states=("A", "B"),
        calibration={"B": how},
        loss=loss or cc.LeastSquares(),
        **given,
    )


def profiled(k, runs):
    """Residuals with scale and offset of every run where they are best for the rates."""
    rest = []
    for n in range(runs):
        design = np.column_stack([middle(k), np.ones(31)]) / (0.01 * UNITS[n])
        y = data(n) / (0.01 * UNITS[n])
        rest.append(y - design @ np.linalg.lstsq(design, y)[0])
    return np.concatenate(rest)


@pytest.mark.parametrize(("runs", "loss"), [(1, None), (2, None), (2, cc.Normal())])
def test_joint_estimation_is_variable_projection_and_joint_least_squares_by_scipy(runs, loss):
    best = optimize.least_squares(profiled, [0.5, 0.6], args=(runs,), x_scale=0.1, xtol=1e-12)

    def missed(v):
        parts = [
            (v[2 + 2 * n] * middle(v[:2]) + v[3 + 2 * n] - data(n)) / (0.01 * UNITS[n])
            for n in range(runs)
        ]
        return np.concatenate(parts)

    joint = optimize.least_squares(
        missed, [*best.x, *np.column_stack([UNITS, ZERO])[:runs].ravel()], x_scale="jac"
    )
    std = np.sqrt(np.diag(np.linalg.inv(joint.jac.T @ joint.jac)))
    solution = cc.fit(series(runs, loss))
    table = cc.uncertainty(solution).intervals()
    names = ["scale_B", "offset_B"]
    if runs > 1:
        names = [f"{name}[run {n}]" for n in range(runs) for name in names]
    for j, name in enumerate(["k1", "k2", *names]):
        assert table["estimate"][name] == pytest.approx(joint.x[j], abs=0.01 * std[j])
        assert table["std"][name] == pytest.approx(std[j], rel=0.02)
    np.testing.assert_allclose(best.x, joint.x[:2], rtol=1e-5)


def test_a_start_puts_them_where_they_are_best_for_its_states():
    nlp = cc.start_from(cc.discretize(series()), "simulate")
    found = {n: nlp.start[nlp.layout.columns_of(n)][0] for n in ("scale_B", "offset_B")}
    curve = middle((0.5, 0.6))
    design = np.column_stack([curve, np.ones(31)])
    np.testing.assert_allclose([*found.values()], np.linalg.lstsq(design, data(0))[0], rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Calibration(scale=False), "set one to True"),
        (lambda: Calibration(lower=2.0, upper=1.0), "bounds of the scale"),
        (lambda: Calibration(offset="yes"), "offset of Calibration must be"),
        (
            lambda: Problem(
                Dynamics(lambda t, x, u, p, nn: [-x.c]),
                Experiment(T, T, ("c",)),
                calibration={"d": Calibration()},
            ),
            "calibration= names 'd', which is no output",
        ),
        (
            lambda: Problem(
                Dynamics(lambda t, x, u, p, nn: [-x.c]),
                Experiment(T, T, ("c",)),
                calibration={"c": 2.0},
            ),
            "calibration=",
        ),
    ],
)
def test_wrong_ones_are_refused_in_a_sentence(make, sentence):
    with pytest.raises(cc.InputError, match=sentence):
        make()
